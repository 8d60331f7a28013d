r"""Square: random search by square windows, without any gradient (Andriushchenko et al. 2020).

Where it finds more than an attack by gradients, the gradients are at fault: it is the alarm for
masked gradients. The geometry of its proposals is in `maths.squares`. Not here: l1, targets.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from vicinal._checks import choice, count, images, labels, logits, number
from vicinal._typing import Model, Norm, Passes
from vicinal.attacks.levers import Levers, Lowered, precision_within
from vicinal.attacks.nearest import check_radius
from vicinal.attacks.result import Result
from vicinal.attacks.search import checked
from vicinal.attacks.survivors import Survivors, pick
from vicinal.gradients import clean_logits, detached, frozen, undisturbed
from vicinal.inputs.pgd import climb
from vicinal.maths.balls import distance
from vicinal.maths.losses import LOSSES, margin, widen
from vicinal.maths.randomness import uniform
from vicinal.maths.simplex import true_class
from vicinal.maths.squares import (
    bumps,
    grid,
    propose_l2,
    propose_linf,
    share_at,
    side_of,
    stripes,
)

__all__ = ["Square"]

_BAND = 1 / 32


@dataclass(frozen=True, kw_only=True)
class Square:
    r"""Try random windows of falling size, and keep what raises the loss.

    Every image has windows and signs of its own, drawn whether it is still searched or not, so that
    what is found depends neither on its batch mates nor on `compact_every`.

    Args:
        eps: Radius in pixel units.
        norm: "linf" or "l2".
        queries: Proposals tried for each restart.
        restarts: How many starts.
        loss: What is climbed, "margin", "ce" or "dlr".
        initial_share: Share of the pixels that the first windows hold, p of the paper.
        schedule: Queries over which the windows shrink, as they do over 10,000 in the paper; None
            for `queries`. AutoAttack makes 5000 queries of a schedule of 10,000.
        compact_every: Images that were fooled leave the batch every so many queries; None for
            never.
        precision: Arithmetic of the search, "fp32", "bf16" (autocast), or "auto": bf16 where the
            processor is fast at it and the ball is linf and 4/255 or wider. What fools the search
            is judged by the model itself before an image leaves. In bf16 the model itself is also
            asked from then on about an image that came near the boundary; where the search's logits
            are rounded to bf16, not `folded`, windows that leave the loss as it is are kept too.
        channels_last: Search in channels-last.
        folded: Search with BatchNorm folded into the convolution before it, where there is one.

    Example:
        >>> _ = torch.manual_seed(0)
        >>> model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 3))
        >>> x, y = torch.rand(4, 1, 4, 4), torch.tensor([0, 1, 2, 0])
        >>> result = Square(eps=0.1, queries=50)(model, x, y)
        >>> result.passes
        Passes(forward=53, backward=0)

    Differs from AutoAttack's: a window may reach the last row and column, and is drawn for each
    image instead of for the batch, as in the paper.
    Cost: for each restart `queries` + 1 forward passes, one for the clean images and one for the
    verdict; fewer for an image that is fooled: `result.spent` counts them. With levers
    one more for an image whose verdict the model itself is asked for.
    """

    eps: float
    norm: Norm = "linf"
    queries: int = 5000
    restarts: int = 1
    loss: str = "margin"
    initial_share: float = 0.8
    schedule: int | None = None
    compact_every: int | None = 10
    precision: str = "fp32"
    channels_last: bool = False
    folded: bool = False

    def __post_init__(self) -> None:
        check_radius(self.eps, self.norm, unbounded=False)
        count("queries", self.queries)
        count("restarts", self.restarts)
        choice("loss", self.loss, LOSSES)
        number("initial_share", self.initial_share, low=0.0, high=1.0, open_low=True)
        for name in ("schedule", "compact_every"):
            if getattr(self, name) is not None:
                count(name, getattr(self, name))
        _ = self.levers

    @property
    def levers(self) -> Levers:
        """What makes the search fast."""
        precision = precision_within(self.precision, eps=self.eps, norm=self.norm)
        return Levers(precision=precision, channels_last=self.channels_last, folded=self.folded)

    def __call__(
        self, model: Model, x: Tensor, y: Tensor, *, rng: torch.Generator | None = None
    ) -> Result:
        """Attack one batch.

        Args:
            model: The model; left as it was.
            x: Images, shape (N, C, H, W), in [0, 1]; not modified.
            y: Classes (N,) or distributions (N, K).
            rng: Where starts and windows come from; torch's global generator when not given.

        Returns:
            The result.
        """
        began = time.perf_counter()
        images(x)
        labels(y, n=x.shape[0])
        x, y = detached(x), detached(y)
        searched = self.levers.lower(model, x.device)
        with frozen(model), frozen(searched), undisturbed(x), torch.no_grad():
            search = _Search(self, model, x, y, rng)
            for _ in range(self.restarts):
                search.run(searched)
            adv, own, spent = search.best, true_class(y), search.survivors.spent
            z = checked(clean_logits(model, adv), y)
        return Result(
            adv=adv,
            success=z.argmax(dim=1) != own,
            norms=distance(adv, x, norm=self.norm),
            passes=Passes(self.restarts * (self.queries + 1) + 2, 0),
            seconds=time.perf_counter() - began,
            clean_correct=~search.wrong,
            spent=Passes(spent.forward + 2 * x.shape[0], 0),
        )


class _Left(NamedTuple):
    """The images that are still searched: clean, labels, best so far, its height, if broken.

    `near` are those whose error or not bfloat16 may mistake, `exact` those for whom the model
    itself is asked since.
    """

    x: Tensor
    y: Tensor
    at: Tensor
    height: Tensor
    broken: Tensor
    near: Tensor
    exact: Tensor


class _Search:
    """One call of the attack: the best of every image, and of those left what a query needs."""

    def __init__(
        self, attack: Square, judge: Model, x: Tensor, y: Tensor, rng: torch.Generator | None
    ) -> None:
        self._attack, self._judge, self._rng = attack, judge, rng
        self._x, self._y = x, y
        self._coarse = self._half = False
        self._rows: tuple[Tensor, Tensor] | None = None
        z = checked(clean_logits(judge, x), y)
        every = attack.compact_every
        self.survivors = Survivors(x.shape[0], device=x.device, every=every)
        self.wrong = z.argmax(dim=1) != true_class(y)
        self._broken = self.wrong.clone()
        self.best, self._top = x, torch.full_like(widen(z[:, 0]), -math.inf)

    def run(self, model: Model) -> None:
        """Search once from a new start, and keep what is better than all before."""
        self._coarse = isinstance(model, Lowered) and model.coarse
        self._half = isinstance(model, Lowered) and model.in_bf16
        self._rows, no = None, torch.zeros_like(self._broken)
        at = torch.where(self._broken.view(-1, 1, 1, 1), self.best, self._start())
        height = torch.full_like(self._top, -math.inf)
        whole = _Left(self._x, self._y, at, height, self._broken, no, no.clone())
        left = self._without_broken(_Left(*pick(self.survivors.rows, *whole)), whole)
        if len(self.survivors) > 0:
            left = self._judged(model, left, left.at)
        for query in range(self._attack.queries):
            if self.survivors.due(query):
                left = self._confirmed(left, left.broken | left.near)
                left = self._without_broken(left, whole)
            if len(self.survivors) == 0:
                break
            left = self._judged(model, left, self._proposal(left, query))
        self._write(self._confirmed(left, left.broken), whole)
        # At least as high: where no number was ever said, that is for the verdict to tell.
        better = self._broken | (height >= self._top)
        self.best = torch.where(better.view(-1, 1, 1, 1), at, self.best)
        self._top = torch.where(better, height, self._top)

    def _without_broken(self, left: _Left, whole: _Left) -> _Left:
        if self._attack.compact_every is None:
            return left
        self._write(left, whole)
        left = _Left(*pick(self.survivors.leave(left.broken), *left))
        if self._attack.levers.used:
            exact = left.exact.nonzero().squeeze(1)
            rough = (~left.exact).nonzero().squeeze(1)
            self._rows = (rough, exact) if exact.shape[0] > 0 else None
        return left

    def _confirmed(self, left: _Left, doubtful: Tensor) -> _Left:
        """Let the model itself judge whom the search may mistake; it is asked for them from now."""
        if not self._attack.levers.used:
            return left
        rows = (doubtful & ~left.exact).nonzero().squeeze(1)
        if rows.shape[0] == 0:
            return left
        at, y = pick(rows, left.at, left.y)
        self.survivors.spend(forward=1, images=rows.shape[0])
        z = checked(clean_logits(self._judge, at), y)
        return left._replace(
            height=left.height.index_copy(0, rows, self._height(z, y).to(left.height)),
            broken=left.broken.index_copy(0, rows, z.argmax(dim=1) != true_class(y)),
            exact=left.exact.index_fill(0, rows, True),
        )

    def _height(self, z: Tensor, y: Tensor) -> Tensor:
        height = climb(self._attack.loss, y, None, values=False)(z)
        return torch.where(height.isnan(), -math.inf, height)

    def _write(self, left: _Left, whole: _Left) -> None:
        for of_all, of_left in zip(whole[2:], left[2:], strict=True):
            self.survivors.put(of_all, of_left)

    def _start(self) -> Tensor:
        n, channels, height, width = self._x.shape
        if self._attack.norm == "linf":
            return stripes(self._x, self._draw(n, channels, 1, width), eps=self._attack.eps)
        _, down, across = grid(height, width)
        return bumps(self._x, self._draw(n, channels + 1, down, across), eps=self._attack.eps)

    def _proposal(self, left: _Left, query: int) -> Tensor:
        attack, (n, channels, height, width) = self._attack, self._x.shape
        share = share_at(query, attack.schedule or attack.queries, initial=attack.initial_share)
        side = side_of(share, height, width, norm=attack.norm)
        (draw,) = pick(self.survivors.rows, self._draw(n, channels + 5))
        propose = propose_linf if attack.norm == "linf" else propose_l2
        return propose(left.x, left.at, draw, side=side, eps=attack.eps)

    def _draw(self, *shape: int) -> Tensor:
        # For all images and in one dtype: what one gets depends on no other and on no precision.
        return uniform(shape, self._x[:0].float(), self._rng)

    def _judged(self, model: Model, left: _Left, at: Tensor) -> _Left:
        """Ask the model, and keep what raises the loss or fools it."""
        z = self._asked(model, at)
        self.survivors.spend(forward=1)
        height = self._height(z, left.y)
        fooled = (z.argmax(dim=1) != true_class(left.y)) & (height > -math.inf)
        # bfloat16 rounds small gains away: kept off level ground, the search would come to rest.
        up = height >= left.height if self._coarse else height > left.height
        # What the search alone takes for an error is none yet: such an image climbs on.
        take = torch.where(left.broken, up & fooled, fooled | (up & (height > -math.inf)))
        if not self._attack.levers.used:
            take &= ~left.broken
        elif self._attack.compact_every is None:
            take &= ~self._broken
        return left._replace(
            at=torch.where(take.view(-1, 1, 1, 1), at, left.at),
            height=torch.where(take, height, left.height),
            broken=left.broken | (fooled & take),
            near=torch.where(take, _near(z, left.y), left.near) if self._half else left.near,
        )

    def _asked(self, model: Model, at: Tensor) -> Tensor:
        """Ask the search's model, or the model itself about those whom the search may mistake."""
        if self._rows is None:
            return logits(model(at), n=at.shape[0], values=False)
        rough, exact = self._rows
        own = logits(self._judge(at.index_select(0, exact)), n=exact.shape[0], values=False)
        if rough.shape[0] == 0:
            return own
        others = logits(model(at.index_select(0, rough)), n=rough.shape[0], values=False)
        z = own.new_empty(at.shape[0], own.shape[1])
        return z.index_copy_(0, exact, own).index_copy_(0, rough, others.to(own))


def _near(z: Tensor, y: Tensor) -> Tensor:
    """Tell whose margin is within what bfloat16 may be wrong by, a few of its 8 bits."""
    return margin(z, y) > -_BAND * widen(z).abs().amax(dim=1)

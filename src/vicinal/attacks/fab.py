r"""FAB, the fast adaptive boundary attack (Croce and Hein 2020), in AutoAttack's targeted form.

It looks for the nearest point of the decision boundary between the class and one other class: step
onto the linearised boundary, lean towards the clean image, overshoot a little, and once across,
walk back. Not here: l1, and the untargeted form, which needs a gradient for every class.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import torch
from torch import Tensor

from vicinal._checks import InputError, count, images, labels, logits
from vicinal._typing import LossOfLogits, Model, Norm, Passes
from vicinal.attacks.levers import Levers
from vicinal.attacks.nearest import Nearest, check_radius
from vicinal.attacks.result import Result
from vicinal.attacks.search import checked
from vicinal.attacks.survivors import Survivors, pick
from vicinal.gradients import clean_logits, detached, frozen, input_gradient, undisturbed
from vicinal.maths.balls import distance, surface
from vicinal.maths.hyperplane import reach_hyperplane
from vicinal.maths.losses import widen
from vicinal.maths.simplex import true_class

__all__ = ["FAB"]

_LEAN, _OVERSHOOT, _BACK = 0.1, 1.05, 0.9
"""alpha_max, eta and beta of the paper."""


@dataclass(frozen=True, kw_only=True)
class FAB:
    r"""Find small perturbations that cross to each of the likeliest wrong classes in turn.

    With :math:`d_1, d_0` the smallest changes that bring :math:`x^t` and the clean :math:`x` onto
    the linearised boundary, and
    :math:`\alpha = \min(\|d_1\| / (\|d_1\| + \|d_0\|),\, 0.1)`:

    .. math:: x^{t+1} = \Pi_{[0,1]}\left( (1 - \alpha)(x^t + \eta d_1)
              + \alpha (x + \eta d_0) \right)

    and after a crossing :math:`x^{t+1} \leftarrow x + \beta (x^{t+1} - x)`; eta 1.05, beta 0.9.

    Args:
        eps: Radius within which fooling the model counts; infinity for the smallest perturbation,
            whatever its size.
        norm: "linf" or "l2".
        steps: Steps for each target and restart.
        restarts: Starts for each target; the first is the clean image, the others are drawn at half
            the radius.
        targets: How many of the likeliest wrong classes are aimed at, at most K - 1.
        bisections: Halvings between what was found and the clean image at the end; the paper makes
            3, AutoAttack none.
        compact_every: Images fooled within eps leave the batch every so many steps; None for never.
        channels_last: Search in channels-last; what it finds within eps is judged by the model
            itself before an image leaves, or, where none does, after each target and restart.
        folded: Search with BatchNorm folded into the convolution before it, where there is one.

    Example:
        >>> _ = torch.manual_seed(0)
        >>> model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 3))
        >>> x = torch.rand(6, 1, 4, 4)
        >>> result = FAB(eps=0.3, steps=10)(model, x, model(x).argmax(dim=1))
        >>> bool((result.norms <= 0.3 + 1e-6).all())
        True

    A failed image comes back as the nearest error found, brought back into the ball; where none was
    found, as the iterate of greatest margin.
    Cost: 2 forward and 1 backward pass for each step, target and restart; one forward pass for each
    target and restart where eps is finite, one for each bisection, one for the clean images and one
    for the verdict.
    """

    eps: float
    norm: Norm = "linf"
    steps: int = 100
    restarts: int = 1
    targets: int = 9
    bisections: int = 0
    compact_every: int | None = 10
    channels_last: bool = False
    folded: bool = False

    def __post_init__(self) -> None:
        check_radius(self.eps, self.norm, unbounded=True)
        for name in ("steps", "restarts", "targets"):
            count(name, getattr(self, name))
        count("bisections", self.bisections, low=0)
        if self.compact_every is not None:
            count("compact_every", self.compact_every)
        if self.restarts > 1 and self.eps == math.inf:
            raise InputError(
                "`eps` must be finite for more than one restart: starts are drawn within it; got "
                f"inf and {self.restarts} restarts."
            )
        levers = self.levers
        if self.eps == math.inf and levers.used:
            raise InputError(
                "`channels_last` and `folded` need a finite eps: without one nothing "
                f"is judged before the end; got eps=inf and {levers}."
            )

    @property
    def levers(self) -> Levers:
        """What makes the search fast; not bfloat16, whose rounding hides the boundary."""
        return Levers(channels_last=self.channels_last, folded=self.folded)

    def __call__(
        self, model: Model, x: Tensor, y: Tensor, *, rng: torch.Generator | None = None
    ) -> Result:
        """Attack one batch.

        Args:
            model: The model; left as it was.
            x: Images, shape (N, C, H, W), in [0, 1]; not modified.
            y: Classes (N,) or distributions (N, K).
            rng: Where starts come from; torch's global generator when not given.

        Returns:
            The result.
        """
        began = time.perf_counter()
        images(x)
        labels(y, n=x.shape[0])
        x, own = detached(x), true_class(detached(y))
        searched = self.levers.lower(model, x.device)
        with frozen(model), frozen(searched), undisturbed(x):
            z = checked(clean_logits(model, x), y)
            search = _Search(self, model, x, own, z, rng)
            search.run(searched)
            search.nearest.check_seen()
            adv = search.nearest.within()
            z = checked(clean_logits(model, adv), y)
        runs = min(self.targets, z.shape[1] - 1) * self.restarts
        at_edge = runs if self.eps < math.inf else 0
        spent = search.survivors.spent
        return Result(
            adv=adv,
            success=z.argmax(dim=1) != own,
            norms=distance(adv, x, norm=self.norm),
            passes=Passes(2 * runs * self.steps + at_edge + self.bisections + 2, runs * self.steps),
            seconds=time.perf_counter() - began,
            clean_correct=~search.wrong,
            spent=Passes(spent.forward + 2 * x.shape[0], spent.backward),
        )


class _Search:
    """One call of the attack: what is nearest, and who is still searched."""

    def __init__(
        self,
        attack: FAB,
        judge: Model,
        x: Tensor,
        own: Tensor,
        z: Tensor,
        rng: torch.Generator | None,
    ) -> None:
        self._attack, self._judge, self._rng = attack, judge, rng
        self._x, self._own = x, own
        aimed = min(attack.targets, z.shape[1] - 1)
        rivals = z.scatter(1, own.unsqueeze(1), -torch.inf)
        self._targets = rivals.topk(aimed, dim=1).indices.unbind(dim=1)
        every = attack.compact_every
        self.survivors = Survivors(x.shape[0], device=x.device, every=every)
        self.nearest = Nearest(x, own, eps=attack.eps, norm=attack.norm)
        self.wrong = self.nearest.visit(x, z, self.survivors.rows)
        self._sure = self.wrong.clone()

    def run(self, model: Model) -> None:
        """Aim at every target from every start, then halve the way back."""
        for t in self._targets:
            for restart in range(self._attack.restarts):
                self._aim(model, t, self._start(drawn=restart > 0))
        low = self._x
        for _ in range(self._attack.bisections):
            low = self._halve(model, low)

    def _start(self, *, drawn: bool) -> Tensor:
        if not drawn:
            return self._x
        half, norm = self._attack.eps / 2, self._attack.norm
        return surface(self._x, eps=half, norm=norm, rng=self._rng).clamp_(0.0, 1.0)

    def _aim(self, model: Model, t: Tensor, start: Tensor) -> None:
        at, t = pick(self.survivors.rows, start, t)
        for step in range(self._attack.steps):
            at, t = self._leave(step, at, t)
            if len(self.survivors) == 0:
                return
            at = self._step(model, at, t)
        self._leave(0)
        if self._attack.eps < math.inf and len(self.survivors) > 0:
            # What lies beyond the ball may fool at its edge too; judged now, it cannot be lost.
            self._visit(model, self.nearest.within()[self.survivors.rows])
        if self._doubts:
            self._confirm()

    @property
    def _doubts(self) -> bool:
        """Whether images stay that the search alone says are fooled: they are searched on."""
        return self._attack.levers.used and self._attack.compact_every is None

    def _leave(self, step: int, *parts: Tensor) -> tuple[Tensor, ...]:
        if not self.survivors.due(step):
            return parts
        if self._attack.levers.used:
            self._confirm()
        return pick(self.survivors.leave(self.nearest.done[self.survivors.rows]), *parts)

    def _confirm(self) -> None:
        """Let the model itself judge who is to leave; those whom it gets right are searched on."""
        rows = (self.nearest.done & ~self._sure).nonzero().squeeze(1)
        if rows.shape[0] == 0:
            return
        z = logits(clean_logits(self._judge, self.nearest.x[rows]), n=rows.shape[0])
        self.survivors.spend(forward=1, images=rows.shape[0])
        self._sure[rows] = self.nearest.recheck(rows, z)

    def _step(self, model: Model, at: Tensor, t: Tensor) -> Tensor:
        rows = self.survivors.rows
        clean, own = pick(rows, self._x, self._own)
        gain = _gain(own, t)
        gradient, z = input_gradient(model, at, gain)
        moved = _toward_boundary(at, clean, gradient, gain(z), norm=self._attack.norm)
        fooled = self._visit(model, moved)
        self.survivors.spend(forward=1, backward=1)
        return torch.where(fooled.view(-1, 1, 1, 1), clean + _BACK * (moved - clean), moved)

    def _halve(self, model: Model, low: Tensor) -> Tensor:
        """Try the middle between what was found and the nearest point known not to fool."""
        rows = self.survivors.rows
        middle = (low[rows] + self.nearest.x[rows]) / 2
        fooled = self._visit(model, middle).view(-1, 1, 1, 1)
        return self.survivors.put(low.clone(), torch.where(fooled, low[rows], middle))

    def _visit(self, model: Model, at: Tensor) -> Tensor:
        with torch.no_grad():
            z = logits(model(at), n=at.shape[0], values=False)
        self.survivors.spend(forward=1)
        rows = self.survivors.rows
        return self.nearest.visit(at, z, rows, settled=self._sure[rows] if self._doubts else None)


def _gain(own: Tensor, t: Tensor) -> LossOfLogits:
    """Make z_t - z_own: negative on the side of the own class, zero on the boundary."""

    def gain(z: Tensor) -> Tensor:
        z = widen(z)
        return (z.gather(1, t.unsqueeze(1)) - z.gather(1, own.unsqueeze(1))).squeeze(1)

    return gain


def _toward_boundary(
    at: Tensor, clean: Tensor, gradient: Tensor, gain: Tensor, *, norm: Norm
) -> Tensor:
    """Step onto the linearised boundary, leaning towards the clean image, and a little across."""
    gradient = torch.nan_to_num(gradient)
    offset = (gradient * (at - clean)).flatten(1).sum(dim=1)
    from_at = reach_hyperplane(at, gradient, -gain, norm=norm)
    from_clean = reach_hyperplane(clean, gradient, offset - gain, norm=norm)
    origin = torch.zeros_like(at)
    near, far = (distance(d, origin, norm=norm).clamp_min(1e-8) for d in (from_at, from_clean))
    lean = (near / (near + far)).clamp_max(_LEAN).view(-1, 1, 1, 1)
    own_way, clean_way = at + _OVERSHOOT * from_at, clean + _OVERSHOOT * from_clean
    return ((1 - lean) * own_way + lean * clean_way).clamp_(0.0, 1.0)

r"""FMN, the fast minimum-norm attack (Pintor et al. 2021): balls that breathe at the boundary.

Each image walks along the gradient of the margin within a ball of its own, which shrinks while the
model is fooled and grows while it is not. Not here: l0, l1, and starts inside another class.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import torch
from torch import Tensor

from vicinal._checks import count, images, labels, logits, number
from vicinal._typing import Model, Norm, Passes
from vicinal.attacks.nearest import Nearest, check_radius
from vicinal.attacks.result import Result
from vicinal.attacks.search import checked
from vicinal.attacks.survivors import Survivors, pick
from vicinal.gradients import clean_logits, detached, frozen, input_gradient, undisturbed
from vicinal.inputs.pgd import climb
from vicinal.maths.balls import distance, steepest
from vicinal.maths.simplex import true_class

__all__ = ["FMN"]


@dataclass(frozen=True, kw_only=True)
class FMN:
    r"""Find the smallest perturbation that fools the model; the median of `norms` is its distance.

    With :math:`m` the margin, positive where fooled, and :math:`q` the dual norm, the radius of an
    image becomes

    .. math:: \epsilon \leftarrow \begin{cases}
          \min((1 - \gamma)\, \epsilon,\, \epsilon_{best}) & \text{fooled now} \\
          (1 + \gamma)\, \epsilon & \text{fooled before} \\
          (1 + \gamma) \max(\epsilon,\, \|\delta\|_p + |m| / \|\nabla m\|_q)
            & \text{never fooled}
        \end{cases}

    and then :math:`\delta \leftarrow \Pi_\epsilon(\delta + \alpha \nabla m / \|\nabla m\|_2)`, cut
    to the pixel range. Alpha and gamma fall along half a cosine.

    Args:
        eps: Radius within which fooling the model counts; infinity for the smallest perturbation,
            whatever its size.
        norm: "linf" or "l2".
        steps: How many.
        first_step: The first alpha, in pixel units.
        last_step: The alpha that the last one falls towards.
        gamma: The first rate at which the ball breathes, below 1.
        last_gamma: The rate that the last one falls towards.
        compact_every: Images fooled within eps leave the batch every so many steps, without a
            radius only those wrong from the start; None for never.

    Example:
        >>> _ = torch.manual_seed(0)
        >>> model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 3))
        >>> x = torch.rand(6, 1, 4, 4)
        >>> result = FMN(norm="l2", steps=50)(model, x, model(x).argmax(dim=1))
        >>> bool(result.success.all()), bool(result.norms.median() < 0.5)
        (True, True)

    Differs from the paper: in the last row 1 + gamma and the maximum, without which an image can
    come to rest unfooled, on the boundary itself or where pixels stop at the range; the iterate
    after the last step is judged too; a failed image comes back where its margin was greatest.
    Cost: `steps` + 2 forward and `steps` backward passes.
    """

    eps: float = math.inf
    norm: Norm = "linf"
    steps: int = 100
    first_step: float = 1.0
    last_step: float = 0.01
    gamma: float = 0.05
    last_gamma: float = 0.001
    compact_every: int | None = 10

    def __post_init__(self) -> None:
        check_radius(self.eps, self.norm, unbounded=True)
        count("steps", self.steps)
        for name in ("first_step", "last_step"):
            number(name, getattr(self, name), low=0.0, open_low=True, open_high=True)
        for name in ("gamma", "last_gamma"):
            number(name, getattr(self, name), low=0.0, high=1.0, open_low=True, open_high=True)
        if self.compact_every is not None:
            count("compact_every", self.compact_every)

    def __call__(
        self, model: Model, x: Tensor, y: Tensor, *, rng: torch.Generator | None = None
    ) -> Result:
        """Attack one batch.

        Args:
            model: The model; left as it was.
            x: Images, shape (N, C, H, W), in [0, 1]; not modified.
            y: Classes (N,) or distributions (N, K).
            rng: Not used: nothing is drawn.

        Returns:
            The result.
        """
        del rng
        began = time.perf_counter()
        images(x)
        labels(y, n=x.shape[0])
        x, own = detached(x), true_class(detached(y))
        with frozen(model), undisturbed(x):
            walk = _Walk(self, x, own)
            walk.run(model)
            walk.nearest.check_seen()
            adv = walk.nearest.within()
            z = checked(clean_logits(model, adv), y)
        spent = walk.survivors.spent
        return Result(
            adv=adv,
            success=z.argmax(dim=1) != own,
            norms=distance(adv, x, norm=self.norm),
            passes=Passes(self.steps + 2, self.steps),
            seconds=time.perf_counter() - began,
            clean_correct=~walk.wrong,
            spent=Passes(spent.forward + x.shape[0], spent.backward),
        )


class _Walk:
    """One call of the attack: where every image is, and the radius of its ball."""

    def __init__(self, attack: FMN, x: Tensor, own: Tensor) -> None:
        self._attack, self._clean, self._own = attack, x, own
        self._at, self._radius = x, torch.zeros_like(x[:, 0, 0, 0])
        self.survivors = Survivors(x.shape[0], device=x.device, every=attack.compact_every)
        self.nearest = Nearest(x, own, eps=attack.eps, norm=attack.norm)
        self.wrong = torch.zeros_like(own, dtype=torch.bool)

    def run(self, model: Model) -> None:
        """Walk, and look at where the last step ends."""
        for step in range(self._attack.steps):
            if step and self.survivors.due(step):
                self._leave()
            if len(self.survivors) == 0:
                return
            self._step(model, step)
        with torch.no_grad():
            z = logits(model(self._at), n=self._at.shape[0], values=False)
        self.survivors.spend(forward=1)
        self.nearest.visit(self._at, z, self.survivors.rows)

    def _leave(self) -> None:
        stay = self.survivors.leave(self.nearest.done[self.survivors.rows])
        self._clean, self._own, self._at, self._radius = pick(
            stay, self._clean, self._own, self._at, self._radius
        )

    def _step(self, model: Model, step: int) -> None:
        attack, rows, first = self._attack, self.survivors.rows, step == 0
        height = climb("margin", self._own, None, values=first)
        gradient, z = input_gradient(model, self._at, height)
        logits(z, n=len(rows), values=first)
        self.survivors.spend(forward=1, backward=1)
        before = self.nearest.found[rows]
        fooled = self.nearest.visit(self._at, z, rows)
        if first:
            self.wrong = fooled
        fall = (1 + math.cos(math.pi * step / attack.steps)) / 2
        rate = attack.last_gamma + (attack.gamma - attack.last_gamma) * fall
        stride = attack.last_step + (attack.first_step - attack.last_step) * fall
        gradient = torch.nan_to_num(gradient)
        self._breathe(fooled, before, height(z), gradient, rate)
        self._at = self._onto(self._at + stride * steepest(gradient, norm="l2"))

    def _breathe(
        self, fooled: Tensor, before: Tensor, height: Tensor, gradient: Tensor, rate: float
    ) -> None:
        dual = gradient.flatten(1).norm(p=1 if self._attack.norm == "linf" else 2, dim=1)
        size = distance(self._at, self._clean, norm=self._attack.norm)
        far = size + (height.abs() / dual.clamp_min(1e-12)).to(size.dtype)
        # deviates: never smaller, and (1 + gamma) times as far — where pixels stop at the range,
        # or on the boundary itself, an image would come to rest unfooled.
        far = (1 + rate) * torch.maximum(far, self._radius)
        inward = torch.minimum(self._radius * (1 - rate), self.nearest.norms[self.survivors.rows])
        outward = torch.where(before, self._radius * (1 + rate), far)
        edge = torch.maximum(self._clean, 1 - self._clean)
        farthest = distance(edge, torch.zeros_like(edge), norm=self._attack.norm)
        radius = torch.where(fooled, inward, outward).nan_to_num(nan=0.0)
        self._radius = torch.minimum(radius, farthest)

    def _onto(self, at: Tensor) -> Tensor:
        """Bring every image into its own ball, then into the pixel range."""
        delta, radius = at - self._clean, self._radius.view(-1, 1, 1, 1)
        if self._attack.norm == "linf":
            delta = torch.clamp(delta, -radius, radius)
        else:
            size = delta.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
            tiny = torch.finfo(size.dtype).tiny
            delta = delta * (radius / size.clamp_min(tiny)).clamp_max(1.0)
        return (self._clean + delta).clamp_(0.0, 1.0)

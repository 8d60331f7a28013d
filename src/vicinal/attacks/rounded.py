"""Any attack, judged on what is left of it when its images are saved with 8 bits.

A perturbation that only floating-point numbers can hold is no picture. PGD and MI-FGSM round while
they search (`rounded=True`); here what another attack found is rounded afterwards.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from vicinal._checks import choice
from vicinal._typing import Attack, Model, Norm, Passes
from vicinal.attacks.result import Result
from vicinal.attacks.search import checked
from vicinal.gradients import clean_logits, detached, undisturbed
from vicinal.maths.balls import distance, to_levels
from vicinal.maths.simplex import true_class

__all__ = ["Rounded"]


@dataclass(frozen=True, kw_only=True)
class Rounded:
    """Run an attack, round every pixel to one of 256 levels, and judge the images again.

    Every image stays in the attack's own ball: where the nearest level lies outside, a pixel takes
    the nearest one within (linf), or the image is rounded towards the clean one (l2). Who was
    fooled by the unrounded image alone is not searched on. Where the attack is made of several,
    `broken_by` names who broke an image that is broken still, or "rounding" alone.

    Args:
        attack: The attack.
        norm: The norm in which the attack measures, "linf" or "l2"; None for its own `norm`.

    Example:
        >>> from vicinal.attacks.fgsm import FGSM
        >>> _ = torch.manual_seed(0)
        >>> model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 3))
        >>> x, y = torch.rand(4, 1, 4, 4), torch.tensor([0, 1, 2, 0])
        >>> result = Rounded(attack=FGSM(eps=4 / 255))(model, x, y)
        >>> bool((result.adv * 255 - (result.adv * 255).round()).abs().max() < 1e-4)
        True

    Cost: the attack's passes, and one forward pass for the verdict.
    """

    attack: Attack
    norm: Norm | None = None

    def __post_init__(self) -> None:
        if self.norm is not None:
            choice("norm", self.norm, ("linf", "l2"))

    def __call__(
        self, model: Model, x: Tensor, y: Tensor, *, rng: torch.Generator | None = None
    ) -> Result:
        """Attack one batch.

        Args:
            model: The model; left as it was.
            x: Images, shape (N, C, H, W), in [0, 1]; not modified.
            y: Classes (N,) or distributions (N, K).
            rng: Where the attack's draws come from.

        Returns:
            The result, judged on the rounded images.
        """
        began = time.perf_counter()
        found = self.attack(model, x, y, rng=rng)
        eps, norm = self._ball()
        with undisturbed(x):
            adv = to_levels(found.adv, detached(x), eps=eps, norm=norm)
            said = checked(clean_logits(model, adv), detached(y)).argmax(dim=1)
        wrong = said != true_class(detached(y))
        target, spent = getattr(found, "target", None), getattr(found, "spent", None)
        result = Result(
            adv=adv,
            success=wrong,
            norms=distance(adv, detached(x), norm=self._measure()),
            passes=Passes(found.passes.forward + 1, found.passes.backward),
            seconds=time.perf_counter() - began,
            target=target,
            target_hit=None if target is None else said == target,
            clean_correct=getattr(found, "clean_correct", None),
            broken_by=_broken_by(getattr(found, "broken_by", None), wrong),
        )
        if spent is None:
            return result
        return replace(result, spent=Passes(spent.forward + x.shape[0], spent.backward))

    def _measure(self) -> Norm:
        """Say in which norm the attack measures; those without a field of it measure in linf."""
        return self.norm if self.norm is not None else self._ball()[1]

    def _ball(self) -> tuple[float | Tensor, Norm]:
        """Give the radius of the attack's own ball, infinity for none, and its norm."""
        eps, norm = _found(self.attack, "eps"), _found(self.attack, "norm")
        return math.inf if eps is None else eps, norm or self.norm or "linf"


def _broken_by(
    names: tuple[str | None, ...] | None, wrong: Tensor
) -> tuple[str | None, ...] | None:
    """Keep the names of those that broke an image where it is still broken."""
    if names is None:
        return None
    pairs = zip(names, wrong.tolist(), strict=True)
    return tuple((name or "rounding") if still else None for name, still in pairs)


def _found(attack: Any, name: str) -> Any:  # ruff: ignore[any-type] — a field of any attack
    """Read a field of an attack, or else of the attack within."""
    found = getattr(attack, name, None)
    while found is None and hasattr(attack, "attack"):
        attack = attack.attack
        found = getattr(attack, name, None)
    return found

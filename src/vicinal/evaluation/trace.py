"""PGD that notes after every step whom it has broken, and how high: a curve from one search."""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch
from torch import Tensor

from vicinal._checks import InputError, labels
from vicinal._typing import Model, Passes
from vicinal.attacks import PGD, Result
from vicinal.gradients import clean_logits, detached
from vicinal.inputs.pgd import climb, pgd
from vicinal.maths.balls import distance
from vicinal.maths.simplex import true_class

__all__ = ["Trace", "Traced"]


@dataclass(frozen=True, kw_only=True)
class Traced(Result):
    """A result with a verdict for every stage of the attack.

    Args:
        trail: Whether the model withstood each stage, shape (N, S), bool, on the CPU.
        heights: The loss that is climbed at each stage, shape (N, S), on the CPU; None where no
            one search was followed.
    """

    trail: Tensor
    heights: Tensor | None = None


class Trace:
    """An attack that searches as a `PGD` does, and keeps a verdict for every step.

    Args:
        attack: The search: no restarts, no target, no levers, one draw of the model.

    Raises:
        InputError: If the search is another one.

    Example:
        >>> model, x = torch.nn.Flatten(), torch.tensor([0.75, 0.5]).view(1, 2, 1, 1)
        >>> trace = Trace(PGD(eps=0.3, step_size=0.05, steps=4, random_start=False))
        >>> trace(model, x, torch.tensor([0])).trail[0].tolist()
        [True, True, True, False, False]

    Cost: steps + 1 forward and steps backward passes, as the attack's own.
    """

    def __init__(self, attack: PGD) -> None:
        plain = PGD(
            eps=attack.eps,
            step_size=attack.step_size,
            steps=attack.steps,
            random_start=attack.random_start,
            norm=attack.norm,
            loss=attack.loss,
        )
        # An image that leaves, and which iterate is judged, change nothing of a trace.
        same = ("restarts", "target", "precision", "channels_last", "folded", "rounded", "eot")
        off = [name for name in same if getattr(attack, name) != getattr(plain, name)]
        if off:
            raise InputError(
                f"a curve over steps must be of a plain search; got {off[0]} = "
                f"{getattr(attack, off[0])!r}."
            )
        self._attack, self.eps, self.norm = plain, plain.eps, plain.norm

    def __call__(
        self, model: Model, x: Tensor, y: Tensor, *, rng: torch.Generator | None = None
    ) -> Traced:
        """Attack one batch; the last iterate is judged.

        Args:
            model: The model; left as it was.
            x: Images, shape (N, C, H, W), in [0, 1]; not modified.
            y: Classes (N,) or distributions (N, K).
            rng: Where the start comes from; torch's global generator when not given.

        Returns:
            The result, of the last iterate; its stages are the start and each step.
        """
        began, plain = time.perf_counter(), self._attack
        own, seen, heights = true_class(detached(y)), list[Tensor](), list[Tensor]()
        height = climb(plain.loss, y, None, values=False)

        def visit(at: Tensor, z: Tensor) -> None:
            seen.append((z.argmax(dim=1) == own) | z.isnan().any(dim=1))
            heights.append(height(z.detach()))

        adv = pgd(
            model,
            detached(x),
            climb(plain.loss, y, None, values=True),
            eps=plain.eps,
            step_size=plain.step_size,
            steps=plain.steps,
            norm=plain.norm,
            random_start=plain.random_start,
            rng=rng,
            visit=visit,
        )
        z = clean_logits(model, adv)
        labels(y, n=z.shape[0], num_classes=z.shape[1])
        visit(adv, z)
        return Traced(
            adv=adv,
            success=~seen[-1],
            norms=distance(adv, detached(x), norm=plain.norm),
            passes=Passes(plain.steps + 1, plain.steps),
            seconds=time.perf_counter() - began,
            trail=torch.stack(seen, dim=1).cpu(),
            heights=torch.stack(heights, dim=1).cpu(),
        )

"""The black-box attack of the papers: examples made on one model, judged on another."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import torch
from torch import Tensor

from vicinal._checks import labels, logits
from vicinal._typing import Attack, Model, Passes
from vicinal.attacks.result import Result
from vicinal.gradients import clean_logits, undisturbed
from vicinal.maths.simplex import true_class

__all__ = ["Transfer"]


@dataclass(frozen=True, kw_only=True)
class Transfer:
    """Attack a source model, hand what was found to the victim.

    Examples on which the attack failed at the source are handed over too: leaving them out would
    make the victim look weaker or stronger than it is.

    Args:
        source: The model whose gradients are used; left as it was.
        attack: The attack run on it.

    Example:
        >>> from vicinal.attacks.fgsm import FGSM
        >>> _ = torch.manual_seed(0)
        >>> source = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 3))
        >>> victim = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 3))
        >>> transfer = Transfer(source=source, attack=FGSM(eps=0.1))
        >>> transfer(victim, torch.rand(4, 1, 4, 4), torch.tensor([0, 1, 2, 0])).success.shape
        torch.Size([4])

    Cost: the attack's passes on the source, one forward pass on the victim; `passes` and
    `spent` count both.
    """

    source: Model = field(repr=False)
    attack: Attack

    def __call__(
        self, model: Model, x: Tensor, y: Tensor, *, rng: torch.Generator | None = None
    ) -> Result:
        """Attack one batch.

        Args:
            model: The victim; left as it was.
            x: Images, shape (N, C, H, W), in [0, 1]; not modified.
            y: Classes (N,) or distributions (N, K).
            rng: Where the attack's draws come from.

        Returns:
            The result, judged on the victim.
        """
        began = time.perf_counter()
        crafted = self.attack(self.source, x, y, rng=rng)
        with undisturbed(x):
            z = logits(clean_logits(model, crafted.adv), n=x.shape[0])
        labels(y, n=x.shape[0], num_classes=z.shape[1])
        spent = getattr(crafted, "spent", None)
        return Result(
            adv=crafted.adv,
            success=z.argmax(dim=1) != true_class(y),
            norms=crafted.norms,
            passes=Passes(crafted.passes.forward + 1, crafted.passes.backward),
            seconds=time.perf_counter() - began,
            spent=None if spent is None else Passes(spent.forward + x.shape[0], spent.backward),
        )

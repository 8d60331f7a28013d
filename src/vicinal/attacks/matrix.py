"""Transfer as a table: examples made on every source, judged on every victim."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from vicinal._checks import InputError, images, labels
from vicinal._typing import Attack, Model
from vicinal.attacks.search import checked
from vicinal.gradients import clean_logits, undisturbed
from vicinal.maths.simplex import true_class

__all__ = ["TransferMatrix", "transfer_matrix"]


@dataclass(frozen=True, kw_only=True)
class TransferMatrix:
    """What became of every image, source by source and victim by victim.

    Every image is handed over, those too on which the attack failed at its source; how many these
    are is told by `failed`.

    Args:
        sources: Names of the models whose gradients were used, S of them.
        victims: Names of the models that judge, V of them.
        correct: Whether a victim is right on a source's examples, shape (S, V, N), bool.
        failed: On how many images the attack failed at its own source, shape (S,).
        clean: Whether a victim is right on the clean images, shape (V, N), bool.
    """

    sources: tuple[str, ...]
    victims: tuple[str, ...]
    correct: Tensor
    failed: Tensor
    clean: Tensor

    @property
    def accuracy(self) -> Tensor:
        """The share of images that each victim gets right, shape (S, V)."""
        return self.correct.double().mean(dim=2)

    def __str__(self) -> str:
        """Write accuracies in percent as a table, a source to a row."""
        wide = max(len(name) for name in (*self.sources, "source"))
        names = [f"{name:>{max(8, len(name))}}" for name in self.victims]
        rows = [f"{'source':<{wide}} {' '.join(names)} {'failed there':>14}"]
        table = [("(clean)", self.clean.double().mean(dim=1), "")]
        for name, shares, failed in zip(self.sources, self.accuracy, self.failed, strict=True):
            table.append((name, shares, f"{int(failed)} of {self.correct.shape[2]}"))
        for name, shares, note in table:
            cells = [
                f"{100 * float(share):>{len(column)}.2f}"
                for share, column in zip(shares, names, strict=True)
            ]
            rows.append(f"{name:<{wide}} {' '.join(cells)} {note:>14}".rstrip())
        return "\n".join(rows)


def transfer_matrix(
    attack: Attack,
    x: Tensor,
    y: Tensor,
    *,
    sources: Mapping[str, Model],
    victims: Mapping[str, Model],
    rng: torch.Generator | None = None,
) -> TransferMatrix:
    """Attack every source once, and judge every victim on what was found.

    Where a model is source and victim, its own column is the white-box attack.

    Args:
        attack: The attack run on each source.
        x: Images, shape (N, C, H, W), in [0, 1]; not modified.
        y: Classes (N,) or distributions (N, K).
        sources: Models by name; left as they were.
        victims: Models by name; left as they were.
        rng: Where the attack's draws come from, source after source.

    Returns:
        The table.

    Raises:
        InputError: If there is no source or no victim, or images and labels are off.

    Example:
        >>> from vicinal.attacks.fgsm import FGSM
        >>> _ = torch.manual_seed(0)
        >>> def net():
        ...     return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 3))
        >>> x, y = torch.rand(4, 1, 4, 4), torch.tensor([0, 1, 2, 0])
        >>> nets = {"one": net(), "other": net()}
        >>> transfer_matrix(FGSM(eps=0.1), x, y, sources=nets, victims=nets).accuracy.shape
        torch.Size([2, 2])

    Cost: the attack's passes on every source, and (S + 1) V forward passes.
    """
    for name, models in (("sources", sources), ("victims", victims)):
        if not isinstance(models, Mapping):
            raise InputError(
                f"`{name}` must be models by name, such as {{'erm': net}}; "
                f"got {type(models).__name__}."
            )
        if not models:
            raise InputError(f"`{name}` must hold at least one model by name; got none.")
    labels(y, n=images(x).shape[0])
    own = true_class(y)

    def right(model: Model, at: Tensor) -> Tensor:
        with undisturbed(at):
            return checked(clean_logits(model, at), y).argmax(dim=1) == own

    found = [attack(source, x, y, rng=rng) for source in sources.values()]
    return TransferMatrix(
        sources=tuple(sources),
        victims=tuple(victims),
        correct=torch.stack([
            torch.stack([right(model, one.adv) for model in victims.values()]) for one in found
        ]),
        failed=torch.stack([(~one.success).sum() for one in found]),
        clean=torch.stack([right(model, x) for model in victims.values()]),
    )

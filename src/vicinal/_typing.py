"""The contracts that rooms share: what a model, an objective, an attack and a data set are.

Axis letters, the same in every file: N images, C channels, H rows, W columns, K classes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Literal, NamedTuple, Protocol, TypeAlias, runtime_checkable

import torch
from torch import Tensor, nn

__all__ = [
    "Attack",
    "AttackResult",
    "Batch",
    "BatchNormMode",
    "Batches",
    "Corruption",
    "LossOfLogits",
    "Model",
    "Norm",
    "Objective",
    "Passes",
]

Model: TypeAlias = nn.Module
"""Pixels (N, C, H, W) in [0, 1] go in, logits (N, K) come out; normalisation is inside."""

Batch: TypeAlias = tuple[Tensor, Tensor]
"""Images (N, C, H, W) in [0, 1] and labels: classes (N,) int64, or distributions (N, K)."""

Batches: TypeAlias = Iterable[Batch]

LossOfLogits: TypeAlias = Callable[[Tensor], Tensor]
"""Logits (N, K) to one loss per example (N,): what an input move climbs."""

Norm: TypeAlias = Literal["linf", "l2"]

BatchNormMode: TypeAlias = Literal["eval", "train_frozen_stats", "train"]


class Passes(NamedTuple):
    """Model passes over N samples: what a training step, or an attack, costs."""

    forward: int
    backward: int

    def __str__(self) -> str:
        """Write the count the way the papers' table does, 2+2."""
        return f"{self.forward}+{self.backward}"


@runtime_checkable
class Objective(Protocol):
    """A training loss: draw a neighbour of the batch, pay a loss."""

    @property
    def passes(self) -> Passes:
        """Model passes of one training step, the update's backward included."""
        ...

    def __call__(
        self, model: Model, x: Tensor, y: Tensor, *, rng: torch.Generator | None = None
    ) -> Tensor:
        """Return the scalar loss of the batch, with the graph that `backward` needs."""
        ...


@runtime_checkable
class Attack(Protocol):
    """A search for misclassified neighbours; the result has `adv`, `success`, `norms`, `passes`."""

    def __call__(
        self, model: Model, x: Tensor, y: Tensor, *, rng: torch.Generator | None = None
    ) -> AttackResult:
        """Attack one batch."""
        ...


class AttackResult(Protocol):
    """What every attack returns, ours or a foreign one behind an adapter."""

    @property
    def adv(self) -> Tensor:
        """Adversarial images (N, C, H, W)."""
        ...

    @property
    def success(self) -> Tensor:
        """True where the model errs on `adv`, (N,)."""
        ...

    @property
    def norms(self) -> Tensor:
        """Size of each perturbation in the attack's norm, (N,)."""
        ...

    @property
    def passes(self) -> Passes:
        """Model passes spent on the batch."""
        ...

    @property
    def seconds(self) -> float:
        """Wall time of the call."""
        ...


@runtime_checkable
class Corruption(Protocol):
    """What happens to pictures in the world: five severities, one key per image."""

    @property
    def name(self) -> str:
        """Its name, as in the published files where there are any."""
        ...

    def __call__(
        self,
        x: Tensor,
        *,
        severity: int,
        rng: torch.Generator | None = None,
        keys: Tensor | None = None,
    ) -> Tensor:
        """Return corrupted images (N, C, H, W) in [0, 1]."""
        ...

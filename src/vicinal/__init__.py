r"""Robust regularization of image classifiers: vicinal training, and the truth about the result.

Empirical risk puts a point mass on every training pair. Vicinal risk minimisation puts a
distribution around it, over inputs AND labels: draw a neighbour of (x, y), pay a loss. MixUp, label
smoothing and ALPS are choices of that distribution, and so is every method here.

    >>> import torch, vicinal
    >>> _ = torch.manual_seed(0)
    >>> model = vicinal.models.digits_net(num_classes=10)
    >>> x, y = torch.rand(8, 1, 8, 8), torch.arange(8)
    >>> objective = vicinal.objectives.ALPS(eps=0.2, mode=0.9)
    >>> objective(model, x, y).backward()
    >>> attack = vicinal.attacks.PGD(eps=0.1, step_size=0.025, steps=10)
    >>> result = attack(model, x, y)
    >>> bool((result.norms <= 0.1 + 1e-6).all())
    True

Images are (N, C, H, W) in [0, 1], budgets are in the same unit, and models normalise inside. Rooms:
`objectives` (training losses), `inputs` and `labels` (the moves they are made of), `attacks`,
`corruptions`, `models`, `data`, `evaluation`, `recipes`. Papers' tables: `vicinal reproduce`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from vicinal._version import __version__

if TYPE_CHECKING:
    from vicinal import (
        attacks,
        campaigns,
        corruptions,
        data,
        engine,
        evaluation,
        inputs,
        labels,
        metrics,
        models,
        objectives,
        recipes,
        records,
        report,
    )
    from vicinal.evaluation.evaluate import evaluate
    from vicinal.recipes import load, train

__all__ = [
    # rooms
    "attacks",
    "campaigns",
    "corruptions",
    "data",
    "engine",
    "evaluation",
    "inputs",
    "labels",
    "metrics",
    "models",
    "objectives",
    "recipes",
    "records",
    "report",
    # three verbs
    "evaluate",
    "load",
    "train",
    # version
    "__version__",
]

_VERBS = {"evaluate": "vicinal.evaluation", "load": "vicinal.recipes", "train": "vicinal.recipes"}


def __getattr__(name: str) -> Any:  # ruff: ignore[any-type] — a room is a module, a verb a function
    """Import a room, or one of the three verbs, when it is first named."""
    if name in _VERBS:
        return getattr(importlib.import_module(_VERBS[name]), name)
    if name in __all__:
        return importlib.import_module(f"vicinal.{name}")
    raise AttributeError(f"module 'vicinal' has no attribute {name!r}")


def __dir__() -> list[str]:
    """List the rooms and the verbs, imported or not."""
    return sorted(__all__)

"""Which wrong class an attack aims at; the true class is never chosen."""

from __future__ import annotations

import torch
from torch import Tensor

from vicinal._checks import InputError, choice, labels, logits
from vicinal.maths.randomness import integers
from vicinal.maths.simplex import true_class

__all__ = ["TARGETS", "check_target", "choose_target"]

TARGETS: tuple[str, ...] = ("least_likely", "most_confusing", "random")
"""The rules by name; a tensor (N,) of classes, or None for no target, may stand in their place."""


def check_target(target: str | Tensor | None) -> None:
    """Check that a target is a known rule, a tensor of classes, or None.

    Args:
        target: The target.
    """
    if target is not None and not isinstance(target, Tensor):
        choice("target", target, TARGETS)


def choose_target(
    rule: str | Tensor, z: Tensor, y: Tensor, *, rng: torch.Generator | None = None
) -> Tensor:
    """Choose a wrong class for every image.

    Args:
        rule: "least_likely" or "most_confusing" among the wrong classes of z, "random" among them
            uniformly, or the targets themselves, classes (N,).
        z: Logits of the clean images, shape (N, K).
        y: Classes (N,) or distributions (N, K), whose class is that of largest weight.
        rng: Where random targets come from; torch's global generator when not given.

    Returns:
        Classes, shape (N,), int64.

    Raises:
        InputError: If labels and logits do not fit together, or a given target is not of shape
            (N,), out of range, or the true class.

    Example:
        >>> z = torch.tensor([[2.0, 1.0, 0.0]])
        >>> choose_target("least_likely", z, torch.tensor([0])).item()
        2
    """
    check_target(rule)
    logits(z, n=y.shape[0], values=False)
    labels(y, n=z.shape[0], num_classes=z.shape[1], values=y.device.type == "cpu")
    own = true_class(y)
    if isinstance(rule, Tensor):
        return _given(rule, z, own)
    if rule == "least_likely":
        return z.scatter(1, own.unsqueeze(1), torch.inf).argmin(dim=1)
    if rule == "most_confusing":
        return z.scatter(1, own.unsqueeze(1), -torch.inf).argmax(dim=1)
    step = 1 + integers(z.shape[0], high=z.shape[1] - 1, like=z, rng=rng)
    return (own + step) % z.shape[1]


def _given(target: Tensor, z: Tensor, own: Tensor) -> Tensor:
    labels(target, n=z.shape[0], num_classes=z.shape[1], name="target")
    if target.ndim != 1:
        raise InputError(f"`target` must be classes of shape (N,); got {tuple(target.shape)}.")
    target = target.to(z.device).long()
    if bool((target == own).any()):
        raise InputError(
            f"`target` must differ from the true class; got the true class for "
            f"{int((target == own).sum())} of {z.shape[0]} images."
        )
    return target

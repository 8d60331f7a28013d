r"""The label of targeted labeling adversarial training (Laugros et al. 2020, eq. 4-5).

A step towards a target class moves the image; the label follows it by as much weight as the step
is long. Not here: the step, which is the input move's, and the draw of class and length, which
image and label share and the objective therefore makes.
"""

from __future__ import annotations

import torch
from torch import Tensor

from vicinal._checks import InputError, distributions, labels, number

__all__ = ["toward"]


def toward(q: Tensor, t: Tensor, *, weight: float | Tensor) -> Tensor:
    r"""Move every label towards a target class.

    .. math:: \tilde q = (1 - w)\, q + w\, e_t            (M-TLAT, Algorithm 1; eq. 5 for q = e_y)

    Identity at weight 0, and for q = e_t.

    Args:
        q: Label distributions, shape (N, K), rows on the simplex (assumed, not checked).
        t: Target classes, shape (N,), integers in 0..K-1.
        weight: How far, in [0, 1]; a number, or one per example as a tensor (N,).

    Returns:
        Distributions, shape (N, K), same dtype and device; q is not modified.

    Raises:
        InputError: If the weight lies outside [0, 1], or q, t and the weight do not fit together.

    Example:
        >>> toward(torch.tensor([[1.0, 0.0, 0.0]]), torch.tensor([2]), weight=0.25)
        tensor([[0.7500, 0.0000, 0.2500]])

    Cost: no forward, no backward pass.
    """
    distributions(q)
    if isinstance(t, Tensor) and t.ndim != 1:
        raise InputError(f"`t` must be classes of shape (N,); got {tuple(t.shape)}.")
    labels(t, n=q.shape[0], num_classes=q.shape[1], name="t", values=_is_free_to_read(t))
    w = _weight(weight, q)
    goal = torch.zeros_like(q).scatter_(1, t.long().unsqueeze(1), 1.0)
    return (1 - w) * q + w * goal


def _weight(weight: float | Tensor, q: Tensor) -> float | Tensor:
    """Check a weight; one per example becomes a column in the dtype of q."""
    if not isinstance(weight, Tensor):
        return number("weight", weight, low=0.0, high=1.0)
    if weight.numel() not in {1, q.shape[0]} or weight.ndim > 1:
        raise InputError(
            f"`weight` must be a number or one per example, shape ({q.shape[0]},); "
            f"got shape {tuple(weight.shape)}."
        )
    if _is_free_to_read(weight):
        number("weight", float(weight.min()), low=0.0, high=1.0)
        number("weight", float(weight.max()), low=0.0, high=1.0)
    return weight.detach().to(q.dtype).view(-1, 1)


def _is_free_to_read(tensor: Tensor) -> bool:
    return isinstance(tensor, Tensor) and tensor.device.type == "cpu"

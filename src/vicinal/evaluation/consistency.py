"""Whether a model is the kind of function that attacks are written for.

The same images must get the same logits every time, in any company and whether or not a gradient is
asked for, logits must not be probabilities, there must be a gradient, and a forward pass must not
optimise anything itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from vicinal._checks import count, images, logits
from vicinal._typing import Batch, Batches, Model
from vicinal.evaluation.batches import on_device
from vicinal.evaluation.preflight import off_simplex, simplex_slack
from vicinal.gradients import clean_logits, detached, differentiable, frozen
from vicinal.maths.losses import widen

__all__ = ["Consistency", "consistency"]

_COMPUTING: set[Any] = {torch.autograd.grad, torch.autograd.backward, Tensor.backward}


@dataclass(frozen=True, kw_only=True)
class Consistency:
    """What a model does with the same images again.

    Args:
        n: Images.
        num_classes: K.
        passes: How often they were asked in the same batches.
        difference: The largest difference of normalised logits between those passes.
        changed: Images whose class was not the same every time.
        in_halves: The same difference between the first pass and one in half batches.
        with_gradient: The largest difference of the logits that are asked for with a gradient from
            those without, as a share of the mean length of the centred logits.
        off_simplex: How far the outputs are from probabilities, as `preflight.off_simplex` has it.
        gradients_inside: Whether a forward pass asks for gradients of its own.
        undifferentiable: Whether the logits have no gradient with respect to the images.
    """

    n: int
    num_classes: int
    passes: int
    difference: float
    changed: int
    in_halves: float
    with_gradient: float
    off_simplex: float
    gradients_inside: bool
    undifferentiable: bool

    @property
    def probabilities(self) -> bool:
        """Whether every row of outputs is on the simplex, to rounding."""
        return self.off_simplex < simplex_slack(self.n)


def consistency(model: Model, data: Batch | Batches, *, passes: int = 5) -> Consistency:
    """Ask a model several times, in eval mode.

    Args:
        model: The model; left as it was.
        data: Batches (x, y), or one pair.
        passes: How often the whole batches are asked, at least 2.

    Returns:
        What was found.

    Raises:
        InputError: If images or logits are not what they must be.

    Example:
        >>> x, y = torch.rand(4, 1, 2, 2), torch.zeros(4).long()
        >>> found = consistency(torch.nn.Flatten(), (x, y))
        >>> found.difference, found.changed, found.probabilities, found.undifferentiable
        (0.0, 0, False, False)

    Cost: `passes` + 2 forward passes; logits are normalised to unit length, as AutoAttack does.
    """
    parts = [_of_batch(model, x, count("passes", passes, low=2)) for x, _ in on_device(data, model)]
    return Consistency(
        n=sum(part.n for part in parts),
        num_classes=parts[0].num_classes,
        passes=passes,
        difference=max(part.difference for part in parts),
        changed=sum(part.changed for part in parts),
        in_halves=max(part.in_halves for part in parts),
        with_gradient=max(part.with_gradient for part in parts),
        off_simplex=max(part.off_simplex for part in parts),
        gradients_inside=any(part.gradients_inside for part in parts),
        undifferentiable=any(part.undifferentiable for part in parts),
    )


def _of_batch(model: Model, x: Tensor, passes: int) -> Consistency:
    images(x)
    watch = _Watch()
    with watch:
        first = _logits(model, x)
    again = [_logits(model, x) for _ in range(passes - 1)]
    halves = torch.cat([_logits(model, half) for half in torch.split(x, (len(x) + 1) // 2)])
    changed = torch.zeros(len(x), dtype=torch.bool, device=first.device)
    for z in again:
        changed |= z.argmax(dim=1) != first.argmax(dim=1)
    climbed = _with_gradient(model, x)
    return Consistency(
        n=len(x),
        num_classes=first.shape[1],
        passes=passes,
        difference=max(_difference(z, first) for z in again),
        changed=int(changed.sum()),
        in_halves=_difference(halves, first),
        with_gradient=_apart(climbed.detach(), first),
        off_simplex=off_simplex(first),
        gradients_inside=watch.seen,
        undifferentiable=not climbed.requires_grad,
    )


def _logits(model: Model, x: Tensor) -> Tensor:
    return widen(logits(clean_logits(model, x), n=x.shape[0]))


def _difference(z: Tensor, first: Tensor) -> float:
    """Compare logits at unit length: their scale says nothing."""
    rows = [each / each.norm(dim=1, keepdim=True).clamp_min(1e-10) for each in (z, first)]
    return float((rows[0] - rows[1]).abs().max())


def _with_gradient(model: Model, x: Tensor) -> Tensor:
    # With the weights frozen, only the images can ask for a gradient.
    with frozen(model), differentiable():
        z: Tensor = model(detached(x).requires_grad_(True))
        return widen(logits(z, n=x.shape[0], values=False))


def _apart(z: Tensor, first: Tensor) -> float:
    """Compare logits on the scale that tells classes apart; it is of all rows, as one may tie."""
    spread = (first - first.mean(dim=1, keepdim=True)).norm(dim=1).mean()
    scale = torch.maximum(spread, 1e-3 * first.abs().max()).clamp_min(1e-10)
    return float(((z - first).abs().max() / scale).nan_to_num(nan=torch.inf))


class _Watch(TorchFunctionMode):
    """Notes whether a forward pass asks for gradients of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = False

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:  # ruff: ignore[any-type] — what any function of torch returns
        del types
        self.seen |= func in _COMPUTING
        return func(*args, **(kwargs or {}))

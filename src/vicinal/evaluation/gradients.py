r"""What the gradients of a loss with respect to the images look like: BAT's table 2, and alarms.

An attack by gradients can do nothing where they are zero or no numbers, and little where the loss
jumps about. Squared l2 norms are told on the scale of BAT's table 2 (Wang and Zhang 2019), whose
pixels lie in [-1, 1]: there a gradient is half as long as in [0, 1], its square a quarter. Median
and mean of such norms can rank methods in opposite orders: neither is a score.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor

from vicinal._checks import choice, images, labels, logits
from vicinal._typing import Batch, Batches, Model, Norm
from vicinal.evaluation.batches import on_device
from vicinal.gradients import clean_logits, detached, differentiable, frozen, input_gradient
from vicinal.maths.balls import sample
from vicinal.maths.losses import LOSSES, cross_entropy, margin, widen
from vicinal.maths.simplex import true_class
from vicinal.records import Record

__all__ = ["BAT_SCALE", "InputGradients", "Spread", "input_gradients", "instability", "slopes"]

BAT_SCALE = "pixels scaled to [-1, 1]"
"""The scale of the squared norms, in the words of the papers' table."""

_BAT_FACTOR = 0.25


@dataclass(frozen=True, kw_only=True)
class Spread:
    """The least, the middle and the largest of some numbers; NaN where there is none.

    Args:
        n: How many.
        min: The least.
        median: The lower of the middle two where n is even.
        mean: Their mean.
        max: The largest.
    """

    n: int
    min: float
    median: float
    mean: float
    max: float


@dataclass(frozen=True, kw_only=True)
class InputGradients:
    """The gradients of one loss, image by image.

    Args:
        loss: Its name.
        squared: Squared l2 norms for pixels in [0, 1], shape (N,), float64, on the CPU; NaN where
            a gradient is none.
        zero: Whose gradient is exactly zero in every pixel, shape (N,), bool.
        not_finite: Whose gradient holds NaN or infinity, shape (N,), bool.
        correct: Whom the model gets right, shape (N,), bool.

    Example:
        >>> found = InputGradients(
        ...     loss="ce",
        ...     squared=torch.tensor([4.0, 0.0]).double(),
        ...     zero=torch.tensor([False, True]),
        ...     not_finite=torch.tensor([False, False]),
        ...     correct=torch.tensor([True, True]),
        ... )
        >>> found.zero_share, found.spread("correct").max
        (0.5, 1.0)
    """

    loss: str
    squared: Tensor = field(repr=False)
    zero: Tensor = field(repr=False)
    not_finite: Tensor = field(repr=False)
    correct: Tensor = field(repr=False)

    @property
    def zero_share(self) -> float:
        """The share of images without any gradient, in [0, 1]."""
        return float(self.zero.double().mean())

    @property
    def not_finite_share(self) -> float:
        """The share of images with NaN or infinity in their gradient, in [0, 1]."""
        return float(self.not_finite.double().mean())

    def spread(self, which: str = "all") -> Spread:
        """Tell the squared l2 norms as BAT's table 2 does, `BAT_SCALE`; finite ones only.

        Args:
            which: "all" images, or those that are "correct" or "wrong".

        Returns:
            Their spread.

        Raises:
            InputError: If there is no such group.
        """
        groups = {
            "all": torch.ones_like(self.correct),
            "correct": self.correct,
            "wrong": ~self.correct,
        }
        chosen = groups[choice("which", which, groups)] & ~self.not_finite
        values = _BAT_FACTOR * self.squared[chosen]
        if len(values) == 0:
            return Spread(n=0, min=torch.nan, median=torch.nan, mean=torch.nan, max=torch.nan)
        least, middle, mean, most = (
            float(v) for v in (values.min(), values.median(), values.mean(), values.max())
        )
        return Spread(n=len(values), min=least, median=middle, mean=mean, max=most)

    @property
    def record(self) -> Record:
        """All of it as data, JSON-able: shares in [0, 1], norms on the scale of BAT's table 2."""
        groups = ("all", "correct", "wrong")
        return {
            "kind": "input_gradients",
            "loss": self.loss,
            "n": len(self.zero),
            "zero_share": self.zero_share,
            "not_finite_share": self.not_finite_share,
            "scale": BAT_SCALE,
            "squared_l2_input_gradient": {name: vars(self.spread(name)) for name in groups},
        }


def input_gradients(
    model: Model, data: Batch | Batches, *, losses: Sequence[str] = ("ce", "margin")
) -> dict[str, InputGradients]:
    """Take the gradient of each loss at every clean image, in eval mode.

    Args:
        model: The model; left as it was.
        data: Batches (x, y), or one pair: images (N, C, H, W) in [0, 1] and classes (N,).
        losses: "ce", "margin" or "dlr".

    Returns:
        What was found, by loss.

    Raises:
        InputError: If data or logits are not what they must be, or the logits do not depend on the
            images through differentiable operations.

    Example:
        >>> model = torch.nn.Flatten()  # two pixels, two logits: the margin's gradient is (-1, 1)
        >>> x = torch.tensor([0.75, 0.5]).view(1, 2, 1, 1)
        >>> found = input_gradients(model, (x, torch.tensor([0])))["margin"]
        >>> found.squared.tolist(), found.spread().mean
        ([2.0], 0.5)

    Cost: one forward and one backward pass per loss.
    """
    for name in losses:
        choice("losses", name, LOSSES)
    parts: dict[str, list[InputGradients]] = {name: [] for name in losses}
    for x, y in on_device(data, model):
        images(x)
        labels(y, n=x.shape[0])
        for name in losses:
            parts[name].append(_of_batch(model, x, y, name))
    return {name: _joined(name, found) for name, found in parts.items()}


def _of_batch(model: Model, x: Tensor, y: Tensor, loss: str) -> InputGradients:
    with frozen(model), differentiable():
        x, y = detached(x), detached(y)
        gradient, z = input_gradient(model, x, _checked(partial(_loss, loss, y), y))
    flat = gradient.flatten(1)
    # In double precision: the square of a gradient of 1e-25 is no float32, and MPS has none wider.
    wide = flat.cpu().double()
    return InputGradients(
        loss=loss,
        squared=wide.square().sum(dim=1),
        zero=(flat == 0).all(dim=1).cpu(),
        not_finite=~torch.isfinite(flat).all(dim=1).cpu(),
        correct=(z.argmax(dim=1) == true_class(y)).cpu(),
    )


def _loss(name: str, y: Tensor, z: Tensor) -> Tensor:
    return LOSSES[name](z, y)


def _checked(loss: Callable[[Tensor], Tensor], y: Tensor) -> Callable[[Tensor], Tensor]:
    def checked(z: Tensor) -> Tensor:
        labels(y, n=z.shape[0], num_classes=logits(z, n=y.shape[0]).shape[1])
        return loss(z)

    return checked


def _joined(name: str, parts: Sequence[InputGradients]) -> InputGradients:
    fields = ("squared", "zero", "not_finite", "correct")
    joined: Mapping[str, Tensor] = {
        key: torch.cat([getattr(part, key) for part in parts]) for key in fields
    }
    return InputGradients(loss=name, **joined)


def instability(
    model: Model,
    data: Batch | Batches,
    *,
    eps: float,
    norm: Norm = "linf",
    rng: torch.Generator | None = None,
) -> dict[str, Tensor]:
    r"""Tell how much a loss changes under noise far smaller than an attack, relative to itself.

    .. math:: |\ell(x + \delta) - \ell(x)| / |\ell(x)|, \qquad \delta \sim U(B_p(0, \epsilon))

    for the cross-entropy and for the margin. The cross-entropy of a sure model is next to nothing,
    and anything is much of that: the margin says more.

    Args:
        model: The model; left as it was.
        data: Batches (x, y), or one pair.
        eps: Radius of the noise in pixel units.
        norm: "linf" or "l2".
        rng: Where the noise comes from; torch's global generator when not given.

    Returns:
        "ce" and "margin", each of shape (N,), float64, on the CPU; 0 where nothing changes.

    Example:
        >>> model, x = torch.nn.Flatten(), torch.tensor([0.75, 0.5]).view(1, 2, 1, 1)
        >>> found = instability(model, (x, torch.tensor([0])), eps=0.01)
        >>> bool(found["margin"] <= 0.08 + 1e-6)  # the margin is 0.25, and changes by 0.02 at most
        True

    Cost: two forward passes.
    """
    parts: dict[str, list[Tensor]] = {"ce": [], "margin": []}
    for x, y in on_device(data, model):
        images(x)
        noisy = sample(x, eps=eps, norm=norm, rng=rng).clamp_(0.0, 1.0)
        z = [logits(clean_logits(model, at), n=x.shape[0]) for at in (x, noisy)]
        for name, loss in (("ce", cross_entropy), ("margin", margin)):
            before, after = (loss(each, y).cpu().double() for each in z)
            change = (after - before).abs()
            tiny = torch.finfo(torch.float32).tiny
            parts[name].append(change / before.abs().clamp_min(tiny))
    return {name: torch.cat(found) for name, found in parts.items()}


_TINY = 1e-4
"""Of the longest way across an image, how far a difference reaches: part of a grey level."""

_ROUNDED = 32
"""A rise that is less than so many roundings of the logits is not measured."""


def slopes(
    model: Model,
    data: Batch | Batches,
    *,
    eps: float,
    norm: Norm = "linf",
    rng: torch.Generator | None = None,
) -> Tensor:
    r"""Tell which part of the rise that a gradient promises there is.

    .. math:: \frac{f(x^+) - f(x^-)}{g^\top (x^+ - x^-)}, \qquad
              x^\pm = \Pi_{[0, 1]}(x' \pm h\, g / |g|), \quad g = \nabla f(x')

    for f, the logit of the class less the mean of all logits, which no single other class can hide,
    at a random point x' of the ball, where attacks climb. It is 1 where the backward pass is the
    derivative of the forward one, 0 where it leads nowhere, negative where it leads back.

    Args:
        model: The model; left as it was.
        data: Batches (x, y), or one pair.
        eps: Radius of the ball in pixel units.
        norm: "linf" or "l2".
        rng: Where the points come from; torch's global generator when not given.

    Returns:
        Shape (N,), float64, on the CPU; NaN where the rise is lost in the logits' rounding.

    Example:
        >>> model, x = torch.nn.Flatten(), torch.tensor([0.75, 0.5]).view(1, 2, 1, 1)
        >>> slopes(model, (x, torch.tensor([0])), eps=0.01).round(decimals=2)
        tensor([1.], dtype=torch.float64)

    Cost: three forward passes and one backward pass.
    """
    found = []
    for x, y in on_device(data, model):
        images(x)
        point = sample(x, eps=eps, norm=norm, rng=rng).clamp_(0.0, 1.0)
        found.append(_slopes(model, point, y))
    return torch.cat(found)


def _slopes(model: Model, x: Tensor, y: Tensor) -> Tensor:
    height = partial(_own, y=true_class(y))
    with frozen(model), differentiable():
        gradient, z = input_gradient(model, detached(x), _checked(height, y))
    flat = gradient.flatten(1)
    reach = _TINY * flat.shape[1] ** 0.5 / flat.norm(dim=1).clamp_min(torch.finfo(flat.dtype).tiny)
    step = gradient * reach.view(-1, 1, 1, 1)
    ends = [(x + way * step).clamp(0.0, 1.0) for way in (1, -1)]
    high, low = (height(clean_logits(model, at)).cpu().double() for at in ends)
    promised = (gradient * (ends[0] - ends[1])).flatten(1).cpu().double().sum(dim=1)
    rounding = torch.finfo(z.dtype).eps * z.abs().amax(dim=1).cpu().double()
    return torch.where(promised > _ROUNDED * rounding, (high - low) / promised, torch.nan)


def _own(z: Tensor, y: Tensor) -> Tensor:
    """Give the logit of each image's class, less the mean of all its logits."""
    z = widen(z)
    return z.gather(1, y.unsqueeze(1)).squeeze(1) - z.mean(dim=1)

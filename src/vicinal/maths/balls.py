r"""Balls around images: project onto them, draw from them, measure distances, step in them.

A linf radius may differ from channel to channel: eps is then a tensor (C,). Every projection also
clips to the pixel range [0, 1], and a radius of infinity leaves that range alone as the constraint.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from vicinal._checks import InputError
from vicinal._typing import Norm
from vicinal.maths.randomness import normal, uniform

__all__ = ["distance", "per_channel", "project", "sample", "steepest", "surface", "to_levels"]


def per_channel(value: float | Tensor, x: Tensor) -> float | Tensor:
    """Shape a budget or a step so that it meets images of (N, C, H, W).

    Args:
        value: A number, or one per channel (C,).
        x: The images it will meet.

    Returns:
        The number, or a tensor (C, 1, 1) of the dtype and on the device of x.

    Raises:
        InputError: If a tensor does not hold one number for each channel.
    """
    if not isinstance(value, Tensor):
        return value
    if value.numel() != x.shape[1]:
        raise InputError(
            f"a budget or step per channel must hold one number for each of the {x.shape[1]} "
            f"channels of the images; got {value.numel()}."
        )
    return value.detach().to(device=x.device, dtype=x.dtype).view(-1, 1, 1)


def project(x: Tensor, center: Tensor, *, eps: float | Tensor, norm: Norm = "linf") -> Tensor:
    """Move images to the nearest point of the ball around `center`, then into [0, 1].

    For l2 the two steps are taken one after the other, as every published PGD does; the result lies
    in both sets, since clipping towards a center inside [0, 1] only shortens the perturbation.

    Args:
        x: Images, shape (N, C, H, W).
        center: Centers, same shape, in [0, 1].
        eps: Radius in pixel units, or one per channel (C,) for linf; infinity for none.
        norm: "linf" or "l2".

    Returns:
        Images, shape (N, C, H, W); x is not modified.

    Example:
        >>> x = torch.full((1, 1, 1, 1), 0.9)
        >>> project(x, torch.full((1, 1, 1, 1), 0.5), eps=0.25).item()
        0.75
    """
    if not isinstance(eps, Tensor) and eps == math.inf:
        return x.clamp(0.0, 1.0)
    if norm == "linf":
        radius = per_channel(eps, x)
        return torch.clamp(x, center - radius, center + radius).clamp_(0.0, 1.0)
    delta = x - center
    size = distance(x, center, norm="l2").view(-1, 1, 1, 1)
    shrink = (eps / size.clamp_min(torch.finfo(x.dtype).tiny)).clamp_max(1.0)
    return (center + delta * shrink).clamp_(0.0, 1.0)


_LEVELS = 255


def to_levels(x: Tensor, center: Tensor, *, eps: float | Tensor, norm: Norm = "linf") -> Tensor:
    """Round images of a ball to 8 bits without leaving it.

    For linf every pixel takes the nearest level that the ball holds. For l2 an image that leaves
    the ball by rounding is rounded towards its center instead. Around pictures of 8 bits there is
    always such an image; a pixel (linf) or an image (l2) for which none is found is the center's.

    Args:
        x: Images in the ball, shape (N, C, H, W), in [0, 1].
        center: Centers, same shape, in [0, 1].
        eps: Radius in pixel units, or one per channel (C,) for linf; infinity for none.
        norm: "linf" or "l2".

    Returns:
        Images, shape (N, C, H, W), whole multiples of 1/255.

    Example:
        >>> x, center = torch.full((1, 1, 1, 1), 10.6 / 255), torch.full((1, 1, 1, 1), 10 / 255)
        >>> round(255 * to_levels(x, center, eps=0.6 / 255).item(), 3)
        10.0
    """
    slack = min(4 * _LEVELS * torch.finfo(x.dtype).eps, 0.01)
    nearest = (x * _LEVELS).round()
    if norm == "linf":
        radius = per_channel(eps, x)
        low = ((center - radius) * _LEVELS - slack).ceil().clamp_min(0)
        high = ((center + radius) * _LEVELS + slack).floor().clamp_max(_LEVELS)
        return torch.where(low <= high, nearest.clamp(low, high) / _LEVELS, center)
    steps = x * _LEVELS
    inward = torch.where(x > center, (steps + slack).floor(), (steps - slack).ceil())
    near, shorter = nearest / _LEVELS, inward / _LEVELS
    limit = eps + slack / _LEVELS
    rows = (-1, 1, 1, 1)
    fits = (distance(near, center, norm="l2") <= limit).view(rows)
    then = (distance(shorter, center, norm="l2") <= limit).view(rows)
    return torch.where(fits, near, torch.where(then, shorter, center))


def sample(
    center: Tensor,
    *,
    eps: float | Tensor,
    norm: Norm = "linf",
    rng: torch.Generator | None = None,
) -> Tensor:
    """Draw a point uniformly from the ball around each image (not clipped to [0, 1]).

    Args:
        center: Images, shape (N, C, H, W).
        eps: Finite radius in pixel units, or one per channel (C,) for linf.
        norm: "linf" or "l2".
        rng: Where the draws come from; torch's global generator when not given.

    Returns:
        Points, shape (N, C, H, W).
    """
    if norm == "linf":
        return center + per_channel(eps, center) * (2 * uniform(center.shape, center, rng) - 1)
    direction = normal(center.shape, center, rng)
    size = torch.linalg.vector_norm(direction.flatten(1), dim=1)
    radius = eps * uniform(size.shape, center, rng) ** (1 / center[0].numel())
    moved: Tensor = center + direction * (radius / size).view(-1, 1, 1, 1)
    return moved


def surface(
    center: Tensor,
    *,
    eps: float | Tensor,
    norm: Norm = "linf",
    rng: torch.Generator | None = None,
) -> Tensor:
    """Draw a point of the ball's surface around each image (not clipped to [0, 1]).

    A draw from the ball is stretched until it touches: for linf a uniform one over its largest
    entry, for l2 a normal one over its length.

    Args:
        center: Images, shape (N, C, H, W).
        eps: Finite radius in pixel units, or one per channel (C,) for linf.
        norm: "linf" or "l2".
        rng: Where the draws come from; torch's global generator when not given.

    Returns:
        Points, shape (N, C, H, W).
    """
    if norm == "linf":
        draw = 2 * uniform(center.shape, center, rng) - 1
    else:
        draw = normal(center.shape, center, rng)
    size = distance(draw, torch.zeros_like(draw), norm=norm).view(-1, 1, 1, 1)
    return center + per_channel(eps, center) * (draw / size)


def distance(x: Tensor, center: Tensor, *, norm: Norm = "linf") -> Tensor:
    """Measure each perturbation.

    Args:
        x: Images, shape (N, C, H, W).
        center: Images, same shape.
        norm: "linf" or "l2".

    Returns:
        Distances, shape (N,).
    """
    delta = (x - center).flatten(1)
    if norm == "linf":
        return delta.abs().amax(dim=1)
    size: Tensor = torch.linalg.vector_norm(delta, dim=1)
    return size


def steepest(gradient: Tensor, *, norm: Norm = "linf") -> Tensor:
    """Give the direction of unit size along which the loss rises fastest.

    Args:
        gradient: Input gradients, shape (N, C, H, W).
        norm: "linf" (the sign) or "l2" (the gradient over its length). Zero stays zero, and a NaN
            counts as zero, so that one bad pixel does not stop the others.

    Returns:
        Directions, shape (N, C, H, W).
    """
    if norm == "linf":
        return gradient.sign()
    gradient = torch.nan_to_num(gradient)
    # Scaled by its largest entry first: the square of a tiny gradient would underflow to zero.
    largest = gradient.abs().flatten(1).amax(dim=1).view(-1, 1, 1, 1)
    scaled = gradient / torch.where(largest > 0, largest, torch.ones_like(largest))
    length = scaled.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
    return scaled / torch.where(length > 0, length, torch.ones_like(length))

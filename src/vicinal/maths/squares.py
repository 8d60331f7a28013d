r"""The random changes of the Square attack (Andriushchenko et al. 2020): stripes, bumps, windows.

A proposal changes one square window of every image, its side chosen by a schedule, its place and
signs drawn. For linf the window goes to a corner of the ball; for l2 it takes over the budget of a
second window and what the image has not used. Draws are one row of uniform numbers per image.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from vicinal.maths.balls import distance, project

__all__ = [
    "bump",
    "bumps",
    "grid",
    "propose_l2",
    "propose_linf",
    "share_at",
    "side_of",
    "stripes",
]

_HALVINGS = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)
"""Of 10,000 queries, those after which the share of changed pixels halves (section 3)."""


def share_at(query: int, queries: int, *, initial: float) -> float:
    """Give the share of the pixels that a query changes.

    Args:
        query: Its number, from 0.
        queries: How many there will be; the schedule for 10,000 is stretched to as many.
        initial: The first share, p of the paper.

    Returns:
        The share, in (0, 1].

    Example:
        >>> share_at(0, 5000, initial=0.8), share_at(6, 5000, initial=0.8)
        (0.8, 0.4)
    """
    of_10000 = query * 10_000 // queries
    return initial / 2.0 ** sum(of_10000 > end for end in _HALVINGS)


def side_of(share: float, height: int, width: int, *, norm: str) -> int:
    """Give the side of the window that holds a share of the pixels and fits into the image.

    Args:
        share: The share.
        height: Of the image.
        width: Of the image.
        norm: "linf", or "l2", where the side is odd and at least 3.

    Returns:
        The side, at least 1.
    """
    side = round(math.sqrt(share * height * width))
    if norm == "l2":
        side = max(side, 3)
        side += 1 - side % 2
    return max(min(side, height, width), 1)


def stripes(x: Tensor, draw: Tensor, *, eps: float) -> Tensor:
    """Begin in linf: every column of every channel at the one or the other end of the ball.

    Args:
        x: Images, shape (N, C, H, W).
        draw: Uniform numbers, shape (N, C, 1, W).
        eps: The radius.

    Returns:
        Images, shape (N, C, H, W), in the ball and in [0, 1].
    """
    return (x + eps * _signs(draw, x)).clamp(0.0, 1.0)


def bump(side: int) -> Tensor:
    """Make the window of l2: a pyramid above its lower half and one below its upper half.

    Args:
        side: Its side.

    Returns:
        Shape (side, side), of length 1, in float64; a single pixel is 1.
    """
    half = side // 2
    window = torch.cat([_pyramid(half, side), -_pyramid(side - half, side)])
    window /= window.norm()
    return window


def _pyramid(height: int, width: int) -> Tensor:
    """Stack centered rectangles, each weighing 1 / k^2 and growing with k; of length 1."""
    levels = torch.zeros(height, width, dtype=torch.float64)
    top, left = height // 2, width // 2
    for k in range(1, max(height // 2, width // 2) + 2):
        rows = slice(max(top - k + 1, 0), min(top + k, height))
        columns = slice(max(left - k + 1, 0), min(left + k, width))
        levels[rows, columns] += 1.0 / k**2
    return levels / levels.norm() if levels.numel() else levels


def grid(height: int, width: int) -> tuple[int, int, int]:
    """Lay out the first bumps of l2.

    Args:
        height: Of the image.
        width: Of the image.

    Returns:
        Their side, and how many stand below and beside each other; five by five in a square image.

    Example:
        >>> grid(32, 32)
        (6, 5, 5)
    """
    side = max(min(height, width) // 5, 1)
    return side, height // side, width // side


def bumps(x: Tensor, draw: Tensor, *, eps: float) -> Tensor:
    """Begin in l2: a grid of bumps in the middle of the image, together as long as the radius.

    Args:
        x: Images, shape (N, C, H, W).
        draw: Uniform numbers, shape (N, C + 1, R, S), one row and column for each bump of `grid`.
        eps: The radius.

    Returns:
        Images, shape (N, C, H, W), in the ball and in [0, 1].
    """
    n, channels, height, width = x.shape
    side, down, across = grid(height, width)
    window = _turned(bump(side).to(x), draw[:, -1])
    tiles = _signs(draw[:, :-1], x)[..., None, None] * window.unsqueeze(1)
    tiled = tiles.transpose(3, 4).reshape(n, channels, down * side, across * side)
    top, left = (height - down * side) // 2, (width - across * side) // 2
    delta = torch.zeros_like(x)
    delta[:, :, top : top + down * side, left : left + across * side] = tiled
    return _of_length(x, delta, eps)


def propose_linf(x: Tensor, best: Tensor, draw: Tensor, *, side: int, eps: float) -> Tensor:
    """Move one window of every image to a corner of its ball, one sign for each channel.

    Args:
        x: Clean images, shape (N, C, H, W).
        best: The best so far, same shape.
        draw: Uniform numbers, shape (N, C + 2) or more: signs, row and column.
        side: The window's.
        eps: The radius.

    Returns:
        Images, shape (N, C, H, W), in the ball and in [0, 1].
    """
    channels, height, width = x.shape[1:]
    rows = _covered(draw[:, channels], height, side).view(-1, 1, height, 1)
    columns = _covered(draw[:, channels + 1], width, side).view(-1, 1, 1, width)
    signs = _signs(draw[:, :channels], x)[..., None, None]
    corner = torch.add(x, signs, alpha=eps).clamp_(0.0, 1.0)
    return torch.where(rows & columns, corner, best)


def propose_l2(x: Tensor, best: Tensor, draw: Tensor, *, side: int, eps: float) -> Tensor:
    """Add a bump to one window, paid by emptying another and by what the image has not used.

    Args:
        x: Clean images, shape (N, C, H, W).
        best: The best so far, same shape.
        draw: Uniform numbers, shape (N, C + 5): signs, turn, two rows, two columns.
        side: The window's.
        eps: The radius.

    Returns:
        Images, shape (N, C, H, W), in the ball and in [0, 1].
    """
    channels = x.shape[1]
    delta = best - x
    unused = (eps**2 - delta.square().sum(dim=(1, 2, 3))).clamp_min(0.0).view(-1, 1, 1, 1)
    first, second = (
        _window(draw[:, i : channels + 5 : 2], x, side) for i in (channels + 1, channels + 2)
    )
    here = delta[first]
    energy = here.square().sum(dim=(2, 3), keepdim=True)
    delta[first] = 0.0
    energy = energy + delta[second].square().sum(dim=(2, 3), keepdim=True)
    delta[second] = 0.0
    shape = _turned(bump(side).to(x), draw[:, channels]).unsqueeze(1)
    fresh = _signs(draw[:, :channels], x)[..., None, None] * shape + _unit(here)
    delta[first] = _unit(fresh) * (energy + unused / channels).sqrt()
    return _of_length(x, delta, eps)


def _signs(draw: Tensor, like: Tensor) -> Tensor:
    return torch.where(draw < 0.5, -1.0, 1.0).to(like.dtype)


def _turned(window: Tensor, draw: Tensor) -> Tensor:
    """Lay the window on its side where the draw says so, one for each draw."""
    return torch.where((draw > 0.5)[..., None, None], window.T, window)


def _place(draw: Tensor, length: int, side: int) -> Tensor:
    """Put a window so that it fits; the last place is as likely as any other."""
    return (draw * (length - side + 1)).long().clamp_max(length - side)


def _covered(draw: Tensor, length: int, side: int) -> Tensor:
    at = torch.arange(length, device=draw.device) - _place(draw, length, side).unsqueeze(1)
    return (at >= 0) & (at < side)


def _window(draw: Tensor, x: Tensor, side: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Point at one window of every image: what comes out of it has shape (N, C, side, side)."""
    n, channels, height, width = x.shape
    span = torch.arange(side, device=x.device)
    rows = _place(draw[:, 0], height, side).view(-1, 1, 1, 1) + span.view(-1, 1)
    columns = _place(draw[:, 1], width, side).view(-1, 1, 1, 1) + span
    image = torch.arange(n, device=x.device).view(-1, 1, 1, 1)
    return image, torch.arange(channels, device=x.device).view(-1, 1, 1), rows, columns


def _unit(windows: Tensor) -> Tensor:
    return windows / (windows.square().sum(dim=(2, 3), keepdim=True).sqrt() + 1e-12)


def _of_length(x: Tensor, delta: Tensor, eps: float) -> Tensor:
    size = distance(delta, torch.zeros_like(delta), norm="l2").view(-1, 1, 1, 1)
    delta = delta * (eps / size.clamp_min(torch.finfo(size.dtype).tiny))
    return project(x + delta, x, eps=eps, norm="l2")

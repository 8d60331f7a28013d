"""APGD as Croce and Hein 2020 (algorithm 1) write it, one flat image at a time, in NumPy float64.

Everything is a plain list or a vector; the network is that of `madry_pgd`. Two readings of the
authors' code: checkpoints are whole parts of 22 %, 3 % and 6 % of the steps, and a step is halved
where at most, not fewer than, the share rho of the steps raised the loss.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from oracles.madry_pgd import Net, Vector

__all__ = ["Search", "ascend", "ce", "dlr", "gradient", "targeted_ce", "targeted_dlr", "windows"]

Loss = Callable[[Vector], tuple[float, Vector]]
"""Logits to a loss and its derivative with respect to each logit."""


def ce(own: int) -> Loss:
    """-log softmax(z)_own."""

    def loss(z: Vector) -> tuple[float, Vector]:
        p = np.exp(z - z.max())
        total = p.sum()
        slope = p / total
        slope[own] -= 1.0
        return float(math.log(total) + z.max() - z[own]), slope

    return loss


def targeted_ce(t: int) -> Loss:
    """log softmax(z)_t."""

    def loss(z: Vector) -> tuple[float, Vector]:
        value, slope = ce(t)(z)
        return -value, -slope

    return loss


def _ratio(over: Vector, under: Vector, z: Vector) -> tuple[float, Vector]:
    """(over . z) / (under . z) and its derivative, by the quotient rule."""
    a, b = float(over @ z), float(under @ z)
    return a / b, (over * b - under * a) / b**2


def _unit(k: int, n: int) -> Vector:
    return np.asarray([1.0 if j == k else 0.0 for j in range(n)])


def dlr(own: int) -> Loss:
    """-(z_own - max_{k != own} z_k) / (z_(1) - z_(3)); with two classes the numerator alone."""

    def loss(z: Vector) -> tuple[float, Vector]:
        n = len(z)
        order = sorted(range(n), key=lambda k: -z[k])
        rival = next(k for k in order if k != own)
        over = _unit(rival, n) - _unit(own, n)
        if n == 2:
            return float(over @ z), over
        return _ratio(over, _unit(order[0], n) - _unit(order[2], n), z)

    return loss


def targeted_dlr(own: int, t: int) -> Loss:
    """-(z_own - z_t) / (z_(1) - (z_(3) + z_(4)) / 2); below four classes the numerator alone."""

    def loss(z: Vector) -> tuple[float, Vector]:
        n = len(z)
        order = sorted(range(n), key=lambda k: -z[k])
        over = _unit(t, n) - _unit(own, n)
        if n < 4:
            return float(over @ z), over
        under = _unit(order[0], n) - (_unit(order[2], n) + _unit(order[3], n)) / 2
        return _ratio(over, under, z)

    return loss


def gradient(net: Net, x: Vector, loss: Loss) -> tuple[float, Vector]:
    """Return the loss at an image and its gradient there."""
    hidden = np.tanh(net.w @ x + net.b)
    value, slope = loss(net.v @ hidden + net.c)
    return value, np.asarray(net.w.T @ ((net.v.T @ slope) * (1 - hidden**2)))


def windows(steps: int) -> list[int]:
    """Return the lengths between checkpoints: 22 %, then 3 % fewer each time, at least 6 %."""
    length = max(int(0.22 * steps), 1)
    found: list[int] = []
    while sum(found) + length <= steps:
        found.append(length)
        length = max(length - max(int(0.03 * steps), 1), max(int(0.06 * steps), 1))
    return found


class Search:
    """The ball, and the two maps into and along it."""

    def __init__(self, x: Vector, eps: float, norm: str) -> None:
        self.x, self.eps, self.norm = x, eps, norm

    def project(self, at: Vector) -> Vector:
        if self.norm == "linf":
            at = np.minimum(np.maximum(at, self.x - self.eps), self.x + self.eps)
        else:
            size = math.sqrt(float(np.sum((at - self.x) ** 2)))
            if size > self.eps:
                at = self.x + (at - self.x) * self.eps / size
        return np.minimum(np.maximum(at, 0.0), 1.0)

    def direction(self, slope: Vector) -> Vector:
        if self.norm == "linf":
            return np.sign(slope)
        size = math.sqrt(float(np.sum(slope**2)))
        return slope / size if size > 0 else slope


def ascend(
    net: Net, search: Search, loss: Loss, *, start: Vector, steps: int, rho: float = 0.75
) -> tuple[list[Vector], list[float]]:
    """Return iterates, the start first, and the step size with which each was left.

    The path ends where rounding decides: at a gradient of 0, or a rise of hardly anything.
    """
    at, before = start.copy(), start.copy()
    value, slope = gradient(net, at, loss)
    best, best_value, best_slope = at.copy(), value, slope.copy()
    ends = np.cumsum(windows(steps)).tolist()
    length = dict(zip(ends, windows(steps), strict=True))
    size, values = 2 * search.eps, [value]
    best_at_check, halved_at_check = value, True
    path, sizes = [at.copy()], []
    for k in range(steps):
        sizes.append(size)
        z = search.project(at + size * search.direction(slope))
        a = 1.0 if k == 0 else 0.75
        after = search.project(at + a * (z - at) + (1 - a) * (at - before))
        before, at = at, after
        path.append(at.copy())
        value, slope = gradient(net, at, loss)
        if 0 < abs(value - values[-1]) < 1e-11 or float(np.abs(slope).max()) < 1e-9:
            break
        values.append(value)
        if value > best_value:
            best, best_value, best_slope = at.copy(), value, slope.copy()
        if k + 1 in length:
            n = length[k + 1]
            rises = sum(values[i + 1] > values[i] for i in range(k + 1 - n, k + 1))
            stuck = not halved_at_check and best_value == best_at_check
            halved_at_check, best_at_check = rises <= rho * n or stuck, best_value
            if halved_at_check:
                size, at, slope = size / 2, best.copy(), best_slope.copy()
    return path, sizes

"""FMN as Pintor et al. 2021 (algorithm 1) write it, one flat image, NumPy float64.

With our three readings: a ball never shrinks before the first success and grows by 1 + gamma, and
the iterate after the last step counts.
"""

from __future__ import annotations

import math

import numpy as np

from oracles.madry_pgd import Net, Vector

__all__ = ["search"]


def _size(d: Vector, norm: str) -> float:
    return float(np.abs(d).max()) if norm == "linf" else float(np.sqrt((d**2).sum()))


def _margin(net: Net, x: Vector, own: int) -> tuple[float, Vector]:
    z = net.logits(x)
    rival = max((k for k in range(len(z)) if k != own), key=lambda k: float(z[k]))
    hidden = np.tanh(net.w @ x + net.b)
    slope = net.w.T @ ((net.v[rival] - net.v[own]) * (1 - hidden**2))
    return float(z[rival] - z[own]), np.asarray(slope)


def search(net: Net, x: Vector, own: int, *, steps: int, norm: str) -> Vector | None:
    """Give the smallest fooling iterate, None where there is none."""
    delta, eps = np.zeros_like(x), 0.0
    best: Vector | None = None
    for step in range(steps + 1):
        value, slope = _margin(net, x + delta, own)
        before, fooled = best is not None, value > 0
        if fooled and (best is None or _size(delta, norm) < _size(best, norm)):
            best = delta.copy()
        if step == steps:
            break
        fall = (1 + math.cos(math.pi * step / steps)) / 2
        alpha, gamma = 0.01 + 0.99 * fall, 0.001 + 0.049 * fall
        dual = float(np.abs(slope).sum()) if norm == "linf" else float(np.sqrt((slope**2).sum()))
        if fooled:
            assert best is not None
            eps = min(eps * (1 - gamma), _size(best, norm))
        elif before:
            eps = eps * (1 + gamma)
        else:
            eps = (1 + gamma) * max(eps, _size(delta, norm) + abs(value) / dual)
        eps = min(eps, _size(np.maximum(x, 1 - x), norm))
        delta = delta + alpha * slope / np.sqrt((slope**2).sum())
        if norm == "linf":
            delta = np.clip(delta, -eps, eps)
        else:
            delta = delta * min(1.0, eps / _size(delta, norm))
        delta = np.clip(x + delta, 0.0, 1.0) - x
    return None if best is None else x + best

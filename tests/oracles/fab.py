"""Targeted FAB as Croce and Hein 2020 (algorithm 1) write it, one flat image, NumPy float64.

The projection onto the hyperplane is by bisection on how far the pixels go, not by sorting.
"""

from __future__ import annotations

import numpy as np

from oracles.madry_pgd import Net, Vector

__all__ = ["onto_plane", "search"]


def onto_plane(x: Vector, w: Vector, rise: float, norm: str) -> Vector:
    """Bisect the pace m at which <w, d> reaches the rise, d_i going |m w_i|, or m in linf."""
    sign = 1.0 if rise >= 0 else -1.0
    way = np.sign(w) if norm == "linf" else w

    def change(m: float) -> Vector:
        return np.asarray(np.clip(x + sign * m * way, 0.0, 1.0) - x)

    low, high = 0.0, 1.0 if norm == "linf" else 1e4
    for _ in range(80):
        middle = (low + high) / 2
        if sign * float(w @ change(middle)) < abs(rise):
            low = middle
        else:
            high = middle
    return change(high)


def _size(d: Vector, norm: str) -> float:
    return float(np.abs(d).max()) if norm == "linf" else float(np.sqrt((d**2).sum()))


def _slope(net: Net, x: Vector, t: int, own: int) -> Vector:
    hidden = np.tanh(net.w @ x + net.b)
    return np.asarray(net.w.T @ ((net.v[t] - net.v[own]) * (1 - hidden**2)))


def search(net: Net, x: Vector, own: int, *, steps: int, targets: int, norm: str) -> Vector | None:
    """Give the smallest fooling iterate over the likeliest wrong classes; None where there is none.

    Every class is aimed at from the clean image.
    """
    ranked = [int(k) for k in np.argsort(-net.logits(x), kind="stable") if k != own]
    best: Vector | None = None
    for t in ranked[:targets]:
        at = x.copy()
        for _ in range(steps):
            z, w = net.logits(at), _slope(net, at, t, own)
            gap = float(z[t] - z[own])
            near = onto_plane(at, w, -gap, norm)
            far = onto_plane(x, w, float(w @ (at - x)) - gap, norm)
            a = max(_size(near, norm), 1e-8)
            lean = min(a / (a + max(_size(far, norm), 1e-8)), 0.1)
            at = np.clip((1 - lean) * (at + 1.05 * near) + lean * (x + 1.05 * far), 0.0, 1.0)
            if int(net.logits(at).argmax()) != own:
                if best is None or _size(at - x, norm) < _size(best - x, norm):
                    best = at.copy()
                at = x + 0.9 * (at - x)
    return best

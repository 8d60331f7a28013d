"""CW-L2 as its authors wrote it (Carlini and Wagner 2017), one image, in NumPy float64.

The network is z = V tanh(W x + b) + c. No early abort. A failed search returns nothing.
"""

from __future__ import annotations

import numpy as np

from oracles.madry_pgd import Net, Vector

__all__ = ["attack", "image_of", "objective"]


def image_of(omega: Vector, x: Vector) -> Vector:
    """Map the free variable to pixels: tanh keeps every one of them within [0, 1]."""
    return np.asarray((np.tanh(np.arctanh((2 * x - 1) * 0.999999) + omega) + 1) / 2)


def _rival(z: Vector, own: int) -> int:
    best = -1
    for k in range(len(z)):
        if k != own and (best < 0 or z[k] > z[best]):
            best = k
    return best


def missing(z: Vector, own: int, *, kappa: float, targeted: bool) -> float:
    """Return max(0, z_y - max_{i != y} z_i + kappa), or with a target the two swapped."""
    gap = z[own] - z[_rival(z, own)]
    return float(max(0.0, (-gap if targeted else gap) + kappa))


def objective(
    net: Net, omega: Vector, x: Vector, own: int, *, c: float, kappa: float, targeted: bool
) -> float:
    """Return what is descended."""
    at = image_of(omega, x)
    hinge = missing(net.logits(at), own, kappa=kappa, targeted=targeted)
    return float(np.sum((at - x) ** 2)) + c * hinge


def _slope(
    net: Net, omega: Vector, x: Vector, own: int, *, c: float, kappa: float, targeted: bool
) -> Vector:
    at = image_of(omega, x)
    hidden = np.tanh(net.w @ at + net.b)
    jacobian = net.v @ (net.w * (1 - hidden**2)[:, None])
    z = net.logits(at)
    inner = 2 * (at - x)
    if missing(z, own, kappa=kappa, targeted=targeted) > 0:
        gap = jacobian[own] - jacobian[_rival(z, own)]
        inner = inner + c * (-gap if targeted else gap)
    return np.asarray(inner * 2 * at * (1 - at))


def attack(
    net: Net,
    x: Vector,
    own: int,
    *,
    steps: int,
    search_steps: int,
    c: float,
    kappa: float = 0.0,
    rate: float = 0.01,
    targeted: bool = False,
) -> Vector | None:
    """Return the nearest confident error among all iterates; `own` is the target if targeted."""
    low, high, best = 0.0, 1e10, None
    for trial in range(search_steps):
        if search_steps >= 10 and trial == search_steps - 1:
            c = high
        omega, mean, square = np.zeros_like(x), np.zeros_like(x), np.zeros_like(x)
        found = False
        for i in range(1, steps + 1):
            at = image_of(omega, x)
            z = net.logits(at).copy()
            z[own] += -kappa if targeted else kappa
            if (int(z.argmax()) == own) == targeted:
                found = True
                if best is None or np.sum((at - x) ** 2) < np.sum((best - x) ** 2):
                    best = at
            g = _slope(net, omega, x, own, c=c, kappa=kappa, targeted=targeted)
            mean = 0.9 * mean + 0.1 * g
            square = 0.999 * square + 0.001 * g**2
            omega = omega - rate * (mean / (1 - 0.9**i)) / (np.sqrt(square / (1 - 0.999**i)) + 1e-8)
        if found:
            high = min(high, c)
            c = (low + high) / 2 if high < 1e9 else c
        else:
            low = max(low, c)
            c = (low + high) / 2 if high < 1e9 else 10 * c
    return best

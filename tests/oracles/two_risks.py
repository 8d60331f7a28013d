"""TRADES, MART, TLAT, M-TLAT, IAT and AWP by loops over images and classes, in NumPy float64.

The network is that of `madry_pgd`, z = V tanh(W x + b) + c, its gradients derived by hand. What is
random in a method is an argument, so that one draw can be replayed.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from oracles.madry_pgd import Net

__all__ = [
    "Slopes",
    "awp",
    "boosted",
    "iat",
    "kl_ascent",
    "m_tlat",
    "mart",
    "mixtures",
    "one_step",
    "risk",
    "slopes",
    "tlat",
    "trades",
]

Vector = NDArray[Any]


class Slopes(NamedTuple):
    """Gradients of a mean cross-entropy by weights."""

    w: Vector
    b: Vector
    v: Vector
    c: Vector


def softmax(z: Vector) -> Vector:
    """exp(z_k) / sum_j exp(z_j)."""
    e = np.exp(z - z.max())
    return np.asarray(e / e.sum())


def loss(z: Vector, q: Vector) -> float:
    """-sum_k q_k log p_k."""
    total = 0.0
    log_sum = z.max() + np.log(np.exp(z - z.max()).sum())
    for k in range(len(z)):
        total -= q[k] * (z[k] - log_sum)
    return float(total)


def divergence(z: Vector, other: Vector) -> float:
    """KL(p || r) = sum_k p_k log(p_k / r_k)."""
    p, r = softmax(z), softmax(other)
    return float(sum(p[k] * np.log(p[k] / r[k]) for k in range(len(p))))


def back(net: Net, x: Vector, dz: Vector) -> Vector:
    """Take a gradient by the logits back to the image."""
    hidden = np.tanh(net.w @ x + net.b)
    return np.asarray(net.w.T @ ((net.v.T @ dz) * (1 - hidden**2)))


def risk(net: Net, xs: Vector, qs: Vector) -> float:
    """The mean loss of a batch."""
    return sum(loss(net.logits(x), q) for x, q in zip(xs, qs, strict=True)) / len(xs)


def kl_ascent(net: Net, x: Vector, start: Vector, *, eps: float, step: float, steps: int) -> Vector:
    """TRADES's algorithm 1: signed steps up KL(f(x) || f(x')), in the ball and in [0, 1]."""
    p = softmax(net.logits(x))
    at: Vector = np.clip(np.clip(start, x - eps, x + eps), 0.0, 1.0)
    for _ in range(steps):
        # d KL(p || softmax z') / d z' = softmax z' - p
        at = at + step * np.sign(back(net, at, softmax(net.logits(at)) - p))
        at = np.clip(np.clip(at, x - eps, x + eps), 0.0, 1.0)
    return at


def trades(net: Net, xs: Vector, qs: Vector, moved: Vector, *, beta: float) -> float:
    """The mean of l(f(x), q) + beta KL(f(x) || f(x'))."""
    total = 0.0
    for x, q, near in zip(xs, qs, moved, strict=True):
        z = net.logits(x)
        total += loss(z, q) + beta * divergence(z, net.logits(near))
    return total / len(xs)


def boosted(z: Vector, y: int) -> float:
    """-log f_y - log(1 - max_{k != y} f_k)."""
    p = softmax(z)
    rival = max(p[k] for k in range(len(p)) if k != y)
    return float(-np.log(p[y]) - np.log(1 - rival))


def mart(net: Net, xs: Vector, ys: list[int], moved: Vector, *, beta: float) -> float:
    """The mean of BCE(f(x'), y) + beta KL(f(x) || f(x')) (1 - f_y(x))."""
    total = 0.0
    for x, y, near in zip(xs, ys, moved, strict=True):
        z, other = net.logits(x), net.logits(near)
        total += boosted(other, y) + beta * divergence(z, other) * (1 - softmax(z)[y])
    return total / len(xs)


def one_step(net: Net, x: Vector, aim: Vector, eps: float, *, towards: bool) -> Vector:
    """x -+ eps sign(grad_x l(f(x), aim)), in [0, 1] (M-TLAT, eq. 5)."""
    slope = back(net, x, softmax(net.logits(x)) - aim)
    moved = x - eps * np.sign(slope) if towards else x + eps * np.sign(slope)
    return np.asarray(np.clip(moved, 0.0, 1.0))


def tlat(
    net: Net, xs: Vector, qs: Vector, ts: list[int], eps: list[float], *, label: str
) -> tuple[float, float]:
    """The clean half's loss and the adversarial half's."""
    k = qs.shape[1]
    moved, followed = [], []
    for x, q, t, length in zip(xs, qs, ts, eps, strict=True):
        target = np.eye(k)[t]
        moved.append(one_step(net, x, target, length, towards=True))
        if label == "toward":
            followed.append((1 - length) * q + length * target)
        elif label == "smooth":
            followed.append(np.array([(1 - length) * q[j] + length / k for j in range(k)]))
        else:
            followed.append(q)
    return risk(net, xs, qs), risk(net, np.array(moved), np.array(followed))


def mixtures(xs: Vector, partner: list[int], weight: float) -> Vector:
    """lam x_i + (1 - lam) x_j, for images and labels alike (M-TLAT, eq. 1)."""
    return np.array([weight * xs[i] + (1 - weight) * xs[partner[i]] for i in range(len(partner))])


class Mixed(NamedTuple):
    """One mixture's draw."""

    partner: list[int]
    weight: float


def m_tlat(
    net: Net, xs: Vector, qs: Vector, *, mix1: Mixed, mix2: Mixed, ts: list[int], eps: list[float]
) -> float:
    """Algorithm 1, line by line, x1 = x3 = the batch."""
    x_mix1, y_mix1 = mixtures(xs, *mix1), mixtures(qs, *mix1)
    x_mix2, y_mix2 = mixtures(xs, *mix2), mixtures(qs, *mix2)
    x_mtlat, y_mtlat = [], []
    for i in range(len(xs)):
        target = np.eye(qs.shape[1])[ts[i]]
        x_mtlat.append(one_step(net, x_mix2[i], target, eps[i], towards=True))
        y_mtlat.append((1 - eps[i]) * y_mix2[i] + eps[i] * target)
    loss1 = risk(net, x_mix1, y_mix1)
    loss2 = risk(net, np.array(x_mtlat), np.array(y_mtlat))
    return loss1 + loss2


def iat(net: Net, xs: Vector, qs: Vector, moved: Vector, *, mix1: Mixed, mix2: Mixed) -> float:
    """(L_clean + L_adv) / 2, each at mixtures of its own."""
    clean = risk(net, mixtures(xs, *mix1), mixtures(qs, *mix1))
    adversarial = risk(net, mixtures(moved, *mix2), mixtures(qs, *mix2))
    return (clean + adversarial) / 2


def slopes(net: Net, xs: Vector, qs: Vector) -> Slopes:
    """The gradient of the mean cross-entropy by every weight."""
    w, b = np.zeros_like(net.w), np.zeros_like(net.b)
    v, c = np.zeros_like(net.v), np.zeros_like(net.c)
    for x, q in zip(xs, qs, strict=True):
        hidden = np.tanh(net.w @ x + net.b)
        dz = (softmax(net.v @ hidden + net.c) - q) / len(xs)
        dh = (net.v.T @ dz) * (1 - hidden**2)
        w, b = w + np.outer(dh, x), b + dh
        v, c = v + np.outer(dz, hidden), c + dz
    return Slopes(w, b, v, c)


def awp(net: Net, xs: Vector, qs: Vector, *, gamma: float) -> tuple[Net, float, Slopes]:
    """The net with both matrices moved up the loss, the loss there, and its gradient there."""
    up = slopes(net, xs, qs)
    moved = Net(
        w=net.w + gamma * np.sqrt((net.w**2).sum()) * up.w / np.sqrt((up.w**2).sum()),
        b=net.b,
        v=net.v + gamma * np.sqrt((net.v**2).sum()) * up.v / np.sqrt((up.v**2).sum()),
        c=net.c,
    )
    return moved, risk(moved, xs, qs), slopes(moved, xs, qs)

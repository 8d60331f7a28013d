r"""AVmixup's theory in numbers: the Gaussian models of its Examples 1 to 3, seconds on one core.

    python examples/avmixup_gaussian_theory.py

A linear classifier sgn(w^T x) with w >= 0 and |w|_1 = 1 sees one robust feature (variance A), c
features that look as robust in the sample but are not (variance A there, B in truth), and d - c
features that look as weak as they are (variance B). Which weight w_B on each of the last makes the
variance of w^T x least? With r = A/B, given the label, and equal weights within a group:

    in the sample   w_B = r / (c + 1 + r (d - c)),                       Theorem 2: 0 as r -> 0
    in truth        w_B = (c + r) / ((c + 1)^2 + (c + r)(d - c)),        Theorem 3: c/(cd + 2c + 1)

So training to the sample's optimum overshoots the true one: adversarial feature overfitting. Both
formulas are compared here with least squares on draws, and the error that an adversary causes
with a count of the draws that it turns.
"""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Pair = tuple[float, float]


def gaussian(
    n: int, *, mean: Array, deviation: Array, rng: np.random.Generator
) -> tuple[Array, Array]:
    """Example 1: draw labels (n,), +1 or -1 with equal odds, and x ~ N(y mean, deviation^2)."""
    y = rng.choice([-1.0, 1.0], size=n)
    return y[:, None] * mean + deviation * rng.standard_normal((n, len(mean))), y


@dataclass(frozen=True, kw_only=True)
class Features:
    """Examples 2 and 3: 1 robust feature, c insufficient and d - c sufficient non-robust ones."""

    c: int = 3
    d: int = 10
    a: float = 0.01  # variance of the robust feature
    b: float = 1.0  # variance of the non-robust ones
    eta: float = 0.3  # their mean, times the label

    def moments(self, *, sampled: bool) -> tuple[Array, Array]:
        """Return mean and deviation (d + 1,), of the sample (Example 3) or in truth (Example 2)."""
        looks_robust = np.arange(self.d + 1) < (self.c + 1 if sampled else 1)
        return (
            np.where(looks_robust, 1.0, self.eta),
            np.sqrt(np.where(looks_robust, self.a, self.b)),
        )

    def weights(self, w_b: float) -> Array:
        """Return w (d + 1,): w_b on each sufficient feature, the rest of 1 evenly on the others."""
        w_a = (1 - (self.d - self.c) * w_b) / (self.c + 1)
        return np.concatenate([np.full(self.c + 1, w_a), np.full(self.d - self.c, w_b)])

    def optimum(self, *, sampled: bool) -> float:
        """Give w_B in closed form."""
        r, c, d = self.a / self.b, self.c, self.d
        if sampled:
            return r / (c + 1 + r * (d - c))
        return (c + r) / ((c + 1) ** 2 + (c + r) * (d - c))

    def limit(self) -> float:
        """Give w_B as Theorem 3 prints it: in truth, for r -> 0."""
        return self.c / (self.c * self.d + 2 * self.c + 1)

    def fitted(self, n: int, *, sampled: bool, rng: np.random.Generator) -> float:
        """Give the w_B that makes the variance of w^T x given y least on n draws.

        The weights are affine in w_B, so the deviation of w^T x from its mean is u + w_B v with u
        its part at w_B = 0, and the least squares are those of u against -v.
        """
        mean, deviation = self.moments(sampled=sampled)
        x, y = gaussian(n, mean=mean, deviation=deviation, rng=rng)
        noise = x - y[:, None] * mean
        u = noise @ self.weights(0.0)
        v = noise @ (self.weights(1.0) - self.weights(0.0))
        return float(np.linalg.lstsq(-v[:, None], u, rcond=None)[0][0])


def robust_error(w: Array, mean: Array, deviation: Array, eps: float) -> float:
    """Give P(some linf perturbation of size eps turns sgn(w^T x)), Definition 2, in closed form."""
    margin = float(w @ mean) - eps * float(np.abs(w).sum())
    return 0.5 * math.erfc(margin / float(np.linalg.norm(w * deviation)) / math.sqrt(2))


def counted_error(w: Array, x: Array, y: Array, eps: float) -> float:
    """Count the draws that the strongest perturbation, -eps y sgn(w), turns."""
    return float(np.mean(y * ((x - eps * y[:, None] * np.sign(w)) @ w) <= 0))


def largest_eps(n: int, *, sigma: float, nu: float) -> float:
    """Give the eps of Theorem 1, up to which features nu times as spread make up for an attack."""
    return (2 * math.sqrt(n) - 1) * (1 - nu) / (2 * math.sqrt(n) + 4 * sigma)


def weights_found(features: Features, *, draws: int, rng: np.random.Generator) -> dict[str, float]:
    """Give w_B by formula and by fit, in the sample and in truth, and Theorem 3's limit."""
    found: dict[str, float] = {}
    for name, sampled in (("sample", True), ("truth", False)):
        found[f"{name}, exact"] = features.optimum(sampled=sampled)
        found[f"{name}, fitted"] = features.fitted(draws, sampled=sampled, rng=rng)
    found["truth, Theorem 3"] = features.limit()
    nearly = replace(features, a=1e-9 * features.b)
    found["truth, exact at r = 1e-9"] = nearly.optimum(sampled=False)
    return found


def errors_found(features: Features, *, draws: int, rng: np.random.Generator) -> dict[str, Pair]:
    """Give the errors in truth at both optima, by formula and counted."""
    mean, deviation = features.moments(sampled=False)
    x, y = gaussian(draws, mean=mean, deviation=deviation, rng=rng)
    found: dict[str, Pair] = {}
    for name, sampled in (("sample's", True), ("true", False)):
        w = features.weights(features.optimum(sampled=sampled))
        for kind, eps in (("clean", 0.0), ("robust", 0.1)):
            pair = robust_error(w, mean, deviation, eps), counted_error(w, x, y, eps)
            found[f"{kind} error at the {name} optimum"] = pair
    return found


def main() -> None:
    """Read the options and print every number beside its check."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    for name in ("c", "d"):
        parser.add_argument(f"--{name}", type=int, default=getattr(Features(), name))
    parser.add_argument("--r", type=float, default=0.01, help="sigma_A^2 / sigma_B^2")
    parser.add_argument("--draws", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    features = Features(c=options.c, d=options.d, a=options.r)
    rng = np.random.default_rng(options.seed)
    for name, w_b in weights_found(features, draws=options.draws, rng=rng).items():
        print(f"w_B in {name:24} {w_b:.6f}")
    for name, (exact, counted) in errors_found(features, draws=options.draws, rng=rng).items():
        print(f"{name}: {100 * exact:.2f} %, counted {100 * counted:.2f} %")
    for nu in (1.0, 0.5, 0.0):
        eps = largest_eps(100, sigma=1.0, nu=nu)
        print(f"Theorem 1 for n = 100, sigma = 1, nu = {nu:g}: eps up to {eps:.3f}")


if __name__ == "__main__":
    main()

r"""The adversarial labels of BAT (Wang and Zhang 2019, section 4.1).

Two answers to eq. 11, the label near y that the prediction fits worst. `bilateral` is the heuristic
that the paper trains with: every wrong class gets a share by its loss, the most confusing one next
to none, and as much is given away as leaves the class beta times the largest share (eq. 14-18).
`projected_gradient` is the step along the loss and back onto the simplex (eq. 12-13). Not here: the
second heuristic of the supplement, and the image's half, which is `objectives.BAT`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from vicinal._checks import choice, distributions, labels, logits, number
from vicinal.labels.move import POINTS, Point
from vicinal.maths.losses import widen
from vicinal.maths.mixing import Mix
from vicinal.maths.simplex import as_distribution

__all__ = ["Bilateral", "ProjectedGradient", "bilateral", "projected_gradient"]


def bilateral(y: Tensor, z: Tensor, *, beta: float = 9.0, gamma: float = 0.01) -> Tensor:
    r"""Give weight to the wrong classes by their loss, as much as keeps the class beta times ahead.

    .. math::
        y'_k &= \frac{\epsilon_y}{K-1} \cdot \frac{v_k - v_{MC} + \gamma}
                {\bar v - v_{MC} + \gamma}, \quad k \neq c, \qquad y'_c = 1 - \epsilon_y
                \qquad (eq. 14) \\
        \epsilon_y &= \Big(1 + \frac{\beta}{K-1} \cdot \frac{v_{LL} - v_{MC} + \gamma}
                {\bar v - v_{MC} + \gamma}\Big)^{-1} \qquad (eq. 18, with equality)

    with :math:`v_k = -\log p_k`, and :math:`\bar v`, :math:`v_{MC}`, :math:`v_{LL}` their mean,
    least and largest over the wrong classes. So :math:`y'_c = \beta \max_{k \neq c} y'_k` (eq. 16),
    and eps_y lies in (1/(1+beta), 1/(1+beta/(K-1))] (eq. 21). Where all wrong classes are equally
    likely it is label smoothing (eq. 15). Identity at beta = inf. A distribution q is moved class
    by class, T(q) = sum_c q_c T(e_c). No gradient flows through the logits.

    Args:
        y: Classes (N,), or distributions (N, K) with rows on the simplex (assumed, not checked).
        z: Logits at the clean image, shape (N, K).
        beta: How many times the class outweighs any other, at least 0; the paper: 9, on ImageNet
            100.
        gamma: What the most confusing class keeps of its share, above 0.

    Returns:
        Distributions, shape (N, K), of the dtype of y where y is a distribution, else of z but at
        least float32; neither is modified.

    Raises:
        InputError: If beta or gamma is out of range, or labels and logits do not fit together.

    Example:
        >>> p = torch.tensor([[0.91] + [0.01] * 9])
        >>> bilateral(torch.tensor([0]), p.log(), beta=9.0)[0, :3]
        tensor([0.5000, 0.0556, 0.0556])

    Differs from the paper: nothing. The authors' code takes :math:`-\log(p_k + 10^{-8})`, which
    levels all classes below 1e-8. Cost: no forward, no backward pass.
    """
    number("beta", beta, low=0.0)
    number("gamma", gamma, low=0.0, open_low=True, open_high=True)
    q, v = _precise(y, z)
    n = v.shape[1] - 1
    is_mc, v_mc = _over_the_others(v, largest=False)
    _, v_ll = _over_the_others(v, largest=True)
    # From the least loss on, so that gamma keeps its digits beside a large one.
    low = v.amin(dim=1, keepdim=True)
    mean = (v - low).sum(dim=1, keepdim=True).sub(v - low) / n
    spread = (mean - (v_mc - low)).clamp_min(0.0) + gamma
    eps_y = 1 / (1 + beta / n * (v_ll - v_mc + gamma) / spread)  # eq. 18
    share = q * eps_y / (n * spread)
    given = _spread(share, is_mc, v - low, v_mc - low, gamma=gamma)  # eq. 14
    return (q * (1 - eps_y) + given).to(y.dtype if y.ndim == 2 else widen(z).dtype)


def projected_gradient(y: Tensor, z: Tensor, *, eps: float, step_size: float) -> Tensor:
    r"""Take one step along the loss, back into the linf ball of radius eps and onto the simplex.

    .. math::
        y' = \Pi_{S_y}(y + \alpha \nabla_y L), \quad \nabla_{y_k} L = -\log p_k, \quad
        S_y = \{q : \|q - y\|_\infty \le \epsilon,\ q \ge 0,\ \textstyle\sum_k q_k = 1\}
        \quad (eq. 9, 12 and 13)

    The projection is the exact nearest point. Identity at eps = 0. No gradient flows through the
    logits.

    Args:
        y: Classes (N,), or distributions (N, K) with rows on the simplex (assumed, not checked).
        z: Logits, shape (N, K).
        eps: Radius of the ball, in [0, 1]: the largest change of any probability.
        step_size: alpha, at least 0. The paper gives no value.

    Returns:
        Distributions, shape (N, K), of the dtype of y where y is a distribution, else of z but at
        least float32; neither is modified.

    Raises:
        InputError: If eps or the step is out of range, or labels and logits do not fit together.

    Example:
        >>> z = torch.tensor([[2.0, 0.0, -1.0]])
        >>> projected_gradient(torch.tensor([0]), z, eps=0.3, step_size=0.1)
        tensor([[0.8333, 0.0333, 0.1333]])

    Cost: no forward, no backward pass.
    """
    number("eps", eps, low=0.0, high=1.0)
    number("step_size", step_size, low=0.0, open_high=True)
    q, v = _precise(y, z)
    low, high = (q - eps).clamp_min(0.0), (q + eps).clamp_max(1.0)
    return _nearest(q + step_size * v, low, high).to(y.dtype if y.ndim == 2 else widen(z).dtype)


def _precise(y: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
    """Write labels as distributions and logits as losses v, in double precision where there is."""
    logits(z, n=y.shape[0], values=False)
    labels(y, n=z.shape[0], num_classes=z.shape[1], values=y.device.type == "cpu")
    z = z.detach().to(torch.float32 if z.device.type == "mps" else torch.float64)
    return as_distribution(y, like=z), -functional.log_softmax(z, dim=1)


def _over_the_others(v: Tensor, *, largest: bool) -> tuple[Tensor, Tensor]:
    """Give for each class the extreme of the others, and tell which class is itself the extreme."""
    values, places = v.topk(2, dim=1, largest=largest)
    is_extreme = torch.zeros_like(v, dtype=torch.bool).scatter_(1, places[:, :1], True)
    return is_extreme, torch.where(is_extreme, values[:, 1:], values[:, :1])


def _spread(share: Tensor, is_mc: Tensor, v: Tensor, v_mc: Tensor, *, gamma: float) -> Tensor:
    """Sum share_c (v_k - v_mc_c + gamma) over all c != k; v_mc differs for one c only."""
    rest = share.masked_fill(is_mc, 0.0)
    own = (share - rest).sum(dim=1, keepdim=True)
    beside = v_mc.masked_fill(~is_mc, 0.0).sum(dim=1, keepdim=True)
    from_rest = (rest.sum(dim=1, keepdim=True) - rest).clamp_min(0.0) * (v + gamma)
    return from_rest + (own * (v - beside + gamma)).masked_fill(is_mc, 0.0)


def _nearest(u: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Find the point of the box with sum 1 that is nearest to u: u - tau, clipped to the box."""
    # The sum falls with tau in straight pieces: a class from u - high on, and until u - low.
    at, order = torch.cat([u - high, u - low], dim=1).sort(dim=1)
    slope = torch.where(order < u.shape[1], -1.0, 1.0).to(u.dtype).cumsum(dim=1)
    drop = (slope[:, :-1] * at.diff(dim=1)).cumsum(dim=1)
    total = torch.cat([torch.zeros_like(drop[:, :1]), drop], dim=1) + high.sum(dim=1, keepdim=True)
    piece = ((total >= 1).sum(dim=1, keepdim=True) - 1).clamp(0, at.shape[1] - 2)
    falling = slope.gather(1, piece).clamp_max(-1.0)
    tau = at.gather(1, piece) + (1 - total.gather(1, piece)) / falling
    return torch.minimum(torch.maximum(u - tau, low), high)


@dataclass(frozen=True, kw_only=True)
class Bilateral:
    """The move of `bilateral`, BAT's label adversary.

    Args:
        beta: How many times the class outweighs any other, at least 0; infinity keeps the label.
        gamma: What the most confusing class keeps of its share, above 0.
        at: Whose logits it looks at, "clean" as in the authors' code, or "neighbour".

    Example:
        >>> Bilateral(beta=1.0)(torch.tensor([[1.0, 0.0]]), torch.zeros(1, 2))
        tensor([[0.5000, 0.5000]])
    """

    beta: float = 9.0
    gamma: float = 0.01
    at: Point = "clean"

    def __post_init__(self) -> None:
        number("beta", self.beta, low=0.0)
        number("gamma", self.gamma, low=0.0, open_low=True, open_high=True)
        choice("at", self.at, POINTS)

    def __call__(self, q: Tensor, z: Tensor, *, mix: Mix | None = None) -> Tensor:
        """Move the labels away from what z finds likely."""
        del mix
        return bilateral(distributions(q), z, beta=self.beta, gamma=self.gamma)


@dataclass(frozen=True, kw_only=True)
class ProjectedGradient:
    """The move of `projected_gradient`, the alternative that BAT's heuristic replaces.

    Args:
        eps: The largest change of any probability, in [0, 1].
        step_size: Length of the step along -log p, at least 0. The paper gives no value.
        at: Whose logits it looks at, "clean" or "neighbour".

    Example:
        >>> ProjectedGradient(eps=0.5)(torch.tensor([[1.0, 0.0]]), torch.zeros(1, 2))
        tensor([[1., 0.]])
    """

    eps: float = 0.5
    step_size: float = 0.1
    at: Point = "clean"

    def __post_init__(self) -> None:
        number("eps", self.eps, low=0.0, high=1.0)
        number("step_size", self.step_size, low=0.0, open_high=True)
        choice("at", self.at, POINTS)

    def __call__(self, q: Tensor, z: Tensor, *, mix: Mix | None = None) -> Tensor:
        """Step the labels towards what z finds unlikely."""
        del mix
        return projected_gradient(distributions(q), z, eps=self.eps, step_size=self.step_size)

r"""ALPS: adversarial labelling of perturbed samples (Guo, Zhang, Zheng, Mao; IJCAI 2021).

.. math::
    \min_\theta \frac{1}{|S|} \sum_{(i, j) \in S}
    \ell(f(\tilde x_{ij}),\, \rho(\tilde x_{ij}, y_i)),
    \quad \tilde x_{ij} = \lambda_{ij} x_i + (1 - \lambda_{ij}) x_j            (eq. 18, Algorithm 1)

Each image moves towards another one, never the label; the label moves towards the class that the
model finds least likely at the moved image, as far as the L1 ball of radius eps allows: that is the
exact inner maximum (Theorem 1, eq. 15), so the min-max problem costs no more than ERM.

Not here: the label move alone, `Vicinal(labels=LeastLikelyShift(eps=...))`, and the input move
alone, `ALPS(eps=0)`: the fair controls for what each half does.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from vicinal._checks import InputError, labels, number, training_batch, training_logits
from vicinal._typing import Model, Passes
from vicinal.inputs import Interpolate
from vicinal.labels import adversarial_cross_entropy, shift_to_least_likely
from vicinal.maths.losses import cross_entropy, widen

__all__ = ["ALPS"]


@dataclass(frozen=True, kw_only=True)
class ALPS:
    r"""Cross-entropy at interpolated images against the worst label in an L1 ball.

    ERM at eps = 0, mode = 1, concentration = inf.

    Args:
        eps: Radius of the L1 ball around the label, in [0, 2]; eps/2 is the probability moved. The
            paper keeps it in (0, 0.5) and gives no value.
        mode: The most likely weight of the image itself, in [0, 1]. The paper: (0.75, 1).
        concentration: a + b of the Beta distribution, above 2; 12 with mode 0.9 is Beta(10, 2).
            Infinity makes every weight equal to the mode. The paper gives no value.

    Example:
        >>> _ = torch.manual_seed(0)
        >>> model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10))
        >>> loss = ALPS(eps=0.2, mode=0.9)(model, torch.rand(8, 1, 8, 8), torch.arange(8))
        >>> loss.backward()

    Differs from the paper: the partner is drawn by a permutation of the batch, where Algorithm 1
    draws from the whole training set. What the paper leaves open: k* is over all classes (if it is
    y, the label stays), and label and loss share one train-mode forward. Cost: one forward and one
    backward pass.
    """

    eps: float = 0.2
    mode: float = 0.9
    concentration: float = 12.0

    def __post_init__(self) -> None:
        number("eps", self.eps, low=0.0, high=2.0)
        Interpolate(mode=self.mode, concentration=self.concentration)

    @classmethod
    def from_beta(cls, *, a: float, b: float, eps: float = 0.2) -> ALPS:
        """Make ALPS from the two shape parameters of its Beta distribution.

        Args:
            a: First shape parameter, at least 1.
            b: Second shape parameter, at least 1, with a + b > 2.
            eps: Radius of the L1 ball around the label, in [0, 2].

        Returns:
            ALPS with mode (a - 1)/(a + b - 2) and concentration a + b.

        Raises:
            InputError: If the distribution has no mode between 0 and 1.

        Example:
            >>> ALPS.from_beta(a=10.0, b=2.0)
            ALPS(eps=0.2, mode=0.9, concentration=12.0)
        """
        number("a", a, low=1.0, open_high=True)
        number("b", b, low=1.0, open_high=True)
        if a + b <= 2:
            raise InputError(f"`a` and `b` must satisfy a + b > 2; got {a:g} and {b:g}.")
        # Rounded otherwise (a + b - 2), the mode of Beta(a, 1) could come out above 1.
        mode = (a - 1) / ((a - 1) + (b - 1))
        return cls(eps=eps, mode=mode, concentration=a + b)

    @property
    def passes(self) -> Passes:
        """One of each: the same forward serves label and loss."""
        return Passes(1, 1)

    def __call__(
        self, model: Model, x: Tensor, y: Tensor, *, rng: torch.Generator | None = None
    ) -> Tensor:
        """Return the mean loss of one draw, Algorithm 1.

        Args:
            model: The model, in the mode in which it trains.
            x: Images, shape (N, C, H, W), in [0, 1], N >= 2.
            y: Classes (N,) or distributions (N, K).
            rng: Where draws come from; torch's global generator when not given.

        Returns:
            The mean loss, a scalar.
        """
        training_batch(x, y)
        moved = Interpolate(mode=self.mode, concentration=self.concentration)(model, x, y, rng=rng)
        z = widen(training_logits(model(moved.x), n=x.shape[0]))  # eq. 12
        labels(y, n=x.shape[0], num_classes=z.shape[1], values=y.device.type == "cpu")
        if y.ndim == 1:
            return adversarial_cross_entropy(z, y, eps=self.eps).mean()  # eq. 15 and 18
        rho = shift_to_least_likely(y.to(z.dtype), z.detach(), eps=self.eps)
        return cross_entropy(z, rho).mean()

r"""MART: misclassification-aware adversarial training (Wang, Zou, Yi, Bailey, Ma, Gu; ICLR 2020).

.. math:: \min_\theta \frac1N \sum_i BCE(f(x'_i), y_i)
          + \lambda\, KL(f(x_i) \,\|\, f(x'_i))\, (1 - f_{y_i}(x_i))            (eq. 11)

The adversary is PGD's, as in adversarial training; of the image itself the loss asks only that the
prediction stay where it is, and the more so the less the class is believed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from vicinal._checks import InputError, labels, number, training_batch, training_logits
from vicinal._typing import BatchNormMode, Model, Passes
from vicinal.inputs import PGD
from vicinal.maths.losses import cross_entropy, kl_divergence, widen

__all__ = ["MART", "boosted_cross_entropy"]


def boosted_cross_entropy(z: Tensor, y: Tensor) -> Tensor:
    r"""Compute the cross-entropy with a margin term per example.

    .. math:: BCE(f(x'), y) = -\log f_y(x') - \log(1 - \max_{k \neq y} f_k(x'))

    From logits, so that it stays finite when a wrong class has all the probability.

    Args:
        z: Logits, shape (N, K).
        y: Classes, shape (N,).

    Returns:
        Losses, shape (N,), float32 or wider.

    Example:
        >>> boosted_cross_entropy(torch.tensor([[0.0, 0.0]]), torch.tensor([1]))
        tensor([1.3863])
    """
    z, y = widen(z), y.long()
    rival = z.scatter(1, y.unsqueeze(1), -torch.inf).argmax(dim=1, keepdim=True)
    without = z.scatter(1, rival, -torch.inf).logsumexp(dim=1)
    return cross_entropy(z, y) + z.logsumexp(dim=1) - without


@dataclass(frozen=True, kw_only=True)
class MART:
    r"""Boosted cross-entropy at the adversary, and a divergence weighted by disbelief.

    No strength makes it ERM: at beta = 0 and eps = 0 the margin term is left. Needs classes: it
    asks how far the class itself is believed.

    Args:
        beta: Weight of the divergence, the paper's lambda, finite and at least 0.
        eps: Radius of the linf ball in pixel units, or one per channel (C,).
        step_size: Step in pixel units, or one per channel (C,).
        steps: How many.
        random_start: Begin at a uniform draw from the ball.
        batchnorm: "eval", "train_frozen_stats" or "train", the mode while attacking, see
            `gradients.frozen`.

    Example:
        >>> _ = torch.manual_seed(0)
        >>> model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10))
        >>> loss = MART(beta=5.0)(model, torch.rand(8, 1, 8, 8), torch.arange(8))
        >>> loss.backward()

    Differs from the authors' code: PGD starts at a draw from the ball, where the code starts at the
    image plus 0.001 N(0, 1), and has eps 0.031, step 0.007; logarithms are taken of logits, where
    the code adds small constants to probabilities. As there, gradients flow through every factor.
    Cost: steps + 2 forward and steps + 2 backward passes.
    """

    beta: float = 5.0
    eps: float | Tensor = 8 / 255
    step_size: float | Tensor = 2 / 255
    steps: int = 10
    random_start: bool = True
    batchnorm: BatchNormMode = "eval"
    risks: ClassVar[int] = 2

    def __post_init__(self) -> None:
        number("beta", self.beta, low=0.0, open_high=True)
        self._attack()

    @property
    def passes(self) -> Passes:
        """The attack's, and one of each at the adversary and at the image."""
        return Passes(self.steps + 2, self.steps + 2)

    def _attack(self) -> PGD:
        return PGD(
            eps=self.eps,
            step_size=self.step_size,
            steps=self.steps,
            random_start=self.random_start,
            batchnorm=self.batchnorm,
        )

    def __call__(
        self, model: Model, x: Tensor, y: Tensor, *, rng: torch.Generator | None = None
    ) -> Tensor:
        """Return the mean loss of the batch, eq. 11."""
        training_batch(x, y)
        if y.ndim != 1:
            raise InputError(
                "MART needs `y` as classes (N,): it weighs each image by the probability of its "
                f"class; got distributions of shape {tuple(y.shape)}. Did you mean y.argmax(1)?"
            )
        adv = self._attack()(model, x, y, rng=rng).x
        z = widen(training_logits(model(x), n=x.shape[0]))
        labels(y, n=x.shape[0], num_classes=z.shape[1], values=y.device.type == "cpu")
        moved = training_logits(model(adv), n=x.shape[0])
        disbelief = -torch.expm1(-cross_entropy(z, y))  # 1 - f_y(x)
        kept = (kl_divergence(z, moved) * disbelief).mean()
        return boosted_cross_entropy(moved, y).mean() + self.beta * kept

r"""TRADES: accuracy traded for smoothness (Zhang, Yu, Jiao, Xing, El Ghaoui, Jordan; ICML 2019).

.. math:: \min_\theta \frac1N \sum_i \ell(f(x_i), y_i)
          + \beta \max_{\|x' - x_i\|_\infty \le \epsilon} KL(f(x_i) \,\|\, f(x'))            (eq. 5)

Two risks, added: what the net says of the image, and how far what it says can be moved. The label
has no part in the second one, so the search for x' climbs the divergence itself (algorithm 1).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from vicinal._checks import choice, count, labels, number, training_batch, training_logits
from vicinal._typing import BatchNormMode, Model, Passes
from vicinal.gradients import ascend, detached, differentiable, frozen
from vicinal.inputs.pgd import check_ball
from vicinal.maths.balls import per_channel, project, steepest
from vicinal.maths.losses import cross_entropy, kl_divergence, widen
from vicinal.maths.randomness import normal

__all__ = ["TRADES"]


@dataclass(frozen=True, kw_only=True)
class TRADES:
    r"""Cross-entropy at the image, and beta times the divergence to its worst neighbour.

    ERM at beta = 0.

    Args:
        beta: Weight of the second risk, 1/lambda of the paper, finite and at least 0; 1 and 6 are
            the paper's.
        eps: Radius of the linf ball in pixel units, or one per channel (C,).
        step_size: Step in pixel units, or one per channel (C,).
        steps: How many.
        start: Standard deviation of the noise that the search starts from; at the image itself the
            divergence has no slope.
        batchnorm: "eval", "train_frozen_stats" or "train", the mode while searching, see
            `gradients.frozen`.

    Example:
        >>> _ = torch.manual_seed(0)
        >>> model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10))
        >>> loss = TRADES(beta=6.0)(model, torch.rand(8, 1, 8, 8), torch.arange(8))
        >>> loss.backward()

    Differs from the authors' code: eps 8/255 and step 2/255, where the code's defaults are 0.031
    and 0.007; f(x) is predicted once for the search, not once per step, and once for both risks,
    not twice; the divergence is taken between logarithms, so that it stays finite when a
    probability underflows. As there, the gradient flows through both of its sides. Cost: steps + 3
    forward and steps + 2 backward passes.
    """

    beta: float = 6.0
    eps: float | Tensor = 8 / 255
    step_size: float | Tensor = 2 / 255
    steps: int = 10
    start: float = 0.001
    batchnorm: BatchNormMode = "eval"
    risks: ClassVar[int] = 2

    def __post_init__(self) -> None:
        number("beta", self.beta, low=0.0, open_high=True)
        check_ball(self.eps, self.step_size, "linf", random_start=False)
        count("steps", self.steps, low=0)
        number("start", self.start, low=0.0, open_high=True)
        choice("batchnorm", self.batchnorm, ("eval", "train_frozen_stats", "train"))

    @property
    def passes(self) -> Passes:
        """One forward for f(x), the steps, and one of each for both risks."""
        return Passes(self.steps + 3, self.steps + 2)

    def __call__(
        self, model: Model, x: Tensor, y: Tensor, *, rng: torch.Generator | None = None
    ) -> Tensor:
        """Return the mean of both risks, eq. 5."""
        training_batch(x, y)
        far = self._farthest(model, detached(x), rng)
        z = widen(training_logits(model(x), n=x.shape[0]))
        labels(y, n=x.shape[0], num_classes=z.shape[1], values=y.device.type == "cpu")
        moved = training_logits(model(far), n=x.shape[0])
        return cross_entropy(z, y).mean() + self.beta * kl_divergence(z, moved).mean()

    def _farthest(self, model: Model, x: Tensor, rng: torch.Generator | None) -> Tensor:
        """Search the image whose prediction diverges most from that of x."""
        stride = per_channel(self.step_size, x)

        def move(at: Tensor, gradient: Tensor) -> Tensor:
            return project(at + stride * steepest(gradient), x, eps=self.eps)

        begin = project(x + self.start * normal(x.shape, x, rng), x, eps=self.eps)
        with frozen(model, batchnorm=self.batchnorm), differentiable():
            with torch.no_grad():
                z = training_logits(model(x), n=x.shape[0])
            return ascend(
                model, begin, lambda moved: kl_divergence(z, moved), steps=self.steps, move=move
            )

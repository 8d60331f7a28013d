r"""Feature scattering (Zhang and Wang 2019): a step that moves the batch as a whole, labels unseen.

.. math:: x' = \Pi_{B(x, \epsilon) \cap [0, 1]}
          (x_0 + \alpha\, \mathrm{sign} \nabla_{x_0} \mathrm{OT}(z(x), z(x_0)))

OT is the entropic transport cost between the clean and the moved batch, its cost 1 - cosine of the
logits. The gradient flows through the unrolled Sinkhorn iterations. Not here: those iterations,
which are `maths.transport`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from vicinal._checks import budget, choice, count, logits
from vicinal._typing import BatchNormMode, LossOfLogits, Model, Passes
from vicinal.gradients import detached, frozen
from vicinal.inputs.pgd import pgd
from vicinal.maths.mixing import Neighbour
from vicinal.maths.share import partners_from
from vicinal.maths.transport import TRANSPORTS, cosine_cost

__all__ = ["FeatureScatter", "scatter"]


def scatter(
    z: Tensor, *, transport: str = "sinkhorn", rng: torch.Generator | None = None
) -> LossOfLogits:
    """Say what feature scattering climbs: the transport cost from the clean batch's logits.

    Args:
        z: Logits of the clean batch, shape (N, K).
        transport: A name in `maths.transport.TRANSPORTS`.
        rng: The step's generator; a share of global scope joins the batches of all processes, so
            that the transport does not depend on their number.

    Returns:
        Logits (N, K) of the moved batch to one loss for the whole batch, shape (1,).
    """
    solve = TRANSPORTS[choice("transport", transport, TRANSPORTS)]
    everyone = partners_from(rng, z.shape[0])
    clean = detached(z) if everyone is None else everyone(detached(z))

    def height(moved: Tensor) -> Tensor:
        cost = cosine_cost(clean, moved if everyone is None else everyone(moved))
        return (solve(cost) * cost).sum().view(1)

    return height


@dataclass(frozen=True, kw_only=True)
class FeatureScatter:
    r"""Take a step that raises the transport cost between clean and moved batch.

    Every image is a partner of every other: what one image becomes depends on its batch. Identity
    at eps = 0.

    Args:
        eps: Radius in pixel units, or one per channel (C,). The authors: 8/255 of the range.
        step_size: Step in pixel units, or one per channel (C,).
        steps: How many.
        transport: "sinkhorn", 25 iterations in the log domain, or "paper", the authors' stopping
            rule and logarithm; both at entropy weight 0.01.
        batchnorm: "eval", "train_frozen_stats" or "train", see `gradients.frozen`; for the clean
            forward, too.

    Example:
        >>> _ = torch.manual_seed(0)
        >>> model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(4, 3))
        >>> x, y = torch.rand(5, 1, 2, 2), torch.zeros(5).long()
        >>> bool(((FeatureScatter()(model, x, y).x - x).abs() <= 8 / 255 + 1e-6).all())
        True

    Differs from the paper: by default the transport plan is computed by a fixed number of
    iterations; "paper" restores the authors'. As in their code, the random start may leave the
    pixel range before the gradient is taken. Of several processes each transports its own rows, as
    the authors' DataParallel does, unless `mix_scope` is "global".
    Cost: one forward for the clean batch, unless its logits are given, and `steps` forward and
    `steps` backward passes.
    """

    eps: float | Tensor = 8 / 255
    step_size: float | Tensor = 8 / 255
    steps: int = 1
    transport: str = "sinkhorn"
    batchnorm: BatchNormMode = "eval"

    def __post_init__(self) -> None:
        budget("eps", self.eps, unbounded=False)
        budget("step_size", self.step_size, unbounded=False)
        count("steps", self.steps)
        choice("transport", self.transport, TRANSPORTS)
        choice("batchnorm", self.batchnorm, ("eval", "train_frozen_stats", "train"))

    @property
    def passes(self) -> Passes:
        """Each step is one forward and one backward; the clean batch is one forward more."""
        return Passes(self.steps + 1, self.steps)

    @property
    def looks(self) -> bool:
        """Whether its clean logits are those of eval mode, which somebody else may know."""
        return self.batchnorm == "eval"

    def __call__(
        self,
        model: Model,
        x: Tensor,
        y: Tensor,
        *,
        rng: torch.Generator | None = None,
        z: Tensor | None = None,
    ) -> Neighbour:
        """Move the images; the labels are not looked at."""
        del y
        if z is None or not self.looks:
            with frozen(model, batchnorm=self.batchnorm), torch.no_grad():
                z = logits(model(x), n=x.shape[0], values=False)
        scattered = pgd(
            model,
            x,
            scatter(z, transport=self.transport, rng=rng),
            eps=self.eps,
            step_size=self.step_size,
            steps=self.steps,
            clip_start=False,
            batchnorm=self.batchnorm,
            rng=rng,
        )
        return Neighbour(scattered)

"""Uniform noise of the attacks' size: what no gradient and no search can do.

An attack that finds less than noise does has failed, and a model that noise breaks was never tested
by anything subtle. It is the floor of a table.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch
from torch import Tensor

from vicinal._checks import count, images, labels, logits
from vicinal._typing import Model, Norm, Passes
from vicinal.attacks.nearest import Nearest, check_radius
from vicinal.attacks.result import Result
from vicinal.attacks.search import checked
from vicinal.attacks.survivors import Survivors, pick
from vicinal.gradients import clean_logits, detached, frozen, undisturbed
from vicinal.maths.balls import distance, project, sample
from vicinal.maths.simplex import true_class

__all__ = ["UniformNoise"]


@dataclass(frozen=True, kw_only=True)
class UniformNoise:
    r"""Draw points of the ball around each image, and keep the worst of them.

    .. math:: x' = \Pi_{[0,1]}(x + \delta), \qquad \delta \sim U(B_p(0, \epsilon))

    Args:
        eps: Radius in pixel units.
        norm: "linf" or "l2".
        draws: How many for each image.
        compact_every: Images that were fooled leave the batch every so many draws; None for never.

    Example:
        >>> _ = torch.manual_seed(0)
        >>> model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 3))
        >>> x, y = torch.rand(4, 1, 4, 4), torch.tensor([0, 1, 2, 0])
        >>> UniformNoise(eps=8 / 255, draws=20)(model, x, y).passes
        Passes(forward=21, backward=0)

    Cost: one forward pass for each draw and one for the verdict.
    """

    eps: float
    norm: Norm = "linf"
    draws: int = 100
    compact_every: int | None = 10

    def __post_init__(self) -> None:
        check_radius(self.eps, self.norm, unbounded=False)
        count("draws", self.draws)
        if self.compact_every is not None:
            count("compact_every", self.compact_every)

    def __call__(
        self, model: Model, x: Tensor, y: Tensor, *, rng: torch.Generator | None = None
    ) -> Result:
        """Attack one batch.

        Args:
            model: The model; left as it was.
            x: Images, shape (N, C, H, W), in [0, 1]; not modified.
            y: Classes (N,) or distributions (N, K).
            rng: Where the draws come from; torch's global generator when not given.

        Returns:
            The result.
        """
        began = time.perf_counter()
        images(x)
        labels(y, n=x.shape[0])
        x, own = detached(x), true_class(detached(y))
        survivors = Survivors(x.shape[0], device=x.device, every=self.compact_every)
        with frozen(model), undisturbed(x), torch.no_grad():
            nearest = Nearest(x, own, eps=self.eps, norm=self.norm)
            for draw in range(self.draws):
                if draw and survivors.due(draw):
                    survivors.leave(nearest.done[survivors.rows])
                if len(survivors) == 0:
                    break
                # Drawn for all: what an image gets does not depend on who has left.
                noisy = sample(x, eps=self.eps, norm=self.norm, rng=rng)
                at, y_left = pick(
                    survivors.rows, project(noisy, x, eps=self.eps, norm=self.norm), y
                )
                z = logits(model(at), n=at.shape[0], values=draw == 0)
                labels(y_left, n=at.shape[0], num_classes=z.shape[1], values=draw == 0)
                survivors.spend(forward=1)
                nearest.visit(at, z, survivors.rows)
            nearest.check_seen()
            adv = nearest.within()
            z = checked(clean_logits(model, adv), y)
        spent = survivors.spent
        return Result(
            adv=adv,
            success=z.argmax(dim=1) != own,
            norms=distance(adv, x, norm=self.norm),
            passes=Passes(self.draws + 1, 0),
            seconds=time.perf_counter() - began,
            spent=Passes(spent.forward + x.shape[0], 0),
        )

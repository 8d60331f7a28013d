r"""MI-FGSM (Dong et al. 2018, algorithm 1): iterated FGSM whose gradients carry momentum.

.. math:: g_{t+1} = \mu\, g_t + \frac{\nabla_x \ell(f(x_t), y)}{\|\nabla_x \ell(f(x_t), y)\|_1},
          \qquad x_{t+1} = \Pi_{B(x, \epsilon) \cap [0, 1]}(x_t + \alpha\, \mathrm{sign}(g_{t+1}))

with :math:`\alpha = \epsilon / T` and no random start. A gradient of zero adds nothing and the
momentum carries on; elsewhere it becomes 0/0 and stops the image for good.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from vicinal._checks import InputError, choice, count, number
from vicinal._typing import Model, Norm
from vicinal.attacks.levers import Levers
from vicinal.attacks.pgd import check_stride
from vicinal.attacks.result import Result
from vicinal.attacks.search import Plan, check_plan, search
from vicinal.inputs.pgd import check_ball
from vicinal.inputs.targets import check_target
from vicinal.maths.losses import LOSSES

__all__ = ["MIFGSM"]


@dataclass(frozen=True, kw_only=True)
class MIFGSM:
    r"""Climb the loss by steps along the momentum of its normalised gradients (eq. 6 and 7).

    Args:
        eps: Radius in pixel units, or one per channel (C,) for linf; the paper's is 16/255.
        steps: How many steps, at least 1.
        step_size: Step in pixel units; None for the paper's eps / steps.
        momentum: The decay mu, in [0, 1] as a rule; 0 is iterated FGSM.
        norm: "linf", or "l2", whose step follows the momentum's direction (eq. 9).
        loss: What is climbed, "ce", "margin" or "dlr".
        target: None for any error; "least_likely", "most_confusing", "random" or classes (N,).
        iterate: "worst" keeps the strongest of all iterates; "last" judges the last, as the paper.
        compact_every: Fooled images leave the batch every so many steps; None keeps all.
        rounded: Judge, and return, the images rounded to 8 bits, to levels within the ball.
        eot: Average the gradient over so many draws of a model that draws at random.

    Example:
        >>> _ = torch.manual_seed(0)
        >>> model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 3))
        >>> x, y = torch.rand(4, 1, 4, 4), torch.tensor([0, 1, 2, 0])
        >>> result = MIFGSM(eps=0.1)(model, x, y)
        >>> bool((result.norms <= 0.1 + 1e-6).all()), str(result.passes)
        (True, '11+10')

    Cost: steps + 1 forward and steps backward passes; one forward more with a target, and with
    `rounded` or `eot` above 1; all of it `eot` times.
    """

    eps: float | Tensor
    steps: int = 10
    step_size: float | Tensor | None = None
    momentum: float = 1.0
    norm: Norm = "linf"
    loss: str = "ce"
    target: str | Tensor | None = None
    iterate: str = "worst"
    compact_every: int | None = None
    rounded: bool = False
    eot: int = 1

    def __post_init__(self) -> None:
        count("steps", self.steps)
        number("momentum", self.momentum, low=0.0, open_high=True)
        if self.step_size is None and not isinstance(self.eps, Tensor) and self.eps == math.inf:
            raise InputError("`step_size` must be given when eps is infinite; got None.")
        check_ball(self.eps, self._stride, self.norm, random_start=False)
        check_stride(self.eps, self._stride)
        choice("loss", self.loss, LOSSES)
        choice("iterate", self.iterate, ("worst", "last"))
        check_target(self.target)
        check_plan(self._plan)

    def __call__(
        self, model: Model, x: Tensor, y: Tensor, *, rng: torch.Generator | None = None
    ) -> Result:
        """Attack one batch.

        Args:
            model: The model; left as it was.
            x: Images, shape (N, C, H, W), in [0, 1]; not modified.
            y: Classes (N,) or distributions (N, K).
            rng: Where random targets come from; torch's global generator when not given.

        Returns:
            The result.
        """
        return search(self._plan, model, x, y, rng=rng)

    @property
    def _stride(self) -> float | Tensor:
        if self.step_size is not None:
            return self.step_size
        return self.eps / self.steps if isinstance(self.eps, (int, float, Tensor)) else self.eps

    @property
    def _plan(self) -> Plan:
        return Plan(
            eps=self.eps,
            step_size=self._stride,
            steps=self.steps,
            restarts=1,
            random_start=False,
            norm=self.norm,
            loss=self.loss,
            target=self.target,
            iterate=self.iterate,
            momentum=self.momentum,
            compact_every=self.compact_every,
            levers=Levers(),
            rounded=self.rounded,
            eot=self.eot,
        )

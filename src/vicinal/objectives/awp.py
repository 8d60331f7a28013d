r"""AWP: adversarial weight perturbation (Wu, Xia, Wang; NeurIPS 2020), around any objective.

.. math:: \min_\theta \max_{v} L(\theta + v), \quad
          \|v_l\| \le \gamma \|\theta_l\| \text{ for every layer } l            (eq. 7 and 8)

.. math:: v_l = \gamma \|\theta_l\| \frac{\nabla_{\theta_l} L}{\|\nabla_{\theta_l} L\|}, \quad
          \theta \leftarrow \theta - \eta \nabla L(\theta + v)            (eq. 10 and 11)

The loss is paid twice on one draw: at the weights, which says where it rises, and a small step up
from there, which gives the gradient. Adversaries are made once, at the weights themselves.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from vicinal._checks import InputError, number, training_batch
from vicinal._typing import Model, Objective, Passes
from vicinal.gradients import differentiable
from vicinal.maths.balls import steepest
from vicinal.objectives.erm import ERM
from vicinal.objectives.same_draws import same_draws
from vicinal.objectives.twice import FirstCall, SecondCall

__all__ = ["AWP"]


@dataclass(frozen=True, kw_only=True)
class AWP:
    """The loss of another objective where the weights are moved against it; that one at gamma = 0.

    The model keeps its weights: they are moved in the loss's graph alone, and its gradient is that
    of the weights as they are. So `AWP(objective=...)(model, x, y).backward()` is a whole step's.

    Args:
        objective: The loss.
        gamma: Length of each layer's move relative to the layer's own, finite and at least 0.

    Example:
        >>> _ = torch.manual_seed(0)
        >>> model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10))
        >>> loss = AWP(objective=ERM())(model, torch.rand(8, 1, 8, 8), torch.arange(8))
        >>> loss.backward()

    Weights of two or more axes that are trained move; biases and the scales of norms do not, as in
    the authors' code. BatchNorm's running averages move in the second pass only, as there. Both
    passes share draws and dropout masks, which the authors' code draws anew. Of several processes
    each moves the weights against its own rows. Leave the objective itself uncompiled. Cost: one
    forward and one backward more for every risk that the objective adds up.
    """

    objective: Objective = field(default_factory=ERM)
    gamma: float = 0.005

    def __post_init__(self) -> None:
        number("gamma", self.gamma, low=0.0, open_high=True)
        if not isinstance(self.objective, Objective) or isinstance(self.objective, type):
            raise InputError(
                "`objective` must be an objective, e.g. objectives.TRADES(); "
                f"got {self.objective!r}."
            )

    @property
    def risks(self) -> int:
        """How many training passes the loss takes, both calls together."""
        return 2 * int(getattr(self.objective, "risks", 1))

    @property
    def passes(self) -> Passes:
        """The objective's, and its loss's once more."""
        alone, again = self.objective.passes, self.risks // 2
        return Passes(alone.forward + again, alone.backward + again)

    def __call__(
        self, model: Model, x: Tensor, y: Tensor, *, rng: torch.Generator | None = None
    ) -> Tensor:
        """Return the loss at the moved weights, its gradient that of the weights."""
        training_batch(x, y)
        first = FirstCall(model)
        with same_draws(x, rng), differentiable():
            shift = self._uphill(model, self.objective(first, x, y, rng=rng))
        return self.objective(SecondCall(model, first, shift=shift), x, y, rng=rng)

    def _uphill(self, model: Model, loss: Tensor) -> dict[str, Tensor]:
        """Move each layer along its gradient by gamma times its own length, eq. 10."""
        moved = {n: w for n, w in model.named_parameters() if w.requires_grad and w.ndim > 1}
        if not moved:
            return {}
        found = torch.autograd.grad(loss, list(moved.values()), materialize_grads=True)
        return {
            name: self.gamma * weight.detach().norm() * _direction(gradient)
            for (name, weight), gradient in zip(moved.items(), found, strict=True)
        }


def _direction(gradient: Tensor) -> Tensor:
    return steepest(gradient.reshape(1, 1, 1, -1), norm="l2").view_as(gradient)

"""An objective called twice on one draw: first at the weights as they are, then beside them.

In the second call everything that came before the loss is the same: the draws, and the passes that
the objective made with all weights frozen, such as an attack's. Those passes are not made again;
their logits and input gradients are noted in the first call and given once more, in order.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn
from torch.func import functional_call

from vicinal._checks import logits
from vicinal._typing import Model
from vicinal.objectives.noted_pass import NotedPass

__all__ = ["FirstCall", "SecondCall"]


class FirstCall(nn.Module):
    """The model in the first call: frozen passes are noted, training passes move no statistics.

    Args:
        model: The model; its weights are used as they are, its buffers where passes are frozen.
    """

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.model, self.training = model, model.training
        self.noted: list[NotedPass] = []
        self._spare = {name: buffer.clone() for name, buffer in model.named_buffers()}

    def forward(self, x: Tensor) -> Tensor:
        """Predict."""
        if _trains(self.model):
            z: Tensor = functional_call(self.model, self._spare, (x,))
            return z
        noted = NotedPass()
        z = logits(self.model(noted.listen(x)), n=x.shape[0], values=False)
        noted.z = z.detach()
        self.noted.append(noted)
        return z


class SecondCall(nn.Module):
    """The model in the second call: frozen passes are given again, training passes are shifted.

    The weights themselves stay where they are: a pass uses their sums with the shift, through which
    the gradient falls on the weights unchanged.

    Args:
        model: The model.
        first: What the first call noted.
        shift: What is added to weights, by name.
    """

    def __init__(self, model: Model, first: FirstCall, *, shift: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.model, self.training = model, model.training
        self._left, self._shift = iter(first.noted), dict(shift)

    def forward(self, x: Tensor) -> Tensor:
        """Predict."""
        if _trains(self.model):
            own = dict(self.model.named_parameters())
            shifted = {name: own[name] + by for name, by in self._shift.items()}
            z: Tensor = functional_call(self.model, shifted, (x,))
            return z
        noted = next(self._left, None)
        again: Tensor = self.model(x) if noted is None else noted.repeat(x)
        return again


def _trains(model: Model) -> bool:
    return any(weight.requires_grad for weight in model.parameters())

"""An objective with its model as one module, so that torch's wrappers can take hold of it."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor, nn

from vicinal._checks import NotFinite
from vicinal._typing import Model

__all__ = ["Loss", "Risk"]


class Loss(Protocol):
    """What training needs of an objective."""

    def __call__(
        self, model: Model, x: Tensor, y: Tensor, *, rng: torch.Generator | None = None
    ) -> Tensor:
        """Return the scalar loss of a batch."""
        ...


class Risk(nn.Module):
    """The objective's loss of a batch as a module's forward pass: `risk(x, y, rng)`.

    DistributedDataParallel counts forward passes of what it wraps. An objective that passes through
    the model several times, or attacks it, must therefore lie inside the wrapper as a whole.

    Args:
        model: The model.
        objective: The loss.
        guarded: Whether logits that are not finite make the loss NaN, where the objective would
            raise: of several processes that average their gradients the others would wait forever.
            All of them raise at the next step, their weights being equal, and broken.

    Example:
        >>> net = nn.Flatten()
        >>> def mean(model, x, y, *, rng=None):
        ...     return model(x).mean()
        >>> Risk(net, mean)(torch.ones(2, 1, 2, 2), torch.tensor([0, 1])).item()
        1.0
    """

    def __init__(self, model: Model, objective: Loss, *, guarded: bool = False) -> None:
        super().__init__()
        self.model = _Guarded(model) if guarded else model
        self.objective = objective

    def forward(self, x: Tensor, y: Tensor, rng: torch.Generator | None = None) -> Tensor:
        """Return the loss of a batch."""
        loss = self.objective(self.model, x, y, rng=rng)
        return self.model.judge(loss) if isinstance(self.model, _Guarded) else loss


class _Guarded(nn.Module):
    """A model whose broken logits go on as zeros, and break the loss when the objective is done."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.module, self._broken = model, False

    def forward(self, x: Tensor) -> Tensor:
        """Predict; reading the logits is free on a CPU only, and nobody else reads them either."""
        z: Tensor = self.module(x)
        if z.device.type != "cpu" or bool(torch.isfinite(z.detach()).all()):
            return z
        self._broken = True
        return torch.nan_to_num(z, nan=0.0, posinf=0.0, neginf=0.0)

    def judge(self, loss: Tensor) -> Tensor:
        """Break the loss where logits were broken."""
        if not self._broken:
            return loss
        self._broken = False
        if not all(bool(w.isfinite().all()) for w in self.module.parameters()):
            raise NotFinite("the model must return finite logits; its weights are not.")
        return loss * torch.nan

r"""Averaged weights: an exponential moving average over the steps, in a second copy of the model.

After every step each number w of the model moves its average a by

    a <- d a + (1 - d) w,    d = min(decay, (1 + n) / (10 + n)),

n the number of steps averaged before. The smaller decay of the first steps is the warm-up: with
0.995 alone the random initial weights would still make up a third of the average after 200 steps.

BatchNorm's running statistics are averaged with the same decay, not copied: they are estimates for
the weights of the last steps, and averaged they are estimates for the window that the weights are
averaged over. Statistics of the last weights would meet features that no longer vary as they do.
Integers, such as BatchNorm's count of batches, are copied.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from vicinal._typing import Model
from vicinal.engine import checkpoint

__all__ = ["Average"]


class Average:
    """The moving average of a model's parameters and buffers.

    An update costs no model pass and does not make the host wait for the device.

    Args:
        model: What is averaged; the average begins as its copy.
        decay: The share of the old average that a late step keeps, in (0, 1).

    Example:
        >>> net = torch.nn.Linear(1, 1, bias=False)
        >>> average = Average(net, decay=0.9)
        >>> before = float(net.weight.detach())
        >>> with torch.no_grad():
        ...     _ = net.weight.add_(1.0)
        >>> average.update(net)  # d = min(0.9, 1 / 10)
        >>> round(float(average.model.weight) - before, 4)
        0.9
    """

    def __init__(self, model: Model, *, decay: float) -> None:
        self.model = copy.deepcopy(model).requires_grad_(requires_grad=False).eval()
        self._decay, self._updates = decay, 0

    @torch.no_grad()
    def update(self, model: Model) -> None:
        """Take the model's present numbers into the average.

        Args:
            model: The model after a step; not modified.
        """
        decay = min(self._decay, (1 + self._updates) / (10 + self._updates))
        self._updates += 1
        pairs = list(zip(_numbers(self.model), _numbers(model), strict=True))
        real = [(own, new) for own, new in pairs if own.is_floating_point()]
        torch._foreach_lerp_([own for own, _ in real], [new for _, new in real], 1 - decay)
        for own, new in pairs:
            if not own.is_floating_point():
                own.copy_(new)

    def state_dict(self) -> dict[str, Any]:
        """Say what a resume needs.

        Returns:
            The averaged numbers by name, and how many steps they average.
        """
        return {"model": self.model.state_dict(), "updates": self._updates}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a saved state.

        Args:
            state: What `state_dict` gave.
        """
        checkpoint.fill(self.model, state["model"], source="the averaged weights")
        self._updates = int(state["updates"])


def _numbers(model: Model) -> Iterable[Tensor]:
    yield from (parameter.detach() for parameter in model.parameters())
    yield from model.buffers()

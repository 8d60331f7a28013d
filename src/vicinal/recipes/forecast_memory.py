"""The memory of a training step or an attack, part by part, from what the parts are made of.

Parameters, gradients and copies are counted. An optimizer's state is found by one step over a probe
of a few numbers. What autograd keeps for the backward pass is watched at two small batches and
continued linearly; what an operation needs for itself while it runs is not in it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from vicinal.engine import OptimizerSpec

__all__ = [
    "Held",
    "Memory",
    "continued",
    "fitting_accumulate",
    "free_memory",
    "held",
    "optimizer_bytes",
    "tensor_bytes",
]

_PROBE = 7
"""Numbers in the probe of an optimizer: its state is then of this size or of one number."""

Continued = tuple[float, float]
"""Bytes that are always there, and bytes per image."""


@dataclass(frozen=True, kw_only=True)
class Memory:
    """Bytes of a job, by what they are for.

    Args:
        parameters: Weights and buffers.
        gradients: Of the weights.
        optimizer: Its state.
        copies: Of weights and buffers: the averaged ones, and those of the best epoch.
        activations: What autograd keeps for one backward pass.
        data: The images that lie on the device.

    Example:
        >>> Memory(parameters=4, activations=8).total
        12
    """

    parameters: int = 0
    gradients: int = 0
    optimizer: int = 0
    copies: int = 0
    activations: int = 0
    data: int = 0

    @property
    def total(self) -> int:
        """All of them."""
        fixed = self.parameters + self.gradients + self.optimizer + self.copies
        return fixed + self.activations + self.data


def tensor_bytes(tensor: Tensor) -> int:
    """Count the bytes of a tensor's elements.

    Args:
        tensor: A tensor, on the meta device too.

    Returns:
        The number.
    """
    return tensor.numel() * tensor.element_size()


def optimizer_bytes(spec: OptimizerSpec, model: nn.Module) -> int:
    """Count the bytes of an optimizer's state after its first step, without making that step.

    Args:
        spec: The optimizer.
        model: What it trains; only the shapes of its weights are looked at.

    Returns:
        The number.

    Example:
        >>> from vicinal.engine import SGD
        >>> optimizer_bytes(SGD(momentum=0.9), nn.Linear(3, 2)) == 4 * (3 * 2 + 2)
        True
    """
    probe = nn.Parameter(torch.zeros(_PROBE))
    probe.grad = torch.zeros(_PROBE)
    made = spec.build([probe])
    made.step()
    state = [value for value in made.state[probe].values() if isinstance(value, Tensor)]
    like_weights = sum(value.numel() == _PROBE for value in state)
    single = sum(tensor_bytes(value) for value in state if value.numel() != _PROBE)
    learning = [weight for weight in model.parameters() if weight.requires_grad]
    return sum(like_weights * tensor_bytes(weight) + single for weight in learning)


class Held:
    """Counts the bytes that autograd keeps, and the most that it kept at once.

    Args:
        model: What it keeps of the model's own weights and buffers costs nothing more.
    """

    def __init__(self, model: nn.Module) -> None:
        own = [*model.parameters(), *model.buffers()]
        self._own = {tensor.untyped_storage().data_ptr() for tensor in own}
        self._users: Counter[int] = Counter()
        self.now, self.peak = 0, 0

    def take(self, tensor: Tensor) -> tuple[int, int]:
        """Count a tensor that is kept; memory that is kept already counts once.

        Args:
            tensor: The tensor.

        Returns:
            Where its memory lies, and the bytes.
        """
        storage = tensor.untyped_storage()
        place, size = storage.data_ptr(), storage.nbytes()
        if place in self._own:
            return place, 0
        if self._users[place] == 0:
            self.now += size
            self.peak = max(self.peak, self.now)
        self._users[place] += 1
        return place, size

    def drop(self, place: int, size: int) -> None:
        """Take note that a tensor is kept no longer.

        Args:
            place: Where its memory lies.
            size: The bytes.
        """
        if size == 0:
            return
        self._users[place] -= 1
        if self._users[place] == 0:
            self.now -= size


class _Kept:
    """A tensor that autograd keeps; its end is noted."""

    def __init__(self, tensor: Tensor, ledger: Held) -> None:
        self.tensor, self._ledger = tensor, ledger
        self._entry = ledger.take(tensor)

    def __del__(self) -> None:
        self._ledger.drop(*self._entry)


@contextmanager
def held(model: nn.Module) -> Generator[Held]:
    """Watch what autograd keeps for its backward passes.

    Args:
        model: The model that is run inside.

    Yields:
        The count.

    Example:
        >>> net = nn.Sequential(nn.Linear(4, 8), nn.ReLU())
        >>> with held(net) as kept:
        ...     z = net(torch.rand(5, 4))
        >>> kept.peak == 4 * (5 * 4 + 5 * 8)  # the input of the one, the output of the other
        True
    """
    ledger = Held(model)
    hooks = torch.autograd.graph.saved_tensors_hooks(
        lambda tensor: _Kept(tensor, ledger), lambda kept: kept.tensor
    )
    with hooks:
        yield ledger


def continued(bytes_at: Callable[[int], int], *, small: int = 2) -> Continued:
    """Continue linearly the bytes of two small batches.

    Args:
        bytes_at: The bytes of a batch of so many images.
        small: The smaller batch; the other has twice as many.

    Returns:
        Bytes that are always there, and bytes per image.

    Example:
        >>> continued(lambda n: 100 + 10 * n)
        (100.0, 10.0)
    """
    few, more = bytes_at(small), bytes_at(2 * small)
    slope = max((more - few) / small, 0.0)
    return max(few - slope * small, 0.0), slope


def free_memory(device: torch.device) -> int | None:
    """Read how much memory is free.

    Args:
        device: Where.

    Returns:
        Bytes; None where the system does not tell.
    """
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    found = [line.split()[1] for line in lines if line.startswith("MemAvailable")]
    return 1024 * int(found[0]) if found and device.type == "cpu" else None


def fitting_accumulate(batch_size: int, *, free: float, per_image: float) -> int | None:
    """Find the fewest parts of a batch whose activations fit, equal parts where there are any.

    Args:
        batch_size: The batch of a step.
        free: Bytes for the activations of a part.
        per_image: Bytes of an image's activations.

    Returns:
        The number of parts, of at least two images each; None where none fits.

    Example:
        >>> fitting_accumulate(128, free=40.0, per_image=1.0)
        4
    """
    every = range(1, max(batch_size // 2, 1) + 1)
    equal = [parts for parts in every if batch_size % parts == 0]
    fitting = (k for k in (*equal, *every) if math.ceil(batch_size / k) * per_image <= free)
    return next(fitting, None)

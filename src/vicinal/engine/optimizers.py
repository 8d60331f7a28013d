"""Optimizers as values: a recipe's words, built over a model's parameters when the run begins.

The rate of every optimizer is its peak; `schedule` says which part of it a step takes. Weight decay
acts on all parameters, BatchNorm's and biases too, as in the PyTorch codes of the papers; with
`decay="weights"` on the kernels of convolutions and linear layers alone, as in the TensorFlow codes
(BAT, AVmixup).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeAlias, get_args

import torch
from torch import nn

from vicinal._checks import InputError, choice, number

__all__ = ["OPTIMIZERS", "SGD", "Adam", "Decay", "OptimizerSpec", "build_optimizer"]

Decay: TypeAlias = Literal["all", "weights"]
"""What weight decay acts on: every parameter, or kernels alone (tensors of two axes or more)."""


class OptimizerSpec(Protocol):
    """Anything that builds a torch optimizer over parameters; its repr identifies it in a run."""

    def build(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        """Build the optimizer."""
        ...


@dataclass(frozen=True, kw_only=True)
class SGD:
    """Stochastic gradient descent with momentum; the defaults are those of the papers' CIFAR runs.

    Args:
        lr: Peak rate, positive.
        momentum: In [0, 1).
        nesterov: Whether the momentum looks ahead; needs momentum > 0.
        weight_decay: Factor of the L2 penalty's gradient, added to the loss's.
        decay: What it acts on: "all", or "weights", which leaves out biases and the scales and
            shifts of normalisation.

    Raises:
        InputError: If a number is out of its range.

    Example:
        >>> SGD(lr=0.05).build([nn.Parameter(torch.zeros(2))]).defaults["momentum"]
        0.9
    """

    lr: float = 0.1
    momentum: float = 0.9
    nesterov: bool = False
    weight_decay: float = 1e-4
    decay: Decay = "all"

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises:
            InputError: If Nesterov is asked for without momentum.
        """
        _check_rates(self.lr, self.weight_decay, self.decay)
        number("momentum", self.momentum, low=0.0, high=1.0, open_high=True)
        if self.nesterov and self.momentum == 0:
            raise InputError("`nesterov` needs a momentum > 0; got 0. Drop nesterov?")

    def build(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        """Build torch's SGD.

        Args:
            parameters: What it updates.

        Returns:
            The optimizer, with no state yet.
        """
        return torch.optim.SGD(
            _groups(parameters, self.decay),
            lr=self.lr,
            momentum=self.momentum,
            nesterov=self.nesterov,
            weight_decay=self.weight_decay,
        )


@dataclass(frozen=True, kw_only=True)
class Adam:
    """Adam, with the L2 penalty inside the gradient as torch's `Adam` has it (not `AdamW`).

    Args:
        lr: Peak rate, positive.
        weight_decay: Factor of the L2 penalty's gradient.
        betas: Memory of the gradient's mean and of its square, each in [0, 1).
        decay: What the penalty acts on: "all", or "weights", which leaves out biases and the scales
            and shifts of normalisation.

    Raises:
        InputError: If a number is out of its range.

    Example:
        >>> Adam().build([nn.Parameter(torch.zeros(2))]).defaults["lr"]
        0.002
    """

    lr: float = 0.002
    weight_decay: float = 0.0
    betas: tuple[float, float] = (0.9, 0.999)
    decay: Decay = "all"

    def __post_init__(self) -> None:
        """Check the numbers; a list of betas, as files hold it, becomes a pair.

        Raises:
            InputError: If they are not two.
        """
        _check_rates(self.lr, self.weight_decay, self.decay)
        if not isinstance(self.betas, (tuple, list)) or len(self.betas) != 2:
            raise InputError(f"`betas` must be a pair of numbers; got {self.betas!r}.")
        first, second = (
            number("betas", beta, low=0.0, high=1.0, open_high=True) for beta in self.betas
        )
        object.__setattr__(self, "betas", (first, second))

    def build(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        """Build torch's Adam.

        Args:
            parameters: What it updates.

        Returns:
            The optimizer, with no state yet.
        """
        return torch.optim.Adam(
            _groups(parameters, self.decay),
            lr=self.lr,
            weight_decay=self.weight_decay,
            betas=self.betas,
        )


def _groups(parameters: Iterable[nn.Parameter], decay: Decay) -> list[Any]:
    """Part the parameters into those that decay and those that do not, where that is asked for."""
    every = list(parameters)
    if decay == "all":
        return every
    kernels = [parameter for parameter in every if parameter.ndim >= 2]
    others = [parameter for parameter in every if parameter.ndim < 2]
    groups = ({"params": kernels}, {"params": others, "weight_decay": 0.0})
    return [group for group in groups if group["params"]]


def _check_rates(lr: float, weight_decay: float, decay: str) -> None:
    choice("decay", decay, get_args(Decay))
    number("lr", lr, low=0.0, high=float("inf"), open_low=True, open_high=True)
    number("weight_decay", weight_decay, low=0.0, high=float("inf"), open_high=True)


def build_optimizer(
    parameters: Iterable[nn.Parameter], spec: OptimizerSpec
) -> torch.optim.Optimizer:
    """Build an optimizer over those parameters that learn, and remember each group's peak rate.

    Args:
        parameters: A model's parameters; those with `requires_grad` off are left out.
        spec: Which optimizer.

    Returns:
        The optimizer; every group carries its peak as "initial_lr", as torch's schedulers do.

    Raises:
        InputError: If no parameter learns.

    Example:
        >>> build_optimizer(nn.Linear(2, 2).parameters(), SGD()).param_groups[0]["initial_lr"]
        0.1
    """
    learning = [parameter for parameter in parameters if parameter.requires_grad]
    if not learning:
        raise InputError(
            "the model must have parameters that learn; got none with requires_grad. Is it frozen?"
        )
    optimizer = spec.build(learning)
    for group in optimizer.param_groups:
        group.setdefault("initial_lr", group["lr"])
    return optimizer


OPTIMIZERS: dict[str, type[SGD] | type[Adam]] = {"sgd": SGD, "adam": Adam}
"""The optimizers that a recipe can name."""

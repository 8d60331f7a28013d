"""A model that runs compiled, under the names and in the modes of the one that it stands for.

An objective switches its model to eval mode for an attack and back within every step. A compiled
module that is toggled so would be compiled anew each time (pytorch#110803), so there are two
compiled callables, one for training passes and one for all others, and the toggle only chooses.
They are functions of the model, not wrappers that own it: names of weights stay as they are.
"""

from __future__ import annotations

import types
from collections.abc import Callable

import torch
from torch import Tensor, nn

from vicinal._checks import InputError
from vicinal._typing import Model

__all__ = ["Compiled"]


class Compiled(nn.Module):
    """A model's compiled twin: the same parameters and modes, called through compiled code.

    A pass in which a submodule carries a hook runs uncompiled, for compiled code does not see it.
    Weights are saved from the model itself, never from here.

    Args:
        model: The model, not modified.
        backend: Of `torch.compile`, such as "inductor".

    Raises:
        InputError: If there is no such backend.

    Example:
        >>> net = nn.Linear(2, 3)
        >>> twin = Compiled(net, backend="eager")
        >>> next(twin.parameters()) is next(net.parameters())
        True
    """

    def __init__(self, model: Model, *, backend: str) -> None:
        super().__init__()
        if backend not in torch.compiler.list_backends(exclude_tags=()):
            raise InputError(
                f"`compile` must be one of {torch.compiler.list_backends()}; got {backend!r}."
            )
        self.model, self.backend = model, backend
        self.train(model.training)
        self._training_pass = _compile(backend)
        self._other_pass = _compile(backend)

    def forward(self, x: Tensor) -> Tensor:
        """Predict.

        Args:
            x: Images, shape (N, C, H, W).

        Returns:
            Logits, shape (N, K).

        Raises:
            InputError: If the backend cannot compile here.
        """
        if any(module._forward_hooks or module._forward_pre_hooks for module in self.modules()):
            return self.model(x)  # type: ignore[no-any-return]
        run = self._training_pass if self.training else self._other_pass
        try:
            return run(self.model, x)
        except torch._dynamo.exc.BackendCompilerFailed as error:
            raise InputError(
                f"`compile` needs a compiler that the backend {self.backend!r} can use; it failed "
                f"({_first_line(error.inner_exception)}). Install one (on a CPU a C++ compiler), "
                "or train without?"
            ) from error


def _compile(backend: str) -> Callable[[Model, Tensor], Tensor]:
    # Compiled code is cached per code object: a copy of it keeps the modes' caches apart.
    own = types.FunctionType(_call.__code__.replace(), globals(), "_call")
    return torch.compile(own, backend=backend)


def _call(model: Model, x: Tensor) -> Tensor:
    return model(x)  # type: ignore[no-any-return]


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0].rstrip(".")

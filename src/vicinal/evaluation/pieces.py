"""A batch that does not fit is judged piece by piece, with the draws of the whole batch.

An attack sees the whole batch always, so its random starts are the same however much memory there
is; only the model takes the images in pieces. Backward, each piece is run forward once more, so
that no more than one piece's activations are ever kept: the results are the same to rounding, at
the cost of one more forward pass for every backward pass (the reported passes are the attack's own,
without these).
"""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from vicinal._checks import InputError
from vicinal._typing import Attack, Model
from vicinal.attacks import Rounded, Transfer
from vicinal.evaluation.streams import generators

__all__ = ["InPieces", "Pieces", "Wrap", "with_source"]

_log = logging.getLogger("vicinal")

T = TypeVar("T")
Wrap = Callable[[Model], Model]
"""Makes a model take no more images at a time than fit."""


class _Run(torch.autograd.Function):
    """A model in pieces, differentiable in its images only."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, model: Model, size: int) -> Tensor:  # ruff: ignore[any-type]
        ctx.save_for_backward(x)
        ctx.model, ctx.size, ctx.arithmetic = model, size, _arithmetic(x.device.type)
        return torch.cat([model(piece) for piece in torch.split(x, size)])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:  # ruff: ignore[any-type]
        (x,) = ctx.saved_tensors
        found = []
        for piece, g in zip(torch.split(x, ctx.size), torch.split(gradient, ctx.size), strict=True):
            with torch.enable_grad(), torch.autocast(**ctx.arithmetic):
                leaf = piece.detach().requires_grad_(True)
                z = ctx.model(leaf)
            found.append(torch.autograd.grad(z, leaf, g)[0])
        return torch.cat(found), None, None


def _arithmetic(kind: str) -> dict[str, Any]:
    """Note what arithmetic a forward pass runs in: backward, mostly, that is over."""
    lowered = torch.is_autocast_enabled(kind)
    return {"device_type": kind, "dtype": torch.get_autocast_dtype(kind), "enabled": lowered}


class InPieces(nn.Module):
    """A model that takes at most so many images at a time; its weights learn nothing by it.

    Args:
        model: The model, in eval mode: an image's logits must not depend on its batch.
        size: How many images at a time.

    Example:
        >>> net = nn.Flatten()
        >>> x = torch.rand(5, 1, 2, 2)
        >>> bool((InPieces(net, size=2)(x) == net(x)).all())
        True
    """

    def __init__(self, model: Model, *, size: int) -> None:
        super().__init__()
        self.model, self._size = model, size

    def forward(self, x: Tensor) -> Tensor:
        """Run the model piece by piece."""
        z: Tensor = _Run.apply(x, self.model, self._size)  # type: ignore[no-untyped-call]
        return z


class Pieces:
    """Halves what a model takes at a time whenever memory runs out, and tries again.

    Example:
        >>> net, pieces = nn.Flatten(), Pieces()
        >>> pieces.run(lambda wrap: wrap(net) is net, n=8, rng=None)
        True
    """

    def __init__(self) -> None:
        self._size: int | None = None

    def run(self, call: Callable[[Wrap], T], *, n: int, rng: torch.Generator | None) -> T:
        """Do what needs a model, with as many images at a time as fit.

        Args:
            call: What to do; it wraps every model that it uses by what it is handed.
            n: Images of the batch.
            rng: What the call draws from; before a second try it is put back.

        Returns:
            What the call returns.

        Raises:
            InputError: If not even one image at a time fits.
        """
        states = _states(rng)
        while True:
            try:
                return call(self._wrap)
            except torch.OutOfMemoryError:
                size = min(self._size or n, n)
            # Only here has the exception, and with it the tensors of its frames, gone.
            if size == 1:
                raise InputError(
                    "memory must hold the model and one image with what an attack keeps of it; it "
                    "ran out of it. Another device, or a smaller model?"
                )
            self._size = (size + 1) // 2
            _log.warning("%d images do not fit in memory: %d at a time.", size, self._size)
            _put_back(rng, states)
            _tidy()

    def _wrap(self, model: Model) -> Model:
        return model if self._size is None else InPieces(model, size=self._size)


def with_source(attack: Attack, wrap: Wrap) -> Attack:
    """Wrap the model that an attack carries, where it carries one.

    Args:
        attack: The attack.
        wrap: What wraps a model.

    Returns:
        The attack, a transfer's source wrapped.
    """
    if isinstance(attack, Rounded):
        return replace(attack, attack=with_source(attack.attack, wrap))
    if not isinstance(attack, Transfer):
        return attack
    return replace(attack, source=wrap(attack.source))


def _states(rng: torch.Generator | None) -> list[Tensor]:
    if rng is not None:
        return [generator.get_state() for generator in generators(rng)]
    others = torch.cuda.get_rng_state_all() if _on_cuda() else []
    return [torch.get_rng_state(), *others]


def _put_back(rng: torch.Generator | None, states: list[Tensor]) -> None:
    if rng is not None:
        for generator, state in zip(generators(rng), states, strict=True):
            generator.set_state(state)
        return
    torch.set_rng_state(states[0])
    if len(states) > 1:
        torch.cuda.set_rng_state_all(states[1:])


def _tidy() -> None:
    gc.collect()
    if _on_cuda():
        torch.cuda.empty_cache()


def _on_cuda() -> bool:
    # Asking for anything else would wake up an accelerator that nobody uses.
    return bool(torch.cuda.is_initialized())  # type: ignore[no-untyped-call]

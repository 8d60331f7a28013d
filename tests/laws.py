"""The laws that every method keeps, each as one assertion with a name.

Nothing here knows a method. A law is stated about tensors, a model or a call; `test_laws.py` holds
every entry of `catalog.py` to them.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

_INTEGER_OF_SIZE = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


def assert_on_simplex(q: Tensor, *, tolerance: float = 1e-6) -> None:
    """Every row is non-negative and sums to 1."""
    assert q.ndim == 2
    assert float(q.min()) >= -tolerance, "a negative probability"
    torch.testing.assert_close(q.sum(dim=1), torch.ones_like(q[:, 0]), rtol=0, atol=tolerance)


def assert_in_unit_range(x: Tensor) -> None:
    """Every pixel is in [0, 1], without any tolerance."""
    assert torch.isfinite(x).all()
    assert float(x.min()) >= 0.0
    assert float(x.max()) <= 1.0


def assert_in_ball(
    x: Tensor, center: Tensor, *, eps: float, norm: str, tolerance: float = 1e-6
) -> None:
    """No image is farther than eps from its center."""
    delta = (x - center).flatten(1).double()
    size = delta.abs().amax(dim=1) if norm == "linf" else delta.square().sum(dim=1).sqrt()
    assert float(size.max()) <= eps + tolerance


def assert_same_bits(first: Tensor, second: Tensor) -> None:
    """Two tensors agree in shape, dtype and every bit (so that 0 and -0 differ)."""
    assert first.shape == second.shape
    assert first.dtype == second.dtype
    word = _INTEGER_OF_SIZE[first.element_size()]
    a, b = (t.detach().contiguous().view(-1).view(word) for t in (first, second))
    assert torch.equal(a, b)


@contextmanager
def assert_inputs_not_modified(*tensors: Tensor) -> Generator[None]:
    """The tensors handed over keep their bits, version, flag and gradient."""
    before = [(t.detach().clone(), t._version, t.requires_grad) for t in tensors]
    try:
        yield
    finally:
        for tensor, (bits, version, flag) in zip(tensors, before, strict=True):
            assert_same_bits(tensor, bits)
            assert tensor._version == version, "written in place"
            assert tensor.requires_grad == flag
            assert tensor.grad is None


@contextmanager
def assert_global_rng_untouched() -> Generator[None]:
    """No global generator moves: torch's, NumPy's and Python's."""
    torch_before = torch.get_rng_state()
    numpy_before = repr(np.random.get_state())
    python_before = random.getstate()
    try:
        yield
    finally:
        assert torch.equal(torch.get_rng_state(), torch_before)
        assert repr(np.random.get_state()) == numpy_before
        assert random.getstate() == python_before


def _snapshot(model: nn.Module) -> dict[str, Any]:
    def copy(tensor: Tensor | None) -> Tensor | None:
        return None if tensor is None else tensor.detach().clone()

    modules = dict(model.named_modules())
    hooks = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks")
    return {
        "mode": {name: module.training for name, module in modules.items()},
        "tracking": {
            name: getattr(module, "track_running_stats", None) for name, module in modules.items()
        },
        "hooks": {name: [len(getattr(m, h)) for h in hooks] for name, m in modules.items()},
        "flags": {name: weight.requires_grad for name, weight in model.named_parameters()},
        "identity": {name: id(weight) for name, weight in model.named_parameters()},
        "weights": {name: copy(weight) for name, weight in model.named_parameters()},
        "gradients": {name: copy(weight.grad) for name, weight in model.named_parameters()},
        "buffers": {name: copy(buffer) for name, buffer in model.named_buffers()},
    }


@contextmanager
def assert_model_unchanged(
    model: nn.Module, *, but: tuple[str, ...] = ()
) -> Generator[dict[str, Any]]:
    """Mode per submodule, buffers, weights, gradients, flags and hooks are as before.

    Holds after an exception too. `but` names the parts that may change.
    """
    before = _snapshot(model)
    try:
        yield before
    finally:
        after = _snapshot(model)
        for part in before.keys() - set(but):
            assert before[part].keys() == after[part].keys()
            for name, old in before[part].items():
                new = after[part][name]
                if isinstance(old, Tensor):
                    assert new is not None, f"{part} of {name} disappeared"
                    assert_same_bits(old, new)
                else:
                    assert old is new or old == new, f"{part} of {name or 'the model'} changed"


class Relabelled(nn.Module):
    """The same model with its classes renamed: new class j is the old class order[j]."""

    def __init__(self, net: nn.Module, order: Tensor) -> None:
        super().__init__()
        self.net, self.order = net, order

    def forward(self, x: Tensor) -> Tensor:
        z: Tensor = self.net(x)
        return z[:, self.order]


def relabelled(y: Tensor, order: Tensor) -> Tensor:
    """Rename the classes of labels as `Relabelled` does."""
    return order.argsort()[y] if y.ndim == 1 else y[:, order]


def assert_equivariant_to_relabelling(
    call: Callable[[nn.Module, Tensor], Tensor],
    model: nn.Module,
    y: Tensor,
    order: Tensor,
    *,
    tolerance: float = 1e-12,
) -> None:
    """A loss, or images, do not change when the classes are renamed in model and labels alike."""
    one = call(model, y)
    other = call(Relabelled(model, order), relabelled(y, order))
    torch.testing.assert_close(other, one, rtol=tolerance, atol=tolerance)


class Counting(nn.Module):
    """A model that counts the samples it sees forward, and those a gradient comes back for."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net, self.forwards, self.backwards = net, 0, 0

    def forward(self, x: Tensor) -> Tensor:
        z: Tensor = self.net(x)
        self.forwards += len(x)
        if z.requires_grad:
            z.register_hook(self._returned)  # type: ignore[no-untyped-call]
        return z

    def _returned(self, gradient: Tensor) -> None:
        self.backwards += len(gradient)

    def passes(self, n: int) -> tuple[int, int]:
        """Forward and backward passes over n samples, which must be whole numbers."""
        assert self.forwards % n == self.backwards % n == 0
        return self.forwards // n, self.backwards // n


def assert_one_line(error: BaseException, *phrases: str) -> None:
    """An error is one line, short, says what was expected, and ends as a sentence does."""
    text = str(error)
    assert "\n" not in text
    assert len(text) <= 320, text
    assert text.endswith((".", "?")), text
    for phrase in phrases:
        assert phrase in text, f"{phrase!r} is missing from: {text}"

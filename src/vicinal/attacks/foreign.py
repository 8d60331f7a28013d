"""Attacks of other packages in the list beside ours, judged and counted by the same rules.

What a foreign attack claims is not taken over: its images are judged once more by the model in eval
mode, pixel range and ball are checked, passes are counted at the model's door.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn

from vicinal._checks import InputError, budget, choice, images, labels
from vicinal._typing import Model, Norm, Passes
from vicinal.attacks.result import Result
from vicinal.attacks.search import checked
from vicinal.gradients import clean_logits, detached, frozen, undisturbed
from vicinal.maths.balls import distance, project
from vicinal.maths.randomness import integers
from vicinal.maths.simplex import true_class

__all__ = ["Foreign"]

_ROUNDING = 1e-5
"""How far a foreign attack may leave ball and range by its arithmetic; it is brought back."""


@dataclass(frozen=True, kw_only=True)
class Foreign:
    """Take the images of any callable (model, x, classes) -> x', and judge them.

    While it runs the model is in eval mode, its weights take no gradients, and torch's, NumPy's and
    Python's global generators are seeded from `rng` and put back afterwards where `rng` is given.
    Whatever it does to the model's mode, flags and gradients is undone.

    Args:
        call: The attack; it is handed the model, pixels in [0, 1], and classes (N,).
        norm: The norm in which perturbations are measured, "linf" or "l2".
        eps: The radius that it promises to keep, or one per channel (C,) for linf; None for none.
        outside: What becomes of images outside the ball or of [0, 1]: "refuse" is an error,
            "project" judges them after projection.

    Example:
        >>> def brighten(model, x, y):
        ...     return (x + 0.1).clamp(0, 1)
        >>> model = nn.Sequential(nn.Flatten(), nn.Linear(16, 3))
        >>> x, y = torch.rand(4, 1, 4, 4), torch.tensor([0, 1, 2, 0])
        >>> Foreign(call=brighten, eps=0.1)(model, x, y).passes
        Passes(forward=2, backward=0)

    Cost: what the callable spends, counted, and two forward passes: one on the clean images, before
    it runs, so that a model or labels that do not fit are refused, and one for the verdict.
    """

    call: Callable[[Model, Tensor, Tensor], Tensor] = field(repr=False)
    norm: Norm = "linf"
    eps: float | Tensor | None = None
    outside: str = "refuse"

    def __post_init__(self) -> None:
        if not callable(self.call):
            raise InputError(
                f"`call` must be callable as call(model, x, y), giving images; got {self.call!r}."
            )
        choice("norm", self.norm, ("linf", "l2"))
        if self.eps is not None:
            budget("eps", self.eps, norm=self.norm, unbounded=False)
        choice("outside", self.outside, ("refuse", "project"))

    def __call__(
        self, model: Model, x: Tensor, y: Tensor, *, rng: torch.Generator | None = None
    ) -> Result:
        """Attack one batch.

        Args:
            model: The model; left as it was.
            x: Images, shape (N, C, H, W), in [0, 1]; not modified.
            y: Classes (N,) or distributions (N, K).
            rng: What the global generators are seeded from while it runs.

        Returns:
            The result.

        Raises:
            InputError: If it returns no images of the same shape, or some outside.
        """
        began = time.perf_counter()
        images(x)
        labels(y, n=x.shape[0])
        x, y = detached(x), detached(y)
        n, own = x.shape[0], true_class(y)
        counter = _Counter()
        with undisturbed(x):
            right = checked(clean_logits(model, x), y).argmax(dim=1) == own
            with frozen(model), _unwritten(model), counter.at(model), _seeded(x, rng):
                given = self.call(model, x.clone(), own.clone())
            adv = self._inside(_returned(given, x), x)
            z = checked(clean_logits(model, adv), y)
        spent = Passes(counter.forward + 2 * n, counter.backward)
        return Result(
            adv=adv,
            success=z.argmax(dim=1) != own,
            norms=distance(adv, x, norm=self.norm),
            passes=Passes(-(-spent.forward // n), -(-spent.backward // n)),
            seconds=time.perf_counter() - began,
            clean_correct=right,
            spent=spent,
        )

    def _inside(self, adv: Tensor, x: Tensor) -> Tensor:
        """Check range and ball; what is outside by rounding alone is brought back."""
        held = project(adv, x, eps=torch.inf if self.eps is None else self.eps, norm=self.norm)
        off = distance(held, adv, norm="linf")
        far = off > _ROUNDING
        if self.outside == "refuse" and bool(far.any()):
            raise InputError(
                f"a foreign attack must return pixels in [0, 1]{self._ball()}; {int(far.sum())} of "
                f"{len(x)} images are outside, by up to {float(off.max()):.3g}. Is its budget in "
                "pixels of [0, 1]? Or Foreign(..., outside='project')?"
            )
        return held

    def _ball(self) -> str:
        if self.eps is None:
            return ""
        each = self.eps.tolist() if isinstance(self.eps, Tensor) else [self.eps]
        return f" within {self.norm} {', '.join(f'{eps:g}' for eps in each)} of the images"


def _returned(given: object, x: Tensor) -> Tensor:
    """Take what a foreign attack returned as images like those that it was given."""
    if isinstance(given, np.ndarray):
        given = torch.from_numpy(given)
    if not isinstance(given, Tensor) or given.shape != x.shape:
        got = tuple(given.shape) if isinstance(given, Tensor) else type(given).__name__
        raise InputError(
            f"a foreign attack must return images of shape {tuple(x.shape)}; got {got}. "
            "Where it returns more, take the images out in `call`."
        )
    adv = detached(given).to(device=x.device, dtype=x.dtype)
    if bool(torch.isnan(adv).any()):
        raise InputError("a foreign attack must return finite pixels; got NaN.")
    return adv


class _Counter:
    """Counts images at a model's door, and the gradients that come back."""

    def __init__(self) -> None:
        self.forward = self.backward = 0

    @contextmanager
    def at(self, model: Model) -> Generator[None]:
        handle = model.register_forward_hook(self._forward)
        try:
            yield
        finally:
            handle.remove()

    def _forward(self, model: nn.Module, given: tuple[Tensor, ...], z: object) -> None:
        del model, given
        if not isinstance(z, Tensor):
            return
        self.forward += len(z)
        if z.requires_grad:
            z.register_hook(self._backward)  # type: ignore[no-untyped-call]

    def _backward(self, gradient: Tensor) -> None:
        self.backward += len(gradient)


@contextmanager
def _unwritten(model: Model) -> Generator[None]:
    """Put back gradients of weights, their flags, and buffers, whatever is written meanwhile."""
    weights = [(w, w.grad, None if w.grad is None else w.grad.clone()) for w in model.parameters()]
    buffers = [(buffer, buffer.clone()) for buffer in model.buffers()]
    try:
        yield
    finally:
        for weight, gradient, bits in weights:
            weight.requires_grad_(False)
            weight.grad = gradient
            if gradient is not None and bits is not None:
                gradient.copy_(bits)
        for buffer, before in buffers:
            if not buffer.is_inference() and not torch.equal(buffer, before):
                buffer.copy_(before)


@contextmanager
def _seeded(x: Tensor, rng: torch.Generator | None) -> Generator[None]:
    """Seed the global generators from rng, and put them back; nothing without rng."""
    if rng is None:
        yield
        return
    seed = int(integers(1, high=2**31 - 1, like=x, rng=rng))
    devices = [x.device] if x.device.type == "cuda" else []
    numpy_state, python_state = np.random.get_state(), random.getstate()
    with torch.random.fork_rng(devices=devices):
        try:
            torch.manual_seed(seed)
            np.random.seed(seed)
            random.seed(seed)
            yield
        finally:
            np.random.set_state(numpy_state)
            random.setstate(python_state)

"""How long a training step takes: real steps of the engine's on made-up images.

The first step, which warms up, counts only where it is alone. Where steps are slow, a smaller batch
is timed and scaled by the number of images.
"""

from __future__ import annotations

import statistics
import time
from contextlib import suppress

import torch
from torch import nn

from vicinal import data, engine
from vicinal.recipes import resolve
from vicinal.recipes.forecast_data import Sizes, made_up
from vicinal.recipes.forecast_memory import Memory
from vicinal.recipes.schema import Part, Recipe

__all__ = ["Clock", "timed", "wait_for"]

_STEPS = 6
"""Steps that are timed, the first of which only warms up."""


class _Enough(Exception):
    """The steps that were made suffice."""


class Clock:
    """Times steps, told of each by the engine, and ends them when there were enough.

    Args:
        device: What is waited for before the time is read.
        batch: Images of a step.
        left: Seconds in which it shall end.
    """

    def __init__(self, device: torch.device, *, batch: int, left: float) -> None:
        self._device, self._left = device, left
        self.batch, self.peak, self.steps = batch, 0, list[float]()
        wait_for(device)
        self._began = self._last = time.perf_counter()

    def __call__(self, done: int, steps: int) -> None:
        """Take note of a step; an exception of its own ends the epoch."""
        wait_for(self._device)
        now = time.perf_counter()
        self.steps.append(now - self._last)
        self._last = now
        if self._device.type == "cuda":
            self.peak = torch.cuda.max_memory_allocated(self._device)
        if done == steps or now - self._began + self.steps[-1] > self._left:
            raise _Enough

    @property
    def per_image(self) -> float:
        """Seconds of an image; the first step, which warms up, counts only where it is alone."""
        return statistics.median(self.steps[1:] or self.steps) / self.batch

    def words(self, recipe: Recipe) -> str:
        """Say how the seconds were found.

        Args:
            recipe: What they are for.

        Returns:
            Such as "5 steps of 128 made-up images".
        """
        count = max(len(self.steps) - 1, 1)
        steps = "1 step" if count == 1 else f"{count} steps"
        scaled = ", scaled to the batch" if self.batch != recipe.batch_size else ""
        plain = ", without compilation" if recipe.compile else ""
        files = ", without reading files" if recipe.dataset in data.FOLDERS else ""
        return f"{steps} of {self.batch} made-up images{scaled}{plain}{files}"

    def corrected(self, memory: Memory, micro: int) -> Memory:
        """Take what CUDA says that a step at the recipe's batch needs, where one was made.

        Args:
            memory: As counted.
            micro: Images of the recipe's micro-batch.

        Returns:
            The memory; what CUDA needed beyond the count is added to the activations.
        """
        counted = memory.total - memory.data
        more = self.peak - counted if self.batch >= micro else 0
        return Memory(**{**vars(memory), "activations": memory.activations + max(more, 0)})


def wait_for(device: torch.device) -> None:
    """Wait until an accelerator has done what it was told.

    Args:
        device: The accelerator; for a CPU there is nothing to wait for.
    """
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def timed(
    recipe: Recipe, model: nn.Module, sizes: Sizes, device: torch.device, *, left: float
) -> Clock:
    """Make real steps of the engine's on made-up images, with a rate that moves nothing.

    Args:
        recipe: A recipe whose model knows its data.
        model: Its net.
        sizes: Of its data set.
        device: Where to compute.
        left: About how many seconds the steps may take.

    Returns:
        The clock that has seen them.
    """
    began = time.perf_counter()
    clock = _steps(recipe, model, sizes, device, batch=min(4, recipe.batch_size), left=0.0)
    left -= time.perf_counter() - began
    affordable = int(left / 3 / clock.per_image)
    batch = min(recipe.batch_size, affordable)
    return clock if batch <= 4 else _steps(recipe, model, sizes, device, batch=batch, left=left)


def _steps(
    recipe: Recipe,
    model: nn.Module,
    sizes: Sizes,
    device: torch.device,
    *,
    batch: int,
    left: float,
) -> Clock:
    still = {"lr": 1e-12, "weight_decay": 0.0}
    update = {
        "batch_size": batch,
        "accumulate": recipe.accumulate if batch == recipe.batch_size else 1,
        "optimizer": Part(**{**recipe.optimizer.model_dump(), **still}),
    }
    probe = recipe.model_copy(update=update)
    loader = data.Loader(
        made_up(sizes, batch * _STEPS).train,
        batch_size=batch,
        pad=0 if sizes.streams else probe.augment.pad,
        flip=probe.augment.flip,
        device=device,
        channels_last=probe.channels_last,
    )
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    clock = Clock(device, batch=batch, left=left)
    epochs = engine.train(
        model,
        resolve.objective(probe),
        loader,
        optimizer=resolve.optimizer(probe),
        schedule=engine.Constant(),
        epochs=1,
        seed=probe.seed,
        precision=probe.precision,
        channels_last=probe.channels_last,
        ema=probe.ema,
        accumulate=probe.accumulate,
        report=clock,
    )
    with suppress(_Enough):
        list(epochs)
    return clock

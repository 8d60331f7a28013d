"""What a training would cost, before it begins: passes, memory, minutes.

Passes follow from the recipe: the objective says what a step needs. Minutes come from real steps on
made-up images, at the recipe's batch where they fit into a few seconds, else at a smaller one and
scaled by the number of images. No data are read, no folder is written, and no generator of the
caller's is drawn from.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from vicinal import engine
from vicinal._typing import Passes
from vicinal.recipes import resolve
from vicinal.recipes.forecast_data import Sizes, images_of, made_up, sizes_of, untrained
from vicinal.recipes.forecast_memory import (
    Continued,
    Memory,
    continued,
    fitting_accumulate,
    free_memory,
    held,
    optimizer_bytes,
    tensor_bytes,
)
from vicinal.recipes.forecast_time import timed
from vicinal.recipes.schema import Recipe
from vicinal.recipes.validation import is_judged

__all__ = ["TrainingForecast", "forecast_training"]


@dataclass(frozen=True, kw_only=True)
class TrainingForecast:
    """What a training would cost.

    Args:
        recipe: The resolved recipe.
        device: Where it would compute.
        sizes: The size of its data set.
        images: Images of an epoch.
        steps: Steps of an epoch.
        epochs: Epochs that are still to do.
        passes: Model passes of a step.
        memory: Bytes, by what they are for.
        free: Bytes that are free; None where the system does not tell.
        step_seconds: Of a step.
        timed: How the seconds were found, in words.
        accumulate: What to set `accumulate` to where the memory does not suffice.
    """

    recipe: Recipe
    device: torch.device
    sizes: Sizes
    images: int
    steps: int
    epochs: int
    passes: Passes
    memory: Memory
    free: int | None
    step_seconds: float
    timed: str
    accumulate: int | None = None

    @property
    def forward(self) -> int:
        """Forward passes over images, the validations' included."""
        trained = self.epochs * self.images * self.passes.forward
        return trained + self._judged * self._judgement.forward

    @property
    def backward(self) -> int:
        """Backward passes over images, the validations' included."""
        trained = self.epochs * self.images * self.passes.backward
        return trained + self._judged * self._judgement.backward

    @property
    def _judged(self) -> int:
        """How many held-out images the epochs to come judge, all judgements together."""
        last = self.recipe.epochs
        epochs = range(last - self.epochs + 1, last + 1)
        return (self.recipe.validation or 0) * sum(is_judged(self.recipe, e) for e in epochs)

    @property
    def _judgement(self) -> Passes:
        """Of a held-out image: one clean forward, and PGD's with its last look."""
        steps = self.recipe.evaluation.steps
        return Passes(steps + 2, steps)

    @property
    def seconds(self) -> float:
        """Of the whole training; a backward pass counts as two forward ones."""
        of_training = self.epochs * self.images * (self.passes.forward + 2 * self.passes.backward)
        per_image = self.step_seconds / self.recipe.batch_size
        if of_training == 0:
            return 0.0
        share = (self.forward + 2 * self.backward) / of_training
        return self.epochs * self.images * per_image * share

    @property
    def record(self) -> dict[str, Any]:
        """All of it as a record, JSON-able."""
        parts = vars(self.memory)
        return {
            "kind": "forecast",
            "job": "train",
            "recipe": self.recipe.name,
            "method": self.recipe.method,
            "scale": self.recipe.scale,
            "train_seed": self.recipe.seed,
            "dataset": self.recipe.dataset,
            "model": self.recipe.model.name,
            "device": str(self.device),
            "epochs": self.epochs,
            "steps": self.epochs * self.steps,
            "images": self.images,
            "passes": str(self.passes),
            "forward": self.forward,
            "backward": self.backward,
            "memory": {**parts, "total": self.memory.total, "free": self.free},
            "accumulate": self.accumulate,
            "step_seconds": self.step_seconds,
            "seconds": self.seconds,
            "timed": self.timed,
        }


def forecast_training(
    recipe: Recipe,
    *,
    device: torch.device,
    data_dir: Path | None = None,
    done: int = 0,
    seconds: float = 15.0,
) -> TrainingForecast:
    """Tell what a training would cost.

    Args:
        recipe: The resolved recipe.
        device: Where it would compute.
        data_dir: Where the data sets lie; looked at only for a set of one's own.
        done: Epochs that are done already.
        seconds: About how long the measurement may take.

    Returns:
        The forecast.

    Example:
        >>> from vicinal.recipes import files
        >>> chosen = files.recipe("alps/cifar10-vgg16", scale="smoke", overrides={"epochs": 2})
        >>> found = forecast_training(chosen, device=torch.device("cpu"), seconds=1.0)
        >>> found.forward == found.backward == 2 * 1297
        True
    """
    began = time.perf_counter()
    sizes = sizes_of(recipe, data_dir)
    steps, images = _epoch(images_of(recipe, sizes), recipe.batch_size)
    probe, model = untrained(recipe, sizes, device)
    bytes_held = _activations(probe, model, sizes, device)
    so_far = time.perf_counter() - began
    clock = timed(probe, model, sizes, device, left=max(seconds - so_far, 0.2 * seconds))
    memory = _memory(recipe, model, sizes, device, bytes_held)
    memory = clock.corrected(memory, _micro(recipe))
    free = free_memory(device)
    return TrainingForecast(
        recipe=recipe,
        device=device,
        sizes=sizes,
        images=images,
        steps=steps,
        epochs=max(recipe.epochs - done, 0),
        passes=resolve.objective(recipe).passes,
        memory=memory,
        free=free,
        step_seconds=clock.per_image * recipe.batch_size,
        timed=clock.words(recipe),
        accumulate=_advice(recipe, memory, free),
    )


def _epoch(n: int, batch_size: int) -> tuple[int, int]:
    """Count steps and images of an epoch; a last batch of one image is left out."""
    whole, rest = divmod(n, batch_size)
    return (whole, n - 1) if rest == 1 else (whole + (rest > 0), n)


def _micro(recipe: Recipe) -> int:
    return math.ceil(recipe.batch_size / recipe.accumulate)


def _activations(recipe: Recipe, model: nn.Module, sizes: Sizes, device: torch.device) -> Continued:
    """Watch what autograd keeps of an objective's own passes and of the loss's."""
    objective = resolve.objective(recipe)

    def bytes_at(n: int) -> int:
        part = made_up(sizes, n).train
        x = engine.on_device(part.x.float() / 255, device, channels_last=recipe.channels_last)
        rng = engine.generator(0, "forecast", device=device)
        with held(model) as kept, engine.autocast(recipe.precision, device):
            objective(model, x, part.y.to(device), rng=rng)
        return kept.peak

    model.train()
    with engine.isolated(recipe.seed, "forecast"):
        return continued(bytes_at)


def _memory(
    recipe: Recipe, model: nn.Module, sizes: Sizes, device: torch.device, found: Continued
) -> Memory:
    learning = [weight for weight in model.parameters() if weight.requires_grad]
    whole = sum(tensor_bytes(t) for t in (*model.parameters(), *model.buffers()))
    fixed, per_image = found
    return Memory(
        parameters=whole,
        gradients=sum(tensor_bytes(weight) for weight in learning),
        optimizer=optimizer_bytes(resolve.optimizer(recipe), model),
        copies=whole * ((recipe.ema is not None) + (recipe.select == "best")),
        activations=round(fixed + per_image * _micro(recipe)),
        data=_resident(recipe, sizes, device),
    )


def _resident(recipe: Recipe, sizes: Sizes, device: torch.device) -> int:
    """Bytes of the images and classes that lie on the device, padded and on a CPU as they were."""
    if sizes.streams:
        return 0
    n, pad = images_of(recipe, sizes), recipe.augment.pad
    c, h, w = sizes.shape
    padded = n * c * (h + 2 * pad) * (w + 2 * pad)
    beside = n * c * h * w if pad and device.type == "cpu" else 0
    held_out = (recipe.validation or 0) * (c * h * w + 8)
    return padded + beside + 8 * n + held_out


def _advice(recipe: Recipe, memory: Memory, free: int | None) -> int | None:
    if free is None or memory.total <= free:
        return None
    per_image = memory.activations / _micro(recipe)
    room = free - (memory.total - memory.activations)
    return fitting_accumulate(recipe.batch_size, free=room, per_image=per_image)

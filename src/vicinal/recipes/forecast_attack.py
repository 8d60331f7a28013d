"""What an evaluation would cost, before it begins: each attack tried on a few made-up images.

Passes are counted there, so those of an attack that stops early, or of a composite that drops
broken images, are those of this net on noise. What does not end in time is broken off and said to
be open.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from vicinal import data, engine, evaluation
from vicinal._typing import Attack
from vicinal.evaluation.results import CLEAN
from vicinal.recipes import files
from vicinal.recipes.device import pick_device
from vicinal.recipes.folder import data_folder
from vicinal.recipes.forecast_data import Sizes, made_up, sizes_of
from vicinal.recipes.forecast_memory import (
    Continued,
    Memory,
    continued,
    free_memory,
    held,
    tensor_bytes,
)
from vicinal.recipes.forecast_time import wait_for
from vicinal.recipes.judge import attacks_of
from vicinal.recipes.run import load

__all__ = ["AttackForecast", "forecast_attack", "forecast_evaluation"]

_FEW = 4
"""Images of the first try."""


@dataclass(frozen=True, kw_only=True)
class AttackForecast:
    """What an attack on a test set would cost.

    Args:
        attack: Its name, "clean" for none.
        n: How many images are attacked.
        forward: Forward passes per image; None where it did not end in time.
        backward: Backward passes per image, likewise.
        image_seconds: Per image, likewise.
        memory: Bytes, by what they are for.
        free: Bytes that are free; None where the system does not tell.
        timed: How the seconds were found, in words.
    """

    attack: str
    n: int
    forward: float | None
    backward: float | None
    image_seconds: float | None
    memory: Memory
    free: int | None
    timed: str

    @property
    def seconds(self) -> float | None:
        """Of all images; None where it is not known."""
        return None if self.image_seconds is None else self.n * self.image_seconds

    @property
    def record(self) -> dict[str, Any]:
        """All of it as a record, JSON-able."""
        known = self.forward is not None and self.backward is not None
        return {
            "kind": "forecast",
            "job": "evaluate",
            "attack": self.attack,
            "n": self.n,
            "forward": round(self.n * (self.forward or 0)) if known else None,
            "backward": round(self.n * (self.backward or 0)) if known else None,
            "memory": {**vars(self.memory), "total": self.memory.total, "free": self.free},
            "seconds": self.seconds,
            "timed": self.timed,
        }


def forecast_evaluation(
    path: str | Path,
    *,
    attacks: list[str],
    n: int | None = None,
    data_dir: str | Path | None = None,
    device: str = "auto",
    seconds: float = 15.0,
) -> list[AttackForecast]:
    """Tell what judging a run would cost.

    Args:
        path: The run folder.
        attacks: Attacks as texts; what they leave out of a budget is the recipe's.
        n: How many test images are attacked; by default as many as the recipe says.
        data_dir: Where the data sets lie; looked at only for a set of one's own.
        device: "auto", "cpu", "cuda" or "mps".
        seconds: About how long the measurement may take, all attacks together.

    Returns:
        One forecast for the clean images, which are all test images, and one per attack.
    """
    folder = Path(path)
    recipe = files.read(folder / "recipe.yaml")
    where = pick_device(device)
    model = load(folder, device=where.type)
    named = attacks_of(folder, attacks, device=where.type)
    sizes = sizes_of(recipe, data_folder(folder, data_dir))
    if recipe.channels_last:
        engine.to_channels_last(model)
    wanted = n if n is not None else recipe.evaluation.attack_subset
    each = seconds / (len(named) + 1)
    rows: Mapping[str, Attack | None] = {CLEAN: None, **named}
    return [
        forecast_attack(
            name,
            attack,
            model,
            sizes,
            n=sizes.test if attack is None else min(wanted or sizes.test, sizes.test),
            batch_size=recipe.evaluation.batch_size,
            channels_last=recipe.channels_last,
            seconds=each,
        )
        for name, attack in rows.items()
    ]


def forecast_attack(
    name: str,
    attack: Attack | None,
    model: nn.Module,
    sizes: Sizes,
    *,
    n: int,
    batch_size: int,
    channels_last: bool = False,
    seconds: float = 15.0,
) -> AttackForecast:
    """Tell what an attack would cost.

    Args:
        name: Its name.
        attack: The attack; None for clean images.
        model: The model; left as it was.
        sizes: Of the data set.
        n: How many images shall be attacked.
        batch_size: How many at a time.
        channels_last: Whether the images are laid out channels-last.
        seconds: About how long the measurement may take.

    Returns:
        The forecast.

    Example:
        >>> from vicinal.attacks import FGSM
        >>> sizes = Sizes(
        ...     shape=(1, 4, 4), num_classes=2, train=9, test=9, streams=False, source="made up"
        ... )
        >>> net = nn.Sequential(nn.Flatten(), nn.Linear(16, 2))
        >>> found = forecast_attack("fgsm", FGSM(eps=0.1), net, sizes, n=9, batch_size=9, seconds=1)
        >>> found.forward, found.backward
        (2.0, 1.0)
    """
    trial = _Trial(name, attack, model, sizes, channels_last=channels_last)
    largest = max(min(batch_size, n), 1)
    with _until(seconds, model, attack):
        trial.explore(largest, seconds)
    weights = sum(tensor_bytes(tensor) for tensor in (*model.parameters(), *model.buffers()))
    pixels = sizes.shape[0] * sizes.shape[1] * sizes.shape[2]
    resident = trial.device.type == "cpu" and not sizes.streams
    memory = Memory(
        parameters=weights,
        activations=round(trial.bytes_held[0] + trial.bytes_held[1] * largest),
        data=sizes.test * (pixels + 8) if resident else 0,
    )
    each = trial.costs_per_image
    return AttackForecast(
        attack=name,
        n=n,
        forward=each["forward"] if each else None,
        backward=each["backward"] if each else None,
        image_seconds=each["seconds"] if each else None,
        memory=memory,
        free=free_memory(trial.device),
        timed=f"{trial.tried} made-up images" if each else f"not through after {seconds:.0f} s",
    )


class _Trial:
    """An attack on few made-up images."""

    def __init__(
        self,
        name: str,
        attack: Attack | None,
        model: nn.Module,
        sizes: Sizes,
        *,
        channels_last: bool,
    ) -> None:
        weight = next(model.parameters(), None)
        self.device = torch.device("cpu") if weight is None else weight.device
        self._name, self._model, self._sizes = name, model, sizes
        self._attacks = {} if attack is None else {name: attack}
        self._channels_last = channels_last
        self.bytes_held: Continued = (0.0, 0.0)
        self.costs_per_image: dict[str, float] = {}
        self.tried = 0

    def explore(self, largest: int, seconds: float) -> None:
        """Find bytes and costs at two small batches, then the costs at the largest affordable."""
        began = time.perf_counter()
        few = max(min(_FEW, largest) // 2, 1)
        least = self._bytes_of(few)
        # What stands if the next is broken off.
        self.bytes_held = (0.0, least / few)
        self.bytes_held = continued(lambda n: least if n == few else self._bytes_of(n), small=few)
        left = seconds - (time.perf_counter() - began)
        size = min(largest, int(left / 2 / max(self.costs_per_image["seconds"], 1e-9)))
        if size > self.tried:
            self._run(size)

    def _run(self, n: int) -> None:
        """Attack n images, and note forward and backward passes and seconds of each."""
        split = made_up(self._sizes, n).train
        batches = data.Loader(split, batch_size=n, channels_last=self._channels_last)
        rng = engine.generator(0, "forecast")
        wait_for(self.device)
        began = time.perf_counter()
        with engine.isolated(0, "forecast"):
            verdicts = evaluation.evaluate(
                self._model, batches, attacks=self._attacks, rng=rng
            ).verdicts
        wait_for(self.device)
        spent = time.perf_counter() - began
        mine, clean = verdicts[self._name], verdicts[CLEAN]
        costs = {
            "forward": mine.forward,
            "backward": mine.backward,
            "seconds": spent if mine is clean else max(spent - clean.seconds, 0.0),
        }
        self.costs_per_image = {what: cost / n for what, cost in costs.items()}
        self.tried = n

    def _bytes_of(self, n: int) -> int:
        """The most that autograd keeps at once for n images."""
        with held(self._model) as kept:
            self._run(n)
        return kept.peak


class _Late(Exception):
    """The time for a trial is over."""


@contextmanager
def _until(seconds: float, model: nn.Module, attack: Attack | None) -> Generator[None]:
    """Break off at the first forward pass after the deadline, of the model or of a source."""
    deadline = time.perf_counter() + seconds
    source = getattr(attack, "source", None)

    def look(module: nn.Module, images: tuple[Tensor, ...]) -> None:
        if time.perf_counter() > deadline:
            raise _Late

    watched = [net for net in (model, source) if isinstance(net, nn.Module)]
    hooks = [net.register_forward_pre_hook(look) for net in watched]
    try:
        yield
    except _Late:
        pass
    finally:
        for hook in hooks:
            hook.remove()

"""What a campaign would cost, before it begins: what is left to do, its passes, memory, minutes.

Of every net a few training steps of one method are timed, the other methods' are scaled by their
passes; every attack is tried on a few made-up images with an untrained net. Nothing is written.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from vicinal._typing import Attack
from vicinal.campaigns.cells import BATCH, CLEAN, Evaluating, Measurement, Training
from vicinal.campaigns.gradient_norms import NORMS, Gradients
from vicinal.campaigns.plan import Facts, Plan, Request, Step, is_wanted, make_plan, values
from vicinal.campaigns.progress import epochs
from vicinal.campaigns.tables import Cell
from vicinal.campaigns.under_corruption import AllSeverities, is_corruption
from vicinal.recipes import attack_words, files, resolve
from vicinal.recipes.device import pick_device
from vicinal.recipes.forecast import TrainingForecast, forecast_training
from vicinal.recipes.forecast_attack import AttackForecast, forecast_attack
from vicinal.recipes.forecast_data import sizes_of, untrained

__all__ = ["CampaignForecast", "TaskForecast", "forecast", "makespan"]


@dataclass(frozen=True, kw_only=True)
class TaskForecast:
    """What one task would cost.

    Args:
        key: The task in words.
        kind: "train" or "evaluate".
        group: The tasks that differ from it in their seed only.
        forward: Forward passes over images; of an attack that did not end in time, none.
        backward: Backward passes, likewise.
        memory: Bytes.
        seconds: Likewise.
        known: Whether every part of it ended in time.
    """

    key: str
    kind: str
    group: str
    forward: int
    backward: int
    memory: int
    seconds: float
    known: bool = True


@dataclass(frozen=True, kw_only=True)
class CampaignForecast:
    """What a campaign would cost.

    Args:
        table: The table's name.
        scale: The recipes' scale.
        cells: How many cells are "measured", "to measure", "no data", "not yet", "left
            out", "cited".
        missing: Why recipes cannot run, each in a sentence.
        tasks: What is left to do.
        jobs: How many tasks run side by side.
        seconds: Until all are done, if tasks side by side do not slow each other.
        free: Bytes that are free; None where the system does not tell.
    """

    table: str
    scale: str
    cells: Mapping[str, int]
    missing: tuple[str, ...]
    tasks: tuple[TaskForecast, ...]
    jobs: int
    seconds: float
    free: int | None

    @property
    def memory(self) -> int:
        """Bytes of the largest tasks that can run side by side."""
        return sum(sorted((task.memory for task in self.tasks), reverse=True)[: self.jobs])

    @property
    def record(self) -> dict[str, Any]:
        """All of it as a record, JSON-able."""
        return {
            "kind": "forecast",
            "job": "reproduce",
            "table": self.table,
            "scale": self.scale,
            "cells": dict(self.cells),
            "missing": list(self.missing),
            "trainings": sum(task.kind == "train" for task in self.tasks),
            "evaluations": sum(task.kind == "evaluate" for task in self.tasks),
            "forward": sum(task.forward for task in self.tasks),
            "backward": sum(task.backward for task in self.tasks),
            "memory": {"total": self.memory, "free": self.free},
            "jobs": self.jobs,
            "seconds": self.seconds,
            "complete": all(task.known for task in self.tasks),
            "tasks": [dict(vars(task)) for task in self.tasks],
        }


def forecast(
    request: Request, *, jobs: int = 1, threads: int = 1, seconds: float = 60.0
) -> CampaignForecast:
    """Tell what a campaign would cost.

    Args:
        request: What is asked for.
        jobs: How many tasks would run side by side.
        threads: CPU threads of each.
        seconds: About how long the measurement may take, all nets and attacks together.

    Returns:
        The forecast.
    """
    plan = make_plan(request)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        trial = _Trial(plan, seconds=seconds)
        tasks = tuple(trial.task(step) for step in plan.steps)
    finally:
        torch.set_num_threads(before)
    return CampaignForecast(
        table=request.table,
        scale=request.scale,
        cells=Counter(_state(plan, cell) for cell in plan.cells),
        missing=tuple(dict.fromkeys(plan.missing.values())),
        tasks=tasks,
        jobs=jobs,
        seconds=makespan(plan.steps, {task.key: task.seconds for task in tasks}, jobs=jobs),
        free=trial.free,
    )


def _state(plan: Plan, cell: Cell) -> str:
    if cell.key == "cited":
        return "cited"
    if not plan.has_data(cell):
        return "no data"
    if cell.lacking:
        return "not yet"
    if len(values(plan, cell)) == len(plan.request.seeds):
        return "measured"
    return "to measure" if is_wanted(cell, plan.request) else "left out"


def makespan(steps: Sequence[Step], seconds: Mapping[str, float], *, jobs: int) -> float:
    """Find when the last of the tasks ends, each begun as soon as it may and a worker is free.

    Args:
        steps: The tasks in the order in which they are begun, and what they wait for.
        seconds: Of each task, by its key.
        jobs: How many run side by side.

    Returns:
        Seconds.
    """
    waiting = {step.task.key: step for step in steps}
    running: list[tuple[float, str]] = []
    open_, now = set(waiting), 0.0
    while open_:
        ready = (s for s in waiting.values() if not open_ & {s.training, s.source})
        for step in list(ready)[: jobs - len(running)]:
            key = step.task.key
            del waiting[key]
            heapq.heappush(running, (now + seconds[key], key))
        now, ended = heapq.heappop(running)
        open_.discard(ended)
    return now


class _Trial:
    """Measures each net and each attack once."""

    def __init__(self, plan: Plan, *, seconds: float) -> None:
        self._plan = plan
        self._device = pick_device(plan.request.device)
        self._facts = {facts.folder: facts for facts in plan.facts.values()}
        self._trained: dict[Path, TrainingForecast] = {}
        self._nets: dict[Path, nn.Module] = {}
        self._attacked: dict[tuple[Path, str], AttackForecast] = {}
        self._each = seconds / max(len(self._trials()), 1)
        self.free: int | None = None

    def _trials(self) -> set[tuple[Path, str]]:
        """What there is to measure: one training per net, and every attack on it."""
        found = set()
        for step in self._plan.steps:
            folder, task = step.task.run_dir.parent, step.task
            judged = task.measurements if isinstance(task, Evaluating) else ()
            found |= {(folder, one.attack) for one in judged} or {(folder, "")}
        return found

    def task(self, step: Step) -> TaskForecast:
        """Tell what a task would cost."""
        task = step.task
        return self._evaluate(task) if isinstance(task, Evaluating) else self._train(task)

    def _train(self, task: Training) -> TaskForecast:
        folder = task.run_dir.parent
        chosen = files.recipe(
            task.recipe,
            method=task.method,
            scale=task.scale,
            seed=task.seed,
            overrides=task.overrides,
        )
        if folder not in self._trained:
            self._trained[folder] = forecast_training(
                chosen,
                device=self._device,
                data_dir=task.data_dir,
                seconds=self._each,
            )
        timed = self._trained[folder]
        self.free = timed.free
        passes = resolve.objective(chosen).passes
        units = [p.forward + 2 * p.backward for p in (passes, timed.passes)]
        found = replace(
            timed,
            recipe=chosen,
            passes=passes,
            epochs=max(chosen.epochs - epochs(task.run_dir)[0], 0),
            step_seconds=timed.step_seconds * units[0] / units[1],
        )
        return TaskForecast(
            key=task.key,
            kind="train",
            group=f"train {folder.name} {task.method}",
            forward=found.forward,
            backward=found.backward,
            memory=found.memory.total,
            seconds=found.seconds,
        )

    def _evaluate(self, task: Evaluating) -> TaskForecast:
        folder = task.run_dir.parent
        parts = [self._attack(folder, one) for one in task.measurements]
        method = task.run_dir.name.rpartition("-seed")[0]
        return TaskForecast(
            key=task.key,
            kind="evaluate",
            group=f"evaluate {folder.name} {method}",
            forward=round(sum(part.n * (part.forward or 0.0) for part in parts)),
            backward=round(sum(part.n * (part.backward or 0.0) for part in parts)),
            memory=max(part.memory.total for part in parts),
            seconds=sum(part.seconds or 0.0 for part in parts),
            known=all(part.seconds is not None for part in parts),
        )

    def _attack(self, folder: Path, wanted: Measurement) -> AttackForecast:
        place = (folder, wanted.attack)
        facts = self._facts[folder]
        if place not in self._attacked:
            net = self._net(folder, facts)
            self._attacked[place] = forecast_attack(
                wanted.attack,
                _parsed(wanted.attack, net),
                net,
                sizes_of(facts.recipe, self._plan.request.data_dir),
                n=wanted.n,
                batch_size=BATCH,
                seconds=self._each,
            )
        self.free = self._attacked[place].free
        return self._attacked[place]

    def _net(self, folder: Path, facts: Facts) -> nn.Module:
        if folder not in self._nets:
            plain = facts.recipe.model_copy(update={"channels_last": False})
            sizes = sizes_of(plain, self._plan.request.data_dir)
            self._nets[folder] = untrained(plain, sizes, self._device)[1].eval()
        return self._nets[folder]


def _parsed(text: str, net: nn.Module) -> Attack | None:
    if text == CLEAN:
        return None
    if text == NORMS:
        return Gradients()
    if is_corruption(text):
        return AllSeverities(text=text)
    return attack_words.parse_attack(text, load=lambda _: net)

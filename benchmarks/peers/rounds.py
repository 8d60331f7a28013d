"""Rounds of attacks: all tools side by side, each round with a seed of its own, and resumable.

In a round every tool runs once, in every other round in the opposite order. A run that is finished
is a line in a file; who starts again goes on with the runs that have no line yet.
"""

from __future__ import annotations

import os
import platform
import tempfile
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks import reference_nets, report
from benchmarks.peers.budgets import Budget
from benchmarks.peers.packages import OURS, own_code, version
from benchmarks.peers.process import Place, Worker
from vicinal import records
from vicinal.recipes.environment import processor

__all__ = ["Plan", "Run", "circumstances", "finished", "pending", "placed", "run"]

_KEY = ("net", "attack", "tool", "repeat", "images", "batch", "eps", "device", "threads")


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is run, and how often.

    Args:
        budgets: The attacks, by net.
        tools: The tools, in the order of the first round.
        repeats: Rounds.
        images: How many test images, the first ones.
        place: Where; net and images are filled in.
        file: The lines.
    """

    budgets: Mapping[str, Sequence[Budget]]
    tools: Sequence[str]
    repeats: int
    images: int
    place: Place
    file: Path


@dataclass(frozen=True, kw_only=True)
class Run:
    """One tool with one attack on one net, once."""

    net: str
    budget: Budget
    tool: str
    repeat: int


def _key(plan: Plan, one: Run) -> tuple[Any, ...]:
    place = plan.place
    where = (plan.images, place.batch, one.budget.eps, place.device, place.threads)
    return (one.net, one.budget.attack, one.tool, one.repeat, *where)


def _marks(plan: Plan) -> dict[tuple[str, str], dict[str, Any]]:
    """Say of every net and tool which weights and which code a run of today has."""
    cards = _cards(plan.place)
    return {
        (net, tool): {
            "sha256": cards.get(net, {}).get("sha256"),
            "version": version(tool, plan.place.peers),
            "code": own_code() if tool in OURS else None,
        }
        for net in plan.budgets
        for tool in plan.tools
    }


def _is_of(line: Mapping[str, Any], net: str, marks: Mapping[str, Any]) -> bool:
    """Tell whether a line is of these weights and this code; what it does not say may be either."""
    told = {**line, "sha256": (line.get("sha256") or {}).get(net)}
    return all(
        told.get(name) is None or mark is None or told[name] == mark for name, mark in marks.items()
    )


def finished(plan: Plan) -> dict[tuple[Any, ...], dict[str, Any]]:
    """Read the runs that have a line.

    Args:
        plan: The plan.

    Returns:
        The last line of each, by what distinguishes it; a failed run is not among them.
    """
    if not plan.file.exists():
        return {}
    lines = (line for line in records.read(plan.file) if line.get("kind") == "attack")
    return {tuple(line[name] for name in _KEY): line for line in lines if "error" not in line}


def pending(plan: Plan) -> list[Run]:
    """List the runs that have no line yet, in the order in which they are to run.

    A line of other weights, of a peer's other version, or of ours from other code counts as none.

    Args:
        plan: The plan.

    Returns:
        The runs.
    """
    done, marks = finished(plan), _marks(plan)
    runs = [
        Run(net=net, budget=budget, tool=tool, repeat=repeat)
        for net, budgets in plan.budgets.items()
        for budget in budgets
        for repeat in range(plan.repeats)
        for tool in (plan.tools if repeat % 2 == 0 else plan.tools[::-1])
    ]
    lines = [(one, done.get(_key(plan, one))) for one in runs]
    return [
        one
        for one, line in lines
        if line is None or not _is_of(line, one.net, marks[one.net, one.tool])
    ]


@contextmanager
def placed(x: Tensor, y: Tensor) -> Generator[Path]:
    """Lay images where the workers find them.

    Args:
        x: Images (N, C, H, W), float32 in [0, 1].
        y: Classes (N,).

    Yields:
        An .npz file.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "images.npz"
        np.savez(file, x=x.numpy(), y=y.numpy())
        yield file


def run(
    plan: Plan,
    x: Tensor,
    y: Tensor,
    *,
    command: str,
    tick: Callable[[Run, Mapping[str, Any]], None],
) -> None:
    """Do every run that has no line yet; a line is written as soon as its run is finished.

    Args:
        plan: The plan.
        x: Images (N, C, H, W), float32 in [0, 1].
        y: Classes (N,).
        command: What was typed.
        tick: Told of every run and its answer.
    """
    plan.file.parent.mkdir(parents=True, exist_ok=True)
    facts = circumstances(command, plan.place)
    left = pending(plan)
    with placed(x, y) as images:
        for net, budgets in plan.budgets.items():
            place = replace(plan.place, net=net, images=images)
            for budget in budgets:
                these = [one for one in left if one.net == net and one.budget == budget]
                _side_by_side(plan, these, place, facts, tick)


def _side_by_side(
    plan: Plan,
    runs: Sequence[Run],
    place: Place,
    facts: Mapping[str, Any],
    tick: Callable[[Run, Mapping[str, Any]], None],
) -> None:
    """Run one attack with all tools, each in a new process that stays for all rounds."""
    with ExitStack() as stack:
        tools = dict.fromkeys(one.tool for one in runs)
        workers = {tool: stack.enter_context(Worker.started(tool, place)) for tool in tools}
        for one in runs:
            answer = workers[one.tool].ask(one.budget, seed=one.repeat)
            if "missing" not in answer:
                line = dict(zip(_KEY, _key(plan, one), strict=True))
                steps = {"steps": one.budget.steps, "kind_of_attack": one.budget.kind}
                now = datetime.now(UTC).isoformat(timespec="seconds")
                records.append(
                    plan.file,
                    {"kind": "attack", **line, **steps, **answer, **facts, "date": now},
                )
            tick(one, answer)


def circumstances(command: str, place: Place) -> dict[str, Any]:
    """Say under which circumstances the numbers come about.

    Args:
        command: What was typed.
        place: Where the tools work.

    Returns:
        Fields command, commit, code, hardware, torch, python and sha256, of the nets.
    """
    chip = f"{processor()}, {os.cpu_count()} cores"
    cuda = place.device.startswith("cuda")
    return {
        "command": command,
        "commit": report.commit(),
        "code": own_code(),
        "hardware": f"{torch.cuda.get_device_name(place.device)}; {chip}" if cuda else chip,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "sha256": {name: known["sha256"] for name, known in _cards(place).items()},
    }


def _cards(place: Place) -> dict[str, dict[str, Any]]:
    there = [name for name in reference_nets.NETS if (place.folder / f"{name}.json").is_file()]
    return {name: reference_nets.card(name, folder=place.folder) for name in there}

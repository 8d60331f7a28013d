"""A campaign's forecast: what is left to do and its passes, as the campaign itself finds them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from vicinal import records
from vicinal.campaigns import reproduce
from vicinal.campaigns.cells import Evaluating, Measurement, Training
from vicinal.campaigns.forecast import CampaignForecast, _Trial, forecast, makespan
from vicinal.campaigns.plan import Request, Step, make_plan


def _request(out: Path, table: str = "alps/demo", **fields: Any) -> Request:
    few = {"scale": "smoke", "seeds": (0,), "only": ("erm",), **fields}
    return Request(table=table, out=out, **few)


def _forecast(request: Request, *, jobs: int = 1) -> CampaignForecast:
    return forecast(request, jobs=jobs, seconds=60.0)


def test_passes_are_those_of_the_campaign_and_nothing_is_written(
    tmp_path: Path, tiny: dict[str, Any]
) -> None:
    out = tmp_path / "out"
    found = _forecast(_request(out, overrides=tiny))
    assert not out.exists()
    reproduce("alps/demo", scale="smoke", seeds=1, out=out, only=["erm"], overrides=tiny)
    folder = out / "digits-digits_net-smoke" / "erm-seed0"
    measured = records.read(folder / "results.jsonl")
    (judging,) = [task for task in found.tasks if task.kind == "evaluate"]
    assert judging.forward == sum(record["forward"] for record in measured)
    assert judging.backward == sum(record["backward"] for record in measured)
    training = [task for task in found.tasks if task.kind == "train"]
    assert [(task.forward, task.backward) for task in training] == [(100, 100)] * 2
    assert all(task.known for task in found.tasks)
    assert dict(found.cells) == {"to measure": 6, "left out": 24}

    after = _forecast(_request(out, overrides=tiny))
    assert (after.tasks, after.seconds, after.memory) == ((), 0.0, 0)
    assert dict(after.cells) == {"measured": 6, "left out": 24}


def test_what_has_no_data_is_said(tmp_path: Path) -> None:
    found = _forecast(_request(tmp_path / "out", "alps/table-2", scale="small"))
    assert set(found.cells) == {"no data"}
    assert not found.tasks
    assert any("cifar10" in sentence for sentence in found.missing)


def test_another_method_is_scaled_by_its_passes(tmp_path: Path, tiny: dict[str, Any]) -> None:
    """The net is timed once. ERM makes 1+1 passes, the other method 3+3."""
    recipe = tmp_path / "two.yaml"
    recipe.write_text(_TWO, encoding="utf-8")
    request = _request(tmp_path, "alps/table-2")
    plan = replace(make_plan(replace(request, overrides=tiny)), steps=[])
    trial = _Trial(plan, seconds=60.0)
    seconds = {}
    for method in ("plain", "more"):
        task = replace(
            _training(method), recipe=str(recipe), method=method, overrides={"epochs": 1}
        )
        seconds[method] = trial.task(Step(task=task))
    assert (seconds["plain"].forward, seconds["more"].forward) == (1297, 3 * 1297)
    assert seconds["more"].seconds / seconds["plain"].seconds == pytest.approx(3.0)


_TWO = """
paper: none
dataset: digits
model: {name: digits_net, width: 4}
epochs: 1
batch_size: 64
objective: {name: ERM}
optimizer: {name: sgd}
schedule: {name: constant}
default_method: plain
methods:
  plain: {}
  more:
    objective:
      name: Vicinal
      inputs: {name: PGD, eps: 0.1, step_size: 0.1, steps: 2}
"""


def _training(name: str) -> Training:
    return Training(
        recipe="r",
        method="m",
        scale="smoke",
        seed=0,
        overrides={},
        run_dir=Path("out") / "net" / name,
        data_dir=None,
        device="cpu",
    )


def _step(name: str, *, after: str | None = None, source: str | None = None) -> Step:
    run_dir = Path("out") / "net" / name
    if after is None and source is None and not name.startswith("judge"):
        task: Training | Evaluating = _training(name)
    else:
        task = Evaluating(
            run_dir=run_dir,
            measurements=(Measurement("clean", 1),),
            source_dir=None,
            data_dir=None,
            device="cpu",
        )
    return Step(
        task=task,
        training=after and f"train net {after}",
        source=source and f"train net {source}",
    )


def test_the_end_is_that_of_a_schedule_done_by_hand() -> None:
    steps = [
        _step("a"),
        _step("b"),
        _step("judge-a", after="a"),
        _step("judge-b", after="b", source="a"),
    ]
    names = ("train net a", "train net b", "evaluate net judge-a", "evaluate net judge-b")
    seconds = dict(zip(names, (5.0, 1.0, 2.0, 4.0), strict=True))
    assert makespan(steps, seconds, jobs=1) == 12.0
    assert makespan(steps, seconds, jobs=2) == 9.0  # a; b and idle; then both judge, 4 is longer
    assert makespan(steps, seconds, jobs=8) == 9.0
    assert makespan([], {}, jobs=2) == 0.0
    free = [_step(name) for name in "abcd"]
    lengths = {f"train net {name}": s for name, s in zip("abcd", (5.0, 1.0, 5.0, 5.0), strict=True)}
    assert makespan(free, lengths, jobs=2) == 10.0  # b ends at 1, c at 6; d begins at 5


def test_memory_is_that_of_the_largest_side_by_side(tmp_path: Path, tiny: dict[str, Any]) -> None:
    found = _forecast(_request(tmp_path / "out", overrides=tiny), jobs=2)
    largest = sorted(task.memory for task in found.tasks)
    assert found.memory == largest[-1] + largest[-2]
    assert replace(found, jobs=1).memory == largest[-1]


def test_threads_and_generators_are_left_as_they_were(tmp_path: Path, tiny: dict[str, Any]) -> None:
    torch.manual_seed(4)
    before = torch.get_rng_state()
    forecast(_request(tmp_path / "out", "alps/table-2", overrides=tiny), threads=2)
    assert torch.get_num_threads() == 1
    assert torch.equal(torch.get_rng_state(), before)

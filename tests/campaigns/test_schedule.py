"""The order of tasks, and what a failure takes with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from vicinal.campaigns.cells import Evaluating, Measurement, Training
from vicinal.campaigns.plan import Step
from vicinal.campaigns.progress import Event
from vicinal.campaigns.schedule import Schedule
from vicinal.campaigns.workers import Outcome, Task

OWN = Measurement("fgsm(eps=0.1)", 10)
BLACK = Measurement("transfer(source='erm-seed1000', attack=fgsm(eps=0.1))", 10)


class Fake:
    """A crew that does a task whenever asked, last started first, and fails those named."""

    def __init__(self, jobs: int, failing: set[str]) -> None:
        self.jobs = jobs
        self.failing = failing
        self.running: list[Task] = []
        self.done: list[Task] = []

    @property
    def free(self) -> int:
        return self.jobs - len(self.running)

    def start(self, task: Task) -> None:
        assert self.free > 0
        self.running.append(task)

    def wait(self) -> list[Outcome]:
        assert self.running
        task = self.running.pop()
        self.done.append(task)
        failed = task.key in self.failing
        return [Outcome(key=task.key, failure="why" if failed else None, trace="trace" * failed)]

    def close(self) -> None:
        pass


def training(name: str) -> Training:
    return Training(
        recipe="r",
        method=name,
        scale="smoke",
        seed=0,
        overrides={},
        run_dir=Path("group") / name,
        data_dir=None,
        device="cpu",
    )


def evaluating(name: str, *measurements: Measurement) -> Evaluating:
    source = Path("group") / "source" if BLACK in measurements else None
    return Evaluating(
        run_dir=Path("group") / name,
        measurements=measurements,
        source_dir=source,
        data_dir=None,
        device="cpu",
    )


def steps() -> list[Step]:
    source = training("source")
    found = [Step(task=source)]
    for name in ("a", "b", "c"):
        net = training(name)
        found.append(Step(task=net))
        task = evaluating(name, OWN, BLACK)
        found.append(Step(task=task, training=net.key, source=source.key))
    return found


def run(jobs: int, failing: set[str]) -> tuple[Schedule, Fake, list[Event], list[str]]:
    events: list[Event] = []
    logged: list[str] = []
    schedule = Schedule(steps(), listener=events.append, jobs=jobs, log=logged.append)
    crew = Fake(jobs, failing)
    schedule.run(crew)
    return schedule, crew, events, logged


@pytest.mark.parametrize("jobs", [1, 2, 3, 20])
def test_everything_is_done_once_and_after_what_it_needs(jobs: int) -> None:
    schedule, crew, _, _ = run(jobs, set())
    keys = [task.key for task in crew.done]
    assert sorted(keys) == sorted(step.task.key for step in steps())
    assert not schedule.failures
    for step in steps():
        for before in {step.training, step.source} - {None}:
            assert keys.index(str(before)) < keys.index(step.task.key)


@pytest.mark.parametrize("jobs", [1, 3])
def test_a_failed_training_loses_only_its_own_evaluation(jobs: int) -> None:
    schedule, crew, _, logged = run(jobs, {"train group b"})
    assert schedule.failures == {
        "train group b": "why",
        "evaluate group b": "its net could not be trained",
    }
    assert len(crew.done) == 6
    assert len(logged) == 1
    assert "train group b" in logged[0]


@pytest.mark.parametrize("jobs", [1, 3])
def test_a_failed_source_loses_only_the_black_box_numbers(jobs: int) -> None:
    schedule, crew, _, _ = run(jobs, {"train group source"})
    assert schedule.failures == {"train group source": "why"}
    measured = [task for task in crew.done if isinstance(task, Evaluating)]
    assert [task.measurements for task in measured] == [(OWN,)] * 3
    assert {task.source_dir for task in measured} == {None}


def test_an_evaluation_of_nothing_but_black_box_numbers_fails_with_the_source() -> None:
    source = training("source")
    task = evaluating("a", BLACK)
    schedule = Schedule(
        [Step(task=source), Step(task=task, source=source.key)],
        listener=lambda _: None,
        jobs=1,
        log=lambda _: None,
    )
    schedule.run(Fake(1, {source.key}))
    assert "source" in schedule.failures[task.key]


def test_events_count_every_task_and_name_the_failed() -> None:
    _, _, events, _ = run(2, {"train group b"})
    assert events[0].change == "planned"
    assert [event.done for event in events] == sorted(event.done for event in events)
    last = events[-1]
    assert (last.done, last.total) == (7, 7)
    assert sum(last.waiting.values()) == 0
    failed = {event.label: event.sentence for event in events if event.change == "failed"}
    assert failed["train group b"] == "why"
    started = {event.label for event in events if event.change == "started"}
    assert "evaluate group b" not in started


def test_nothing_to_do_asks_nobody() -> None:
    Schedule([], listener=lambda _: None, jobs=1, log=lambda _: None).run(Fake(1, set()))

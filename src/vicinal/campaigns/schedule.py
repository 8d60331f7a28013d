"""Which task comes next: a task starts when those before it ended; a failure loses only its own.

A net that could not be trained is not evaluated. Where only the source of the black-box examples
failed, the other measurements are still taken.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime

from vicinal.campaigns.cells import Evaluating, is_transfer
from vicinal.campaigns.plan import Step
from vicinal.campaigns.progress import Change, Event, Kind, Listener
from vicinal.campaigns.workers import Crew, Outcome

__all__ = ["Schedule"]


class Schedule:
    """Hands the steps of a plan to a crew, and tells a listener what happens.

    Args:
        steps: The steps, in the order in which they shall start.
        listener: Is told every change.
        jobs: How many tasks run side by side, for the listener.
        log: Takes the traceback of an unexpected failure.
    """

    def __init__(
        self, steps: Iterable[Step], *, listener: Listener, jobs: int, log: Callable[[str], None]
    ) -> None:
        self.failures: dict[str, str] = {}
        self._waiting = {step.task.key: step for step in steps}
        self._running: dict[str, Step] = {}
        self._ended: set[str | None] = {None}
        self._total = len(self._waiting)
        self._listener = listener
        self._jobs = jobs
        self._log = log

    def run(self, crew: Crew) -> None:
        """Do all tasks; `failures` then holds a sentence for each that failed.

        Args:
            crew: Who does them.
        """
        self._listener(self._event("planned"))
        while self._waiting or self._running:
            self._start_ready(crew)
            for outcome in crew.wait() if self._running else ():
                self._take(outcome)

    def _start_ready(self, crew: Crew) -> None:
        for step in tuple(self._waiting.values()):
            if step.training in self.failures:
                self._end(self._waiting.pop(step.task.key), "its net could not be trained")
            elif crew.free and self._ended.issuperset((step.training, step.source)):
                self._start(self._waiting.pop(step.task.key), crew)

    def _start(self, step: Step, crew: Crew) -> None:
        if step.source in self.failures and isinstance(step.task, Evaluating):
            rest = tuple(one for one in step.task.measurements if not is_transfer(one))
            if not rest:
                self._end(step, "the source of its black-box examples could not be trained")
                return
            step = replace(step, task=replace(step.task, measurements=rest, source_dir=None))
        self._running[step.task.key] = step
        self._listener(self._event("started", step))
        crew.start(step.task)

    def _take(self, outcome: Outcome) -> None:
        if outcome.trace:
            now = datetime.now().astimezone().isoformat(timespec="seconds")
            self._log(f"{now} {outcome.key}\n{outcome.trace}\n")
        self._end(self._running.pop(outcome.key), outcome.failure)

    def _end(self, step: Step, failure: str | None) -> None:
        self._ended.add(step.task.key)
        if failure is not None:
            self.failures[step.task.key] = failure
        self._listener(self._event("done" if failure is None else "failed", step))

    def _event(self, change: Change, step: Step | None = None) -> Event:
        event = Event(
            change=change,
            done=len(self._ended) - 1,
            total=self._total,
            jobs=self._jobs,
            waiting=Counter(_kind(each) for each in self._waiting.values()),
        )
        if step is None:
            return event
        return replace(
            event,
            label=step.task.key,
            kind=_kind(step),
            run_dir=step.task.run_dir,
            sentence=self.failures.get(step.task.key, ""),
        )


def _kind(step: Step) -> Kind:
    return "evaluate" if isinstance(step.task, Evaluating) else "train"

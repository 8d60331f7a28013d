"""Who does the tasks: this process, or worker processes that live as long as the campaign.

A worker imports torch once, then takes one task after another. One that dies takes only its task
with it. Workers die with their parent, however it ends, so that a campaign started again never
meets an old one in its folders.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing import connection, get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Protocol

import torch

from vicinal._checks import InputError

__all__ = ["Crew", "Outcome", "Processes", "Task", "ThisProcess", "Work"]


class Task(Protocol):
    """What a worker is handed; its key names it on both sides."""

    @property
    def key(self) -> str:
        """A name that no other task of the campaign has."""
        ...


Work = Callable[[Any], None]
"""Does one task; raises where it cannot."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a task ended.

    Args:
        key: The task's.
        failure: One sentence, or None where it was done.
        trace: The traceback of an unexpected exception, else empty.
    """

    key: str
    failure: str | None = None
    trace: str = ""


class Crew(Protocol):
    """Whoever does tasks."""

    @property
    def free(self) -> int:
        """How many tasks can be started now."""
        ...

    def start(self, task: Task) -> None:
        """Begin a task."""
        ...

    def wait(self) -> list[Outcome]:
        """Wait until at least one task has ended."""
        ...

    def close(self) -> None:
        """End whatever still runs."""
        ...


def attempt(work: Work, task: Task) -> Outcome:
    """Do one task and say how it ended.

    Args:
        work: What does it.
        task: The task.

    Returns:
        The outcome; an exception is a failure in one sentence.
    """
    try:
        work(task)
    except InputError as error:
        return Outcome(key=task.key, failure=str(error))
    except Exception as error:
        text = " ".join(str(error).split()) or "no message"
        return Outcome(
            key=task.key, failure=f"{type(error).__name__}: {text}", trace=traceback.format_exc()
        )
    return Outcome(key=task.key)


class ThisProcess:
    """Does one task at a time, here: nothing is started, a debugger works."""

    def __init__(self, work: Work, *, threads: int) -> None:
        self._work = work
        self._threads = threads
        self._waiting: list[Task] = []

    @property
    def free(self) -> int:
        """One while none waits."""
        return 1 - len(self._waiting)

    def start(self, task: Task) -> None:
        """Put a task in line; `wait` does it."""
        self._waiting.append(task)

    def wait(self) -> list[Outcome]:
        """Do the task."""
        before = torch.get_num_threads()
        torch.set_num_threads(self._threads)
        try:
            return [attempt(self._work, self._waiting.pop(0))]
        finally:
            torch.set_num_threads(before)

    def close(self) -> None:
        """Nothing runs between two waits."""
        self._waiting.clear()


@dataclass(kw_only=True, eq=False)
class _Worker:
    process: BaseProcess
    line: Connection
    task: Task | None = field(default=None)


class Processes:
    """Does up to `jobs` tasks side by side, each in a process of its own."""

    def __init__(self, work: Work, *, jobs: int, threads: int, log: Path) -> None:
        self._work = work
        self._jobs = jobs
        self._threads = threads
        self._log = log
        self._workers: list[_Worker] = []

    @property
    def free(self) -> int:
        """How many workers have nothing to do, those not started yet included."""
        return self._jobs - sum(worker.task is not None for worker in self._workers)

    def start(self, task: Task) -> None:
        """Hand a task to an idle worker, or to a new one."""
        idle = [w for w in self._workers if w.task is None and w.process.is_alive()]
        worker = idle[0] if idle else self._hire()
        worker.task = task
        with suppress(OSError):  # it died since; `wait` says so
            worker.line.send(task)

    def _hire(self) -> _Worker:
        context = get_context("spawn")
        here, there = context.Pipe()
        process = context.Process(
            target=_serve, args=(there, self._work, self._threads, str(self._log))
        )
        process.start()
        there.close()
        worker = _Worker(process=process, line=here)
        self._workers.append(worker)
        return worker

    def wait(self) -> list[Outcome]:
        """Wait for results, or for a worker's death."""
        busy = [worker for worker in self._workers if worker.task is not None]
        signs: list[Any] = [w.line for w in busy] + [w.process.sentinel for w in busy]
        found: list[Outcome] = []
        while busy and not found:
            connection.wait(signs, timeout=0.5)
            found = [outcome for worker in busy if (outcome := self._heard(worker)) is not None]
        return found

    def _heard(self, worker: _Worker) -> Outcome | None:
        alive = worker.process.is_alive()
        with suppress(EOFError, OSError):
            if worker.line.poll():
                outcome: Outcome = worker.line.recv()
                worker.task = None
                return outcome
            if alive:
                return None
        return self._lost(worker)

    def _lost(self, worker: _Worker) -> Outcome | None:
        worker.process.join(timeout=5)
        self._workers.remove(worker)
        worker.line.close()
        if worker.task is None:
            return None
        reason = _reason(worker.process.exitcode)
        return Outcome(key=worker.task.key, failure=f"its process ended ({reason})")

    def close(self) -> None:
        """End the workers: idle ones return, busy ones are stopped where they are."""
        for worker in self._workers:
            worker.line.close()
            if worker.task is not None:
                worker.process.terminate()
        for worker in self._workers:
            worker.process.join(timeout=10)
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()
            worker.process.close()
        self._workers.clear()
        if self._log.exists() and self._log.stat().st_size == 0:
            self._log.unlink()


def _reason(exitcode: int | None) -> str:
    if exitcode is not None and exitcode < 0:
        try:
            name = signal.Signals(-exitcode).name
        except ValueError:
            name = str(-exitcode)
        hint = "; out of memory?" if name == "SIGKILL" else ""
        return f"killed by {name}{hint}"
    return f"exit code {exitcode}"


def _serve(line: Connection, work: Work, threads: int, log: str) -> None:
    """Do tasks until the line is closed; the body of a worker process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # An exception instead of sudden death: half-written files are cleared away.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _write_to(log)
    torch.set_num_threads(threads)
    while True:
        try:
            task = line.recv()
        except (EOFError, OSError):
            return
        outcome = attempt(work, task)
        try:
            line.send(outcome)
        except OSError:
            return


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _write_to(log: str) -> None:
    """Send what libraries print to a file, away from the parent's display."""
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)

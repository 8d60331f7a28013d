"""Crews: what is done, what fails, and what dies takes nothing else with it.

Tasks here are namespaces with a key and a call, the work calls it: both exist in every process.
"""

from __future__ import annotations

import functools
import operator
import os
import signal
import subprocess
import sys
import time
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from vicinal._checks import InputError
from vicinal.campaigns.workers import Crew, Outcome, Processes, ThisProcess, attempt


def task(key: str, function: Callable[..., Any], *arguments: Any) -> Any:
    """A call that travels to another process, with the key that a task has."""
    return types.SimpleNamespace(key=key, call=functools.partial(function, *arguments))


WORK = operator.methodcaller("call")


def finish(crew: Crew, tasks: list[Any]) -> dict[str, str | None]:
    """Do all tasks; their failures by key."""
    outcomes: list[Outcome] = []
    waiting = list(tasks)
    while len(outcomes) < len(tasks):
        while waiting and crew.free:
            crew.start(waiting.pop(0))
        outcomes += crew.wait()
    return {outcome.key: outcome.failure for outcome in outcomes}


def test_an_input_error_is_its_own_sentence_and_leaves_no_traceback() -> None:
    def refuse(_: object) -> None:
        raise InputError("one clear sentence.")

    outcome = attempt(refuse, task("a", print))
    assert outcome == Outcome(key="a", failure="one clear sentence.")


def test_an_unexpected_exception_is_one_line_and_keeps_its_traceback() -> None:
    outcome = attempt(WORK, task("a", int, "x\ny"))
    assert outcome.failure is not None
    assert outcome.failure.startswith("ValueError: invalid literal")
    assert "\n" not in outcome.failure
    assert "Traceback" in outcome.trace


def test_this_process_does_one_task_at_a_time_and_restores_the_threads(tmp_path: Path) -> None:
    before = torch.get_num_threads()
    seen: list[int] = []
    crew = ThisProcess(WORK, threads=before + 1)
    assert crew.free == 1
    crew.start(task("a", lambda: seen.append(torch.get_num_threads())))
    assert crew.free == 0
    assert crew.wait() == [Outcome(key="a")]
    assert seen == [before + 1]
    assert torch.get_num_threads() == before


def test_this_process_lets_an_interruption_through() -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    crew = ThisProcess(WORK, threads=1)
    crew.start(task("a", interrupt))
    with pytest.raises(KeyboardInterrupt):
        crew.wait()


def test_processes_lose_only_the_task_that_fails_or_dies(tmp_path: Path) -> None:
    crew = Processes(WORK, jobs=2, threads=1, log=tmp_path / "log")
    tasks = [
        task("writes", (tmp_path / "a").touch),
        task("exits", os._exit, 3),
        task("raises", int, "x"),
        task("writes too", (tmp_path / "b").touch),
        task("is killed", signal.raise_signal, signal.SIGABRT),
        task("says something", print, "from a library"),
    ]
    try:
        found = finish(crew, tasks)
    finally:
        crew.close()
    assert found["writes"] is found["writes too"] is found["says something"] is None
    assert found["raises"] is not None
    assert found["raises"].startswith("ValueError")
    assert found["exits"] == "its process ended (exit code 3)"
    assert found["is killed"] == "its process ended (killed by SIGABRT)"
    assert (tmp_path / "a").exists()
    assert (tmp_path / "b").exists()
    assert "from a library" in (tmp_path / "log").read_text(encoding="utf-8")


HALF_WRITTEN = """
import pathlib, time
from vicinal.records import atomic
with atomic(pathlib.Path({!r})):
    time.sleep(600)
"""


def test_processes_are_reused_and_close_stops_what_runs(tmp_path: Path) -> None:
    crew = Processes(WORK, jobs=1, threads=1, log=tmp_path / "log")
    with_pid = "import os, pathlib; pathlib.Path({!r}).write_text(str(os.getpid()))"
    finish(crew, [task(name, exec, with_pid.format(str(tmp_path / name))) for name in "ab"])
    first, second = ((tmp_path / name).read_text(encoding="utf-8") for name in "ab")
    assert first == second != str(os.getpid())
    crew.start(task("sleeps", exec, HALF_WRITTEN.format(str(tmp_path / "file"))))
    _until(lambda: any(tmp_path.glob(".file*")))
    crew.close()
    assert not any(tmp_path.glob(".file*"))
    with pytest.raises(ProcessLookupError):
        os.kill(int(first), 0)
    assert not (tmp_path / "log").exists()


ORPHAN = """
import functools, operator, pathlib, types
from vicinal.campaigns.workers import Processes
if __name__ == "__main__":
    work = operator.methodcaller("call")
    crew = Processes(work, jobs=1, threads=1, log=pathlib.Path({log!r}))
    call = functools.partial(exec, {code!r})
    crew.start(types.SimpleNamespace(key="a", call=call))
    crew.wait()
"""
SLEEPS = (
    "import os, pathlib, time; pathlib.Path({!r}).write_text(str(os.getpid())); time.sleep(600)"
)


@pytest.mark.skipif(sys.platform == "win32", reason="kill -9 is a matter of POSIX systems")
def test_workers_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    script = tmp_path / "main.py"
    code = ORPHAN.format(log=str(tmp_path / "log"), code=SLEEPS.format(str(note)))
    script.write_text(code, encoding="utf-8")
    with subprocess.Popen([sys.executable, str(script)]) as parent:
        try:
            _until(lambda: note.exists() and note.read_text(encoding="utf-8") != "")
        finally:
            parent.kill()
    _until(lambda: not _is_alive(int(note.read_text(encoding="utf-8"))))


def _until(condition: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            pytest.fail("what was waited for did not happen")
        time.sleep(0.05)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{pid}/stat")
    return not (status.exists() and status.read_text(encoding="utf-8").split()[2] == "Z")

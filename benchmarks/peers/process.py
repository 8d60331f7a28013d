"""The process of a tool, as its caller sees it."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from benchmarks import reference_nets
from benchmarks.peers.budgets import Budget
from benchmarks.peers.packages import environment

__all__ = ["Place", "Worker"]


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where the tools work and on what.

    Args:
        net: A reference net.
        images: An .npz file with x (N, C, H, W), float32 in [0, 1], and y (N,).
        batch: Images per batch.
        device: Where they compute.
        threads: CPU threads of a process.
        peers: Where each package has a folder of its own.
        folder: Where the reference nets lie.
    """

    net: str
    images: Path
    batch: int = 250
    device: str = "cpu"
    threads: int = 1
    peers: Path | None = None
    folder: Path = reference_nets.FOLDER


class Worker:
    """A running process; it ends with the context that `started` opens.

    Args:
        process: The process.
        log: What it and its package print.
    """

    def __init__(self, process: subprocess.Popen[str], log: IO[str]) -> None:
        self._process, self._log = process, log

    @classmethod
    @contextmanager
    def started(cls, tool: str, place: Place) -> Generator[Worker]:
        """Start a tool's process, and end it.

        Args:
            tool: A key of `packages.TOOLS`.
            place: Where and on what.

        Yields:
            The worker.
        """
        words = {
            "tool": tool,
            "net": place.net,
            "images": place.images,
            "folder": place.folder,
            "batch": place.batch,
            "device": place.device,
            "threads": place.threads,
        }
        options = [word for name, value in words.items() for word in (f"--{name}", str(value))]
        with tempfile.TemporaryFile("w+", encoding="utf-8") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "benchmarks.peers.worker", *options],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=environment(tool, place.peers),
                text=True,
                encoding="utf-8",
            )
            with process:
                try:
                    yield cls(process, log)
                finally:
                    process.kill()

    def ask(self, budget: Budget, *, seed: int, save: Path | None = None) -> dict[str, Any]:
        """Have an attack run.

        Args:
            budget: The attack.
            seed: Of its draws.
            save: Where its images shall stand, as an .npz file with `adv`.

        Returns:
            What the worker answers; {"error": ...} also where the process ended.
        """
        asked = {
            "budget": dataclasses.asdict(budget),
            "seed": seed,
            "save": None if save is None else str(save),
        }
        process = self._process
        if process.stdin is None or process.stdout is None:
            return {"error": "the process has no pipes"}
        try:
            process.stdin.write(json.dumps(asked) + "\n")
            process.stdin.flush()
        except OSError:
            return {"error": f"the process ended: {self._last_line()}"}
        line = process.stdout.readline()
        if not line:
            return {"error": f"the process ended: {self._last_line()}"}
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _last_line(self) -> str:
        self._process.wait()
        self._log.seek(0)
        lines = [line.strip() for line in self._log if line.strip()]
        return lines[-1][:300] if lines else "it said nothing"

"""An evaluation under corruptions that was broken off goes on, and writes its records once.

    FOLDER/corrupting-<digest>/   a file for every batch and corruption that is done; it goes when
                                  the records are written

The digest is of the model, with its weights and their layout, of device, threads, arithmetic and
versions; the files' names are of corruption, severities and seed, and each knows its images.
"""

from __future__ import annotations

import shutil
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from vicinal import engine, records
from vicinal.evaluation import Ledger
from vicinal.evaluation.identity import identity
from vicinal.evaluation.ledger import digest, made
from vicinal.evaluation.preflight import device_of
from vicinal.recipes.environment import environment
from vicinal.recipes.job import RESULTS
from vicinal.recipes.lock import alone
from vicinal.records import Record

__all__ = ["Kept", "ledger_in", "resumed"]

_ASKED = "asked"
"""In a ledger: what the call that wrote the records was asked for."""


def ledger_in(folder: Path) -> Ledger:
    """Give this process's part of the finished batches in a folder.

    Args:
        folder: A folder of one model's.

    Returns:
        The ledger.

    Example:
        >>> ledger_in(Path("runs")).part
        ''
    """
    team = engine.processes()
    return Ledger(folder=folder, part=f"-{team.rank}of{team.world}" if team.several else "")


@dataclass(frozen=True, kw_only=True)
class Kept:
    """What is done of an evaluation under corruptions.

    Args:
        folder: The ledger's.
        file: Where the records go.
        asked: Sums up what was asked for.
    """

    folder: Path
    file: Path
    asked: str

    @property
    def ledger(self) -> Ledger:
        """This process's part of the finished batches."""
        return ledger_in(self.folder)

    def finished(self) -> list[Record] | None:
        """Finish what an earlier call was killed over while it wrote its records.

        Returns:
            Its records, where it was asked for the same; None where there is something to do.
        """
        return engine.processes().led(self._finished)

    def _finished(self) -> list[Record] | None:
        asked = self.folder / _ASKED
        if not asked.exists():
            return None
        found, there = records.read(self.folder / RESULTS), records.read(self.file)
        same = asked.read_text(encoding="utf-8") == self.asked
        self._write([record for record in found if record not in there])
        return found if same else None

    def finish(self, found: Sequence[Record]) -> None:
        """Write the records once, even if this is killed and begins again; the ledger goes.

        Args:
            found: The records.
        """

        def write() -> None:
            records.rewrite(made(self.folder) / RESULTS, found)
            records.write_text(self.folder / _ASKED, self.asked)
            self._write(found)

        engine.processes().led(write)

    def _write(self, found: Sequence[Record]) -> None:
        for record in found:
            records.append(self.file, record)
        # First what says that records are there: without it the batches are as good as new.
        (self.folder / _ASKED).unlink()
        shutil.rmtree(self.folder, ignore_errors=True)


@contextmanager
def resumed(folder: Path, model: nn.Module, *, asked: str) -> Generator[Kept]:
    """Hold the ledger of a model's evaluation under corruptions.

    Args:
        folder: Where the records go.
        model: The model, on its device.
        asked: What is asked for.

    Yields:
        What is done of it.

    Raises:
        KeyboardInterrupt: If interrupted; the same call goes on.
    """
    ledger, team = made(folder) / f"corrupting-{digest(_setting(model))}", engine.processes()
    work = "evaluation of this model under corruptions"
    with ExitStack() as stack:
        team.led(lambda: stack.enter_context(alone(ledger, work=work, option="folder")))
        try:
            yield Kept(folder=ledger, file=folder / RESULTS, asked=asked)
        except KeyboardInterrupt:
            raise KeyboardInterrupt("the same command goes on where it stopped") from None


def _setting(model: nn.Module) -> Record:
    """Collect what decides whether an image counts as right, images and corruption apart."""
    there = environment(device_of(model))
    return {
        "weights": identity(model),
        "layout": [weight.stride() for weight in model.parameters()],
        "matmul": torch.get_float32_matmul_precision(),
        "where": [there[name] for name in _WHERE],
    }


_WHERE = ("vicinal", "torch", "device", "accelerator", "processor", "threads", "processes")

"""The folder of a run: what is written when, so that a kill at any moment loses at most an epoch.

    checkpoint.pt         model, optimizer, what else has a state (averaged weights, best epoch),
                          number of epochs done, and the arguments of the run
    metrics.jsonl         one record per epoch
    weights.safetensors   the trained model; stands there when the run is finished
    last.safetensors      the last epoch's, where another's were chosen to be the trained model

After an epoch its record is appended, then the checkpoint replaced, then, at the end, the weights
written, the trained model's last. Whatever lies between two of these is repaired on resume: records
of epochs that the checkpoint does not know are dropped, missing weights are written again. The
first checkpoint, of epoch 0, is written before any training: the initial weights are part of the
run, and a folder that cannot be written to is found at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from vicinal import records
from vicinal._checks import InputError
from vicinal.engine import checkpoint
from vicinal.engine.identity import describe, is_described
from vicinal.records import Record

__all__ = ["CHECKPOINT", "LAST", "METRICS", "WEIGHTS", "RunFolder", "Stateful"]

CHECKPOINT = "checkpoint.pt"
METRICS = "metrics.jsonl"
WEIGHTS = "weights.safetensors"
LAST = "last.safetensors"

Weights = Mapping[str, Tensor]


class Stateful(Protocol):
    """Whatever has a state to be kept and restored."""

    def state_dict(self) -> Mapping[str, Any]:
        """Return the state: tensors, numbers and words."""
        ...

    def load_state_dict(self, state: Any) -> object:  # ruff: ignore[any-type] — each has its own
        """Go on from a state."""
        ...


@dataclass(frozen=True, kw_only=True)
class RunFolder:
    """Keeps and restores the state of one run.

    Args:
        path: The folder; made when missing.
        arguments: What must be the same for a run to be resumed, as numbers and words; "epochs" is
            among them.
        things: What must be the same too, as objects; their descriptions are written down.
        also: What is kept beside model and optimizer, by name.
    """

    path: Path
    arguments: Mapping[str, int | float | str]
    things: Mapping[str, object] = field(default_factory=dict)
    also: Mapping[str, Stateful] = field(default_factory=dict)

    def restore(self, model: nn.Module, optimizer: torch.optim.Optimizer) -> int:
        """Bring model and optimizer to the last checkpoint, or make the first one of them.

        Args:
            model: The model, changed in place.
            optimizer: Its optimizer, changed in place.

        Returns:
            The number of epochs done.
        """
        self._prepare()
        if not (self.path / CHECKPOINT).exists():
            self._begin(model, optimizer)
            return 0
        done = self._resume(model, optimizer)
        self._drop_records_after(done)
        return done

    def _prepare(self) -> None:
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            for name in (CHECKPOINT, METRICS, WEIGHTS, LAST):
                for left_by_a_kill in self.path.glob(f".{name}.*.partial"):
                    left_by_a_kill.unlink(missing_ok=True)
        except OSError as error:
            reason = error.strerror or str(error)
            raise InputError(
                f"`run_dir` must be a folder that can be written; got {self.path} ({reason})."
            ) from error

    def _begin(self, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        if (self.path / WEIGHTS).exists():
            raise InputError(
                f"{self.path} holds the weights of a finished run but no {CHECKPOINT}, so it "
                f"cannot go on. Choose another run_dir, or delete {WEIGHTS} to train again?"
            )
        self._drop_records_after(0)
        self._save(0, model, optimizer)

    def _resume(self, model: nn.Module, optimizer: torch.optim.Optimizer) -> int:
        path = self.path / CHECKPOINT
        state = checkpoint.load(path)
        self._compare(state["arguments"])
        checkpoint.fill(model, state["model"], source=str(path))
        try:
            optimizer.load_state_dict(state["optimizer"])
        except ValueError as error:
            raise InputError(
                f"{path} does not fit the optimizer: it was made for other parameters. Are the "
                "same ones frozen (requires_grad) as when the run began?"
            ) from error
        for name, part in self.also.items():
            part.load_state_dict(state[name])
        return int(state["epoch"])

    def _compare(self, before: Mapping[str, int | float | str]) -> None:
        now = self._described()
        for name in {**now, **before}:
            same = before.get(name) == now.get(name)
            if not same and name in self.things:
                same = is_described(self.things[name], before.get(name))
            if not same:
                raise InputError(
                    f"`{name}` must be as when the run in {self.path} began, "
                    f"{before.get(name)!r}; got {now.get(name)!r}. Choose another run_dir for a "
                    "new run?"
                )

    def _described(self) -> dict[str, int | float | str]:
        words = {name: describe(thing) for name, thing in self.things.items()}
        return {**self.arguments, **words}

    def _drop_records_after(self, done: int) -> None:
        path = self.path / METRICS
        found = records.read(path)
        kept = [record for record in found if record.get("epoch", 0) <= done]
        if len(kept) < len(found):
            records.rewrite(path, kept)

    def keep(
        self,
        record: Record,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        *,
        checkpointed: bool,
    ) -> None:
        """Write down an epoch: its record, then the checkpoint.

        Args:
            record: The epoch's record.
            model: The model after it.
            optimizer: The optimizer after it.
            checkpointed: Whether to write a checkpoint; the last epoch always has one.
        """
        last = record["epoch"] == self.arguments["epochs"]
        records.append(self.path / METRICS, record)
        if checkpointed or last:
            self._save(record["epoch"], model, optimizer)

    def finish(self, chosen: Weights, last: Weights) -> None:
        """Write the weights of a finished run, those of them that are missing.

        Args:
            chosen: The trained model's.
            last: The last epoch's; the same object where no other was chosen.
        """
        if (self.path / WEIGHTS).exists():
            return
        if last is not chosen:
            checkpoint.save_tensors(self.path / LAST, last)
        checkpoint.save_tensors(self.path / WEIGHTS, chosen)

    def _save(self, epoch: int, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        state = {
            "epoch": epoch,
            "arguments": self._described(),
            "model": model.state_dict(),
            "optimizer": optimizer.state_dict(),
            **{name: part.state_dict() for name, part in self.also.items()},
        }
        checkpoint.save(self.path / CHECKPOINT, state)

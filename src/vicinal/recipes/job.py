"""An evaluation as a job: looked over before, interruptible, its records written once and whole.

    FOLDER/evaluating-<digest>/   the ledger: a file per finished batch of every attack; it goes
                                  when the records are written
    FOLDER/results.jsonl          the records

The digest is of whatever decides the numbers: the model, its weights and their layout, the first
images, batch size, seed, device, threads, arithmetic, and the versions of torch and of this
library; a batch of other images is judged anew. The same command finds what it has done; one with
other attacks finds those of them that it shares.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from vicinal import engine, records
from vicinal._checks import InputError
from vicinal._typing import Attack, Batch
from vicinal.evaluation import Ledger, Results, Threat
from vicinal.evaluation.identity import identity, keys_of, source_of
from vicinal.evaluation.ledger import digest, made
from vicinal.evaluation.packing import fingerprint, prints
from vicinal.evaluation.preflight import Finding, device_of, preflight
from vicinal.evaluation.results import CLEAN
from vicinal.maths.simplex import true_class
from vicinal.recipes import together
from vicinal.recipes.environment import environment
from vicinal.recipes.loading import Loader, Piece
from vicinal.recipes.lock import alone
from vicinal.recipes.progress import counting
from vicinal.records import Record

__all__ = ["RESULTS", "Job", "Report", "circumstances", "run", "settled"]

RESULTS = "results.jsonl"
"""The file of the records."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """What is to be judged, by what, and where the records go.

    Args:
        model: The model, on its device.
        whole: All images of the split; the clean accuracy is over them.
        few: Those that are attacked.
        batches: Makes batches of either.
        attacks: Attacks by name.
        folder: Where the records and the ledger go; made where missing.
        facts: What every record says of the model and the data.
        num_classes: The classes of the data set.
        class_names: Their names, in the order of the labels, where they are known.
        seed: Governs the attacks' draws.
        threat: The threat model of the worst case; by default that which most attacks share.
        adversarial: Where adversarial images go; None for nowhere.
        extras: What else is to be looked at, by the kind of its records.
        after: Looks at the job last of all; its records are whole and stay as they are.
        suite: What was chosen of a suite by measuring; kept in the ledger, where `settled` finds
            it, and in the record of the clean images.
        kept: While it is done, the folder of the ledger; `run` sets it.
    """

    model: nn.Module
    whole: Piece
    few: Piece
    batches: Callable[[Piece], Loader]
    attacks: Mapping[str, Attack]
    folder: Path
    facts: Record
    num_classes: int | None = None
    class_names: tuple[str, ...] | None = None
    seed: int = 0
    threat: Threat | None = None
    adversarial: Path | None = None
    extras: Mapping[str, Callable[[Job], list[Record]]] = field(default_factory=dict)
    after: Callable[[Job], list[Record]] | None = None
    suite: Record | None = None
    kept: Path | None = None

    @property
    def keys(self) -> tuple[int | str, ...]:
        """What the draws are for."""
        return (self.seed, "evaluation")


@dataclass(frozen=True, kw_only=True)
class Report:
    """What came out of a job.

    Args:
        records: One per attack, "clean" first.
        findings: What the checks before found.
        results: Of the attacked images; None where an earlier call had done everything.
    """

    records: list[Record]
    findings: list[Finding] = field(default_factory=list)
    results: Results | None = None


def run(job: Job, *, progress: bool = False) -> Report:
    """Judge a model, go on where an earlier call stopped, and write the records.

    Args:
        job: What is to be done.
        progress: Whether to show progress bars on stderr.

    Returns:
        Records, and what the checks before found.

    Raises:
        InputError: If model and images do not fit, or a folder cannot be written.
        KeyboardInterrupt: If interrupted; the same call goes on.
    """
    together.check_enough(job.few)
    x, y = next(iter(job.batches(job.few)))
    findings = preflight(job.model, x, y, num_classes=job.num_classes)
    sizes = {"batch_size": max(job.batches(job.few).sizes), "arithmetic": _arithmetic(job.model)}
    job = replace(job, facts={**job.facts, **sizes})
    team = engine.processes()
    ledger = _ledger(job, x, y)
    made(job.folder)
    with ExitStack() as stack:

        def take() -> None:
            _check_adversarial(job.adversarial, ledger)
            stack.enter_context(alone(ledger, work="evaluation of this model", option="folder"))
            if job.suite is not None:
                records.rewrite(ledger / _SUITE, [job.suite])

        team.led(take)
        return _done(replace(job, kept=ledger), ledger, findings, progress=progress)


def settled(job: Job) -> Record | None:
    """Look up what an earlier call, which was interrupted, had chosen of a suite.

    Args:
        job: The job; its attacks do not matter, and nothing of it is done.

    Returns:
        Its `suite`; None where there is no such call.
    """
    ledger = _ledger(job, *next(iter(job.batches(job.few))))
    found = engine.processes().led(lambda: records.read(ledger / _SUITE))
    return found[0] if found else None


def _ledger(job: Job, x: Tensor, y: Tensor) -> Path:
    """Name the ledger; every process has rows of its own: the first one's do."""
    setting = _setting(job, x, y)
    return job.folder / engine.processes().led(lambda: f"evaluating-{digest(setting)}")


def _done(job: Job, ledger: Path, findings: list[Finding], *, progress: bool) -> Report:
    """Do what is left of a job, whose ledger is held."""
    done, team = _finished(ledger, job), engine.processes()
    if done is not None:
        return Report(records=done, findings=findings)
    try:
        results, found = _judged(job, ledger, progress=progress)
        found += [record for look in job.extras.values() for record in look(job)]
        last = [] if job.after is None else job.after(job)
    except KeyboardInterrupt:
        raise KeyboardInterrupt("the same command goes on where it stopped") from None
    settled = {} if job.suite is None else {"suite": job.suite}
    known = {finding.check for finding in findings}
    more = [one for one in found[0].get("preflight", ()) if one["check"] not in known]
    told = [*(finding.record for finding in findings), *more]
    found[0] = {**found[0], "preflight": told, **settled}
    judged = [{**_with_names(record, job), **_images(record, job), **job.facts} for record in found]
    judged += last
    asked = _asked(job)
    team.led(lambda: _finish(ledger, job.folder / RESULTS, judged, asked))
    return Report(records=judged, findings=findings, results=results)


def _arithmetic(model: nn.Module) -> str:
    """Say in which precision the model's weights are, and how float32 is multiplied."""
    kinds = dict.fromkeys(str(one.dtype).removeprefix("torch.") for one in model.parameters())
    found = ", ".join(kinds) or "no weights"
    return f"{found}; matmul {torch.get_float32_matmul_precision()}"


def _check_adversarial(folder: Path | None, ledger: Path) -> None:
    """Refuse to mix the images of two evaluations; those of the one that goes on are its own."""
    if folder is None or ledger.exists():
        return
    if any(made(folder).iterdir()):
        raise InputError(
            f"`save_adversarial` must name a new or empty folder; {folder} holds something already."
        )


def _judged(job: Job, folder: Path, *, progress: bool) -> tuple[Results, list[Record]]:
    """Judge the attacked images, and all of them clean where these are more."""
    few = _part(job, job.few, folder / "attacked", job.attacks, progress)
    if len(job.few) == len(job.whole):
        return few, few.records
    whole = _part(job, job.whole, folder / "clean", {}, progress)
    return few, [*whole.records, *(one for one in few.records if one["attack"] != CLEAN)]


def _part(
    job: Job, piece: Piece, folder: Path, attacks: Mapping[str, Attack], progress: bool
) -> Results:
    batches, team = job.batches(piece), engine.processes()
    part = f"-{team.rank}of{team.world}" if team.several else ""
    keys = keys_of(attacks, device=device_of(job.model))
    images = job.adversarial if attacks else None
    ledger = Ledger(folder=folder, part=part, adversarial=images, keys=keys)
    own = sum(rows.stop - rows.start for rows in batches.portions)
    bars = counting(own) if progress and team.first else nullcontext()
    with bars as report:
        told = None if report is None or attacks else _told(batches, report)
        return together.evaluate(
            job.model,
            batches,
            attacks=attacks,
            keys=job.keys,
            read=told,
            report=report,
            threat=job.threat,
            ledger=ledger,
        )


def _told(batches: Iterable[Batch], report: Callable[[str, int], None]) -> Iterator[Batch]:
    """Report clean images as they are done; an evaluation itself reports attacked ones only."""
    for x, y in batches:
        yield x, y
        report(CLEAN, len(y))


def _with_names(record: Record, job: Job) -> Record:
    """Name the classes where a name is known for every output of the model."""
    classes, names = record.get("per_class"), job.class_names
    if classes is None or names is None or len(names) != len(classes["n"]):
        return record
    return {**record, "per_class": {**classes, "names": list(names)}}


def _images(record: Record, job: Job) -> Record:
    """Say which images a record is about, the first ones, and on which net they are made."""
    n = record.get("n", len(job.few))
    source = source_of(job.attacks.get(str(record.get("attack"))))
    made_on = {} if source is None else {"source": source}
    return {"indices": f"0..{n - 1}", "of": len(job.whole), **made_on}


def _setting(job: Job, x: Tensor, y: Tensor) -> dict[str, Any]:
    """Collect what decides the numbers, whatever the attacks."""
    facts = {name: value for name, value in job.facts.items() if name in _DECIDING}
    there = environment(device_of(job.model))
    return {
        **facts,
        "weights": identity(job.model),
        "images": fingerprint(prints(x, y)),
        "batch": len(x),
        "n": [len(job.few), len(job.whole)],
        "seed": job.seed,
        "matmul": torch.get_float32_matmul_precision(),
        "layout": _layout(job.model),
        "adversarial": str(job.adversarial),
        "where": {name: there[name] for name in _WHERE},
    }


_DECIDING = ("dataset", "split", "device", "recipe", "model")
_WHERE = ("vicinal", "torch", "accelerator", "processor", "threads", "processes")


def _layout(model: nn.Module) -> str:
    """Say how the weights of convolutions lie in memory: other kernels round otherwise."""
    of_images = [weight for weight in model.parameters() if weight.ndim == 4]
    return "".join(
        "c" if weight.is_contiguous() else "l" if weight.is_contiguous(memory_format=_LAST) else "?"
        for weight in of_images
    )


_LAST = torch.channels_last


def _asked(job: Job) -> str:
    """Sum up what was asked of a setting: the attacks, the threat model, and what else."""
    return digest({
        "attacks": keys_of(job.attacks, device=device_of(job.model)),
        "threat": repr(job.threat),
        "extras": {kind: _looking(look) for kind, look in job.extras.items()},
        "after": _looking(job.after),
    })


def _looking(look: object) -> list[str]:
    """Say what looks: its arguments, and the other net, whose weights no repr tells."""
    own = getattr(look, "__self__", None)
    return [repr(own), identity(getattr(own, "source", None))]


def _finished(ledger: Path, job: Job) -> list[Record] | None:
    """Look for records that a call computed and was killed over while it wrote them."""
    team, asked = engine.processes(), _asked(job)
    head, *found = team.led(lambda: records.read(ledger / _FINISHED)) or [{}]
    if not head:
        return None
    team.led(lambda: _write(ledger, job.folder / RESULTS))
    if head["asked"] == asked and (team.several or _same_images(job, found)):
        team.led(lambda: _clear(ledger))
        return found
    team.led(lambda: (ledger / _FINISHED).unlink())
    return None


def _same_images(job: Job, found: list[Record]) -> bool:
    """Tell whether records are of the images that are there now; reads them all, which is rare."""
    told = {one["attack"] == CLEAN: one.get("images") for one in found if "attack" in one}
    pieces = {True: job.whole, **({False: job.few} if False in told else {})}
    return told == {
        clean: fingerprint(torch.cat([prints(x, true_class(y)) for x, y in job.batches(piece)]))
        for clean, piece in pieces.items()
    }


def _finish(ledger: Path, file: Path, judged: list[Record], asked: str) -> None:
    """Write the records once, even if this is killed and begins again, and let the ledger go."""
    head = {"kind": "ledger", "asked": asked, "before": len(_texts(file))}
    records.rewrite(made(ledger) / _FINISHED, [head, *judged])
    _write(ledger, file)
    _clear(ledger)


def _write(ledger: Path, file: Path) -> None:
    """Append those records of a finished ledger that do not stand in the file yet."""
    head, *judged = records.read(ledger / _FINISHED)
    there = set(_texts(file)[head["before"] :])
    for record in judged:
        if records.line(record) not in there:
            records.append(file, record)


def _clear(ledger: Path) -> None:
    """Let a ledger go: what says that its records are written goes when all else is gone."""
    for path in ledger.iterdir():
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
    (ledger / _SUITE).unlink(missing_ok=True)
    (ledger / _FINISHED).unlink()
    shutil.rmtree(ledger, ignore_errors=True)


_FINISHED = "finished.jsonl"
"""In a ledger: the records, after a line that says what was asked for, and how many lines the file
of the records had before. It is one file, so that it is there whole or not at all."""

_SUITE = "suite.jsonl"
"""In a ledger: what was chosen of a suite."""


def _texts(file: Path) -> list[str]:
    """Read the complete lines of a file."""
    try:
        return file.read_text(encoding="utf-8").split("\n")[:-1] if file.exists() else []
    except OSError as error:
        raise InputError(f"could not read {file}: {error.strerror or error}.") from error


def circumstances(device: torch.device, *, command: str | None) -> Record:
    """Say where a number came about, and what repeats it.

    Args:
        device: Where it was computed.
        command: The command that repeats it, where there is one.

    Returns:
        Fields `circumstances` (versions, hardware, threads, date) and `command`.
    """
    facts = environment(device)
    names = ("vicinal", "torch", "python", "accelerator", "processor", "cores", "threads")
    where = {name: facts[name] for name in (*names, "processes", "date")}
    return {"circumstances": where, "command": command}

"""Run a paper's table: every row over several seeds, in parallel, and go on where it stopped.

What comes back are records: one of kind "table" with the circumstances, then one of kind "cell" per
number, with the paper's number, ours and the values they are the mean of. `report` makes tables and
pages of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vicinal import records
from vicinal._checks import InputError, choice, count
from vicinal.campaigns import cells
from vicinal.campaigns.numbers import cell_record, table_record
from vicinal.campaigns.plan import Plan, Request, checked, make_plan
from vicinal.campaigns.progress import Event, Listener
from vicinal.campaigns.schedule import Schedule
from vicinal.campaigns.tables import known
from vicinal.campaigns.threats import SOURCE_SEED
from vicinal.campaigns.workers import Crew, Processes, ThisProcess
from vicinal.recipes import files
from vicinal.recipes.lock import alone

__all__ = ["TableResult", "reproduce", "seeds_of"]


@dataclass(frozen=True, kw_only=True)
class TableResult:
    """What a campaign found.

    Args:
        records: One of kind "table", then one of kind "cell" per number.
        failures: Why tasks failed, by task; empty if none did.
        path: The records' file; `.md` and `.html` are written beside it by the command line.
        folders: Where the run folders lie.
    """

    records: list[dict[str, Any]]
    failures: dict[str, str]
    path: Path
    folders: tuple[Path, ...]


def _silent(event: Event) -> None:
    del event


def reproduce(
    table: str,
    *,
    scale: str = "full",
    seeds: int = 3,
    first_seed: int = 0,
    jobs: int = 1,
    threads: int = 1,
    data_dir: str | Path | None = None,
    out: str | Path = "runs",
    controls: bool = False,
    only: Sequence[str] = (),
    models: Sequence[str] = (),
    overrides: Mapping[str, Any] | None = None,
    device: str = "auto",
    download: bool = False,
    progress: Listener = _silent,
    command: str | None = None,
) -> TableResult:
    """Train and attack every row of a table; what is finished in `out` is kept.

    Args:
        table: Its name, such as "alps/table-2"; `campaigns.tables.names()` lists them.
        scale: "smoke", "small", "medium" or "full" (the paper's).
        seeds: How many seeds per row.
        first_seed: The first of them; the others follow it.
        jobs: How many cells run side by side, each in a process of its own; 1 stays in this one.
            More than 1 needs `if __name__ == "__main__":` around the call in a script.
        threads: CPU threads of each; results keep their bits only under the same number.
        data_dir: Where the data sets lie, a folder; rows whose set is not there say "no data".
        out: Where run folders and results lie.
        controls: Whether to add ALPS's controls: mixing alone, label alone.
        only: The rows to run, by key; all when empty. The records are of all rows.
        models: The nets to run, such as "preactresnet18"; all when empty.
        overrides: Fields of every recipe by dotted name, such as {"epochs": 1}.
        device: "auto", "cpu", "cuda" or "mps".
        download: Whether to fetch a missing data set through torchvision; never otherwise.
        progress: Is told what starts and ends.
        command: What to write down as the command; this call when not given.

    Returns:
        The records; `<out>/<table>-<scale>.jsonl` holds them too.

    Example:
        >>> import tempfile
        >>> few = {"epochs": 1, "train_subset": 100, "evaluation.attack_subset": 10}
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     found = reproduce(
        ...         "alps/table-2", scale="smoke", seeds=1, out=folder, only=["erm"], overrides=few
        ...     )
        >>> [cell["status"] for cell in found.records if cell.get("key") == "erm"]
        ['ok', 'ok']
    """
    choice("scale", scale, files.SCALES)
    for name, number in (("jobs", jobs), ("threads", threads)):
        count(name, number)
    request = Request(
        table=known(table),
        scale=scale,
        seeds=seeds_of(first_seed, seeds),
        out=Path(out),
        data_dir=None if data_dir is None else Path(data_dir),
        controls=controls,
        only=tuple(only),
        models=tuple(models),
        overrides=dict(overrides or {}),
        device=device,
        download=download,
    )
    call = f"reproduce({table!r}, scale={scale!r}, seeds={seeds})"
    checked(request)  # before the lock: a wrong argument leaves no folder behind
    with alone(request.out, work="campaign", option="--out"):
        plan = make_plan(request)
        failures = _run(plan, jobs=jobs, threads=threads, listener=progress)
        found = _records(plan, failures, command or call)
        path = request.out / f"{table.replace('/', '-')}-{scale}.jsonl"
        records.rewrite(path, found)
    folders = tuple(dict.fromkeys(facts.folder for facts in plan.facts.values()))
    return TableResult(records=found, failures=failures, path=path, folders=folders)


def seeds_of(first: int, number: int) -> tuple[int, ...]:
    """List the seeds of a campaign.

    Args:
        first: The first of them.
        number: How many.

    Returns:
        The seeds.

    Raises:
        InputError: If the black-box source's is among them.
    """
    found = tuple(range(count("first_seed", first, low=0), first + count("seeds", number)))
    if SOURCE_SEED in found:
        raise InputError(
            f"seed {SOURCE_SEED} is the black-box source's and cannot be a row's; got seeds "
            f"{found[0]} to {found[-1]}."
        )
    return found


def _run(plan: Plan, *, jobs: int, threads: int, listener: Listener) -> dict[str, str]:
    if not plan.steps:
        return {}
    trouble = plan.request.out / "failures.log"

    def log(text: str) -> None:
        with trouble.open("a", encoding="utf-8") as file:
            file.write(text)

    schedule = Schedule(plan.steps, listener=listener, jobs=jobs, log=log)
    crew: Crew = ThisProcess(cells.work, threads=threads)
    if jobs > 1:
        printed = plan.request.out / "workers.log"
        crew = Processes(cells.work, jobs=jobs, threads=threads, log=printed)
    with closing(crew):
        schedule.run(crew)
    return schedule.failures


def _records(plan: Plan, failures: Mapping[str, str], command: str) -> list[dict[str, Any]]:
    numbers = [cell_record(plan, failures, cell=cell, command=command) for cell in plan.cells]
    return [table_record(plan, failures, numbers=numbers, command=command), *numbers]

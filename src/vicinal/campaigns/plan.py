"""From a table's cells to the tasks that are still missing, and from finished tasks to values.

Cells share run folders: OUT/<dataset>-<model>-<scale>/<method>-seed<k> for ALPS's tables, and
OUT/<paper>-<dataset>-<model>-<scale>/... for the others, which train the same nets in set-ups of
their own. So tables over the same nets train them once, and a campaign that stopped has nothing to
do again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

from vicinal import data
from vicinal._checks import InputError, choice
from vicinal.campaigns.cell import SPREADS
from vicinal.campaigns.cells import (
    CLEAN,
    Evaluating,
    Measurement,
    Training,
    is_trained,
    is_transfer,
    measured,
)
from vicinal.campaigns.gradient_norms import NORMS
from vicinal.campaigns.tables import Cell, cells_of
from vicinal.campaigns.threats import SOURCE_SEED, source_name
from vicinal.recipes import files, loading
from vicinal.recipes.fetching import or_download
from vicinal.recipes.schema import Augment, Recipe

__all__ = ["Plan", "Request", "Step", "checked", "is_wanted", "make_plan", "values"]

Task = Training | Evaluating


@dataclass(frozen=True, kw_only=True)
class Request:
    """What a campaign is asked for.

    Args:
        table: The table's name.
        scale: The recipes' scale.
        seeds: The seeds of every row.
        out: Where run folders and results lie.
        data_dir: Where the data sets lie.
        controls: Whether to add the rows of the controls.
        only: The rows to run; all when empty.
        models: The nets to run, as the paper prints them in lower case; all when empty.
        overrides: Fields of the recipes by dotted name.
        device: Where to compute.
        download: Whether to fetch a missing data set.
    """

    table: str
    scale: str
    seeds: tuple[int, ...]
    out: Path
    data_dir: Path | None = None
    controls: bool = False
    only: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    overrides: Mapping[str, Any] = field(default_factory=dict)
    device: str = "auto"
    download: bool = False


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What a campaign must know of a recipe and its data set.

    Args:
        recipe: The recipe, resolved for its own method.
        folder: Where its run folders lie.
        images: How many test images there are.
        attacked: How many of them, from the first, are attacked.
        std: The training set's standard deviation per channel.
    """

    recipe: Recipe
    folder: Path
    images: int
    attacked: int
    std: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class Step:
    """A task and the tasks that must have ended before it, by key.

    Args:
        task: What to do.
        training: The training of the net that it measures, where that is still to be done.
        source: The training of the black-box source, where it needs one that is still to be done.
    """

    task: Task
    training: str | None = None
    source: str | None = None


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A campaign, laid out.

    Args:
        request: What was asked for.
        cells: The table's cells.
        facts: Facts of each recipe whose data set is at hand.
        missing: Why each other recipe cannot run, in a sentence.
        steps: What is left to do, in a good order.
    """

    request: Request
    cells: list[Cell]
    facts: dict[str, Facts]
    missing: dict[str, str]
    steps: list[Step]

    def has_data(self, cell: Cell) -> bool:
        """Tell whether the data set of a cell is at hand, and that of its source's net.

        Args:
            cell: The cell.

        Returns:
            Whether they are.
        """
        return bool(cell.recipes) and all(name in self.facts for name in cell.recipes)


def checked(request: Request) -> list[Cell]:
    """Check what a campaign is asked for; writes nothing.

    Args:
        request: What is asked for.

    Returns:
        The table's cells.

    Raises:
        InputError: If there is no such row, net or folder.
    """
    there = request.data_dir is None or request.data_dir.is_dir() or request.download
    if not there:
        raise InputError(
            f"`data_dir` must be a folder that exists; got {str(request.data_dir)!r}. Make it and "
            "put the data sets there, or correct its name."
        )
    found = cells_of(
        request.table,
        scale=request.scale,
        controls=request.controls,
        overrides=request.overrides,
    )
    for key in request.only:
        choice("only", key, dict.fromkeys(cell.key for cell in found))
    for model in request.models:
        choice("models", model, dict.fromkeys(cell.model.lower() for cell in found))
    return found


def make_plan(request: Request) -> Plan:
    """Lay out a campaign.

    Args:
        request: What is asked for.

    Returns:
        The plan; finished cells are not in its steps.
    """
    found = checked(request)
    facts: dict[str, Facts] = {}
    missing: dict[str, str] = {}
    known: _Known = {}
    for recipe in _recipes(found):
        try:
            facts[recipe] = _facts(recipe, request, known)
        except data.MissingData as error:
            missing[recipe] = str(error)
    plan = Plan(request=request, cells=found, facts=facts, missing=missing, steps=[])
    return replace(plan, steps=_steps(plan))


def _recipes(cells: list[Cell]) -> list[str]:
    """List the recipes of a table: its cells' own, then those of sources of another net."""
    own = [cell.recipes[0] for cell in cells if cell.recipes]
    others = [name for cell in cells for name in cell.recipes[1:]]
    return list(dict.fromkeys([*own, *others]))


_Known = dict[tuple[str, Augment], tuple[int, tuple[float, ...]]]
"""Of each data set that was opened, as it is seen: how many test images, and the deviation."""


def _facts(recipe: str, request: Request, known: _Known) -> Facts:
    resolved = files.recipe(recipe, scale=request.scale, overrides=request.overrides)
    key = (resolved.dataset, resolved.augment)
    if key not in known:
        known[key] = _opened(resolved, request)
    count, std = known[key]
    if resolved.evaluation.split == "validation":
        count = resolved.validation or 0
    subset = resolved.evaluation.attack_subset
    return Facts(
        recipe=resolved,
        folder=request.out / _folder(recipe, resolved),
        images=count,
        attacked=count if subset is None else min(subset, count),
        std=std,
    )


def _folder(name: str, resolved: Recipe) -> str:
    """Name the folder of a recipe's runs; ALPS's recipes share one where they share a net."""
    if name.startswith("alps/"):
        return f"{resolved.dataset}-{resolved.model.name}-{resolved.scale}"
    return f"{name.replace('/', '-')}-{resolved.scale}"


def _opened(recipe: Recipe, request: Request) -> tuple[int, tuple[float, ...]]:
    images = or_download(
        lambda: loading.open_images(recipe, request.data_dir),
        dataset=recipe.dataset,
        data_dir=request.data_dir,
        download=request.download,
    )
    return len(images.test), images.statistics()[1]


def _steps(plan: Plan) -> list[Step]:
    wanted: dict[tuple[int, str, str], list[Cell]] = {}
    for seed in plan.request.seeds:
        for cell in plan.cells:
            measurable = plan.has_data(cell) and not cell.lacking
            if measurable and is_wanted(cell, plan.request):
                wanted.setdefault((seed, str(cell.recipe), cell.key), []).append(cell)
    sources: dict[str, Step] = {}
    steps: list[Step] = []
    for (seed, recipe, method), row in wanted.items():
        training = _training(plan, recipe, method, seed)
        before = None if _is_done(training) else Step(task=training)
        steps += [] if before is None else [before]
        for origin, cells in _by_source(row).items():
            source = _source(plan, recipe, cells, training.run_dir, origin)
            if source is not None:
                sources[source.task.key] = source
            evaluating = _evaluating(plan, recipe, training.run_dir, cells, origin)
            if evaluating is not None:
                names = [None if step is None else step.task.key for step in (before, source)]
                steps.append(Step(task=evaluating, training=names[0], source=names[1]))
    return [*sources.values(), *steps]


class _Origin(NamedTuple):
    """Where black-box examples come from: a method, and a recipe where it is not the row's own."""

    method: str = "erm"
    recipe: str = ""

    @property
    def part(self) -> str:
        """What tells an evaluation with this source from the net's others."""
        recipe = self.recipe.rpartition("/")[2]
        words = [recipe, self.method] if recipe else [self.method]
        return "" if self == _Origin() else f"by {' '.join(words)}"


def _by_source(row: list[Cell]) -> dict[_Origin, list[Cell]]:
    """Part a row by the nets that make its examples: a task has one source, white-box ones any."""
    found: dict[_Origin, list[Cell]] = {}
    for cell in row:
        outside = cell.threat is not None and cell.threat.black_box
        origin = _Origin()
        if cell.threat is not None and outside:
            origin = _Origin(cell.threat.source, cell.threat.source_recipe)
        found.setdefault(origin, []).append(cell)
    return found


def is_wanted(cell: Cell, request: Request) -> bool:
    """Tell whether a cell is among the rows and nets that shall run.

    Args:
        cell: The cell.
        request: What is asked for.

    Returns:
        True if it is.
    """
    row = not request.only or cell.key in request.only
    return row and (not request.models or cell.model.lower() in request.models)


def _training(plan: Plan, recipe: str, method: str, seed: int) -> Training:
    request = plan.request
    return Training(
        recipe=recipe,
        method=method,
        scale=request.scale,
        seed=seed,
        overrides=request.overrides,
        run_dir=plan.facts[recipe].folder / f"{method}-seed{seed}",
        data_dir=request.data_dir,
        device=request.device,
    )


def _is_done(task: Training) -> bool:
    recipe = files.recipe(
        task.recipe,
        method=task.method,
        scale=task.scale,
        seed=task.seed,
        overrides=task.overrides,
    )
    return is_trained(task.run_dir, recipe)


def _missing(plan: Plan, recipe: str, run_dir: Path, row: list[Cell]) -> list[Measurement]:
    there = measured(run_dir)
    wanted = [(cell, measurement(cell, plan.facts[recipe])) for cell in row]
    lacking = [one for cell, one in wanted if one not in there or not cell.is_in(there[one])]
    return list(dict.fromkeys(lacking))


def _source(
    plan: Plan, recipe: str, row: list[Cell], run_dir: Path, origin: _Origin
) -> Step | None:
    if not any(is_transfer(one) for one in _missing(plan, recipe, run_dir, row)):
        return None
    source = _training(plan, origin.recipe or recipe, origin.method, SOURCE_SEED)
    return None if _is_done(source) else Step(task=source)


def _evaluating(
    plan: Plan, recipe: str, run_dir: Path, row: list[Cell], origin: _Origin
) -> Evaluating | None:
    missing = tuple(_missing(plan, recipe, run_dir, row))
    if not missing:
        return None
    transfers = any(is_transfer(one) for one in missing)
    sources = plan.facts[origin.recipe or recipe].folder
    return Evaluating(
        run_dir=run_dir,
        measurements=missing,
        source_dir=sources / source_name(origin.method) if transfers else None,
        data_dir=plan.request.data_dir,
        device=plan.request.device,
        part=origin.part,
    )


def measurement(cell: Cell, facts: Facts) -> Measurement:
    """Say what must be measured of a net for a cell.

    Args:
        cell: The cell.
        facts: Facts of its recipe.

    Returns:
        The attack's text and the number of images.
    """
    if cell.metric in SPREADS:
        return Measurement(NORMS, facts.images)
    if cell.threat is None:
        return Measurement(CLEAN, facts.images)
    return Measurement(cell.threat.text(std=facts.std), facts.attacked)


def values(plan: Plan, cell: Cell) -> dict[int, dict[str, Any]]:
    """Collect what has been measured for a cell.

    Args:
        plan: The plan.
        cell: One of its cells.

    Returns:
        The record of each of the campaign's seeds that has one.
    """
    if cell.recipe not in plan.facts or cell.lacking:
        return {}
    facts = plan.facts[str(cell.recipe)]
    wanted = measurement(cell, facts)
    there = {
        seed: measured(facts.folder / f"{cell.key}-seed{seed}").get(wanted)
        for seed in plan.request.seeds
    }
    return {seed: record for seed, record in there.items() if record is not None}

"""What a reader of a table must know beside its numbers, in sentences."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from vicinal.campaigns.alps_tables import CONTROLS
from vicinal.campaigns.cell import RATIOS, SPREADS, Cell
from vicinal.campaigns.family_claims import told
from vicinal.campaigns.plan import Facts, Plan
from vicinal.campaigns.threats import SOURCE_SEED
from vicinal.campaigns.under_corruption import text_of
from vicinal.corruptions import SETS
from vicinal.evaluation.gradients import BAT_SCALE
from vicinal.recipes import files
from vicinal.recipes.schema import Recipe

__all__ = ["notes", "stand_in"]

_SHIFTS = set(SETS["all"]) - set(SETS["common"])


def stand_in(cell: Cell, facts: Facts | None) -> str | None:
    """Say which data set and net stand in the place of a cell's own.

    Args:
        cell: The cell.
        facts: Facts of its recipe; None where there are none.

    Returns:
        Such as "digits, digits_net"; None where nothing stands in.
    """
    if facts is None or facts.recipe.dataset != "digits" or cell.dataset == "digits":
        return None
    return f"{facts.recipe.dataset}, {facts.recipe.model.name}"


def notes(plan: Plan, failures: Mapping[str, str]) -> list[str]:
    """Write the notes of a table.

    Args:
        plan: The campaign.
        failures: Why tasks failed, by task.

    Returns:
        Sentences.
    """
    found = [
        *_stand_ins(plan),
        *_sizes(plan),
        *_overrides(plan),
        "Ours: mean±sample standard deviation (ddof 1) over n seeds.",
        *_images(plan),
        *_attacks([cell for cell in plan.cells if cell.recipe in plan.facts]),
        *_scores([cell for cell in plan.cells if cell.recipe in plan.facts]),
        *_spreads([cell for cell in plan.cells if cell.recipe in plan.facts]),
        *_claims(plan.cells),
        *_missing(plan),
        *_not_yet(plan.cells),
        *(f"Failed: {task}: {why}" for task, why in failures.items()),
    ]
    return list(dict.fromkeys(found))


def _stand_ins(plan: Plan) -> list[str]:
    pairs = {
        (cell.dataset, cell.model)
        for cell in plan.cells
        if stand_in(cell, plan.facts.get(str(cell.recipe)))
    }
    if not pairs:
        return []
    sets, nets = (" and ".join(sorted({pair[i] for pair in pairs})) for i in (0, 1))
    return [
        f"Scale smoke: digits in place of {sets}, digits_net in place of {nets}, with budgets to "
        "match: this shows that everything runs, its numbers say nothing about the paper."
    ]


def _sizes(plan: Plan) -> list[str]:
    """Say how much smaller than the paper's a training is."""
    found = []
    for name, facts in plan.facts.items():
        here, full = _size(facts.recipe), _size(files.recipe(name))
        if plan.request.scale != "smoke" and here != full:
            found.append(f"Scale {plan.request.scale}: {here}; scale full, the paper's: {full}.")
    return found


def _size(recipe: Recipe) -> str:
    subset = recipe.train_subset
    images = "all training images" if subset is None else f"{subset:,} training images"
    return f"{images}, width {recipe.model.arguments.get('width')}, {recipe.epochs} epochs"


def _overrides(plan: Plan) -> list[str]:
    fields = ", ".join(f"{name} = {value}" for name, value in plan.request.overrides.items())
    return [f"Overridden in every recipe: {fields}."] if fields else []


def _images(plan: Plan) -> list[str]:
    attacked = any(cell.threat is not None for cell in plan.cells)
    if all(cell.threat is not None and cell.threat.corruption in SETS for cell in plan.cells):
        return [
            f"{facts.recipe.dataset}: the first {facts.attacked:,} {_judged(facts)}."
            for facts in plan.facts.values()
        ]
    only = all(cell.metric in SPREADS for cell in plan.cells)
    what = "input gradients" if only else "clean error"
    return [
        f"{facts.recipe.dataset}: {what} on all {facts.images:,} {_judged(facts)}"
        + _attacked(facts, attacked)
        for facts in plan.facts.values()
    ]


def _judged(facts: Facts) -> str:
    if facts.recipe.evaluation.split == "test":
        return "test images"
    return "training images held out by the seed"


def _attacked(facts: Facts, attacked: bool) -> str:
    if not attacked:
        return "."
    return (
        ", attacks too."
        if facts.images == facts.attacked
        else (f", attacks on the first {facts.attacked:,}.")
    )


def _attacks(cells: Sequence[Cell]) -> list[str]:
    every = [cell.threat for cell in cells if cell.threat is not None]
    threats = [threat for threat in every if not threat.corruption]
    plain = [replace(t, black_box=False) for t in threats if t.space == "pixel"]
    texts = list(dict.fromkeys(threat.text(std=()) for threat in plain))
    found = [f"Attacks, pixels in [0, 1]: {'; '.join(texts)}."] if texts else []
    if any(threat.name == "pgd" for threat in threats):
        found.append("PGD is judged at its last iterate, as in the paper.")
    found += _sources({t.source for t in threats if t.black_box and not t.source_recipe})
    found += _other_nets({t.source_recipe for t in threats if t.black_box and t.source_recipe})
    names = {threat.corruption for threat in every if threat.corruption}
    found += _corruptions({one for name in names for one in SETS.get(name, (name,))})
    if names & SETS.keys():
        found.append(
            "mean: over ImageNet-C's corruptions but frost. R = mean / clean, of the same images."
        )
    if any(threat.space == "normalised" for threat in threats):
        found.append(
            "Normalised space: eps and step times the training set's standard deviation per "
            "channel. The paper's numbers suggest that its attacks ran there; it does not say so."
        )
    if any(cell.key in CONTROLS for cell in cells):
        found.append(
            "Controls, in no table of the paper: mixing alone is ALPS with eps 0, label alone is "
            "ALPS's adversarial label on unmixed images."
        )
    return found


def _sources(methods: Collection[str]) -> list[str]:
    if not methods:
        return []
    if set(methods) == {"erm"}:
        return [
            "Black-box: the examples are made on an ERM net of the same kind, trained with seed "
            f"{SOURCE_SEED}, which no row uses."
        ]
    return [
        f"Black-box: the examples are made on nets of the same kind, trained by {_and(methods)} "
        f"with seed {SOURCE_SEED}, which no row uses."
    ]


def _other_nets(recipes: Collection[str]) -> list[str]:
    return [
        f"Black-box from {name}: the examples are made on the ERM net of that recipe, trained with "
        f"seed {SOURCE_SEED}."
        for name in sorted(recipes)
    ]


def _corruptions(names: Collection[str]) -> list[str]:
    if not names:
        return []
    found = ["Corruptions: accuracy is the mean over the five severities, of the attacked images."]
    if set(names) & _SHIFTS:
        found.append(
            "Occlusion, colour shift, translation and rotation: the five severities go through the "
            "paper's ranges in equal steps; the paper does not say how it draws from them."
        )
    if any("procedural" in text_of(name) for name in names):
        found.append(
            "Frost: its texture is computed, so the column cannot be compared with the paper's."
        )
    return found


def _and(words: Collection[str]) -> str:
    *most, last = sorted(words)
    return f"{', '.join(most)} and {last}" if most else last


def _scores(cells: Sequence[Cell]) -> list[str]:
    if not any(cell.metric in RATIOS for cell in cells):
        return []
    return [
        "Robustness score: accuracy under the attack over clean accuracy, of the images that are "
        "attacked; read it beside the clean accuracy."
    ]


def _spreads(cells: Sequence[Cell]) -> list[str]:
    if not any(cell.metric in SPREADS for cell in cells):
        return []
    return [
        f"Squared gradient: squared l2 norm of the cross-entropy's gradient at a clean image, "
        f"{BAT_SCALE}; in [0, 1] it is four times as large."
    ]


def _not_yet(cells: Sequence[Cell]) -> list[str]:
    lacking = {cell.lacking for cell in cells if cell.lacking}
    return [f"Not yet: {_and(lacking)}, not built so far."] if lacking else []


def _claims(cells: Sequence[Cell]) -> list[str]:
    own = any(cell.table.startswith("family/") and cell.paper is not None for cell in cells)
    return [told()] if own else []


def _missing(plan: Plan) -> list[str]:
    named = {cell.recipe for cell in plan.cells}
    own = [cell for cell in plan.cells if cell.key != "cited"]
    sets = sorted({cell.dataset for cell in own if cell.recipe is None})
    found = [f"No data: {why}" for recipe, why in plan.missing.items() if recipe in named]
    if sets:
        found.append(f"No data: there is no recipe for {' and '.join(sets)} yet.")
    return found

"""Recipe files: which there are, and how base, method, preset, scale, overrides become one.

One file is one (paper, data set, model). Its `methods` are the rows of the paper's tables under the
keys of `paper_tables.csv`, and the controls. Files are data: nothing in them runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from functools import cache, lru_cache
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from vicinal._checks import InputError, choice, suggest
from vicinal.recipes.budgets import attacks
from vicinal.recipes.numerals import write_number
from vicinal.recipes.overlay import nest, overlay
from vicinal.recipes.presets import layer
from vicinal.recipes.resolve import accepts, complete, explicit, fill_in, known_fields
from vicinal.recipes.scaling import scaled
from vicinal.recipes.schema import Recipe, read_recipe

__all__ = ["CUSTOM", "SCALES", "methods", "names", "read", "recipe", "scale_fields", "write"]

SCALES = ("smoke", "small", "medium", "full")
"""From seconds on bundled digits to the paper's own setting; `recipes/scales.yaml`."""

CUSTOM = "custom"
"""The method of a recipe whose objective the user exchanged by name."""

_ROOT = resources.files("vicinal.recipes")
_FIXED = ("name", "method", "preset", "scale", "paper", "tables")
"""What names a recipe cannot be overridden by one of its fields."""


@cache
def names() -> tuple[str, ...]:
    """List the recipes of the package.

    Returns:
        Names such as "alps/cifar10-preactresnet18".
    """
    folders = [entry for entry in _ROOT.iterdir() if entry.is_dir()]
    found = [
        f"{folder.name}/{file.name.removesuffix('.yaml')}"
        for folder in folders
        for file in folder.iterdir()
        if file.name.endswith(".yaml")
    ]
    return tuple(sorted(found))


def methods(name: str) -> dict[str, dict[str, Any]]:
    """List the methods of a recipe.

    Args:
        name: The recipe's name, or the path of a recipe file.

    Returns:
        Each method's key and the fields that it lays over the base, its own default first.
    """
    values = _file(name)
    found: dict[str, dict[str, Any]] = values["methods"]
    first = values["default_method"]
    return {first: found[first], **found}


def recipe(
    name: str,
    *,
    method: str | None = None,
    preset: str = "paper",
    scale: str = "full",
    seed: int = 0,
    overrides: Mapping[str, Any] | None = None,
) -> Recipe:
    """Resolve a recipe: base <- method <- preset <- scale <- overrides, every default written down.

    Args:
        name: The recipe's name, such as "alps/cifar10-preactresnet18", or a `.yaml` file's path.
        method: The row, such as "mixup"; by default the paper's own method.
        preset: "paper", or "tuned": today's practice, see `presets.yaml`.
        scale: "smoke", "small", "medium" or "full".
        seed: Governs the initial weights, the order of the data and the objective's draws.
        overrides: Fields by dotted name, such as {"epochs": 15, "objective.eps": 0.3}.

    Returns:
        The recipe.

    Raises:
        InputError: If a name, a field or a value is not known or not allowed.

    Example:
        >>> chosen = recipe("alps/cifar10-vgg16", scale="smoke", overrides={"objective.eps": 0.3})
        >>> chosen.method, chosen.objective.arguments["eps"], chosen.dataset
        ('alps', 0.3, 'digits')
    """
    base = _file(name)
    rows, default = base.pop("methods"), base.pop("default_method")
    chosen = choice("method", default if method is None else method, rows)
    choice("scale", scale, SCALES)
    user = _checked(nest(overrides or {}))
    fields = {"seed": seed, **base}
    fields = overlay(fields, rows[chosen], accepts=accepts)
    tuning = layer(preset, fields, common=_packaged("presets.yaml"), scale=scale)
    fields = overlay(fields, tuning, accepts=accepts)
    fields = scaled(fields, _scale(scale, base, rows), user=user, epochs=base.get("epochs"))
    own = _objective_name(fields)
    fields = overlay(fields, user, accepts=accepts)
    # A row whose objective was exchanged must not be recorded under the row's name.
    said = chosen if _objective_name(fields) == own else CUSTOM
    fields |= {"name": _plain_name(name), "method": said, "preset": preset, "scale": scale}
    return complete(read_recipe(fields, known=known_fields(fields)))


def _scale(scale: str, base: Mapping[str, Any], rows: Mapping[str, Any]) -> dict[str, Any]:
    """Give a scale's fields, those of its shorter runs where a row of the file attacks."""
    scales = _packaged("scales.yaml")
    shorter = scales["where_a_row_attacks"].get(scale, {})
    if shorter and any(_attacks(base, row) for row in rows.values()):
        return {**scales[scale], **shorter}
    return scales[scale]


def scale_fields(scale: str) -> dict[str, Any]:
    """Read what a scale lays over a recipe.

    Args:
        scale: "smoke", "small", "medium" or "full".

    Returns:
        Its fields; where a row attacks, the scale's runs may be shorter.

    Example:
        >>> scale_fields("small")["train_subset"], scale_fields("full")
        (10000, {})
    """
    return _packaged("scales.yaml")[choice("scale", scale, SCALES)]


def _attacks(base: Mapping[str, Any], row: Mapping[str, Any]) -> bool:
    objective = overlay(base, row, accepts=accepts).get("objective")
    return isinstance(objective, Mapping) and attacks(explicit("objective", objective))


def _objective_name(fields: Mapping[str, Any]) -> object:
    part = fields.get("objective")
    return part.get("name") if isinstance(part, Mapping) else part


def _checked(user: dict[str, Any]) -> dict[str, Any]:
    for field in _FIXED:
        if field in user:
            raise InputError(f"`{field}` names a recipe and cannot be overridden.")
    model = user.get("model")
    for field in ("num_classes", "in_channels"):
        if isinstance(model, dict) and field in model:
            raise InputError(f"`model.{field}` is taken from the data set, not from a recipe.")
    return user


def read(path: Path) -> Recipe:
    """Read the resolved recipe of a run folder.

    Args:
        path: A `recipe.yaml`.

    Returns:
        The recipe.

    Raises:
        InputError: If the file is missing or is no resolved recipe.
    """
    if not path.is_file():
        raise InputError(f"{path.parent} is no run folder: it has no {path.name}.")
    try:
        return fill_in(read_recipe(_mapping(_text(path), str(path))))
    except InputError as error:
        raise InputError(f"{path} is no resolved recipe: {error}") from None


def write(recipe: Recipe) -> str:
    """Write a recipe as YAML that reads back to the same recipe.

    Args:
        recipe: A recipe.

    Returns:
        The text of a `recipe.yaml`.
    """
    return yaml.dump(
        recipe.model_dump(mode="json"), Dumper=_Dumper, sort_keys=False, default_flow_style=None,
        width=100,
    )  # fmt: skip


class _Dumper(yaml.SafeDumper):
    """Writes budgets the way papers do, 4/255."""


def _represent_float(dumper: yaml.SafeDumper, value: float) -> yaml.ScalarNode:
    text = write_number(value)
    if "/" in text:
        return dumper.represent_str(text)
    return yaml.SafeDumper.represent_float(dumper, value)


_Dumper.add_representer(float, _represent_float)


def _plain_name(name: str) -> str:
    return Path(name).stem if _is_path(name) else name


def _is_path(name: str) -> bool:
    return name.endswith((".yaml", ".yml"))


def _file(name: str) -> dict[str, Any]:
    """Read a recipe file afresh, its three own fields checked."""
    if _is_path(name):
        path = Path(name)
        if not path.is_file():
            raise InputError(f"there is no recipe file {name}.")
        text = _text(path)
    elif name in names():
        text = _ROOT.joinpath(*f"{name}.yaml".split("/")).read_text(encoding="utf-8")
    else:
        raise InputError(f"there is no recipe {name!r}.{suggest(name, names())}")
    values = _mapping(text, name)
    rows = values.get("methods")
    if not isinstance(rows, dict) or not rows or values.get("default_method") not in rows:
        raise InputError(
            f"recipe {name} must have `methods` (a mapping) and `default_method` (one of them)."
        )
    return values


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read as text: {error}.") from None


class _Loader(yaml.SafeLoader):
    """Plain data only, and no field twice: the second would silently win."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Read a mapping, refusing a field that stands there already."""
        words = [key.value for key, _ in node.value]
        for place, word in enumerate(words):
            if word in words[:place]:
                mark = node.value[place][0].start_mark
                raise yaml.constructor.ConstructorError(None, None, f"{word!r} stands twice", mark)
        return super().construct_mapping(node, deep)


@cache
def _packaged_text(name: str) -> str:
    return (_ROOT / name).read_text(encoding="utf-8")


def _packaged(name: str) -> dict[str, dict[str, Any]]:
    return _mapping(_packaged_text(name), name)


def _mapping(text: str, where: str) -> dict[str, Any]:
    """Read a text as YAML; a new structure every time, which the caller may change."""
    return deepcopy(_parsed(text, where))


@lru_cache(maxsize=128)
def _parsed(text: str, where: str) -> dict[str, Any]:
    """Read a text once: PyYAML takes longer than all the rest of a recipe."""
    try:
        values = yaml.load(text, Loader=_Loader)
    except RecursionError:
        raise InputError(f"{where} is nested too deeply to be a recipe.") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or "it cannot be read"
        raise InputError(f"{where}{line} is not plain YAML: {problem}.") from None
    if not isinstance(values, dict):
        raise InputError(f"{where} must hold fields and values; got {type(values).__name__}.")
    return values

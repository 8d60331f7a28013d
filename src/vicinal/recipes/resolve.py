"""Where a recipe's words become objects; `attack_words` is the same for attacks.

Every word is looked up in an explicit table of its room; a file or a command line never imports
code. `complete` writes down the arguments that were left to their defaults, so that a run keeps its
meaning when a default changes.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any

import torch
from torch import nn

from vicinal._checks import InputError, choice
from vicinal._typing import Objective
from vicinal.engine import OPTIMIZERS, SCHEDULES
from vicinal.inputs import INPUTS
from vicinal.labels import LABELS
from vicinal.models import MODELS
from vicinal.objectives import OBJECTIVES
from vicinal.recipes.augment import augment_of
from vicinal.recipes.corruption_words import CORRUPTION_CLASSES
from vicinal.recipes.schema import NAMED_PARTS, Part, Recipe, unknown_field

__all__ = [
    "OF_THE_DATA",
    "accepts",
    "complete",
    "explicit",
    "fill_in",
    "is_plain",
    "known_fields",
    "mixes",
    "model",
    "objective",
    "optimizer",
    "schedule",
]

Table = Mapping[str, Callable[..., Any]]

_TABLES: dict[str, Table] = {
    "model": MODELS,
    "objective": OBJECTIVES,
    "optimizer": OPTIMIZERS,
    "schedule": SCHEDULES,
}
_WITHIN: dict[str, Table] = {
    "corruption": CORRUPTION_CLASSES,
    "inputs": INPUTS,
    "labels": LABELS,
    "move": INPUTS,
    "objective": OBJECTIVES,
}
"""What an argument of an objective holds, at any depth, where it is no plain value."""

_LEFT_OUT = {"inputs": "Keep", "labels": "Keep", "objective": "ERM"}
"""What such an argument names where it is left to its default."""

OF_THE_DATA = ("num_classes", "in_channels", "mean", "std")
"""Arguments of a model that its data set gives; mean and std a recipe may fix instead."""

_STATISTICS = ("mean", "std")

_MIXING = {"ALPS", "CutMix", "IAT", "Interpolate", "ManifoldMixUp", "MTLAT", "MixUp"}
"""Objectives and input moves that mix the images of a batch."""


def _table(where: str) -> Table | None:
    """Find the table of a part, such as "objective.objective.inputs"; None for a plain argument."""
    if where in _TABLES:
        return _TABLES[where]
    whole, _, word = where.rpartition(".")
    return _WITHIN.get(word) if whole.partition(".")[0] == "objective" else None


def _arguments(build: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    return dict(inspect.signature(build).parameters)


def accepts(name: str, argument: str) -> bool:
    """Tell whether a model takes an argument.

    Args:
        name: The model's name.
        argument: The argument's name.

    Returns:
        True if it does; False for an unknown model.
    """
    return name in MODELS and argument in _arguments(MODELS[name])


def known_fields(recipe: Mapping[str, Any]) -> tuple[str, ...]:
    """List the arguments that the named parts of a recipe take.

    Args:
        recipe: The fields of a recipe, nested.

    Returns:
        Dotted names such as "objective.eps".
    """
    found = []
    for where in NAMED_PARTS:
        part = recipe.get(where)
        name = part.get("name") if isinstance(part, Mapping) else None
        if name in _TABLES[where]:
            found += [f"{where}.{word}" for word in _arguments(_TABLES[where][str(name)])]
    return tuple(found)


def _build(where: str, part: Mapping[str, Any]) -> Any:  # ruff: ignore[any-type] — one of several rooms
    """Build the object that a part names, its arguments checked against its signature."""
    table = _table(where) or {}
    given = {word: value for word, value in part.items() if word != "name"}
    name = choice(f"{where}.name", str(part.get("name", "")), table)
    known = _arguments(table[name])
    for word, value in given.items():
        if word not in known:
            raise InputError(unknown_field(f"{where}.{word}", [f"{where}.{k}" for k in known]))
        if _table(f"{where}.{word}") is not None:
            given[word] = _build(f"{where}.{word}", _as_part(value))
    missing = [k for k, p in known.items() if p.default is inspect.Parameter.empty]
    for word in missing:
        if word not in given:
            raise InputError(f"`{where}.{word}` must be given: {name} has no default for it.")
    return _made(where, table[name], given)


def _made(where: str, build: Callable[..., Any], given: dict[str, Any]) -> Any:  # ruff: ignore[any-type]
    """Build an object; in its complaint about an argument, say whose argument it is."""
    try:
        return build(**given)
    except InputError as error:
        sentence = str(error)
        for word in given:
            sentence = sentence.replace(f"`{word}`", f"`{where}.{word}`")
        raise InputError(sentence) from None


def _as_part(value: Any) -> Mapping[str, Any]:  # ruff: ignore[any-type] — what the recipe holds
    return value if isinstance(value, Mapping) else {"name": value}


def objective(recipe: Recipe) -> Objective:
    """Build the training loss of a recipe.

    Args:
        recipe: The recipe.

    Returns:
        The objective.
    """
    built: Objective = _build("objective", recipe.objective.model_dump())
    return built


def mixes(recipe: Recipe) -> bool:
    """Tell whether a recipe's objective mixes the images of a batch, which then needs two.

    Args:
        recipe: The recipe.

    Returns:
        True if it does.
    """
    return not _MIXING.isdisjoint(_names("objective", recipe.objective.model_dump()))


def _names(where: str, part: Mapping[str, Any]) -> Iterator[str]:
    """Run through the names of a part and of the parts within it."""
    yield str(part.get("name"))
    for word, value in part.items():
        if _table(f"{where}.{word}") is not None:
            yield from _names(f"{where}.{word}", _as_part(value))


def optimizer(recipe: Recipe) -> Any:  # ruff: ignore[any-type] — the engine's own dataclasses
    """Build the optimizer's settings of a recipe.

    Args:
        recipe: The recipe.

    Returns:
        One of `vicinal.engine.OPTIMIZERS`.
    """
    return _build("optimizer", recipe.optimizer.model_dump())


def schedule(recipe: Recipe) -> Any:  # ruff: ignore[any-type] — the engine's own dataclasses
    """Build the learning-rate schedule of a recipe.

    Args:
        recipe: The recipe.

    Returns:
        One of `vicinal.engine.SCHEDULES`.
    """
    return _build("schedule", recipe.schedule.model_dump())


def model(recipe: Recipe) -> nn.Module:
    """Build the net of a recipe, untrained; its weights come from torch's global generator.

    Args:
        recipe: A recipe whose `model` knows its data: num_classes, in_channels, mean and std.

    Returns:
        The classifier: pixels in [0, 1] go in, logits come out.
    """
    net: nn.Module = _build("model", recipe.model.model_dump())
    return net


def complete(recipe: Recipe) -> Recipe:
    """Check that every word of a recipe names something, and write the defaults down.

    Args:
        recipe: A recipe.

    Returns:
        The same recipe with every argument of its objective, optimizer, schedule and model
        explicit, those apart that the data set gives.

    Raises:
        InputError: If a name, an argument or a value is not known or not allowed.
    """
    augment = augment_of(recipe)
    for build in (objective, optimizer, schedule):
        build(recipe)
    _check_model(recipe.model)
    return fill_in(recipe.model_copy(update={"augment": augment}))


def fill_in(recipe: Recipe) -> Recipe:
    """Write down the arguments of a recipe's parts that it leaves to their defaults.

    Args:
        recipe: A recipe, such as that of a run of before an argument existed.

    Returns:
        The same recipe, its arguments explicit; a part of an unknown name stays as it is.
    """
    full = {where: explicit(where, getattr(recipe, where).model_dump()) for where in NAMED_PARTS}
    return recipe.model_copy(update={where: Part(**part) for where, part in full.items()})


def _check_model(part: Part) -> None:
    """Check a model's name and arguments on torch's meta device, where nothing is computed."""
    _check_model_of(json.dumps(part.model_dump(), sort_keys=True, default=str))


@lru_cache(maxsize=64)
def _check_model_of(text: str) -> None:
    """Check a model once: its rows and scales share it, and a deep one takes a while to build."""
    part = Part(**json.loads(text))
    known = _arguments(MODELS[choice("model.name", part.name, MODELS)])
    fixed = {word: part.arguments[word] for word in _STATISTICS if word in part.arguments}
    channels = max((len(v) for v in fixed.values() if isinstance(v, list)), default=1)
    stand_in = {"num_classes": 2, "in_channels": channels if channels > 1 else 3, **fixed}
    given = {k: v for k, v in part.arguments.items() if k not in OF_THE_DATA}
    with torch.device("meta"):
        fitting = {word: value for word, value in stand_in.items() if word in known}
        _build("model", {"name": part.name, **given, **fitting})


def explicit(where: str, part: Mapping[str, Any]) -> dict[str, Any]:
    """Write down the defaults of a part's arguments, those apart that are no plain values.

    Args:
        where: What the part is, such as "objective".
        part: Its name and the arguments given.

    Returns:
        Its name and all arguments; a part of an unknown name as it is.
    """
    table = _table(where) or {}
    if part.get("name") not in table:
        return dict(part)
    known = _arguments(table[part["name"]])
    defaults = {
        word: list(parameter.default) if isinstance(parameter.default, tuple) else parameter.default
        for word, parameter in known.items()
        if is_plain(parameter.default) and not (where == "model" and word in OF_THE_DATA)
    }
    full = {"name": part["name"], **defaults, **{k: v for k, v in part.items() if k != "name"}}
    for word in known:
        if _table(f"{where}.{word}") is not None and (word in full or word in _LEFT_OUT):
            inner = _as_part(full.get(word, _LEFT_OUT.get(word)))
            full[word] = explicit(f"{where}.{word}", inner)
    return full


def is_plain(value: object) -> bool:
    """Tell whether a value can stand in a recipe as it is.

    Args:
        value: An argument, or its default.

    Returns:
        True for None, a word, a number, True or False, and a tuple of such.
    """
    if isinstance(value, tuple):
        return all(is_plain(item) for item in value)
    return value is None or isinstance(value, (bool, int, float, str))

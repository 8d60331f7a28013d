"""The only place where a word becomes an object.

Every word is looked up in an explicit table of its room; a file or a command line never imports
code. `complete` writes down the arguments that were left to their defaults, so that a run keeps its
meaning when a default changes.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from vicinal._checks import InputError, choice
from vicinal._typing import Attack, Objective
from vicinal.attacks import ATTACKS
from vicinal.engine import OPTIMIZERS, SCHEDULES
from vicinal.inputs import INPUTS
from vicinal.labels import LABELS
from vicinal.models import MODELS
from vicinal.objectives import OBJECTIVES
from vicinal.recipes.augment import augment_of
from vicinal.recipes.calls import Call, Value, read_call, write_call
from vicinal.recipes.schema import NAMED_PARTS, Evaluation, Part, Recipe, unknown_field

__all__ = [
    "OF_THE_DATA",
    "accepts",
    "complete",
    "describe",
    "explicit",
    "fill_in",
    "known_fields",
    "mixes",
    "model",
    "objective",
    "optimizer",
    "parse_attack",
    "schedule",
    "spec",
]

_TABLES: dict[str, Mapping[str, Callable[..., Any]]] = {
    "model": MODELS,
    "objective": OBJECTIVES,
    "optimizer": OPTIMIZERS,
    "schedule": SCHEDULES,
    "objective.inputs": INPUTS,
    "objective.labels": LABELS,
}
OF_THE_DATA = ("num_classes", "in_channels", "mean", "std")
"""Arguments of a model that its data set gives; mean and std a recipe may fix instead."""

_STATISTICS = ("mean", "std")

_MIXING = ("ALPS", "CutMix", "Interpolate", "ManifoldMixUp", "MixUp")
"""Objectives and input moves that mix the images of a batch."""

_BUDGET = ("eps", "step_size", "steps")


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
    table = _TABLES[where]
    given = {word: value for word, value in part.items() if word != "name"}
    name = choice(f"{where}.name", str(part.get("name", "")), table)
    known = _arguments(table[name])
    for word, value in given.items():
        if word not in known:
            raise InputError(unknown_field(f"{where}.{word}", [f"{where}.{k}" for k in known]))
        if f"{where}.{word}" in _TABLES:
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
    inputs = _as_part(recipe.objective.arguments.get("inputs", "Keep"))
    return recipe.objective.name in _MIXING or inputs.get("name") in _MIXING


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
    if part.get("name") not in _TABLES[where]:
        return dict(part)
    known = _arguments(_TABLES[where][part["name"]])
    defaults = {
        word: list(parameter.default) if isinstance(parameter.default, tuple) else parameter.default
        for word, parameter in known.items()
        if _is_plain(parameter.default) and not (where == "model" and word in OF_THE_DATA)
    }
    full = {"name": part["name"], **defaults, **{k: v for k, v in part.items() if k != "name"}}
    for word in known:
        if f"{where}.{word}" in _TABLES:
            full[word] = explicit(f"{where}.{word}", _as_part(full.get(word, "Keep")))
    return full


def _is_plain(value: object) -> bool:
    if isinstance(value, tuple):
        return all(_is_plain(item) for item in value)
    return value is None or isinstance(value, (bool, int, float, str))


def parse_attack(
    text: str,
    *,
    budget: Evaluation | None = None,
    load: Callable[[str], nn.Module] | None = None,
) -> Attack:
    """Build an attack from a text such as "pgd(eps=4/255, step_size=1/255, steps=10)".

    Args:
        text: An attack's name with keyword arguments; numbers may be fractions, a list is one
            number per channel; a transfer has `attack=` (an attack) and `source=` (a run folder).
        budget: The recipe's eps, step_size and steps, for those of them that the text leaves out.
        load: How to load the model that a run folder holds.

    Returns:
        The attack.

    Raises:
        InputError: If the text is no attack, or leaves its budget out and there is none to take.

    Example:
        >>> parse_attack("pgd(eps=4/255, step_size=1/255, steps=10)").steps
        10
    """
    return _attack(read_call(text), budget, load)


def _attack(
    call: Call, budget: Evaluation | None, load: Callable[[str], nn.Module] | None
) -> Attack:
    build = ATTACKS[choice("attack", call.name, ATTACKS)]
    known = _arguments(build)
    for word in call.arguments:
        choice(f"argument of {call.name}", word, known)
    given = {word: _argument(word, value, budget, load) for word, value in call.arguments.items()}
    if budget is not None:
        given = {word: getattr(budget, word) for word in _BUDGET if word in known} | given
    elif "eps" in known and "eps" not in given:
        raise InputError(
            f"{call.name!r} must say its budget: give eps, such as '{call.name}(eps=4/255)'."
        )
    missing = [k for k, p in known.items() if p.default is p.empty and k not in given]
    if missing:
        raise InputError(f"{call.name!r} must be given {' and '.join(missing)}.")
    attack: Attack = build(**given)
    return attack


def _argument(
    word: str,
    value: Value,
    budget: Evaluation | None,
    load: Callable[[str], nn.Module] | None,
) -> object:
    if word == "attack" and isinstance(value, (str, Call)):
        return _attack(value if isinstance(value, Call) else Call(name=value), budget, load)
    if isinstance(value, Call):
        raise InputError(f"`{word}` must be a number or a word; got {write_call(value)!r}.")
    if word == "source" and isinstance(value, str):
        if load is None:
            raise InputError(
                f"`source` names a run folder, which cannot be loaded here: {value!r}."
            )
        return load(value)
    if isinstance(value, list):
        return torch.tensor(value, dtype=torch.long if word == "target" else torch.float32)
    return value


def spec(attack: Attack) -> str:
    """Write an attack as the text that `parse_attack` reads back: the arguments that differ.

    A model, such as the source of a transfer, is written as its class and cannot be read back.

    Args:
        attack: One of `vicinal.attacks`.

    Returns:
        Such as "pgd(eps=4/255, step_size=1/255, steps=10)".

    Raises:
        InputError: If the attack is none of the library's.
    """
    given: Any = attack
    names = [name for name, build in ATTACKS.items() if type(given) is build]
    if not names:
        raise InputError(f"{type(attack).__name__} is none of {', '.join(sorted(ATTACKS))}.")
    arguments = {
        field.name: _written(getattr(given, field.name))
        for field in dataclasses.fields(given)
        if not _is_default(getattr(given, field.name), field.default)
    }
    return write_call(Call(name=names[0], arguments=arguments))


def describe(text: str, attack: Attack) -> str:
    """Name an attack by its full text; the source of a transfer stays the run folder as written.

    Args:
        text: What the attack was built from.
        attack: The attack.

    Returns:
        Such as "transfer(source='runs/erm', attack=fgsm(eps=4/255))".
    """
    call = read_call(text)
    inner = getattr(attack, "attack", None)
    if inner is None:
        return spec(attack)
    return write_call(Call(name=call.name, arguments={**call.arguments, "attack": _written(inner)}))


def _is_default(value: object, default: object) -> bool:
    return _is_plain(value) and _is_plain(default) and value == default


def _written(value: Any) -> Value:  # ruff: ignore[any-type] — a field of any attack
    if isinstance(value, Tensor):
        return list(value.flatten().tolist())
    if isinstance(value, nn.Module):
        return type(value).__name__
    if type(value) in ATTACKS.values():
        return read_call(spec(value))
    if _is_plain(value) and not isinstance(value, tuple):
        plain: Value = value
        return plain
    raise InputError(f"an attack's argument {value!r} cannot be written as text.")

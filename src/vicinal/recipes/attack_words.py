"""Attacks as texts: "pgd(eps=4/255, steps=10)" becomes an attack, and an attack its text again.

As everywhere in this room, a word is looked up in an explicit table and nothing is imported by it.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from vicinal._checks import InputError, choice
from vicinal._typing import Attack, Norm
from vicinal.attacks import ATTACKS
from vicinal.recipes.calls import Call, Value, read_call, write_call
from vicinal.recipes.resolve import is_plain
from vicinal.recipes.schema import Evaluation

__all__ = ["describe", "parse_attack", "read_attack", "spec"]

_BUDGET = ("eps", "step_size", "steps")


def parse_attack(
    text: str,
    *,
    budget: Evaluation | None = None,
    norm: Norm = "linf",
    load: Callable[[str], nn.Module] | None = None,
) -> Attack:
    """Build an attack from a text such as "pgd(eps=4/255, step_size=1/255, steps=10)".

    Args:
        text: An attack's name with keyword arguments; numbers may be fractions, a list is one
            number per channel; a transfer has `attack=` (an attack) and `source=` (a run folder).
        budget: The recipe's eps, step_size and steps, for those of them that the text leaves out.
        norm: In which the budget's radius and step are; a recipe's are in linf. An attack that
            searches in another takes its steps alone.
        load: How to load the model that a run folder holds.

    Returns:
        The attack.

    Raises:
        InputError: If the text is no attack, or leaves its budget out and there is none to take.

    Example:
        >>> parse_attack("pgd(eps=4/255, step_size=1/255, steps=10)").steps
        10
    """
    return _attack(read_attack(text), _Given(budget=budget, norm=norm, load=load))


def read_attack(text: str) -> Call:
    """Read an attack's name with its arguments, as `read_call` does.

    Args:
        text: Such as "pgd(eps=4/255)".

    Returns:
        Name and arguments.

    Raises:
        InputError: If it is none. The names of a suite's attacks, such as pgd-20, are not: a hyphen
            is a minus here.

    Example:
        >>> read_attack("fgsm").name
        'fgsm'
    """
    name = text.partition("(")[0].strip()
    if re.fullmatch(r"[A-Za-z]\w*(-\w+)+", name):
        choice("attack", name, ATTACKS)
    return read_call(text)


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Given:
    """What stands behind a text: the budget, its norm, and how a run folder is loaded."""

    budget: Evaluation | None
    norm: Norm
    load: Callable[[str], nn.Module] | None


def _attack(call: Call, at_hand: _Given) -> Attack:
    build = ATTACKS[choice("attack", call.name, ATTACKS)]
    known = inspect.signature(build).parameters
    for word in call.arguments:
        choice(f"argument of {call.name}", word, known)
    given = {word: _argument(word, value, at_hand) for word, value in call.arguments.items()}
    own = given.get("norm", known["norm"].default) if "norm" in known else "linf"
    if at_hand.budget is not None:
        # APGD's 100 steps are its own: the recipe's are for attacks that leave them open.
        open_words = [w for w, p in known.items() if w == "eps" or p.default is p.empty]
        fitting = _BUDGET if own == at_hand.norm else ("steps",)
        filled = {w: getattr(at_hand.budget, w) for w in fitting if w in open_words}
        given = filled | given
        _check_own(call, [w for w in _BUDGET if w in open_words and w not in given], own, at_hand)
    elif "eps" in known and "eps" not in given:
        raise InputError(
            f"{call.name!r} must say its budget: give eps, such as '{call.name}(eps=4/255)'."
        )
    missing = [k for k, p in known.items() if p.default is p.empty and k not in given]
    if missing:
        raise InputError(f"{call.name!r} must be given {' and '.join(missing)}.")
    attack: Attack = build(**given)
    return attack


def _check_own(call: Call, lacking: list[str], own: object, at_hand: _Given) -> None:
    """Refuse an attack that would take radius or step of a ball of another kind."""
    if lacking:
        raise InputError(
            f"{write_call(call)!r} must be given its own {' and '.join(lacking)}: it searches in "
            f"{own}, and the budget at hand is one in {at_hand.norm}."
        )


def _argument(word: str, value: Value, at_hand: _Given) -> object:
    if word == "attack" and isinstance(value, (str, Call)):
        return _attack(value if isinstance(value, Call) else Call(name=value), at_hand)
    if isinstance(value, Call):
        raise InputError(f"`{word}` must be a number or a word; got {write_call(value)!r}.")
    if word == "source" and isinstance(value, str):
        if at_hand.load is None:
            raise InputError(
                f"`source` names a run folder, which cannot be loaded here: {value!r}."
            )
        return at_hand.load(value)
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
    return is_plain(value) and is_plain(default) and value == default


def _written(value: Any) -> Value:  # ruff: ignore[any-type] — a field of any attack
    if isinstance(value, Tensor):
        return list(value.flatten().tolist())
    if isinstance(value, nn.Module):
        return type(value).__name__
    if type(value) in ATTACKS.values():
        return read_call(spec(value))
    if is_plain(value) and not isinstance(value, tuple):
        plain: Value = value
        return plain
    raise InputError(f"an attack's argument {value!r} cannot be written as text.")

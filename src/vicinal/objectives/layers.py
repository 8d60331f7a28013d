"""A model's layers by name: what `ManifoldMixUp(layers=...)` means on a given model."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence

from torch import nn

from vicinal._checks import InputError
from vicinal._typing import Model

__all__ = ["INPUT", "find_layers", "names_of_layers"]

INPUT = ("input", "")
"""What stands for the input itself among the names of layers."""

_STAGE = re.compile(r"(stage|layer)\d+")


def names_of_layers(names: object) -> tuple[str, ...]:
    """Check names of layers, before there is a model.

    Args:
        names: A tuple or list of words.

    Returns:
        The names as a tuple.

    Raises:
        InputError: If they are anything else, or none.
    """
    if isinstance(names, (tuple, list)) and names and all(isinstance(n, str) for n in names):
        return tuple(names)
    hint = f" Did you mean ({names!r},)?" if isinstance(names, str) else ""
    raise InputError(
        f"`layers` must be a tuple of names of modules, at least one; got {names!r}.{hint}"
    )


def find_layers(model: Model, names: Sequence[str] | None) -> list[nn.Module | None]:
    """Look up layers by name.

    Args:
        model: The model.
        names: As in `model.named_modules()`, or "input". The front of a name may be left out (the
            `module.` or `_orig_mod.` of a wrapper, `features.`): the outermost module whose name
            ends so is meant. None: the input, and the outermost modules named stage1, stage2, ...
            or layer1, layer2, ...

    Returns:
        The layers in the order of the names, None for the input.

    Raises:
        InputError: If a name is no module's or several modules', or the model has no stages.

    Example:
        >>> net = nn.Sequential(nn.Flatten(), nn.Linear(4, 3))
        >>> find_layers(net, ("input", "1"))
        [None, Linear(in_features=4, out_features=3, bias=True)]
    """
    modules = dict(model.named_modules(remove_duplicate=False))
    if names is None:
        stages = _outermost(n for n in modules if _STAGE.fullmatch(n.rpartition(".")[2]))
        if not stages:
            raise InputError(
                f"ManifoldMixUp must be told where to mix: {type(model).__name__} has no modules "
                "stage1, ... or layer1, .... Name some of its own, such as "
                f"layers={('input', *[n for n, _ in model.named_children()][:1])}."
            )
        names = (INPUT[0], *stages)
    return [None if name in INPUT else modules[_full_name(name, modules)] for name in names]


def _outermost(names: Iterable[str]) -> list[str]:
    found: list[str] = []
    for name in names:
        if not name.startswith(tuple(f"{outer}." for outer in found)):
            found.append(name)
    return found


def _full_name(name: str, modules: dict[str, nn.Module]) -> str:
    if name in modules:
        return name
    ends = sorted((n for n in modules if n.endswith(f".{name}")), key=lambda n: n.count("."))
    if ends and (len(ends) == 1 or ends[0].count(".") < ends[1].count(".")):
        return ends[0]
    rule = "`layers` must name modules of the model, or 'input'"
    if ends:
        clash = f"{ends[0]} or {ends[1]}"
        raise InputError(f"{rule}; got {name!r}, which may be {clash}: write the name in full.")
    raise InputError(f"{rule}; got {name!r}. {_nearest(name, modules)}")


def _nearest(name: str, modules: Iterable[str]) -> str:
    known = sorted((INPUT[0], *filter(None, modules)), key=lambda n: n.count("."))
    # A long name is compared by as many of its last words as were written.
    ends = {".".join(n.split(".")[-1 - name.count(".") :]): n for n in reversed(known)}
    near = [ends[end] for end in difflib.get_close_matches(name, ends, n=3)]
    return f"Did you mean {' or '.join(near)}?" if near else f"Known: {', '.join(known[:8])}, ...."

"""Whether a model or an attack is the one of an earlier call: a digest of what it consists of.

Weights alone do not say it: a wrapper may hold its net in a plain attribute or a closure, and a
factor, a number of levels, a hook or another `forward` changes every logit. Classes of torch and of
Python's own library count by their names, as do things that cannot be looked into, so that the
digest is the same in another process. Functions are followed into what they call: in their own
module, and in other modules of the user's, which no installed package holds.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import sys
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import PurePath
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from vicinal._typing import Attack
from vicinal.attacks import Rounded, Transfer
from vicinal.evaluation.threat import parameters

__all__ = ["identity", "keys_of", "source_of", "state_of"]

_Parts = list[tuple[str, Any]]
_HOLDERS = (tuple, list, Mapping, set, frozenset, CodeType)
_PLAIN = (bool, int, float, complex, str, bytes, type(None), torch.dtype, torch.device, PurePath)


def keys_of(attacks: Mapping[str, Attack], *, device: torch.device) -> dict[str, str]:
    """Collect what decides the numbers of each attack, as `Ledger.keys` has it.

    Args:
        attacks: Attacks by name.
        device: Where they search.

    Returns:
        By name, a digest of every parameter and of the nets that the attack carries.
    """
    return {
        name: identity((parameters(attack, device=device), attack))
        for name, attack in attacks.items()
    }


def source_of(attack: object) -> str | None:
    """Tell on which net an attack makes its examples, where that is not the one that it judges.

    Args:
        attack: Any attack.

    Returns:
        Sixteen digits of the net's identity; None where there is no such net.
    """
    if isinstance(attack, Rounded):
        return source_of(attack.attack)
    return identity(attack.source)[:16] if isinstance(attack, Transfer) else None


def state_of(model: nn.Module) -> str:
    """Tell which net it is by its weights and buffers alone, whatever the code around them.

    Args:
        model: The net.

    Returns:
        Sixteen digits, which another version of this library or of Python gives too.
    """
    return identity(model.state_dict())[:16]


def identity(thing: object) -> str:
    """Sum up what a thing consists of: tensors, numbers, words, code, and things of such parts.

    Args:
        thing: A model, an attack, a function; or tuples, lists and mappings of them.

    Returns:
        Hexadecimal digits, the same in every process for the same content.

    Example:
        >>> class Scaled(nn.Module):
        ...     def __init__(self, factor):
        ...         super().__init__()
        ...         self.factor, self.inner = factor, lambda x: x.flatten(1)
        ...
        ...     def forward(self, x):
        ...         return self.factor * self.inner(x)
        >>> identity(Scaled(1.0)) == identity(Scaled(1.0)), identity(Scaled(1.0)) == identity(
        ...     Scaled(1000.0)
        ... )
        (True, False)
    """
    found = hashlib.sha256()
    seen: _Seen = {}
    later: _Later = deque()
    _feed(thing, found.update, seen, later)
    while later:
        _feed_parts(later.popleft(), found.update, seen, later)
    return found.hexdigest()


_Seen = dict[int, tuple[int, object]]
"""What was fed, by its id, and held so that the id stays its own."""

_Later = deque[object]
"""Code that was named and is fed at the end: functions that call each other may be many."""


def _feed(value: object, update: Callable[[bytes], None], seen: _Seen, later: _Later) -> None:
    if isinstance(value, _PLAIN):
        update(f"{type(value).__name__} {value!r};".encode())
        return
    if id(value) in seen:
        update(f"again {seen[id(value)][0]};".encode())
        return
    # Equal tuples may be one object here and two in another process: of these none is "again".
    if not isinstance(value, _HOLDERS):
        seen[id(value)] = len(seen), value
    if isinstance(value, Tensor):
        _feed_tensor(value, update)
        return
    if isinstance(value, (FunctionType, type)):
        update(f"{_named(value)};".encode())
        later.append(value)
        return
    _feed_parts(value, update, seen, later)


def _feed_parts(value: object, update: Callable[[bytes], None], seen: _Seen, later: _Later) -> None:
    parts = _parts(value)
    update(f"{_named(value)} {len(parts)}(".encode())
    for name, part in parts:
        update(f"{name}=".encode())
        _feed(part, update, seen, later)
    update(b")")


def _feed_tensor(value: Tensor, update: Callable[[bytes], None]) -> None:
    held = value.detach().cpu().contiguous().reshape(-1)
    update(f"tensor {tuple(value.shape)} {value.dtype} ".encode())
    update(held.view(torch.uint8).numpy().tobytes())


def _named(value: object) -> str:
    """Name a function by itself, anything else by its type."""
    named = value if isinstance(value, (FunctionType, BuiltinFunctionType, type)) else type(value)
    return f"{named.__module__}.{named.__qualname__}"


def _parts(value: object) -> _Parts:
    """Take a thing apart; nothing where it cannot be looked into."""
    for kind, take in _BY_KIND.items():
        if isinstance(value, kind):
            return take(value)
    if _named(value).startswith("torch."):
        return []
    code = [("type", type(value))] if callable(value) else []
    if dataclasses.is_dataclass(value):
        fields = dataclasses.fields(value)
        return [*code, *((field.name, getattr(value, field.name)) for field in fields)]
    return [*code, *getattr(value, "__dict__", {}).items()]


def _of_module(net: nn.Module) -> _Parts:
    """Its class, weights, buffers, children, attributes and hooks; its mode does not count."""
    held = [(name, value) for name, value in vars(net).items() if name not in _ASIDE]
    # Hooks are numbered by a counter of the process.
    hooks = [(name, list(vars(net).get(name, {}).values())) for name in _HOOKS]
    return [("type", type(net)), *held, *((name, found) for name, found in hooks if found)]


_ASIDE = {*vars(nn.Module()), "_compiled_call_impl"} - {"_parameters", "_buffers", "_modules"}
"""What every module has beside weights, buffers and children: mode and hooks."""

_HOOKS = ("_forward_pre_hooks", "_forward_hooks", "_backward_pre_hooks", "_backward_hooks")
"""Those that may change logits or their gradients."""


def _of_type(kind: type) -> _Parts:
    """The functions and plain values of a class and of those it inherits from."""
    found: _Parts = []
    for one in filter(_is_looked_into, kind.__mro__):
        found += [("class", f"{one.__module__}.{one.__qualname__}")]
        for name, value in vars(one).items():
            ours = [(name, part) for part in _unwrapped(value)]
            found += ours or ([(name, value)] if _is_content(name, value) else [])
    return found


def _is_looked_into(kind: type) -> bool:
    room = kind.__module__.partition(".")[0]
    return room != "torch" and room not in sys.stdlib_module_names


def _unwrapped(value: object) -> list[FunctionType]:
    """Give the functions of what stands in a class: a method, however it is bound."""
    if isinstance(value, property):
        held: tuple[object, ...] = (value.fget, value.fset)
    elif isinstance(value, (staticmethod, classmethod)):
        held = (value.__func__,)
    else:
        held = (value.func if isinstance(value, functools.cached_property) else value,)
    return [one for one in held if isinstance(one, FunctionType)]


def _is_content(name: str, value: object) -> bool:
    """Tell values from what Python notes of a class itself, some of it in an order by chance."""
    plain = (*_PLAIN, Tensor, nn.Module, np.ndarray, functools.partial, Mapping, list, tuple, set)
    return not name.startswith("__") and isinstance(value, (*plain, frozenset))


def _of_function(function: FunctionType) -> _Parts:
    """Its code, defaults, what it encloses, and what it reads that is near."""
    if _named(function).startswith("torch."):
        return []
    code = function.__code__
    read = _read(sorted(_names(code)), function.__globals__)
    near = [(name, value) for name, value in read if _is_near(value, function.__module__)]
    cells = [cell.cell_contents for cell in function.__closure__ or () if _is_filled(cell)]
    given = [function.__defaults__, function.__kwdefaults__, cells]
    return [("code", code), ("given", given), *near]


def _read(names: list[str], there: Mapping[str, Any]) -> _Parts:
    """Look up names, and whatever of these names stands in a module of the user's among them."""
    left, known, found = [there], set[ModuleType](), _Parts()
    while left:
        room = left.pop(0)
        here = [(name, room.get(name)) for name in names]
        found += here
        for _, one in here:
            if isinstance(one, ModuleType) and one not in known and _is_of_user(one.__name__):
                known.add(one)
                left.append(vars(one))
    return found


def _names(code: CodeType) -> set[str]:
    inner = (one for one in code.co_consts if isinstance(one, CodeType))
    return set(code.co_names).union(*map(_names, inner))


def _is_near(value: object, module: str) -> bool:
    if isinstance(value, (FunctionType, type)):
        return value.__module__ == module or _is_of_user(value.__module__)
    return isinstance(value, (Tensor, nn.Module, bool, int, float, str))


def _is_of_user(module: str) -> bool:
    """Tell whether a module is no part of Python, of this library or of an installed package."""
    room = module.partition(".")[0]
    if room in {"torch", "vicinal", *sys.stdlib_module_names}:
        return False
    found = vars(sys.modules.get(module, object)).get
    # A package without `__init__.py` has no file, but folders.
    places = [file] if (file := found("__file__")) else list(found("__path__", ()))
    parts = {part for place in places for part in PurePath(place).parts}
    return bool(parts) and not {"site-packages", "dist-packages"} & parts


def _is_filled(cell: Any) -> bool:  # ruff: ignore[any-type] — no name for its type everywhere
    try:
        _ = cell.cell_contents
    except ValueError:  # a name that is bound later
        return False
    return True


_BY_KIND: dict[Any, Callable[[Any], _Parts]] = {
    type: _of_type,
    nn.Module: _of_module,
    FunctionType: _of_function,
    CodeType: lambda code: [
        ("code", code.co_code),
        ("names", code.co_names),
        ("consts", code.co_consts),
    ],
    MethodType: lambda method: [("of", method.__self__), ("what", method.__func__)],
    np.ndarray: lambda one: [("dtype", str(one.dtype)), ("all", [one.shape, one.tobytes()])],
    functools.partial: lambda one: [("of", one.func), ("with", [one.args, one.keywords])],
    Mapping: lambda one: [(str(name), part) for name, part in one.items()],
    (list, tuple): lambda one: [("", part) for part in one],
    (set, frozenset): lambda one: [("", repr(part)) for part in sorted(one, key=repr)],
}

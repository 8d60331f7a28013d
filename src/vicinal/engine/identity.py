"""Whether an object is the one that a run began with, told from the words that the run wrote down.

A run notes its objective, optimizer and schedule as their reprs. A later version of the library may
have given them further fields; an object that has these at their defaults is still the same one.
"""

from __future__ import annotations

import ast
import dataclasses
import re

__all__ = ["describe", "is_described"]


def describe(thing: object) -> str:
    """Write an object as what must be the same for a run to be resumed.

    Args:
        thing: Any object; of a frozen dataclass its fields are written.

    Returns:
        Its repr without an address, which differs in every process.

    Example:
        >>> describe(describe)
        '<function describe>'
    """
    return re.sub(r" at 0x[0-9a-fA-F]+", "", repr(thing))


def is_described(thing: object, words: object) -> bool:
    """Tell whether words that a run wrote down mean this object.

    Args:
        thing: The object.
        words: What `describe` gave, today or in a version that had fewer fields.

    Returns:
        True if they are its own, or say every field that is not at its default.

    Example:
        >>> from vicinal.engine.optimizers import SGD
        >>> before_decay = "SGD(lr=0.1, momentum=0.9, nesterov=False, weight_decay=0.0001)"
        >>> is_described(SGD(), before_decay), is_described(SGD(decay="weights"), before_decay)
        (True, False)
    """
    if words == describe(thing):
        return True
    try:
        return _means(ast.parse(str(words), mode="eval").body, thing)
    except SyntaxError:
        return False


def _means(node: ast.expr, thing: object) -> bool:
    if not dataclasses.is_dataclass(thing) or not isinstance(node, ast.Call):
        return _written(node) == repr(thing)
    said = {keyword.arg: keyword.value for keyword in node.keywords}
    fields = {field.name: field for field in dataclasses.fields(thing) if field.repr}
    if _written(node.func) != type(thing).__qualname__ or not said.keys() <= fields.keys():
        return False
    return all(
        _means(said[name], getattr(thing, name))
        if name in said
        else getattr(thing, name) == field.default
        for name, field in fields.items()
    )


def _written(node: ast.expr) -> str:
    """Write a value as Python does: the source may have it otherwise (1e-4)."""
    try:
        return repr(ast.literal_eval(node))
    except ValueError:
        return ast.unparse(node)

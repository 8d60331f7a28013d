"""Texts such as `pgd(eps=4/255, steps=10)`: read without running anything, and written back.

Allowed are a name, keyword arguments, numbers, fractions of numbers, signs, `inf`, True, False,
None, words, lists of numbers (one per channel), and such a text again as an argument. Whatever
else Python can say is refused. This file knows no attack: `resolve` gives the names their meaning.
"""

from __future__ import annotations

import ast
import math
from dataclasses import dataclass, field
from keyword import iskeyword
from typing import TypeAlias, Union

from vicinal._checks import InputError
from vicinal.recipes.numerals import write_number

__all__ = ["Call", "Value", "read_call", "write_call"]

Value: TypeAlias = Union[bool, int, float, str, list[float], "Call", None]


@dataclass(frozen=True, kw_only=True)
class Call:
    """A name with keyword arguments.

    Args:
        name: The name before the parenthesis.
        arguments: The arguments in the order written.
    """

    name: str
    arguments: dict[str, Value] = field(default_factory=dict)


def read_call(text: str) -> Call:
    """Read a name with keyword arguments.

    Args:
        text: Such as "fgsm" or "pgd(eps=4/255, loss=margin)".

    Returns:
        The name and its arguments.

    Raises:
        InputError: If the text says anything else.

    Example:
        >>> read_call("pgd(eps=1/4, loss=margin)")
        Call(name='pgd', arguments={'eps': 0.25, 'loss': 'margin'})
    """
    try:
        return _top(ast.parse(text.strip(), mode="eval").body, text)
    except InputError:
        raise
    except (SyntaxError, ValueError, OverflowError, MemoryError, RecursionError):
        raise InputError(_refusal(text)) from None


def _top(node: ast.expr, text: str) -> Call:
    if isinstance(node, ast.Name):
        return Call(name=node.id)
    if isinstance(node, ast.Call):
        return _call(node, text)
    raise InputError(_refusal(text))


def _call(node: ast.Call, text: str) -> Call:
    if not isinstance(node.func, ast.Name) or node.args:
        raise InputError(_refusal(text))
    arguments: dict[str, Value] = {}
    for keyword in node.keywords:
        if keyword.arg is None or keyword.arg in arguments:
            raise InputError(_refusal(text))
        arguments[keyword.arg] = _value(keyword.value, text)
    return Call(name=node.func.id, arguments=arguments)


def _value(node: ast.expr, text: str) -> Value:
    if isinstance(node, ast.Call):
        return _call(node, text)
    if isinstance(node, (ast.List, ast.Tuple)):
        return [_number(item, text) for item in node.elts]
    if isinstance(node, ast.Name) and node.id != "inf":
        return node.id
    if isinstance(node, ast.Constant) and (
        node.value is None or isinstance(node.value, (bool, str))
    ):
        return node.value
    return _number(node, text)


def _number(node: ast.expr, text: str) -> int | float:
    if isinstance(node, ast.Name) and node.id == "inf":
        return math.inf
    if isinstance(node, ast.Constant) and type(node.value) in {int, float}:
        return node.value  # type: ignore[return-value]
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -_number(node.operand, text)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
        bottom = _number(node.right, text)
        if bottom == 0:
            raise InputError(f"{text!r} divides by zero. Did you mean a fraction of 255?")
        return _number(node.left, text) / bottom
    raise InputError(_refusal(text))


def _refusal(text: str) -> str:
    return (
        f"{text[:80]!r} must be a name with keyword arguments that are numbers, fractions or "
        "words, such as 'pgd(eps=4/255, step_size=1/255, steps=10)'."
    )


def write_call(call: Call) -> str:
    """Write a call so that `read_call` reads it back.

    Args:
        call: A name and its arguments.

    Returns:
        Its text, without parentheses where there is no argument.

    Example:
        >>> write_call(Call(name="pgd", arguments={"eps": 4 / 255, "loss": "margin"}))
        'pgd(eps=4/255, loss=margin)'
    """
    if not call.arguments:
        return call.name
    inside = ", ".join(f"{name}={_text(value)}" for name, value in call.arguments.items())
    return f"{call.name}({inside})"


def _text(value: Value) -> str:
    if isinstance(value, Call):
        return write_call(value)
    if isinstance(value, list):
        return f"[{', '.join(write_number(item) for item in value)}]"
    if isinstance(value, str):
        # Python reads other letters as their ASCII likeness, and keywords not as words.
        plain = value.isascii() and value.isidentifier() and not iskeyword(value)
        plain = plain and value != "inf"
        return value if plain else repr(value)
    if value is None or isinstance(value, bool):
        return str(value)
    return write_number(value)

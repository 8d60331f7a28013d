"""Numbers as papers write them: 8/255, 1e-4, inf; read from recipes and commands, and written back.

YAML takes "1e-4" and "8/255" for words. Here they become numbers, wherever they stand.
"""

from __future__ import annotations

import math
import re
from typing import Any

from vicinal._checks import InputError

__all__ = ["read_number", "read_numbers", "write_number"]

_DECIMAL = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_NUMBER = re.compile(rf"\s*({_DECIMAL})\s*(?:/\s*({_DECIMAL})\s*)?")
_INFINITE = {"inf": math.inf, "+inf": math.inf, "-inf": -math.inf}


def read_number(text: str) -> int | float | str:
    """Turn a word that spells a number, or a fraction of two, into that number.

    Args:
        text: A word.

    Returns:
        The number, an integer where it is written as one; any other word unchanged.

    Raises:
        InputError: If a fraction divides by zero.

    Example:
        >>> read_number("8/255"), read_number("1e-4"), read_number("cosine")
        (0.03137254901960784, 0.0001, 'cosine')
    """
    if text.strip() in _INFINITE:
        return _INFINITE[text.strip()]
    match = _NUMBER.fullmatch(text)
    if match is None:
        return text
    top, bottom = match.groups()
    if bottom is None:
        return int(top) if re.fullmatch(r"[+-]?\d+", top) else float(top)
    if float(bottom) == 0:
        raise InputError(f"{text.strip()!r} divides by zero. Did you mean {top}/255?")
    return float(top) / float(bottom)


def read_numbers(value: Any) -> Any:  # ruff: ignore[any-type] — whatever a YAML file can hold
    """Apply `read_number` to every word inside mappings and lists.

    Args:
        value: What a YAML document holds.

    Returns:
        The same structure, new, with numbers in place of the words that spell them.
    """
    if isinstance(value, str):
        return read_number(value)
    if isinstance(value, dict):
        return {key: read_numbers(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [read_numbers(item) for item in value]
    return value


def write_number(value: float) -> str:
    """Write a number so that `read_number` gives the same bits back, as n/255 where shorter.

    Args:
        value: A number.

    Returns:
        Its text.

    Example:
        >>> write_number(4 / 255), write_number(0.1), write_number(float("inf"))
        ('4/255', '0.1', 'inf')
    """
    text = repr(value)
    if isinstance(value, int) or not math.isfinite(value) or len(text) <= 6:
        return text
    top = f"{value * 255:.4g}"
    return f"{top}/255" if float(top) / 255 == value else text

"""Corruptions as words: what a recipe, a command line and a campaign call them by.

As everywhere in this room, a word is looked up in an explicit table and nothing is imported by it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from vicinal._checks import InputError, choice
from vicinal.corruptions import CORRUPTIONS, SETS, SEVERITIES, Corruption

__all__ = ["CORRUPTION_CLASSES", "known_corruptions", "read_corruptions", "read_severities"]

CORRUPTION_CLASSES: dict[str, Callable[..., Corruption[Any, Any]]] = {
    name: type(corruption) for name, corruption in CORRUPTIONS.items()
}
"""What a recipe may name as the corruption of an input move; arguments are its options."""

_FROST = "frost"
_TEXTURES = "textures"


def known_corruptions() -> list[str]:
    """List the words that stand for corruptions: the sets first, then each by its name.

    Returns:
        The words.
    """
    return [*SETS, *CORRUPTIONS]


def read_corruptions(text: str, *, frost: Path | None = None) -> dict[str, Corruption[Any, Any]]:
    """Find the corruptions that a text names.

    Args:
        text: A set ("common", "all" or "extra"), names with commas between, or both.
        frost: The folder of the original frost textures; a computed one stands in when not given.

    Returns:
        Corruptions by name, each once, in the order named.

    Raises:
        InputError: If there is no such set or corruption.

    Example:
        >>> list(read_corruptions("gaussian_noise,"))
        ['gaussian_noise']
    """
    found: dict[str, Corruption[Any, Any]] = {}
    for word in (word.strip() for word in text.split(",")):
        if word:
            choice("corruptions", word, known_corruptions())
            names = SETS.get(word, (word,))
            found |= {name: CORRUPTIONS[name] for name in names if name in CORRUPTIONS}
    if not found:
        raise InputError(f"`corruptions` must name at least one, such as fog; got {text!r}.")
    if frost is not None and _FROST in found:
        found[_FROST] = dataclasses.replace(found[_FROST], **{_TEXTURES: frost})
    return found


def read_severities(text: str) -> tuple[int, ...]:
    """Read severities: numbers from 1 to 5 with commas between, or a range such as 2-4.

    Args:
        text: What was written.

    Returns:
        The severities, each once, in order.

    Raises:
        InputError: If it names anything else.

    Example:
        >>> read_severities("5,1-3"), read_severities("3")
        ((1, 2, 3, 5), (3,))
    """
    found: set[int] = set()
    for word in (word.strip() for word in text.split(",")):
        low, dash, high = word.partition("-")
        ends = (low, high) if dash else (low, low)
        if not all(end.isdecimal() and int(end) in SEVERITIES for end in ends):
            raise InputError(
                f"`severities` must be numbers from 1 to 5, such as 1,3,5 or 1-5; got {text!r}."
            )
        found |= set(range(int(ends[0]), int(ends[1]) + 1))
    return _some(sorted(found), text)


def _some(found: Sequence[int], text: str) -> tuple[int, ...]:
    if not found:
        raise InputError(f"`severities` must hold at least one severity; got {text!r}.")
    return tuple(found)

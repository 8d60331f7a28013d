"""Recipe fields on the command line: `--epochs 15 --objective.eps 0.3 --train-subset=10000`.

Which fields exist depends on the recipe, so the parser cannot know them: they are taken out of the
arguments before it reads the rest. A misspelt one is refused where the recipe is resolved.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from vicinal._errors import InputError

__all__ = ["read_fields", "take_fields"]


def take_fields(
    argv: Sequence[str], *, options: Mapping[str, bool]
) -> tuple[list[str], dict[str, str]]:
    """Split the arguments into those of the parser and the recipe's fields.

    Args:
        argv: The arguments.
        options: The parser's own options, and whether a value follows each.

    Returns:
        What the parser shall read, and the fields by dotted name, their values as written.

    Example:
        >>> take_fields(["train", "--train-subset", "100", "--json"], options={"--json": False})
        (['train', '--json'], {'train_subset': '100'})
    """
    rest: list[str] = []
    fields: dict[str, str] = {}
    words = list(argv)
    while words:
        word = words.pop(0)
        name, equals, value = word.partition("=")
        if name in options or not word.startswith("--") or word == "--":
            rest.append(word)
            if options.get(name) and not equals and words:
                rest.append(words.pop(0))
            continue
        if not equals:
            value = words.pop(0) if words and not words[0].startswith("--") else "true"
        fields[name.removeprefix("--").replace("-", "_")] = value
    return rest, fields


def read_fields(fields: Mapping[str, str]) -> dict[str, Any]:
    """Read the values of fields the way a recipe file would.

    Args:
        fields: Values as written on the command line.

    Returns:
        Numbers, words, booleans, None and lists; fractions such as 8/255 stay words here and
        become numbers where every recipe's do.

    Raises:
        InputError: If a value is not plain YAML.
    """
    import yaml

    found: dict[str, Any] = {}
    for name, text in fields.items():
        try:
            found[name] = None if text.lower() == "none" else yaml.safe_load(text)
        except yaml.YAMLError:
            raise InputError(f"`--{name}` has a value that cannot be read: {text!r}.") from None
    return found

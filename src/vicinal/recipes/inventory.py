"""What there is, as rows of words: the tables that recipes and commands take their names from."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping

from vicinal.attacks import ATTACKS
from vicinal.data import DATASETS
from vicinal.models import MODELS
from vicinal.objectives import OBJECTIVES
from vicinal.recipes import files

__all__ = ["Row", "attacks", "datasets", "methods", "models", "recipes"]

Row = dict[str, str]

_SENTENCES = {
    "ERM": ("x", "e_y", "Vapnik 1998"),
    "GaussianVicinity": ("x + N(0, sigma^2 I)", "e_y", "Chapelle et al. 2001"),
    "LabelSmoothing": ("x", "1-eps on y, the rest evenly", "Szegedy et al. 2016"),
    "MixUp": ("lam x + (1-lam) x'", "lam e_y + (1-lam) e_y'", "Zhang et al. 2018"),
    "CutMix": ("a box of x' pasted into x", "lam e_y + (1-lam) e_y', lam kept", "Yun et al. 2019"),
    "ManifoldMixUp": ("x, one hidden state mixed", "lam e_y + (1-lam) e_y'", "Verma et al. 2019"),
    "ALPS": ("lam x + (1-lam) x', lam near 1", "least-likely shift of e_y", "Guo et al. 2021"),
    "Vicinal": ("any input move", "any label move", "Chapelle et al. 2001"),
}
"""Each objective as the sentence that it is: input move, label move, paper."""


def methods() -> list[Row]:
    """List the objectives as sentences.

    Returns:
        Name, input move, label move, passes of one training step, paper, arguments.

    Example:
        >>> methods()[0]["objective"], methods()[0]["passes"]
        ('ERM', '1+1')
    """
    found = []
    for name, build in OBJECTIVES.items():
        moved, label, paper = _SENTENCES.get(name, ("", "", ""))
        facts = {"input": moved, "label": label, "passes": str(build().passes), "paper": paper}
        found.append({"objective": name, **facts, "arguments": _arguments(build)})
    return found


def attacks() -> list[Row]:
    """List the attacks.

    Returns:
        Name, what it does, arguments.
    """
    return _rows("attack", ATTACKS)


def models() -> list[Row]:
    """List the networks.

    Returns:
        Name, what it is, arguments.
    """
    return _rows("model", MODELS)


def datasets() -> list[Row]:
    """List the data sets.

    Returns:
        Name and where it is read from.
    """
    return [{"dataset": name, "what": _summary(reader)} for name, reader in DATASETS.items()]


def recipes() -> list[Row]:
    """List the recipes.

    Returns:
        Name and methods, the default first.
    """
    return [
        {"recipe": name, "methods, the default first": ", ".join(files.methods(name))}
        for name in files.names()
    ]


def _rows(kind: str, table: Mapping[str, Callable[..., object]]) -> list[Row]:
    return [
        {kind: name, "what": _summary(build), "arguments": _arguments(build)}
        for name, build in table.items()
    ]


def _summary(thing: object) -> str:
    """Return the first line of a docstring."""
    return (inspect.getdoc(thing) or "").partition("\n")[0]


def _arguments(build: Callable[..., object]) -> str:
    words = []
    for name, parameter in inspect.signature(build).parameters.items():
        shown = parameter.default is not parameter.empty and "factory" not in str(parameter.default)
        words.append(f"{name}={parameter.default}" if shown else name)
    return ", ".join(words)

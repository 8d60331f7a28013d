"""`--model package.module:factory`: the one place where words become code, typed by the user."""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn

__all__ = ["foreign_model"]


def foreign_model(text: str, *, weights: Path | None) -> nn.Module:
    """Build the model that `--model` names, with the weights of `--weights`.

    Args:
        text: "package.module:factory", "package.module:factory(width=16)", or a name of a zoo,
            "torchvision/resnet50" or "timm/resnet50".
        weights: A safetensors file; None where the factory has its weights.

    Returns:
        The model, in eval mode.

    Raises:
        InputError: If it cannot be imported, or is no model.
    """
    from torch import nn

    from vicinal._checks import InputError
    from vicinal.recipes import foreign

    if "/" in text.partition("(")[0]:
        return foreign.from_zoo(text, weights=weights).eval()
    module, colon, rest = text.partition(":")
    if not colon or not rest:
        raise InputError(
            f"`--model` must be package.module:factory, torchvision/NAME or timm/NAME; got "
            f"{text!r}."
        )
    found = _called(_attribute(module, rest.partition("(")[0]), rest, text)
    if not isinstance(found, nn.Module):
        raise InputError(
            f"`--model` {text} must give a torch.nn.Module; got {type(found).__name__}."
        )
    return foreign.filled(found, weights)


def _attribute(module: str, name: str) -> Any:  # ruff: ignore[any-type] — anything of anybody's
    from vicinal._checks import InputError, suggest

    here = os.getcwd()
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        found = importlib.import_module(module)
    except ImportError as error:
        raise InputError(
            f"`--model` names the module {module}, which cannot be imported here: {error}."
        ) from error
    if not hasattr(found, name):
        near = suggest(name, _models(found))
        raise InputError(f"`--model`: the module {module} has no {name}.{near[:200]}")
    return getattr(found, name)


def _models(module: ModuleType) -> list[str]:
    """Name what may give a model: what is defined there or in its package, not what it imports."""
    from torch import nn

    package = module.__name__.partition(".")[0]
    return [
        name
        for name, thing in vars(module).items()
        if not name.startswith("_")
        and (isinstance(thing, nn.Module) or (callable(thing) and _home(thing) == package))
    ]


def _home(thing: object) -> str:
    return str(getattr(thing, "__module__", "")).partition(".")[0]


# ruff: ignore[any-type] — anything of anybody's
def _called(thing: Any, rest: str, text: str) -> Any:
    from torch import nn

    from vicinal._checks import InputError
    from vicinal.recipes.calls import read_call

    if isinstance(thing, nn.Module):
        return thing
    arguments = read_call(rest).arguments if "(" in rest else {}
    try:
        return thing(**arguments)
    except TypeError as error:
        raise InputError(f"`--model` {text} cannot be called so: {error}.") from error

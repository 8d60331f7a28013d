"""What a recipe is: every field of a training run, checked, frozen, and nothing else allowed.

A recipe holds words and numbers only; `resolve` turns words into objects. A field that does not
exist, or a value that does not fit, is one sentence naming the field.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from pydantic_core import PydanticCustomError
from pydantic_core.core_schema import ValidationInfo

from vicinal._checks import InputError, suggest
from vicinal.recipes.numerals import read_numbers

__all__ = ["Augment", "Evaluation", "Part", "Recipe", "field_names", "read_recipe", "suggest_field"]

NAMED_PARTS = ("model", "objective", "optimizer", "schedule")
"""The fields that name an object of the library and carry its arguments."""


class Part(BaseModel):
    """An object of the library by name, with its arguments as further fields."""

    model_config = ConfigDict(frozen=True, extra="allow")

    name: str

    @property
    def arguments(self) -> dict[str, Any]:
        """The fields beside the name."""
        return dict(self.model_extra or {})


class _Closed(BaseModel):
    """Frozen, and closed to fields that it does not know."""

    # A word such as "2" has become a number by the time a field asks for a word.
    model_config = ConfigDict(frozen=True, extra="forbid", coerce_numbers_to_str=True)

    @field_validator("*", mode="before")
    @classmethod
    def _no_bool_as_number(cls, value: object, info: ValidationInfo) -> object:
        """Refuse True where a number belongs: pydantic would take it for 1."""
        wanted = cls.model_fields[str(info.field_name)].annotation
        if isinstance(value, bool) and wanted in (int, float, int | None, float | None):
            raise PydanticCustomError("bool_as_number", "must be a number")
        return value


class Augment(_Closed):
    """Random crops from images padded by `pad` zeros, and mirrored images; both per image.

    Sets that stream from their files have no `pad`; they have a `size` and a rule, the `view`.
    """

    pad: int = Field(default=4, ge=0)
    flip: bool = True
    size: int | None = Field(default=None, ge=1)
    view: Literal["resized", "cropped"] | None = None


class Evaluation(_Closed):
    """The budget that an attack named without one takes, and which images are judged on.

    The split "validation" is for choosing among settings: never choose by the test images.
    """

    eps: float = Field(default=4 / 255, ge=0)
    step_size: float = Field(default=1 / 255, ge=0)
    steps: int = Field(default=10, ge=1)
    attack_subset: int | None = Field(default=None, ge=1)
    batch_size: int = Field(default=500, ge=1)
    split: Literal["test", "validation"] = "test"


class Recipe(_Closed):
    """One training run, resolved: what is trained, on what, how, and how it is attacked."""

    name: str
    paper: str
    title: str = ""
    tables: tuple[str, ...] = ()
    method: str
    preset: Literal["paper", "tuned"] = "paper"
    scale: str
    seed: int = Field(default=0, ge=0)
    dataset: str
    train_subset: int | None = Field(default=None, ge=1)
    validation: int | None = Field(default=None, ge=1)
    validate_every: int = Field(default=1, ge=1)
    workers: int = Field(default=2, ge=0)
    augment: Augment = Augment()
    model: Part
    objective: Part
    epochs: int = Field(ge=1)
    batch_size: int = Field(ge=1)
    optimizer: Part
    schedule: Part
    select: Literal["last", "best"] = "last"
    ema: float | None = Field(default=None, gt=0, lt=1)
    accumulate: int = Field(default=1, ge=1)
    precision: Literal["fp32", "bf16"] = "fp32"
    channels_last: bool = False
    compile: bool = False
    mix_scope: Literal["local", "global"] = "local"
    sync_batchnorm: bool = False
    evaluation: Evaluation = Evaluation()


def field_names() -> list[str]:
    """List the fields of a recipe, the fixed ones of its parts included, with dots.

    Returns:
        Names such as "epochs", "augment.pad", "objective.name".
    """
    found = []
    for name, field in Recipe.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            found += [f"{name}.{part}" for part in inner.model_fields]
        else:
            found.append(name)
    return found


def read_recipe(values: Mapping[str, Any], *, known: tuple[str, ...] = ()) -> Recipe:
    """Check the fields of a recipe.

    Args:
        values: The fields, nested as in a recipe file; numbers may be words such as "8/255".
        known: Further field names to suggest from, such as the arguments of its objective.

    Returns:
        The recipe.

    Raises:
        InputError: If a field is unknown, missing, or holds what it cannot.
    """
    try:
        return Recipe.model_validate(read_numbers(dict(values)))
    except ValidationError as error:
        raise InputError(_sentence(error, known)) from None


def _sentence(error: ValidationError, known: tuple[str, ...]) -> str:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        return unknown_field(where, [*field_names(), *known])
    if first["type"] == "missing":
        return f"a recipe must have the field `{where}`; it is missing."
    rule = first["msg"].partition(",")[0].replace("Input should be", "must be")
    # On a command line an option without its value says True.
    hint = " Is its value missing?" if first["type"] == "bool_as_number" else ""
    return f"`{where}` {rule[:1].lower()}{rule[1:]}; got {first['input']!r}.{hint}"


def unknown_field(where: str, known: list[str]) -> str:
    """Say that a recipe has no such field, and which one is near.

    Args:
        where: The dotted name that was given.
        known: The dotted names that exist.

    Returns:
        The sentence.
    """
    return f"`{where}` is no field of this recipe.{suggest_field(where, known)}"


def suggest_field(where: str, known: list[str]) -> str:
    """Name the nearest field: by its last word when only that was written, else by the whole.

    Args:
        where: The dotted name that was given.
        known: The dotted names that exist.

    Returns:
        ' Did you mean ...?', or the list of fields.

    Example:
        >>> suggest_field("eps", ["epochs", "objective.eps"])
        ' Did you mean objective.eps?'
    """
    leaf = where.rpartition(".")[2]
    # Of two fields with one last word the objective's comes first.
    order = sorted(known, key=lambda name: (name.startswith("objective."), name))
    leaves = {name.rpartition(".")[2]: name for name in order}
    for word, options in ((leaf, {leaf} & set(leaves)), (where, known), (leaf, leaves)):
        near = difflib.get_close_matches(word, options, n=1, cutoff=0.6)
        if near:
            return f" Did you mean {leaves.get(near[0], near[0])}?"
    return suggest(where, known)

"""The attacks and corruptions of a table: budget, space, and the net that makes the examples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from vicinal.campaigns.under_corruption import text_of
from vicinal.recipes import calls
from vicinal.recipes.calls import Call

__all__ = ["SOURCE_SEED", "Space", "Threat", "source_name"]

Space = Literal["pixel", "normalised"]

SOURCE_SEED = 1000
"""The seed of the nets that make the black-box examples; no row uses it."""


@dataclass(frozen=True, kw_only=True)
class Threat:
    """An attack with its budget, and from where it strikes; or a corruption.

    Args:
        name: "fgsm", "pgd", "mi_fgsm", "cw_l2" or "corruption".
        eps: Radius in pixel units, before any scaling by the standard deviation; infinite where
            there is none.
        step_size: Step in the same unit; not used by "fgsm".
        steps: How many.
        random_start: Whether it begins at a draw from the ball.
        black_box: Whether the examples are made on the source, a net of `SOURCE_SEED`.
        space: "normalised" multiplies eps and step_size by the training set's std per channel.
        loss: What is climbed, "ce" or "margin".
        target: None, "least_likely", "most_confusing" or "random".
        source: The method that the source was trained by.
        source_recipe: The recipe that trains the source, where it is another than the row's own.
        confidence: By how much an error must win, of "cw_l2".
        corruption: Which corruption, averaged over its severities.
    """

    name: str
    eps: float
    step_size: float = 0.0
    steps: int = 1
    random_start: bool = False
    black_box: bool = False
    space: Space = "pixel"
    loss: str = "ce"
    target: str | None = None
    source: str = "erm"
    source_recipe: str = ""
    confidence: float = 0.0
    corruption: str = ""

    def text(self, *, std: Sequence[float]) -> str:
        """Write the attack as `recipes.parse_attack` reads it; this is its key in results.

        Args:
            std: Standard deviation of the training set, one number per channel.

        Returns:
            Such as "pgd(eps=4/255, step_size=1/255, steps=10, random_start=True, iterate=last)".
        """
        if self.corruption:
            return text_of(self.corruption)
        call = Call(name=self.name, arguments=self._arguments(std))
        if self.black_box:
            source = source_name(self.source, self.source_recipe)
            call = Call(name="transfer", arguments={"source": source, "attack": call})
        return calls.write_call(call)

    def _arguments(self, std: Sequence[float]) -> dict[str, calls.Value]:
        if self.name == "cw_l2":
            return {"steps": self.steps, "confidence": self.confidence}
        arguments: dict[str, calls.Value] = {"eps": self._scaled(self.eps, std)}
        if self.name in {"pgd", "mi_fgsm"}:
            arguments |= {"step_size": self._scaled(self.step_size, std), "steps": self.steps}
        if self.name == "pgd":
            arguments["random_start"] = self.random_start
        if self.name in {"pgd", "mi_fgsm"}:
            arguments["iterate"] = "last"
        if self.loss != "ce":
            arguments["loss"] = self.loss
        if self.target is not None:
            arguments["target"] = self.target
        return arguments

    def _scaled(self, value: float, std: Sequence[float]) -> float | list[float]:
        return [value * s for s in std] if self.space == "normalised" else value


def source_name(method: str = "erm", recipe: str = "") -> str:
    """Name the folder of the net that makes the black-box examples.

    Args:
        method: What it was trained by.
        recipe: The recipe that trains it, where it is another than the row's own.

    Returns:
        Such as "erm-seed1000", or "m-tlat-imagenet-100-vgg16/erm-seed1000".
    """
    folder = f"{recipe.replace('/', '-')}/" if recipe else ""
    return f"{folder}{method}-seed{SOURCE_SEED}"

"""The attacks of a table: budget, space, and the net on which the examples are made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from vicinal.recipes import calls
from vicinal.recipes.calls import Call

__all__ = ["SOURCE_SEED", "Space", "Threat", "source_name"]

Space = Literal["pixel", "normalised"]

SOURCE_SEED = 1000
"""The seed of the nets that make the black-box examples; no row uses it."""


@dataclass(frozen=True, kw_only=True)
class Threat:
    """An attack with its budget, and from where it strikes.

    Args:
        name: "fgsm" or "pgd".
        eps: Radius in pixel units, before any scaling by the standard deviation.
        step_size: Step in the same unit; not used by "fgsm".
        steps: How many.
        random_start: Whether it begins at a draw from the ball.
        black_box: Whether the examples are made on the source, a net of `SOURCE_SEED`.
        space: "normalised" multiplies eps and step_size by the training set's std per channel.
        loss: What is climbed, "ce" or "margin".
        target: None, "least_likely", "most_confusing" or "random".
        source: The method that the source was trained by.
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

    def text(self, *, std: Sequence[float]) -> str:
        """Write the attack as `recipes.parse_attack` reads it; this is its key in results.

        Args:
            std: Standard deviation of the training set, one number per channel.

        Returns:
            Such as "pgd(eps=4/255, step_size=1/255, steps=10, random_start=True, iterate=last)".
        """
        arguments: dict[str, calls.Value] = {"eps": self._scaled(self.eps, std)}
        if self.name == "pgd":
            arguments |= {"step_size": self._scaled(self.step_size, std), "steps": self.steps}
            arguments |= {"random_start": self.random_start, "iterate": "last"}
        if self.loss != "ce":
            arguments["loss"] = self.loss
        if self.target is not None:
            arguments["target"] = self.target
        call = Call(name=self.name, arguments=arguments)
        if self.black_box:
            source = source_name(self.source)
            call = Call(name="transfer", arguments={"source": source, "attack": call})
        return calls.write_call(call)

    def _scaled(self, value: float, std: Sequence[float]) -> float | list[float]:
        return [value * s for s in std] if self.space == "normalised" else value


def source_name(method: str = "erm") -> str:
    """Name the folder of the net that makes the black-box examples.

    Args:
        method: What it was trained by.

    Returns:
        Such as "erm-seed1000".
    """
    return f"{method}-seed{SOURCE_SEED}"

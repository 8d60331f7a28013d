"""What every tool is asked for: the attack, its radius and its steps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from vicinal._checks import choice

__all__ = ["ATTACKS", "RADII", "Budget", "Built", "budget"]


@dataclass(frozen=True, kw_only=True)
class Budget:
    """One attack at one strength.

    Args:
        attack: Its name, a key of `ATTACKS`.
        kind: What it is, whatever its steps.
        steps: Iterations, or queries.
        eps: Radius in pixel units.
        step_size: Step in pixel units, where the attack takes one.
        search_steps: Of CW-L2, how many constants are tried.
        start: Of PGD, whether it begins at a draw.
        last: Whether the last iterate is asked for, whatever it does to the net.
    """

    attack: str
    kind: str
    steps: int
    eps: float
    step_size: float = 0.0
    search_steps: int = 9
    start: bool = True
    last: bool = False

    @property
    def bounded(self) -> bool:
        """Whether the radius is a bound."""
        return self.kind != "cw-l2"


@dataclass(frozen=True, kw_only=True)
class Built:
    """An attack that is ready to run.

    Args:
        call: Images (N, C, H, W) and classes (N,) to images.
        levers: What makes it fast without making it another attack, of ours.
        note: In what its budget is not the one asked for.
    """

    call: Callable[[Tensor, Tensor], Tensor]
    levers: str = ""
    note: str = ""


ATTACKS: dict[str, tuple[str, int]] = {
    "fgsm": ("fgsm", 1),
    "pgd-10": ("pgd", 10),
    "pgd-100": ("pgd", 100),
    "mi-fgsm-10": ("mi-fgsm", 10),
    "cw-l2-40": ("cw-l2", 40),
    "apgd-100": ("apgd-ce", 100),
    "apgd-dlr-100": ("apgd-dlr", 100),
    "apgd-t-100": ("apgd-t", 100),
    "fab-t-100": ("fab-t", 100),
    "square-500": ("square", 500),
    "square-1000": ("square", 1000),
    "square-5000": ("square", 5000),
    "autoattack": ("standard", 100),
}
"""Every attack by its name: what it is, and how many steps or queries."""

RADII = {"erm": 1 / 255, "pgd": 8 / 255}
"""The radius for each net: one at which a share of the images stays robust."""


def budget(attack: str, *, eps: float, steps: int | None = None, last: bool = False) -> Budget:
    """Give the budget of an attack: PGD steps by a quarter of the radius, MI-FGSM by a tenth.

    Args:
        attack: A key of `ATTACKS`.
        eps: Radius in pixel units.
        steps: Another number of steps.
        last: Ask for the last iterate, from the image itself.

    Returns:
        The budget.
    """
    kind, usual = ATTACKS[choice("attack", attack, ATTACKS)]
    size = {"pgd": eps / 4, "mi-fgsm": eps / usual, "fgsm": eps}.get(kind, 0.0)
    return Budget(
        attack=attack,
        kind=kind,
        steps=steps or usual,
        eps=eps,
        step_size=size,
        start=not last,
        last=last,
    )

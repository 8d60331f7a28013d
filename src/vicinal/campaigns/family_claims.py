"""What the papers claim of the methods that stand in the family's own table on CIFAR-10.

Other nets, trained longer, judged by the same attacks: numbers to look at, and no target.
"""

from __future__ import annotations

from typing import NamedTuple

from vicinal.campaigns.threats import Threat
from vicinal.recipes import numerals, paper_tables
from vicinal.recipes.paper_tables import PaperRow

__all__ = ["CLAIMS", "Claim", "claimed", "told"]

_DATASET = "CIFAR-10"


class Claim(NamedTuple):
    """A row of a paper's table: the paper, its table's number, the method as printed there."""

    paper: str
    table: str
    method: str


CLAIMS = {
    "erm": Claim("AVmixup", "1", "Standard"),
    "fgsm": Claim("BAT", "3", "FGSM"),
    "r-fgsm": Claim("BAT", "5", "R-FGSM"),
    "ll": Claim("BAT", "3", "LL"),
    "r-ll": Claim("BAT", "3", "R-LL"),
    "mc": Claim("BAT", "3", "MC"),
    "r-mc": Claim("BAT", "5", "R-MC"),
    "r-mc-ls": Claim("BAT", "5", "R-MC-LS (eps_y=0.5)"),
    "r-mc-la": Claim("BAT", "6", "R-MC-LA"),
    "feature-scatter": Claim("AVmixup", "5", "Feature Scatter"),
    "fs-avmixup": Claim("AVmixup", "5", "Feature Scatter + AVmixup"),
    "pgd-10": Claim("AVmixup", "1", "PGD"),
    "ls-0.8": Claim("AVmixup", "1", "LS0.8"),
    "madry-la": Claim("BAT", "5", "Madry-LA"),
    "avmixup": Claim("AVmixup", "1", "AVmixup"),
    "trades": Claim("AVmixup", "3", "TRADES (1/lambda=6)"),
}
"""The row that claims the most alike number, by the method's key; the others have none."""


def claimed(key: str, threat: Threat | None, *, trained_at: str = "8/255") -> float | None:
    """Give a paper's accuracy of a method, clean or under the very same white-box attack.

    Args:
        key: The method's key.
        threat: The attack; None for clean images.
        trained_at: The training budget, for tables that vary it.

    Returns:
        Per cent; None where no paper has the number.

    Example:
        >>> claimed("r-mc-la", None), claimed("cutmix", None)
        (90.8, None)
    """
    for row in _rows(key):
        if row.epsilon_train in {"", trained_at} and _same(row, threat):
            return row.value
    return None


def _rows(key: str) -> list[PaperRow]:
    claim = CLAIMS.get(key)
    if claim is None:
        return []
    rows = paper_tables.rows(claim.paper, claim.table)
    return [row for row in rows if (row.dataset, row.method) == (_DATASET, claim.method)]


def _same(row: PaperRow, threat: Threat | None) -> bool:
    if threat is None or not row.attack:
        return row.condition == "clean" and threat is None
    if row.attack != threat.name or row.source or row.target not in {"", "none"}:
        return False
    budget = [float(numerals.read_number(word)) for word in (row.eps, row.step)]
    return (*budget, row.steps, row.loss) == (
        threat.eps,
        threat.step_size,
        threat.steps,
        threat.loss,
    )


def told() -> str:
    """Say where the numbers come from.

    Returns:
        A sentence.
    """
    tables: dict[str, list[str]] = {}
    for claim in CLAIMS.values():
        tables.setdefault(claim.paper, []).append(claim.table)
    words = [f"{paper} {', '.join(sorted(set(those)))}" for paper, those in tables.items()]
    return (
        f"Paper: what tables {'; '.join(words)} claim of the same method under the same attack, "
        "on WRN-28-10 or WRN-34-10 trained on all images: no target for a small net."
    )

"""A corruption as an input move: training on what the world does to pictures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from vicinal._checks import InputError, count, number
from vicinal._typing import Model, Passes
from vicinal.maths.mixing import Neighbour
from vicinal.maths.randomness import integers, uniform

__all__ = ["Corrupt", "Corruption"]

_KEYS = 2**63 - 1
"""Keys are drawn below it, as the corruptions themselves do."""


class Corruption(Protocol):
    """What corrupts: any of `vicinal.corruptions`, or a function of one's own like it."""

    def __call__(self, x: Tensor, *, severity: int, keys: Tensor) -> Tensor:
        """Corrupt images (N, C, H, W) into new ones, every one by its own key (N,), int64."""
        ...


@dataclass(frozen=True, kw_only=True)
class Corrupt:
    """Corrupt every image, or a share of them, with a severity drawn for each.

    Identity at share = 0. With one severity and all images, `Corrupt(corruption=fog, ...)` draws
    what `fog(x, severity=..., rng=rng)` draws.

    Args:
        corruption: What corrupts: corruption(x, severity=..., keys=...), with a key for each image.
        severities: Of which one is drawn for each image, uniformly; a single one is fixed.
        share: The probability that an image is corrupted, in [0, 1].

    Raises:
        InputError: If no corruption or severity is given, or the share lies outside.

    Example:
        >>> from vicinal.corruptions import gaussian_noise
        >>> move = Corrupt(corruption=gaussian_noise, severities=(3,))
        >>> x = torch.full((2, 3, 8, 8), 0.5)
        >>> rng = torch.Generator().manual_seed(0)
        >>> bool((move(torch.nn.Identity(), x, torch.arange(2), rng=rng).x != x).any())
        True

    Gradients do not pass a corruption that truncates to 8 bits. Cost: no forward, no backward pass.
    """

    corruption: Corruption
    severities: tuple[int, ...] = (1, 2, 3, 4, 5)
    share: float = 1.0

    def __post_init__(self) -> None:
        if not callable(self.corruption) or isinstance(self.corruption, type):
            raise InputError(
                f"`corruption` must be a corruption, e.g. corruptions.fog; got {self.corruption!r}."
            )
        object.__setattr__(self, "severities", _checked(self.severities))  # recipes hold lists
        number("share", self.share, low=0.0, high=1.0)

    @property
    def passes(self) -> Passes:
        """None."""
        return Passes(0, 0)

    def __call__(
        self, model: Model, x: Tensor, y: Tensor, *, rng: torch.Generator | None = None
    ) -> Neighbour:
        """Corrupt the images."""
        del model, y
        x, n = x.detach(), x.shape[0]
        keys, chosen = self._draw(n, rng)
        moved = x.clone()
        for severity in sorted(set(self.severities)):
            rows = (chosen == severity).nonzero().flatten()
            if len(rows) == n:
                return Neighbour(self.corruption(x, severity=severity, keys=keys))
            if len(rows):
                places = rows.to(x.device)
                moved[places] = self.corruption(x[places], severity=severity, keys=keys[rows])
        return Neighbour(moved)

    def _draw(self, n: int, rng: torch.Generator | None) -> tuple[Tensor, Tensor]:
        """Draw every image's key and its severity, 0 where it stays: shapes (n,), on the CPU."""
        like, known = torch.empty(0, dtype=torch.float64), torch.tensor(list(self.severities))
        keys = integers(n, high=_KEYS, like=like, rng=rng)
        if len(known) > 1:
            known = known[integers(n, high=len(known), like=like, rng=rng)]
        chosen = known.expand(n)
        if self.share < 1.0:
            chosen = torch.where(uniform((n,), like, rng) < self.share, chosen, 0)
        return keys, chosen


def _checked(severities: object) -> tuple[int, ...]:
    if not isinstance(severities, (tuple, list)) or not severities:
        raise InputError(
            f"`severities` must be several severities, or one: (3,); got {severities!r}."
        )
    return tuple(count("severities", severity) for severity in severities)

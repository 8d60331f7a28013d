"""AutoAttack (Croce and Hein 2020): several attacks, each on the images that withstood the others.

The standard version is APGD on the cross-entropy, APGD on the targeted DLR loss, FAB and Square;
the version for models that draw at random is APGD on both losses, averaged over 20 draws. Not here:
l1, the version "plus", and the checks whether a model is fit for it.
"""

from __future__ import annotations

import math
import numbers
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from vicinal._checks import InputError, choice, images, labels
from vicinal._typing import Attack, AttackResult, Model, Norm, Passes
from vicinal.attacks.apgd import APGD
from vicinal.attacks.eot import Draws, mean_logits
from vicinal.attacks.fab import FAB
from vicinal.attacks.levers import Levers, precision_within
from vicinal.attacks.nearest import check_radius
from vicinal.attacks.result import Result
from vicinal.attacks.search import checked
from vicinal.attacks.square import Square
from vicinal.attacks.strongest import Iterate, Strongest, stronger
from vicinal.attacks.survivors import Survivors, pick
from vicinal.gradients import clean_logits, detached, undisturbed
from vicinal.maths.balls import distance
from vicinal.maths.losses import margin

__all__ = ["AutoAttack"]

_DRAWS, _SCHEDULE = 20, 10_000
_SLACK = 1e-5
"""How far rounding may carry an image out of its ball, in parts of the radius."""


@dataclass(frozen=True, kw_only=True)
class AutoAttack:
    """Run a sequence of attacks; each image is attacked until one of them breaks it.

    An attack's word is not taken: what it returns counts where the model errs on it, in its own
    arithmetic, and where it lies in the ball and in [0, 1]. However fast the searches are made, the
    model itself is their judge. A model that draws at random is searched as it is.

    Args:
        eps: Radius in pixel units.
        norm: "linf" or "l2".
        version: "standard", or "rand" for models that draw at random.
        attacks: Other attacks instead, by name or in a sequence, each for the same ball or without
            any.
        precision: Arithmetic of the standard version's searches, all but FAB's: "fp32", "bf16"
            (autocast), or "auto": bf16 where the processor is fast at it and the ball is linf and
            4/255 or wider.
        channels_last: Whether they search in channels-last.
        folded: Whether they search with BatchNorm folded into the convolution before it, where
            there is one.

    Example:
        >>> _ = torch.manual_seed(0)
        >>> model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 5))
        >>> x, y = torch.rand(8, 1, 4, 4), torch.arange(8) % 5
        >>> attack = AutoAttack(eps=0.02, attacks={"apgd-ce": APGD(eps=0.02, steps=10)})
        >>> result = attack(model, x, y)
        >>> set(result.broken_by) <= {"clean", "apgd-ce", None}
        True

    Cost for an image that is never broken: one forward pass, and for every attack its own and one
    forward pass more; where the model draws at random, 20 for each of these.
    """

    eps: float
    norm: Norm = "linf"
    version: str = "standard"
    attacks: Mapping[str, Attack] | Sequence[Attack] | None = None
    precision: str = "auto"
    channels_last: bool = True
    folded: bool = True

    def __post_init__(self) -> None:
        choice("norm", self.norm, ("linf", "l2"))
        choice("version", self.version, ("standard", "rand"))
        check_radius(self.eps, self.norm, unbounded=False)
        if self.attacks is not None:
            self._check_members(self.attacks)
        _ = self.levers

    def _check_members(self, given: object) -> None:
        """Refuse what is no attack, and attacks on a larger ball: it would seem robust to them."""
        if isinstance(given, str) or not isinstance(given, (Mapping, Sequence)):
            raise InputError(
                f"`attacks` must be several attacks, in a sequence or by name; got {given!r}. "
                "Did you mean a list of it, or version='standard'?"
            )
        if len(given) == 0:
            raise InputError("`attacks` must hold at least one attack, or be None; got none.")
        for name, attack in self.members.items():
            if isinstance(attack, type) or not callable(attack):
                raise InputError(
                    "`attacks` must hold attacks such as APGD(eps=8/255), called as "
                    f"attack(model, x, y, rng=rng); got {attack!r}."
                )
            eps, norm = _ball(attack)
            if eps < math.inf and (norm != self.norm or eps > self.eps * (1 + _SLACK)):
                raise InputError(
                    f"`attacks` must search the ball of {self.norm} {self.eps:g}, outside which no "
                    f"error counts; got {name!r} with {norm} {eps:g}."
                )

    @property
    def levers(self) -> Levers:
        """What makes its own searches fast, none but the standard version's; `on` says where."""
        precision = precision_within(self.precision, eps=self.eps, norm=self.norm)
        fast = Levers(precision=precision, channels_last=self.channels_last, folded=self.folded)
        own = self.attacks is None and self.version == "standard"
        return fast if own else Levers()

    @property
    def members(self) -> dict[str, Attack]:
        """The attacks by name, in the order in which they run."""
        if isinstance(self.attacks, Mapping):
            return dict(self.attacks)
        if self.attacks is not None:
            return {f"{n} {type(a).__name__}": a for n, a in enumerate(self.attacks, 1)}
        eps, norm = self.eps, self.norm
        if self.version == "rand":
            return {
                "apgd-ce": APGD(eps=eps, norm=norm, eot=_DRAWS),
                "apgd-dlr": APGD(eps=eps, norm=norm, eot=_DRAWS, loss="dlr"),
            }
        exact: dict[str, Any] = {"channels_last": self.channels_last, "folded": self.folded}
        fast = {**exact, "precision": self.precision}
        return {
            "apgd-ce": APGD(eps=eps, norm=norm, **fast),
            "apgd-t": APGD(eps=eps, norm=norm, loss="dlr", targets=9, **fast),
            "fab-t": FAB(eps=eps, norm=norm, **exact),
            "square": Square(eps=eps, norm=norm, schedule=_SCHEDULE, **fast),
        }

    def __call__(
        self, model: Model, x: Tensor, y: Tensor, *, rng: torch.Generator | None = None
    ) -> Result:
        """Attack one batch.

        Args:
            model: The model; left as it was.
            x: Images, shape (N, C, H, W), in [0, 1]; not modified.
            y: Classes (N,) or distributions (N, K).
            rng: Where the attacks' draws come from; torch's global generator when not given.

        Returns:
            The result; `broken_by` names the attack that broke each image.
        """
        began = time.perf_counter()
        images(x)
        labels(y, n=x.shape[0])
        with undisturbed(x):
            siege = _Siege(self, model, detached(x), detached(y))
            for name, attack in self.members.items():
                if len(siege.left) > 0:
                    siege.attack(name, attack, rng)
        found = siege.best
        return Result(
            adv=found.x,
            success=found.rank > 0,
            norms=distance(found.x, detached(x), norm=self.norm),
            passes=siege.passes,
            seconds=time.perf_counter() - began,
            clean_correct=siege.clean_correct,
            spent=siege.spent,
            broken_by=tuple(siege.broken_by),
        )


class _Siege:
    """What one call keeps: who still stands, the strongest of every image, and who broke it."""

    def __init__(self, whole: AutoAttack, model: Model, x: Tensor, y: Tensor) -> None:
        self._eps, self._norm = whole.eps, whole.norm
        self._draws = _DRAWS if whole.version == "rand" else 1
        self._model, self._x, self._y = model, x, y
        self.left = Survivors(x.shape[0], device=x.device, every=1)
        self.passes, self._members = Passes(0, 0), Passes(0, 0)
        self.broken_by: list[str | None] = [None] * x.shape[0]
        clean = self._judged(x, x, y)
        self.clean_correct = clean.rank == 0
        self.best = Iterate(x.clone(), clean.rank, torch.where(clean.rank > 0, 0.0, -torch.inf))
        self._let_go("clean", clean.rank)

    def attack(self, name: str, attack: Attack, rng: torch.Generator | None) -> None:
        """Let one attack loose on the images that are left."""
        x, y = pick(self.left.rows, self._x, self._y)
        result = attack(self._model, x, y, rng=rng)
        self._count(result, x.shape[0])
        new = self._judged(detached(result.adv), x, y)
        old = Iterate(*pick(self.left.rows, *self.best))
        for all_images, part in zip(self.best, stronger(old, new), strict=True):
            self.left.put(all_images, part.to(all_images.dtype))
        self._let_go(name, new.rank)

    def _judged(self, adv: Tensor, x: Tensor, y: Tensor) -> Iterate:
        """Ask the model about images; one that left its ball is no better than the clean one."""
        size = distance(adv, x, norm=self._norm)
        outside = (size > _rim(self._eps, x.dtype)) | ~_in_range(adv)
        adv = torch.where(outside.view(-1, 1, 1, 1), x, adv)
        asked = Draws(self._model, n=self._draws) if self._draws > 1 else self._model
        z = checked(mean_logits(clean_logits(asked, adv), self._draws), y)
        self.passes = Passes(self.passes.forward + self._draws, self.passes.backward)
        self.left.spend(forward=self._draws)
        judge = Strongest(y, None, lambda z: margin(z, y))
        judge.visit(adv, z)
        return judge.found()

    def _let_go(self, name: str, rank: Tensor) -> None:
        for row in self.left.rows[rank > 0].tolist():
            self.broken_by[row] = name
        self.left.leave(rank > 0)

    def _count(self, result: AttackResult, n: int) -> None:
        one, many = result.passes, getattr(result, "spent", None)
        if many is None:
            many = Passes(n * one.forward, n * one.backward)
        self.passes = _sum(self.passes, one)
        self._members = _sum(self._members, many)

    @property
    def spent(self) -> Passes:
        """Passes image by image, those of the attacks and of the verdicts."""
        return _sum(self.left.spent, self._members)


def _ball(attack: Any) -> tuple[float, str]:  # ruff: ignore[any-type] — a field of any attack
    """Give radius and norm of an attack, or of the attack within; infinity where it tells none."""
    while getattr(attack, "eps", None) is None and hasattr(attack, "attack"):
        attack = attack.attack
    eps, norm = getattr(attack, "eps", None), getattr(attack, "norm", "linf")
    if isinstance(eps, Tensor):
        eps = float(eps.max())
    if not isinstance(eps, (float, numbers.Real)) or norm not in {"linf", "l2"}:
        return math.inf, norm
    return float(eps), norm


def _in_range(x: Tensor) -> Tensor:
    low, high = x.flatten(1).amin(dim=1), x.flatten(1).amax(dim=1)
    return (low >= 0) & (high <= 1)


def _sum(one: Passes, other: Passes) -> Passes:
    return Passes(one.forward + other.forward, one.backward + other.backward)


def _rim(eps: float, dtype: torch.dtype) -> float:
    """Say how far from its center an image of the ball may lie once its pixels are rounded."""
    rounding = torch.finfo(dtype).eps
    return eps * (1 + max(_SLACK, 2 * rounding)) + max(_SLACK / 10, rounding / 2)

"""What an attacker may do: the threat model of an attack, and the words for it.

A robust accuracy is a statement about one threat model: a norm and a radius. Verdicts of attacks
with another radius, another norm or none say something else, and do not belong in its worst case.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from vicinal._checks import InputError, choice
from vicinal.attacks import CWL2, Rounded, Square, Transfer, UniformNoise
from vicinal.attacks.levers import Levers
from vicinal.maths.balls import distance

__all__ = ["About", "Threat", "about", "check_inside", "digest_of", "parameters", "prevailing"]
__all__ += ["threat_of"]

_WORDS = {
    "white box": "white box: the attacker knows the model and its gradients",
    "queries": "black box: the attacker asks the model for logits",
    "transfer": "black box: the examples are made on another model",
    "noise": "no attacker: random noise",
}


@dataclass(frozen=True, kw_only=True)
class Threat:
    """A ball around every image, cut to [0, 1], in which an attacker may choose.

    Args:
        norm: "linf" or "l2".
        eps: Radius in pixels of [0, 1]; one per channel as a tuple; infinity where there is none.

    Example:
        >>> str(Threat(norm="linf", eps=8 / 255))
        'linf 8/255 (0.03137)'
    """

    norm: str
    eps: float | tuple[float, ...]

    def __post_init__(self) -> None:
        choice("norm", self.norm, ("linf", "l2"))
        if not self._radii or not all(radius >= 0 for radius in self._radii):
            raise InputError(f"`eps` of a threat model must be at least 0; got {self.eps}.")

    @property
    def bounded(self) -> bool:
        """Whether there is a radius."""
        return isinstance(self.eps, tuple) or math.isfinite(self.eps)

    def holds(self, other: Threat) -> bool:
        """Tell whether another ball lies in this one: the same norm, no larger radius.

        Args:
            other: The other threat model.

        Returns:
            Whether it does; a radius that is larger by a ten-thousandth of it counts as the same.

        Example:
            >>> Threat(norm="linf", eps=8 / 255).holds(Threat(norm="linf", eps=0.0314))
            False
            >>> Threat(norm="linf", eps=0.0314).holds(Threat(norm="linf", eps=8 / 255))
            True
        """
        own, others = self._radii, other._radii
        n = max(len(own), len(others))
        if self.norm != other.norm or not {len(own), len(others)} <= {1, n}:
            return False
        pairs = zip(own * (n // len(own)), others * (n // len(others)), strict=True)
        return all(there <= here * (1 + _SLACK[1]) for here, there in pairs)

    @property
    def _radii(self) -> tuple[float, ...]:
        return self.eps if isinstance(self.eps, tuple) else (self.eps,)

    @property
    def words(self) -> str:
        """The threat model as a sentence."""
        if not self.bounded:
            return f"pixels in [0, 1], moved as far as one likes ({self.norm}); any error counts"
        return (
            f"pixels in [0, 1], moved by at most {_radius(self.eps)} in {self.norm}; untargeted: "
            "any error counts"
        )

    def __str__(self) -> str:
        """Write norm and radius, grey levels included."""
        return f"{self.norm} {_radius(self.eps)}" if self.bounded else f"{self.norm} unbounded"


def _radius(eps: float | tuple[float, ...]) -> str:
    if isinstance(eps, tuple):
        return f"[{', '.join(f'{one:.4g}' for one in eps)}] per channel"
    levels = eps * 255
    whole = levels > 0.5 and abs(levels - round(levels)) < 1e-6
    return f"{round(levels)}/255 ({eps:.4g})" if whole else f"{eps:.4g}"


def threat_of(attack: object) -> Threat | None:
    """Read the threat model off an attack.

    Args:
        attack: Any attack. That of a transfer, or of a rounded attack, is that of the attack
            within; one that looks for the nearest error has no radius.

    Returns:
        Its threat model; None where it says nothing of a radius, as a plain function.

    Example:
        >>> from vicinal.attacks import FGSM
        >>> threat_of(FGSM(eps=0.5))
        Threat(norm='linf', eps=0.5)
    """
    if isinstance(attack, (Transfer, Rounded)):
        return threat_of(attack.attack)
    if isinstance(attack, CWL2):
        return Threat(norm="l2", eps=math.inf)
    if not hasattr(attack, "eps"):
        return None
    eps, norm = attack.eps, getattr(attack, "norm", "linf")
    if eps is None:
        return Threat(norm=norm, eps=math.inf)
    if isinstance(eps, Tensor) and eps.numel() != 1:
        return Threat(norm=norm, eps=tuple(float(one) for one in eps.flatten()))
    return Threat(norm=norm, eps=float(eps))


_SLACK = 1e-5, 1e-4
"""How far beyond a radius float32 may round: in pixels, and as a share of the radius."""


def check_inside(
    name: str, adv: Tensor, x: Tensor, *, threat: Threat | None, fooled: Tensor
) -> None:
    """Check that the images that count against a model lie in [0, 1] and in the attack's own ball.

    Args:
        name: The attack's name.
        adv: What it returned, shape (N, C, H, W).
        x: Clean images, same shape.
        threat: What it says of its ball; None where it says nothing.
        fooled: Which images count, shape (N,).

    Raises:
        InputError: If shapes differ, or an image that counts lies outside. The device is waited
            for.
    """
    if adv.shape != x.shape or fooled.shape != x.shape[:1]:
        raise InputError(
            f"an attack must return an image and a verdict for each of {tuple(x.shape)}; {name} "
            f"returned {tuple(adv.shape)} and {tuple(fooled.shape)}."
        )
    inside = ((adv >= -_SLACK[0]) & (adv <= 1 + _SLACK[0])).flatten(1).all(dim=1)
    if threat is not None and threat.bounded:
        inside &= _within(adv - x, threat)
    outside = int((fooled.to(inside.device) & ~inside).sum())
    if outside:
        where = "[0, 1]" if threat is None or not threat.bounded else f"[0, 1] and {threat}"
        raise InputError(
            f"an attack must count images within {where} only; {name} counts {outside} of "
            f"{len(x)} outside as fooled. Project what it returns, or state the radius it has?"
        )


def _within(delta: Tensor, threat: Threat) -> Tensor:
    """Tell which perturbations a ball holds, shape (N,), to rounding; NaN lies outside."""
    eps = torch.tensor(threat.eps, dtype=torch.float64).to(delta.device, delta.dtype)
    rounding = max(_SLACK[0], 4 * torch.finfo(delta.dtype).eps)
    limit = eps * (1 + _SLACK[1]) + rounding
    if threat.norm == "l2":
        return distance(delta, torch.zeros_like(delta), norm="l2") <= limit
    return (delta.abs() <= limit.view(-1, 1, 1)).flatten(1).all(dim=1)


@dataclass(frozen=True, kw_only=True)
class About:
    """What is to be said of an attack beside its numbers.

    Args:
        threat: Its threat model; None where it says nothing of a radius.
        access: What the attacker knows, as a sentence.
        parameters: Every parameter, as JSON can hold it.
        source: Of a transfer, a digest of the net on which its examples are made.
    """

    threat: Threat | None
    access: str
    parameters: Mapping[str, Any]
    source: str | None = field(default=None, compare=False)

    @property
    def digest(self) -> str:
        """Parameters and source in sixteen digits."""
        return digest_of(self.parameters, source=self.source)


def digest_of(parameters: Mapping[str, Any], *, source: str | None) -> str:
    """Sum up what an attack is, to tell whether two of one name are alike.

    Args:
        parameters: Every parameter, as JSON can hold it.
        source: Of a transfer, a digest of the net on which its examples are made.

    Returns:
        Sixteen hexadecimal digits.
    """
    text = json.dumps([parameters, source], sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def about(attack: object, *, device: torch.device | None = None) -> About:
    """Say of an attack what a reader of its numbers must know.

    Args:
        attack: Any attack.
        device: Where it searches, as `parameters` has it.

    Returns:
        Threat model, access and parameters.
    """
    told = parameters(attack, device=device)
    return About(threat=threat_of(attack), access=_access(attack), parameters=told)


def _access(attack: object) -> str:
    if isinstance(attack, Rounded):
        return _access(attack.attack)
    if isinstance(attack, Transfer):
        return _WORDS["transfer"]
    if isinstance(attack, UniformNoise):
        return _WORDS["noise"]
    return _WORDS["queries" if isinstance(attack, Square) else "white box"]


def prevailing(threats: Iterable[Threat | None]) -> Threat | None:
    """Choose the threat model of a worst case where nobody states one.

    Args:
        threats: Those of the attacks, in order.

    Returns:
        The bounded one that most attacks share, the first of them on a tie; None if there is none.

    Example:
        >>> small, large = (Threat(norm="linf", eps=eps) for eps in (0.1, 0.2))
        >>> prevailing([small, large, large, None])
        Threat(norm='linf', eps=0.2)
    """
    found = [threat for threat in threats if threat is not None and threat.bounded]

    def shared(threat: Threat) -> int:
        return sum(threat.holds(other) and other.holds(threat) for other in found)

    return max(found, key=shared, default=None)


def parameters(attack: object, *, device: torch.device | None = None) -> dict[str, Any]:
    """Write down every parameter of an attack, defaults included, as JSON can hold it.

    Args:
        attack: Any attack.
        device: Where it searches: levers, such as a precision of "auto", are then written as what
            is pulled there.

    Returns:
        Its class under "class", then its fields; an attack within another is nested.

    Example:
        >>> from vicinal.attacks import FGSM
        >>> parameters(FGSM(eps=0.5))
        {'class': 'FGSM', 'eps': 0.5, 'loss': 'ce', 'target': None}
    """
    found: dict[str, Any] = {"class": type(attack).__name__}
    if dataclasses.is_dataclass(attack):
        for field in dataclasses.fields(attack):
            found[field.name] = _plain(getattr(attack, field.name), device)
    levers = getattr(attack, "levers", None)
    if device is not None and isinstance(levers, Levers):
        pulled = dataclasses.asdict(levers.on(device))
        found |= {name: value for name, value in pulled.items() if name in found}
    return found


def _plain(value: object, device: torch.device | None) -> Any:  # ruff: ignore[any-type] — any field
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, Tensor):
        return value.tolist()
    if isinstance(value, nn.Module):
        return type(value).__name__
    if dataclasses.is_dataclass(value):
        return parameters(value, device=device)
    if isinstance(value, Mapping):
        return {str(name): _plain(one, device) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(one, device) for one in value]
    return getattr(value, "__qualname__", type(value).__name__)

"""What an attack costs an image that it never breaks, and how long a pass takes on this machine."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from vicinal._checks import InputError, images, labels
from vicinal._typing import Attack, Model, Passes
from vicinal.attacks import (
    APGD,
    CWL2,
    FAB,
    FGSM,
    FMN,
    MIFGSM,
    PGD,
    AutoAttack,
    Rounded,
    Square,
    Transfer,
    UniformNoise,
)
from vicinal.gradients import clean_logits, detached, differentiable, frozen, input_gradient
from vicinal.maths.losses import cross_entropy

__all__ = ["Pace", "pace_of", "passes_of"]


def passes_of(attack: Attack, *, num_classes: int) -> Passes:
    """Count the passes of an image that an attack never breaks: the most that one can cost.

    Args:
        attack: One of `vicinal.attacks`.
        num_classes: K; some attacks aim at several classes in turn.

    Returns:
        Forward and backward passes per image; a transfer's on its source count too.

    Raises:
        InputError: If the attack is none of the library's.

    Example:
        >>> passes_of(PGD(eps=0.1, step_size=0.025, steps=20, restarts=2), num_classes=10)
        Passes(forward=42, backward=40)
    """
    for kind, count in _COUNTS.items():
        if type(attack) is kind:
            return count(attack, num_classes)
    raise InputError(
        f"the passes of {type(attack).__name__} are not known; known are those of "
        f"{', '.join(kind.__name__ for kind in _COUNTS)}."
    )


def _climb(attack: Any, num_classes: int) -> Passes:  # ruff: ignore[any-type] — PGD or MI-FGSM
    del num_classes
    restarts = getattr(attack, "restarts", 1)
    levers = getattr(attack, "levers", None)
    rejudged = (levers is not None and levers.used) or attack.eot > 1
    rejudged = rejudged or getattr(attack, "rounded", False)
    forward = restarts * (attack.steps + 1) + (attack.target is not None) + rejudged
    return Passes(attack.eot * forward, attack.eot * restarts * attack.steps)


def _fgsm(attack: FGSM, num_classes: int) -> Passes:
    del num_classes
    return Passes(2 + (attack.target is not None), 1)


def _apgd(attack: APGD, num_classes: int) -> Passes:
    goals = 1 if attack.targets is None else min(attack.targets, num_classes - 1)
    runs = goals * attack.restarts
    return Passes(attack.eot * (runs * (attack.steps + 1) + 2), attack.eot * runs * attack.steps)


def _fab(attack: FAB, num_classes: int) -> Passes:
    searches = min(attack.targets, num_classes - 1) * attack.restarts
    ends = searches if math.isfinite(attack.eps) else 0
    steps = searches * attack.steps
    return Passes(2 * steps + ends + attack.bisections + 2, steps)


def _square(attack: Square, num_classes: int) -> Passes:
    del num_classes
    return Passes(attack.restarts * (attack.queries + 1) + 2, 0)


def _noise(attack: UniformNoise, num_classes: int) -> Passes:
    del num_classes
    return Passes(attack.draws + 1, 0)


def _fmn(attack: FMN, num_classes: int) -> Passes:
    del num_classes
    return Passes(attack.steps + 2, attack.steps)


def _cw(attack: CWL2, num_classes: int) -> Passes:
    del num_classes
    steps = attack.steps * attack.search_steps
    return Passes(steps + 1, steps)


def _judged_again(attack: Transfer | Rounded, num_classes: int) -> Passes:
    own = passes_of(attack.attack, num_classes=num_classes)
    return Passes(own.forward + 1, own.backward)


def _autoattack(attack: AutoAttack, num_classes: int) -> Passes:
    draws = 20 if attack.version == "rand" else 1
    each = [passes_of(member, num_classes=num_classes) for member in attack.members.values()]
    return Passes(
        draws + sum(one.forward + draws for one in each), sum(one.backward for one in each)
    )


_COUNTS: dict[type, Callable[[Any, int], Passes]] = {
    FGSM: _fgsm,
    PGD: _climb,
    MIFGSM: _climb,
    APGD: _apgd,
    FAB: _fab,
    FMN: _fmn,
    CWL2: _cw,
    Square: _square,
    UniformNoise: _noise,
    Transfer: _judged_again,
    Rounded: _judged_again,
    AutoAttack: _autoattack,
}


@dataclass(frozen=True, kw_only=True)
class Pace:
    """Seconds of one image in one pass.

    Args:
        forward: Of a forward pass, as it is inside an attack.
        backward: Of the backward pass after it.

    Example:
        >>> Pace(forward=0.001, backward=0.002).seconds(Passes(21, 20), n=1000)
        61.0
    """

    forward: float
    backward: float

    def seconds(self, passes: Passes, *, n: int) -> float:
        """Tell how long so many passes take.

        Args:
            passes: Per image.
            n: Images.

        Returns:
            Seconds.
        """
        return n * (passes.forward * self.forward + passes.backward * self.backward)


def pace_of(model: Model, x: Tensor, y: Tensor, *, repeats: int = 3) -> Pace:
    """Measure a forward and a backward pass of one batch; the fastest of a few counts.

    Args:
        model: The model; left as it was.
        x: Images, shape (N, C, H, W), in [0, 1], on the model's device.
        y: Classes, shape (N,).
        repeats: How often each is timed.

    Returns:
        Seconds per image.

    Cost: 2 (repeats + 1) forward and repeats + 1 backward passes.
    """
    images(x)
    labels(y, n=x.shape[0])

    def both() -> None:
        with frozen(model), differentiable():
            input_gradient(model, detached(x), lambda z: cross_entropy(z, y))

    ahead = _fastest(lambda: clean_logits(model, x), x.device, repeats)
    whole = _fastest(both, x.device, repeats)
    return Pace(forward=ahead / len(x), backward=max(whole - ahead, 0.0) / len(x))


def _fastest(call: Callable[[], object], device: torch.device, repeats: int) -> float:
    call()
    times = []
    for _ in range(repeats):
        _wait(device)
        began = time.perf_counter()
        call()
        _wait(device)
        times.append(time.perf_counter() - began)
    return min(times)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()

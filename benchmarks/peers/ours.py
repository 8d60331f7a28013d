"""Our attacks: as they are with every lever pulled, and as plain loops without any."""

from __future__ import annotations

import dataclasses
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.peers.budgets import Budget, Built
from vicinal._typing import Attack
from vicinal.attacks import APGD, CWL2, FAB, FGSM, MIFGSM, PGD, AutoAttack, Square
from vicinal.attacks.levers import Levers

__all__ = ["LEVERS", "build", "build_bare", "build_float32", "build_plain"]

LEVERS: dict[str, Any] = {
    "compact_every": 5,
    "precision": "auto",
    "channels_last": True,
    "folded": True,
}
"""All that can be pulled; an attack without such a field goes without, and one that lets images
leave by itself does so when it wants to."""

_NONE: dict[str, Any] = {"precision": "fp32", "channels_last": False, "folded": False}


def build(net: nn.Module, budget: Budget, seed: int) -> Built:
    """Give an attack with every lever that it has; bf16 only where the processor is fast at it.

    Args:
        net: The net.
        budget: What is asked for.
        seed: Of the draws.

    Returns:
        The attack.
    """
    return _built(net, _pulled(_attack(budget), LEVERS), seed)


def build_float32(net: nn.Module, budget: Budget, seed: int) -> Built:
    """Give an attack that searches in float32, with every other lever.

    Args:
        net: The net.
        budget: What is asked for.
        seed: Of the draws.

    Returns:
        The attack.
    """
    return _built(net, _pulled(_attack(budget), {**LEVERS, "precision": "fp32"}), seed)


def build_plain(net: nn.Module, budget: Budget, seed: int) -> Built:
    """Give an attack that keeps every image to the end and searches the net as it is.

    Args:
        net: The net.
        budget: What is asked for.
        seed: Of the draws.

    Returns:
        The attack; AutoAttack's members keep to this too, and go on with what the others left.
    """
    attack = _pulled(_attack(budget), _NONE)
    if isinstance(attack, AutoAttack):
        members = {name: _kept(member) for name, member in attack.members.items()}
        attack = dataclasses.replace(attack, attacks=members)
    return _built(net, _kept(attack), seed)


def build_bare(net: nn.Module, budget: Budget, seed: int) -> Built | None:
    """Give the passes alone that a gradient attack cannot do without; the images come back as sent.

    Args:
        net: The net.
        budget: What is asked for.
        seed: Of nothing.

    Returns:
        The passes; None where they are not as many for every image.
    """
    del seed
    if budget.kind not in {"fgsm", "pgd", "mi-fgsm", "apgd-ce"}:
        return None

    def call(x: Tensor, y: Tensor) -> Tensor:
        for _ in range(budget.steps):
            at = x.detach().requires_grad_(True)
            torch.autograd.grad(functional.cross_entropy(net(at), y, reduction="sum"), at)
        return x

    return Built(call=call, note="no steps: the time is the floor")


def _built(net: nn.Module, attack: Attack, seed: int) -> Built:
    device = next(net.parameters()).device
    rng = torch.Generator(device).manual_seed(seed)

    def call(x: Tensor, y: Tensor) -> Tensor:
        result: Any = attack(net, x, y, rng=rng)
        adv: Tensor = result.adv
        return adv

    return Built(call=call, levers=_told(attack, device))


def _attack(budget: Budget) -> Attack:
    eps, steps = budget.eps, budget.steps
    iterate = "last" if budget.last else "worst"
    plain: dict[str, Attack] = {
        "fgsm": FGSM(eps=eps),
        "pgd": PGD(
            eps=eps,
            step_size=budget.step_size or eps,
            steps=steps,
            random_start=budget.start,
            iterate=iterate,
        ),
        "mi-fgsm": MIFGSM(
            eps=eps, step_size=budget.step_size or None, steps=steps, iterate=iterate
        ),
        "cw-l2": CWL2(steps=steps, search_steps=budget.search_steps),
        "apgd-ce": APGD(eps=eps, steps=steps),
        "apgd-dlr": APGD(eps=eps, steps=steps, loss="dlr"),
        "apgd-t": APGD(eps=eps, steps=steps, loss="dlr", targets=9),
        "fab-t": FAB(eps=eps, steps=steps),
        "square": Square(eps=eps, queries=steps),
        "standard": AutoAttack(eps=eps),
    }
    return plain[budget.kind]


def _pulled(attack: Attack, levers: dict[str, Any]) -> Attack:
    """Pull the levers that an attack has; when images leave it may have said already."""
    fields: Any = attack
    values = {field.name: getattr(attack, field.name) for field in dataclasses.fields(fields)}
    decided = values.get("compact_every") is not None or values.get("iterate") == "last"
    skipped = {"compact_every"} if decided else set()
    chosen = {k: v for k, v in levers.items() if k in values.keys() - skipped}
    pulled: Attack = dataclasses.replace(fields, **chosen)
    return pulled


def _kept(attack: Attack) -> Attack:
    fields: Any = attack
    if not hasattr(attack, "compact_every"):
        return attack
    kept: Attack = dataclasses.replace(fields, compact_every=None)
    return kept


def _told(attack: Attack, device: torch.device) -> str:
    """Say which levers an attack pulls; of several attacks, which each of them does."""
    if isinstance(attack, AutoAttack):
        parts = {name: _told(member, device) for name, member in attack.members.items()}
        return "; ".join(f"{name}: {told or 'none'}" for name, told in parts.items())
    every = getattr(attack, "compact_every", None)
    words = [f"fooled images leave every {every} steps"] if every else []
    levers = getattr(attack, "levers", None)
    pulled = (levers if isinstance(levers, Levers) else Levers()).on(device)
    words += [name for name in ("channels_last", "folded") if getattr(pulled, name)]
    words += [pulled.precision] if pulled.precision != "fp32" else []
    return ", ".join(words)

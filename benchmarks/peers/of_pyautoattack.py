"""pyautoattack 0.2.0, the code of AutoAttack's authors as a package."""

from __future__ import annotations

import importlib
from typing import Any

from torch import Tensor, nn

from benchmarks.peers.budgets import Budget, Built

__all__ = ["build"]

_KINDS = {"apgd-ce", "apgd-dlr", "apgd-t", "fab-t", "square"}


def build(net: nn.Module, budget: Budget, seed: int) -> Built | None:
    """Give its attack; a member alone runs once, as in the standard version.

    Square alone has its schedule for as many queries as it is given, as in its paper and as ours;
    the standard version stops half-way through a schedule of 10,000.

    Args:
        net: The net.
        budget: What is asked for.
        seed: Of its draws.

    Returns:
        The attack, or None.
    """
    peer: Any = importlib.import_module("pyautoattack")
    if budget.kind == "standard":
        words: dict[str, Any] = {"version": "standard"}
    elif budget.kind in _KINDS:
        words = {"version": "custom", "attacks": [budget.kind]}
    else:
        return None
    device = next(net.parameters()).device
    whole = peer.AutoAttack(net, norm="Linf", eps=budget.eps, device=device, seed=seed, **words)
    if budget.kind != "standard":
        whole.apgd.n_restarts = whole.fab.n_restarts = 1
        whole.apgd.n_iter = whole.fab.n_iter = whole.apgd_targeted.n_iter = budget.steps
        whole.square.n_queries, whole.square.rescale_schedule = budget.steps, True

    def call(x: Tensor, y: Tensor) -> Tensor:
        adv: Tensor = whole.run_standard_evaluation(x.contiguous(), y, batch_size=len(x))[0]
        return adv

    return Built(call=call)

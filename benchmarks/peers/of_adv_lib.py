"""adv-lib 0.2.8, which imports visdom and torchvision without need: empty modules stand in."""

from __future__ import annotations

import importlib
import math
import sys
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.peers.budgets import Budget, Built

__all__ = ["build"]


def build(net: nn.Module, budget: Budget, seed: int) -> Built | None:
    """Give its attack.

    Args:
        net: The net.
        budget: What is asked for.
        seed: Of its draws, which are torch's global ones.

    Returns:
        The attack, or None.
    """
    _stand_in()
    peer: Any = importlib.import_module("adv_lib.attacks")
    eps, steps = budget.eps, budget.steps
    search = {"max_iterations": steps, "binary_search_steps": budget.search_steps}
    ball = {"eps": eps, "norm": math.inf, "n_iter": steps}
    given: dict[str, tuple[str, dict[str, Any]]] = {
        "pgd": ("pgd_linf", _pgd(budget)),
        "cw-l2": ("carlini_wagner_l2", search),
        "apgd-ce": ("apgd", {**ball, "loss_function": "ce"}),
        "apgd-dlr": ("apgd", {**ball, "loss_function": "dlr"}),
        "apgd-t": ("apgd_targeted", {**ball, "num_targets": 9}),
    }
    if budget.kind not in given:
        return None
    name, words = given[budget.kind]
    attack = getattr(peer, name)
    torch.manual_seed(seed)
    note = "never tests its last iterate" if budget.kind == "pgd" else ""

    def call(x: Tensor, y: Tensor) -> Tensor:
        adv: Tensor = attack(net, x, y, **words)
        return adv

    return Built(call=call, note=note)


def _pgd(budget: Budget) -> dict[str, Any]:
    # The radius has a Greek name there.
    radius = "ε"
    return {
        radius: budget.eps,
        "steps": budget.steps,
        "absolute_step_size": budget.step_size,
        "random_init": budget.start,
    }


def _stand_in() -> None:
    for name in ("visdom", "torchvision", "torchvision.models", "torchvision.transforms"):
        if name in sys.modules or _there(name.partition(".")[0]):
            continue
        module: Any = ModuleType(name)
        module.__path__ = []
        module.__getattr__ = lambda _: object
        sys.modules[name] = module


def _there(name: str) -> bool:
    return name not in sys.modules and importlib.util.find_spec(name) is not None

"""One tool in a process of its own: requests come as lines of JSON, and so do the answers.

Started by `process.Worker`. A request is {"budget": ..., "seed": ..., "save": path or null}; the
answer has what `judged` says, or {"error": ...}. What a package prints goes to stderr.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks import reference_nets
from benchmarks.peers.budgets import Budget, Built
from benchmarks.peers.memory import PeakMemory
from benchmarks.peers.packages import PEERS, TOOLS
from vicinal.maths.balls import distance, project

__all__ = ["Counter", "attacked", "judged", "main"]

_OUTSIDE = 1e-5
"""How far rounding may carry an image out of its ball."""


class Counter:
    """Counts images that pass a net, and gradients that come back, wherever its copies run.

    A search may run a folded copy of the net, so it is not the net that is watched but every
    classifying layer.

    Args:
        classes: By how many outputs that layer is known.
    """

    def __init__(self, classes: int) -> None:
        self._classes, self.forward, self.backward = classes, 0, 0

    @contextmanager
    def watching(self) -> Generator[None]:
        """Count as long as the context lasts."""
        handle = nn.modules.module.register_module_forward_hook(self._passed)
        try:
            yield
        finally:
            handle.remove()

    def _passed(self, module: nn.Module, given: tuple[Tensor, ...], z: Tensor) -> None:
        if not isinstance(module, nn.Linear) or module.out_features != self._classes:
            return
        self.forward += len(given[0])
        if z.requires_grad:
            z.register_hook(self._returned)  # type: ignore[no-untyped-call]

    def _returned(self, gradient: Tensor) -> None:
        self.backward += len(gradient)


def attacked(built: Built, net: nn.Module, x: Tensor, y: Tensor, batch: int) -> dict[str, Any]:
    """Run an attack batch by batch.

    Args:
        built: The attack.
        net: The net.
        x: Images (N, C, H, W).
        y: Classes (N,).
        batch: Images per batch.

    Returns:
        Fields adv, seconds, forward, backward and peak, in bytes.
    """
    net.eval().requires_grad_(True).zero_grad(set_to_none=True)
    counter, memory, parts = Counter(10), PeakMemory(x.device), []
    seconds = 0.0
    with counter.watching():
        for few, own in zip(torch.split(x, batch), torch.split(y, batch), strict=True):
            began = time.perf_counter()
            parts.append(built.call(few.clone(), own.clone()).detach())
            if x.is_cuda:
                torch.cuda.synchronize(x.device)
            seconds += time.perf_counter() - began
    return {
        "adv": torch.cat(parts).to(torch.float32),
        "seconds": seconds,
        "forward": counter.forward,
        "backward": counter.backward,
        "peak": memory.taken(),
    }


def judged(net: nn.Module, adv: Tensor, x: Tensor, y: Tensor, budget: Budget) -> dict[str, Any]:
    """Judge what an attack returned: brought back into ball and range, in float32, in eval mode.

    Args:
        net: The net.
        adv: What was returned.
        x: The images.
        y: Their classes.
        budget: What was asked for.

    Returns:
        Fields fooled, one 0 or 1 for each image; robust, in per cent; outside, how many images had
        left the ball; and norm, the median l2 size where the net is right without an attack and
        was fooled.
    """
    radius = budget.eps if budget.bounded else torch.inf
    held = project(adv, x, eps=radius, norm="linf")
    outside = int((distance(held, adv, norm="linf") > _OUTSIDE).sum())
    net.eval()
    with torch.no_grad():
        wrong = torch.cat([net(few).argmax(dim=1) for few in torch.split(held, 100)]) != y
        clean = torch.cat([net(few).argmax(dim=1) for few in torch.split(x, 100)]) == y
    sizes = distance(held, x, norm="l2")[wrong & clean]
    return {
        "fooled": "".join("01"[int(bit)] for bit in wrong.tolist()),
        "robust": 100 * (1 - float(wrong.double().mean())),
        "outside": outside,
        "norm": float(sizes.median()) if len(sizes) else None,
    }


def main() -> int:
    """Answer requests until there are none left.

    Returns:
        0.
    """
    args = _parser().parse_args()
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    torch.set_num_threads(args.threads)
    held = np.load(args.images)
    x, y = (torch.from_numpy(held[name]).to(args.device) for name in ("x", "y"))
    net = reference_nets.load(args.net, folder=args.folder, device=args.device)
    with torch.no_grad():
        net(x[: args.batch])
    for line in sys.stdin:
        answer = _answer(json.loads(line), args, net, x, y)
        print(json.dumps(answer), file=answers, flush=True)
    return 0


def _answer(
    asked: dict[str, Any], args: argparse.Namespace, net: nn.Module, x: Tensor, y: Tensor
) -> dict[str, Any]:
    budget = Budget(**asked["budget"])
    try:
        built = TOOLS[args.tool](net, budget, asked["seed"])
        if built is None:
            return {"missing": True}
        found = attacked(built, net, x, y, args.batch)
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"[:300]}
    adv = found.pop("adv")
    if asked["save"] is not None:
        np.savez(asked["save"], adv=adv.cpu().numpy())
    verdict = judged(net, adv, x, y, budget)
    told = {"levers": built.levers, "note": built.note, "version": _version(args.tool)}
    return {**found, **verdict, **told}


def _version(tool: str) -> str:
    if tool not in PEERS:
        return metadata.version("torch") if tool == "bare passes" else "here"
    return metadata.version(PEERS[tool].wanted[0].partition("==")[0])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers.worker")
    for name in ("tool", "net", "device"):
        parser.add_argument(f"--{name}", required=True)
    for name in ("images", "folder"):
        parser.add_argument(f"--{name}", required=True, type=Path)
    for name in ("threads", "batch"):
        parser.add_argument(f"--{name}", required=True, type=int)
    return parser


if __name__ == "__main__":
    raise SystemExit(main())

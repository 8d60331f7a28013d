"""Which packages stand beside ours, where they are looked for, and how one gets them."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TypeAlias

from torch import nn

from benchmarks.peers import (
    of_adv_lib,
    of_art,
    of_foolbox,
    of_pyautoattack,
    of_torchattacks,
    ours,
)
from benchmarks.peers.budgets import Budget, Built

__all__ = [
    "OURS",
    "PEERS",
    "TOOLS",
    "Build",
    "Peer",
    "environment",
    "installed",
    "own_code",
    "version",
]

Build: TypeAlias = Callable[[nn.Module, Budget, int], Built | None]
"""A net, a budget and a seed to an attack."""


@dataclass(frozen=True, kw_only=True)
class Peer:
    """A package.

    Args:
        module: What is imported.
        wanted: What is handed to pip; the first is the package, the others it cannot do without.
        build: Its attacks.
    """

    module: str
    wanted: tuple[str, ...]
    build: Build

    def pip(self, folder: str) -> str:
        """Give the line that installs it into a folder of its own.

        Args:
            folder: The folder.

        Returns:
            The line.
        """
        return f"pip install --no-deps --target {folder} {' '.join(self.wanted)}"


PEERS: dict[str, Peer] = {
    "torchattacks": Peer(
        module="torchattacks", wanted=("torchattacks==3.5.1",), build=of_torchattacks.build
    ),
    "foolbox": Peer(
        module="foolbox",
        wanted=("foolbox==3.3.4", "eagerpy==0.30.0", "GitPython", "gitdb", "smmap"),
        build=of_foolbox.build,
    ),
    "art": Peer(
        module="art",
        wanted=("adversarial-robustness-toolbox==1.20.1", "packaging", "tqdm", "six"),
        build=of_art.build,
    ),
    "adv-lib": Peer(module="adv_lib", wanted=("adv-lib==0.2.8", "tqdm"), build=of_adv_lib.build),
    "pyautoattack": Peer(
        module="pyautoattack", wanted=("pyautoattack==0.2.0",), build=of_pyautoattack.build
    ),
}
"""The packages by name."""

OURS: dict[str, Build] = {
    "vicinal": ours.build,
    "vicinal, fp32": ours.build_float32,
    "vicinal, plain": ours.build_plain,
    "bare passes": ours.build_bare,
}
"""Ours with every lever, with all but bf16, without any, and the passes alone."""

TOOLS: dict[str, Build] = {**OURS, **{name: peer.build for name, peer in PEERS.items()}}
"""Everything that can stand in a table."""


def installed(tool: str, folder: Path | None) -> bool:
    """Tell whether a tool can be run.

    Args:
        tool: A key of `TOOLS`.
        folder: Where each package has a folder of its own; None for the environment alone.

    Returns:
        Whether its module is found, in its own folder first.
    """
    if tool in OURS:
        return True
    module = PEERS[tool].module
    if folder is not None and (folder / tool / module).is_dir():
        return True
    return importlib.util.find_spec(module) is not None


def version(tool: str, folder: Path | None) -> str | None:
    """Tell which version of a tool is installed.

    Args:
        tool: A key of `TOOLS`.
        folder: Where each package has a folder of its own; None for the environment alone.

    Returns:
        What a line of it says; None where the package says nothing of itself.
    """
    if tool in OURS:
        return metadata.version("torch") if tool == "bare passes" else "here"
    name = PEERS[tool].wanted[0].partition("==")[0]
    paths = [] if folder is None else [str(folder / tool)]
    found = metadata.distributions(name=name, path=[*paths, *sys.path])
    return next((one.version for one in found), None)


def own_code() -> str:
    """Sum up the code behind our attacks, so that a run of other code is told from one of it.

    Returns:
        Sixteen hexadecimal digits.
    """
    home = Path(__file__).resolve().parents[2]
    rooms = [home / "src" / "vicinal" / name for name in ("attacks", "inputs", "maths")]
    files = [file for room in rooms for file in sorted(room.rglob("*.py"))]
    files += [home / "src" / "vicinal" / "gradients.py", Path(__file__).with_name("ours.py")]
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:16]


def environment(tool: str, folder: Path | None) -> dict[str, str]:
    """Give the variables of a tool's process: this one's, and where its package lies.

    Args:
        tool: A key of `TOOLS`.
        folder: Where each package has a folder of its own.

    Returns:
        The variables.
    """
    home = Path(__file__).resolve().parents[2]
    paths = [str(home), str(home / "src")]
    if folder is not None and tool in PEERS:
        paths.append(str((folder / tool).resolve()))
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}

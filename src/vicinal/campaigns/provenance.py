"""Under which circumstances a number came about: hardware, threads, versions, date."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from functools import cache
from typing import Any

import torch

from vicinal._version import __version__
from vicinal.recipes.device import pick_device
from vicinal.recipes.environment import processor

__all__ = ["circumstances", "hardware", "versions"]


def circumstances(device: str) -> dict[str, Any]:
    """Describe this process, for a record.

    Args:
        device: Where it computes, "auto" included.

    Returns:
        Fields hardware, threads, versions and date (UTC).
    """
    return {
        "hardware": hardware(device),
        "threads": torch.get_num_threads(),
        "versions": versions(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


@cache
def hardware(device: str) -> str:
    """Name the accelerator, or the processor and its number of cores.

    Args:
        device: Where this process computes, "auto" included.

    Returns:
        The name.
    """
    where = pick_device(device)
    if where.type == "cuda":
        return torch.cuda.get_device_name(where)
    name = f"{processor()}, {os.cpu_count()} cores"
    return name if where.type == "cpu" else f"{where.type} of {name}"


def versions() -> dict[str, str]:
    """List the versions that numbers depend on.

    Returns:
        Names and versions.
    """
    return {
        "vicinal": __version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
    }

"""Under which circumstances a run was made: versions, hardware, threads, command, date."""

from __future__ import annotations

import os
import platform
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from vicinal._version import __version__
from vicinal.engine import processes

__all__ = ["environment", "processor"]


def environment(device: torch.device, *, data_dir: str | Path | None = None) -> dict[str, Any]:
    """Describe this process and this machine.

    Args:
        device: Where it computes.
        data_dir: Where the data sets lie.

    Returns:
        What `environment.json` holds.

    Example:
        >>> facts = environment(torch.device("cpu"))
        >>> facts["device"], facts["threads"] >= 1
        ('cpu', True)
    """
    return {
        "vicinal": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "device": str(device),
        "accelerator": torch.cuda.get_device_name(device) if device.type == "cuda" else None,
        "processor": processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "processes": processes().world,
        "system": platform.platform(),
        "command": sys.argv,
        "data_dir": None if data_dir is None else str(Path(data_dir).absolute()),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def processor() -> str:
    """Name the processor as well as this system tells it.

    Returns:
        Its model name on Linux, elsewhere what Python knows.
    """
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or platform.machine()

"""The most memory that a piece of work takes beyond what was there before it."""

from __future__ import annotations

import sys
from pathlib import Path

import torch

__all__ = ["PeakMemory"]

_STATUS, _RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


class PeakMemory:
    """A mark that is set before the work and read after it.

    Args:
        device: Where the work computes: of a GPU its allocator is asked, else the process.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._before = self._mark()

    def _mark(self) -> int | None:
        if self._device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self._device)
            return torch.cuda.memory_allocated(self._device)
        try:
            _RESET.write_text("5", encoding="ascii")
        except OSError:
            return _most()
        return _line("VmRSS")

    def taken(self) -> int | None:
        """Read how much was taken at most.

        Returns:
            Bytes; None where the system does not tell.
        """
        if self._before is None:
            return None
        if self._device.type == "cuda":
            return torch.cuda.max_memory_allocated(self._device) - self._before
        most = _line("VmHWM") if _STATUS.exists() else _most()
        return None if most is None else max(0, most - self._before)


def _line(name: str) -> int | None:
    for line in _STATUS.read_text(encoding="ascii").splitlines():
        if line.startswith(f"{name}:"):
            return 1024 * int(line.split()[1])
    return None


def _most() -> int | None:
    """Give the process's peak since it began, which elsewhere than on Linux cannot be reset."""
    if sys.platform == "win32":
        return None
    import resource

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else 1024 * most

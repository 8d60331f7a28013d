"""The one error of the library, apart from its checks: rooms that never load torch raise it too."""

from __future__ import annotations

__all__ = ["InputError", "NotFinite"]


class InputError(ValueError):
    """The caller's mistake, in one sentence; the command line prints it and exits with 2."""


class NotFinite(InputError):
    """A model returned NaN or infinity; the training loop says where and what to do."""

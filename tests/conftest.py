"""Every test starts from the same seed, on one thread, and is named by what it is about."""

from __future__ import annotations

import dataclasses
import gc
import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, settings

torch.set_num_threads(1)
# A busy machine is no failure, and a run of the suite is the same as the last.
settings.register_profile(
    "vicinal", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("vicinal")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Collect without garbage collection, then set what was collected apart.

    Thousands of items live to the end: `gc.collect`, which evaluation calls when memory is short,
    would walk through all of them again every time.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.freeze()


@pytest.fixture(autouse=True)
def _seeded() -> None:
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)


def pytest_make_parametrize_id(config: pytest.Config, val: Any, argname: str) -> str | None:
    """Name a parameter by its own name, its dataclass fields, or its dtype."""
    del config, argname
    if isinstance(val, torch.dtype):
        return str(val).removeprefix("torch.")
    name = getattr(val, "name", None) or getattr(val, "__name__", None)
    if isinstance(name, str):
        return name
    if dataclasses.is_dataclass(val):
        return repr(val).replace(" ", "")[:80]
    return None

"""A campaign that takes a second: one epoch on 100 digits, attacks on 20 of them."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture(scope="session")
def tiny() -> dict[str, Any]:
    """Overrides for scale smoke."""
    return {"epochs": 1, "train_subset": 100, "evaluation.attack_subset": 20}

"""Circumstances of a number."""

from __future__ import annotations

import os
from datetime import datetime

import torch

from vicinal.campaigns.provenance import circumstances


def test_a_number_knows_when_where_and_with_what_it_was_made() -> None:
    found = circumstances("cpu")
    assert f"{os.cpu_count()} cores" in found["hardware"]
    assert found["threads"] == torch.get_num_threads()
    assert found["versions"]["torch"] == torch.__version__
    assert datetime.fromisoformat(found["date"]).tzinfo is not None

"""Where to compute."""

from __future__ import annotations

import pytest
import torch

from vicinal._checks import InputError
from vicinal.recipes.device import pick_device


def test_a_named_device_is_taken_and_a_missing_one_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert pick_device("cpu") == torch.device("cpu")
    with pytest.raises(InputError, match="torch finds none here"):
        pick_device("cuda")
    with pytest.raises(InputError, match="Did you mean cuda"):
        pick_device("cud")


@pytest.mark.parametrize(
    ("cuda", "mps", "best"), [(True, True, "cuda"), (False, True, "mps"), (False, False, "cpu")]
)
def test_auto_is_the_best_there_is(
    monkeypatch: pytest.MonkeyPatch, cuda: bool, mps: bool, best: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert pick_device("auto").type == best

"""A result is printed as one line; its tensors are there to be asked for."""

from __future__ import annotations

import torch

from vicinal._typing import Passes
from vicinal.attacks import PGD, Result


def test_a_result_is_printed_in_one_line() -> None:
    result = Result(
        adv=torch.rand(3, 3, 32, 32),
        success=torch.tensor([True, False, True]),
        norms=torch.tensor([0.5, 0.03137, 0.01], dtype=torch.bfloat16),
        passes=Passes(11, 10),
        seconds=0.01234,
    )
    shown = "Result(images=3, broken=2, median_norm=0.03137, passes=11+10, seconds=0.0123)"
    assert repr(result) == str(result) == shown.replace("0.03137", f"{result.norms[1].item():.4g}")


def test_an_attack_returns_one_that_names_no_tensor() -> None:
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 3))
    found = PGD(eps=0.1, step_size=0.05, steps=2, target="random")(
        model, torch.rand(4, 1, 4, 4), torch.arange(4) % 3
    )
    assert "tensor" not in repr(found)
    assert repr(found).startswith(f"Result(images=4, broken={int(found.success.sum())}, ")

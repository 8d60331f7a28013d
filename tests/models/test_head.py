"""The head: the mean over rows and columns, dropout of whole features, one linear layer."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from vicinal._checks import InputError
from vicinal.models.head import Head


@pytest.mark.parametrize("size", [(1, 1), (4, 4), (7, 5)])
def test_logits_are_linear_in_the_pooled_features(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    head = Head(features=6, num_classes=3).double().train()
    maps = torch.rand(4, 6, *size, dtype=torch.float64)
    expected = torch.einsum("nfhw,kf->nk", maps, head.linear.weight) / (size[0] * size[1])
    torch.testing.assert_close(head(maps), expected + head.linear.bias)


def test_dropout_scales_or_drops_whole_pooled_features() -> None:
    torch.manual_seed(0)
    features = 400
    head = Head(features=features, num_classes=features, dropout=0.25).train()
    with torch.no_grad():
        head.linear.weight.copy_(torch.eye(features))
        head.linear.bias.zero_()
        out = head(torch.ones(50, features, 3, 3))
    kept = out != 0
    torch.testing.assert_close(out[kept], torch.full_like(out[kept], 1 / 0.75))
    # 20,000 draws: four standard deviations of the rate are 0.0123 (false alarm 6e-5).
    assert abs(kept.float().mean().item() - 0.75) < 0.0123


def test_dropout_sleeps_in_eval_mode() -> None:
    torch.manual_seed(0)
    head = Head(features=6, num_classes=3, dropout=0.5).eval()
    maps = torch.rand(4, 6, 2, 2)
    assert torch.equal(head(maps), head.linear(maps.mean(dim=(2, 3))))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"features": 0}, r"`features` must be an integer >= 1; got 0\."),
        ({"num_classes": 1}, r"`num_classes` must be an integer >= 2; got 1\."),
        ({"dropout": 1.0}, r"`dropout` must satisfy 0 <= dropout < 1; got 1\."),
        ({"dropout": -0.1}, r"`dropout` must satisfy 0 <= dropout < 1; got -0\.1\."),
    ],
)
def test_bad_arguments_are_refused(arguments: dict[str, Any], sentence: str) -> None:
    good = {"features": 4, "num_classes": 3, "dropout": 0.0}
    with pytest.raises(InputError, match=sentence):
        Head(**{**good, **arguments})

"""Verdicts as text, and numbers for images."""

from __future__ import annotations

from itertools import starmap

import pytest
import torch

from vicinal._checks import InputError
from vicinal.evaluation.packing import fingerprint, pack, prints, unpack


@pytest.mark.parametrize("n", [1, 7, 8, 9, 1000])
def test_verdicts_come_back(n: int) -> None:
    correct = torch.rand(n) > 0.4
    text = pack(correct)
    assert len(text) <= 4 * (n // 24 + 1)
    assert torch.equal(unpack(text, n=n), correct)


@pytest.mark.parametrize(("text", "n"), [("oA==", 9), ("oA==", 0), ("%%", 3), ("", 1)])
def test_what_are_no_verdicts_is_refused(text: str, n: int) -> None:
    with pytest.raises(InputError, match="`right` of a record must hold"):
        unpack(text, n=n)


def test_the_same_images_in_other_batches_have_one_fingerprint() -> None:
    x, y = torch.rand(9, 3, 4, 4), torch.arange(9)
    whole = fingerprint(prints(x, y))
    parts = list(starmap(prints, zip(x.split(4), y.split(4), strict=True)))  # type: ignore[no-untyped-call]
    assert fingerprint(torch.cat(parts)) == whole
    assert fingerprint(prints(x.double(), y)) == whole


def test_another_pixel_label_shape_or_order_has_another() -> None:
    x, y = torch.rand(4, 1, 4, 4), torch.arange(4)
    other = x.clone()
    other[3, 0, 0, 0] = (other[3, 0, 0, 0] + 0.5) % 1
    found = [
        fingerprint(prints(x, y)),
        fingerprint(prints(other, y)),
        fingerprint(prints(x, y + 1)),
        fingerprint(prints(x.view(4, 1, 2, 8), y)),
        fingerprint(prints(x.flip(0), y.flip(0))),
        fingerprint(prints(x[:3], y[:3])),
    ]
    assert len(set(found)) == len(found)

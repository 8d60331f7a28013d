"""The first images of whatever comes, in the batches it comes in."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from vicinal._checks import InputError
from vicinal.evaluation.batches import first, on_device


@pytest.mark.parametrize(
    ("n", "sizes"), [(1, [1]), (4, [4]), (6, [4, 2]), (8, [4, 4]), (99, [4, 4, 4])]
)
def test_the_first_images_are_taken(n: int, sizes: list[int]) -> None:
    x, y = torch.rand(12, 1, 2, 2), torch.arange(12)
    taken = first([(x[:4], y[:4]), (x[4:8], y[4:8]), (x[8:], y[8:])], n)
    assert [len(labels) for _, labels in taken] == sizes
    assert torch.equal(torch.cat([labels for _, labels in taken]), y[:n])
    assert torch.equal(torch.cat([images for images, _ in taken]), x[:n])
    assert torch.equal(first((x, y), n)[0][1], y[:n])


def test_no_more_batches_are_drawn_than_are_needed() -> None:
    drawn: list[int] = []

    def batches() -> Iterator[tuple[Tensor, Tensor]]:
        for each in range(9):
            drawn.append(each)
            yield torch.rand(4, 1, 2, 2), torch.arange(4)

    first(batches(), 6)
    assert drawn == [0, 1]


def test_nothing_is_refused() -> None:
    with pytest.raises(InputError, match="at least one image"):
        first([], 3)
    with pytest.raises(InputError, match="at least one batch"):
        list(on_device([], nn.Flatten()))
    with pytest.raises(InputError, match="`n` must be an integer >= 1"):
        first([], 0)

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from vicinal._checks import InputError
from vicinal._typing import Batch
from vicinal.engine.batches import batches_of, counted, counted_here
from vicinal.maths.share import Share


def batches(*rows: int) -> list[Batch]:
    return [(torch.zeros(n, 1, 1, 1), torch.zeros(n).long()) for n in rows]


def test_a_share_hears_the_rows_of_all_before_each_batch() -> None:
    rng, heard = Share(rank=1, world=2), []
    for x, _ in counted(batches(3, 3, 4), [6, 6, 7], rng):
        heard.append((len(x), rng.counts))
    assert heard == [(3, (3, 3)), (3, (3, 3)), (4, (3, 4))]


def test_a_last_batch_without_own_rows_may_be_missing() -> None:
    assert len(list(counted(batches(3), [6, 1], Share(rank=0, world=2)))) == 1


def test_a_share_hears_where_all_have_the_whole_batch_and_the_first_counts_it() -> None:
    for rank, world in ((0, 2), (1, 2), (0, 1)):
        rng, heard = Share(rank=rank, world=world), []
        for x, _ in counted(batches(6 // world, 3), [6, 3], rng, whole_small=True):
            heard.append((rng.whole, rng.counts, counted_here(len(x), rng)))
        several = world > 1
        assert heard == [
            (False, (6 // world,) * world, 6 // world),
            (several, [3] * world if several else (3,), 0 if rank else 3),
        ]


def test_an_evaluation_cuts_such_a_batch() -> None:
    rng = Share(rank=0, world=2)
    rng.whole = True
    assert [rng.whole for _ in counted(batches(1), [3], rng)] == [False]


@pytest.mark.parametrize(("rows", "sizes"), [([6], [6]), ([3, 3], [6]), ([3, 3], [6, 7])])
def test_batches_that_are_not_the_own_rows_are_refused(rows: list[int], sizes: list[int]) -> None:
    with pytest.raises(InputError, match=r"^`loader` must yield the rows of process 1 of 2[^\n]*$"):
        list(counted(batches(*rows), sizes, Share(rank=1, world=2)))


def test_nothing_is_told_to_a_plain_generator() -> None:
    found = batches(5, 2)
    assert list(counted(found, [], torch.Generator())) == found


def test_alone_a_loader_needs_nothing_more_than_an_epoch() -> None:
    class Plain:
        def __len__(self) -> int:
            return 1

        def epoch(self, rng: torch.Generator) -> Iterator[Batch]:
            yield torch.rand(2, 1, 1, 1, generator=rng), torch.arange(2)

    seeds = [torch.Generator().manual_seed(3) for _ in range(2)]
    ((x, _),) = batches_of(Plain(), seeds[0], rng=torch.Generator())
    assert torch.equal(x, torch.rand(2, 1, 1, 1, generator=seeds[1]))
    with pytest.raises(InputError, match="Plain has none"):
        batches_of(Plain(), seeds[0], rng=Share(rank=0, world=2))

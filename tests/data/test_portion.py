from __future__ import annotations

import re

import pytest
import torch

from vicinal._checks import InputError
from vicinal.data.image_set import Split
from vicinal.data.loader import Loader
from vicinal.data.portion import batch_sizes, check_portion, portions


@pytest.mark.parametrize("n", range(1, 14))
@pytest.mark.parametrize("world", [1, 2, 3])
def test_portions_of_all_processes_are_the_batches(n: int, world: int) -> None:
    batch_size = 6
    own = [portions(n, batch_size=batch_size, rank=rank, world=world) for rank in range(world)]
    rows = list(range(n))
    batches = [[row for part in step for row in rows[part]] for step in zip(*own, strict=True)]
    assert batches == [rows[start : start + batch_size] for start in range(0, n, batch_size)]
    assert [len(batch) for batch in batches] == batch_sizes(n, batch_size=batch_size)
    for step in zip(*own, strict=True):
        sizes = [part.stop - part.start for part in step]
        assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize(
    ("n", "world", "last"),
    [(13, 3, (12, 13)), (15, 2, (12, 15)), (16, 2, None), (17, 3, (12, 17)), (14, 1, (12, 14))],
)
def test_a_batch_too_small_to_be_cut_goes_whole_to_all_where_asked(
    n: int, world: int, last: tuple[int, int] | None
) -> None:
    for rank in range(world):
        cut = portions(n, batch_size=6, rank=rank, world=world)
        whole = portions(n, batch_size=6, rank=rank, world=world, whole_small=True)
        assert whole[:2] == cut[:2]
        assert whole[2] == (cut[2] if last is None else slice(*last))


@pytest.mark.parametrize(
    ("batch_size", "rank", "world", "told"),
    [
        (5, 0, 3, "`batch_size` must be at least 2 for each of the 3 processes"),
        (6, 3, 3, "`rank` must be below `world`; got 3 of 3"),
        (6, -1, 3, "`rank` must be an integer >= 0"),
        (6, 0, 0, "`world` must be an integer >= 1"),
    ],
)
def test_what_leaves_a_process_without_partners_is_refused(
    batch_size: int, rank: int, world: int, told: str
) -> None:
    with pytest.raises(InputError, match=f"^{re.escape(told)}[^\n]*$"):
        check_portion(batch_size, rank=rank, world=world)
    part = Split(x=torch.zeros(9, 1, 8, 8, dtype=torch.uint8), y=torch.arange(9))
    with pytest.raises(InputError, match=re.escape(told)):
        Loader(part, batch_size=batch_size, rank=rank, world=world)


def test_one_process_may_have_batches_of_one() -> None:
    check_portion(1, rank=0, world=1)

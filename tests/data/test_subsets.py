from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vicinal._checks import InputError
from vicinal.data.folder_set import FileSplit
from vicinal.data.image_set import Split
from vicinal.data.subsets import balanced_subset, even_rows, first


def split(sizes: list[int]) -> Split:
    """Classes of the given sizes, mixed; the images hold their own position."""
    labels = torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes))
    y = labels[torch.randperm(len(labels), generator=torch.Generator().manual_seed(1))]
    place = torch.arange(len(y))
    x = torch.stack([place // 256, place % 256], dim=1).to(torch.uint8).view(-1, 2, 1, 1)
    return Split(x=x, y=y)


def places(part: Split) -> list[int]:
    high, low = part.x[:, 0, 0, 0].long(), part.x[:, 1, 0, 0].long()
    return [int(place) for place in high * 256 + low]


EVEN = split([40] * 10)


@pytest.mark.parametrize("n", [1, 7, 10, 25, 100, 399, 400])
def test_classes_differ_by_one_image_at_most(n: int) -> None:
    counts = balanced_subset(EVEN, n).y.bincount(minlength=10)
    assert int(counts.sum()) == n
    assert int(counts.max() - counts.min()) <= 1


def test_images_keep_their_labels_and_order_and_come_once() -> None:
    found = balanced_subset(EVEN, 123)
    assert places(found) == sorted(set(places(found)))
    assert torch.equal(found.y, EVEN.y[places(found)])


def test_the_seed_decides_and_nothing_else() -> None:
    before = torch.get_rng_state()
    one = balanced_subset(EVEN, 100, seed=3)
    torch.rand(5)
    again, other = balanced_subset(EVEN, 100, seed=3), balanced_subset(EVEN, 100, seed=4)
    assert places(one) == places(again)
    assert places(one) != places(other)
    torch.set_rng_state(before)
    balanced_subset(EVEN, 100)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_larger_subset_contains_every_smaller_one() -> None:
    uneven = split([12, 9, 10])
    chain = [set(places(balanced_subset(uneven, n))) for n in range(1, 30)]
    assert all(small < large for small, large in pairwise(chain))


def test_images_left_over_go_to_classes_that_depend_on_the_seed() -> None:
    chosen = {int(balanced_subset(EVEN, 1, seed=seed).y) for seed in range(100)}
    # A class is missed by 100 uniform draws with probability 10 * 0.9^100 < 3e-4; seeds are fixed.
    assert chosen == set(range(10))


def test_images_left_over_go_where_there_is_room() -> None:
    uneven = split([5, 3, 3, 5])
    assert all(
        balanced_subset(uneven, 14, seed=seed).y.bincount().tolist() == [4, 3, 3, 4]
        for seed in range(20)
    )


def test_a_class_that_runs_short_is_named_with_the_most_that_can_be_had() -> None:
    with pytest.raises(
        InputError, match=r"at most 14 here, since class [12] has only 3 of.*got 15"
    ):
        balanced_subset(split([5, 3, 3, 5]), 15)


def test_classes_that_do_not_occur_have_no_share() -> None:
    gap = split([4, 0, 4])
    assert balanced_subset(gap, 6).y.bincount().tolist() == [3, 0, 3]


def test_the_first_n_are_the_first_n() -> None:
    assert places(first(EVEN, 5)) == [0, 1, 2, 3, 4]
    assert torch.equal(first(EVEN, 5).y, EVEN.y[:5])


def test_a_subset_of_files_has_the_same_members_as_one_in_memory() -> None:
    names = tuple(f"{k}.png" for k in range(len(EVEN)))
    files = FileSplit(folder=Path("here"), names=names, y=EVEN.y, size=8, view="resized")
    some = balanced_subset(files, 50, seed=2)
    assert some.names == tuple(f"{k}.png" for k in places(balanced_subset(EVEN, 50, seed=2)))
    assert torch.equal(some.y, balanced_subset(EVEN, 50, seed=2).y)
    assert first(files, 3).names == ("0.png", "1.png", "2.png")


@pytest.mark.parametrize("take", [first, balanced_subset])
def test_more_than_there_are_and_less_than_one_are_refused(
    take: Callable[[Split, int], Split],
) -> None:
    with pytest.raises(InputError, match="at most the split's 400 images; got 401"):
        take(EVEN, 401)
    with pytest.raises(InputError, match="integer >= 1"):
        take(EVEN, 0)


@settings(max_examples=50, deadline=None)
@given(sizes=st.lists(st.integers(0, 12), min_size=1, max_size=6), share=st.floats(0.01, 1))
def test_an_even_choice_takes_no_second_where_another_class_still_has_a_first(
    sizes: list[int], share: float
) -> None:
    y = split([*sizes, 1]).y
    n = max(1, int(share * len(y)))
    rows = even_rows(y, n, rng=torch.Generator().manual_seed(0))
    assert len(set(rows.tolist())) == n
    assert rows.tolist() == sorted(rows.tolist())
    there, taken = y.bincount(), y[rows].bincount(minlength=len(sizes) + 1)
    # A class that could give one more has at most one less than any other.
    with_room = taken[taken < there]
    assert len(with_room) == 0 or int(with_room.min()) >= int(taken.max()) - 1


def test_what_is_left_over_goes_to_every_class_in_its_turn() -> None:
    y = split([3, 3, 3]).y
    lucky = {int(y[even_rows(y, 1, rng=torch.Generator().manual_seed(seed))]) for seed in range(50)}
    # Missing one of three by chance: at most 3 (2/3)^50 < 1e-8.
    assert lucky == {0, 1, 2}


def test_an_even_choice_is_a_function_of_its_generator() -> None:
    draws = [even_rows(EVEN.y, 50, rng=torch.Generator().manual_seed(seed)) for seed in (0, 0, 1)]
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])
    with pytest.raises(InputError, match="at most the 400 images there are; got 401"):
        even_rows(EVEN.y, 401, rng=torch.Generator())

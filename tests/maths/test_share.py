"""Shares of a generator: whatever the number of processes, they draw what one of them would."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor

import laws
from vicinal._checks import InputError
from vicinal.maths.cutmix import Cut, draw_cut
from vicinal.maths.mixing import Mix, draw_mix, fixed_mix
from vicinal.maths.randomness import beta, integers, normal, permutation, uniform
from vicinal.maths.share import Scope, Share, own_rows, row_counts

LIKE = torch.zeros(1)
ROWS = 11

Draw = Callable[[int, torch.Generator | None, bool], Tensor]
DRAWS: dict[str, Draw] = {
    "uniform": lambda n, rng, common: uniform((n, 3), LIKE, rng, common=common),
    "uniform-flat": lambda n, rng, common: uniform((n,), LIKE, rng, common=common),
    "normal": lambda n, rng, common: normal((n, 2, 2), LIKE, rng, common=common),
    "integers": lambda n, rng, common: integers(n, high=99, like=LIKE, rng=rng, common=common),
    "beta": lambda n, rng, common: beta(n, a=2.0, b=3.0, like=LIKE, rng=rng, common=common),
}

every_draw = pytest.mark.parametrize("name", DRAWS)
every_world = pytest.mark.parametrize("world", [1, 2, 3])


def together(_: Tensor, __: Sequence[int]) -> Tensor:
    raise AssertionError("nothing is gathered by a draw")


def shares(world: int, *, scope: Scope = "global", rows: int = ROWS) -> list[Share]:
    found = []
    for rank in range(world):
        rng = Share(rank=rank, world=world, scope=scope, gather=together)
        rng.manual_seed(7)
        rng.counts = row_counts(rows, world)
        found.append(rng)
    return found


def plain() -> torch.Generator:
    return torch.Generator().manual_seed(7)


@pytest.mark.parametrize("rows", range(13))
@pytest.mark.parametrize("world", range(1, 6))
def test_own_rows_cut_a_batch_into_even_parts_in_order(rows: int, world: int) -> None:
    spans = [own_rows(rows, rank=rank, world=world) for rank in range(world)]
    assert [row for span in spans for row in range(rows)[span]] == list(range(rows))
    counts = row_counts(rows, world)
    assert list(counts) == [span.stop - span.start for span in spans]
    assert max(counts) - min(counts) <= 1


@every_draw
@every_world
def test_the_shares_draws_end_to_end_are_the_plain_generators(name: str, world: int) -> None:
    draw, whole = DRAWS[name], plain()
    all_shares = shares(world)
    for _ in range(3):  # one draw after the other: no share falls behind
        counts = row_counts(ROWS, world)
        found = [draw(n, rng, False) for n, rng in zip(counts, all_shares, strict=True)]
        laws.assert_same_bits(torch.cat(found), draw(ROWS, whole, False))


@every_world
def test_permutations_of_global_scope_end_to_end_are_the_plain_generators(world: int) -> None:
    whole, all_shares = plain(), shares(world)
    for _ in range(3):
        counts = row_counts(ROWS, world)
        found = [permutation(n, LIKE, rng) for n, rng in zip(counts, all_shares, strict=True)]
        laws.assert_same_bits(torch.cat(found), permutation(ROWS, LIKE, whole))


@every_world
def test_permutations_of_local_scope_are_of_the_own_rows_and_drawn_in_order(world: int) -> None:
    whole, all_shares = plain(), shares(world, scope="local")
    for _ in range(3):
        for n, rng in zip(row_counts(ROWS, world), all_shares, strict=True):
            found = permutation(n, LIKE, rng)
            laws.assert_same_bits(found, permutation(n, LIKE, whole))
            assert sorted(found.tolist()) == list(range(n))
    for rng in all_shares:  # all of them stand where the plain one stands
        laws.assert_same_bits(
            uniform((1,), LIKE, rng, common=True), uniform((1,), LIKE, plain_at(whole))
        )


def plain_at(rng: torch.Generator) -> torch.Generator:
    return torch.Generator().set_state(rng.get_state())


@every_draw
@every_world
def test_a_common_draw_is_the_plain_generators_in_every_process(name: str, world: int) -> None:
    expected = DRAWS[name](1, plain(), False)
    for rng in shares(world):
        laws.assert_same_bits(DRAWS[name](1, rng, True), expected)


@every_draw
def test_without_counts_every_process_has_as_many_rows(name: str) -> None:
    all_shares = [Share(rank=rank, world=3) for rank in range(3)]
    found = [DRAWS[name](4, rng.manual_seed(7), False) for rng in all_shares]
    laws.assert_same_bits(torch.cat(found), DRAWS[name](12, plain(), False))


@pytest.mark.parametrize("name", [*DRAWS, "permutation"])
def test_a_draw_for_other_rows_leaves_the_common_generator_where_it_was(name: str) -> None:
    draws: dict[str, Draw] = {**DRAWS, "permutation": lambda n, rng, _: permutation(n, LIKE, rng)}
    for scope in ("local", "global"):
        found = []
        for rng in shares(2, scope=scope):
            before = rng.get_state()
            found += [draws[name](4, rng, False) for _ in range(2)]
            assert torch.equal(rng.get_state(), before)
        # No two alike, neither of one process nor of two; a permutation of four may be by chance.
        if name != "permutation":
            assert not any(itertools.starmap(torch.equal, itertools.combinations(found, 2)))


def test_a_share_replays_its_own_draws_too() -> None:
    one, again = (shares(2)[1] for _ in range(2))
    laws.assert_same_bits(uniform((2,), LIKE, one), uniform((2,), LIKE, again))


def test_a_share_leaves_the_global_generator_alone() -> None:
    rng = shares(2)[0]
    with laws.assert_global_rng_untouched():
        for name in DRAWS:
            DRAWS[name](5, rng, False)
            DRAWS[name](3, rng, False)


def joined(x: Tensor, world: int) -> list[Share]:
    """Shares whose gather knows the whole batch, as if the others had sent their rows."""
    found = []
    for rank, rng in enumerate(shares(world)):

        def gather(own: Tensor, counts: Sequence[int], rank: int = rank) -> Tensor:
            assert torch.equal(own, torch.split(x, list(counts))[rank])
            return x

        rng._gather = gather
        found.append(rng)
    return found


MIXES: dict[str, Callable[[Tensor, torch.Generator], Mix]] = {
    "one weight": lambda x, rng: draw_mix(x, a=1.0, b=1.0, per_sample=False, rng=rng),
    "weights": lambda x, rng: draw_mix(x, a=1.0, b=1.0, per_sample=True, rng=rng),
    "fixed": lambda x, rng: fixed_mix(x, weight=0.75, rng=rng),
    "one box": lambda x, rng: draw_cut(x, alpha=1.0, per_sample=False, rng=rng),
    "boxes": lambda x, rng: draw_cut(x, alpha=1.0, per_sample=True, rng=rng),
}


@pytest.mark.parametrize("name", MIXES)
@every_world
def test_a_mixture_of_global_scope_is_cut_out_of_the_whole_batchs(name: str, world: int) -> None:
    x = torch.rand(ROWS, 1, 5, 4, generator=plain())
    source, all_shares = plain(), joined(x, world)
    for _ in range(5):  # a single box may happen to be empty
        whole = MIXES[name](x, source)
        for rng in all_shares:
            rows = own_rows(ROWS, rank=rng.rank, world=world)
            mix = MIXES[name](x[rows], rng)
            laws.assert_same_bits(mix(x[rows]), whole(x)[rows])
            laws.assert_same_bits(mix.weight, whole.weight[rows])
            if isinstance(whole, Cut) and isinstance(mix, Cut):
                laws.assert_same_bits(mix.paste(x[rows]), whole.paste(x)[rows])


@pytest.mark.parametrize("name", MIXES)
def test_a_mixture_of_local_scope_stays_among_the_own_rows(name: str) -> None:
    x = torch.rand(ROWS, 1, 5, 4, generator=plain())
    for rng in shares(2, scope="local"):
        own = x[own_rows(ROWS, rank=rng.rank, world=2)]
        mix = MIXES[name](own, rng)
        assert mix.everyone is None
        assert sorted(mix.partner.tolist()) == list(range(len(own)))
        laws.assert_same_bits(mix.partners(own), own[mix.partner])


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"rank": 2, "world": 2}, "`rank` must be below `world`; got 2 of 2"),
        ({"rank": -1, "world": 2}, "`rank` must be an integer >= 0"),
        ({"rank": 0, "world": 0}, "`world` must be an integer >= 1"),
        ({"rank": 0, "world": 2, "scope": "globl"}, "Did you mean global"),
        ({"rank": 0, "world": 2, "scope": "global"}, "shared_generator"),
    ],
)
def test_arguments_are_checked_in_one_sentence(arguments: dict[str, object], told: str) -> None:
    with pytest.raises(InputError, match=r"^[^\n]+$") as caught:
        Share(**arguments)  # type: ignore[arg-type]
    assert told in str(caught.value)


@every_draw
@pytest.mark.parametrize("scope", ["local", "global"])
def test_where_all_have_the_whole_batch_no_draw_is_cut(name: str, scope: Scope) -> None:
    draw = DRAWS[name]
    for rng in shares(2, scope=scope, rows=3):
        rng.whole, rng.counts, plainly = True, (3, 3), plain()
        for common in (False, True, False):
            laws.assert_same_bits(draw(3, rng, common), draw(3, plainly, common))
        laws.assert_same_bits(permutation(3, LIKE, rng), permutation(3, LIKE, plainly))
        laws.assert_same_bits(draw(3, rng, False), draw(3, plainly, False))
        assert rng.everyone(3) is None

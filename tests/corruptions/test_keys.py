"""Keys and streams: one image, one key, one stream."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

import laws
from vicinal._checks import InputError
from vicinal.corruptions import draw_keys, fixed_keys
from vicinal.corruptions.keys import Streams


def test_keys_come_one_by_one() -> None:
    together = draw_keys(5, torch.Generator().manual_seed(3))
    rng = torch.Generator().manual_seed(3)
    assert torch.equal(together, torch.cat([draw_keys(1, rng) for _ in range(5)]))
    torch.manual_seed(3)
    assert torch.equal(together, draw_keys(5))
    assert together.dtype == torch.int64
    assert len(set(together.tolist())) == 5


def test_fixed_keys_depend_on_all_that_names_a_sample_and_on_nothing_else() -> None:
    indices = torch.arange(2_000)
    keys = [
        fixed_keys(indices, seed=seed, name=name, severity=severity)
        for seed in (0, 1)
        for name in ("fog", "snow")
        for severity in (1, 2)
    ]
    low = torch.cat(keys) & 0xFFFFFFFF  # what the generator makes use of
    assert len(set(low.tolist())) == low.numel()
    assert bool((torch.cat(keys) >= 0).all())
    again = fixed_keys(indices[70:80], seed=0, name="fog", severity=1)
    assert torch.equal(again, keys[0][70:80])


def test_a_row_of_a_draw_is_the_draw_of_its_key() -> None:
    keys = torch.tensor([5, 99, 2**62])
    together = Streams(keys)
    alone = [Streams(key[None]) for key in keys]
    draws: tuple[Callable[[Streams], Tensor], ...] = (
        lambda streams: streams.normal(3, 17),
        lambda streams: streams.uniform(33, low=-2.0, high=3.0),
        lambda streams: streams.integers(9, low=-4, high=4),
        lambda streams: streams.uniform(),
    )
    for draw in draws:
        laws.assert_same_bits(draw(together), torch.cat([draw(one) for one in alone]))


def test_draws_have_their_range() -> None:
    streams = Streams(torch.arange(4))
    uniform = streams.uniform(5_000, low=-2.0, high=3.0)
    assert -2 <= float(uniform.min()) < -1.9
    assert 2.9 < float(uniform.max()) < 3
    whole = streams.integers(5_000, low=-4, high=4)
    assert set(whole.flatten().tolist()) == set(range(-4, 4))
    assert float(streams.normal(50_000).std()) == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize("keys", [torch.zeros(2), torch.zeros(2, 1).long()])
def test_keys_are_a_row_of_integers(keys: Tensor) -> None:
    with pytest.raises(InputError) as caught:
        Streams(keys)
    laws.assert_one_line(caught.value, "`keys`", "int64")

"""Streams of draws: each attack has its own, and all leave the generator in a known place."""

from __future__ import annotations

import pytest
import torch

from vicinal._checks import InputError
from vicinal.evaluation.streams import Streams
from vicinal.maths.share import Share


def _rng() -> torch.Generator:
    return torch.Generator().manual_seed(3)


def test_each_goes_on_where_it_stopped_whatever_others_draw() -> None:
    alone = torch.rand(6, generator=_rng())
    rng = _rng()
    streams, found = Streams(rng), []
    for _ in range(3):
        with streams.of("a"):
            found.append(torch.rand(2, generator=rng))
        with streams.of("b"):
            torch.rand(5, generator=rng)
    assert torch.equal(torch.cat(found), alone)


def test_the_generator_is_left_where_the_last_that_drew_left_it() -> None:
    rng, alone = _rng(), _rng()
    streams = Streams(rng)
    with streams.of("draws"):
        torch.rand(4, generator=rng)
    with streams.of("does not"):
        pass
    streams.close()
    torch.rand(4, generator=alone)
    assert torch.equal(rng.get_state(), alone.get_state())


def test_a_stream_survives_an_exception() -> None:
    rng, alone = _rng(), torch.rand(4, generator=_rng())
    streams = Streams(rng)
    try:
        with streams.of("a"):
            torch.rand(2, generator=rng)
            raise KeyError
    except KeyError:
        pass
    with streams.of("a"):
        assert torch.equal(torch.rand(2, generator=rng), alone[2:])


def test_without_a_generator_the_global_one_is_left_alone() -> None:
    before = torch.get_rng_state()
    streams = Streams(None)
    assert streams.states() == []
    with streams.of("a"):
        pass
    streams.close()
    assert torch.equal(torch.get_rng_state(), before)


def test_both_generators_of_a_share_are_put_back() -> None:
    share = Share(rank=0, world=2).manual_seed(0)
    assert isinstance(share, Share)
    streams, found = Streams(share), []
    for name in ("a", "b"):
        with streams.of(name):
            found.append((torch.rand(2, generator=share), torch.rand(2, generator=share.alone)))
    for one, other in zip(*found, strict=True):
        assert torch.equal(one, other)


def test_a_generator_where_there_was_none_is_one_sentence() -> None:
    for held, now in (((), _rng()), (Streams(_rng()).states(), None)):
        with pytest.raises(InputError, match="`rng` must be as it was when the ledger was begun"):
            Streams(now).put(held)

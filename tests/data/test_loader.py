from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import islice

import pytest
import torch
from torch import Tensor

from vicinal._checks import InputError
from vicinal._typing import Batch
from vicinal.data.augment import apply_crops, draw_crops
from vicinal.data.image_set import Split
from vicinal.data.loader import Loader

CPU = torch.device("cpu")


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def split(n: int) -> Split:
    """Every image has its own label, so that a batch tells which images it holds."""
    x = torch.randint(0, 256, (n, 3, 8, 6), dtype=torch.uint8, generator=generator(n))
    return Split(x=x, y=torch.arange(n))


def joined(batches: list[Batch]) -> tuple[Tensor, Tensor]:
    return torch.cat([x for x, _ in batches]), torch.cat([y for _, y in batches])


@pytest.mark.parametrize(
    ("n", "batch_size", "drop_last", "sizes"),
    [
        (10, 4, False, [4, 4, 2]),
        (10, 4, True, [4, 4]),
        (8, 4, False, [4, 4]),
        (8, 4, True, [4, 4]),
        (3, 5, False, [3]),
        (5, 5, True, [5]),
    ],
)
def test_an_epoch_has_as_many_batches_as_its_length_says(
    n: int, batch_size: int, drop_last: bool, sizes: list[int]
) -> None:
    loader = Loader(split(n), batch_size=batch_size, drop_last=drop_last, pad=1)
    assert [len(y) for _, y in loader.epoch(generator())] == sizes
    assert len(loader) == len(sizes)


def test_batches_are_floats_in_the_unit_of_a_division_by_255() -> None:
    part = split(7)
    x, y = joined(list(Loader(part, batch_size=3, pad=2, flip=True)))
    assert x.dtype == torch.float32
    assert y.dtype == torch.int64
    assert torch.equal(x, part.x.float() / 255)
    assert torch.equal(y, part.y)


@pytest.mark.parametrize("drop_last", [False, True])
def test_evaluation_sees_every_image_once_in_order(drop_last: bool) -> None:
    part = split(11)
    loader = Loader(part, batch_size=4, pad=3, flip=True, drop_last=drop_last)
    for walk in (loader.batches(), iter(loader), iter(loader)):
        x, y = joined(list(walk))
        assert torch.equal(y, part.y)
        assert torch.equal(x, part.x.float() / 255)


@pytest.mark.parametrize(("pad", "flip"), [(0, False), (2, False), (0, True), (3, True)])
@pytest.mark.parametrize("shuffle", [True, False])
def test_an_epoch_is_order_then_crops_replayed_from_the_same_seed(
    pad: int, flip: bool, shuffle: bool
) -> None:
    part, rng = split(23), generator(6)
    order = torch.randperm(23, generator=rng) if shuffle else torch.arange(23)
    crops = draw_crops(23, pad=pad, flip=flip, rng=rng, device=CPU)
    loader = Loader(part, batch_size=5, pad=pad, flip=flip, shuffle=shuffle)
    x, y = joined(list(loader.epoch(generator(6))))
    assert torch.equal(y, order)
    assert torch.equal(x, apply_crops(part.x[order], crops).float() / 255)


def test_an_epoch_visits_every_image_once_and_epochs_differ() -> None:
    loader, rng = Loader(split(40), batch_size=7), generator()
    one, two = (joined(list(loader.epoch(rng)))[1] for _ in range(2))
    assert sorted(one.tolist()) == sorted(two.tolist()) == list(range(40))
    assert not torch.equal(one, two)


def test_an_epoch_depends_on_the_generators_state_at_the_call_alone() -> None:
    loader = Loader(split(20), batch_size=4, pad=2, flip=True)
    before = torch.get_rng_state()
    quiet = joined(list(loader.epoch(generator(1))))
    rng, disturbed = generator(1), []
    for batch in loader.epoch(rng):
        torch.rand(3, generator=rng)
        disturbed.append(batch)
    for one, other in zip(quiet, joined(disturbed), strict=True):
        assert torch.equal(one, other)
    assert torch.equal(torch.get_rng_state(), before)


def test_epochs_drawn_at_once_do_not_mix() -> None:
    loader, rng = Loader(split(20), batch_size=4, pad=2), generator(1)
    first, second = loader.epoch(rng), loader.epoch(rng)
    mixed = list(zip(first, second, strict=True))
    again = generator(1)
    for position in (0, 1):
        apart = joined(list(loader.epoch(again)))
        for one, other in zip(apart, joined([pair[position] for pair in mixed]), strict=True):
            assert torch.equal(one, other)


def test_without_a_generator_the_global_one_decides() -> None:
    loader = Loader(split(20), batch_size=20)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        one = next(loader.epoch())[1]
        torch.manual_seed(3)
        assert torch.equal(one, next(loader.epoch())[1])
        assert not torch.equal(one, next(loader.epoch())[1])


@pytest.mark.parametrize("walk", [Loader.epoch, Loader.batches], ids=["epoch", "batches"])
def test_what_is_done_to_a_batch_does_not_reach_the_set(
    walk: Callable[[Loader], Iterable[Batch]],
) -> None:
    part = split(6)
    kept = part.x.clone()
    loader = Loader(part, batch_size=3, shuffle=False)
    for x, _ in walk(loader):
        x.zero_()
    assert torch.equal(part.x, kept)
    assert torch.equal(joined(list(loader))[0], kept.float() / 255)


def test_channels_last_changes_the_layout_and_no_value() -> None:
    part = split(9)
    plain = Loader(part, batch_size=4, pad=2, flip=True)
    other = Loader(part, batch_size=4, pad=2, flip=True, channels_last=True)
    pairs = [*zip(plain.epoch(generator()), other.epoch(generator()), strict=True)]
    for (x, _), (z, _) in [*pairs, *zip(plain, other, strict=True)]:
        assert x.is_contiguous()
        assert z.is_contiguous(memory_format=torch.channels_last)
        assert torch.equal(x, z)


def test_a_set_without_a_pad_is_not_copied() -> None:
    part = split(5)
    assert Loader(part, batch_size=2)._padded.data_ptr() == part.x.data_ptr()


def test_a_loader_shows_its_arguments() -> None:
    said = repr(Loader(split(5), batch_size=2, pad=4, flip=True))
    assert said.startswith("Loader(split=Split(5 images of 3x8x6 on cpu), batch_size=2, pad=4,")


def test_arguments_that_cannot_work_are_refused() -> None:
    with pytest.raises(InputError, match="at most the split's 5 images when the last"):
        Loader(split(5), batch_size=6, drop_last=True)
    with pytest.raises(InputError, match="`batch_size` must be an integer >= 1"):
        Loader(split(5), batch_size=0)
    with pytest.raises(InputError, match="`pad` must be smaller than the images' 6 pixels"):
        Loader(split(5), batch_size=2, pad=6)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an accelerator")
def test_an_epoch_on_an_accelerator_is_that_of_the_cpu_and_waits_for_nothing() -> None:
    part, cuda = split(64), torch.device("cuda")
    here = Loader(part, batch_size=16, pad=2, flip=True)
    there = Loader(part, batch_size=16, pad=2, flip=True, device=cuda)
    next(there.epoch(generator(2)))
    torch.cuda.set_sync_debug_mode("error")
    try:
        far = list(islice(there.epoch(generator(2)), 4))
    finally:
        torch.cuda.set_sync_debug_mode("default")
    for (x, y), (z, t) in zip(here.epoch(generator(2)), far, strict=True):
        assert z.device.type == t.device.type == "cuda"
        assert torch.equal(y, t.cpu())
        torch.testing.assert_close(x, z.cpu(), rtol=0, atol=1e-7)


@pytest.mark.parametrize("world", [2, 3])
@pytest.mark.parametrize("drop_last", [False, True])
def test_processes_cut_the_batches_of_one_among_them(world: int, drop_last: bool) -> None:
    part = split(23)
    whole = Loader(part, batch_size=6, pad=2, flip=True, drop_last=drop_last)
    shared = [
        Loader(part, batch_size=6, pad=2, flip=True, drop_last=drop_last, rank=rank, world=world)
        for rank in range(world)
    ]
    assert {tuple(loader.sizes) for loader in shared} == {tuple(whole.sizes)}
    epochs = [list(loader.epoch(generator(4))) for loader in (whole, *shared)]
    for walks in (epochs, [list(loader) for loader in (whole, *shared)]):
        for batch, *parts in zip(*walks, strict=True):
            if walks is epochs and len(batch[1]) < 2 * world:  # whole in every process
                assert all(torch.equal(p[0], batch[0]) for p in parts)
                assert all(torch.equal(p[1], batch[1]) for p in parts)
                continue
            x, y = joined(parts)
            assert torch.equal(x, batch[0])
            assert torch.equal(y, batch[1])
            assert max(len(p[1]) for p in parts) - min(len(p[1]) for p in parts) <= 1


def test_a_process_without_a_row_of_the_last_batch_evaluates_one_batch_less() -> None:
    loaders = [Loader(split(13), batch_size=6, rank=rank, world=2) for rank in (0, 1)]
    seen = [[y.tolist() for _, y in loader] for loader in loaders]
    assert seen == [[[0, 1, 2], [6, 7, 8]], [[3, 4, 5], [9, 10, 11], [12]]]

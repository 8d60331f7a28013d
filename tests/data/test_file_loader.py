from __future__ import annotations

import os
import time
from itertools import islice
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor

from trees import random_pixels, write_picture
from vicinal._checks import InputError
from vicinal._typing import Batch
from vicinal.data import file_loader
from vicinal.data.file_loader import FileLoader
from vicinal.data.folder_set import FileSplit
from vicinal.data.pictures import open_picture, pixels
from vicinal.data.views import View, evaluation_view, training_view

# Python 3.12 and later warn of a fork beside other threads, of which a test runner has some.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")

N = 11


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures of many sizes; each has its own label, so that a batch tells which it holds."""
    root = tmp_path_factory.mktemp("pictures")
    for k in range(N):
        write_picture(root / f"{k}.png", random_pixels(k, height=20 + 3 * k, width=50 - 2 * k))
    return root


def split(folder: Path, view: View = "cropped") -> FileSplit:
    names = tuple(f"{k}.png" for k in range(N))
    return FileSplit(folder=folder, names=names, y=torch.arange(N), size=16, view=view)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def joined(batches: list[Batch]) -> tuple[Tensor, Tensor]:
    return torch.cat([x for x, _ in batches]), torch.cat([y for _, y in batches])


def seen(folder: Path, label: int, *, view: View, flip: bool, key: int) -> Tensor:
    with Image.open(folder / f"{label}.png") as picture:
        image = picture.convert("RGB")
    return pixels(training_view(image, size=16, view=view, flip=flip, key=key)).float() / 255


@pytest.mark.parametrize(
    ("batch_size", "drop_last", "sizes"),
    [(4, False, [4, 4, 3]), (4, True, [4, 4]), (11, True, [11]), (20, False, [11])],
)
def test_an_epoch_has_as_many_batches_as_its_length_says(
    folder: Path, batch_size: int, drop_last: bool, sizes: list[int]
) -> None:
    loader = FileLoader(split(folder), batch_size=batch_size, drop_last=drop_last, workers=0)
    assert [len(y) for _, y in loader.epoch(generator())] == sizes
    assert len(loader) == len(sizes)
    assert [len(y) for _, y in loader.batches()] == [
        min(batch_size, N - start) for start in range(0, N, batch_size)
    ]


@pytest.mark.parametrize("view", ["resized", "cropped"])
@pytest.mark.parametrize("workers", [0, 2])
def test_evaluation_sees_every_image_once_in_order(folder: Path, view: View, workers: int) -> None:
    loader = FileLoader(split(folder, view), batch_size=4, flip=True, workers=workers)
    x, y = joined(list(loader))
    assert (x.dtype, y.dtype) == (torch.float32, torch.int64)
    assert y.tolist() == list(range(N))
    for k in range(N):
        with Image.open(folder / f"{k}.png") as picture:
            wanted = pixels(evaluation_view(picture.convert("RGB"), size=16, view=view))
        assert torch.equal(x[k], wanted.float() / 255)


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize(
    ("view", "flip"), [("resized", True), ("cropped", True), ("cropped", False)]
)
def test_an_epoch_is_order_then_keys_replayed_from_the_same_seed(
    folder: Path, shuffle: bool, view: View, flip: bool
) -> None:
    rng = generator(6)
    order = torch.randperm(N, generator=rng) if shuffle else torch.arange(N)
    keys = torch.randint(2**63 - 1, (N,), generator=rng).tolist()
    loader = FileLoader(split(folder, view), batch_size=5, flip=flip, shuffle=shuffle, workers=0)
    x, y = joined(list(loader.epoch(generator(6))))
    assert torch.equal(y, order)
    for label, key, image in zip(order.tolist(), keys, x, strict=True):
        assert torch.equal(image, seen(folder, label, view=view, flip=flip, key=key))


def test_an_epoch_is_the_same_whatever_the_number_of_workers(folder: Path) -> None:
    epochs = [
        joined(
            list(FileLoader(split(folder), batch_size=3, flip=True, workers=w).epoch(generator()))
        )
        for w in (0, 1, 2)
    ]
    for x, y in epochs[1:]:
        assert torch.equal(x, epochs[0][0])
        assert torch.equal(y, epochs[0][1])


def test_an_image_looks_the_same_in_batches_of_any_size(folder: Path) -> None:
    one, other = (
        joined(list(FileLoader(split(folder), batch_size=size, workers=0).epoch(generator())))
        for size in (2, 11)
    )
    assert torch.equal(one[0], other[0])


def test_epochs_differ_and_each_visits_every_image_once(folder: Path) -> None:
    loader, rng = FileLoader(split(folder), batch_size=4, workers=0), generator()
    (x, y), (z, t) = (joined(list(loader.epoch(rng))) for _ in range(2))
    assert sorted(y.tolist()) == sorted(t.tolist()) == list(range(N))
    assert not torch.equal(y, t)
    assert not torch.equal(x[y.argsort()], z[t.argsort()])


@pytest.mark.parametrize("workers", [0, 1])
def test_an_epoch_depends_on_the_generators_state_at_the_call_alone(
    folder: Path, workers: int
) -> None:
    loader = FileLoader(split(folder), batch_size=4, workers=workers)
    before = torch.get_rng_state()
    quiet = joined(list(loader.epoch(generator(1))))
    rng, disturbed = generator(1), []
    for batch in loader.epoch(rng):
        torch.rand(3, generator=rng)
        disturbed.append(batch)
    for one, other in zip(quiet, joined(disturbed), strict=True):
        assert torch.equal(one, other)
    assert torch.equal(torch.get_rng_state(), before)


def test_where_nothing_is_random_nothing_is_drawn(folder: Path) -> None:
    rng = generator()
    before = rng.get_state()
    loader = FileLoader(split(folder, "resized"), batch_size=4, shuffle=False, workers=0)
    x, _ = joined(list(loader.epoch(rng)))
    assert torch.equal(rng.get_state(), before)
    assert torch.equal(x, joined(list(loader))[0])


def test_without_a_generator_the_global_one_decides(folder: Path) -> None:
    loader = FileLoader(split(folder), batch_size=N, workers=0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        one = next(loader.epoch())[1]
        torch.manual_seed(3)
        assert torch.equal(one, next(loader.epoch())[1])
        assert not torch.equal(one, next(loader.epoch())[1])


def test_channels_last_changes_the_layout_and_no_value(folder: Path) -> None:
    plain = FileLoader(split(folder), batch_size=4, workers=0)
    other = FileLoader(split(folder), batch_size=4, workers=0, channels_last=True)
    for (x, _), (z, _) in zip(plain.epoch(generator()), other.epoch(generator()), strict=True):
        assert x.is_contiguous()
        assert z.is_contiguous(memory_format=torch.channels_last)
        assert torch.equal(x, z)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_corrupt_image_is_one_sentence_that_names_the_file(tmp_path: Path, workers: int) -> None:
    for k in range(N):
        write_picture(tmp_path / f"{k}.png", random_pixels(k))
    (tmp_path / "7.png").write_bytes((tmp_path / "7.png").read_bytes()[:100])
    loader = FileLoader(split(tmp_path), batch_size=2, workers=workers)
    for walk in (loader.batches(), loader.epoch(generator())):
        with pytest.raises(InputError, match=r"^\S*7\.png is cut short, damaged .*\.$") as caught:
            list(walk)
        assert "Traceback" not in str(caught.value)
    assert len(list(islice(loader.batches(), 3))) == 3


def test_an_epoch_left_early_ends_its_workers(folder: Path) -> None:
    before = set(_children())
    loader = FileLoader(split(folder), batch_size=1, workers=1)
    walk = loader.epoch(generator())
    next(walk)
    workers = set(_children()) - before
    assert workers or not Path("/proc").is_dir()
    del walk
    patience = time.monotonic() + 60  # a busy machine may take its time to end a process
    while workers & set(_children()) and time.monotonic() < patience:
        time.sleep(0.05)
    assert not workers & set(_children())


def _children() -> list[int]:
    """The running processes that this one has started, where the system tells."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text(encoding="utf-8").rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == os.getpid() and fields[0] != "Z":
            found.append(int(path.parent.name))
    return found


def test_arguments_that_cannot_work_are_refused(folder: Path) -> None:
    with pytest.raises(InputError, match="at most the split's 11 images when the last"):
        FileLoader(split(folder), batch_size=12, drop_last=True)
    with pytest.raises(InputError, match="`batch_size` must be an integer >= 1"):
        FileLoader(split(folder), batch_size=0)
    with pytest.raises(InputError, match="`workers` must be an integer >= 0"):
        FileLoader(split(folder), batch_size=2, workers=-1)


def test_a_loader_shows_its_arguments(folder: Path) -> None:
    said = repr(FileLoader(split(folder), batch_size=2, workers=3))
    assert said.startswith("FileLoader(split=FileSplit(11 images in ")
    assert "batch_size=2" in said


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an accelerator")
def test_batches_on_an_accelerator_are_those_of_the_cpu(folder: Path) -> None:
    here = FileLoader(split(folder), batch_size=4, flip=True, workers=2)
    there = FileLoader(
        split(folder), batch_size=4, flip=True, workers=2, device=torch.device("cuda")
    )
    for (x, y), (z, t) in zip(here.epoch(generator()), there.epoch(generator()), strict=True):
        assert z.device.type == t.device.type == "cuda"
        assert torch.equal(y, t.cpu())
        torch.testing.assert_close(x, z.cpu(), rtol=0, atol=1e-7)


@pytest.mark.parametrize("workers", [0, 2])
def test_processes_cut_the_batches_of_one_among_them(folder: Path, workers: int) -> None:
    whole = FileLoader(split(folder), batch_size=4, flip=True, workers=0)
    shared = [
        FileLoader(split(folder), batch_size=4, flip=True, workers=workers, rank=rank, world=2)
        for rank in (0, 1)
    ]
    epochs = [list(loader.epoch(generator(4))) for loader in (whole, *shared)]
    for walks in (epochs, [list(loader) for loader in (whole, *shared)]):
        for batch, *parts in zip(*walks, strict=True):
            if walks is epochs and len(batch[1]) < 4:  # whole in both processes
                assert all(torch.equal(p[0], batch[0]) for p in parts)
                assert all(torch.equal(p[1], batch[1]) for p in parts)
                continue
            x, y = joined(parts)
            assert torch.equal(x, batch[0])
            assert torch.equal(y, batch[1])


def test_a_process_opens_its_own_files_only(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []

    def spied(path: Path) -> Image.Image:
        opened.append(path.stem)
        return open_picture(path)

    monkeypatch.setattr(file_loader, "open_picture", spied)
    loader = FileLoader(split(folder), batch_size=4, workers=0, rank=1, world=2)
    seen = joined(list(loader.epoch(generator())))[1].tolist()
    assert [int(name) for name in opened] == seen
    assert len(seen) == 2 + 2 + 3  # the last batch has 3 rows, too few to be cut

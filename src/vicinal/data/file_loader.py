"""Batches of a set whose images lie in files, decoded by worker processes while the model works.

The order of an epoch and one key per image are drawn in the calling process; a worker makes a view
from a file and its key. So an epoch is a function of the generator's state, whatever the number of
workers. Bytes travel between the processes and to the device, and become floats there.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import KW_ONLY, dataclass
from itertools import starmap
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from vicinal._checks import InputError, count
from vicinal._typing import Batch
from vicinal.data.augment import draw_device
from vicinal.data.folder_set import FileSplit
from vicinal.data.pictures import check_size, open_picture, pixels
from vicinal.data.portion import batch_sizes, check_portion, portions
from vicinal.data.views import View, evaluation_view, training_view
from vicinal.maths.randomness import moved

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["FileLoader"]


@dataclass(frozen=True, eq=False)
class FileLoader:
    """A split in files as batches of images (N, 3, size, size), float32 in [0, 1], and classes.

    It does what `Loader` does: `epoch()` gives one pass of training, iterating the loader itself
    gives `batches()`, and `len()` is the number of steps of an epoch.

    Args:
        split: The files and classes.
        batch_size: Images per batch.
        flip: Whether an epoch mirrors each image with probability 1/2.
        shuffle: Whether an epoch visits the images in a random order.
        drop_last: Whether an epoch leaves out its last batch when that is incomplete.
        channels_last: Whether batches have the channels-last memory format.
        device: Where the batches lie; the CPU when not given.
        workers: Processes that decode, at most one for each processor that this one may use; with
            0 the calling process does.
        rank: Which of the processes that share every batch this one is; it decodes its own rows.
        world: How many they are. Order and keys are drawn for all images in each of them.

    Raises:
        InputError: If an argument is off, or no complete batch exists where one is needed.
    """

    split: FileSplit
    _: KW_ONLY
    batch_size: int
    flip: bool = False
    shuffle: bool = True
    drop_last: bool = False
    channels_last: bool = False
    device: torch.device | None = None
    workers: int = 2
    rank: int = 0
    world: int = 1

    def __post_init__(self) -> None:
        count("workers", self.workers, low=0)
        if count("batch_size", self.batch_size) > len(self.split) and self.drop_last:
            raise InputError(
                f"`batch_size` must be at most the split's {len(self.split)} images when the last "
                f"incomplete batch is dropped; got {self.batch_size}."
            )
        check_portion(self.batch_size, rank=self.rank, world=self.world)

    def __len__(self) -> int:
        """Return the number of steps of an epoch."""
        return len(self.sizes)

    @property
    def sizes(self) -> list[int]:
        """Rows of every batch of an epoch, over all processes."""
        return batch_sizes(len(self.split), batch_size=self.batch_size, drop_last=self.drop_last)

    @property
    def portions(self) -> list[slice]:
        """The own rows of every batch, an incomplete last one included."""
        return self._portions()

    def _portions(self, *, whole_small: bool = False) -> list[slice]:
        return portions(
            len(self.split),
            batch_size=self.batch_size,
            rank=self.rank,
            world=self.world,
            whole_small=whole_small,
        )

    def epoch(self, rng: torch.Generator | None = None) -> Iterator[Batch]:
        """Give one pass of training, a function of the generator's state alone.

        Order and keys of the whole epoch are drawn at the call.

        Args:
            rng: Generator; torch's global one when not given.

        Returns:
            `len(self)` batches; of several processes' the own rows, and a last batch with fewer
            than two rows for each whole in every process.
        """
        n = len(self.split)
        where = draw_device(rng, torch.device("cpu"))
        order, keys = torch.arange(n), torch.full((n,), -1)
        if self.shuffle:
            order = torch.randperm(n, generator=rng, device=where).cpu()
        if self.flip or self.split.view == "cropped":
            keys = torch.randint(2**63 - 1, (n,), generator=rng, device=where).cpu()
        own = self._portions(whole_small=True)[: len(self)]
        return self._walk(order, keys, own, training=True)

    def batches(self) -> Iterator[Batch]:
        """Give all images once, in order, as they are evaluated, the last batch included.

        Returns:
            Images and classes; of several processes' the own ones, where a batch has some.
        """
        n = len(self.split)
        own = [rows for rows in self.portions if rows.start < rows.stop]
        return self._walk(torch.arange(n), torch.full((n,), -1), own, training=False)

    def __iter__(self) -> Iterator[Batch]:
        """Give `batches()`."""
        return self.batches()

    def _walk(
        self, order: Tensor, keys: Tensor, own: list[slice], *, training: bool
    ) -> Iterator[Batch]:
        device = self.device or torch.device("cpu")
        decoder = _Decoder(
            folder=self.split.folder,
            size=self.split.size,
            view=self.split.view,
            exact=self.split.exact,
            flip=self.flip,
            training=training,
        )
        found: DataLoader[_Decoded] = DataLoader(
            decoder,
            batch_sampler=_Errands(self.split, order, keys, own),
            num_workers=min(self.workers, _processors()),
            collate_fn=_joined,
            pin_memory=device.type == "cuda",
            # Without one of its own it draws from torch's global generator.
            generator=torch.Generator(),
        )
        for batch in found:
            if isinstance(batch, str):
                raise InputError(batch)
            x, y = (moved(part, device) for part in batch)
            yield self._to_float(x), y

    def _to_float(self, x: Tensor) -> Tensor:
        layout = torch.channels_last if self.channels_last else torch.contiguous_format
        return x.contiguous(memory_format=layout).to(torch.float32).div_(255)


def _processors() -> int:
    """Count the processors that this process may use; more workers than these only warn."""
    allowed = getattr(os, "sched_getaffinity", None)
    return len(allowed(0)) if allowed is not None else os.cpu_count() or 1


class _Errand(NamedTuple):
    """What a worker is asked for: a file, its class, and the key of its view."""

    name: str
    label: int
    key: int


class _Decoded(NamedTuple):
    """What a worker hands back: pixels (3, size, size), uint8, and the class; or an error."""

    x: Tensor | None
    label: int
    error: str


class _Errands:
    """The errands of every batch, made as they are asked for: workers hold no list of files."""

    def __init__(self, split: FileSplit, order: Tensor, keys: Tensor, own: list[slice]) -> None:
        self._split, self._order, self._keys = split, order, keys
        self._own = own

    def __iter__(self) -> Iterator[list[_Errand]]:
        for rows in self._own:
            keys = self._keys[rows].tolist()
            part = self._split[self._order[rows]]
            yield list(starmap(_Errand, zip(part.names, part.y.tolist(), keys, strict=True)))


@dataclass(frozen=True, kw_only=True)
class _Decoder(Dataset[_Decoded]):
    """Decodes one file in a worker; it holds only what is the same for all files."""

    folder: Path
    size: int
    view: View
    exact: bool
    flip: bool
    training: bool

    def __getitem__(self, errand: _Errand) -> _Decoded:
        try:
            picture = self._picture(self.folder / errand.name)
        except InputError as error:
            # Raised in a worker it would arrive wrapped in a traceback of another process.
            return _Decoded(x=None, label=errand.label, error=str(error))
        if self.training:
            seen = training_view(
                picture, size=self.size, view=self.view, flip=self.flip, key=errand.key
            )
        else:
            seen = evaluation_view(picture, size=self.size, view=self.view)
        return _Decoded(x=pixels(seen), label=errand.label, error="")

    def _picture(self, path: Path) -> Image:
        picture = open_picture(path)
        if self.exact:
            check_size(picture, path, size=self.size)
        return picture


def _joined(found: list[_Decoded]) -> tuple[Tensor, Tensor] | str:
    """Join the images of a batch, or return the first sentence about one that could not be read."""
    images = [one.x for one in found if one.x is not None]
    if len(images) < len(found):
        return next(one.error for one in found if one.x is None)
    return torch.stack(images), torch.tensor([one.label for one in found])

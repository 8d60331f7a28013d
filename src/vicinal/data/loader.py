"""Batches of a set that lies on the device as bytes: shuffled and augmented, or in order.

Nothing is read, decoded or moved while training: a batch is one gather of padded bytes and one
conversion to float. What is *not* here: folders too large for memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import KW_ONLY, dataclass, field

import torch
from torch import Tensor

from vicinal._checks import InputError, count
from vicinal._typing import Batch
from vicinal.data.augment import Crops, crop_padded, draw_crops, draw_device, pad_images
from vicinal.data.image_set import Split
from vicinal.data.portion import batch_sizes, check_portion, portions

__all__ = ["Loader"]


@dataclass(frozen=True, eq=False)
class Loader:
    """A split as batches of images (N, C, H, W), float32 in [0, 1], and classes (N,) int64.

    Iterating the loader itself gives `batches()`, so it can be handed to whatever evaluates;
    `epoch()` gives one pass of training, and `len()` is the number of its steps.

    Args:
        split: The images and classes.
        batch_size: Images per batch.
        pad: Black pixels on every side for the random crops of an epoch; 0 for none.
        flip: Whether an epoch mirrors each image with probability 1/2.
        shuffle: Whether an epoch visits the images in a random order.
        drop_last: Whether an epoch leaves out its last batch when that is incomplete.
        channels_last: Whether batches have the channels-last memory format.
        device: Where the set and its batches lie; where the split lies when not given.
        rank: Which of the processes that share every batch this one is; it gets its own rows.
        world: How many they are. Order and crops are drawn for all images in each of them.

    Raises:
        InputError: If an argument is off, or no complete batch exists where one is needed.

    Example:
        >>> part = Split(x=torch.zeros(5, 1, 8, 8, dtype=torch.uint8), y=torch.arange(5))
        >>> loader = Loader(part, batch_size=2, pad=1, flip=True)
        >>> batches = list(loader.epoch(torch.Generator().manual_seed(0)))
        >>> [tuple(x.shape) for x, y in batches]
        [(2, 1, 8, 8), (2, 1, 8, 8), (1, 1, 8, 8)]
        >>> sorted(int(label) for x, y in batches for label in y)
        [0, 1, 2, 3, 4]
    """

    split: Split
    _: KW_ONLY
    batch_size: int
    pad: int = 0
    flip: bool = False
    shuffle: bool = True
    drop_last: bool = False
    channels_last: bool = False
    device: torch.device | None = None
    rank: int = 0
    world: int = 1
    _padded: Tensor = field(init=False, repr=False)
    _y: Tensor = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if count("batch_size", self.batch_size) > len(self.split) and self.drop_last:
            raise InputError(
                f"`batch_size` must be at most the split's {len(self.split)} images when the last "
                f"incomplete batch is dropped; got {self.batch_size}."
            )
        check_portion(self.batch_size, rank=self.rank, world=self.world)
        split = self.split if self.device is None else self.split.to(self.device)
        object.__setattr__(self, "_padded", pad_images(split.x, pad=self.pad))
        object.__setattr__(self, "_y", split.y)

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

        Order, crops and flips of the whole epoch are drawn at the call, so what else draws from
        the generator while the epoch runs changes nothing in it.

        Args:
            rng: Generator, on the CPU or on the device; torch's global one when not given.

        Returns:
            `len(self)` batches; of several processes' the own rows, and a last batch with fewer
            than two rows for each whole in every process.
        """
        n, device = len(self.split), self._padded.device
        where = draw_device(rng, device)
        order = torch.arange(n, device=where)
        if self.shuffle:
            order = torch.randperm(n, generator=rng, device=where)
        crops = draw_crops(n, pad=self.pad, flip=self.flip, rng=rng, device=device)
        return self._walk(order.to(device, non_blocking=device.type == "cuda"), crops)

    def _walk(self, order: Tensor, crops: Crops) -> Iterator[Batch]:
        for rows in self._portions(whole_small=True)[: len(self)]:
            index = order[rows]
            x = crop_padded(self._padded, crops[rows], index=index)
            yield self._to_float(x), self._y[index]

    def batches(self) -> Iterator[Batch]:
        """Give all images once as they are, in order, the last incomplete batch included.

        Yields:
            Images and classes; of several processes' the own ones, where a batch has some.
        """
        h, w = self.split.x.shape[2:]
        inner = self._padded[:, :, self.pad : self.pad + h, self.pad : self.pad + w]
        for rows in self.portions:
            if rows.start < rows.stop:
                yield self._to_float(inner[rows]), self._y[rows]

    def __iter__(self) -> Iterator[Batch]:
        """Give `batches()`."""
        return self.batches()

    def _to_float(self, x: Tensor) -> Tensor:
        layout = torch.channels_last if self.channels_last else torch.contiguous_format
        return x.contiguous(memory_format=layout).to(torch.float32).div_(255)

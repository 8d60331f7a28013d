from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from torch import Tensor

from vicinal._checks import InputError
from vicinal.data.image_set import ImageSet, Split, channel_statistics


def images(n: int = 3, *, shape: tuple[int, int, int] = (3, 8, 8)) -> Tensor:
    rng = torch.Generator().manual_seed(n)
    return torch.randint(0, 256, (n, *shape), dtype=torch.uint8, generator=rng)


def split(*labels: int) -> Split:
    return Split(x=images(len(labels)), y=torch.tensor(labels))


@pytest.mark.parametrize(
    ("x", "y"),
    [
        (images().float(), torch.zeros(3, dtype=torch.int64)),
        (images()[0], torch.zeros(3, dtype=torch.int64)),
        (images()[:0], torch.zeros(0, dtype=torch.int64)),
        (images(), torch.zeros(2, dtype=torch.int64)),
        (images(), torch.zeros(3, dtype=torch.int32)),
        (images(), torch.zeros(3, 1, dtype=torch.int64)),
        (images(), torch.tensor([0, -1, 0])),
        (images(), torch.zeros(3, dtype=torch.int64, device="meta")),
    ],
    ids=["float", "3d", "empty", "short", "int32", "column", "negative", "elsewhere"],
)
def test_what_is_no_split_is_refused(x: Tensor, y: Tensor) -> None:
    with pytest.raises(InputError, match="of a split must"):
        Split(x=x, y=y)


def test_a_split_has_a_length_and_a_short_repr() -> None:
    assert len(split(0, 1, 1)) == 3
    assert repr(split(0, 1)) == "Split(2 images of 3x8x8 on cpu)"


def test_a_part_of_a_split_keeps_images_and_classes_together() -> None:
    whole = split(3, 1, 2, 0)
    some, picked = whole[1:3], whole[torch.tensor([3, 0])]
    assert torch.equal(some.x, whole.x[1:3])
    assert some.x.data_ptr() == whole.x[1:].data_ptr()
    assert some.y.tolist() == [1, 2]
    assert torch.equal(picked.x, torch.stack([whole.x[3], whole.x[0]]))
    assert picked.y.tolist() == [0, 3]


def test_a_set_tells_the_shape_and_the_statistics_of_its_training_images() -> None:
    whole = ImageSet(name="toy", train=split(0, 1), test=split(1, 0, 0), num_classes=2)
    assert whole.shape == (3, 8, 8)
    assert whole.statistics() == channel_statistics(whole.train.x)


def test_moving_a_split_to_where_it_lies_copies_nothing() -> None:
    here = split(0, 1)
    assert here.to(torch.device("cpu")).x.data_ptr() == here.x.data_ptr()


def test_splits_and_sets_are_frozen() -> None:
    part = split(0, 1)
    whole = ImageSet(name="toy", train=part, test=part, num_classes=2)
    with pytest.raises(dataclasses.FrozenInstanceError):
        part.x = images()  # type: ignore[misc]
    with pytest.raises(dataclasses.FrozenInstanceError):
        whole.num_classes = 3  # type: ignore[misc]


def test_labels_beyond_the_classes_are_refused_and_the_split_is_named() -> None:
    with pytest.raises(InputError, match=r"the test split of toy must lie in 0\.\.1; got 2"):
        ImageSet(name="toy", train=split(0, 1), test=split(0, 2), num_classes=2)


def test_splits_of_two_shapes_are_refused() -> None:
    grey = Split(x=images(2, shape=(1, 8, 8)), y=torch.tensor([0, 1]))
    with pytest.raises(InputError, match=r"one shape.*\(3, 8, 8\) and \(1, 8, 8\)"):
        ImageSet(name="toy", train=split(0, 1), test=grey, num_classes=2)


def test_there_must_be_a_name_for_every_class_and_two_classes() -> None:
    with pytest.raises(InputError, match="must be 2 names; got 1"):
        ImageSet(name="toy", train=split(0, 1), test=split(0), num_classes=2, class_names=("cat",))
    with pytest.raises(InputError, match="num_classes"):
        ImageSet(name="toy", train=split(0), test=split(0), num_classes=1)


def test_channel_statistics_match_numpy_in_float64() -> None:
    # 5,000 images: more than one part of the count.
    x = images(5000, shape=(3, 4, 6)) // torch.tensor([1, 2, 5], dtype=torch.uint8).view(3, 1, 1)
    mean, std = channel_statistics(x)
    pixels = x.numpy().astype(np.float64) / 255
    np.testing.assert_allclose(mean, pixels.mean(axis=(0, 2, 3)), rtol=1e-12)
    np.testing.assert_allclose(std, pixels.std(axis=(0, 2, 3)), rtol=1e-12)


def test_a_constant_channel_has_deviation_exactly_zero() -> None:
    for level in (0, 7, 255):
        x = torch.full((11, 1, 3, 3), level, dtype=torch.uint8)
        assert channel_statistics(x) == ((level / 255,), (0.0,))


def test_statistics_of_anything_but_bytes_are_refused() -> None:
    with pytest.raises(InputError, match="uint8"):
        channel_statistics(images().float())

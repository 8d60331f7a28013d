from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from vicinal._checks import InputError
from vicinal.data.arrays import images_from_array, labels_from_array, split_from_arrays

COLOUR = np.arange(2 * 5 * 6 * 3, dtype=np.uint8).reshape(2, 5, 6, 3)


def test_channels_last_becomes_channels_first_pixel_by_pixel() -> None:
    x = images_from_array(COLOUR, where="x")
    assert x.is_contiguous()
    for n, c, h, w in np.ndindex(2, 3, 5, 6):
        assert int(x[n, c, h, w]) == COLOUR[n, h, w, c]


def test_grey_images_get_a_channel() -> None:
    x = images_from_array(COLOUR[..., 0], where="x")
    assert torch.equal(x[:, 0], torch.from_numpy(COLOUR[..., 0].copy()))


def test_the_tensor_does_not_share_the_arrays_memory() -> None:
    grey = np.zeros((1, 2, 2), np.uint8)
    one_channel = np.zeros((1, 2, 2, 1), np.uint8)
    x, z = images_from_array(grey, where="x"), images_from_array(one_channel, where="x")
    grey += 1
    one_channel += 1
    assert int(x.sum()) == int(z.sum()) == 0


@pytest.mark.parametrize(
    ("x", "said"),
    [
        (COLOUR / 255, r"uint8 images; got float64 with values in \[0, 0.7.*\]\. Did you mean"),
        (COLOUR / 255 - 0.5, r"uint8 images; got float64 with values in \[-0\.5, 0\.\d+\]\.$"),
        (COLOUR.astype(np.float32), r"uint8 images; got float32 with values in \[0, 179\]\.$"),
        (COLOUR.astype(np.int64), "uint8 images; got int64"),
        (COLOUR[0, 0], r"shape \(N, H, W, C\)"),
        (COLOUR[:0], r"N >= 1"),
        (np.zeros((2, 3, 5, 6), np.uint8), "channels last"),
    ],
    ids=["float", "centred", "floats_to_255", "int64", "2d", "empty", "channels_first"],
)
def test_other_images_are_refused_by_name(x: NDArray[Any], said: str) -> None:
    with pytest.raises(InputError, match=f"^x_train of f must.*{said}"):
        images_from_array(x, where="x_train of f")


@pytest.mark.parametrize("dtype", ["u1", "i1", "<u2", ">i2", "i4", "u8", ">i8"])
@pytest.mark.parametrize("shape", [(3,), (3, 1)])
def test_labels_of_any_integer_dtype_and_both_shapes(dtype: str, shape: tuple[int, ...]) -> None:
    y = labels_from_array(np.array([2, 0, 1], dtype=dtype).reshape(shape), where="y")
    assert y.dtype == torch.int64
    assert y.tolist() == [2, 0, 1]


@pytest.mark.parametrize(
    "y",
    [np.zeros(2), np.zeros(2, bool), np.zeros((2, 2), np.int64), np.int64(3) * np.ones((), "i8")],
)
def test_other_labels_are_refused(y: NDArray[Any]) -> None:
    with pytest.raises(InputError, match=r"^y_train must"):
        labels_from_array(y, where="y_train")


@pytest.mark.parametrize(
    ("labels", "num_classes", "said"),
    [
        ([0, 10], 10, r"0\.\.9; got 10"),
        ([1, 10], 10, "labels start at 1"),
        ([-1, 0], 10, "got -1"),
        ([-1, 700], None, "got -1"),
    ],
)
def test_labels_out_of_range_are_refused(
    labels: list[int], num_classes: int | None, said: str
) -> None:
    with pytest.raises(InputError, match=said):
        split_from_arrays(COLOUR, np.array(labels), where=("x", "y"), num_classes=num_classes)


def test_an_unsigned_label_too_large_for_int64_is_out_of_range() -> None:
    y = np.array([0, 2**64 - 1], dtype=np.uint64)
    with pytest.raises(InputError, match="must hold classes"):
        split_from_arrays(COLOUR, y, where=("x", "y"), num_classes=10)


def test_lengths_must_agree() -> None:
    with pytest.raises(InputError, match="3 labels for 2 images"):
        split_from_arrays(COLOUR, np.zeros(3, np.int64), where=("x", "y"))

from __future__ import annotations

import string
from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_digits

from vicinal.data.digits import read_digits

DIGITS = read_digits()


def test_the_split_is_the_first_1297_and_the_last_500_in_the_order_of_the_source() -> None:
    labels = np.concatenate([DIGITS.train.y.numpy(), DIGITS.test.y.numpy()])
    assert (len(DIGITS.train), len(DIGITS.test)) == (1297, 500)
    assert np.array_equal(labels, load_digits().target)


def test_every_grey_level_is_its_share_of_255_rounded() -> None:
    bundled = load_digits().images
    x = torch.cat([DIGITS.train.x, DIGITS.test.x]).squeeze(1).numpy()
    rounded = np.floor(bundled * 255 / 16 + 0.5)
    assert np.array_equal(x, rounded)
    assert sorted(set(x.ravel().tolist())) == sorted({int(v * 255 / 16 + 0.5) for v in range(17)})


def test_images_are_one_channel_of_8x8_bytes() -> None:
    assert DIGITS.train.x.shape[1:] == (1, 8, 8)
    assert DIGITS.num_classes == 10
    assert DIGITS.class_names == tuple(string.digits)


def test_both_parts_are_nearly_balanced() -> None:
    train, test = DIGITS.train.y.bincount(), DIGITS.test.y.bincount()
    assert train.tolist() == [128, 131, 128, 132, 130, 131, 130, 129, 128, 130]
    assert test.tolist() == [50, 51, 49, 51, 51, 51, 51, 50, 46, 50]


def test_a_block_of_the_label_sequence_starts_ten_images_before_the_cut() -> None:
    labels = DIGITS.train.y.tolist()
    opening = labels[:30]
    starts = [k for k in range(1, 1297) if (labels + DIGITS.test.y.tolist())[k : k + 30] == opening]
    assert max(starts) == 1287


def test_a_folder_is_not_needed_nor_looked_at() -> None:
    assert len(read_digits(Path("no/such/folder")).train) == 1297

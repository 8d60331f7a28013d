"""Made-up data sets in the layouts in which they are published."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import scipy.io

from trees import random_pixels, write_picture

WNIDS = [f"n{1_440_764 + 13 * k:08d}" for k in range(1000)]
"""As many classes as ImageNet has."""


def class_tree(root: Path, wnids: Sequence[str], *, side: int, **images: int) -> Path:
    """Write as many pictures of every class as `images` says for each part, such as train=2."""
    for part, n in images.items():
        for label, wnid in enumerate(wnids):
            for k in range(n):
                pixels = random_pixels(label + 7919 * k, height=side, width=side)
                write_picture(root / part / wnid / f"{wnid}_{k}.JPEG", pixels)
    return root


def imagenet(folder: Path) -> Path:
    """1,000 classes, one training and one validation picture of each."""
    class_tree(folder / "imagenet", WNIDS, side=16, train=1, val=1)
    return folder


def imagenet_100(folder: Path) -> Path:
    """102 classes of two training pictures, 100 of them listed; no validation pictures."""
    root = class_tree(folder / "imagenet-100", WNIDS[:102], side=16, train=2)
    (root / "imagenet-100.txt").write_text("\n".join(WNIDS[2:102]) + "\n")
    return folder


def tiny_imagenet(folder: Path) -> Path:
    """200 classes of one training picture, and 40 validation pictures with their annotations."""
    root, wnids = folder / "tiny-imagenet-200", WNIDS[:200]
    for k, wnid in enumerate(wnids):
        write_picture(root / f"train/{wnid}/images/{wnid}_0.JPEG", random_pixels(k))
    lines = []
    for k in range(40):
        write_picture(root / f"val/images/val_{k}.JPEG", random_pixels(1000 + k))
        lines.append(f"val_{k}.JPEG\t{wnids[5 * k]}\t0\t0\t62\t62\n")
    (root / "val/val_annotations.txt").write_text("".join(lines))
    (root / "wnids.txt").write_text("\n".join(wnids) + "\n")
    (root / "words.txt").write_text("".join(f"{wnid}\tword\n" for wnid in wnids))
    return folder


def tiny_imagenet_30(folder: Path) -> Path:
    """30 classes, two training pictures and one validation picture of each."""
    class_tree(folder / "tiny_imagenet_30", WNIDS[:30], side=64, train=2, val=1)
    return folder


def svhn(folder: Path) -> Path:
    """40 training and 20 test images; the label 10 stands for the digit 0."""
    rng = np.random.default_rng(0)
    for name, n in (("train", 40), ("test", 20)):
        x = rng.integers(0, 256, (32, 32, 3, n)).astype(np.uint8)
        y = (np.arange(n) % 10 + 1).astype(np.uint8)[:, None]
        folder.mkdir(exist_ok=True)
        scipy.io.savemat(folder / f"{name}_32x32.mat", {"X": x, "y": y})
    return folder


def cifar_c(root: Path, names: Sequence[str], *, images: int = 4, classes: int = 10) -> Path:
    """A .npy file per corruption, five severities of a few images each, and labels.npy."""
    rng = np.random.default_rng(0)
    root.mkdir(parents=True, exist_ok=True)
    for name in names:
        np.save(root / f"{name}.npy", rng.integers(0, 256, (5 * images, 32, 32, 3)).astype("uint8"))
    np.save(root / "labels.npy", np.tile(rng.integers(0, classes, images), 5).astype(np.uint8))
    return root


def corrupted_tree(
    root: Path, names: Sequence[str], wnids: Sequence[str], *, side: int, severities: int = 5
) -> Path:
    """<corruption>/<severity>/<wnid>/, one picture of every class."""
    for name in names:
        for severity in range(1, severities + 1):
            for label, wnid in enumerate(wnids):
                pixels = random_pixels(label + 100 * severity, height=side, width=side)
                write_picture(root / name / str(severity) / wnid / "val_1.JPEG", pixels)
    return root


def cifar_npz(folder: Path, *, images: int) -> Path:
    """CIFAR-10 as one archive, with as many training as test images."""
    rng = np.random.default_rng(1)
    x = rng.integers(0, 256, (images, 32, 32, 3)).astype(np.uint8)
    y = np.arange(images) % 10
    np.savez(folder / "cifar10.npz", x_train=x, y_train=y, x_test=x, y_test=y)
    return folder

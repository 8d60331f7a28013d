"""Fetching a published set through torchvision, where that works; else what to fetch by hand.

torchvision is an extra, and it does not import beside every build of torch. So it is asked for only
here, and where it cannot help one sentence names the files as their authors do and says where this
package looks for them. What is fetched is read like any other copy: by this package's own readers.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vicinal._checks import InputError, choice
from vicinal.data.missing import MissingData

__all__ = ["PUBLISHED", "Published", "download"]


@dataclass(frozen=True, kw_only=True)
class Published:
    """A published set: how its authors call it, and who can fetch it.

    Args:
        files: What to fetch, by its official name.
        home: The page or the people to fetch it from.
        place: What must then lie in the data folder.
        torchvision: The class of torchvision.datasets that fetches it; none where none does.
        parts: The arguments of that class, once for each part that must be fetched.
    """

    files: str
    home: str
    place: str
    torchvision: str | None = None
    parts: tuple[Mapping[str, Any], ...] = ()


_BOTH = ({"train": True}, {"train": False})
_IDX = "train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz and the two of t10k"

PUBLISHED = {
    "cifar10": Published(
        files="the CIFAR-10 python version (cifar-10-python.tar.gz)",
        home="A. Krizhevsky's page of the CIFAR-10 dataset",
        place="cifar-10-batches-py, which the archive unpacks to",
        torchvision="CIFAR10",
        parts=_BOTH,
    ),
    "cifar100": Published(
        files="the CIFAR-100 python version (cifar-100-python.tar.gz)",
        home="A. Krizhevsky's page of the CIFAR-100 dataset",
        place="cifar-100-python, which the archive unpacks to",
        torchvision="CIFAR100",
        parts=_BOTH,
    ),
    "svhn": Published(
        files="format 2, the cropped digits (train_32x32.mat and test_32x32.mat)",
        home="the page of the Street View House Numbers (SVHN) dataset at Stanford",
        place="the two files",
        torchvision="SVHN",
        parts=({"split": "train"}, {"split": "test"}),
    ),
    "mnist": Published(
        files=f"the MNIST database ({_IDX})",
        home="the page of the MNIST database of handwritten digits",
        place="the four files in a folder mnist",
        torchvision="MNIST",
        parts=_BOTH,
    ),
    "fashion-mnist": Published(
        files=f"Fashion-MNIST ({_IDX})",
        home="the repository zalandoresearch/fashion-mnist",
        place="the four files in a folder fashion-mnist",
        torchvision="FashionMNIST",
        parts=_BOTH,
    ),
    "tiny-imagenet": Published(
        files="Tiny ImageNet (tiny-imagenet-200.zip)",
        home="the course CS231n at Stanford",
        place="tiny-imagenet-200, which the archive unpacks to",
    ),
    "tiny-imagenet-30": Published(
        files="every sixth of the sorted classes of Tiny ImageNet (tiny-imagenet-200.zip)",
        home="the course CS231n at Stanford",
        place="tiny_imagenet_30 with train/<wnid>/*.JPEG and val/<wnid>/*.JPEG",
    ),
    "imagenet": Published(
        files="the ILSVRC 2012 training and validation images (ILSVRC2012_img_train.tar and "
        "ILSVRC2012_img_val.tar)",
        home="image-net.org, which asks for an account",
        place="imagenet with train/<wnid>/*.JPEG and val/<wnid>/*.JPEG, the validation images "
        "sorted into folders",
    ),
    "imagenet-100": Published(
        files="the ILSVRC 2012 training images (ILSVRC2012_img_train.tar)",
        home="image-net.org, which asks for an account",
        place="imagenet with train/<wnid>/*.JPEG",
    ),
}
"""Every set that has authors; the digits come with scikit-learn, and other sets are the user's."""


def download(name: str, data_dir: Path) -> Path:
    """Fetch a published set into a folder, by way of torchvision.

    Args:
        name: A key of `PUBLISHED`.
        data_dir: The folder; made where missing.

    Returns:
        The folder, from which the set can be read by name.

    Raises:
        MissingData: If torchvision does not fetch this set, or cannot be imported; the sentence
            says what to fetch by hand, and where to put it.
        InputError: If there is no such set, or the fetching fails.

    Example:
        >>> download("tiny-imagenet", Path("data"))
        Traceback (most recent call last):
        vicinal.data.missing.MissingData: torchvision does not fetch tiny-imagenet; get Tiny
        ImageNet (tiny-imagenet-200.zip) from the course CS231n at Stanford, so that data holds
        tiny-imagenet-200, which the archive unpacks to.
    """
    wanted = PUBLISHED[choice("name", name, PUBLISHED)]
    if wanted.torchvision is None:
        raise MissingData(f"torchvision does not fetch {name}; {_by_hand(wanted, data_dir)}")
    try:
        fetch = getattr(importlib.import_module("torchvision.datasets"), wanted.torchvision)
    except (ImportError, RuntimeError) as error:
        # Beside a build of torch that is not its own, torchvision raises a RuntimeError.
        reason = str(error).partition("\n")[0]
        raise MissingData(
            f"{name} is fetched through torchvision, which cannot be imported here ({reason}); "
            f"{_by_hand(wanted, data_dir)}"
        ) from error
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        for part in wanted.parts:
            fetch(root=str(data_dir), download=True, **part)
    except Exception as error:
        reason = str(error).partition("\n")[0]
        raise InputError(
            f"{name} could not be fetched ({reason}); try again, or {_by_hand(wanted, data_dir)}"
        ) from error
    return data_dir


def _by_hand(wanted: Published, data_dir: Path) -> str:
    folder = data_dir.as_posix()
    return f"get {wanted.files} from {wanted.home}, so that {folder} holds {wanted.place}."

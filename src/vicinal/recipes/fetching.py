"""Doing what needs a data set; where it is missing, fetching it first, if that is wanted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from vicinal import data, engine
from vicinal.data.download import PUBLISHED

__all__ = ["or_download"]

T = TypeVar("T")


def or_download(work: Callable[[], T], *, dataset: str, data_dir: Path | None, download: bool) -> T:
    """Do something that needs a data set; where it is missing, fetch it and do it again.

    Of several processes the first one alone looks for the set and fetches it, while the others
    wait; then all do the work.

    Args:
        work: What to do; it must refuse to begin without the set.
        dataset: The set's name.
        data_dir: Where the data sets lie.
        download: Whether a missing set is fetched; never otherwise.

    Returns:
        What the work gave.

    Raises:
        MissingData: If the set is missing and is not to be fetched, or nobody can fetch it.

    Example:
        >>> len(or_download(lambda: data.load("digits").train, dataset="digits", data_dir=None,
        ...                 download=True))
        1297
    """
    can_fetch = dataset in PUBLISHED and PUBLISHED[dataset].torchvision is not None
    if download and data_dir is not None and can_fetch and engine.processes().several:
        _led(dataset, data_dir)
        return work()
    try:
        return work()
    except data.MissingData:
        # A set of the user's own, or no folder to put it: the sentence there says what is missing.
        if not download or data_dir is None or dataset not in PUBLISHED:
            raise
    data.download(dataset, data_dir)
    return work()


def _led(dataset: str, data_dir: Path) -> None:
    """Before any work: one that found the set at once would not wait for one that did not."""

    def fetched() -> str | None:
        try:
            data.load(dataset, data_dir=data_dir)
        except data.MissingData:
            try:
                data.download(dataset, data_dir)
            except data.MissingData as error:
                return str(error)
        return None

    told = engine.processes().led(fetched)
    if told is not None:
        raise data.MissingData(told)

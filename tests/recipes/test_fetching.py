"""A missing set is fetched when that is asked for, and never otherwise."""

from __future__ import annotations

from pathlib import Path

import pytest

from vicinal import data
from vicinal.recipes.fetching import or_download


class Desk:
    """Stands for `data.download`, and for work that needs what it fetches."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.fetched: list[tuple[str, Path]] = []
        monkeypatch.setattr(data, "download", lambda *asked: self.fetched.append(asked))

    def work(self) -> str:
        if not self.fetched:
            raise data.MissingData("not here")
        return "done"


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Desk:
    return Desk(monkeypatch)


def test_a_missing_set_is_fetched_once_and_the_work_done_again(desk: Desk, tmp_path: Path) -> None:
    found = or_download(desk.work, dataset="svhn", data_dir=tmp_path, download=True)
    assert found == "done"
    assert desk.fetched == [("svhn", tmp_path)]


def test_nothing_is_fetched_unasked(desk: Desk, tmp_path: Path) -> None:
    with pytest.raises(data.MissingData, match="not here"):
        or_download(desk.work, dataset="svhn", data_dir=tmp_path, download=False)
    assert desk.fetched == []


def test_nothing_is_fetched_that_is_there(desk: Desk, tmp_path: Path) -> None:
    assert or_download(lambda: 3, dataset="svhn", data_dir=tmp_path, download=True) == 3
    assert desk.fetched == []


@pytest.mark.parametrize("dataset", ["npz", "image-folder"])
def test_a_set_of_ones_own_cannot_be_fetched(desk: Desk, tmp_path: Path, dataset: str) -> None:
    with pytest.raises(data.MissingData, match="not here"):
        or_download(desk.work, dataset=dataset, data_dir=tmp_path, download=True)
    assert desk.fetched == []


def test_without_a_folder_there_is_nowhere_to_put_it(desk: Desk) -> None:
    with pytest.raises(data.MissingData, match="not here"):
        or_download(desk.work, dataset="svhn", data_dir=None, download=True)
    assert desk.fetched == []

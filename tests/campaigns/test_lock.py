"""A folder belongs to one campaign at a time."""

from __future__ import annotations

from pathlib import Path

import pytest

from vicinal._checks import InputError
from vicinal.campaigns.lock import alone

pytest.importorskip("fcntl", reason="the lock needs file locks as Unix has them")


def test_a_second_campaign_is_refused_until_the_first_ends(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    with (
        alone(folder),
        pytest.raises(InputError, match="another campaign is running"),
        alone(folder),
    ):
        pass
    with alone(folder):
        pass


def test_an_exception_releases_the_folder(tmp_path: Path) -> None:
    with pytest.raises(KeyError), alone(tmp_path):
        raise KeyError
    with alone(tmp_path):
        pass


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="could not write"), alone(tmp_path / "file"):
        pass

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from vicinal import data
from vicinal._checks import InputError
from vicinal.data.download import PUBLISHED, download
from vicinal.data.missing import MissingData

FETCHED = [name for name, wanted in PUBLISHED.items() if wanted.torchvision]


class Recorder:
    """Stands for a class of torchvision.datasets."""

    calls: list[dict[str, Any]]
    error: Exception | None

    def __init__(self, error: Exception | None = None) -> None:
        self.calls, self.error = [], error

    def __call__(self, **arguments: object) -> None:
        self.calls.append(arguments)
        if self.error is not None:
            raise self.error


def with_torchvision(monkeypatch: pytest.MonkeyPatch, name: str, recorder: Recorder) -> None:
    package, module = ModuleType("torchvision"), ModuleType("torchvision.datasets")
    setattr(module, str(PUBLISHED[name].torchvision), recorder)
    monkeypatch.setitem(sys.modules, "torchvision", package)
    monkeypatch.setitem(sys.modules, "torchvision.datasets", module)


def test_every_named_set_but_the_users_own_can_be_asked_for() -> None:
    assert set(PUBLISHED) == (set(data.DATASETS) | set(data.FOLDERS)) - {
        "digits",
        "npz",
        "image-folder",
    }


@pytest.mark.parametrize("name", FETCHED)
def test_torchvision_fetches_every_part_into_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    recorder = Recorder()
    with_torchvision(monkeypatch, name, recorder)
    folder = tmp_path / "new" / "folder"
    assert download(name, folder) == folder
    assert folder.is_dir()
    wanted = {"root": str(folder), "download": True}
    parts = [{"split": s} for s in ("train", "test")]
    if name != "svhn":
        parts = [{"train": t} for t in (True, False)]  # type: ignore[dict-item]
    assert recorder.calls == [{**wanted, **part} for part in parts]


@pytest.mark.parametrize("name", FETCHED)
def test_without_torchvision_a_sentence_says_what_to_fetch_and_where_to_put_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setitem(sys.modules, "torchvision.datasets", None)
    monkeypatch.setitem(sys.modules, "torchvision", None)
    with pytest.raises(
        MissingData,
        match=f"^{name} is fetched through torchvision, which cannot"
        f".*get .* from .*, so that {tmp_path.as_posix()} holds .*[.]$",
    ):
        download(name, tmp_path)


def test_a_torchvision_of_another_build_of_torch_is_as_good_as_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "torchvision"
    broken.mkdir()
    code = "raise RuntimeError('operator torchvision::nms does not exist\\nand more')\n"
    (broken / "__init__.py").write_text(code, encoding="utf-8")
    for module in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(
        MissingData, match=r"here \(operator torchvision::nms does not exist\); get"
    ):
        download("cifar10", tmp_path)


@pytest.mark.parametrize("name", sorted(set(PUBLISHED) - set(FETCHED)))
def test_what_torchvision_does_not_fetch_is_said_by_its_official_name(
    tmp_path: Path, name: str
) -> None:
    with pytest.raises(MissingData, match=f"torchvision does not fetch {name}; get .*(zip|tar)"):
        download(name, tmp_path)


@pytest.mark.parametrize("error", [OSError("no network\ntwo lines"), RuntimeError("corrupted")])
def test_a_download_that_fails_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    with_torchvision(monkeypatch, "mnist", Recorder(error))
    with pytest.raises(
        InputError, match=r"^mnist could not be fetched \((no network|corrupted)"
    ) as caught:
        download("mnist", tmp_path)
    assert "\n" not in str(caught.value)
    assert not isinstance(caught.value, MissingData)


def test_a_folder_that_cannot_be_made_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_torchvision(monkeypatch, "svhn", Recorder())
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="svhn could not be fetched"):
        download("svhn", tmp_path / "file")


def test_an_unknown_name_gets_a_suggestion(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"`name` must be .*Did you mean fashion-mnist\?"):
        download("fashionmnist", tmp_path)

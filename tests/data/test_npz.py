from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from vicinal._checks import InputError
from vicinal.data.missing import MissingData
from vicinal.data.npz import find_npz, read_archive, read_npz

RNG = np.random.default_rng(0)


def arrays(**changes: Any) -> dict[str, NDArray[Any]]:
    content = {
        "x_train": RNG.integers(0, 256, (6, 8, 9, 3)).astype(np.uint8),
        "y_train": np.array([0, 1, 2, 0, 1, 2]),
        "x_test": RNG.integers(0, 256, (3, 8, 9, 3)).astype(np.uint8),
        "y_test": np.array([[0], [1], [3]], dtype=np.uint8),
    }
    return {**content, **changes}


def save(path: Path, content: dict[str, NDArray[Any]]) -> Path:
    np.savez(path, **content)  # type: ignore[arg-type]
    return path


class Bomb:
    """An object whose unpickling makes a folder."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.target),)


def test_a_set_comes_out_as_it_went_in(tmp_path: Path) -> None:
    content = arrays(note=np.array("further keys are allowed"))
    found = read_npz(save(tmp_path / "birds.npz", content))
    assert (found.name, found.num_classes, found.class_names) == ("birds", 4, None)
    for split, part in ((found.train, "train"), (found.test, "test")):
        channels_last = split.x.permute(0, 2, 3, 1).numpy()
        assert np.array_equal(channels_last, content[f"x_{part}"])
        assert split.y.tolist() == content[f"y_{part}"].ravel().tolist()


def test_grey_images_and_compressed_archives(tmp_path: Path) -> None:
    content = arrays()
    content = {**content, **{key: content[key][..., 0] for key in ("x_train", "x_test")}}
    np.savez_compressed(tmp_path / "grey.npz", **content)  # type: ignore[arg-type]
    assert torch.equal(
        read_npz(tmp_path).train.x[:, 0], torch.from_numpy(content["x_train"].copy())
    )


def test_the_file_itself_or_a_folder_with_exactly_one(tmp_path: Path) -> None:
    with pytest.raises(MissingData, match=r"\.npz file or a folder that holds one"):
        find_npz(tmp_path)
    one = save(tmp_path / "a.npz", arrays())
    assert find_npz(one) == find_npz(tmp_path) == one
    two = save(tmp_path / "b.npz", arrays())
    assert find_npz(two) == two
    with pytest.raises(InputError, match=r"exactly one; .* holds a\.npz, b\.npz") as caught:
        find_npz(tmp_path)
    assert not isinstance(caught.value, MissingData)


def test_no_archive_is_missing_data(tmp_path: Path) -> None:
    for data_dir in (None, tmp_path / "no.npz", tmp_path):
        with pytest.raises(MissingData, match="npz"):
            read_npz(data_dir)


def test_missing_keys_are_named_beside_those_found(tmp_path: Path) -> None:
    content = arrays()
    content["labels"] = content.pop("y_test")
    with pytest.raises(InputError, match=r"a\.npz must.*lacks y_test and holds labels, x_test"):
        read_npz(save(tmp_path / "a.npz", content))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"x_train": np.zeros((6, 8, 9, 3))}, "`x_train` of .*a.npz must be uint8"),
        ({"x_test": np.zeros((3, 8, 9, 1), np.uint8)}, "one shape"),
        ({"y_train": np.zeros(5, np.int64)}, "`y_train` of .*a.npz must .*5 labels for 6 images"),
        ({"y_test": np.array([0, 1, -1])}, "`y_test` of .*a.npz must .*got -1"),
        ({"y_train": np.zeros(6)}, "`y_train` of .*a.npz must be integer"),
    ],
)
def test_wrong_arrays_are_refused_by_file_and_key(
    tmp_path: Path, changes: dict[str, NDArray[Any]], said: str
) -> None:
    with pytest.raises(InputError, match=said):
        read_npz(save(tmp_path / "a.npz", arrays(**changes)))


def test_a_value_that_cannot_be_a_class_is_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "a.npz", arrays(y_test=np.array([0, 1, 6])))
    with pytest.raises(InputError, match="got 6 among 6 training images"):
        read_npz(path)
    assert read_archive(path, name="a", num_classes=7).num_classes == 7


def test_labels_beyond_a_known_number_of_classes_are_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "a.npz", arrays())
    with pytest.raises(InputError, match=r"`y_test` of .*0\.\.2; got 3"):
        read_archive(path, name="a", num_classes=3)


def test_object_arrays_are_refused_and_nothing_is_run(tmp_path: Path) -> None:
    target = tmp_path / "made"
    bomb = np.array([Bomb(target)], dtype=object)
    path = save(tmp_path / "a.npz", arrays(y_train=bomb))
    with pytest.raises(InputError, match=r"a\.npz must hold plain arrays"):
        read_npz(path)
    assert not target.exists()
    np.load(path, allow_pickle=True)["y_train"]
    assert target.exists(), "the archive was not dangerous, so the test said nothing"


@pytest.mark.parametrize("kept", [0.0, 0.3, 0.9, 0.999])
def test_an_archive_cut_short_is_refused(tmp_path: Path, kept: float) -> None:
    path = save(tmp_path / "a.npz", arrays())
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(InputError, match=r"a\.npz is cut short or damaged"):
        read_npz(path)


def test_a_flipped_bit_is_found(tmp_path: Path) -> None:
    content = arrays()
    path = save(tmp_path / "a.npz", content)
    raw = bytearray(path.read_bytes())
    raw[raw.index(content["x_train"].tobytes()) + 100] ^= 1
    path.write_bytes(raw)
    with pytest.raises(InputError, match="cut short or damaged"):
        read_npz(path)


def test_another_kind_of_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.npz").write_text("x,y\n1,2\n")
    with pytest.raises(InputError, match=r"must be a NumPy \.npz archive"):
        read_npz(tmp_path)
    with (tmp_path / "a.npz").open("wb") as file:
        np.save(file, np.zeros(3))
    with pytest.raises(InputError, match=r"must be a NumPy \.npz archive"):
        read_npz(tmp_path)


def test_labels_that_start_at_one_are_refused(tmp_path: Path) -> None:
    one = arrays(y_train=np.array([1, 2, 3, 1, 2, 3]), y_test=np.array([1, 2, 3]))
    path = save(tmp_path / "a.npz", one)
    with pytest.raises(InputError, match=r"got 1 to 3, .* Do your labels start at 1\?$"):
        read_npz(path)
    assert read_archive(path, name="a", num_classes=4).num_classes == 4
    rare = save(tmp_path / "b.npz", {**one, "y_test": np.array([0, 1, 2])})
    assert read_npz(rare).num_classes == 4

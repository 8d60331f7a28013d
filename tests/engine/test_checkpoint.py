from __future__ import annotations

import io
import json
import os
import pickle
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import nn

from vicinal._checks import InputError
from vicinal.engine import checkpoint


def _sentence(error: pytest.ExceptionInfo[InputError], path: Path) -> str:
    text = str(error.value)
    assert "\n" not in text
    assert str(path) in text
    assert text.endswith((".", "?"))
    return text


def _state() -> dict[str, Any]:
    return {
        "epoch": 3,
        "words": ["sgd", ("a", 0.5)],
        "model": {"w": torch.arange(2000.0), "n": torch.tensor(7)},
    }


class _RunsCode:
    """What a malicious file holds: reading it with plain pickle makes a folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


def test_a_checkpoint_comes_back_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    checkpoint.save(path, _state())
    found = checkpoint.load(path)
    assert found["epoch"] == 3
    assert found["words"] == ["sgd", ("a", 0.5)]
    assert torch.equal(found["model"]["w"], torch.arange(2000.0))
    assert [each.name for each in tmp_path.iterdir()] == ["checkpoint.pt"]


@pytest.mark.parametrize("keep", [0, 1, 100, 0.5, -1])
def test_a_checkpoint_cut_short_is_one_sentence(tmp_path: Path, keep: float) -> None:
    path = tmp_path / "checkpoint.pt"
    checkpoint.save(path, _state())
    content = path.read_bytes()
    path.write_bytes(content[: int(keep * len(content)) if isinstance(keep, float) else keep])
    with pytest.raises(InputError) as error:
        checkpoint.load(path)
    assert "cut short, damaged" in _sentence(error, path)


@pytest.mark.parametrize("where", [0.02, 0.3, 0.6])
def test_a_checkpoint_with_a_wrong_byte_is_one_sentence(tmp_path: Path, where: float) -> None:
    path = tmp_path / "checkpoint.pt"
    checkpoint.save(path, _state())
    content = bytearray(path.read_bytes())
    position = int(where * len(content))
    content[position] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(InputError) as error:
        checkpoint.load(path)
    _sentence(error, path)


def test_one_flipped_bit_of_a_weight_is_found(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    checkpoint.save(path, _state())
    content = bytearray(path.read_bytes())
    weights = torch.arange(2000.0).numpy().tobytes()
    content[content.index(weights) + 4001] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match="cut short, damaged"):
        checkpoint.load(path)


@pytest.mark.parametrize("archive", [True, False])
def test_a_file_that_would_run_code_is_refused_and_does_not_run_it(
    tmp_path: Path, archive: bool
) -> None:
    path, trap = tmp_path / "checkpoint.pt", tmp_path / "trap"
    content = {"vicinal_checkpoint": 1, "state": _RunsCode(trap)}
    if archive:
        torch.save(content, path)
    else:
        path.write_bytes(pickle.dumps(content))
    with pytest.raises(InputError) as error:
        checkpoint.load(path)
    assert not trap.exists()
    assert ("would run code" in _sentence(error, path)) == archive
    torch.load(path, weights_only=False) if archive else pickle.loads(path.read_bytes())
    assert trap.exists()


@pytest.mark.parametrize("content", [{"w": torch.ones(2)}, torch.ones(2), [1, 2]])
def test_another_torch_file_is_one_sentence(tmp_path: Path, content: object) -> None:
    path = tmp_path / "checkpoint.pt"
    torch.save(content, path)
    with pytest.raises(InputError) as error:
        checkpoint.load(path)
    assert "another torch file" in _sentence(error, path)


def test_a_newer_version_and_a_missing_file_are_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    with pytest.raises(InputError) as error:
        checkpoint.load(path)
    assert "no such file" in _sentence(error, path)
    torch.save({"vicinal_checkpoint": checkpoint.VERSION + 1, "state": {}}, path)
    with pytest.raises(InputError) as error:
        checkpoint.load(path)
    assert "Upgrade vicinal?" in _sentence(error, path)


def test_a_folder_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "nowhere" / "checkpoint.pt"
    with pytest.raises(InputError) as error:
        checkpoint.save(path, _state())
    _sentence(error, path)


class _Tied(nn.Module):
    """Channels-last weights, a tied pair, a buffer of integers: what safetensors dislikes."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.norm = nn.BatchNorm2d(4)
        self.first = nn.Linear(4, 4)
        self.second = nn.Linear(4, 4)
        self.second.weight = self.first.weight


def test_weights_come_back_whatever_their_layout_and_sharing(tmp_path: Path) -> None:
    path, model, other = tmp_path / "weights.safetensors", _Tied(), _Tied()
    checkpoint.save_weights(path, model)
    checkpoint.load_weights(path, other)
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, other.state_dict()[name]), name
    assert other.conv.weight.is_contiguous(memory_format=torch.channels_last)
    assert other.second.weight is other.first.weight


def test_equal_weights_make_equal_files(tmp_path: Path) -> None:
    model = _Tied()
    files = [tmp_path / f"{number}.safetensors" for number in range(8)]
    for path in files:
        checkpoint.save_weights(path, model)
    assert len({path.read_bytes() for path in files}) == 1


def test_the_file_says_its_version_and_foreign_readers_open_it(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    checkpoint.save_weights(path, nn.Linear(2, 3))
    content = path.read_bytes()
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    assert header["__metadata__"]["vicinal_weights"] == str(checkpoint.VERSION)
    assert safetensors.torch.load(content)["weight"].shape == (3, 2)


@pytest.mark.parametrize(
    ("saved", "complaint"),
    [
        (nn.Linear(2, 3, bias=False), "it lacks bias"),
        (nn.Bilinear(2, 2, 3), r"weight is \(3, 2, 2\), the model's \(3, 2\)"),
        (nn.Linear(5, 3), r"weight is \(3, 5\), the model's \(3, 2\)"),
        (nn.ModuleDict({"fc": nn.Linear(2, 3)}), "the model has no fc.bias and 1 more"),
    ],
)
def test_weights_that_do_not_fit_are_one_sentence_and_change_nothing(
    tmp_path: Path, saved: nn.Module, complaint: str
) -> None:
    path, model = tmp_path / "weights.safetensors", nn.Linear(2, 3)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    checkpoint.save_weights(path, saved)
    with pytest.raises(InputError, match=complaint) as error:
        checkpoint.load_weights(path, model)
    _sentence(error, path)
    assert all(torch.equal(before[name], now) for name, now in model.state_dict().items())


@pytest.mark.parametrize("keep", [0, 7, 60, -1])
def test_weights_cut_short_are_one_sentence(tmp_path: Path, keep: int) -> None:
    path, model = tmp_path / "weights.safetensors", nn.Linear(2, 3)
    checkpoint.save_weights(path, model)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(InputError) as error:
        checkpoint.load_weights(path, model)
    assert "cannot be read as safetensors" in _sentence(error, path)


def test_missing_weights_and_torch_files_are_one_sentence(tmp_path: Path) -> None:
    path, model = tmp_path / "weights.safetensors", nn.Linear(2, 3)
    with pytest.raises(InputError) as error:
        checkpoint.load_weights(path, model)
    assert "no such file" in _sentence(error, path)
    buffer = io.BytesIO()
    torch.save(model.state_dict(), buffer)
    path.write_bytes(buffer.getvalue())
    with pytest.raises(InputError, match="another format"):
        checkpoint.load_weights(path, model)

"""`--model package.module:factory`: what is imported, how it is called, and every mistake."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import nn

from vicinal._checks import InputError
from vicinal.cli.importing import foreign_model

SOURCE = """
import torch
from torch import nn
from torch.nn.functional import fold

class Net(nn.Sequential):
    def __init__(self, width=4):
        super().__init__(nn.Flatten(), nn.Linear(64, width))

def factory(width=4):
    return Net(width)

ready = Net(3)
number = lambda: 3
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the name of a module in the folder where the user stands."""
    name = f"foreign_nets_{tmp_path.name}"
    (tmp_path / f"{name}.py").write_text(SOURCE, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    return name


@pytest.mark.parametrize(
    ("rest", "width"), [("factory", 4), ("factory(width=6)", 6), ("Net", 4), ("ready", 3)]
)
def test_a_factory_a_class_or_a_model_gives_a_model(module: str, rest: str, width: int) -> None:
    model = foreign_model(f"{module}:{rest}", weights=None)
    assert model(torch.rand(2, 1, 8, 8)).shape == (2, width)
    assert not model.training


def test_weights_are_loaded(module: str, tmp_path: Path) -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 4))
    safetensors.torch.save_file(net.state_dict(), tmp_path / "net.safetensors")
    model = foreign_model(f"{module}:factory", weights=tmp_path / "net.safetensors")
    x = torch.rand(2, 1, 8, 8)
    assert torch.equal(model(x), net(x))
    with pytest.raises(InputError, match="does not fit the model"):
        foreign_model(f"{module}:factory(width=5)", weights=tmp_path / "net.safetensors")


@pytest.mark.parametrize(
    ("rest", "sentence"),
    [
        ("factorie", "has no factorie. Did you mean factory"),
        ("nosuch", "has no nosuch. Known: Net, factory, number, ready."),
        ("folde", "has no folde. Known: Net, factory, number, ready."),
        ("number", "must give a torch.nn.Module; got int"),
        ("factory(wide=3)", "cannot be called so"),
        ("factory(3)", "keyword arguments"),
        ("", "must be package.module:factory"),
    ],
)
def test_a_mistake_is_one_sentence(module: str, rest: str, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence.replace("(", r"\(").replace("?", r"\?")):
        foreign_model(f"{module}:{rest}", weights=None)


def test_a_module_that_is_not_there_is_one_sentence() -> None:
    with pytest.raises(InputError, match="cannot be imported here: No module named"):
        foreign_model("nobodys.nets:factory", weights=None)
    with pytest.raises(InputError, match=r"must be package\.module:factory"):
        foreign_model("resnet50", weights=None)

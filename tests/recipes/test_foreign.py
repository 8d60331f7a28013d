"""Foreign models: names of zoos with their normalisation, weights from safe files, data sets."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import nn

from vicinal import models
from vicinal._checks import InputError
from vicinal.recipes import foreign

MEAN, STD = (0.5, 0.25, 0.75), (0.5, 0.5, 0.25)


def _net(num_classes: int = 7) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * 4 * 4, num_classes))


def _torchvision() -> ModuleType:
    """Stand in for torchvision.models, by the functions that it documents."""
    module: Any = ModuleType("torchvision.models")
    preset = SimpleNamespace(mean=list(MEAN), std=list(STD))
    weights = SimpleNamespace(DEFAULT=SimpleNamespace(transforms=lambda: preset))
    # Without its argument: nets that find boxes too, which are none of classification's.
    module.list_models = lambda module=None: ["net", "other"] if module else ["net", "boxes"]
    module.get_model_weights = lambda name: weights
    module.get_model = lambda name, weights, **config: _net(**config)
    return module  # type: ignore[no-any-return]


def _timm() -> ModuleType:
    module: Any = ModuleType("timm")
    module.list_models = lambda: ["net"]
    module.create_model = lambda name, pretrained, **config: _net(**config)
    told = {"mean": MEAN, "std": STD, "input_size": (3, 4, 4)}
    module.data = SimpleNamespace(resolve_model_data_config=lambda net: told)
    return module  # type: ignore[no-any-return]


@pytest.fixture
def zoos(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchvision", ModuleType("torchvision"))
    monkeypatch.setitem(sys.modules, "torchvision.models", _torchvision())
    monkeypatch.setitem(sys.modules, "timm", _timm())


@pytest.mark.usefixtures("zoos")
@pytest.mark.parametrize(
    ("name", "classes"),
    [("torchvision/net", 7), ("timm/net.tag_in1k", 7), ("timm/net(num_classes=3)", 3)],
)
def test_a_net_of_a_zoo_normalises_inside(tmp_path: Path, name: str, classes: int) -> None:
    bare, file = _net(classes), tmp_path / "net.safetensors"
    safetensors.torch.save_file(bare.state_dict(), file)
    model = foreign.from_zoo(name, weights=file)
    x = torch.rand(5, 3, 4, 4)
    mean, std = (torch.tensor(one).view(3, 1, 1) for one in (MEAN, STD))
    torch.testing.assert_close(model(x), bare((x - mean) / std))


@pytest.mark.usefixtures("zoos")
@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("torchvision/nut", "Did you mean net"),
        ("timn/net", "Did you mean timm"),
        ("timm/net(3)", "keyword arguments"),
        ("torchvision/boxes", "`model` must be net . other; got .boxes"),
        ("torchvision/net(num_clases=3)", "net cannot be built so: .*num_clases"),
        ("timm/net(num_classes=three)", "net cannot be built so"),
        ("torchvision/net(weights=DEFAULT)", "must not be given weights: nothing is downloaded"),
        ("timm/net(pretrained=True)", "must not be given pretrained"),
        ("timm/net(checkpoint_path='net.pth')", "must not be given checkpoint_path"),
    ],
)
def test_a_name_that_nobody_knows_is_one_sentence(tmp_path: Path, name: str, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        foreign.from_zoo(name, weights=tmp_path / "none.safetensors")


@pytest.mark.usefixtures("zoos")
def test_a_net_without_weights_is_refused() -> None:
    with pytest.raises(InputError, match="nothing is downloaded"):
        foreign.from_zoo("timm/net", weights=None)


def test_lazy_layers_without_weights_are_refused() -> None:
    with pytest.raises(InputError, match="lazy layers without any"):
        foreign.filled(nn.Sequential(nn.Flatten(), nn.LazyLinear(10)), None)


def test_a_zoo_that_is_not_there_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(InputError, match="pip install timm"):
        foreign.from_zoo("timm/net", weights=Path("net.safetensors"))


def test_a_zoo_of_another_torch_is_not_told_to_be_installed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(name: str) -> ModuleType:
        raise RuntimeError(f"operator {name}::nms does not exist")

    monkeypatch.setattr(importlib, "import_module", broken)
    with pytest.raises(InputError, match="that was built for this torch, CPU or CUDA alike"):
        foreign.from_zoo("torchvision/net", weights=Path("net.safetensors"))


def test_weights_come_from_files_that_run_no_code(tmp_path: Path) -> None:
    net = _net()
    torch.save(net.state_dict(), tmp_path / "net.pth")
    with pytest.raises(InputError, match="a pickle, which may run code"):
        foreign.filled(net, tmp_path / "net.pth")
    (tmp_path / "net.safetensors").write_bytes((tmp_path / "net.pth").read_bytes())
    with pytest.raises(InputError, match="cannot be read as safetensors"):
        foreign.filled(net, tmp_path / "net.safetensors")
    assert not foreign.filled(net.train(), None).training


def test_a_job_is_over_the_test_images_and_says_what_was_judged(tmp_path: Path) -> None:
    file = tmp_path / "net.safetensors"
    net = models.digits_net(width=4)
    safetensors.torch.save_file(net.state_dict(), file)
    laid = foreign.job_of(
        net, name="a:net", dataset="digits", folder=tmp_path, n=10**6, weights=file, device="cpu"
    )
    assert len(laid.few) == len(laid.whole) == 500
    assert laid.num_classes == 10
    assert (laid.facts["model"], laid.facts["dataset"]) == ("a:net", "digits")
    assert len(laid.facts["weights"]) == 64
    assert [len(y) for _, y in laid.batches(laid.few)] == [128, 128, 128, 116]


def test_an_attack_takes_the_radius_of_the_threat_model() -> None:
    budget = foreign.budget_of(0.1)
    (name,) = foreign.attacks_of(["pgd"], budget=budget)
    assert name == "pgd(eps=0.1, step_size=0.025, steps=20)"
    with pytest.raises(InputError, match="must say its budget"):
        foreign.attacks_of(["fgsm"], budget=None)
    with pytest.raises(
        InputError, match="it searches in l2, and the budget at hand is one in linf"
    ):
        foreign.attacks_of(["pgd(norm=l2)"], budget=budget)
    (name,) = foreign.attacks_of(["pgd(norm=l2)"], budget=budget, norm="l2")
    assert name == "pgd(eps=0.1, step_size=0.025, steps=20, norm=l2)"


def test_arguments_after_a_name_are_read_and_refused_as_those_of_a_model() -> None:
    assert foreign.arguments_of("mynet:net") == {}
    assert foreign.arguments_of("timm/resnet18(num_classes=10)") == {"num_classes": 10}
    for text in ("mynet:net(width=", "mynet:net(3)", "torchvision/resnet18(", "a:b(width=1/0)"):
        with pytest.raises(InputError, match=r"^`model` .*\(width=16\)'\.$") as refused:
            foreign.arguments_of(text)
        assert "pgd" not in str(refused.value)

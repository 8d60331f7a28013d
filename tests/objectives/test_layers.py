"""Names of layers: which module a name means, which are the stages, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

import laws
from vicinal import models
from vicinal._checks import InputError
from vicinal.objectives.layers import find_layers, names_of_layers


class Wrapper(nn.Module):
    """As DistributedDataParallel and DataParallel name it."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module


NETS: list[tuple[str, nn.Module, list[str]]] = [
    ("preactresnet18", models.preactresnet18(width=2), [f"features.stage{i}" for i in range(1, 5)]),
    ("vgg16", models.vgg16(width=2), [f"features.stage{i}" for i in range(1, 6)]),
    ("wide_resnet", models.wide_resnet(10, 1), [f"features.stage{i}" for i in range(1, 4)]),
    ("resnet50", models.resnet50(width=2), [f"layer{i}" for i in range(1, 5)]),
    ("resnext50", models.resnext50(width=32), [f"layer{i}" for i in range(1, 5)]),
    ("digits_net", models.digits_net(width=2), [f"features.stage{i}" for i in range(1, 4)]),
]


@pytest.mark.parametrize(("name", "net", "stages"), NETS)
def test_the_default_is_the_input_and_the_stages(
    name: str, net: nn.Module, stages: list[str]
) -> None:
    del name
    expected = [None, *map(net.get_submodule, stages)]
    assert find_layers(net, None) == expected
    assert find_layers(Wrapper(net), None) == expected
    assert find_layers(models.normalized(net, (0.5,), (0.5,)), None) == expected
    assert find_layers(net, ("input", *stages)) == expected


def test_every_net_of_the_table_has_stages() -> None:
    assert {name for name, *_ in NETS} == set(models.MODELS) - {"resnet101", "resnet152"}
    with torch.device("meta"):
        assert len(find_layers(models.resnet152(), None)) == 5


def test_a_stage_inside_a_stage_is_not_one_more() -> None:
    inner = nn.ModuleDict({"layer1": nn.Identity(), "layer10": nn.Identity()})
    net = nn.ModuleDict({"layer1": inner, "layer10": nn.Identity(), "player2": nn.Identity()})
    assert find_layers(net, None) == [None, net["layer1"], net["layer10"]]


def test_exact_names_come_first_and_the_input_has_two_names() -> None:
    inner = nn.Sequential(nn.Flatten(), nn.ReLU())
    net = nn.Sequential(inner, nn.Tanh())
    assert find_layers(net, ("1", "0.1", "", "input")) == [net[1], inner[1], None, None]


def test_the_front_of_a_name_may_be_left_out_where_the_rest_is_clear() -> None:
    net = models.preactresnet18(width=2)
    wrapped = Wrapper(nn.Sequential(nn.Identity(), net))
    for name in ("stage2", "features.stage2", "stage2.0.conv1"):
        expected = net.get_submodule(name if name.startswith("features") else f"features.{name}")
        assert find_layers(wrapped, (name,)) == find_layers(net, (name,)) == [expected]
    # Of several modules the outermost, where it is one: so a wrapped net keeps its names.
    nested = nn.Sequential(nn.Sequential(nn.Flatten(), nn.ReLU()), nn.Tanh())
    assert find_layers(Wrapper(nested), ("1",)) == [nested[1]]


def test_a_module_with_two_names_answers_to_both() -> None:
    shared = nn.Linear(4, 4)
    net = nn.ModuleDict({"a": shared, "b": shared})
    assert find_layers(net, ("a", "b")) == [shared, shared]


@pytest.mark.parametrize(
    ("name", "phrases"),
    [
        ("stag1", ["'stag1'", "Did you mean features.stage1 "]),
        ("features.stage9", ["'features.stage9'", "Did you mean features.stage"]),
        ("stage1.0.cnv1", ["Did you mean features.stage1.0.conv1"]),
        ("inputs", ["Did you mean input"]),
        ("conv1", ["stage1.0.conv1 or features.stage1.1.conv1", "in full"]),
        ("transformer", ["Known: input, normalize, features, head"]),
    ],
)
def test_a_name_that_is_nobodys_or_many_peoples_is_one_sentence(
    name: str, phrases: list[str]
) -> None:
    with pytest.raises(InputError) as caught:
        find_layers(models.preactresnet18(width=2), ("input", name))
    laws.assert_one_line(caught.value, "`layers`", *phrases)


def test_a_model_without_stages_asks_for_names() -> None:
    for net, example in ((nn.Sequential(nn.Flatten()), "'0'"), (nn.Flatten(), "'input'")):
        with pytest.raises(InputError) as caught:
            find_layers(net, None)
        laws.assert_one_line(caught.value, type(net).__name__, "stage1", "layer1", example)


@pytest.mark.parametrize("names", ["layer1", (), [], ("input", 1), 3, (b"x",)])
def test_names_are_a_tuple_of_words(names: Any) -> None:
    with pytest.raises(InputError) as caught:
        names_of_layers(names)
    hint = ["Did you mean ('layer1',)?"] if names == "layer1" else []
    laws.assert_one_line(caught.value, "`layers`", "tuple", repr(names), *hint)


def test_a_list_of_words_is_such_a_tuple() -> None:
    assert names_of_layers(["input", "0"]) == names_of_layers(("input", "0")) == ("input", "0")

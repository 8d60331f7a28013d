"""A RobustBench entry holds the four fields, and only AutoAttack's standard version makes one."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch

from nets import smooth_net
from vicinal import attacks
from vicinal._checks import InputError
from vicinal.evaluation import evaluate
from vicinal.evaluation.robustbench import robustbench


def _records(*chosen: Any) -> list[dict[str, Any]]:
    model, x = smooth_net(dtype=torch.float32), torch.rand(8, 3, 4, 4)
    with torch.no_grad():
        y = model(x).argmax(dim=1)
    return evaluate(model, (x, y), attacks=chosen, rng=torch.Generator()).records


def test_the_fields_are_those_of_its_model_files() -> None:
    eps = 128 / 255
    found = _records(attacks.FGSM(eps=eps), attacks.AutoAttack(eps=eps))
    entry = robustbench(found, additional_data=True)
    assert entry["clean_acc"] == "100.00"
    assert entry["autoattack_acc"] == f"{100 * found[2]['accuracy']:.2f}"
    assert (entry["eps"], entry["additional_data"], entry["norm"]) == ("128/255", True, "Linf")
    assert json.loads(json.dumps(entry)) == entry


def test_a_radius_in_l2_is_no_fraction() -> None:
    record = {"attack": "aa", "accuracy": 0.5, "clean_accuracy": 1.0, "n": 2}
    given = {"class": "AutoAttack", "version": "standard", "norm": "l2", "eps": 0.5}
    entry = robustbench([{**record, "parameters": given}])
    assert (entry["eps"], entry["norm"], entry["autoattack_acc"]) == ("0.5", "L2", "50.00")


@pytest.mark.parametrize(
    "chosen",
    [
        (attacks.FGSM(eps=0.1),),
        (attacks.AutoAttack(eps=0.1, attacks={"fgsm": attacks.FGSM(eps=0.1)}),),
    ],
)
def test_anything_less_than_the_standard_version_is_refused(chosen: tuple[Any, ...]) -> None:
    with pytest.raises(InputError, match="AutoAttack's standard version once; it is there 0 times"):
        robustbench(_records(*chosen))

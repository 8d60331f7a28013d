"""Norms of input gradients as cells: against a loop in [-1, 1], and BAT's table 2 on digits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from vicinal import campaigns, data, records
from vicinal.campaigns.gradient_norms import NORMS, Gradients, measure_norms, norm_in
from vicinal.recipes import load

X, Y = torch.rand(12, 3, 8, 8), torch.arange(12) % 3
GROUPS = {"all": {True, False}, "correct": {True}, "wrong": {False}}


def net() -> nn.Module:
    torch.manual_seed(3)
    return nn.Sequential(nn.Flatten(), nn.Linear(192, 16), nn.ReLU(), nn.Linear(16, 3)).eval()


def loop(model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> list[tuple[float, bool]]:
    """Squared norms image by image, by the gradient at pixels that do lie in [-1, 1]."""
    found = []
    for image, label in zip(x, y, strict=True):
        scaled = (2 * image[None] - 1).requires_grad_()
        z = model((scaled + 1) / 2)
        (gradient,) = torch.autograd.grad(nn.functional.cross_entropy(z, label[None]), scaled)
        found.append((float(gradient.double().square().sum()), int(z.argmax()) == int(label)))
    return found


def assert_agree(record: dict[str, Any], wanted: list[tuple[float, bool]]) -> None:
    for group, belongs in GROUPS.items():
        norms = [norm for norm, right in wanted if right in belongs]
        assert norms
        own = {"min": min(norms), "mean": sum(norms) / len(norms), "max": max(norms)}
        for name, value in own.items():
            metric = f"squared_l2_input_gradient_{name}"
            found = norm_in(record, metric, condition=f"{group} test images")
            assert found == pytest.approx(value, rel=1e-4)


def test_a_measurement_is_a_loop_over_images_in_the_papers_pixels() -> None:
    found = measure_norms(net(), [(X[:5], Y[:5]), (X[5:], Y[5:])])
    assert_agree(found, loop(net(), X, Y))
    assert found["attack"] == NORMS == "input_gradients(loss=ce)"
    assert found["pixel_scale"] == "pixels scaled to [-1, 1]"
    assert (found["n"], found["forward"], found["backward"]) == (12, 12, 12)


def test_a_measurement_costs_one_forward_and_one_backward_pass() -> None:
    model, seen = net(), {"forward": 0, "backward": 0}
    model.register_forward_hook(lambda *_: seen.update(forward=seen["forward"] + 1))
    model[0].register_full_backward_hook(  # type: ignore[index]
        lambda *_: seen.update(backward=seen["backward"] + 1)
    )
    measure_norms(model, [(X, Y)])
    assert seen == {"forward": 1, "backward": 1}
    assert Gradients()(net(), X, Y).passes == (1, 1)


def test_a_mean_over_no_image_is_no_number(tmp_path: Path) -> None:
    right = net()(X).argmax(dim=1)
    record = measure_norms(net(), [(X, right)])
    records.append(tmp_path / "results.jsonl", record)
    (read,) = records.read(tmp_path / "results.jsonl")
    metric = "squared_l2_input_gradient_mean"
    assert norm_in(read, metric, condition="wrong test images") is None
    assert norm_in(read, metric, condition="correct test images") is not None
    assert norm_in({}, metric, condition="all test images") is None


def test_bats_table_2_is_measured_on_digits_once(tmp_path: Path, tiny: dict[str, Any]) -> None:
    few: dict[str, Any] = {"scale": "smoke", "seeds": 1, "out": tmp_path, "overrides": tiny}
    found = campaigns.reproduce("bat/table-2", **few)
    cells = [record for record in found.records if record["kind"] == "cell"]
    assert {(cell["key"], cell["status"]) for cell in cells} == {("erm", "ok"), ("pgd-7-2", "ok")}
    assert len(cells) == 18
    test, folder = data.load("digits").test, found.folders[0] / "erm-seed0"
    norms = loop(load(folder), test.x.float() / 255, test.y)
    (record,) = records.read(folder / "results.jsonl")
    assert_agree(record, norms)
    for cell in (cell for cell in cells if cell["key"] == "erm"):
        own = norm_in(record, cell["metric"], condition=cell["condition"])
        assert (cell["mean"], cell["images"], cell["decimals"]) == (own, 500, 1)
    again = campaigns.reproduce("bat/table-2", **few)
    assert again.records[1:] == [{**r, "command": again.records[1]["command"]} for r in cells]
    assert len(records.read(folder / "results.jsonl")) == 1

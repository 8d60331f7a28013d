"""What does not fit is refused in one sentence, what weakens attacks is a warning, each by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from counting import Counted
from laws import assert_model_unchanged
from nets import CLASSES, smooth_net, stateful_net
from vicinal._checks import InputError
from vicinal.attacks import FGSM
from vicinal.evaluation import Ledger, evaluate
from vicinal.evaluation.preflight import (
    Finding,
    TooFewOutputs,
    guessing,
    off_simplex,
    preflight,
    simplex_slack,
)
from vicinal.metrics import wilson
from vicinal.models import digits_net


def _data(n: int = 6) -> tuple[Tensor, Tensor]:
    return torch.rand(n, 3, 4, 4), torch.arange(n) % CLASSES


def _net(*more: nn.Module) -> nn.Module:
    return nn.Sequential(smooth_net(dtype=torch.float32), *more).eval()


def _found(model: nn.Module, **kwargs: Any) -> dict[str, Finding]:
    return {finding.check: finding for finding in preflight(model, *_data(), **kwargs)}


def _warned(model: nn.Module, **kwargs: Any) -> set[str]:
    return {name for name, finding in _found(model, **kwargs).items() if finding.state == "warn"}


class _Noise(nn.Module):
    def forward(self, z: Tensor) -> Tensor:
        return z + torch.randn_like(z)


class _ByBatch(nn.Module):
    def forward(self, z: Tensor) -> Tensor:
        return z - z.mean(dim=0)


def test_a_sound_model_passes_every_check() -> None:
    found = _found(_net(), num_classes=CLASSES)
    names = ["range", "dtype", "device", "shape", "classes", "mode", "outputs", "determinism"]
    assert list(found) == [*names, "batch"]
    assert {finding.state for finding in found.values()} == {"ok"}
    assert all(set(finding.record) == {"check", "state", "words"} for finding in found.values())


@pytest.mark.parametrize(
    ("model", "check", "words"),
    [
        (_net(nn.Softmax(dim=1)), "outputs", "Take the softmax off"),
        (_net(_Noise()), "determinism", "draws at random"),
        (_net(_ByBatch()), "batch", "depends on the batch size"),
        (_net().train(), "mode", "train mode"),
    ],
)
def test_what_weakens_attacks_is_a_warning_of_its_check_alone(
    model: nn.Module, check: str, words: str
) -> None:
    assert _warned(model) == {check}
    assert words in _found(model)[check].words


class _Half(nn.Module):
    def forward(self, z: Tensor) -> Tensor:
        return z.bfloat16().float()


def test_a_softmax_in_bfloat16_is_a_softmax() -> None:
    net = _net(nn.Softmax(dim=1), _Half())
    x, y = _data(16)
    sums = net(x).sum(dim=1)
    assert (sums - 1).abs().max() > 1e-3
    found = {finding.check: finding for finding in preflight(net, x, y)}
    assert found["outputs"].state == "warn"


def test_how_far_outputs_are_from_probabilities() -> None:
    rows = torch.tensor([[0.5, 0.5], [0.7, 0.4], [1.25, 0.0], [0.0, 0.5]])
    assert [round(off_simplex(row[None]), 6) for row in rows] == [0.0, 0.1, 0.25, 0.5]
    assert off_simplex(rows) == 0.5
    assert off_simplex(torch.tensor([[1.001, -0.001]])) == float("inf")
    assert simplex_slack(7) < 0.004 < simplex_slack(8)


def test_logarithms_of_probabilities_are_as_good_as_logits() -> None:
    found = _found(_net(nn.LogSoftmax(dim=1)))["outputs"]
    assert found.state == "ok"
    assert "logarithms" in found.words


def test_more_outputs_than_classes_is_a_warning_and_fewer_are_refused() -> None:
    assert _warned(_net(), num_classes=CLASSES - 1) == {"classes"}
    with pytest.raises(InputError, match=r"each of the data's 9 classes; it has 5"):
        preflight(_net(), *_data(), num_classes=9)


def test_classes_that_the_model_has_no_outputs_for_are_told_of_the_data_not_of_a_label() -> None:
    x, y = _data()
    for labels in (y, y + 1):
        with pytest.raises(TooFewOutputs, match="each of the data's 9 classes") as refused:
            preflight(_net(), x, labels, num_classes=9)
        assert (refused.value.outputs, refused.value.classes) == (CLASSES, 9)


def test_guessing_is_an_interval_around_one_in_k() -> None:
    for k in (2, 10, 100):
        for correct in range(0, 201, 3):
            low, high = wilson(correct, 200)
            found = guessing(correct, 200, num_classes=k)
            assert (found is not None) == (low <= 1 / k <= high)
    assert guessing(9, 99, num_classes=10) is None
    told = guessing(996, 10_000, num_classes=10)
    assert told is not None
    assert told.words == "clean accuracy 9.96 % is that of guessing; is the model trained?"


def test_the_clean_record_says_that_a_model_guesses() -> None:
    x, y = _data(100)
    net = _net().requires_grad_(False)
    for weight in net.parameters():
        weight.zero_()
    counted = Counted(net)
    clean, attacked = evaluate(counted, (x, y), attacks=[FGSM(eps=0.1)]).records
    assert [one["check"] for one in clean["preflight"]] == ["outputs", "guessing"]
    assert clean["preflight"][1]["state"] == "warn"
    assert "preflight" not in attacked
    (only,) = evaluate(net, (x, 0 * y)).records[0]["preflight"]
    assert only["check"] == "outputs"


def test_images_divided_twice_are_suspected() -> None:
    x, y = _data()
    (found,) = [one for one in preflight(_net(), x / 255, y) if one.check == "range"]
    assert found.state == "warn"
    assert "divided by 255 twice" in found.words


@pytest.mark.parametrize(
    ("change", "model", "sentence"),
    [
        (lambda x, y: (255 * x, y), None, "x / 255"),
        (lambda x, y: (2 * x - 1, y), None, "put the normalisation inside"),
        (lambda x, y: (x, y + 1), None, r"classes in 0\.\.4"),
        (lambda x, y: (x[:, :1], y), None, r"must take images of shape \(6, 1, 4, 4\)"),
        (lambda x, y: (x, y), "half", r"got torch.float16. Did you mean model.float\(\)\?"),
        (lambda x, y: (x, y), "meta", "must lie on one device"),
        (lambda x, y: (x, y), "partly meta", "they lie on cpu and meta"),
    ],
)
def test_what_makes_every_number_wrong_is_one_sentence(
    change: Any, model: str | None, sentence: str
) -> None:
    net = _net()
    if model == "half":
        net = net.half()
    elif model == "meta":
        net = net.to("meta")
    elif model == "partly meta":
        net.register_buffer("mean", torch.zeros(1, device="meta"))
    with pytest.raises(InputError, match=sentence) as raised:
        preflight(net, *change(*_data()))
    assert len(str(raised.value).splitlines()) == 1


def test_an_evaluation_says_so_too() -> None:
    x, y = _data()
    with pytest.raises(InputError, match=r"must take images of shape \(6, 1, 4, 4\)"):
        evaluate(_net(), (x[:, :1], y))
    with pytest.raises(InputError, match="must lie on one device"):
        evaluate(_net().to("meta"), (x, y))


def test_it_leaves_the_model_alone_and_takes_three_passes_of_a_few_images() -> None:
    model = stateful_net()
    with assert_model_unchanged(model):
        preflight(model, *_data())
    counted = Counted(_net())
    preflight(counted, *_data(40))
    assert counted.forward_images == 16 + 16 + 1


def test_an_evaluation_warns_of_a_softmax_without_another_pass() -> None:
    x, y = _data(40)
    counted = Counted(_net(nn.Softmax(dim=1)))
    with pytest.warns(UserWarning, match="softmax is inside") as caught:
        results = evaluate(counted, [(x[:30], y[:30]), (x[30:], y[30:])])
    assert [Path(one.filename) for one in caught] == [Path(__file__)]
    assert counted.forward_images == 40
    by_hand = {one.check: one for one in preflight(counted, x, y)}["outputs"]
    assert results.records[0]["preflight"] == [by_hand.record]
    (found,) = evaluate(_net(), (x, y)).records[0]["preflight"]
    assert (found["check"], found["state"]) == ("outputs", "ok")


def test_with_a_ledger_the_warning_is_left_to_who_keeps_it(tmp_path: Path) -> None:
    rng = torch.Generator().manual_seed(0)
    net = _net(nn.Softmax(dim=1))
    results = evaluate(net, _data(), rng=rng, ledger=Ledger(folder=tmp_path / "kept"))
    assert results.records[0]["preflight"][0]["state"] == "warn"


def test_the_first_image_that_is_off_is_named() -> None:
    x, y = _data(40)
    x[33, 0, 1, 1] = torch.nan
    with pytest.raises(InputError, match="The first is image 33, counted from 0"):
        evaluate(_net(), [(x[:30], y[:30]), (x[30:], y[30:])])
    with pytest.raises(InputError, match="The first is image 3, counted from 0"):
        preflight(_net(), x[30:], y[30:])


def test_a_model_of_other_channels_is_told_beside_the_images() -> None:
    sentence = r"model must take images of shape \(6, 3, 8, 8\).* it failed: .* \(N, 1, H, W\)"
    with pytest.raises(InputError, match=sentence):
        preflight(digits_net(width=4), torch.rand(6, 3, 8, 8), torch.arange(6))

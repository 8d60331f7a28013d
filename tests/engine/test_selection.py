"""The best epoch: which one it is, that its weights come out, and that a resume remembers it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from engine.tiny_run import (
    EPOCHS,
    outcome,
    same_weights,
    tiny_net,
    tiny_run,
    weights_of,
)
from vicinal._checks import InputError
from vicinal._typing import Model
from vicinal.engine import load_weights
from vicinal.engine.checkpoint import load
from vicinal.engine.selection import Best


class Scores:
    """A validation that gives each epoch its score and remembers what it was shown."""

    def __init__(self, *scores: float) -> None:
        self.scores = scores
        self.weights: list[dict[str, torch.Tensor]] = []

    def __call__(self, model: Model, epoch: int) -> dict[str, Any]:
        assert not model.training
        self.weights.append(weights_of(model))
        return {"score": self.scores[epoch - 1], "clean": 0.5}


@pytest.mark.parametrize(
    ("scores", "best"),
    [((0.3, 0.2, 0.1), 1), ((0.1, 0.3, 0.2), 2), ((0.1, 0.2, 0.3), 3), ((0.2, 0.3, 0.3), 2)],
)
@pytest.mark.parametrize("ema", [None, 0.9])
def test_the_weights_are_those_of_the_best_epoch_and_of_ties_the_earlier(
    tmp_path: Path, scores: tuple[float, ...], best: int, ema: float | None
) -> None:
    validate, model = Scores(*scores), tiny_net()
    options: dict[str, Any] = {"validate": validate, "select": "best", "ema": ema}
    records = list(tiny_run(tmp_path, model=model, **options))
    assert [record["score"] for record in records] == list(scores)
    assert [record["clean"] for record in records] == [0.5] * EPOCHS
    for name, epoch in (("weights", best), ("last", EPOCHS)):
        written = tiny_net(seed=5)
        load_weights(tmp_path / f"{name}.safetensors", written)
        assert same_weights(weights_of(written), validate.weights[epoch - 1])
    assert same_weights(weights_of(model), validate.weights[best - 1])


def test_a_run_selecting_the_best_trains_as_any_other(tmp_path: Path) -> None:
    list(tiny_run(tmp_path / "plain"))
    options: dict[str, Any] = {"validate": Scores(0.3, 0.2, 0.1), "select": "best"}
    list(tiny_run(tmp_path / "best", **options))
    plain, best = (load(tmp_path / name / "checkpoint.pt") for name in ("plain", "best"))
    assert same_weights(plain["model"], best["model"])


def test_with_an_average_the_average_is_judged() -> None:
    validate, plain = Scores(0.1, 0.2, 0.3), Scores(0.1, 0.2, 0.3)
    list(tiny_run(None, validate=validate, ema=0.9))
    list(tiny_run(None, validate=plain))
    assert not same_weights(validate.weights[0], plain.weights[0])


@pytest.mark.parametrize("cut_after", [1, 2])
@pytest.mark.parametrize("scores", [(0.3, 0.1, 0.2), (0.1, 0.3, 0.2), (0.2, 0.2, 0.2)])
def test_a_resumed_run_remembers_the_best_and_the_average(
    tmp_path: Path, scores: tuple[float, ...], cut_after: int
) -> None:
    options: dict[str, Any] = {"select": "best", "ema": 0.9, "accumulate": 2}
    list(tiny_run(tmp_path / "whole", validate=Scores(*scores), **options))
    steps = tiny_run(tmp_path / "cut", validate=Scores(*scores), **options)
    for _ in range(cut_after):
        next(steps)
    del steps
    again = {**options, "model": tiny_net(seed=4), "validate": Scores(*scores)}
    assert len(list(tiny_run(tmp_path / "cut", **again))) == EPOCHS - cut_after
    assert outcome(tmp_path / "cut") == outcome(tmp_path / "whole")
    last = "last.safetensors"
    assert (tmp_path / "cut" / last).read_bytes() == (tmp_path / "whole" / last).read_bytes()


def test_lost_weights_of_a_finished_run_are_the_best_ones_again(tmp_path: Path) -> None:
    options: dict[str, Any] = {"select": "best", "validate": Scores(0.3, 0.1, 0.2)}
    list(tiny_run(tmp_path, **options))
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    (tmp_path / "weights.safetensors").unlink()
    model = tiny_net(seed=5)
    assert list(tiny_run(tmp_path, model=model, **options)) == []
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    written = tiny_net(seed=6)
    load_weights(tmp_path / "weights.safetensors", written)
    assert same_weights(weights_of(written), weights_of(model))


def test_a_validation_that_draws_changes_neither_the_training_nor_its_callers_generator() -> None:
    def draws(model: Model, epoch: int) -> dict[str, Any]:
        del model, epoch
        return {"drawn": float(torch.rand(1))}

    plain, judged = tiny_net(), tiny_net()
    before = torch.get_rng_state()
    list(tiny_run(None, model=plain))
    drawn = [record["drawn"] for record in tiny_run(None, model=judged, validate=draws)]
    assert torch.equal(torch.get_rng_state(), before)
    assert len(set(drawn)) == 1, "every epoch is judged with the same draws"
    assert same_weights(weights_of(plain), weights_of(judged))


def test_the_best_without_a_validation_is_one_sentence_before_anything_is_written(
    tmp_path: Path,
) -> None:
    rule = r"^`select` can be 'best' only with `validate`, [^\n]*\?$"
    with pytest.raises(InputError, match=rule):
        list(tiny_run(tmp_path / "run", select="best"))
    assert not (tmp_path / "run").exists()
    with pytest.raises(InputError, match=r"^`select` must be last \| best; got 'first'"):
        list(tiny_run(None, select="first"))


@pytest.mark.parametrize("found", [{"clean": 0.5}, {"score": float("nan")}, {"score": "high"}])
def test_a_record_without_a_score_is_one_sentence(found: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"^[^\n]*score[^\n]*$"):
        list(tiny_run(None, select="best", validate=lambda _model, _epoch: found))


def test_the_best_is_a_copy_that_later_steps_do_not_move() -> None:
    net, best = tiny_net(), Best()
    best.see(net, {"epoch": 1, "score": 0.5})
    kept = weights_of(net)
    with torch.no_grad():
        for weight in net.parameters():
            weight.add_(1.0)
    assert same_weights(best.weights, kept)

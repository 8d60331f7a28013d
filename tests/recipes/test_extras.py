"""What a job looks at beside its attacks becomes records with the job's facts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from counting import Counted
from vicinal import models
from vicinal._checks import InputError
from vicinal._typing import Passes
from vicinal.recipes import extras, foreign, job


def _job(folder: Path) -> job.Job:
    torch.manual_seed(0)
    net = models.digits_net(width=4)
    return foreign.job_of(net, name="net", dataset="digits", folder=folder, n=12)


def test_curves_gradients_and_the_verdict_become_records(tmp_path: Path) -> None:
    wanted = extras.Extras(
        eps=0.05, verdict=True, curves=["eps", "steps", "restarts"], gradients=True, images=4
    )
    laid = _job(tmp_path)
    found = {kind: look(laid) for kind, look in wanted.wanted.items()}
    assert list(found) == ["verdict", "curve", "input_gradients"]
    assert {record["kind"] for each in found.values() for record in each} == set(found)
    (verdict,) = found["verdict"]
    assert (verdict["n"], verdict["threat"]) == (4, "linf 0.05")
    assert [record["over"] for record in found["curve"]] == ["eps", "steps", "restarts"]
    for record in found["curve"]:
        shares = [point["accuracy"] for point in record["points"]]
        assert shares == sorted(shares, reverse=True)
        assert record["points"][0]["n"] == 12
    assert [record["loss"] for record in found["input_gradients"]] == ["ce", "margin"]
    assert all("[-1, 1]" in record["pixel_scale"] for record in found["input_gradients"])
    assert wanted.found.verdict is not None
    assert len(wanted.found.curves) == 3


def test_nothing_is_looked_at_that_is_not_wanted() -> None:
    assert extras.Extras(eps=0.1).wanted == {}
    with pytest.raises(InputError, match="`curve` must be eps"):
        extras.Extras(eps=0.1, curves=["epochs"])


def test_costs_are_the_passes_of_images_that_nothing_breaks(tmp_path: Path) -> None:
    laid = _job(tmp_path)
    x, _ = next(iter(laid.batches(laid.few)))
    right = laid.model(x).argmax(dim=1)
    counted = Counted(laid.model)
    own = replace(laid, model=counted, batches=lambda _: [(x, right)])  # type: ignore[arg-type,return-value]
    wanted = extras.Extras(eps=1e-6, curves=["steps", "restarts"], gradients=True)
    costs = wanted.costs(n=len(laid.few))
    assert list(costs) == ["curve over steps", "curve over restarts", "input gradients"]
    wanted.wanted["input_gradients"](own)
    spent = Passes(counted.forward_images // 12, counted.backward_images // 12)
    assert costs["input gradients"] == (12, spent)
    for word in ("steps", "restarts"):
        counted = Counted(laid.model)
        extras.Extras(eps=1e-6, curves=[word]).wanted["curve"](replace(own, model=counted))
        n, passes = costs[f"curve over {word}"]
        assert (n, 12 * passes.backward) == (12, counted.backward_images)
        assert 0 <= 12 * passes.forward - counted.forward_images <= 2 * 12

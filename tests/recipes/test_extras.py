"""What a job looks at beside its attacks becomes records with the job's facts."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from vicinal import models
from vicinal._checks import InputError
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

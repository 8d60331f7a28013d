"""What a job looks at beside its attacks becomes records with the job's facts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from counting import Counted
from vicinal import models, records
from vicinal._checks import InputError
from vicinal._typing import Passes
from vicinal.attacks import FGSM, AutoAttack
from vicinal.attacks.result import Result
from vicinal.evaluation import Ledger
from vicinal.evaluation.trials import trials
from vicinal.recipes import extras, foreign, job


def _job(folder: Path) -> job.Job:
    torch.manual_seed(0)
    net = models.digits_net(width=4)
    return foreign.job_of(net, name="net", dataset="digits", folder=folder, n=12)


def _long(folder: Path, **asked: Any) -> job.Job:
    """A job in two batches whose time goes into a verdict, or into curves."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = models.digits_net(width=2)
    laid = foreign.job_of(net, name="net", dataset="digits", folder=folder, n=6, batch_size=4)
    looks = extras.Extras(**{"eps": 0.05, "images": 6, **asked})
    return replace(laid, whole=laid.few, extras=looks.wanted)


VERDICT: dict[str, Any] = {"verdict": True, "gradients": True}
CURVES: dict[str, Any] = {"curves": ["steps", "eps", "restarts"]}


def _shorten(patch: pytest.MonkeyPatch) -> None:
    """Let long searches be short: only what is kept of them counts here."""

    def short(**asked: Any) -> Any:
        found: Any = trials(**asked)
        found["square"] = replace(found["square"], queries=20)
        return found | {name: replace(found[name], steps=10) for name in ("apgd-ce", "apgd-t")}

    # The room gives the function of that name.
    patch.setattr(sys.modules["vicinal.evaluation.verdict"], "trials", short)
    for name, number in {"_STEPS": 3, "_MANY": 5, "_RESTARTS": 2}.items():
        patch.setattr(extras, name, number)


@pytest.fixture
def shortened(monkeypatch: pytest.MonkeyPatch) -> None:
    _shorten(monkeypatch)


def _lines(folder: Path) -> list[dict[str, Any]]:
    """What stands in the file, without seconds and date."""
    found = records.read(folder / job.RESULTS)
    for record in found:
        record.pop("seconds", None)
        record["circumstances"].pop("date")
    return found


class _Killed(BaseException):
    """No handler of ours may catch it, as none can catch a power cut."""


Kept = list[tuple[str, str, int]]


class _Keeping:
    """Notes what a ledger keeps, and dies in the place of one call."""

    def __init__(self, patch: pytest.MonkeyPatch, *, at: int | None = None) -> None:
        self.kept: Kept = []
        keep = Ledger.keep

        def kept(ledger: Ledger, name: str, batch: int, *args: Any, **kwargs: Any) -> None:
            if at is not None and len(self.kept) == at:
                raise _Killed
            keep(ledger, name, batch, *args, **kwargs)
            self.kept.append((ledger.folder.name, name, batch))

        patch.setattr(Ledger, "keep", kept)


def _kept(laid: job.Job, *, at: int | None = None) -> Kept:
    """Do a job, or die in the place of a call of `Ledger.keep`; tell what was kept."""
    with pytest.MonkeyPatch.context() as patch:
        keeping = _Keeping(patch, at=at)
        job.run(laid)
    return keeping.kept


@pytest.mark.usefixtures("shortened")
@pytest.mark.parametrize(
    ("asked", "place"),
    [
        (VERDICT, ("verdict", "pgd twice", 1)),
        (CURVES, ("curve-steps", "steps", 1)),
        (CURVES, ("curve-eps", "eps 0.1", 0)),
        (CURVES, ("curve-restarts", "restarts", 1)),
    ],
)
def test_killed_within_a_verdict_or_a_curve_no_finished_batch_is_lost(
    tmp_path: Path, asked: dict[str, Any], place: tuple[str, str, int]
) -> None:
    kept = _kept(_long(tmp_path / "whole", **asked))
    at, folder = kept.index(place), tmp_path / "run"
    with pytest.raises(_Killed):
        _kept(_long(folder, **asked), at=at)
    assert not (folder / job.RESULTS).exists()
    assert _kept(_long(folder, **asked)) == kept[at:]
    assert _lines(folder) == _lines(tmp_path / "whole")
    assert [path.name for path in folder.iterdir()] == [job.RESULTS]


@pytest.mark.usefixtures("shortened")
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL")
def test_a_real_kill_within_a_curve(tmp_path: Path) -> None:
    kept = _kept(_long(tmp_path / "whole", **CURVES))
    place, folder = kept.index(("curve-eps", "eps 0.1", 0)), tmp_path / "run"
    code = (
        "import os, signal, sys\n"
        "sys.path[:0] = sys.argv[1].split(os.pathsep)\n"
        "from pathlib import Path\n"
        "from vicinal.evaluation import Ledger\n"
        "from vicinal.recipes import job\n"
        "from recipes.test_extras import CURVES, _long, _shorten, pytest\n"
        "_shorten(pytest.MonkeyPatch())\n"
        "keep, calls = Ledger.keep, []\n"
        "def kept(self, *args, **kwargs):\n"
        "    keep(self, *args, **kwargs)\n"
        "    calls.append(1)\n"
        "    if len(calls) == int(sys.argv[3]): os.kill(os.getpid(), signal.SIGKILL)\n"
        "Ledger.keep = kept\n"
        "job.run(_long(Path(sys.argv[2]), **CURVES))\n"
    )
    paths = os.pathsep.join([str(Path(__file__).parents[1]), *sys.path])
    words = [sys.executable, "-c", code, paths, str(folder), str(place + 1)]
    ran = subprocess.run(words, capture_output=True, text=True)
    assert ran.returncode == -signal.SIGKILL, ran.stderr
    assert _kept(_long(folder, **CURVES)) == kept[place + 1 :]
    assert _lines(folder) == _lines(tmp_path / "whole")


SEEN: list[int] = []
PART = FGSM(eps=0.05)


def _break_all(attack: AutoAttack, model: Any, x: Any, y: Any, **_: Any) -> Result:
    """Stand in for `AutoAttack.__call__`: break all, and note of how many images."""
    SEEN.append(len(x))
    found = FGSM(eps=attack.eps if attack.norm == "linf" else 1e-4)(model, x, y)
    return replace(found, success=torch.ones(len(x), dtype=torch.bool))


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    SEEN.clear()
    monkeypatch.setattr(AutoAttack, "__call__", _break_all)
    return SEEN


@pytest.mark.usefixtures("shortened")
@pytest.mark.parametrize("images", [6, 5, 2])
def test_the_autoattack_of_the_job_is_held_against_pgd_and_not_run_again(
    tmp_path: Path, images: int, seen: list[int]
) -> None:
    laid = _long(tmp_path, verdict=True, images=images)
    attacks: Any = {
        "small": AutoAttack(eps=0.01),
        "other": AutoAttack(eps=0.05, norm="l2"),
        "part": AutoAttack(eps=0.05, attacks=[PART]),
        "mine": AutoAttack(eps=0.05),
        "fgsm": FGSM(eps=0.05),
    }
    found = job.run(replace(laid, attacks=attacks)).records
    assert seen == 4 * [4] + 4 * [2]
    (verdict,) = [one for one in found if one["kind"] == "verdict"]
    checks = {one["name"]: one for one in verdict["checks"]}
    assert verdict["n"] == images
    assert verdict["trials"]["autoattack"]["accuracy"] == 0.0
    assert "PGD against AutoAttack" in checks


@pytest.mark.usefixtures("shortened", "seen")
def test_without_an_autoattack_in_this_ball_its_parts_are_named(tmp_path: Path) -> None:
    laid = _long(tmp_path, verdict=True)
    attacks: Any = {"small": AutoAttack(eps=0.01), "part": AutoAttack(eps=0.05, attacks=[PART])}
    found = job.run(replace(laid, attacks=attacks)).records
    (verdict,) = [one for one in found if one["kind"] == "verdict"]
    assert "autoattack" not in verdict["trials"]
    names = [one["name"] for one in verdict["checks"]]
    assert "PGD against parts of AutoAttack" in names


@pytest.mark.usefixtures("shortened")
def test_a_verdict_in_another_ball_finds_what_has_no_ball_alone(tmp_path: Path) -> None:
    other = {"verdict": True, "eps": 0.1}
    kept = _kept(_long(tmp_path / "whole", **other))
    with pytest.raises(_Killed):
        _kept(_long(tmp_path / "run", **VERDICT), at=len(kept) - 1)
    left = [one for one in kept if one[1] not in {"clean", "pgd unbounded"}]
    assert _kept(_long(tmp_path / "run", **other)) == left
    assert _lines(tmp_path / "run") == _lines(tmp_path / "whole")


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


@pytest.mark.usefixtures("shortened")
def test_records_cut_off_as_they_were_written_are_not_those_of_another_curve(
    tmp_path: Path,
) -> None:
    append, calls = records.append, list[int]()

    def deadly(*args: Any) -> None:
        calls.append(1)
        if len(calls) == 2:
            raise _Killed
        append(*args)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(records, "append", deadly)
        with pytest.raises(_Killed):
            job.run(_long(tmp_path, curves=["steps"]))
    found = job.run(_long(tmp_path, curves=["restarts"])).records
    assert found[-1]["over"] == "restarts"

"""A job: killed anywhere and begun again, its result file is that of a call left in peace."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from vicinal import engine, models, records
from vicinal._checks import InputError
from vicinal._typing import Attack
from vicinal.attacks import FGSM, PGD, Rounded, Transfer, UniformNoise
from vicinal.data import Split
from vicinal.evaluation import Ledger, Threat, adversarial
from vicinal.evaluation.comparing import compared
from vicinal.evaluation.identity import keys_of
from vicinal.evaluation.ledger import digest
from vicinal.recipes import foreign, job
from vicinal.recipes.environment import environment
from vicinal.recipes.extras import Extras

ATTACKS: dict[str, Attack] = {
    "pgd": PGD(eps=0.1, step_size=0.02, steps=2),
    "noise": UniformNoise(eps=0.1, draws=3),
    "fgsm": FGSM(eps=0.1),
}


def _job(folder: Path, **more: Any) -> job.Job:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = models.digits_net(width=4)
    laid = foreign.job_of(
        net, name="net", dataset="digits", folder=folder, n=60, batch_size=25, attacks=ATTACKS
    )
    # Of 500 test images a tenth will do for the clean error.
    return replace(laid, whole=laid.whole[:90], **more)


def _lines(folder: Path) -> list[dict[str, Any]]:
    """What stands in the file, without seconds and date."""
    found = records.read(folder / job.RESULTS)
    for record in found:
        record.pop("seconds", None)
        record["circumstances"].pop("date")
    return found


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    folder = tmp_path_factory.mktemp("whole")
    job.run(_job(folder))
    assert [path.name for path in folder.iterdir()] == [job.RESULTS]
    return _lines(folder)


class _Killed(BaseException):
    """No handler of ours may catch it, as none can catch a power cut."""


def _deadly(work: Any, *, at: int) -> Any:
    """Make a function that dies in its `at`-th call, before it does anything."""
    calls: Iterator[int] = iter(range(1000))

    def call(*args: Any, **kwargs: Any) -> Any:
        if next(calls) == at:
            raise _Killed
        return work(*args, **kwargs)

    return call


@pytest.mark.parametrize("at", [0, 2, 7, 11, 14])
def test_killed_after_any_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: list[dict[str, Any]], at: int
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(Ledger, "keep", _deadly(Ledger.keep, at=at))
        with pytest.raises(_Killed):
            job.run(_job(tmp_path))
    assert not (tmp_path / job.RESULTS).exists()
    job.run(_job(tmp_path))
    assert _lines(tmp_path) == whole
    assert [path.name for path in tmp_path.iterdir()] == [job.RESULTS]


@pytest.mark.parametrize("at", [0, 1, 4])
def test_killed_while_the_records_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: list[dict[str, Any]], at: int
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(records, "append", _deadly(records.append, at=at))
        with pytest.raises(_Killed):
            job.run(_job(tmp_path))
    found = job.run(_job(tmp_path))
    assert _lines(tmp_path) == whole
    assert [record["attack"] for record in found.records] == [one["attack"] for one in whole]
    assert [path.name for path in tmp_path.iterdir()] == [job.RESULTS]


def test_killed_before_the_ledger_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: list[dict[str, Any]]
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(shutil, "rmtree", _deadly(shutil.rmtree, at=0))
        with pytest.raises(_Killed):
            job.run(_job(tmp_path))
    job.run(_job(tmp_path))
    assert _lines(tmp_path) == whole


@pytest.mark.parametrize("at", [0, 1, 8, 15, 16, 17, 18])
def test_killed_while_the_ledger_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: list[dict[str, Any]], at: int
) -> None:
    """At any deletion: either the records are recognised, or nothing is left that could be."""
    clear = job._clear

    def cleared(ledger: Path) -> None:
        dying = _deadly(lambda work, *args, **kwargs: work(*args, **kwargs), at=at)
        for work in (os.unlink, os.rmdir):
            patched.setattr(os, work.__name__, partial(dying, work))
        clear(ledger)

    with monkeypatch.context() as patched:
        patched.setattr(job, "_clear", cleared)
        with pytest.raises(_Killed):
            job.run(_job(tmp_path))
    assert _lines(tmp_path) == whole
    marked = list(tmp_path.glob("*/finished.jsonl"))
    job.run(_job(tmp_path))
    assert _lines(tmp_path) == (whole if marked else 2 * whole)
    assert marked or not list(tmp_path.rglob("*.safetensors"))


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL")
def test_a_real_kill(tmp_path: Path, whole: list[dict[str, Any]]) -> None:
    code = (
        "import os, signal, sys\n"
        "sys.path[:0] = sys.argv[1].split(os.pathsep)\n"
        "from pathlib import Path\n"
        "from vicinal.evaluation import Ledger\n"
        "from vicinal.recipes import job\n"
        "from recipes.test_job import _job\n"
        "keep, calls = Ledger.keep, []\n"
        "def kept(self, *args, **kwargs):\n"
        "    keep(self, *args, **kwargs)\n"
        "    calls.append(1)\n"
        "    if len(calls) == 8: os.kill(os.getpid(), signal.SIGKILL)\n"
        "Ledger.keep = kept\n"
        "job.run(_job(Path(sys.argv[2])))\n"
    )
    paths = os.pathsep.join([str(Path(__file__).parents[1]), *sys.path])
    ran = subprocess.run(
        [sys.executable, "-c", code, paths, str(tmp_path)], capture_output=True, text=True
    )
    assert ran.returncode == -signal.SIGKILL, ran.stderr
    assert len(list(tmp_path.rglob("*.safetensors"))) == 8
    found = _job(tmp_path)
    # Threads are part of the setting: those of another process may be others.
    job.run(found)
    assert _lines(tmp_path) == whole


def test_ctrl_c_says_how_to_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(self: Ledger, *args: Any, **kwargs: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Ledger, "keep", interrupted)
    with pytest.raises(KeyboardInterrupt, match="the same command goes on where it stopped"):
        job.run(_job(tmp_path))


def test_the_same_job_again_is_appended_and_begins_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where both take the same time in the same second, so that their lines are alike."""
    monkeypatch.setattr("time.perf_counter", lambda: 0.0)
    laid = _job(tmp_path)
    job.run(laid)
    first = (tmp_path / job.RESULTS).read_text(encoding="utf-8")
    with monkeypatch.context() as patched:
        patched.setattr(records, "append", _deadly(records.append, at=2))
        with pytest.raises(_Killed):
            job.run(laid)
    job.run(laid)
    assert (tmp_path / job.RESULTS).read_text(encoding="utf-8") == 2 * first


def test_another_setting_does_not_find_the_ledger_and_another_attack_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(Ledger, "keep", _deadly(Ledger.keep, at=9))
        with pytest.raises(_Killed):
            job.run(_job(tmp_path))
    (ledger,) = tmp_path.iterdir()
    before = {path.name: path.stat().st_mtime_ns for path in ledger.rglob("*.safetensors")}
    job.run(_job(tmp_path, seed=1))
    after = {path.name: path.stat().st_mtime_ns for path in ledger.rglob("*.safetensors")}
    assert after == before
    fewer = {name: ATTACKS[name] for name in ("noise", "pgd")}
    found = job.run(_job(tmp_path, attacks=fewer)).records
    assert not ledger.exists()
    alone = job.run(_job(tmp_path / "alone", attacks=fewer)).records
    for one, other in zip(found, alone, strict=True):
        assert one["right"] == other["right"]


def test_records_say_what_a_reviewer_asks(whole: list[dict[str, Any]]) -> None:
    clean, pgd, *_, worst = whole
    assert (clean["n"], pgd["n"]) == (90, 60)
    assert (clean["indices"], pgd["indices"], pgd["of"]) == ("0..89", "0..59", 90)
    assert clean["images"] != pgd["images"] == worst["images"]
    assert pgd["parameters"]["steps"] == 2
    assert (pgd["batch_size"], pgd["arithmetic"]) == (25, "float32; matmul highest")
    assert pgd["threat"] == "linf 0.1"
    assert pgd["robustness_score"] == pytest.approx(pgd["accuracy"] / pgd["clean_accuracy"])
    assert {"vicinal", "torch", "threads", "processor"} <= set(pgd["circumstances"])
    assert {one["check"] for one in clean["preflight"]} >= {"range", "outputs", "determinism"}
    assert worst["attacks"] == ["pgd", "noise", "fgsm"]
    # A campaign takes only its own records for measurements that need not be taken again.
    assert all("hardware" not in record for record in whole)
    assert json.dumps(whole)


def test_worst_case_is_the_minimum_recomputed_from_the_stored_images(tmp_path: Path) -> None:
    laid = _job(tmp_path / "run", adversarial=tmp_path / "images")
    found = {record["attack"]: record for record in job.run(laid).records}
    kept = adversarial(tmp_path / "images")
    assert isinstance(laid.few, Split)
    x, y = laid.few.x.float() / 255, laid.few.y
    with torch.no_grad():
        right = laid.model(x).argmax(dim=1) == y
        for one in kept.values():
            right &= laid.model(one["adv"]).argmax(dim=1) == y
    assert int(right.sum()) == found["worst case"]["correct"]
    with pytest.raises(InputError, match="must name a new or empty folder"):
        job.run(laid)


def test_a_model_that_does_not_fit_is_refused_before_a_folder_is_made(tmp_path: Path) -> None:
    net = models.digits_net(num_classes=7)
    with pytest.raises(InputError, match=r"classes in 0\.\.6 .* got [789]|10 classes; it has 7"):
        job.run(_job(tmp_path / "new", model=net))
    coloured = models.digits_net(in_channels=3)
    with pytest.raises(InputError, match=r"\(N, 3, H, W\)"):
        job.run(_job(tmp_path / "new", model=coloured))
    assert not (tmp_path / "new").exists()


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="could not make the folder"):
        job.run(_job(tmp_path / "file" / "run"))
    with pytest.raises(InputError, match="could not make the folder"):
        job.run(_job(tmp_path / "run", adversarial=tmp_path / "file" / "images"))


def test_what_else_is_looked_at_is_kept_with_the_records(tmp_path: Path) -> None:
    extras = {"verdict": lambda laid: [{"kind": "verdict", "n": len(laid.few)}]}
    job.run(_job(tmp_path, extras=extras))
    (last,) = records.read(tmp_path / job.RESULTS, keep=lambda record: record["kind"] == "verdict")
    assert (last["n"], last["dataset"], last["indices"]) == (60, "digits", "0..59")


def _interrupted(folder: Path, monkeypatch: pytest.MonkeyPatch, **more: Any) -> Path:
    """Begin a job that dies in the middle of its batches; give its ledger."""
    with monkeypatch.context() as patched:
        patched.setattr(Ledger, "keep", _deadly(Ledger.keep, at=9))
        with pytest.raises(_Killed):
            job.run(_job(folder, **more))
    (ledger,) = folder.iterdir()
    return ledger


def test_what_changes_the_numbers_names_another_ledger(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def name(laid: job.Job) -> str:
        x, y = next(iter(laid.batches(laid.few)))
        return digest(job._setting(laid, x, y))

    laid = _job(tmp_path)
    names = {name(laid)}
    assert name(_job(tmp_path)) in names
    for words in ({"vicinal": "99"}, {"processor": "another"}, {"accelerator": "another"}):
        with monkeypatch.context() as patched:
            told = {**environment(torch.device("cpu")), **words}
            patched.setattr("vicinal.recipes.job.environment", lambda at, told=told: told)
            names.add(name(laid))
    engine.to_channels_last(laid.model)
    names.add(name(laid))
    assert len(names) == 5


def test_a_precision_that_is_chosen_by_the_machine_is_told_and_decides(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    attacks: dict[str, Attack] = {"pgd": PGD(eps=0.1, step_size=0.1, steps=1, precision="auto")}
    monkeypatch.setattr("vicinal.attacks.levers.fast_precision", lambda device: "bf16")
    found = job.run(_job(tmp_path, attacks=attacks)).records
    assert found[-1]["parameters"]["precision"] == "bf16"
    device = torch.device("cpu")
    keys = keys_of(attacks, device=device)
    monkeypatch.setattr("vicinal.attacks.levers.fast_precision", lambda device: "fp32")
    assert keys_of(attacks, device=device) != keys


def test_a_batch_whose_images_have_changed_is_judged_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the first batch, which the ledger is named after, is the same."""
    _interrupted(tmp_path / "a", monkeypatch)
    laid = _job(tmp_path / "a")
    assert isinstance(laid.few, Split)
    assert isinstance(laid.whole, Split)
    x = laid.few.x.clone()
    x[30:] = 255 - x[30:]
    few = replace(laid.few, x=x)
    found = job.run(replace(laid, few=few)).records
    alone = job.run(replace(laid, few=few, folder=tmp_path / "b")).records
    for one, other in zip(found, alone, strict=True):
        assert (one["right"], one["images"]) == (other["right"], other["images"])


@pytest.mark.parametrize("change", ["threat", "images"])
def test_records_that_were_cut_off_are_not_those_of_another_question(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(records, "append", _deadly(records.append, at=1))
        with pytest.raises(_Killed):
            job.run(_job(tmp_path))
    laid = _job(tmp_path)
    if change == "threat":
        laid = replace(laid, threat=Threat(norm="linf", eps=0.2))
    else:
        assert isinstance(laid.few, Split)
        x = laid.few.x.clone()
        x[30:] = 255 - x[30:]
        laid = replace(laid, few=replace(laid.few, x=x))
    found = job.run(laid).records
    alone = job.run(replace(laid, folder=tmp_path / "alone")).records
    assert len(found) == len(alone)
    for one, other in zip(found, alone, strict=True):
        assert (one["right"], one.get("threat")) == (other["right"], other.get("threat"))


def test_a_transfer_says_on_which_net_its_examples_are_made(tmp_path: Path) -> None:
    """So that `compare` does not hold transfers of one name from two nets against each other."""
    found = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        net = models.digits_net(width=2)
        attacks: dict[str, Attack] = {"t": Transfer(source=net, attack=ATTACKS["fgsm"])}
        attacks["r"] = Rounded(attack=attacks["t"])
        folder = tmp_path / str(seed)
        clean, own, rounded, *_ = job.run(_job(folder, attacks=attacks)).records
        assert own["source"] == rounded["source"]
        assert "source" not in clean
        found.append([clean, own])
    cells = compared(dict(zip("ab", found, strict=True))).rows
    assert cells["t"][1] is not None
    assert cells["t"][1].unlike == "another source"


def test_another_net_behind_the_same_weights_is_another_setting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A foreign model may hold its net in a function: its state dict says nothing."""

    class Held(nn.Module):
        def __init__(self, net: nn.Module, *, factor: float) -> None:
            super().__init__()
            self.call: Callable[[torch.Tensor], torch.Tensor] = lambda x: factor * net(x)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.call(x)

    net = _job(tmp_path).model.eval()
    nets = [Held(net, factor=1.0), Held(net, factor=-1.0), Held(net, factor=1.0)]
    assert not nets[0].state_dict()
    for one in nets[:2]:
        with monkeypatch.context() as patched:
            patched.setattr(Ledger, "keep", _deadly(Ledger.keep, at=9))
            with pytest.raises(_Killed):
                job.run(_job(tmp_path, model=one))
    assert len(list(tmp_path.iterdir())) == 2
    job.run(_job(tmp_path, model=nets[2]))
    assert len(list(tmp_path.glob("evaluating-*"))) == 1


class _After:
    """Looks at a job last, and is interrupted in its first calls."""

    def __init__(self, *, interrupted: int = 0, of: int = 1) -> None:
        self.interrupted, self.of = interrupted, of

    def __repr__(self) -> str:
        return f"After({self.of})"

    def look(self, laid: job.Job) -> list[records.Record]:
        assert len(laid.few) == 60
        if self.interrupted:
            self.interrupted -= 1
            raise KeyboardInterrupt
        where = {"circumstances": {"date": None}}
        return [{"kind": "after", "of": self.of, "k": k, **where} for k in range(3)]


def test_what_comes_after_may_be_interrupted_and_costs_no_attack_and_no_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: list[dict[str, Any]]
) -> None:
    laid = _job(tmp_path, after=_After(interrupted=1).look)
    with pytest.raises(KeyboardInterrupt, match="the same command goes on where it stopped"):
        job.run(laid)

    with monkeypatch.context() as patched:
        patched.setattr(Ledger, "keep", _deadly(Ledger.keep, at=0))
        found = job.run(laid)
    *first, last = _lines(tmp_path)[:-2]
    assert first == whole
    assert last["k"] == 0
    assert [one["kind"] for one in found.records] == ["evaluation"] * 5 + ["after"] * 3
    assert [path.name for path in tmp_path.iterdir()] == [job.RESULTS]


@pytest.mark.parametrize("of", [1, 2])
def test_killed_while_what_came_after_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: list[dict[str, Any]], of: int
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(records, "append", _deadly(records.append, at=6))
        with pytest.raises(_Killed):
            job.run(_job(tmp_path, after=_After().look))
    found = job.run(_job(tmp_path, after=_After(of=of).look)).records
    assert [one.get("of") for one in found[-3:]] == [of] * 3
    one = [*whole, *(record for record in _lines(tmp_path) if record["kind"] == "after")][:8]
    assert _lines(tmp_path)[:8] == one
    # Another question than the one whose records were cut off: those of both stand there.
    assert len(_lines(tmp_path)) == 8 * of


def test_what_was_chosen_of_a_suite_is_found_by_the_next_call_and_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    suite = {"kind": "suite", "chosen": ["fgsm"]}
    assert job.settled(_job(tmp_path)) is None
    _interrupted(tmp_path, monkeypatch, suite=suite)
    found = job.settled(_job(tmp_path, attacks={}))
    assert found is not None
    assert found["chosen"] == ["fgsm"]
    assert job.settled(_job(tmp_path, seed=1)) is None
    clean, *others = job.run(_job(tmp_path, suite=suite)).records
    assert clean["suite"] == suite
    assert not any("suite" in record for record in others)
    assert [path.name for path in tmp_path.iterdir()] == [job.RESULTS]


def test_another_source_of_a_verdict_is_another_question(tmp_path: Path) -> None:
    """Two nets of one build and other weights print alike."""
    asked = []
    for seed in (1, 2, 1):
        torch.manual_seed(seed)
        source = models.digits_net(width=2)
        wanted = Extras(eps=0.1, verdict=True, source=source).wanted
        asked.append(job._asked(_job(tmp_path, extras=wanted)))
    assert asked[0] == asked[2] != asked[1]

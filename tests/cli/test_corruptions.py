"""`vicinal evaluate --corruptions`: a run and a model of one's own, table, picture, records."""

from __future__ import annotations

import importlib
import importlib.util
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from vicinal import engine, models, records, report
from vicinal._errors import InputError
from vicinal.cli import corruptions, main
from vicinal.evaluation import Ledger
from vicinal.recipes import corrupted, judge, run

_JUDGE: Any = importlib.import_module("vicinal.evaluation.corrupted")
NAMES = ["--corruptions", "gaussian_noise,frost", "--severities", "1,5"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    few = {"epochs": 1, "train_subset": 100, "model.width": 4}
    path: Path = tmp_path_factory.mktemp("run")
    return run.train("alps/cifar10-vgg16", scale="smoke", overrides=few, run_dir=path).path


def test_a_run_is_judged_and_told(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    assert main(["evaluate", str(folder), "--n", "20", *NAMES]) == 0
    shown = capsys.readouterr().out
    found = records.read(folder / "results.jsonl")
    kinds = [record["kind"] for record in found]
    assert kinds == ["evaluation"] + ["corruption"] * 6 + ["corruptions"]
    last, noise = found[-1], found[3]
    assert (last["n"], last["over"], last["aside"]) == (20, ["gaussian_noise"], ["frost"])
    assert last["command"].startswith(f"vicinal evaluate {folder} --n 20 --corruptions")
    assert last["circumstances"]["threads"] >= 1
    assert f"20 images: clean {100 * last['clean_accuracy']:.2f}" in shown
    row = next(line.split() for line in shown.splitlines() if line.startswith("gaussian_noise"))
    assert row[3] == f"{100 * noise['accuracy']:.2f}"
    assert "frost *" in shown
    drawn = importlib.util.find_spec("matplotlib") is not None
    assert (folder / "corruptions.png").exists() == drawn
    # The run is now a baseline, though not at all severities.
    assert main(["evaluate", str(folder), "--n", "9", *NAMES, "--baseline", str(folder)]) == 2
    assert "must have been judged at all five severities" in capsys.readouterr().err


def test_json_holds_the_corruptions_and_nothing_else(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("recipe.yaml", "weights.safetensors"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    assert main(["evaluate", str(tmp_path), "--n", "9", *NAMES, "--json"]) == 0
    told = [json.loads(text) for text in capsys.readouterr().out.splitlines()]
    assert told == records.read(tmp_path / "results.jsonl")
    assert not (tmp_path / "corruptions.png").exists()


def test_without_matplotlib_everything_but_the_picture_is_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(*_: object) -> None:
        raise InputError("a heat map needs matplotlib: pip install matplotlib.")

    monkeypatch.setattr(report, "write_heat_map", missing)
    own = ["evaluate", "--model", "vicinal.models:digits_net(width=4)", "--dataset", "digits"]
    own += ["--out", str(tmp_path), "--n", "6", "--corruptions", "brightness"]
    assert main(own) == 0
    shown = capsys.readouterr().out
    assert "no picture: a heat map needs matplotlib: pip install matplotlib." in shown
    found = records.read(tmp_path / "results.jsonl")
    assert found[-1]["model"] == "vicinal.models:digits_net(width=4)"
    assert [record["severity"] for record in found[1:-1]] == [1, 2, 3, 4, 5, None]


OWN = ["evaluate", "--model", "vicinal.models:digits_net(width=4)", "--dataset", "digits"]


def _copied(folder: Path, to: Path) -> Path:
    to.mkdir(parents=True, exist_ok=True)
    for name in ("recipe.yaml", "weights.safetensors"):
        (to / name).write_bytes((folder / name).read_bytes())
    return to


def _lasting(found: list[records.Record]) -> list[records.Record]:
    """What a second call would say again: no seconds, no date, no command."""
    passing = {"seconds", "circumstances", "command"}
    return [{k: v for k, v in one.items() if k not in passing} for one in found]


@pytest.mark.parametrize("own", [False, True])
def test_ctrl_c_under_corruptions_loses_no_attack_and_doubles_no_record(
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    own: bool,
) -> None:
    engine.save_weights(tmp_path / "net.safetensors", models.digits_net(width=4))
    weights = ["--weights", str(tmp_path / "net.safetensors"), "--out", str(tmp_path / "run")]
    given = [*OWN, *weights] if own else ["evaluate", str(_copied(folder, tmp_path / "run"))]
    argv = [*given, "--n", "9", "--attack", "fgsm(eps=0.1)", *NAMES, "--json"]

    def interrupted(*args: object, **kwargs: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(corrupted, "corrupted", interrupted)
        assert main(argv) == 130
    assert "the same command goes on where it stopped" in capsys.readouterr().err
    keep = Ledger.keep

    def kept(self: Ledger, *args: Any, **kwargs: Any) -> None:
        assert self.folder.name not in {"attacked", "clean"}, "attacked again"
        keep(self, *args, **kwargs)

    with monkeypatch.context() as patched:
        patched.setattr(Ledger, "keep", kept)
        assert main(argv) == 0
    told = [json.loads(text) for text in capsys.readouterr().out.splitlines()]
    found = records.read(tmp_path / "run" / "results.jsonl")
    assert told == found
    kinds = [record["kind"] for record in found]
    assert kinds == ["evaluation"] * 2 + ["corruption"] * 6 + ["corruptions"]
    assert not list((tmp_path / "run").glob("evaluating-*"))


class _Team(engine.Processes):
    """The first of two processes, whose other finds nothing."""

    def led(self, work: Callable[[], Any]) -> Any:
        return work()

    def collect(self, value: Any) -> list[Any]:
        return [value]


def test_what_several_processes_have_done_is_not_done_again(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = "brightness,gaussian_noise,contrast,fog"
    ask = corrupted.Ask(corruptions=names, severities="2,4", n=9)
    look = corruptions.Look(ask=ask, run=str(folder), data_dir=None, progress=False)
    job = replace(judge.job_of(folder, {}, n=9, device="cpu"), kept=tmp_path)
    monkeypatch.setattr(engine, "processes", lambda: _Team(rank=0, world=2))
    monkeypatch.setattr(corrupted, "_together", lambda parts, names: parts[0])
    judged, left = [0], [9 * 3]
    clean_logits = _JUDGE.clean_logits

    def counted(model: Any, x: Any) -> Any:
        if judged[0] + len(x) > left[0]:
            raise KeyboardInterrupt
        judged[0] += len(x)
        return clean_logits(model, x)

    monkeypatch.setattr(_JUDGE, "clean_logits", counted)
    with pytest.raises(KeyboardInterrupt):
        look.judge(job)
    assert judged == left
    left = [10**6]
    found = look.judge(job)
    mine = [one["corruption"] for one in found if one["kind"] == "corruption"]
    assert mine == ["brightness"] * 3 + ["contrast"] * 3
    assert judged[0] == 9 * (1 + 2 * 2)
    assert not any(path.name.endswith("-0of2.safetensors") for path in folder.rglob("*"))
    assert len(list(tmp_path.rglob("*-0of2.safetensors"))) == 3


def test_the_records_are_those_of_the_library_call(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    by_command, by_call = _copied(folder, tmp_path / "a"), _copied(folder, tmp_path / "b")
    assert main(["evaluate", str(by_command), "--n", "9", *NAMES, "--json"]) == 0
    ask = corrupted.Ask(corruptions="gaussian_noise,frost", severities="1,5", n=9)
    corrupted.corrupt_run(by_call, ask)
    found = records.read(by_command / "results.jsonl")[1:]
    wanted = records.read(by_call / "results.jsonl")
    states = {record.pop("state") for record in found}
    assert len(states) == 1
    assert _lasting(found) == _lasting(wanted)
    capsys.readouterr()


def test_a_run_folder_that_is_only_read_is_judged_into_out(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_dir, out = _copied(folder, tmp_path / "run"), tmp_path / "new" / "out"
    before = {path.name: path.stat().st_mtime_ns for path in [run_dir, *run_dir.rglob("*")]}
    argv = ["evaluate", str(run_dir), "--out", str(out), "--n", "9", "--attack", "fgsm", *NAMES]
    assert main(argv) == 0
    assert f"records: {out}/results.jsonl" in capsys.readouterr().out
    after = {path.name: path.stat().st_mtime_ns for path in [run_dir, *run_dir.rglob("*")]}
    assert after == before
    found = records.read(out / "results.jsonl")
    assert [one["kind"] for one in found[:3]] == ["evaluation", "evaluation", "corruption"]
    assert found[-1]["kind"] == "corruptions"
    assert found[1]["attack"] == "fgsm(eps=0.1)"

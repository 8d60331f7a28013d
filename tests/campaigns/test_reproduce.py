"""Campaigns on real digits, end to end: kept, resumed, merged, and never lost to one failure."""

from __future__ import annotations

import importlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from vicinal import campaigns, records
from vicinal._checks import InputError
from vicinal.campaigns.cells import Evaluating, Training

CELLS = importlib.import_module("vicinal.campaigns.cells")
FEW: dict[str, Any] = {
    "table": "alps/table-5",
    "scale": "smoke",
    "seeds": 1,
    "only": ["erm", "alps"],
}


def numbers(result: campaigns.TableResult) -> dict[tuple[str, str, str], list[float]]:
    return {
        (cell["key"], cell["dataset"], cell["condition"]): cell["values"]
        for cell in result.records
        if cell["kind"] == "cell"
    }


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Keys of the tasks that are really done, in order."""
    done: list[str] = []
    for name in ("train", "measure"):
        original = getattr(CELLS, name)

        def counted(task: Training | Evaluating, original: Any = original) -> None:
            done.append(task.key)
            original(task)

        monkeypatch.setattr(CELLS, name, counted)
    return done


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, tiny: dict[str, Any]) -> campaigns.TableResult:
    """An uninterrupted campaign in this process."""
    return campaigns.reproduce(**FEW, out=tmp_path_factory.mktemp("whole"), overrides=tiny)


def test_every_row_asked_for_has_its_numbers(whole: campaigns.TableResult) -> None:
    assert not whole.failures
    for (key, _, _), values in numbers(whole).items():
        expected = key in {"erm", "alps"}
        assert len(values) == int(expected)


def test_the_records_stand_in_the_folder_with_their_schema(whole: campaigns.TableResult) -> None:
    there = records.read(whole.path)
    assert [{k: v for k, v in r.items() if k != "schema"} for r in there] == whole.records
    assert {r["schema"] for r in there} == {records.SCHEMA}
    assert whole.path.name == "alps-table-5-smoke.jsonl"


def test_sets_that_are_not_at_hand_say_no_data(tmp_path: Path) -> None:
    found = campaigns.reproduce("alps/table-6", scale="small", out=tmp_path, data_dir=tmp_path)
    cells = [record for record in found.records if record["kind"] == "cell"]
    assert {cell["dataset"] for cell in cells} == {"SVHN", "CIFAR-10", "CIFAR-100", "Tiny-ImageNet"}
    assert {cell["status"] for cell in cells} == {"no data"}
    assert not found.failures


def test_finished_cells_are_not_done_again(
    whole: campaigns.TableResult, tiny: dict[str, Any], calls: list[str]
) -> None:
    again = campaigns.reproduce(**FEW, out=whole.path.parent, overrides=tiny)
    assert calls == []
    assert numbers(again) == numbers(whole)


def test_a_table_over_the_same_nets_trains_none(
    whole: campaigns.TableResult, tiny: dict[str, Any], calls: list[str]
) -> None:
    other = FEW | {"table": "alps/table-2"}
    campaigns.reproduce(**other, out=whole.path.parent, overrides=tiny)
    assert sorted(calls) == [f"evaluate digits-digits_net-smoke {m}-seed0" for m in ("alps", "erm")]


def test_two_workers_find_the_numbers_of_this_process(
    whole: campaigns.TableResult, tiny: dict[str, Any], tmp_path: Path
) -> None:
    found = campaigns.reproduce(**FEW, jobs=2, out=tmp_path, overrides=tiny)
    assert numbers(found) == numbers(whole)


def test_an_interrupted_campaign_goes_on_where_it_stopped(
    whole: campaigns.TableResult,
    tiny: dict[str, Any],
    tmp_path: Path,
    calls: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Ctrl-C before every single task in turn, as long as one is left."""
    work = CELLS.work
    interruptions = 0
    for _ in range(20):
        before = len(calls)

        def once(task: Any, before: int = before) -> None:
            if len(calls) > before:
                raise KeyboardInterrupt
            work(task)

        monkeypatch.setattr(CELLS, "work", once)
        try:
            found = campaigns.reproduce(**FEW, out=tmp_path, overrides=tiny)
        except KeyboardInterrupt:
            interruptions += 1
        else:
            break
    assert interruptions == 4
    assert len(calls) == len(set(calls)) == 5
    assert numbers(found) == numbers(whole)


SCRIPT = """
import sys
from vicinal.campaigns import reproduce
if __name__ == "__main__":
    reproduce(**{few!r}, jobs=2, out=sys.argv[1], overrides={overrides!r})
"""


@pytest.mark.skipif(sys.platform == "win32", reason="kill -9 is a matter of POSIX systems")
def test_a_campaign_that_was_killed_ends_with_the_numbers_of_one_that_was_not(
    tmp_path: Path, tiny: dict[str, Any]
) -> None:
    few = FEW | {"only": ["erm"]}
    overrides = tiny | {"epochs": 6, "train_subset": 800}
    script = tmp_path / "main.py"
    script.write_text(SCRIPT.format(few=few, overrides=overrides), encoding="utf-8")
    out = tmp_path / "killed"
    with subprocess.Popen([sys.executable, str(script), str(out)]) as parent:
        metrics = out / "digits-digits_net-smoke" / "erm-seed0" / "metrics.jsonl"
        end = time.monotonic() + 120
        while not metrics.exists() and time.monotonic() < end:
            time.sleep(0.01)
        os.kill(parent.pid, signal.SIGKILL)
    assert records.read(metrics)
    assert not (metrics.parent / "weights.safetensors").exists()
    time.sleep(0.5)
    resumed = campaigns.reproduce(**few, out=out, overrides=overrides)
    straight = campaigns.reproduce(**few, out=tmp_path / "straight", overrides=overrides)
    assert numbers(resumed) == numbers(straight)
    name = "digits-digits_net-smoke/erm-seed0/weights.safetensors"
    assert (out / name).read_bytes() == (tmp_path / "straight" / name).read_bytes()


def test_a_cell_that_fails_loses_no_other_and_is_told(
    tmp_path: Path, tiny: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    original = CELLS.train

    def failing(task: Training) -> None:
        if task.method == "alps":
            raise RuntimeError("a bug\nin the middle")
        original(task)

    monkeypatch.setattr(CELLS, "train", failing)
    found = campaigns.reproduce(**FEW, out=tmp_path, overrides=tiny)
    task = "train digits-digits_net-smoke alps-seed0"
    assert found.failures[task] == "RuntimeError: a bug in the middle"
    cells = {c["key"]: c for c in found.records if c.get("dataset") == "CIFAR-10"}
    assert (cells["erm"]["status"], cells["alps"]["status"]) == ("ok", "failed")
    assert cells["mixup"]["status"] == "not run"
    assert any(task in note for note in found.records[0]["notes"])
    assert "in the middle" in (tmp_path / "failures.log").read_text(encoding="utf-8")
    monkeypatch.undo()
    mended = campaigns.reproduce(**FEW, out=tmp_path, overrides=tiny)
    assert not mended.failures
    assert len(numbers(mended)["alps", "CIFAR-10", "white-box FGSM eps=0.1"]) == 1


def test_events_tell_the_whole_campaign(tmp_path: Path, tiny: dict[str, Any]) -> None:
    events: list[campaigns.Event] = []
    few = FEW | {"table": "alps/table-2", "only": ["erm"]}
    campaigns.reproduce(**few, out=tmp_path, overrides=tiny, progress=events.append)
    assert [event.change for event in events] == ["planned", *["started", "done"] * 2]
    assert [event.kind for event in events[1::2]] == ["train", "evaluate"]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"table": "alps/tabel-2"}, "Did you mean alps/table-2"),
        ({"scale": "tiny"}, "`scale`"),
        ({"seeds": 0}, "`seeds`"),
        ({"jobs": 0}, "`jobs`"),
        ({"threads": 0}, "`threads`"),
        ({"first_seed": 999, "seeds": 2}, "seed 1000 is the black-box source's"),
        ({"first_seed": -1}, "`first_seed`"),
        ({"only": ["apls"]}, "Did you mean alps"),
        ({"models": ["vgg19"]}, "`models`"),
        ({"data_dir": "no/such/folder"}, "`data_dir` must be a folder that exists"),
    ],
)
def test_a_wrong_argument_is_one_sentence_and_writes_nothing(
    wrong: dict[str, Any], words: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=words):
        campaigns.reproduce(**(FEW | wrong), out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_file_in_the_place_of_the_data_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "cifar10.npz").touch()
    with pytest.raises(InputError, match="`data_dir`"):
        campaigns.reproduce(**FEW, data_dir=tmp_path / "cifar10.npz", out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_record_of_another_command_is_not_taken_for_the_campaigns(
    tmp_path: Path, tiny: dict[str, Any]
) -> None:
    """`vicinal evaluate` draws differently and writes neither hardware nor date."""
    few = FEW | {"table": "alps/table-2", "only": ["erm"]}
    first = campaigns.reproduce(**few, out=tmp_path, overrides=tiny)
    (folder,) = first.folders
    file = folder / "erm-seed0" / "results.jsonl"
    other = {"attack": "clean", "n": 500, "error": 2.0, "accuracy": -1.0}
    records.append(file, other)
    assert numbers(campaigns.reproduce(**few, out=tmp_path, overrides=tiny)) == numbers(first)
    records.rewrite(file, [other])
    again = campaigns.reproduce(**few, out=tmp_path, overrides=tiny)
    assert numbers(again) == numbers(first)
    assert "None" not in again.records[0]["hardware"]


def test_the_first_seed_moves_all(tmp_path: Path, tiny: dict[str, Any]) -> None:
    few = FEW | {"table": "alps/table-2", "only": ["erm"]}
    found = campaigns.reproduce(**few, first_seed=5, out=tmp_path, overrides=tiny)
    (folder,) = found.folders
    assert [path.name for path in folder.iterdir()] == ["erm-seed5"]
    assert found.records[0]["seeds"] == [5]

"""What is taken of a suite: by name, or by time; and taken again by a call that goes on."""

from __future__ import annotations

from pathlib import Path

import pytest

from vicinal import engine, models, records
from vicinal._checks import InputError
from vicinal.cli import command, judged, main
from vicinal.cli.chosen import check_chosen, only, within
from vicinal.evaluation import Ledger
from vicinal.evaluation.costs import Pace
from vicinal.evaluation.suites import suite
from vicinal.recipes import job

OWN = ["evaluate", "--model", "vicinal.models:digits_net(width=4)", "--dataset", "digits"]
SUITE = [*OWN, "--suite", "standard", "--eps", "0.1", "--n", "6", "--json"]
BUDGET = [*SUITE, "--budget", "1s"]

QUICK = Pace(forward=1e-3, backward=2e-3)
SLOW = Pace(forward=1e-2, backward=2e-2)


@pytest.fixture
def out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for records; the net is the same at every call."""
    engine.save_weights(tmp_path / "net.safetensors", models.digits_net(width=4))
    monkeypatch.setattr("vicinal.cli.judged.pace_on", lambda laid: QUICK)
    return tmp_path / "out"


def _names(found: list[records.Record]) -> list[str]:
    return [one["attack"] for one in found if one["attack"] not in {"clean", "worst case"}]


def _given(out: Path, words: list[str]) -> list[str]:
    return [*words, "--out", str(out), "--weights", str(out.parent / "net.safetensors")]


def test_only_takes_by_name_in_the_order_of_the_suite() -> None:
    few = only(suite("standard", eps=0.1), ["noise", "fgsm"])
    assert list(few.attacks) == ["fgsm", "noise"]
    assert few.told() == ""
    with pytest.raises(InputError, match=r"Did you mean fgsm\?"):
        only(suite("standard", eps=0.1), ["fgms"])


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--budget", "1min"], "--budget chooses from a suite"),
        (["--only", "fgsm"], "--only chooses from a suite"),
        (["--suite", "full", "--budget", "1s", "--only", "fgsm"], "give either --budget"),
    ],
)
def test_a_choice_needs_a_suite(words: list[str], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        check_chosen(command.parse([*OWN, *words]))


def test_a_call_that_goes_on_takes_what_the_first_had_taken(
    out: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On a machine that has become ten times slower meanwhile, too."""
    whole = suite("standard", eps=0.1)
    wanted = list(whole.within(1, pace=QUICK, n=6).attacks)
    assert wanted != list(whole.within(1, pace=SLOW, n=6).attacks)
    calls, keep = [], Ledger.keep

    def kept(self: Ledger, *args: object, **kwargs: object) -> None:
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        keep(self, *args, **kwargs)  # type: ignore[arg-type]

    with monkeypatch.context() as patched:
        patched.setattr(Ledger, "keep", kept)
        assert main(_given(out, BUDGET)) == 130
    monkeypatch.setattr("vicinal.cli.judged.pace_on", lambda laid: SLOW)
    assert main(_given(out, BUDGET)) == 0
    found = records.read(out / job.RESULTS)
    assert _names(found) == wanted
    told = found[0]["suite"]
    assert (told["suite"], told["seconds"], told["chosen"]) == ("standard", 1, wanted)
    assert set(told["chosen"]) | set(told["left_out"]) == set(whole.attacks)
    capsys.readouterr()


def test_another_time_or_radius_is_another_choice(out: Path) -> None:
    laid, *_ = judged.job_of(command.parse([*_given(out, OWN), "--n", "6", "--device", "cpu"]))
    first, told = within(laid, suite("standard", eps=0.1), 1.0, pace=lambda laid: QUICK)
    ledger = job._ledger(laid, *next(iter(laid.batches(laid.few))))
    ledger.mkdir(parents=True)
    records.rewrite(ledger / "suite.jsonl", [told])
    for seconds, eps, same in ((1.0, 0.1, True), (2.0, 0.1, False), (1.0, 0.2, False)):
        again, _ = within(laid, suite("standard", eps=eps), seconds, pace=lambda laid: SLOW)
        assert (list(again.attacks) == list(first.attacks)) == same


def test_the_recorded_command_repeats_the_choice(
    out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(_given(out, [*SUITE, "--budget=1s"])) == 0
    first = records.read(out / job.RESULTS)
    line = first[0]["command"]
    assert f"--only {','.join(_names(first))}" in line
    assert "--budget" not in line
    again = out.with_name("again")
    assert main([*_given(again, SUITE), "--only", ",".join(_names(first))]) == 0
    second = records.read(again / job.RESULTS)
    assert [one["right"] for one in second] == [one["right"] for one in first]
    capsys.readouterr()

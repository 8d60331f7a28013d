"""The arguments of `vicinal evaluate` become a job: which model, attacks, suite, threat model."""

from __future__ import annotations

import importlib
import sys
from argparse import Namespace
from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import nn

from vicinal import records
from vicinal._checks import InputError
from vicinal.attacks import Transfer
from vicinal.cli import command
from vicinal.cli.judged import _source, folder_of, job_of, seconds_of
from vicinal.models import digits_net
from vicinal.recipes import run
from vicinal.recipes.job import Job

MODEL = ["--model", "vicinal.models:digits_net(width=4)", "--dataset", "digits"]


def _args(*words: str) -> Namespace:
    return command.parse(["evaluate", *words, "--device", "cpu"])


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "either a run folder or --model"),
        (["RUN", *MODEL], "either a run folder or --model"),
        (["RUN", "--dataset", "digits"], "--dataset goes with --model"),
        (["RUN", "--batch-size", "3"], "--batch-size goes with --model"),
        (MODEL[:2], "must come with --dataset"),
    ],
)
def test_a_run_or_a_model_of_ones_own(words: list[str], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        folder_of(_args(*words))


def test_records_go_to_the_run_or_to_out() -> None:
    assert folder_of(_args("runs/a")) == Path("runs/a")
    assert folder_of(_args("runs/a", "--out", "there")) == Path("there")
    assert folder_of(_args(*MODEL, "--out", "there")) == Path("there")
    assert folder_of(_args(*MODEL)) == Path("runs/vicinal.models-digits_net-width-4-digits")


def test_eps_is_the_threat_model_and_the_budget_of_attacks_that_name_none() -> None:
    job, suite, extras = job_of(
        _args(*MODEL, "--eps", "8/255", "--attack", "pgd", "--attack", "fgsm(eps=0.3)", "--n", "9")
    )
    assert (suite, extras) == (None, None)
    assert list(job.attacks) == ["pgd(eps=8/255, step_size=2/255, steps=20)", "fgsm(eps=0.3)"]
    assert job.threat is not None
    assert job.threat.eps == 8 / 255
    assert len(job.few) == 9


def test_a_suite_joins_the_attacks_and_a_budget_leaves_out() -> None:
    job, suite, _ = job_of(_args(*MODEL, "--suite", "standard", "--eps", "0.1", "--n", "8"))
    assert suite is not None
    assert list(job.attacks) == list(suite.attacks)
    short, fewer, _ = job_of(
        _args(*MODEL, "--suite", "standard", "--eps", "0.1", "--n", "500", "--budget", "1s")
    )
    assert fewer is not None
    assert 0 < len(short.attacks) < len(job.attacks)
    assert "Left out for want of time" in fewer.told()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--suite", "standard"], "must be given eps"),
        (["--budget", "1min"], "--budget chooses from a suite"),
        (["--eps", "8"], "did you mean 8/255"),
        (["--eps", "much"], "must be a number such as 8/255"),
        (["--verdict"], "must be given --eps"),
        (["--attack", "fgsm"], "must say its budget"),
        (["--source", "OTHER"], "--source goes with --suite or --verdict"),
    ],
)
def test_what_is_missing_is_one_sentence(words: list[str], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        job_of(_args(*MODEL, *words))


def test_the_verdict_takes_the_ball_of_the_attacks_where_nobody_names_one() -> None:
    _, _, extras = job_of(_args(*MODEL, "--attack", "fgsm(eps=0.3)", "--strict"))
    assert extras is not None
    assert (extras.eps, extras.verdict) == (0.3, True)


def test_a_source_is_tried_by_the_suite_and_by_the_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    net = nn.Flatten()
    monkeypatch.setattr("vicinal.recipes.run.load", lambda path, device: net)
    words = [*MODEL, "--suite", "standard", "--eps", "0.1", "--verdict", "--n", "8"]
    job, _, extras = job_of(_args(*words, "--source", "OTHER"))
    transfer = job.attacks["transfer-pgd-20"]
    assert isinstance(transfer, Transfer)
    assert extras is not None
    assert transfer.source is net is extras.source
    without, _, extras = job_of(_args(*words))
    assert extras is not None
    assert extras.source is None
    assert set(job.attacks) - set(without.attacks) == {"transfer-pgd-20"}


def test_a_model_is_no_source_of_its_own(tmp_path: Path) -> None:
    args = _args(str(tmp_path), "--verdict", "--source", f"{tmp_path}/../{tmp_path.name}")
    with pytest.raises(InputError, match="`--source` must be another net"):
        _source(args, device="cpu")


def test_the_command_repeats_it_with_what_was_left_open() -> None:
    job, *_ = job_of(_args(*MODEL, "--attack", "fgsm(eps=0.3)"))
    command_line = job.facts["command"]
    assert command_line.startswith("vicinal evaluate --model 'vicinal.models:digits_net(width=4)'")
    assert "--attack 'fgsm(eps=0.3)'" in command_line
    assert "--seed 0 --threads " in command_line
    given, *_ = job_of(_args(*MODEL, "--seed", "3"))
    assert given.facts["command"].count("--seed") == 1
    assert given.seed == 3


def test_a_time_is_a_number_and_its_unit() -> None:
    assert [seconds_of(text) for text in ("90s", "10min", "1.5h")] == [90, 600, 5400]
    for wrong in ("10", "min", "-3min", "0s", "1d"):
        with pytest.raises(InputError, match="must be a time such as"):
            seconds_of(wrong)


def test_a_folder_takes_the_records_of_one_model(tmp_path: Path) -> None:
    for name, seed in (("a", 0), ("b", 1)):
        torch.manual_seed(seed)
        net = digits_net(width=4)
        safetensors.torch.save_file(net.state_dict(), tmp_path / f"{name}.safetensors")
    weights = [["--weights", str(tmp_path / f"{name}.safetensors")] for name in "ab"]
    words = [*MODEL, "--n", "9", "--out", str(tmp_path / "out")]
    job, *_ = job_of(_args(*words, *weights[0]))
    job.folder.mkdir()
    found = {"kind": "evaluation", "attack": "clean", **job.facts}
    records.append(job.folder / "results.jsonl", {"kind": "verdict", "status": "PASS"})
    records.append(job.folder / "results.jsonl", found)
    job_of(_args(*words, *weights[0], "--attack", "fgsm(eps=0.1)"))
    spelled = [*words, *weights[0], "--model", "vicinal.models:digits_net(width=4, num_classes=10)"]
    for other in ([*words, *weights[1]], spelled):
        with pytest.raises(InputError, match="`--out` must be a folder of its own for each model"):
            job_of(_args(*other))


FACTORY = """
import torch
from vicinal import models

def net():
    torch.manual_seed({seed})
    return models.digits_net(width=4)
"""


def test_two_nets_of_one_word_are_told_apart_by_their_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a file of weights only what the factory gives can say which net it is."""
    monkeypatch.syspath_prepend(tmp_path)
    words = ["--model", "net_of_mine:net", "--dataset", "digits", "--out", str(tmp_path / "out")]

    def laid(seed: int) -> Job:
        (tmp_path / "net_of_mine.py").write_text(FACTORY.format(seed=seed), encoding="utf-8")
        importlib.invalidate_caches()
        monkeypatch.delitem(sys.modules, "net_of_mine", raising=False)
        job, *_ = job_of(_args(*words))
        return job

    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    job = laid(0)
    job.folder.mkdir()
    records.append(job.folder / "results.jsonl", {"kind": "evaluation", **job.facts})
    assert laid(0).facts["state"] == job.facts["state"]
    with pytest.raises(InputError, match=r"another digest of its weights: .* draws its weights"):
        laid(1)


def test_two_runs_of_one_recipe_are_told_apart_by_their_weights(tmp_path: Path) -> None:
    """Fields such as the number of epochs stand in no record."""
    few = {"epochs": 1, "train_subset": 100, "model.width": 4}
    for name, epochs in (("a", 1), ("b", 2)):
        overrides = {**few, "epochs": epochs}
        run.train("alps/cifar10-vgg16", scale="smoke", overrides=overrides, run_dir=tmp_path / name)
    out = ["--out", str(tmp_path / "out")]
    job, *_ = job_of(_args(str(tmp_path / "a"), *out))
    job.folder.mkdir()
    records.append(job.folder / "results.jsonl", {"kind": "evaluation", **job.facts})
    with pytest.raises(InputError, match="another digest of its weights"):
        job_of(_args(str(tmp_path / "b"), *out))


def test_clean_images_are_bounded_on_request() -> None:
    attack = ["--attack", "fgsm(eps=0.1)", "--n", "9"]
    whole, *_ = job_of(_args(*MODEL, *attack))
    assert (len(whole.few), len(whole.whole)) == (9, 500)
    for n, left in ((9, 9), (20, 20), (900, 500)):
        job, *_ = job_of(_args(*MODEL, *attack, "--clean-n", str(n)))
        assert (len(job.few), len(job.whole), job.facts["of"]) == (9, left, 500)
    with pytest.raises(InputError, match=r"at least 9, the images .*; got 8\. Give --n 8 too"):
        job_of(_args(*MODEL, *attack, "--clean-n", "8"))
    with pytest.raises(InputError, match=r"at least 500, .*; got 20\. Give --n 20 too"):
        job_of(_args(*MODEL, "--clean-n", "20"))

"""The benchmarks: their statistics against NumPy and SciPy, and every one of them once, tiny."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from itertools import starmap
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

from benchmarks import __main__ as command
from benchmarks import (
    attack_loop,
    augmentation,
    ceiling,
    engine_epoch,
    formats,
    nets,
    report,
    timing,
)
from benchmarks import objectives as objectives_bench
from benchmarks.formats import Format
from benchmarks.progress import Bar
from benchmarks.settings import Settings, quick, usual
from vicinal import models, objectives, records
from vicinal._checks import InputError
from vicinal.data import Split

CPU = torch.device("cpu")
TINY = dataclasses.replace(
    quick(CPU), pairs=2, warmup=0, batch=4, pgd_steps=1, images=16, workers=0, side=16
)


# the statistics


@pytest.mark.parametrize("n", [1, 2, 5, 6, 7, 30, 31, 57, 200])
def test_interval_is_the_narrowest_pair_of_order_statistics_that_covers_95_percent(n: int) -> None:
    values = np.random.default_rng(n).lognormal(size=n)
    got = timing.interval(list(values))
    ranks = [
        k for k in range(1, (n + 1) // 2 + 1) if 1 - 2 * stats.binom.cdf(k - 1, n, 0.5) >= 0.95
    ]
    rank = max(ranks, default=1)
    ordered = np.sort(values)
    assert got.low == ordered[rank - 1]
    assert got.high == ordered[n - rank]
    assert got.coverage == pytest.approx(1 - 2 * stats.binom.cdf(rank - 1, n, 0.5), abs=1e-12)
    assert got.low <= np.median(values) <= got.high


def test_interval_of_thirty_takes_the_tenth_from_either_end() -> None:
    got = timing.interval([float(value) for value in range(1, 31)])
    assert (got.low, got.high) == (10.0, 21.0)
    assert got.coverage == pytest.approx(0.957, abs=5e-4)


def test_interval_holds_the_median_as_often_as_it_says() -> None:
    """4000 draws of a skewed law: a standard error of 0.32 %, false alarm below 1 in 10,000."""
    rng = np.random.default_rng(0)
    truth = float(np.log(2))
    hits = 0
    for draw in rng.exponential(size=(4000, 30)):
        found = timing.interval(draw.tolist())
        hits += found.low <= truth <= found.high
    assert abs(hits / 4000 - 0.957) < 4 * 0.0032


def made_up() -> timing.Samples:
    rng = np.random.default_rng(0)
    draws = rng.uniform(1, 2, size=(6, 31)).tolist()
    return timing.Samples(
        candidates={"new": draws[0], "itself": draws[1]},
        bases={"new": draws[2], "itself": draws[3]},
        noise=(draws[3], draws[2]),
        alongside={"extra": draws[4]},
    )


def test_compare_takes_the_median_of_ratios_not_the_ratio_of_medians() -> None:
    samples = made_up()
    row = timing.compare(samples, "new", against="old", label="named", at_most=5.0)
    own, base = np.array(samples.candidates["new"]), np.array(samples.bases["new"])
    assert row.ratio == np.median(own / base) != np.median(own) / np.median(base)
    assert (row.seconds, row.base_seconds) == (np.median(own), np.median(base))
    noise = np.array(samples.bases["itself"]) / base
    assert row.noise == np.median(noise)
    assert row.noise_interval == timing.interval(noise.tolist())
    assert (row.name, row.against, row.pairs, row.met) == ("named", "old", 31, True)


def test_compare_adds_the_time_alongside_to_the_base_round_by_round() -> None:
    samples = made_up()
    row = timing.compare(samples, "new", against="old", plus="extra")
    base = np.array(samples.bases["new"]) + np.array(samples.alongside["extra"])
    assert row.ratio == np.median(np.array(samples.candidates["new"]) / base)
    assert row.met is None


@pytest.mark.parametrize(
    ("low", "high", "at_most", "at_least", "met"),
    [
        (1.01, 1.04, 1.02, None, True),
        (1.02, 1.04, 1.02, None, True),
        (1.03, 1.04, 1.02, None, False),
        (5.1, 9.0, None, 5.0, True),
        (4.9, 9.0, None, 5.0, False),
        (1.0, 2.0, None, None, None),
    ],
)
def test_a_target_is_met_where_the_interval_reaches_it(
    low: float, high: float, at_most: float | None, at_least: float | None, met: bool | None
) -> None:
    row = timing.compare(made_up(), "new", against="old", at_most=at_most, at_least=at_least)
    held = timing.Interval(low=low, high=high, coverage=0.957)
    assert dataclasses.replace(row, interval=held).met is met


@pytest.mark.parametrize(
    ("ratio", "low", "said"),
    [
        (1.01, 1.0, "<= 1.02: met |"),
        (1.03, 1.0, "<= 1.02: met by the interval, not the median |"),
        (1.05, 1.03, "<= 1.02: missed |"),
    ],
)
def test_the_table_says_whether_the_median_or_only_the_interval_meets_the_target(
    ratio: float, low: float, said: str
) -> None:
    row = timing.compare(made_up(), "new", against="old", at_most=1.02)
    held = timing.Interval(low=low, high=1.1, coverage=0.957)
    row = dataclasses.replace(row, ratio=ratio, interval=held)
    page = report.table("steps", [row], report.circumstances(TINY, "made up"))
    line = next(text for text in page.splitlines() if text.startswith("| new | old |"))
    assert f"| {ratio:.3f} [{low:.3f}, 1.100] |" in line
    assert line.endswith(said)


# the order of runs


def test_pairs_stand_side_by_side_and_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[str] = []

    def timed(work: timing.Work, device: torch.device) -> float:
        del device
        work()
        return float(len(ran))  # the time of a run is its place in the sequence

    monkeypatch.setattr(timing, "seconds", timed)
    works = {name: (lambda name=name: ran.append(name)) for name in "BCDE"}
    got = timing.interleave(
        lambda: ran.append("A"),
        works,
        pairs=2,
        device=CPU,
        warmup=0,
        alongside={"z": lambda: ran.append("z")},
    )
    assert "".join(ran) == "BAACDAAE" + "z" + "EAADCAAB" + "z"
    assert got.candidates["B"] == [1, 17]
    assert got.bases["B"] == [2, 16]
    assert got.candidates["C"] == [4, 14]
    assert list(got.noise) == [[3, 15], [2, 16]]
    assert got.alongside["z"] == [9, 18]
    for name in works:
        gaps = np.subtract(got.candidates[name], got.bases[name])
        assert sorted(gaps) == [-1, 1], "side by side, and each first once"


def test_an_odd_candidate_is_joined_by_the_base_itself() -> None:
    ran: list[str] = []
    got = timing.interleave(
        lambda: ran.append("A"), {"B": lambda: ran.append("B")}, pairs=3, device=CPU, warmup=1
    )
    assert "".join(ran) == "ABA" + "BAAA" + "AAAB" + "BAAA"
    assert set(got.candidates) == {"B", "itself"}
    assert all(len(each) == 3 for each in got.noise)


def test_a_run_is_timed_without_the_garbage_collector() -> None:
    import gc

    seen: list[bool] = []
    timing.seconds(lambda: seen.append(gc.isenabled()), CPU)
    assert seen == [False]
    assert gc.isenabled()


# what is timed


def test_ten_bare_passes_are_the_passes_of_the_attack_and_leave_no_weight_gradient() -> None:
    net = models.preactresnet18(width=4)
    twin = attack_loop.still_twin(net)
    passes: Counter[str] = Counter()
    twin.register_forward_hook(lambda *_: passes.update(["forward"]))
    x, y = nets.batch_of(TINY)
    attack_loop.bare_passes(twin, x, y, steps=3)()
    assert passes == {"forward": 3}
    assert not twin.training
    assert all(weight.grad is None and not weight.requires_grad for weight in twin.parameters())
    assert all(weight.requires_grad for weight in net.parameters())
    shared = zip(twin.parameters(), net.parameters(), strict=True)
    assert all(a.data_ptr() == b.data_ptr() for a, b in shared)


def test_the_timed_step_does_all_its_work_and_moves_no_weight() -> None:
    net = nets.preactresnet18(TINY)
    before = [weight.clone() for weight in net.parameters()]
    optimizer = nets.still_sgd(net)
    nets.training_step(net, optimizer, objectives.ALPS(), nets.batch_of(TINY), repeats=2)()
    assert all(starmap(torch.equal, zip(before, net.parameters(), strict=True)))
    assert all(weight.grad is not None and weight.grad.any() for weight in net.parameters())
    assert all("momentum_buffer" in optimizer.state[weight] for weight in net.parameters())


def counted(net: nn.Module) -> Counter[str]:
    """Count the passes through a net, and through its copies, by kind."""
    passes: Counter[str] = Counter()

    def note(module: nn.Module, args: Any, z: torch.Tensor) -> None:
        del args
        trained = any(weight.requires_grad for weight in module.parameters())
        mode = "train" if module.training else "eval"
        kind = f"{mode}, {'weights' if trained else 'no weights'}"
        passes.update([f"forward: {kind}"])
        if z.requires_grad:
            z.register_hook(lambda _: passes.update([f"backward: {kind}"]))  # type: ignore[no-untyped-call]

    net.register_forward_hook(note)
    return passes


@pytest.mark.parametrize(
    "candidate", objectives_bench.candidates(steps=2), ids=lambda candidate: candidate.name
)
def test_the_bare_step_makes_the_passes_of_its_objective_kind_by_kind(
    candidate: objectives_bench.Candidate,
) -> None:
    net = models.preactresnet18(width=2).train()
    passes, batch = counted(net), nets.batch_of(TINY)
    optimizer = nets.still_sgd(net)
    nets.training_step(net, optimizer, candidate.objective, batch, repeats=1)()
    theirs = dict(passes)
    passes.clear()
    bare = objectives_bench.bare_of(candidate.objective)
    objectives_bench.bare_step(net, optimizer, batch, bare, repeats=1)()
    assert passes == theirs
    told = candidate.objective.passes
    for direction, n in (("forward", told.forward), ("backward", told.backward)):
        assert sum(k for kind, k in passes.items() if kind.startswith(direction)) == n
    assert net.training


@pytest.mark.parametrize(("outer", "rounds"), [(1, 1), (2, 1), (1, 2)])
def test_a_bare_step_leaves_the_gradient_of_its_outer_passes_alone(outer: int, rounds: int) -> None:
    net, (x, y) = nets.preactresnet18(TINY), nets.batch_of(TINY)
    before = [weight.clone() for weight in net.parameters()]
    bare = objectives_bench.Bare(looks=1, inner=2, outer=outer, rounds=rounds)
    objectives_bench.bare_step(net, nets.still_sgd(net), (x, y), bare, repeats=2)()
    assert all(starmap(torch.equal, zip(before, net.parameters(), strict=True)))
    found = [weight.grad for weight in net.parameters()]
    net.zero_grad()
    nn.functional.cross_entropy(net(x), y).backward()  # type: ignore[no-untyped-call]
    for weight, gradient in zip(net.parameters(), found, strict=True):
        assert gradient is not None
        assert weight.grad is not None
        torch.testing.assert_close(gradient, outer * rounds * weight.grad, rtol=1e-4, atol=1e-5)


def test_every_published_objective_but_erm_stands_against_bare_passes() -> None:
    found = objectives_bench.candidates(steps=10)
    assert {type(one.objective) for one in found} == set(objectives.OBJECTIVES.values()) - {
        objectives.ERM,
        objectives.Vicinal,
    }
    assert len({one.name for one in found}) == len(found)
    assert {one.name: one.at_most for one in found if one.at_most != 1.05} == {
        "FeatureScatter": 1.10,
        "AVmixup over FeatureScatter": 1.10,
    }


def test_a_bare_epoch_makes_its_steps_in_train_mode() -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(3 * 16 * 16, 10)).eval()
    modes: list[bool] = []
    net.register_forward_hook(lambda module, *_: modes.append(module.training))
    engine_epoch.bare_epoch(net, nets.batch_of(TINY), steps=5)()
    assert modes == [True] * 5


def test_pictures_are_padded_cut_and_flipped_as_the_loader_does() -> None:
    x = torch.arange(1, 1 + 3 * 6 * 6, dtype=torch.uint8).view(1, 3, 6, 6)
    pictures = augmentation.Pictures(Split(x=x, y=torch.tensor([7])))
    padded = nn.functional.pad(x, (4, 4, 4, 4))
    windows = [
        padded[0, :, top : top + 6, left : left + 6] for top in range(9) for left in range(9)
    ]
    possible = torch.stack([*windows, *(window.flip(2) for window in windows)]).float() / 255
    found = set()
    for _ in range(600):
        image, label = pictures[0]
        assert label == 7
        same = (possible == image).flatten(1).all(dim=1).nonzero().flatten().tolist()
        assert same, "every picture is one of the 162 windows"
        found.add(same[0])
    assert len(found) > 140  # of 162 (expected 158); fewer has a chance below 1e-6


def test_layers_are_every_convolution_at_the_shape_that_it_meets() -> None:
    net = models.preactresnet18(width=4)
    found = ceiling.layers_of(net, torch.rand(2, 3, 16, 16))
    assert found.total() == sum(isinstance(module, nn.Conv2d) for module in net.modules()) == 20
    first = [layer for layer in found if layer.first]
    assert [(layer.x, layer.weight) for layer in first] == [((2, 3, 16, 16), (4, 3, 3, 3))]
    assert sum(np.prod(layer.weight) * times for layer, times in found.items()) == sum(
        module.weight.numel() for module in net.modules() if isinstance(module, nn.Conv2d)
    )
    assert not any(module._forward_hooks for module in net.modules())


def test_the_ceiling_runs_each_convolution_as_often_as_the_net_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    net = models.preactresnet18(width=4)
    layers = ceiling.layers_of(net, torch.rand(2, 3, 16, 16))
    ran: Counter[Any] = Counter()
    monkeypatch.setattr(
        ceiling.Layer, "work", lambda self, device, form: lambda: ran.update([self])
    )
    ceiling.convolutions(layers, CPU, form=Format(), repeats=2)()
    assert ran == {layer: 2 * times for layer, times in layers.items()}


def test_an_epoch_of_cifar_has_391_steps_of_128() -> None:
    assert nets.steps_per_epoch(128) == 391


# the whole, once


@pytest.mark.parametrize("name", command.BENCHMARKS)
def test_every_benchmark_runs_and_writes_its_files(name: str, tmp_path: Path) -> None:
    found = command.BENCHMARKS[name](TINY, Bar(shown=False))
    facts = report.circumstances(TINY, "made up")
    report.write(name, found, facts, out=tmp_path / "new")
    lines = records.read(tmp_path / "new" / f"{name}.jsonl")
    assert len(lines) == len(found) > 0
    for line in lines:
        assert {"command", "commit", "date", "hardware", "threads", "torch"} <= line.keys()
        assert line["benchmark"] == name
    pairs = [row for row in found if isinstance(row, timing.Comparison)]
    assert all(row.pairs == 2 and row.ratio > 0 and row.noise > 0 for row in pairs)
    page = (tmp_path / "new" / f"{name}.md").read_text(encoding="utf-8")
    assert all(f"| {row.name} |" in page for row in found)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("name", command.BENCHMARKS)
def test_every_benchmark_runs_on_an_accelerator(name: str) -> None:
    sizes = dataclasses.replace(quick(torch.device("cuda")), workers=0)
    found = command.BENCHMARKS[name](sizes, Bar(shown=False))
    assert found
    if name == "ceiling":
        assert any(row.name.startswith("WRN-10-1") for row in found)


def test_steps_hold_the_three_with_a_target_against_erm() -> None:
    found = command.BENCHMARKS["steps"](TINY, Bar(shown=False))
    pairs = [row for row in found if isinstance(row, timing.Comparison)]
    aims = {row.name: row.at_most for row in pairs if row.at_most is not None}
    assert aims == {"ALPS": 1.02, "MixUp": 1.02, "LabelSmoothing": 1.02}


def test_the_attack_stands_against_both_counts_of_passes() -> None:
    found = command.BENCHMARKS["attack"](TINY, Bar(shown=False))
    pairs = [row for row in found if isinstance(row, timing.Comparison)]
    assert [row.name for row in pairs] == ["inputs.PGD", "attacks.PGD", "attacks.PGD"]
    judged, bare = pairs[1], pairs[2]
    assert judged.seconds == bare.seconds
    assert judged.base_seconds > bare.base_seconds


def test_the_command_measures_what_it_is_told_and_appends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seen: list[Settings] = []

    def measure(settings: Settings, bar: Bar) -> list[timing.Comparison | timing.Figure]:
        del bar
        seen.append(settings)
        return [timing.Figure(name="speed", value=3.0, unit="m/s", how="guessed")]

    monkeypatch.setattr(command, "BENCHMARKS", {"steps": measure, "formats": measure})
    argv = ["--only", "steps", "--out", str(tmp_path), "--pairs", "4", "--quiet"]
    assert command.main(argv) == command.main([*argv, "--quick"]) == 0
    assert [settings.pairs for settings in seen] == [4, 4]
    assert [settings.width for settings in seen] == [64, quick(CPU).width]
    lines = (tmp_path / "steps.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["value"] for line in lines] == [3.0, 3.0]
    assert not (tmp_path / "formats.jsonl").exists()
    assert capsys.readouterr().out == ""


def test_the_command_refuses_no_pairs_in_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--pairs", "0"]) == 2
    assert capsys.readouterr().err == "benchmarks: `pairs` must be an integer >= 1; got 0.\n"


def test_ctrl_c_ends_it_with_130(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def measure(settings: Settings, bar: Bar) -> list[timing.Comparison | timing.Figure]:
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "BENCHMARKS", {"steps": measure})
    assert command.main(["--only", "steps", "--out", str(tmp_path), "--quiet"]) == 130
    assert list(tmp_path.iterdir()) == []


def test_the_usual_sizes_are_those_of_the_requirement() -> None:
    usually = usual(CPU)
    assert usually.pairs >= 30
    sizes = (usually.batch, usually.width, usually.side, usually.pgd_steps, usually.workers)
    assert sizes == (128, 64, 32, 10, 2)
    assert usual(torch.device("cuda")).wide == (28, 10)


def test_what_cannot_be_compiled_here_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(net: nn.Module, *, backend: str) -> nn.Module:
        class Refusing(nn.Module):
            def forward(self, x: torch.Tensor) -> torch.Tensor:
                raise InputError(f"no compiler for {backend}")

        return Refusing()

    monkeypatch.setattr(formats, "Compiled", refuse)
    sizes = dataclasses.replace(TINY, compiled=True)
    found = formats.measure(sizes, Bar(shown=False))
    assert all("compile" not in row.name for row in found)
    monkeypatch.setattr(formats, "Compiled", lambda net, backend: net)
    found = formats.measure(sizes, Bar(shown=False))
    pairs = [row.name for row in found if isinstance(row, timing.Comparison)]
    assert pairs == [form.name for form in formats.formats(compiled=True)]
    assert sum(row.name.endswith("compilation") for row in found) == 2

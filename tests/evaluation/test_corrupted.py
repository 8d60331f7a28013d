"""The accuracy under corruptions, against a loop over images, one by one."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import counting
from vicinal._checks import InputError, NotFinite
from vicinal.corruptions import CORRUPTIONS, draw_keys, fixed_keys
from vicinal.evaluation import Ledger, corrupted, on_files
from vicinal.evaluation.corrupted import KeyedCorruption, chosen
from vicinal.metrics import expected_calibration_error


@dataclass(frozen=True)
class Darker:
    """Takes its severity in tenths, and a little by its key, from every pixel."""

    comparable: bool = True

    def __call__(self, x: Tensor, *, severity: int, keys: Tensor) -> Tensor:
        little = (keys % 1000).double() / 5000
        return (x - severity / 10 - little.to(x.dtype)[:, None, None, None]).clamp(0, 1)


def net() -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(nn.Flatten(), nn.BatchNorm1d(48), nn.Linear(48, 3))


X, Y = torch.rand(10, 3, 4, 4), torch.arange(10) % 3


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_counts_match_a_loop_over_images() -> None:
    model = net()
    found = corrupted(model, (X, Y), corruptions={"dark": Darker()}, rng=rng())
    seed, judge = int(draw_keys(1, rng())), model.eval()
    for severity in range(1, 6):
        right = 0
        for k in range(10):
            key = fixed_keys(torch.tensor([k]), seed=seed, name="dark", severity=severity)
            moved = Darker()(X[k : k + 1], severity=severity, keys=key)
            right += int(judge(moved).argmax() == Y[k])
        assert found.correct["dark"][severity] == right
    assert found.clean_correct == sum(int(judge(X[k : k + 1]).argmax() == Y[k]) for k in range(10))
    assert (found.n, found.clean_n, found.forward) == (10, 10, 60)


@pytest.mark.parametrize("size", [10, 3])
def test_calibration_is_that_of_the_logits_of_each_corruption(size: int) -> None:
    model, named = net(), {"dark": Darker()}
    data = list(zip(torch.split(X, size), torch.split(Y, size), strict=True))
    found = corrupted(model, data, corruptions=named, severities=[2, 5], rng=rng())
    seed, judge = int(draw_keys(1, rng())), model.eval()
    assert found.clean_ece == pytest.approx(expected_calibration_error(judge(X), Y), rel=1e-6)
    wanted = {}
    for severity in (2, 5):
        keys = fixed_keys(torch.arange(10), seed=seed, name="dark", severity=severity)
        z = judge(Darker()(X, severity=severity, keys=keys))
        wanted[severity] = expected_calibration_error(z, Y)
    assert found.ece["dark"] == pytest.approx(wanted, rel=1e-6)
    assert found.mean_ece == pytest.approx((wanted[2] + wanted[5]) / 2, rel=1e-6)
    told = [record["ece"] for record in found.records]
    assert told == pytest.approx([wanted[2], wanted[5], found.mean_ece, found.mean_ece], rel=1e-6)
    assert found.records[-1]["clean_ece"] == found.clean_ece


def test_neither_batch_size_nor_company_changes_a_figure() -> None:
    model = net()
    named: dict[str, KeyedCorruption] = {"dark": Darker(), "noise": CORRUPTIONS["gaussian_noise"]}
    whole = corrupted(model, (X, Y), corruptions=named, rng=rng())
    pieces = list(zip(torch.split(X, 3), torch.split(Y, 3), strict=True))
    assert corrupted(model, pieces, corruptions=named, rng=rng()).correct == whole.correct
    alone = corrupted(
        model, (X, Y), corruptions={"noise": named["noise"]}, severities=[4], rng=rng()
    )
    assert alone.correct == {"noise": {4: whole.correct["noise"][4]}}


def test_the_generator_rules_and_the_global_one_is_left_alone() -> None:
    model, before = net(), torch.get_rng_state()
    keys = [_Keys() for _ in range(3)]
    for seed, seen in zip((0, 0, 1), keys, strict=True):
        corrupted(model, (X, Y), corruptions={"seen": seen}, rng=rng(seed))
    assert torch.equal(keys[0].all(), keys[1].all())
    assert not torch.equal(keys[0].all(), keys[2].all())
    assert torch.equal(torch.get_rng_state(), before)
    assert len(set(keys[0].all().tolist())) == 50


class _Keys:
    def __init__(self) -> None:
        self.seen: list[Tensor] = []

    def __call__(self, x: Tensor, *, severity: int, keys: Tensor) -> Tensor:
        del severity
        self.seen.append(keys)
        return x

    def all(self) -> Tensor:
        return torch.cat(self.seen)


def test_the_model_is_judged_in_eval_mode_and_left_as_it_was() -> None:
    model = net().train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    images = X.clone()
    corrupted(model, (images, Y), corruptions={"dark": Darker()}, severities=[1])
    assert model.training
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert all(weight.grad is None and weight.requires_grad for weight in model.parameters())
    assert torch.equal(images, X)


def test_passes_are_one_for_clean_and_one_for_each_corruption_and_severity() -> None:
    model, named = counting.Counted(net()), {"a": Darker(), "b": Darker()}
    found = corrupted(model, (X, Y), corruptions=named, severities=[2, 5])
    assert found.forward == model.forward_images == 10 * (1 + 2 * 2)
    assert model.backward_images == 0


def test_data_are_run_through_once() -> None:
    def once() -> Iterator[tuple[Tensor, Tensor]]:
        yield X[:4], Y[:4]
        yield X[4:], Y[4:]

    told: list[tuple[str, int]] = []
    found = corrupted(
        net(),
        once(),
        corruptions={"dark": Darker()},
        severities=[1, 2],
        report=lambda name, n: told.append((name, n)),
    )
    assert (found.n, told) == (10, [("dark", 8), ("dark", 12)])


def test_what_says_that_it_cannot_be_compared_is_set_aside_unless_asked_for() -> None:
    named = {"mine": Darker(comparable=False), "fog": Darker()}
    apart = corrupted(net(), (X, Y), corruptions=named, severities=[1])
    assert (apart.aside, apart.over) == (frozenset({"mine"}), ("fog",))
    asked = corrupted(net(), (X, Y), corruptions=named, severities=[1], procedural=True)
    assert asked.aside == frozenset()


def test_files_are_judged_as_they_are() -> None:
    model, clean = net(), [(X, Y)]
    dark = {s: Darker()(X, severity=s, keys=torch.zeros(10).long()) for s in (1, 4)}
    parts = [
        ("dark", s, zip(torch.split(x, 6), torch.split(Y, 6), strict=True)) for s, x in dark.items()
    ]
    found = on_files(model, parts, clean=clean)
    judge = model.eval()
    for s, x in dark.items():
        assert found.correct["dark"][s] == int((judge(x).argmax(1) == Y).sum())
    assert found.clean_correct == int((judge(X).argmax(1) == Y).sum())
    alone = on_files(model, [("dark", 1, [(dark[1], Y)])])
    assert math.isnan(alone.clean)


def test_parts_of_different_sizes_are_one_sentence() -> None:
    parts = [("fog", 1, [(X, Y)]), ("fog", 2, [(X[:4], Y[:4])])]
    with pytest.raises(InputError, match="as many images as fog 1, 10; fog 2 has 4"):
        on_files(net(), parts)
    with pytest.raises(InputError, match="at least one batch"):
        on_files(net(), [])


def test_names_are_looked_up_and_mistakes_are_one_sentence() -> None:
    assert list(chosen(["gaussian_noise"])) == ["gaussian_noise"]
    assert chosen(["gaussian_noise"])["gaussian_noise"] is CORRUPTIONS["gaussian_noise"]
    with pytest.raises(InputError, match="Did you mean gaussian_noise"):
        chosen(["gausian_noise"])
    with pytest.raises(InputError, match=r"common \| all \| extra"):
        chosen("everything")
    with pytest.raises(InputError, match="at least one corruption"):
        chosen([])
    for wrong in ([0], [6], [], [True]):
        with pytest.raises(InputError, match="some of 1, 2, 3, 4, 5"):
            corrupted(net(), (X, Y), corruptions={"dark": Darker()}, severities=wrong)
    with pytest.raises(InputError, match="pixels in"):
        corrupted(net(), (255 * X, Y), corruptions={"dark": Darker()})


class _Late(nn.Module):
    """Logits that are no numbers from a certain pass on; remembers when a host reads values."""

    def __init__(self, first: int) -> None:
        super().__init__()
        self.first, self.passes = first, 0

    def forward(self, x: Tensor) -> Tensor:
        self.passes += 1
        z = x.flatten(1)[:, :3]
        return z * torch.nan if self.passes > self.first else z


def test_logits_that_are_no_numbers_are_refused_when_all_is_counted() -> None:
    x, y = torch.rand(4, 3, 8, 8), torch.arange(4) % 3
    model = _Late(first=2)
    with pytest.raises(NotFinite, match="NaN or infinity for 12 of 20 images"):
        corrupted(model, (x, y), corruptions=["contrast"], severities=[1, 2, 3, 4])
    assert model.passes == 5
    corrupted(_Late(first=5), (x, y), corruptions=["contrast"], severities=[1, 2, 3, 4])


@dataclass(frozen=True)
class Half:
    """Stops short after some calls, as a kill would."""

    calls: list[int]

    def __call__(self, x: Tensor, *, severity: int, keys: Tensor) -> Tensor:
        self.calls[0] -= 1
        if self.calls[0] < 0:
            raise KeyboardInterrupt
        return Darker()(x, severity=severity, keys=keys)


@dataclass(frozen=True)
class Textured:
    """Another image from another folder, as frost has."""

    textures: Path

    def __call__(self, x: Tensor, *, severity: int, keys: Tensor) -> Tensor:
        return x if self.textures.name == "one" else 1 - x


PIECES = [(X[:4], Y[:4]), (X[4:8], Y[4:8]), (X[8:], Y[8:])]


def test_what_was_broken_off_goes_on_as_if_it_had_not_been(tmp_path: Path) -> None:
    """Two corruptions, two severities, three batches; the kill comes in the last but one."""
    ledger = Ledger(folder=tmp_path)
    asked: dict[str, KeyedCorruption]
    asked = {"dark": Darker(), "noise": CORRUPTIONS["gaussian_noise"]}
    whole = corrupted(net(), PIECES, corruptions=asked, severities=[1, 5], rng=rng())
    one = counting.Counted(net())
    for corruption in (Half([3]), Darker()):
        named: dict[str, KeyedCorruption] = {**asked, "dark": corruption}
        try:
            found = corrupted(
                one, PIECES, corruptions=named, severities=[1, 5], rng=rng(), ledger=ledger
            )
        except KeyboardInterrupt:
            # Clean, dark and noise of the first batch; clean and half of dark of the second.
            assert one.forward_images == 4 * 5 + 4 * 2
    assert found.correct == whole.correct
    assert (found.clean_correct, found.forward) == (whole.clean_correct, whole.forward)
    # Of what is done nothing is judged again; the other object is another "dark".
    assert one.forward_images == 28 + 4 * 2 + 4 * 4 + 2 * 5
    again = corrupted(one, PIECES, corruptions=asked, severities=[1, 5], rng=rng(), ledger=ledger)
    assert again.correct == whole.correct
    assert one.forward_images == 62


def test_a_ledger_knows_another_question_from_the_same(tmp_path: Path) -> None:
    """Another seed, severity, image, label, or corruption of the same name: each as if alone."""
    ledger, pieces = Ledger(folder=tmp_path), [(X, Y)]
    others: list[tuple[Any, Any, list[int], int]] = [
        (Darker(), (X, Y), [3], 0),
        (Darker(), (X, Y), [3], 1),
        (Darker(), (X, Y), [4], 0),
        (Darker(comparable=False), (X, Y), [3], 0),
        (Textured(Path("one")), (X, Y), [3], 0),
        (Textured(Path("two")), (X, Y), [3], 0),
        (lambda x, *, severity, keys: x * 0, (X, Y), [3], 0),
        (Darker(), (1 - X, Y), [3], 0),
        (Darker(), (X, (Y + 1) % 3), [3], 0),
        (Darker(), (X[:5], Y[:5]), [3], 0),
    ]
    for corruption, pair, severities, seed in others:
        model = counting.Counted(net())
        named = {"dark": corruption}
        alone = corrupted(net(), [pair], corruptions=named, severities=severities, rng=rng(seed))
        found = corrupted(
            model, [pair], corruptions=named, severities=severities, rng=rng(seed), ledger=ledger
        )
        assert (found.correct, found.clean_correct) == (alone.correct, alone.clean_correct)
        assert model.forward_images >= len(pair[1])
    model = counting.Counted(net())
    parts, ledger = [("fog", s, pieces) for s in (1, 2)], Ledger(folder=tmp_path / "files")
    first = on_files(model, parts, clean=pieces, ledger=ledger)
    assert model.forward_images == 30
    assert on_files(model, parts, clean=pieces, ledger=ledger).correct == first.correct
    assert model.forward_images == 30
    on_files(model, [("fog", 1, [(1 - X, Y)])], ledger=ledger)
    assert model.forward_images == 40


def test_what_is_no_number_is_not_kept(tmp_path: Path) -> None:
    """The clean images are finite and kept; under contrast it must be judged again, and told."""
    x, y = torch.rand(4, 3, 8, 8), torch.arange(4) % 3
    for passes in (1, 0):
        with pytest.raises(NotFinite, match="4 of 8 images"):
            corrupted(
                _Late(first=passes),
                (x, y),
                corruptions=["contrast"],
                severities=[1],
                rng=rng(),
                ledger=Ledger(folder=tmp_path),
            )

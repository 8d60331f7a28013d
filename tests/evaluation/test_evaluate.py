"""Evaluation: image by image, batch by batch, whatever form the data comes in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from counting import Counted
from vicinal import attacks
from vicinal._checks import InputError
from vicinal._typing import Attack, Model, Passes
from vicinal.attacks.result import Result
from vicinal.evaluation import corrupted, evaluate
from vicinal.evaluation.threat import threat_of
from vicinal.gradients import clean_logits


def _model() -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(
            nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Tanh(), nn.Flatten(), nn.Linear(144, 3)
        )


def _data(n: int = 60) -> tuple[Tensor, Tensor]:
    """Images with the model's own classes, but for a sixth of them."""
    x = torch.rand(n, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    y = clean_logits(_model(), x).argmax(dim=1)
    y[::6] = (y[::6] + 1) % 3
    return x, y


FIXED: dict[str, Attack] = {
    "fgsm": attacks.FGSM(eps=0.01),
    "pgd": attacks.PGD(eps=0.01, step_size=0.004, steps=4, random_start=False, loss="margin"),
    "least": attacks.PGD(
        eps=0.02, step_size=0.01, steps=3, random_start=False, target="least_likely"
    ),
    "l2": attacks.PGD(eps=0.05, step_size=0.02, steps=4, norm="l2", random_start=False),
}


class Breaking:
    """An attack that breaks the images whose rows it is given, and touches none."""

    def __init__(self, *rows: int) -> None:
        self.rows = rows

    def __call__(
        self, model: Model, x: Tensor, y: Tensor, *, rng: torch.Generator | None = None
    ) -> Result:
        del model, y, rng
        success = torch.zeros(len(x), dtype=torch.bool)
        success[list(self.rows)] = True
        norms = torch.arange(len(x)) / 10
        return Result(adv=x, success=success, norms=norms, passes=Passes(3, 2), seconds=0.25)


def test_accuracies_are_those_of_the_attacks_run_by_hand() -> None:
    model, (x, y) = _model(), _data()
    results = evaluate(model, (x, y), attacks=FIXED)
    assert list(results) == ["clean", *FIXED]
    right = clean_logits(model, x).argmax(dim=1) == y
    assert results["clean"] == pytest.approx(50 / 60)
    assert torch.equal(results.verdicts["clean"].correct, right)
    for name, attack in FIXED.items():
        alone = attack(model, x, y)
        assert torch.equal(results.verdicts[name].correct, ~alone.success)
        assert torch.equal(results.verdicts[name].norms, alone.norms)
        assert results[name] == pytest.approx(1 - float(alone.success.double().mean()))
        assert 0 < results[name] < results["clean"]


def test_the_worst_case_is_the_minimum_image_by_image_not_of_means() -> None:
    model, (x, y) = _model(), _data(12)
    right = clean_logits(model, x).argmax(dim=1) == y  # all but rows 0 and 6
    first, second = Breaking(0, 1, 2, 3, 6), Breaking(0, 6, 3, 4, 5, 7)
    results = evaluate(model, (x, y), attacks={"first": first, "second": second})
    assert results["first"] == pytest.approx(7 / 12)
    assert results["second"] == pytest.approx(6 / 12)
    assert results["worst case"] == pytest.approx(4 / 12)
    by_loop = [
        bool(right[i]) and all(i not in attack.rows for attack in (first, second))
        for i in range(12)
    ]
    assert results.worst_case().tolist() == by_loop


def test_an_image_that_is_wrong_when_clean_is_wrong_in_the_worst_case() -> None:
    model, (x, y) = _model(), _data(12)
    results = evaluate(model, (x, y), attacks={"idle": Breaking(), "other": Breaking()})
    assert results["idle"] == 1.0
    assert results["worst case"] == results["clean"] == pytest.approx(10 / 12)


@pytest.mark.parametrize("size", [1, 7, 60, 100])
def test_deterministic_attacks_do_not_depend_on_the_batch_size(size: int) -> None:
    model, (x, y) = _model(), _data()
    whole = evaluate(model, (x, y), attacks=FIXED)
    parts = evaluate(model, list(zip(x.split(size), y.split(size), strict=True)), attacks=FIXED)  # type: ignore[no-untyped-call]
    assert list(parts) == list(whole)
    for name in whole:
        assert torch.equal(parts.verdicts[name].correct, whole.verdicts[name].correct)
        assert torch.allclose(parts.verdicts[name].norms, whole.verdicts[name].norms, atol=1e-6)
        assert parts.verdicts[name].forward == whole.verdicts[name].forward
        assert parts.verdicts[name].backward == whole.verdicts[name].backward


def test_data_may_be_a_pair_a_list_a_tuple_a_generator_or_a_loader() -> None:
    model, (x, y) = _model(), _data(12)
    halves = [(x[:6], y[:6]), (x[6:], y[6:])]

    def generate() -> Iterator[tuple[Tensor, Tensor]]:
        yield from halves

    loader: Any = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, y), batch_size=5)
    exact = evaluate(model, (x, y), attacks=FIXED)
    listed: Any = [x, y]
    for data in (listed, halves, tuple(halves), generate(), loader, [(x, y)]):
        found = evaluate(model, data, attacks=FIXED)
        for name in exact:
            assert torch.equal(found.verdicts[name].correct, exact.verdicts[name].correct)


def test_distributions_are_judged_by_their_class() -> None:
    model, (x, y) = _model(), _data(12)
    q = 0.8 * nn.functional.one_hot(y, 3).float() + 0.2 / 3
    attack = {"pgd": FIXED["pgd"]}
    hard, soft = evaluate(model, (x, y), attacks=attack), evaluate(model, (x, q), attacks=attack)
    for name in hard:
        assert torch.equal(hard.verdicts[name].correct, soft.verdicts[name].correct)


def test_passes_are_those_that_hooks_count() -> None:
    model, (x, y) = Counted(_model()), _data(13)
    batches = [(x[:8], y[:8]), (x[8:], y[8:])]
    costly: dict[str, Attack] = {
        "fgsm": attacks.FGSM(eps=0.1),
        "pgd": attacks.PGD(eps=0.1, step_size=0.1, steps=3, restarts=2, target="random"),
    }
    for name, attack in costly.items():
        model.forward_images = model.backward_images = 0
        results = evaluate(model, batches, attacks={name: attack})
        found = [results.verdicts[key] for key in ("clean", name)]
        assert sum(verdict.forward for verdict in found) == model.forward_images
        assert sum(verdict.backward for verdict in found) == model.backward_images


def test_what_the_model_said_of_clean_images_is_kept_in_order() -> None:
    """From the forward pass that is counted: `test_passes_are_those_that_hooks_count`."""
    model, (x, y) = _model(), _data(13)
    results = evaluate(model, [(x[:8], y[:8]), (x[8:], y[8:])], attacks={"a": Breaking(0)})
    clean, attacked = results.verdicts["clean"], results.verdicts["a"]
    assert clean.logits is not None
    torch.testing.assert_close(clean.logits, clean_logits(model, x))
    assert clean.classes is not None
    assert torch.equal(clean.classes, y)
    assert (attacked.logits, attacked.classes) == (None, None)
    assert [one.n for one in results.per_class("a")] == torch.bincount(y, minlength=3).tolist()
    lost = sum(round(one.n * one.accuracy) for one in results.per_class("a"))
    assert lost == 11  # the first image of each of the two batches


def test_scores_do_not_depend_on_the_batch_size_or_on_soft_labels() -> None:
    model, (x, y) = _model(), _data()
    q = 0.8 * nn.functional.one_hot(y, 3).float() + 0.2 / 3
    whole = evaluate(model, (x, y)).records[0]
    for parts in ([(x[:7], y[:7]), (x[7:], y[7:])], [(x, q)]):
        found = evaluate(model, parts).records[0]
        assert found.keys() == whole.keys() >= {"ece", "nll", "brier", "reliability", "per_class"}
        for field in ("ece", "nll", "brier"):
            assert found[field] == pytest.approx(whole[field], abs=1e-6)
        assert found["per_class"] == whole["per_class"]


def test_half_precision_logits_are_kept_wide_enough_to_score() -> None:
    model, (x, y) = _model().bfloat16(), _data(12)
    clean = evaluate(model, (x.bfloat16(), y)).verdicts["clean"]
    assert clean.logits is not None
    assert clean.logits.dtype == torch.float32


def test_a_generator_makes_it_repeatable_and_leaves_the_global_one_alone() -> None:
    model, (x, y) = _model(), _data()
    chance = [attacks.PGD(eps=0.01, step_size=0.001, steps=1)]
    state = torch.get_rng_state()
    seeds = (0, 0, 1)
    found = [
        evaluate(model, (x, y), attacks=chance, rng=torch.Generator().manual_seed(seed))
        for seed in seeds
    ]
    norms = [results.verdicts[repr(chance[0])].norms for results in found]
    assert torch.equal(norms[0], norms[1])
    assert not torch.equal(norms[0], norms[2])
    assert torch.equal(torch.get_rng_state(), state)


def test_a_sequence_is_named_by_what_the_attacks_are() -> None:
    results = evaluate(_model(), _data(6), attacks=(attacks.FGSM(eps=0.1), attacks.FGSM(eps=0.2)))
    assert list(results) == [
        "clean",
        "FGSM(eps=0.1, loss='ce', target=None)",
        "FGSM(eps=0.2, loss='ce', target=None)",
    ]


def test_progress_is_reported_for_every_attacked_batch() -> None:
    x, y = _data(12)
    told: list[tuple[str, int]] = []
    evaluate(
        _model(),
        [(x[:8], y[:8]), (x[8:], y[8:])],
        attacks={"a": Breaking(), "b": Breaking()},
        report=lambda name, n: told.append((name, n)),
    )
    assert told == [("a", 8), ("b", 8), ("a", 4), ("b", 4)]


def test_without_attacks_there_is_the_clean_accuracy() -> None:
    results = evaluate(_model(), _data(12))
    assert list(results) == ["clean"]
    assert results["worst case"] == results["clean"]


@pytest.mark.parametrize(
    ("named", "sentence"),
    [
        ({"clean": Breaking()}, "`attacks` must not be named 'clean'"),
        ({"worst case": Breaking()}, "`attacks` must not be named 'worst case'"),
        ([attacks.FGSM(eps=0.1), attacks.FGSM(eps=0.1)], "must have different names; got two of"),
        (attacks.FGSM(eps=0.1), r"attacks by name, or a list .*attacks=\[\.\.\.\]"),
        ("all", "`attacks` must hold attacks"),
        ([attacks.FGSM], r"got FGSM\. Did you mean FGSM\(eps=\.\.\.\)\?"),
        ({"fgsm": 0.1}, "`attacks` must hold attacks"),
    ],
)
def test_attacks_that_cannot_be_told_apart_or_run_are_refused(named: Any, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        evaluate(_model(), _data(6), attacks=named)


def test_two_transfers_are_told_apart_by_the_callers_names() -> None:
    transfers = [attacks.Transfer(source=_model(), attack=attacks.FGSM(eps=0.1)) for _ in range(2)]
    with pytest.raises(InputError, match="a dict of names and attacks"):
        evaluate(_model(), _data(6), attacks=transfers)
    results = evaluate(_model(), _data(6), attacks=dict(zip("ab", transfers, strict=True)))
    assert list(results) == ["clean", "a", "b"]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda x, y: [], "`data` must hold at least one batch"),
        (lambda x, y: (x[:0], y[:0]), "at least one image"),
        (lambda x, y: (255 * x, y), "x / 255"),
        (lambda x, y: (x * torch.nan, y), "NaN"),
        (lambda x, y: (x, y + 1), r"classes in 0\.\.2"),
        (lambda x, y: (x, y[1:]), "`y`"),
    ],
)
def test_bad_data_is_refused_in_a_sentence(change: Any, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        evaluate(_model(), change(*_data(30)), attacks=FIXED)


class _Broken(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(1)[:, :3] * torch.nan


def test_a_model_that_diverged_is_told_in_a_sentence() -> None:
    with pytest.raises(InputError, match="finite logits; got NaN or infinity for 12 of 12"):
        evaluate(_Broken(), _data(12))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an accelerator")
def test_batches_are_moved_to_the_models_device() -> None:
    data = _data()
    exact = evaluate(_model(), data, attacks=FIXED)
    found = evaluate(_model().cuda(), data, attacks=FIXED)
    for name in exact:
        assert found.verdicts[name].correct.device.type == "cpu"
        assert abs(found[name] - exact[name]) <= 1 / 60


def test_images_that_left_the_batch_are_not_counted_as_if_they_had_stayed() -> None:
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 3))
    x, y = torch.rand(40, 1, 4, 4), torch.arange(40) % 3
    whole = attacks.PGD(eps=0.5, step_size=0.1, steps=20)
    leaving = attacks.PGD(eps=0.5, step_size=0.1, steps=20, compact_every=1)
    counts = []
    for attack in (whole, leaving):
        found = evaluate(model, (x, y), attacks={"pgd": attack}, rng=torch.Generator())
        counts.append(next(r for r in found.records if r["attack"] == "pgd")["forward"])
    assert counts[0] == 40 * 21
    assert counts[1] == leaving(model, x, y, rng=torch.Generator()).image_passes.forward < counts[0]


CHANCE: dict[str, Attack] = {
    "pgd": attacks.PGD(eps=0.01, step_size=0.002, steps=2),
    "noise": attacks.UniformNoise(eps=0.1, draws=2),
    "again": attacks.PGD(eps=0.01, step_size=0.002, steps=2, loss="margin"),
}


@pytest.mark.parametrize("names", [["pgd"], ["noise", "pgd"], ["again", "pgd", "noise"]])
def test_what_stands_beside_an_attack_changes_none_of_its_draws(names: list[str]) -> None:
    model, (x, y) = _model(), _data()
    batches = list(zip(x.split(25), y.split(25), strict=True))  # type: ignore[no-untyped-call]
    chosen = {name: CHANCE[name] for name in names}
    found = evaluate(model, batches, attacks=chosen, rng=torch.Generator().manual_seed(2))
    for name, attack in chosen.items():
        rng = torch.Generator().manual_seed(2)
        by_hand = [attack(model, *batch, rng=rng) for batch in batches]
        assert torch.equal(found.verdicts[name].norms, torch.cat([one.norms for one in by_hand]))
        right = torch.cat([~one.success for one in by_hand])
        assert torch.equal(found.verdicts[name].correct, right)


def test_a_second_call_with_the_same_generator_draws_on() -> None:
    rng = torch.Generator().manual_seed(2)
    attack = {"pgd": attacks.PGD(eps=0.01, step_size=0.001, steps=1), "fgsm": FIXED["fgsm"]}
    norms = [
        evaluate(_model(), _data(), attacks=attack, rng=rng).verdicts["pgd"].norms for _ in range(2)
    ]
    assert not torch.equal(*norms)


def test_the_worst_case_is_that_of_the_threat_model() -> None:
    model, (x, y) = _model(), _data()
    large = attacks.FGSM(eps=0.3)
    found = evaluate(model, (x, y), attacks={**FIXED, "large": large})
    assert found.counted == ["fgsm", "pgd"]
    both = found.verdicts["fgsm"].correct & found.verdicts["pgd"].correct
    assert torch.equal(found.worst_case(), both & found.verdicts["clean"].correct)
    assert found["large"] < found["worst case"]
    stated = evaluate(model, (x, y), attacks={**FIXED, "large": large}, threat=threat_of(large))
    inside = [n for n, one in FIXED.items() if str(threat_of(one)).startswith("linf")]
    assert stated.counted == [*inside, "large"]
    assert stated["worst case"] <= stated["large"]
    record = stated.records[-1]
    assert record["attacks"] == [*inside, "large"]
    assert set(record["left_out"]) == set(FIXED) - set(inside)
    assert sum(record["broken_by"].values()) == record["n"] - record["correct"]


def test_of_an_attack_made_of_several_the_one_that_broke_is_counted() -> None:
    model, (x, y) = _model(), _data(20)
    members: dict[str, Attack] = {"a": attacks.FGSM(eps=0.01), "b": attacks.FGSM(eps=0.05)}
    whole = attacks.AutoAttack(eps=0.05, attacks=members)
    batches = [(x[:8], y[:8]), (x[8:], y[8:])]
    found = evaluate(model, batches, attacks={"auto": whole})
    by_hand = [name for batch in batches for name in whole(model, *batch).broken_by or ()]
    counts = found.verdicts["auto"].broken_by
    assert counts is not None
    for name in ("clean", "a", "b"):
        assert counts.get(name, 0) == by_hand.count(name)
    assert found.records[1]["broken_by"] == counts


def test_corruptions_are_judged_as_if_alone_and_change_no_attack() -> None:
    x, y = _data()
    data = [(x[rows : rows + 25], y[rows : rows + 25]) for rows in (0, 25, 50)]
    names, start = ["gaussian_noise", "brightness"], {"fgsm": attacks.FGSM(eps=0.01)}
    noisy: dict[str, Attack] = {**start, "noise": attacks.UniformNoise(eps=0.1, draws=3)}

    def rng() -> torch.Generator:
        return torch.Generator().manual_seed(5)

    model = _model()
    found = evaluate(model, data, attacks=noisy, corruptions=names, rng=rng())
    plain = evaluate(model, data, attacks=noisy, rng=rng())
    alone = corrupted(model, data, corruptions=names, rng=rng())
    assert found.corruptions is not None
    assert found.corruptions.correct == alone.correct
    assert plain.corruptions is None
    for name in noisy:
        assert torch.equal(found.verdicts[name].correct, plain.verdicts[name].correct)
    kinds = [record["kind"] for record in found.records]
    assert kinds == ["evaluation"] * 4 + ["corruption"] * 12 + ["corruptions"]
    assert "gaussian_noise" in str(found)
    assert "gaussian_noise" not in str(plain)


def test_batches_that_end_after_once_are_refused_with_corruptions() -> None:
    with pytest.raises(InputError, match=r"run through twice .* got generator"):
        evaluate(_model(), (batch for batch in [_data()]), corruptions=["brightness"])
    with pytest.raises(InputError, match="Did you mean fog"):
        evaluate(_model(), _data(), corruptions=["smog"])


class _Far:
    """Says it stays within 0.1, goes twice as far and counts every image."""

    eps, norm = 0.1, "linf"

    def __call__(
        self, model: Model, x: Tensor, y: Tensor, *, rng: torch.Generator | None = None
    ) -> Result:
        return Result(
            adv=torch.where(x < 0.5, x + 0.2, x - 0.2),
            success=torch.ones(len(x), dtype=torch.bool),
            norms=torch.full((len(x),), 0.1),
            passes=Passes(0, 0),
            seconds=0.0,
        )


def test_an_attack_that_leaves_its_ball_is_not_believed() -> None:
    model = Counted(nn.Sequential(nn.Flatten(), nn.Linear(4, 2)))
    x, y = torch.rand(6, 1, 2, 2), torch.tensor([0, 1] * 3)
    with pytest.raises(InputError, match=r"within \[0, 1\] and linf 0\.1 only; far counts 6 of 6"):
        evaluate(model, (x, y), attacks={"far": _Far()})
    assert model.forward_images == 6

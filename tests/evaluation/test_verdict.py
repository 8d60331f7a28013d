"""Planted cheats are caught by the check made for each, and an honest robust net is cleared."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import cheats
from counting import Counted
from laws import assert_model_unchanged
from nets import CHANNELS, SIDE, stateful_net
from vicinal import attacks, records
from vicinal._checks import InputError
from vicinal.data.digits import read_digits
from vicinal.evaluation import Results, evaluate, trials, verdict_passes
from vicinal.evaluation.results import CLEAN, Verdicts
from vicinal.evaluation.threat import about
from vicinal.evaluation.verdict import VERSION, Verdict, verdict

Data = tuple[Tensor, Tensor]
EPS, N = 0.1, 60


def _digits() -> tuple[Data, Data]:
    digits = read_digits()
    train, test = digits.train, digits.test
    return (train.x.float() / 255, train.y), (test.x[:N].float() / 255, test.y[:N])


def _trained(loss: Callable[[nn.Module, Tensor, Tensor], Tensor], *, epochs: int) -> nn.Module:
    """Train a two-layer perceptron on the digits; half a second without attacks."""
    (x, y), _ = _digits()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
        optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
        for _ in range(epochs):
            for rows in torch.split(torch.randperm(len(x)), 64):
                optimizer.zero_grad()
                torch.autograd.backward(loss(net, x[rows], y[rows]))
                optimizer.step()
    return net.eval()


def _madry(net: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    attack = attacks.PGD(eps=EPS, step_size=EPS / 2, steps=4, iterate="last")
    return functional.cross_entropy(net(attack(net, x, y).adv), y)


def _smoothed(net: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    q = 0.5 * functional.one_hot(y, 10) + 0.5 / 9 * (1 - functional.one_hot(y, 10))
    return functional.cross_entropy(net(x), q)


@pytest.fixture(scope="module")
def honest() -> nn.Module:
    """Train a net by PGD, robust at the radius of these tests."""
    return _trained(_madry, epochs=7)


@pytest.fixture(scope="module")
def data() -> Data:
    return _digits()[1]


def _judged(model: nn.Module, data: Data, *, eps: float = EPS, **more: Any) -> Verdict:
    torch.manual_seed(0)
    return verdict(model, data, eps=eps, rng=torch.Generator().manual_seed(0), **more)


@pytest.fixture(scope="module")
def cleared(honest: nn.Module, data: Data) -> Verdict:
    return _judged(honest, data, source=_trained(_plain, epochs=3))


def _plain(net: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    return functional.cross_entropy(net(x), y)


def test_an_honest_robust_net_is_cleared(cleared: Verdict) -> None:
    assert {check.name: check.status for check in cleared.checks if check.status != "PASS"} == {}
    assert cleared.status == "PASS"
    assert 0.5 < cleared.results["apgd-t"] < cleared.results[CLEAN] - 0.1
    assert len(cleared.checks) == len({check.name for check in cleared.checks}) == 26
    assert "PASS. Of 26 checks on 60 images (linf 0.1) 26 passed." in cleared.paragraph()
    assert "no proof" in cleared.paragraph()


def test_the_search_that_is_followed_is_the_one_that_is_told(cleared: Verdict) -> None:
    one = cleared.results.verdicts["pgd last"]
    assert one.noted is not None
    assert one.trail is not None
    assert one.noted.shape == one.trail.shape == (N, 21)
    assert torch.equal(one.trail[:, -1], one.correct)
    assert one.about == about(trials(eps=EPS)["pgd last"], device=torch.device("cpu"))
    check = cleared["loss plateau"]
    assert check.figures["left"] == int(one.trail.all(dim=1).sum()) > 30


CAUGHT: list[tuple[type[nn.Module], str, str]] = [
    (cheats.Quantised, "zero gradients of the margin", "FAIL"),
    (cheats.Quantised, "gradients against Square", "FAIL"),
    (cheats.Quantised, "huge eps", "FAIL"),
    (cheats.Typed, "differentiable", "FAIL"),
    (cheats.Stretched, "zero gradients of the cross-entropy", "FAIL"),
    (cheats.Stretched, "cross-entropy against margin", "FAIL"),
    (cheats.Stretched, "PGD against parts of AutoAttack", "FAIL"),
    (cheats.Noisy, "same logits twice", "FAIL"),
    (cheats.Softmaxed, "logits, not softmax", "FAIL"),
    (cheats.Decoyed, "untargeted against targeted", "FAIL"),
    (cheats.Reversed, "FGSM against clean", "WARN"),
    (cheats.Guarded, "one step against many", "FAIL"),
    (cheats.Rooted, "NaN gradients", "FAIL"),
    (cheats.Shattered, "loss surface", "WARN"),
    (cheats.Shattered, "gradient against slope", "FAIL"),
    (cheats.Reversed, "gradient against slope", "FAIL"),
    (cheats.Guarded, "gradient against slope", "FAIL"),
    (cheats.Batchwise, "same logits in any batch", "FAIL"),
    (cheats.Optimising, "no gradients at inference", "WARN"),
]


@pytest.fixture(scope="module")
def judged(honest: nn.Module, data: Data) -> Callable[[type[nn.Module]], Verdict]:
    found: dict[type[nn.Module], Verdict] = {}

    def judge(cheat: type[nn.Module]) -> Verdict:
        if cheat not in found:
            eps = 1.4 * EPS if cheat in {cheats.Decoyed, cheats.Stretched} else EPS
            found[cheat] = _judged(cheat(honest), data, eps=eps)
        return found[cheat]

    return judge


@pytest.mark.parametrize(("cheat", "check", "status"), CAUGHT)
def test_a_cheat_is_caught_by_the_check_made_for_it(
    cheat: type[nn.Module],
    check: str,
    status: str,
    judged: Callable[[type[nn.Module]], Verdict],
) -> None:
    found = judged(cheat)
    assert found[check].status == status, found.paragraph()
    assert check in found.paragraph()
    assert found.status in {"WARN", "FAIL"}


def test_a_cheat_is_not_caught_by_the_checks_that_do_not_concern_it(
    judged: Callable[[type[nn.Module]], Verdict],
) -> None:
    """Only outputs give a softmax away; only the cross-entropy has no gradient behind x1000."""
    assert [check.name for check in judged(cheats.Softmaxed).of("FAIL")] == ["logits, not softmax"]
    stretched = judged(cheats.Stretched)
    for name in ("zero gradients of the margin", "untargeted against targeted", "classes"):
        assert stretched[name].status == "PASS"


def test_a_label_smoothed_net_is_caught_by_the_parts_of_autoattack(data: Data) -> None:
    found = _judged(_trained(_smoothed, epochs=15), data)
    check = found["PGD against parts of AutoAttack"]
    assert check.status == "FAIL", found.paragraph()
    parts = "parts of AutoAttack (APGD-CE, APGD-T with 4 targets, Square with 1000 queries)"
    assert parts in check.sentence
    assert found["huge eps"].status == "PASS"  # which alone does not clear it


def test_transferred_examples_tell_on_a_net_without_gradients(
    honest: nn.Module, data: Data
) -> None:
    found = _judged(cheats.Quantised(honest), data, source=honest)
    assert found["gradients against transfer"].status == "FAIL"
    assert _judged(cheats.Typed(honest), data)["gradients against transfer"].status == "SKIP"


def test_without_gradients_only_other_attacks_are_run(
    judged: Callable[[type[nn.Module]], Verdict],
) -> None:
    found = judged(cheats.Typed)
    assert list(found.results) == [CLEAN, "square", "noise"]
    assert found["attacks by gradients"].status == "SKIP"
    assert found.gradients == {}


def test_two_classes_are_noted_and_attacked_in_l2(data: Data) -> None:
    x = data[0][:30]
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 2))
    found = _judged(model, (x, model(x).argmax(dim=1)), eps=0.3, norm="l2")
    assert found.status == "PASS", found.paragraph()
    assert "2 classes: with fewer than 4" in found["classes"].sentence
    assert found.results["pgd unbounded"] == 0.0
    assert str(found.threat) == "l2 0.3"


def test_the_record_is_json_and_holds_every_figure(cleared: Verdict) -> None:
    record = json.loads(records.line(cleared.record))
    assert record["kind"] == "verdict"
    assert record["version"] == VERSION == 5
    assert (record["status"], record["norm"], record["eps"], record["n"]) == (
        "PASS",
        "linf",
        EPS,
        N,
    )
    assert [each["name"] for each in record["checks"]] == [each.name for each in cleared.checks]
    assert all(each["figures"] and each["sentence"] for each in record["checks"])
    assert record["trials"]["pgd"]["accuracy"] == cleared.results["pgd"]
    assert {each["loss"] for each in record["input_gradients"]} == {"ce", "margin"}
    assert record["images"] == cleared.results.fingerprint
    assert "parameters" not in record["trials"][CLEAN]
    assert record["trials"]["square"]["parameters"]["queries"] == 1000
    own = record["trials"]["transfer"]
    said = cleared.results.verdicts["transfer"].about
    assert said is not None
    assert own["source"] == said.source
    assert len(own["source"]) == 16
    assert own["parameters"]["attack"]["steps"] == 20


def test_the_passes_are_told_and_bounded(honest: nn.Module, data: Data) -> None:
    x, y = data[0][:10], data[1][:10]
    model = Counted(honest)
    found = _judged(model, (x, y), eps=0.001)
    bound = verdict_passes(num_classes=10)
    assert model.forward_images <= 10 * bound.forward
    assert model.backward_images <= 10 * bound.backward
    looks = 5 + 1 + 1 + 2 + 2 + 3
    assert model.forward_images == found.record["forward"] + looks * len(x)
    assert model.backward_images == found.record["backward"] + 3 * len(x)


def test_it_looks_at_the_first_images_in_whatever_batches(honest: nn.Module, data: Data) -> None:
    """In a ball this large everything breaks at once, so two verdicts cost little."""
    x, y = data
    batches: Any = [(x[:7], y[:7]), (x[7:], y[7:])]
    found, whole = (_judged(honest, batches, n=12, eps=0.5), _judged(honest, data, n=12, eps=0.5))
    assert found.n == whole.n == 12
    assert found.results[CLEAN] == whole.results[CLEAN]
    for name in ("zero gradients of the margin", "FGSM against clean", "huge eps"):
        assert found[name] == whole[name]


def test_the_same_generator_gives_the_same_verdict(honest: nn.Module, data: Data) -> None:
    pair = data[0][:20], data[1][:20]
    state = torch.get_rng_state()
    found = [
        verdict(honest, pair, eps=0.4, rng=torch.Generator().manual_seed(seed)).record
        for seed in (1, 1, 2)
    ]
    assert all(one.pop("seconds") > 0 for one in found)
    assert found[0] == found[1]
    assert found[0] != found[2]
    assert torch.equal(torch.get_rng_state(), state)


def test_known_results_are_not_found_again(honest: nn.Module, data: Data) -> None:
    pair = data[0][:8], data[1][:8]
    few = {k: v for k, v in trials(eps=EPS).items() if k in {"square", "apgd-t"}}
    known = evaluate(honest, pair, attacks=few, rng=torch.Generator())
    found = _judged(honest, pair, known=known)
    for name in few:
        assert found.results.verdicts[name] is known.verdicts[name]
    every = _judged(honest, pair).results
    again = _judged(honest, pair, known=every)
    for name in trials(eps=EPS):
        assert again.results.verdicts[name] is every.verdicts[name]
    other = _verdicts(9)
    with pytest.raises(InputError, match="`known` must be of the same 8 images; got 9 for 'pgd'"):
        _judged(honest, pair, known=Results(verdicts={"pgd": other}))


def _verdicts(n: int) -> Verdicts:
    right = torch.ones(n, dtype=torch.bool)
    return Verdicts(correct=right, norms=torch.zeros(n), forward=n, backward=0, seconds=0.0)


def test_the_model_is_left_as_it_was() -> None:
    net, x = stateful_net(), torch.rand(4, CHANNELS, SIDE, SIDE)
    with assert_model_unchanged(net):
        verdict(net, (x, torch.arange(4)), eps=0.9)


def test_a_radius_or_data_that_make_no_sense_are_refused(honest: nn.Module, data: Data) -> None:
    for eps, sentence in ((0.0, "above 0"), (8.0, "8/255"), (float("inf"), "eps")):
        with pytest.raises(InputError, match=sentence):
            verdict(honest, data, eps=eps)
    with pytest.raises(InputError, match="at least one image"):
        verdict(honest, [], eps=EPS)


def test_a_known_autoattack_is_held_against_pgd(honest: nn.Module, data: Data) -> None:
    pair = data[0][:24], data[1][:24]
    strongest = attacks.AutoAttack(eps=EPS)
    known = Results(verdicts={"autoattack": replace(_verdicts(24), correct=torch.zeros(24).bool())})
    found = _judged(honest, pair, strongest=strongest, known=known)
    check = found["PGD against AutoAttack"]
    assert check.status == "FAIL"
    assert check.figures["strong"] == 0.0
    assert "with AutoAttack, APGD-CE" in check.sentence


class _TwoFaced(nn.Module):
    """Rounds pixels where no gradient is asked for, and there alone."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        z: Tensor = self.net(x if x.requires_grad else (4 * x).round() / 4)
        return z


def test_a_net_with_another_face_for_gradients_is_caught(honest: nn.Module, data: Data) -> None:
    found = _judged(_TwoFaced(honest), data)
    assert found["same logits with a gradient"].status == "FAIL"
    assert found.status == "FAIL"
    noisy = _judged(cheats.Noisy(honest), (data[0][:4], data[1][:4]), eps=0.5)
    assert noisy["same logits with a gradient"].status == "SKIP"


class _Elsewhere(torch.autograd.Function):
    """The images themselves; their gradient is that of other pixels."""

    @staticmethod
    def forward(_: Any, x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def backward(_: Any, *gradients: Tensor) -> Tensor:
        return gradients[0].flip(3).roll(3, 2)


class _Sly(cheats.Decoyed):
    """Gradients lead elsewhere, and a decoy misleads whoever asks for logits alone."""

    def forward(self, x: Tensor) -> Tensor:
        apart: Tensor = _Elsewhere.apply(x)  # type: ignore[no-untyped-call]
        return super().forward(apart)


def test_gradients_of_another_function_are_caught_where_searches_agree(data: Data) -> None:
    """By gradients or by queries nothing finds its way, so no gap within the ball convicts."""
    found = _judged(_Sly(_trained(_plain, epochs=3)), data)
    assert {check.name for check in found.of("FAIL")} == {"huge eps", "gradient against slope"}
    assert abs(found["gradient against slope"].figures["median"]) < 0.5
    assert found["gradient against slope"].figures["measured"] == N


@pytest.mark.parametrize("right", [0, 3])
def test_where_nearly_nothing_is_right_nothing_passes_for_want_of_it(
    honest: nn.Module, data: Data, right: int
) -> None:
    x, wrong = data[0], (honest(data[0]).argmax(dim=1) + 1) % 10
    wrong[:right] = (wrong[:right] - 1) % 10
    found = _judged(honest, (x, wrong), source=honest)
    assert found.status == "WARN"
    assert [check.name for check in found.of("WARN")] == ["images to attack"]
    assert len(found.of("SKIP")) == 13
    reasons = {check.sentence for check in found.of("SKIP")}
    assert reasons == {f"Too few images that the model gets right: {right} of the 20 needed."}
    much = "Too little" if right else "Nothing"
    head = f"Masking verdict: WARN. {much} could be attacked (linf 0.1): The model gets {right} of"
    assert found.paragraph().startswith(f"{head} {N} images right, of 20 needed: too few")
    assert found.paragraph().count("too few to attack") == 1
    assert (
        "huge eps, larger eps, doubled steps, loss plateau, silent success, " in found.paragraph()
    )
    assert f"right: {right} of the 20 needed." in found.paragraph()


def test_twenty_images_that_are_right_are_enough(honest: nn.Module, data: Data) -> None:
    right = honest(data[0]).argmax(dim=1) == data[1]
    x, y = data[0][right][:20], data[1][right][:20]
    assert _judged(honest, (x, y))["huge eps"].status == "PASS"
    assert _judged(honest, (x[:19], y[:19]))["huge eps"].status == "SKIP"


def test_a_check_is_found_by_its_name(cleared: Verdict) -> None:
    assert cleared["huge eps"].name == "huge eps"
    with pytest.raises(InputError, match=r"no check 'huge'.*Did you mean huge eps"):
        _ = cleared["huge"]


def test_a_namesake_of_a_trial_with_other_parameters_is_no_known_result(
    honest: nn.Module, data: Data
) -> None:
    """The suites have attacks of these names too, with more targets, or in another ball."""
    pair = data[0][:8], data[1][:8]
    small = {"square": trials(eps=EPS / 100)["square"]}
    known = evaluate(honest, pair, attacks=small, rng=torch.Generator())
    found = _judged(honest, pair, known=known)
    assert found.results.verdicts["square"] is not known.verdicts["square"]
    same = {"square": trials(eps=EPS)["square"]}
    others = data[0][8:16], data[1][8:16]
    known = evaluate(honest, others, attacks=same, rng=torch.Generator())
    with pytest.raises(InputError, match="`known` must be of the same images"):
        _judged(honest, pair, known=known)

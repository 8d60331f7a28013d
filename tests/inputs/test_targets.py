"""Which class an attack aims at: never the true one."""

from __future__ import annotations

import pytest
import torch
from scipy import stats
from torch import Tensor

from vicinal._checks import InputError
from vicinal.inputs.targets import TARGETS, check_target, choose_target

# A uniform draw fails the test of uniformity with this probability; the seed is fixed.
FALSE_ALARM = 1e-6


def _batch(n: int = 200, classes: int = 7) -> tuple[Tensor, Tensor]:
    g = torch.Generator().manual_seed(0)
    # Few levels, so that ties are common.
    z = torch.randint(-2, 3, (n, classes), generator=g).float()
    return z, torch.randint(classes, (n,), generator=g)


@pytest.mark.parametrize("rule", TARGETS)
@pytest.mark.parametrize("classes", [2, 3, 7])
def test_the_true_class_is_never_the_target(rule: str, classes: int) -> None:
    z, y = _batch(classes=classes)
    for labels in (y, torch.nn.functional.one_hot(y, classes).float()):
        t = choose_target(rule, z, labels, rng=torch.Generator().manual_seed(1))
        assert t.shape == y.shape
        assert t.dtype == torch.int64
        assert bool((t != y).all())
        assert int(t.min()) >= 0
        assert int(t.max()) < classes


@pytest.mark.parametrize("sign", [1, -1])
def test_likely_classes_are_those_of_a_loop_over_the_wrong_classes(sign: int) -> None:
    z, y = _batch()
    t = choose_target("most_confusing" if sign > 0 else "least_likely", z, y)
    for row, own, found in zip(z.tolist(), y.tolist(), t.tolist(), strict=True):
        wrong = [k for k in range(len(row)) if k != own]
        assert found == max(wrong, key=lambda k: sign * row[k])


def test_of_a_distribution_the_class_of_largest_weight_is_excluded() -> None:
    z = torch.tensor([[0.0, 1.0, 2.0]])
    q = torch.tensor([[0.2, 0.3, 0.5]])
    assert choose_target("most_confusing", z, q).tolist() == [1]
    assert choose_target("least_likely", z, q).tolist() == [0]


def test_infinite_logits_of_wrong_classes_are_no_obstacle() -> None:
    z = torch.tensor([[0.0, -torch.inf, 1.0], [0.0, torch.inf, 1.0]])
    y = torch.tensor([1, 1])
    assert choose_target("least_likely", z, y).tolist() == [0, 0]
    assert choose_target("most_confusing", z, y).tolist() == [2, 2]


@pytest.mark.parametrize("classes", [2, 5])
def test_random_targets_are_uniform_over_the_wrong_classes(classes: int) -> None:
    n = 20_000
    for own in range(classes):
        y = torch.full((n,), own)
        t = choose_target(
            "random", torch.zeros(n, classes), y, rng=torch.Generator().manual_seed(3)
        )
        counts = torch.bincount(t, minlength=classes)
        assert int(counts[own]) == 0
        wrong = torch.cat([counts[:own], counts[own + 1 :]]).numpy()
        if classes > 2:
            assert stats.chisquare(wrong).pvalue > FALSE_ALARM / classes


def test_random_targets_follow_the_generator_and_leave_the_global_one_alone() -> None:
    z, y = _batch()
    state = torch.get_rng_state()
    first = choose_target("random", z, y, rng=torch.Generator().manual_seed(3))
    assert torch.equal(first, choose_target("random", z, y, rng=torch.Generator().manual_seed(3)))
    assert not torch.equal(
        first, choose_target("random", z, y, rng=torch.Generator().manual_seed(4))
    )
    assert torch.equal(torch.get_rng_state(), state)


def test_given_targets_are_taken() -> None:
    z, y = _batch()
    t = ((y + 2) % 7).to(torch.int32)
    assert choose_target(t, z, y).tolist() == t.tolist()


@pytest.mark.parametrize(
    ("target", "sentence"),
    [
        (torch.zeros(3).long(), "must differ from the true class; got the true class for 1 of 3"),
        (torch.tensor([1, 2, 7]), r"must hold classes in 0\.\.2 .* got 7"),
        (torch.tensor([1, 2]), "target"),
        (torch.full((3, 3), 1 / 3), r"must be classes of shape \(N,\)"),
        (torch.tensor([1.0, 2.0, 1.0]), "integer classes"),
        ("least-likely", "Did you mean least_likely"),
    ],
)
def test_bad_targets_are_refused_in_a_sentence(target: Tensor | str, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        choose_target(target, torch.zeros(3, 3), torch.tensor([0, 1, 2]))


def test_labels_that_do_not_fit_the_logits_are_refused() -> None:
    with pytest.raises(InputError, match=r"classes in 0\.\.2"):
        choose_target("random", torch.zeros(2, 3), torch.tensor([0, 3]))
    with pytest.raises(InputError, match="logits of shape"):
        choose_target("random", torch.zeros(2), torch.tensor([0, 1]))


def test_a_target_rule_is_checked_before_there_are_images() -> None:
    check_target(None)
    check_target(torch.zeros(3))
    with pytest.raises(InputError, match="target"):
        check_target("worst")

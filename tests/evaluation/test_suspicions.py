"""Every alarm on figures alone: where it is silent, where it warns, where it fails."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vicinal.evaluation import suspicions, symptoms
from vicinal.evaluation.check import Check

N = 1000


def _gap(weak: float, strong: float) -> Check:
    return suspicions.gap("gap", weak, strong, n=N, words=("PGD", "AutoAttack"))


def _beyond(only: int) -> Check:
    return suspicions.beyond_gradients("Square", only=only, n=N, accuracy=0.5, gradients=0.5)


CASES: list[tuple[Callable[[float], Check], tuple[float, float, float]]] = [
    (lambda a: suspicions.one_step(0.4, 0.4 + a, n=N), (0.002, 0.02, 0.021)),
    (lambda a: suspicions.fgsm_above_clean(0.4 + a, 0.4, n=N), (0.002, 0.02, 0.021)),
    (lambda a: _beyond(round(N * a)), (0.002, 0.02, 0.021)),
    (lambda a: suspicions.huge(a, n=N), (0.01, 0.1, 0.101)),
    (lambda a: suspicions.doubled(0.4, 0.4 - a, n=N), (0.01, 0.05, 0.051)),
    (lambda a: suspicions.growing({0.1: 0.5, 0.2: 0.3, 0.4: 0.3 + a}, n=N), (0.002, 0.02, 0.021)),
]


@pytest.mark.parametrize("case", CASES)
def test_figures_become_the_status_of_their_thresholds(
    case: tuple[Callable[[float], Check], tuple[float, float, float]],
) -> None:
    check, (passes, warns, fails) = case
    assert check(0.0).status == "PASS"
    assert check(passes).status == "PASS"
    assert check(passes + 0.001).status == "WARN"
    assert check(warns).status == "WARN"
    assert check(fails).status == "FAIL"


@given(st.integers(0, 200), st.integers(0, 200))
def test_pgd_minus_autoattack_follows_its_rule_in_whole_images(first: int, second: int) -> None:
    """Exact: WARN above 5 points or 15 %, FAIL above 10 points and 25 %; one image is no case."""
    n, weak, strong = 200, max(first, second), min(first, second)
    lost = weak - strong
    warns = lost >= 2 and (100 * lost > 5 * n or 100 * lost > 15 * weak)
    fails = warns and lost >= 5 and 100 * lost > 10 * n and 100 * lost > 25 * weak
    found = suspicions.gap("gap", weak / n, strong / n, n=n, words=("a", "b"))
    assert found.status == ("FAIL" if fails else "WARN" if warns else "PASS")


@pytest.mark.parametrize(
    ("weak", "strong", "status"),
    [
        (0.710, 0.323, "FAIL"),  # BAT's later nets under FeatureAttack
        (0.60, 0.55, "PASS"),
        (0.60, 0.549, "WARN"),  # 5.1 points, 8.5 %
        (0.10, 0.08, "WARN"),  # 2 points, 20 %
        (0.10, 0.01, "WARN"),  # 9 points, 90 %
        (0.60, 0.451, "WARN"),  # 14.9 points, 24.8 %
        (0.0, 0.0, "PASS"),
    ],
)
def test_pgd_minus_autoattack_on_known_cases(weak: float, strong: float, status: str) -> None:
    found = _gap(weak, strong)
    assert found.status == status
    assert found.figures["points"] == pytest.approx(100 * (weak - strong))


@pytest.mark.parametrize(("images", "status"), [(1, "PASS"), (2, "WARN"), (4, "WARN"), (5, "FAIL")])
def test_a_few_images_of_a_small_sample_are_no_proof(images: int, status: str) -> None:
    """Of ten images each is ten points, beyond every threshold."""
    n, a = 10, images / 10
    found = [
        suspicions.one_step(0.1, 0.1 + a, n=n),
        suspicions.fgsm_above_clean(0.1 + a, 0.1, n=n),
        suspicions.beyond_gradients("noise", only=images, n=n, accuracy=0.5, gradients=0.5),
        suspicions.huge(a + 1e-9, n=n),
        suspicions.growing({0.1: 0.1, 0.2: 0.1 + a}, n=n),
        suspicions.doubled(0.1 + a, 0.1, n=n),
        suspicions.gap("gap", a + 1e-9, 0.0, n=n, words=("a", "b")),
    ]
    assert {check.name: check.status for check in found} == dict.fromkeys(
        (check.name for check in found), status
    )


def test_a_better_weak_attack_is_no_gap() -> None:
    assert _gap(0.3, 0.5).status == "PASS"


@pytest.mark.parametrize(
    "check",
    [
        suspicions.one_step(0.4, 0.5, n=10),
        suspicions.fgsm_above_clean(0.5, 0.4, n=10),
        suspicions.beyond_gradients("noise", only=1, n=10, accuracy=0.5, gradients=0.5),
        suspicions.huge(0.1, n=10),
        suspicions.doubled(0.5, 0.4, n=10),
        suspicions.growing({0.1: 0.4, 0.2: 0.5}, n=10),
        suspicions.gap("gap", 0.1, 0.0, n=10, words=("a", "b")),
        suspicions.silent(0.1, n=10),
        suspicions.plateau(0.5, left=1, rising=1, window=10),
    ],
)
def test_a_single_image_proves_nothing(check: Check) -> None:
    assert check.status == "PASS"


def test_the_largest_rise_of_a_curve_counts_wherever_it_is() -> None:
    rows = {0.4: 0.20, 0.1: 0.5, 0.2: 0.10}
    found = suspicions.growing(rows, n=100)
    assert found.status == "FAIL"
    assert "50.0 % at 0.1, 10.0 % at 0.2, 20.0 % at 0.4" in found.sentence


def test_silent_success_warns_and_never_fails() -> None:
    assert [suspicions.silent(share, n=N).status for share in (0.01, 0.02, 1.0)] == [
        "PASS",
        "WARN",
        "WARN",
    ]


def test_a_loss_that_still_rises_warns_and_never_fails() -> None:
    shares = (0.05, 0.051, 1.0)
    found = [suspicions.plateau(share, left=9, rising=9, window=10).status for share in shares]
    assert found == ["PASS", "WARN", "WARN"]


def test_a_sentence_has_the_figures() -> None:
    assert suspicions.one_step(0.3, 0.4, n=100).sentence == (
        "One step leaves 30.0 % right, many leave 40.0 %."
    )
    assert "it alone breaks 3 of 1000 images" in _beyond(3).sentence
    assert "20.0 points less, 40 % of it" in _gap(0.5, 0.3).sentence


def test_what_passed_for_want_of_images_is_taken_back_and_nothing_else() -> None:
    attacks = suspicions.doubled(0.5, 0.5, n=9), suspicions.one_step(0.1, 0.9, n=9)
    checks = (*attacks, symptoms.softmax(False), symptoms.softmax(True))
    found = suspicions.unfounded(checks, right=3, needed=20)
    assert [check.status for check in found] == ["SKIP", "FAIL", "PASS", "FAIL"]
    assert found[0].sentence.endswith("right: 3 of the 20 needed.")
    assert found[1:] == checks[1:]
    assert suspicions.unfounded(checks, right=20, needed=20) == checks

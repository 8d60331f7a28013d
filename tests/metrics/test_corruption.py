"""Corruption errors against loops written from the paper, and the numbers that are published."""

from __future__ import annotations

import math
import random

import pytest

from vicinal._checks import InputError
from vicinal.metrics.corruption import (
    BASELINES,
    Baseline,
    corruption_error,
    mean_corruption_error,
    mean_error,
    relative_corruption_error,
    relative_mean_corruption_error,
)

ALEX = BASELINES["alexnet"]
PER_SEVERITY = {
    "gaussian_noise": (0.69528, 0.82542, 0.93554, 0.98138, 0.99452),
    "shot_noise": (0.71224, 0.85108, 0.93574, 0.98182, 0.99146),
    "impulse_noise": (0.78374, 0.89808, 0.9487, 0.9872, 0.99548),
    "defocus_blur": (0.65624, 0.73202, 0.85036, 0.91364, 0.94714),
    "glass_blur": (0.64308, 0.75054, 0.88806, 0.91622, 0.93344),
    "motion_blur": (0.5843, 0.70048, 0.82108, 0.8975, 0.92638),
    "zoom_blur": (0.70008, 0.76992, 0.80784, 0.84198, 0.87198),
    "snow": (0.71726, 0.88392, 0.86468, 0.9187, 0.94952),
    "frost": (0.6139, 0.79734, 0.8879, 0.89942, 0.9343),
    "fog": (0.67474, 0.7605, 0.84378, 0.8726, 0.945),
    "brightness": (0.4514, 0.48502, 0.54048, 0.62166, 0.7244),
    "contrast": (0.64548, 0.7615, 0.88874, 0.9776, 0.9927),
    "elastic_transform": (0.52596, 0.70116, 0.55686, 0.64076, 0.80554),
    "pixelate": (0.52218, 0.5462, 0.73728, 0.87092, 0.91262),
}
"""AlexNet's errors at every severity, as the authors published them (JPEG's are not)."""


def drawn() -> tuple[dict[str, list[float]], float]:
    rng = random.Random(3)
    errors = {name: [rng.random() for _ in range(5)] for name in ALEX.errors}
    return {**errors, "speckle_noise": [0.5] * 5}, 0.1


def test_the_baselines_means_are_those_of_its_severities() -> None:
    for name, errors in PER_SEVERITY.items():
        assert sum(errors) / 5 == pytest.approx(ALEX.errors[name], abs=1e-6)


def test_mce_matches_the_papers_double_sum() -> None:
    errors, clean = drawn()
    ces, relatives = [], []
    for name, base in ALEX.errors.items():
        above, below, above_relative, below_relative = 0.0, 0.0, 0.0, 0.0
        for severity in range(5):
            above += errors[name][severity]
            below += base
            above_relative += errors[name][severity] - clean
            below_relative += base - 0.435
        assert corruption_error(errors[name], name, ALEX) == pytest.approx(above / below)
        ces.append(above / below)
        relatives.append(above_relative / below_relative)
        found = relative_corruption_error(errors[name], clean, name, ALEX)
        assert found == pytest.approx(relatives[-1])
    assert mean_corruption_error(errors, ALEX) == pytest.approx(100 * sum(ces) / 15)
    found = relative_mean_corruption_error(errors, clean, ALEX)
    assert found == pytest.approx(100 * sum(relatives) / 15)


@pytest.mark.parametrize("name", BASELINES)
def test_the_baseline_itself_has_100(name: str) -> None:
    base = BASELINES[name]
    own = {corruption: [error] * 5 for corruption, error in base.errors.items()}
    assert mean_corruption_error(own, base) == pytest.approx(100)
    relative = relative_mean_corruption_error(own, base.clean or 0.0, base)
    assert math.isnan(relative) if base.clean is None else relative == pytest.approx(100)
    assert len(base.errors) == 15


def test_a_figure_over_other_corruptions_has_no_such_name() -> None:
    errors, clean = drawn()
    del errors["frost"]
    assert math.isnan(mean_corruption_error(errors, ALEX))
    assert math.isnan(relative_mean_corruption_error(errors, clean, ALEX))


def test_the_plain_mean_gives_every_corruption_the_same_weight() -> None:
    assert mean_error({"fog": [0.0, 0.2, 0.4], "snow": [0.6]}) == pytest.approx(0.4)
    with pytest.raises(InputError, match="at least one corruption"):
        mean_error({})


def test_a_baseline_that_loses_nothing_gives_no_ratio() -> None:
    perfect = Baseline(name="perfect", errors={"fog": 0.0}, clean=0.0)
    assert math.isnan(corruption_error([0.1] * 5, "fog", perfect))
    assert math.isnan(relative_corruption_error([0.1] * 5, 0.1, "fog", perfect))


def test_what_cannot_be_compared_is_one_sentence() -> None:
    with pytest.raises(InputError, match="five severities; got 4"):
        corruption_error([0.1] * 4, "fog", ALEX)
    with pytest.raises(InputError, match="has no 'rain'"):
        corruption_error([0.1] * 5, "rain", Baseline(name="mine", errors={"fog": 0.5}))

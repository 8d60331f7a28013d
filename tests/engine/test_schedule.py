from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vicinal._checks import InputError
from vicinal.engine.schedule import SCHEDULES, Constant, Cosine, Cyclic, Schedule, Step

ALL: list[Schedule] = [
    Step(),
    Step(milestones=(1 / 3, 2 / 3, 8 / 9)),
    Cosine(),
    Cosine(warmup=0.2),
    Cyclic(),
    Cyclic(peak=0.15),
    Cyclic(peak=0.0),
    Constant(),
]


def test_the_table_names_every_schedule_and_defaults_build() -> None:
    assert sorted(SCHEDULES) == ["constant", "cosine", "cyclic", "step"]
    assert {type(build()) for build in SCHEDULES.values()} == {type(each) for each in ALL}


def test_step_is_the_papers_rate_over_200_epochs() -> None:
    expected = [1.0] * 100 + [0.1] * 50 + [0.01] * 50
    found = [Step().factor(epoch, 200) for epoch in range(200)]
    assert found == pytest.approx(expected, rel=1e-12)
    assert Step().factor(99.999, 200) == 1.0


@given(epochs=st.integers(2, 400), data=st.data())
def test_step_drops_exactly_at_an_epoch_written_as_a_fraction(
    epochs: int, data: st.DataObject
) -> None:
    epoch = data.draw(st.integers(1, epochs - 1))
    schedule = Step(milestones=(epoch / epochs,), gamma=0.25)
    assert schedule.factor(float(epoch), epochs) == 0.25
    assert schedule.factor(epoch - 1e-6, epochs) == 1.0


def test_cyclic_is_the_interpolation_of_fast_adversarial_training() -> None:
    progress = np.linspace(0, 15, 301)
    expected = np.interp(progress, [0, 6, 15], [0, 1, 0])
    found = [Cyclic(peak=0.4).factor(float(p), 15) for p in progress]
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_cosine_meets_torchs_annealing_after_a_linear_warm_up() -> None:
    progress = np.linspace(0, 10, 101)
    warm = progress / 2
    annealed = (1 + np.cos(math.pi * (progress - 2) / 8)) / 2
    found = [Cosine(warmup=0.2).factor(float(p), 10) for p in progress]
    np.testing.assert_allclose(found, np.where(progress < 2, warm, annealed), atol=1e-12)


@pytest.mark.parametrize("schedule", ALL, ids=repr)
@given(share=st.floats(0, 1), epochs=st.integers(1, 300))
def test_the_factor_lies_between_0_and_1_and_depends_on_the_share_of_the_run_done(
    schedule: Schedule, share: float, epochs: int
) -> None:
    factor = schedule.factor(share * epochs, epochs)
    assert -1e-12 <= factor <= 1.0
    if not isinstance(schedule, Step):  # whose jumps have no continuity to be approximate by
        assert factor == pytest.approx(schedule.factor(share, 1), abs=1e-9)


@pytest.mark.parametrize("schedule", ALL, ids=repr)
@pytest.mark.parametrize(("epochs", "steps"), [(1, 1), (1, 7), (15, 390), (200, 391)])
def test_the_middles_of_the_first_and_the_last_step_have_a_rate(
    schedule: Schedule, epochs: int, steps: int
) -> None:
    first, last = (schedule.factor(p, epochs) for p in (0.5 / steps, epochs - 0.5 / steps))
    assert first > 0
    assert last > 0
    if isinstance(schedule, (Cosine, Cyclic)) and epochs * steps > 100:
        assert last < 0.01


@pytest.mark.parametrize(
    ("build", "argument"),
    [
        (lambda: Step(milestones=(100, 150)), "milestones"),
        (lambda: Step(milestones=(0.0,)), "milestones"),
        (lambda: Step(milestones=(0.75, 0.5)), "milestones"),
        (lambda: Step(gamma=0.0), "gamma"),
        (lambda: Cosine(warmup=1.0), "warmup"),
        (lambda: Cyclic(peak=-0.1), "peak"),
        (lambda: Cyclic(peak=1.0), "peak"),
    ],
)
def test_a_number_out_of_range_is_one_sentence(build: type[Step], argument: str) -> None:
    with pytest.raises(InputError, match=f"^`{argument}` must [^\n]*$"):
        build()


def test_milestones_in_epochs_are_told_how_to_become_fractions() -> None:
    with pytest.raises(InputError, match=r"epoch 100 of 200 is 0\.5"):
        Step(milestones=(100, 150))


def test_a_list_from_a_file_makes_the_same_schedule_as_a_tuple() -> None:
    milestones: tuple[float, ...] = [0.25, 0.5]  # type: ignore[assignment]
    assert Step(milestones=milestones) == Step(milestones=(0.25, 0.5))
    assert hash(Step(milestones=milestones)) == hash(Step(milestones=(0.25, 0.5)))

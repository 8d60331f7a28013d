"""Curves against the exact worst case of linear models, and against the attacks run one by one."""

from __future__ import annotations

import json
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from counting import Counted
from linear_models import batch_of, flat, linear_model
from nets import CHANNELS, SIDE, smooth_net
from vicinal import records
from vicinal._checks import InputError
from vicinal._typing import Attack, Model, Passes
from vicinal.attacks import FGSM, PGD, Result, UniformNoise
from vicinal.evaluation import over_eps, over_restarts, over_steps, radii
from vicinal.evaluation.curves import Curve, Point
from vicinal.gradients import clean_logits
from vicinal.metrics import wilson


def _smooth(n: int = 24) -> tuple[nn.Module, Tensor, Tensor]:
    net = smooth_net()
    x = torch.rand(n, CHANNELS, SIDE, SIDE, dtype=torch.float64)
    y = clean_logits(net, x).argmax(dim=1)
    y[::8] = (y[::8] + 1) % 5
    return net, x, y


def _monotone(curve: Curve) -> bool:
    return all(a.correct >= b.correct and a.at < b.at for a, b in pairwise(curve.points))


def test_an_eps_curve_is_the_exact_worst_case_of_a_linear_model() -> None:
    """Two classes: right in the ball where the margin exceeds eps times the slope's l1 norm."""
    model, weight, bias = linear_model(2)
    x, y = batch_of(model, 40, inner=True)
    slope = weight[1] - weight[0]
    margins = np.abs(flat(x) @ slope + bias[1] - bias[0])
    eps = (0.01, 0.02, 0.05, 0.1, 0.2)
    curve = over_eps(model, (x, y), lambda e: FGSM(eps=e), eps=eps, chance=0.0)
    exact = [40, *(int((margins > e * np.abs(slope).sum()).sum()) for e in eps)]
    stop = exact.index(0) + 1 if 0 in exact else len(exact)
    assert [point.correct for point in curve.points] == exact[:stop]
    assert [point.at for point in curve.points] == [0.0, *eps][:stop]
    assert [point.correct for point in curve.raw] == exact
    assert len(set(exact)) >= 4
    for point in curve.points:
        assert point.interval == wilson(point.correct, 40)


class _Breaking:
    """An attack that breaks the rows it is given, and touches none."""

    def __init__(self, *rows: int) -> None:
        self.rows, self.eps, self.norm = rows, 0.1, "linf"

    def __call__(
        self, model: Model, x: Tensor, y: Tensor, *, rng: torch.Generator | None = None
    ) -> Result:
        del model, y, rng
        success = torch.zeros(len(x), dtype=torch.bool)
        success[list(self.rows)] = True
        norms = torch.zeros(len(x))
        return Result(adv=x, success=success, norms=norms, passes=Passes(1, 0), seconds=0.0)


def test_what_a_smaller_ball_found_is_carried_into_larger_ones_and_raw_is_not() -> None:
    net, x, y = _smooth(10)
    y = clean_logits(net, x).argmax(dim=1)
    found = {0.1: _Breaking(0, 1, 2), 0.2: _Breaking(3), 0.3: _Breaking(1, 4, 5, 6, 7)}
    curve = over_eps(net, (x, y), found.__getitem__, eps=tuple(found))
    assert [point.correct for point in curve.raw] == [10, 7, 9, 5]
    assert [point.correct for point in curve.points] == [10, 7, 6, 2]
    assert _monotone(curve)
    assert curve.ended  # 2 of 10 is the chance of 5 classes
    assert not over_eps(net, (x, y), found.__getitem__, eps=tuple(found), chance=0.1).ended


def test_a_curve_ends_where_chance_is_reached() -> None:
    net, x, y = _smooth()

    def pgd(eps: float) -> Attack:
        return PGD(eps=eps, step_size=eps / 4, steps=10, compact_every=2)

    curve = over_eps(net, (x, y), pgd, eps=radii(0.02))
    assert curve.ended
    assert curve.points[-1].accuracy <= 1 / 5 < curve.points[-2].accuracy
    assert _monotone(curve)
    assert curve.points[0].accuracy == pytest.approx(21 / 24)


def test_radii_grow_to_the_whole_range() -> None:
    found = radii(8 / 255)
    assert found[:3] == (2 / 255, 4 / 255, 8 / 255)
    assert found[-1] == 1.0
    assert all(low < high <= 2 * low for low, high in pairwise(found[2:]))
    assert radii(1.0) == (0.25, 0.5, 1.0)
    assert radii(2.0, largest=5.0)[-1] == 5.0


@pytest.mark.parametrize("start", [True, False])
def test_a_steps_curve_is_that_of_the_attacks_of_each_length(start: bool) -> None:
    net, x, y = _smooth()
    seed = torch.Generator().manual_seed
    long = PGD(eps=0.1, step_size=0.01, steps=8, random_start=start)
    curve = over_steps(net, (x, y), long, rng=seed(4))
    clean = clean_logits(net, x).argmax(dim=1) == y
    assert [point.at for point in curve.points] == [float(step) for step in range(9)]
    for steps in range(1, 9):
        short = PGD(eps=0.1, step_size=0.01, steps=steps, random_start=start)
        right = ~short(net, x, y, rng=seed(4)).success & clean
        assert curve.points[steps].correct == int(right.sum())
    assert _monotone(curve)
    assert curve.points[0].correct > curve.points[-1].correct


def test_an_image_that_is_wrong_when_clean_is_wrong_at_every_step() -> None:
    """Also where the random start, on the border between two classes, happens to be right."""
    x, y = torch.full((40, 2, 1, 1), 0.25), torch.ones(40, dtype=torch.long)
    search = PGD(eps=0.1, step_size=0.001, steps=2)
    curve = over_steps(nn.Flatten(), (x, y), search, rng=torch.Generator().manual_seed(0))
    assert [point.correct for point in curve.points] == [0, 0, 0]


def test_a_steps_curve_costs_one_search() -> None:
    _, x, y = _smooth(7)
    model = Counted(smooth_net())
    over_steps(model, (x, y), PGD(eps=0.1, step_size=0.01, steps=5))
    assert (model.forward_images, model.backward_images) == (7 * (1 + 6), 7 * 5)


def test_a_restarts_curve_is_the_worst_case_over_runs() -> None:
    net, x, y = _smooth()
    attack = UniformNoise(eps=0.6, draws=1)
    curve = over_restarts(net, (x, y), attack, restarts=6, rng=torch.Generator().manual_seed(2))
    rng, right = torch.Generator().manual_seed(2), clean_logits(net, x).argmax(dim=1) == y
    expected, left = [int(right.sum())], torch.ones_like(right)
    for _ in range(6):
        rows = left.nonzero().squeeze(1)
        left[rows] = ~attack(net, x[rows], y[rows], rng=rng).success
        expected.append(int((left & right).sum()))
    assert [point.correct for point in curve.points] == expected
    assert _monotone(curve)
    assert expected[1] > expected[-1]


def test_restarts_do_not_attack_what_is_broken_and_count_what_they_do() -> None:
    _, x, y = _smooth(12)
    model = Counted(smooth_net())
    attack = PGD(eps=0.3, step_size=0.1, steps=2)
    curve = over_restarts(model, (x, y), attack, restarts=3)
    assert curve.points[1].correct == 0
    assert model.backward_images == 12 * 2


def test_batches_are_joined() -> None:
    net, x, y = _smooth()
    parts = [(x[:5], y[:5]), (x[5:], y[5:])]
    attack = PGD(eps=0.05, step_size=0.02, steps=4, random_start=False)
    assert over_steps(net, parts, attack).points == over_steps(net, (x, y), attack).points
    whole = over_restarts(net, (x, y), attack, restarts=2)
    assert over_restarts(net, parts, attack, restarts=2).points == whole.points


def test_a_curve_is_data_and_lines() -> None:
    net, x, y = _smooth()
    curve = over_eps(net, (x, y), lambda e: FGSM(eps=e), eps=(0.01, 0.02))
    record = json.loads(records.line(curve.record))
    assert (record["kind"], record["over"]) == ("curve", "eps")
    assert [point["at"] for point in record["points"]] == [0.0, 0.01, 0.02]
    assert record["points"][0]["low"] < record["points"][0]["accuracy"] == 0.875
    assert len(str(curve).splitlines()) == 4
    assert "87.50" in str(curve)


def test_impossible_curves_are_refused() -> None:
    net, x, y = _smooth(4)
    for eps in ((), (0.2, 0.1), (0.1, 0.1), (0.0, 0.1)):
        with pytest.raises(InputError, match="growing radii above 0"):
            over_eps(net, (x, y), lambda e: FGSM(eps=e), eps=eps)
    with pytest.raises(InputError, match="above 0 and finite"):
        radii(0.0)
    with pytest.raises(InputError, match="plain search; got target = 'random'"):
        over_steps(net, (x, y), PGD(eps=0.1, step_size=0.1, steps=1, target="random"))
    with pytest.raises(InputError, match="`restarts`"):
        over_restarts(net, (x, y), FGSM(eps=0.1), restarts=0)


def test_a_record_says_which_search_made_it_of_which_images_at_what_cost() -> None:
    net, x, y = _smooth(8)
    search = PGD(eps=0.05, step_size=0.02, steps=3)
    curves = [
        over_eps(net, (x, y), lambda e: FGSM(eps=e), eps=(0.01, 0.02), chance=0.0),
        over_steps(net, (x, y), search),
        over_restarts(net, (x, y), search, restarts=2),
    ]
    rows = [json.loads(records.line(curve.record)) for curve in curves]
    assert [one["parameters"]["eps"] for one in rows[0]["attacks"]] == [0.01, 0.02]
    assert [one["threat"] for one in rows[0]["attacks"]] == ["linf 0.01", "linf 0.02"]
    for row in rows[1:]:
        (told,) = row["attacks"]
        assert (told["parameters"]["class"], told["parameters"]["step_size"]) == ("PGD", 0.02)
        assert told["threat"] == "linf 0.05"
    assert len({row["images"] for row in rows}) == 1
    # FGSM in two balls; one search of three steps: clean images are asked once by each.
    assert (rows[0]["forward"], rows[0]["backward"]) == (8 * (1 + 2 * 2), 8 * 2)
    assert (rows[1]["forward"], rows[1]["backward"]) == (8 * (1 + 4), 8 * 3)
    assert all(row["seconds"] > 0 for row in rows)


@pytest.mark.parametrize(
    ("over", "last", "shown"),
    [
        ("steps", 100, [0, 1, 2, 3, 5, 10, 20, 50, 100]),
        ("steps", 130, [0, 1, 2, 3, 5, 10, 20, 50, 100, 130]),
        ("restarts", 20, [0, 1, 2, 3, 5, 10, 20]),
        ("steps", 19, list(range(20))),
        ("eps", 24, list(range(25))),
    ],
)
def test_of_many_points_some_are_printed_and_all_are_kept(
    over: str, last: int, shown: list[int]
) -> None:
    points = tuple(Point(at=float(k), n=300, correct=300 - k) for k in range(last + 1))
    curve = Curve(over=over, points=points)
    _, *rows = [line.split() for line in str(curve).splitlines()]
    assert [int(row[0]) for row in rows] == shown
    assert [row[1] for row in rows] == [f"{(300 - k) / 3:.2f}" for k in shown]
    assert len(curve.record["points"]) == last + 1

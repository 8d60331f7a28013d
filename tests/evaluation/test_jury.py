"""The checks of a verdict on made-up findings: what the last steps of a search bring."""

from __future__ import annotations

import statistics

import pytest
import torch
from torch import Tensor

from vicinal.evaluation import Results, trials
from vicinal.evaluation.check import Check
from vicinal.evaluation.consistency import Consistency
from vicinal.evaluation.jury import checks_of
from vicinal.evaluation.results import CLEAN, Verdicts
from vicinal.evaluation.trials import radii_of

N = 6


def _verdicts(trail: Tensor | None = None, heights: Tensor | None = None) -> Verdicts:
    right = torch.ones(N, dtype=torch.bool)
    costs = {"forward": N, "backward": 0, "seconds": 0.0}
    return Verdicts(correct=right, norms=torch.zeros(N), trail=trail, noted=heights, **costs)  # type: ignore[arg-type]


def _plateau(trail: Tensor | None, heights: Tensor | None) -> Check:
    found = {name: _verdicts() for name in (CLEAN, *trials(eps=0.1))}
    found["pgd last"] = _verdicts(trail, heights)
    nature = Consistency(
        n=N,
        num_classes=10,
        passes=5,
        difference=0.0,
        changed=0,
        in_halves=0.0,
        with_gradient=0.0,
        off_simplex=1.0,
        gradients_inside=False,
        undifferentiable=False,
    )
    radii = radii_of(0.1, "linf")
    checks = checks_of(
        Results(verdicts=found), nature, radii=radii, gradients={}, shaken=0.0, rises=None
    )
    return {check.name: check for check in checks}["loss plateau"]


def _share(heights: list[float]) -> float:
    """The last ten steps' part of the rise of the best loss so far, with loops."""
    best, most = [], float("-inf")
    for height in heights:
        most = max(most, height)
        best.append(most)
    whole = best[20] - best[0]
    return (best[20] - best[10]) / whole if whole > 0 else 0.0


def test_it_is_the_share_of_the_rise_that_the_last_ten_steps_bring() -> None:
    rng = torch.Generator().manual_seed(0)
    heights = torch.rand(N, 21, generator=rng) + torch.linspace(0, 3, 21)
    trail = torch.ones(N, 21, dtype=torch.bool)
    trail[1, 4] = False  # broken on the way, whatever it is at the end
    shares = [_share(heights[k].tolist()) for k in range(N) if k != 1]
    check = _plateau(trail, heights)
    assert check.figures["share"] == pytest.approx(statistics.median_low(shares), rel=1e-6)
    assert (check.figures["left"], check.figures["rising"], check.figures["window"]) == (5, 5, 10)
    assert check.status == "WARN"
    assert "On 5 images that PGD never breaks its last 10 steps bring" in check.sentence


def test_a_search_that_has_ended_passes() -> None:
    heights = torch.ones(N, 21).cumsum(dim=1).clamp(max=11.0)  # the top is reached at step 10
    trail = torch.ones(N, 21, dtype=torch.bool)
    assert _plateau(trail, heights).figures["share"] == 0.0
    assert _plateau(trail, heights).status == "PASS"
    heights[:, 15] = 0.0  # a step down is no rise
    assert _plateau(trail, heights).status == "PASS"


def test_a_loss_that_never_moves_or_is_no_number_is_no_rise() -> None:
    trail = torch.ones(N, 21, dtype=torch.bool)
    for heights in (torch.zeros(N, 21), torch.full((N, 21), torch.nan)):
        assert _plateau(trail, heights).figures["share"] == 0.0


def test_where_all_is_broken_nothing_rests_on_more_steps() -> None:
    heights = torch.ones(N, 21).cumsum(dim=1)
    check = _plateau(torch.zeros(N, 21, dtype=torch.bool), heights)
    assert (check.status, check.figures["left"]) == ("PASS", 0)
    assert "no image whose loss" in check.sentence


def test_without_its_steps_it_is_not_looked_at() -> None:
    assert _plateau(None, None).status == "SKIP"

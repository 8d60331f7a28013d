"""The strongest iterate of every image: by rank, then loss, then the later one."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from vicinal.attacks.strongest import Strongest
from vicinal.inputs.pgd import climb


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 10_000), targeted=st.booleans(), loss=st.sampled_from(["ce", "margin"]))
def test_it_is_the_greatest_of_a_loop_over_images_and_iterates(
    seed: int, targeted: bool, loss: str
) -> None:
    g = torch.Generator().manual_seed(seed)
    n, steps = 6, 7
    y = torch.randint(3, (n,), generator=g)
    t = (y + 1) % 3 if targeted else None
    xs = torch.rand(steps, n, 1, 2, 2, generator=g)
    zs = torch.randint(-2, 3, (steps, n, 3), generator=g).float()  # few levels: ties
    height = climb(loss, y, t, values=True)
    best = Strongest(y, t, height)
    for x, z in zip(xs, zs, strict=True):
        best.visit(x, z)
    found = best.found()
    heights = torch.stack([height(z) for z in zs])

    def key(i: int, step: int) -> tuple[int, float, int]:
        predicted = int(zs[step, i].argmax())
        hit = t is not None and predicted == int(t[i])
        return int(predicted != int(y[i])) + int(hit), float(heights[step, i]), step

    for i in range(n):
        rank, top, step = max(key(i, step) for step in range(steps))
        assert int(found.rank[i]) == rank
        assert float(found.height[i]) == top
        assert torch.equal(found.x[i], xs[step, i])


def _visited(*logits: list[float], y: int = 0, t: int | None = None) -> int:
    """Name the iterate, by its grey level, that is kept of those with the given logits."""
    own = torch.tensor([y])
    aim = None if t is None else torch.tensor([t])
    best = Strongest(own, aim, climb("ce", own, aim, values=True))
    for level, z in enumerate(logits):
        best.visit(torch.full((1, 1, 1, 1), float(level)), torch.tensor([z]))
    return int(best.found().x)


def test_an_error_beats_a_higher_loss_without_one() -> None:
    # Right in a crowd costs log 3 - a little; wrong with a confident rest costs less.
    right, wrong = [1.0, 0.99, 0.99], [1.0, 1.01, -9.0]
    losses = [
        float(torch.nn.functional.cross_entropy(torch.tensor([z]), torch.tensor([0])))
        for z in (right, wrong)
    ]
    assert losses[0] > losses[1]
    assert _visited(right, wrong) == 1
    assert _visited(wrong, right) == 0


def test_the_class_aimed_at_beats_another_error_closer_to_the_target() -> None:
    hit, near = [0.0, 0.04, 0.0, 0.0], [-9.0, 1.0, 1.1, -9.0]
    assert _visited(hit, near, t=1) == 0
    assert _visited(near, hit, t=1) == 1


def test_the_later_of_two_equal_iterates_is_kept() -> None:
    """A confident model's loss underflows to 0 while its gradient does not."""
    assert _visited([200.0, 0.0, 0.0], [150.0, 0.0, 0.0]) == 1


def test_a_loss_that_is_not_a_number_does_not_displace_one_that_is() -> None:
    kept: Tensor = torch.zeros(1, 1, 1, 1)
    y = torch.tensor([0])
    best = Strongest(y, None, climb("ce", y, None, values=True))
    best.visit(kept, torch.tensor([[1.0, 0.0]]))
    best.visit(kept + 1, torch.tensor([[torch.nan, 0.0]]).nan_to_num(nan=-torch.inf) * torch.nan)
    assert torch.equal(best.found().x, kept)


def test_nothing_visited_is_an_error_of_ours() -> None:
    y = torch.tensor([0])
    with pytest.raises(RuntimeError, match="no iterate"):
        Strongest(y, None, climb("ce", y, None, values=True)).found()

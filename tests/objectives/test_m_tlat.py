"""M-TLAT: Algorithm 1 replayed line by line on one draw."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import laws
import nets
from oracles import two_risks as oracle
from replays import Replay, generator, replay
from vicinal._checks import InputError
from vicinal.inputs import MixUp
from vicinal.maths.randomness import integers, uniform
from vicinal.objectives import ERM, MTLAT

N, K = 6, 5


def mixture(r: Replay, rng: torch.Generator, *, alpha: float) -> oracle.Mixed:
    mix = MixUp(alpha=alpha).draw(r.x, rng=rng)
    assert len(set(mix.weight.tolist())) == 1
    return oracle.Mixed(mix.partner.tolist(), float(mix.weight[0]))


@pytest.mark.parametrize("soft", [False, True], ids=["hard", "soft"])
@pytest.mark.parametrize("per_sample", [False, True])
def test_algorithm1_line_by_line(per_sample: bool, soft: bool) -> None:
    r, rng = replay(soft=soft), generator()
    mix2 = mixture(r, rng, alpha=0.4)
    eps = (0.3 * uniform((N if per_sample else 1,), r.x, rng)).expand(N)
    t = integers(N, high=K, like=r.x, rng=rng)
    mix1 = mixture(r, rng, alpha=0.4)
    assert mix1.partner != mix2.partner
    assert mix1.weight != mix2.weight
    total = oracle.m_tlat(r.net, r.xs, r.qs, mix1=mix1, mix2=mix2, ts=t.tolist(), eps=eps.tolist())
    reductions: tuple[tuple[Any, int], ...] = (("sum", 1), ("mean", 2))
    for reduction, parts in reductions:
        objective = MTLAT(eps_max=0.3, per_sample=per_sample, reduction=reduction)
        loss = objective(r.model, r.x, r.y, rng=generator())
        assert loss.item() == pytest.approx(total / parts, rel=1e-11)


def test_a_random_target_is_never_the_mixtures_largest_class() -> None:
    """The label at the adversary never has its second part on the class of largest weight."""
    r = replay()
    seen: list[tuple[torch.Tensor, torch.Tensor]] = []

    def spy(q: torch.Tensor, t: torch.Tensor, *, weight: torch.Tensor) -> torch.Tensor:
        seen.append((q, t))
        return q

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("vicinal.objectives.m_tlat.toward", spy)
        for seed in range(30):
            MTLAT(target="random")(r.model, r.x, r.y, rng=generator(seed))
    assert len(seen) == 30
    assert not any((q.argmax(dim=1) == t).any() for q, t in seen)


def test_at_no_strength_it_is_twice_erm() -> None:
    r = replay()
    none = MTLAT(eps_max=0.0, alpha=0.0)(r.model, r.x, r.y)
    torch.testing.assert_close(none, 2 * ERM()(r.model, r.x, r.y), rtol=1e-12, atol=0)


def test_a_batch_of_one_is_refused() -> None:
    with pytest.raises(InputError) as caught:
        MTLAT()(nets.smooth_net(), torch.rand(1, 3, 4, 4).double(), torch.tensor([0]))
    laws.assert_one_line(caught.value, "M-TLAT", "at least 2", "drop_last=True")


@pytest.mark.parametrize(
    ("fields", "phrase"),
    [
        ({"eps_max": 2.0}, "0 <= eps_max <= 1"),
        ({"alpha": -0.1}, "0 <= alpha"),
        ({"target": "own"}, "`target` must be any | random"),
        ({"reduction": "max"}, "`reduction` must be sum | mean"),
        ({"batchnorm": "off"}, "`batchnorm`"),
    ],
)
def test_hyper_parameters_have_bounds(fields: dict[str, Any], phrase: str) -> None:
    with pytest.raises(InputError) as caught:
        MTLAT(**fields)
    laws.assert_one_line(caught.value, phrase)

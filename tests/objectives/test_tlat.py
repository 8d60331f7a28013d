"""TLAT and the other columns of M-TLAT's table 3: eq. 4 and 5 replayed on one draw."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import laws
from oracles import two_risks as oracle
from replays import generator, replay
from vicinal._checks import InputError
from vicinal.maths.randomness import integers, uniform
from vicinal.objectives import ERM, TLAT

N, K = 6, 5


@pytest.mark.parametrize("soft", [False, True], ids=["hard", "soft"])
@pytest.mark.parametrize("per_sample", [False, True])
@pytest.mark.parametrize("label", ["toward", "smooth", "keep"])
def test_eq4_label_and_eq5_image_on_one_draw(label: Any, per_sample: bool, soft: bool) -> None:
    r, rng = replay(soft=soft), generator()
    eps = (0.3 * uniform((N if per_sample else 1,), r.x, rng)).expand(N)
    t = integers(N, high=K, like=r.x, rng=rng)
    clean, adversarial = oracle.tlat(r.net, r.xs, r.qs, t.tolist(), eps.tolist(), label=label)
    reductions: tuple[tuple[Any, int], ...] = (("sum", 1), ("mean", 2))
    for reduction, parts in reductions:
        objective = TLAT(eps_max=0.3, label=label, per_sample=per_sample, reduction=reduction)
        loss = objective(r.model, r.x, r.y, rng=generator())
        assert loss.item() == pytest.approx((clean + adversarial) / parts, rel=1e-11)


def test_the_weight_of_the_label_is_the_length_of_the_step() -> None:
    """Loss on a net that does not see the image: only the label tells the two apart."""
    r = replay(scale=0.0)
    bias = list(r.model.parameters())[3]
    with torch.no_grad():
        bias.copy_(torch.tensor([2.0, 0.0, -1.0, 0.5, 0.0]))
    rng = generator()
    eps = float(0.3 * uniform((1,), r.x, rng))
    t = integers(N, high=K, like=r.x, rng=rng)
    v = -bias.detach().log_softmax(dim=0)
    expected = v[r.y].mean() + ((1 - eps) * v[r.y] + eps * v[t]).mean()
    loss = TLAT(eps_max=0.3)(r.model, r.x, r.y, rng=generator())
    torch.testing.assert_close(loss.detach(), expected, rtol=1e-12, atol=0)


@pytest.mark.parametrize("soft", [False, True], ids=["hard", "soft"])
def test_plain_fgsm_pays_the_label_at_images_moved_away_from_it(soft: bool) -> None:
    r = replay(soft=soft)
    eps = float(0.3 * uniform((1,), r.x, generator()))
    moved = [
        oracle.one_step(r.net, x, q, eps, towards=False) for x, q in zip(r.xs, r.qs, strict=True)
    ]
    expected = oracle.risk(r.net, r.xs, r.qs) + oracle.risk(r.net, np.array(moved), r.qs)
    loss = TLAT(eps_max=0.3, label="keep", target=None)(r.model, r.x, r.y, rng=generator())
    assert loss.item() == pytest.approx(expected, rel=1e-11)


def test_renaming_the_classes_renames_the_drawn_targets(monkeypatch: pytest.MonkeyPatch) -> None:
    r, order = replay(), torch.tensor([2, 4, 1, 0, 3])
    t = torch.tensor([0, 1, 2, 3, 4, 0])

    def loss(model: Any, y: torch.Tensor) -> torch.Tensor:
        renamed = isinstance(model, laws.Relabelled)
        given = laws.relabelled(t, order) if renamed else t
        monkeypatch.setattr("vicinal.objectives.aimed.integers", lambda *_, **__: given)
        return TLAT(eps_max=0.3)(model, r.x, y, rng=generator())

    laws.assert_equivariant_to_relabelling(loss, r.model, r.y, order)


def test_at_no_length_it_is_twice_erm() -> None:
    r = replay()
    none = TLAT(eps_max=0.0)(r.model, r.x, r.y)
    torch.testing.assert_close(none, 2 * ERM()(r.model, r.x, r.y), rtol=1e-12, atol=0)


@pytest.mark.parametrize(
    ("fields", "phrase"),
    [
        ({"eps_max": -0.1}, "0 <= eps_max"),
        ({"label": "least"}, "`label` must be toward | smooth | keep"),
        ({"target": "least_likely"}, "`target` must be any | random"),
        ({"target": None}, "Did you mean label='keep'"),
        ({"reduction": "max"}, "`reduction` must be sum | mean"),
        ({"batchnorm": "off"}, "`batchnorm`"),
    ],
)
def test_hyper_parameters_have_bounds(fields: dict[str, Any], phrase: str) -> None:
    with pytest.raises(InputError) as caught:
        TLAT(**fields)
    laws.assert_one_line(caught.value, phrase)

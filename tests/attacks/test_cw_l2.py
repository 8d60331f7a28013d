"""CW-L2: the authors' search image by image, exact distances, and none of the known defects."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from counting import Counted, Operations
from linear_models import PIXELS, batch_of, flat, linear_model
from oracles import cw_l2 as oracle
from oracles.madry_pgd import Net
from vicinal._checks import InputError, NotFinite
from vicinal.attacks import CWL2
from vicinal.gradients import clean_logits
from vicinal.maths import losses


def two_layers(seed: int = 0) -> tuple[nn.Module, Net]:
    r = np.random.default_rng(seed)
    net = Net(
        w=r.normal(size=(9, PIXELS)),
        b=r.normal(size=9),
        v=2 * r.normal(size=(4, 9)),
        c=r.normal(size=4),
    )
    inner, outer = nn.Linear(PIXELS, 9).double(), nn.Linear(9, 4).double()
    for layer, w, b in ((inner, net.w, net.b), (outer, net.v, net.c)):
        layer.weight.data, layer.bias.data = torch.from_numpy(w), torch.from_numpy(b)
    return nn.Sequential(nn.Flatten(), inner, nn.Tanh(), outer), net


@pytest.mark.parametrize("confidence", [0.0, 0.5])
@pytest.mark.parametrize("targeted", [False, True])
@pytest.mark.parametrize("search_steps", [4, 10])
def test_it_is_the_authors_search(confidence: float, targeted: bool, search_steps: int) -> None:
    model, net = two_layers()
    x, y = batch_of(model, 12)
    t = (y + 1) % 4 if targeted else None
    steps, rate = (25, 0.05) if search_steps == 4 else (8, 0.3)
    attack = CWL2(
        steps=steps,
        search_steps=search_steps,
        constant=0.5,
        learning_rate=rate,
        confidence=confidence,
        abort_early=False,
        target=t,
    )
    result = attack(model, x, y)
    compared = 0
    for i in range(len(y)):
        expected = oracle.attack(
            net,
            flat(x)[i],
            int((y if t is None else t)[i]),
            steps=steps,
            search_steps=search_steps,
            c=0.5,
            kappa=confidence,
            rate=rate,
            targeted=targeted,
        )
        if expected is not None:
            np.testing.assert_allclose(flat(result.adv)[i], expected, atol=1e-8)
            compared += 1
    assert compared >= 4
    assert str(result.passes) == f"{1 + steps * search_steps}+{steps * search_steps}"


def test_the_variable_and_the_objective_are_the_papers() -> None:
    """The first step of Adam has the length of the rate along the sign of the slope."""
    model, net = two_layers()
    x, y = batch_of(model, 6)
    seen: list[Tensor] = []

    class Watching(nn.Module):
        def forward(self, at: Tensor) -> Tensor:
            seen.append(at.detach())
            z: Tensor = model(at)
            return z

    CWL2(steps=2, search_steps=1, constant=0.3, abort_early=False)(Watching(), x, y)
    _, first, second = seen
    for i in range(len(y)):
        origin = np.zeros(PIXELS)
        np.testing.assert_allclose(flat(first)[i], oracle.image_of(origin, flat(x)[i]), atol=1e-12)
        slope = np.zeros(PIXELS)
        for j in range(PIXELS):
            ends = [
                oracle.objective(
                    net,
                    origin + h * np.eye(PIXELS)[j],
                    flat(x)[i],
                    int(y[i]),
                    c=0.3,
                    kappa=0.0,
                    targeted=False,
                )
                for h in (1e-5, -1e-5)
            ]
            slope[j] = (ends[0] - ends[1]) / 2e-5
        clear = np.abs(slope) > 1e-5
        expected = oracle.image_of(-0.01 * np.sign(slope), flat(x)[i])
        assert clear.any()
        np.testing.assert_allclose(flat(second)[i][clear], expected[clear], atol=2e-5)


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_on_a_linear_model_the_distance_is_the_margin_over_the_slope(classes: int) -> None:
    model, weight, bias = linear_model(classes)
    x, y = batch_of(model, 20, inner=True)
    exact, inside = np.empty(len(y)), np.empty(len(y), dtype=bool)
    for i, own in enumerate(y.tolist()):
        z = weight @ flat(x)[i] + bias
        ways = [
            ((z[own] - z[k]) / np.linalg.norm(slope), slope / np.linalg.norm(slope))
            for k in range(classes)
            if k != own and (slope := weight[k] - weight[own]).any()
        ]
        exact[i], way = min(ways, key=lambda pair: float(pair[0]))
        nearest = flat(x)[i] + exact[i] * way
        inside[i] = nearest.min() > 0 and nearest.max() < 1
    result = CWL2(steps=100, search_steps=6, constant=0.1)(model, x, y)
    assert bool(result.success.all())
    ratio = (result.norms.numpy() / exact)[inside]
    assert len(ratio) >= 10
    assert ratio.min() >= 1 - 1e-9
    assert np.median(ratio) < 1.02
    assert np.quantile(ratio, 0.75) < 1.1


def test_confidence_is_reached_where_it_is_claimed() -> None:
    model, _, _ = linear_model(3)
    x, y = batch_of(model, 20, inner=True)
    result = CWL2(steps=60, search_steps=4, constant=1.0, learning_rate=0.05, confidence=0.5)(
        model, x, y
    )
    assert bool((losses.margin(clean_logits(model, result.adv), y) >= 0.5 - 1e-9).all())
    less = CWL2(steps=60, search_steps=4, constant=1.0, learning_rate=0.05)(model, x, y)
    assert bool((less.norms < result.norms).all())


def test_m_tlats_preset() -> None:
    assert CWL2.m_tlat() == CWL2(steps=40, confidence=50.0)


class Shifted(nn.Module):
    def __init__(self, net: nn.Module, shift: float) -> None:
        super().__init__()
        self.net, self.shift = net, shift

    def forward(self, x: Tensor) -> Tensor:
        z: Tensor = self.net(x)
        return z + self.shift


@pytest.mark.parametrize("shift", [-50.0, 50.0])
@pytest.mark.parametrize("target", [None, "least_likely"])
def test_the_same_classifier_with_shifted_logits_is_attacked_the_same(
    shift: float, target: str | None
) -> None:
    """Torchattacks clips logits at 0: from 100 % success to 0 % by subtracting 50."""
    model, _ = two_layers()
    x, y = batch_of(model, 12)
    attack = CWL2(steps=30, search_steps=3, constant=1.0, learning_rate=0.05, target=target)
    plain, moved = attack(model, x, y), attack(Shifted(model, shift), x, y)
    assert torch.equal(plain.success, moved.success)
    assert float(plain.success.double().mean()) > 0.8
    torch.testing.assert_close(plain.norms, moved.norms, rtol=1e-6, atol=1e-9)


def test_pixels_of_exactly_0_and_1_move() -> None:
    """Torchattacks lacks the factor 0.999999: black and white pixels are infinite and stay."""
    model, _ = two_layers(3)
    x, _ = batch_of(model, 20)
    x = x.round()
    y = clean_logits(model, x).argmax(dim=1)
    result = CWL2(steps=400, search_steps=3, constant=3.0, learning_rate=0.1)(model, x, y)
    assert float(result.success.double().mean()) > 0.9
    assert torch.isfinite(result.adv).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_pixels_of_exactly_0_and_1_move_in_half_precision(dtype: torch.dtype) -> None:
    """A linear model on black and white images: fooled on the float32 path's images too."""
    g = torch.Generator().manual_seed(0)
    x = torch.rand(12, 1, 4, 4, generator=g).round()
    net = nn.Sequential(nn.Flatten(), nn.Linear(x[0].numel(), 3))
    y = clean_logits(net, x).argmax(dim=1)
    attack = CWL2(steps=300, search_steps=3, constant=10.0, learning_rate=0.1)
    wide = attack(net, x, y)
    assert bool(wide.success.all())
    half = attack(net.to(dtype), x.to(dtype), y)
    assert half.adv.dtype == dtype
    assert bool(half.adv.isfinite().all())
    assert float(half.success.float().mean()) > 0.9
    assert float(half.norms.median()) < 1.3 * float(wide.norms.median())


def test_an_image_does_not_depend_on_its_batch_mates() -> None:
    """CleverHans couples them by broadcasting; others stop all when the sum stalls."""
    model, _ = two_layers()
    x, y = batch_of(model, 5)
    scale = Shifted(model, 0.0)
    attack = CWL2(steps=40, search_steps=4, learning_rate=0.05)
    together = attack(scale, x, y)
    alone = [attack(scale, x[[i]], y[[i]]).adv for i in range(5)]
    torch.testing.assert_close(together.adv, torch.cat(alone), rtol=0, atol=1e-9)


def test_a_failed_image_comes_back_as_its_strongest_iterate() -> None:
    """Foolbox returns zeros, adv-lib the clean image."""
    model, _, _ = linear_model(2)
    x, y = batch_of(model, 10, inner=True)
    result = CWL2(steps=5, search_steps=1, constant=1.0, confidence=1e3)(model, x, y)
    far = losses.margin(clean_logits(model, result.adv), y)
    assert bool((far > losses.margin(clean_logits(model, x), y)).all())
    assert bool((result.norms > 0).all())
    assert bool((result.norms < 1).all())


@pytest.mark.parametrize("steps", [0, 1, 3, 9, 11])
def test_any_number_of_iterations_works(steps: int) -> None:
    """Adv-lib: a modulo by zero below ten."""
    model, _ = two_layers()
    x, y = batch_of(model, 4)
    result = CWL2(steps=steps, search_steps=2)(model, x, y)
    assert result.adv.shape == x.shape
    assert result.passes == (1 + 2 * steps, 2 * steps)


def test_an_image_that_was_wrong_already_is_left_alone() -> None:
    model, _ = two_layers()
    x, y = batch_of(model, 6)
    result = CWL2(steps=20, search_steps=2)(model, x, (y + 1) % 4)
    assert torch.equal(result.adv, x)
    assert bool(result.success.all())
    assert not bool(result.norms.any())
    assert result.clean_correct is not None
    assert not bool(result.clean_correct.any())


def test_what_stalls_waits_and_is_not_paid_for() -> None:
    model, _ = two_layers()
    x, y = batch_of(model, 10)
    counted = Counted(model)
    result = CWL2(steps=60, search_steps=6)(counted, x, y)
    assert result.spent == (counted.forward_images, counted.backward_images)
    assert result.spent is not None
    assert result.spent.forward < 10 * result.passes.forward
    full = CWL2(steps=60, search_steps=6, abort_early=False)(model, x, y)
    assert torch.equal(result.success, full.success)
    assert float(result.norms.median()) < 1.1 * float(full.norms.median())


def test_nothing_within_a_tenth_waits_for_the_device() -> None:
    model, _ = two_layers()
    x, y = batch_of(model, 5)
    waits = []
    for steps in (5, 25):
        with Operations() as operations:
            CWL2(steps=steps, search_steps=2, abort_early=False)(model, x, y)
        waits.append(operations.waits)
    assert waits[0] == waits[1] > 0


class Blink(nn.Module):
    """NaN in its third pass; which class is named by NaN is not the image's own."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net, self.passes = net, 0

    def forward(self, x: Tensor) -> Tensor:
        self.passes += 1
        z: Tensor = self.net(x)
        return z * torch.nan if self.passes == 3 else z


def test_logits_that_are_no_numbers_on_the_way_break_no_image() -> None:
    model, _ = two_layers()
    x, _ = batch_of(model, 8)
    y = clean_logits(model, x).argmax(dim=1)
    result = CWL2(steps=4, search_steps=1, constant=1e-9, abort_early=False)(Blink(model), x, y)
    assert not bool(result.success.any())


def test_logits_that_are_no_numbers_are_said() -> None:
    model, _ = two_layers()
    x, y = batch_of(model, 5)
    with pytest.raises(NotFinite, match="finite logits"):
        CWL2(steps=5)(Shifted(model, torch.nan), x, y)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"confidence": -1.0}, "`confidence`"),
        ({"steps": -1}, "`steps`"),
        ({"search_steps": 0}, "`search_steps`"),
        ({"constant": 0.0}, "`constant`"),
        ({"learning_rate": 0.0}, "`learning_rate`"),
        ({"target": "worst"}, "`target`"),
    ],
)
def test_a_bad_field_is_refused_in_a_sentence(fields: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        CWL2(**fields)

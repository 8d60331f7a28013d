"""Levers of PGD: none changes a verdict, every pass is counted, the model itself judges."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import nets
from counting import Counted, Operations
from linear_models import batch_of, linear_model
from vicinal._checks import InputError, NotFinite
from vicinal.attacks import MIFGSM, PGD
from vicinal.gradients import clean_logits


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.mark.parametrize(("every", "restarts"), [(1, 1), (2, 3), (5, 1), (5, 3), (100, 1)])
@pytest.mark.parametrize("target", [None, "most_confusing", "random"])
def test_those_who_leave_change_no_verdict(
    trained: nn.Module, digits: tuple[Tensor, Tensor], every: int, restarts: int, target: str | None
) -> None:
    x, y = (part[:100] for part in digits)
    options: dict[str, Any] = {"steps": 8, "restarts": restarts, "target": target}
    eps = 0.1 if target != "random" else 0.3
    whole = PGD(eps=eps, step_size=eps / 5, **options)(trained, x, y, rng=seeded())
    counted = Counted(trained)
    attack = PGD(eps=eps, step_size=eps / 5, compact_every=every, **options)
    fewer = attack(counted, x, y, rng=seeded())
    assert torch.equal(fewer.success, whole.success)
    if whole.target_hit is not None and fewer.target_hit is not None:
        assert torch.equal(fewer.target_hit, whole.target_hit)
    right = ~fewer.success
    assert int(fewer.success.sum()) > 0
    assert torch.allclose(fewer.adv[right], whole.adv[right], atol=1e-5)
    assert fewer.passes == whole.passes
    assert fewer.spent == (counted.forward_images, counted.backward_images)
    assert fewer.image_passes == fewer.spent
    assert whole.image_passes == tuple(len(y) * part for part in whole.passes)
    if every < 8:
        assert fewer.spent < whole.image_passes
    assert torch.equal(clean_logits(trained, fewer.adv).argmax(dim=1) != y, fewer.success)


def test_an_image_that_stays_robust_costs_every_pass() -> None:
    model = Counted(linear_model(3)[0])
    x, y = batch_of(model, 9)
    model.forward_images = 0
    result = PGD(eps=0.0, step_size=0.0, steps=7, restarts=2, compact_every=3)(model, x, y)
    assert not bool(result.success.any())
    assert (model.forward_images, model.backward_images) == (9 * 16, 9 * 14)
    assert result.spent == (9 * 16, 9 * 14)


def test_all_may_leave_before_the_end() -> None:
    model = Counted(linear_model(3)[0])
    x, y = batch_of(model, 9)
    model.forward_images = 0
    result = PGD(eps=0.1, step_size=0.05, steps=50, restarts=4, compact_every=1)(
        model, x, (y + 1) % 3, rng=seeded()
    )
    assert bool(result.success.all())
    assert result.spent is not None
    assert result.spent.forward < 9 * 20


@pytest.mark.parametrize("every", [2, 5])
def test_the_device_is_waited_for_once_per_compaction(every: int) -> None:
    model, _, _ = linear_model(3)
    x, y = batch_of(model, 9)
    waits = []
    for steps in (10, 20, 30):
        attack = PGD(eps=1e-9, step_size=1e-9, steps=steps, compact_every=every)
        with Operations() as operations:
            attack(model, x, y)
        waits.append(operations.waits)
    per_chunk = (waits[1] - waits[0]) / (10 / every)
    assert waits[2] - waits[1] == waits[1] - waits[0]
    assert per_chunk <= 4  # the rows that stay, and the check of what the model said


@pytest.mark.parametrize(
    "levers",
    [
        {"precision": "bf16"},
        {"channels_last": True},
        {"folded": True},
        {"precision": "bf16", "channels_last": True, "folded": True, "compact_every": 2},
        {"rounded": True},
        {"rounded": True, "compact_every": 2},
    ],
)
def test_with_any_lever_the_model_itself_is_the_judge(
    trained: nn.Module, digits: tuple[Tensor, Tensor], levers: dict[str, Any]
) -> None:
    x, y = (part[:100] for part in digits)
    counted = Counted(trained)
    result = PGD(eps=0.1, step_size=0.02, steps=8, **levers)(counted, x, y, rng=seeded())
    plain = PGD(eps=0.1, step_size=0.02, steps=8)(trained, x, y, rng=seeded())
    assert result.adv.dtype == x.dtype
    said = clean_logits(trained, result.adv).argmax(dim=1) != y
    assert int((result.success != said).sum()) == 0
    assert abs(int(result.success.sum()) - int(plain.success.sum())) <= 0.02 * len(y)
    assert float(result.norms.max()) <= 0.1 + 1e-6
    assert result.passes == (10, 8)
    if not levers.get("folded"):  # a traced copy is not counted
        assert result.image_passes == (counted.forward_images, counted.backward_images)
    if levers.get("rounded"):
        levels = result.adv * 255
        assert torch.allclose(levels, levels.round(), atol=1e-4)


def test_a_verdict_on_rounded_pixels_is_not_that_on_the_pixels() -> None:
    """The border lies half a level from the image: rounding brings every image back."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(1, 2)).double()
    layer = model[1]
    assert isinstance(layer, nn.Linear)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[-1.0], [1.0]]))
        layer.bias.copy_(torch.tensor([1.0, -1.0]) * 100.3 / 255)
    x, y = torch.full((2, 1, 1, 1), 100 / 255, dtype=torch.float64), torch.zeros(2).long()
    attack: dict[str, Any] = {"eps": 0.4 / 255, "step_size": 0.4 / 255, "steps": 3}
    assert bool(PGD(**attack)(model, x, y).success.all())
    for every in (None, 1):
        result = PGD(rounded=True, compact_every=every, **attack)(model, x, y)
        assert not bool(result.success.any())
        assert torch.allclose(result.adv, x)


class Noisy(nn.Module):
    """A defence that draws: it adds noise to the images, also in eval mode."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net, self.seen = net, 0

    def forward(self, x: Tensor) -> Tensor:
        self.seen += 1
        noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(self.seen))
        z: Tensor = self.net(x + 0.1 * noise.to(x.dtype))
        return z


def test_eot_follows_the_mean_of_the_gradients_over_draws() -> None:
    net = nets.smooth_net()
    x, y = torch.rand(6, 3, 4, 4, dtype=torch.float64), torch.arange(6) % 5
    attack = PGD(eps=0.1, step_size=0.02, steps=1, random_start=False, iterate="last", eot=4)
    found = attack(Noisy(net), x, y).adv
    model, total = Noisy(net), torch.zeros_like(x)
    for _ in range(4):
        at = x.clone().requires_grad_(True)
        loss = nn.functional.cross_entropy(model(at), y, reduction="sum")
        total += torch.autograd.grad(loss, at)[0]
    assert torch.equal(found, (x + 0.02 * total.sign()).clamp(0, 1))


def test_eot_on_a_model_that_draws_nothing_is_the_attack() -> None:
    net = nets.smooth_net()
    x, y = torch.rand(6, 3, 4, 4, dtype=torch.float64), torch.arange(6) % 5
    one, many = (
        PGD(eps=0.1, step_size=0.02, steps=5, eot=n)(net, x, y, rng=seeded()) for n in (1, 3)
    )
    assert torch.allclose(one.adv, many.adv)
    forward, backward = one.passes
    assert many.passes == (3 * (forward + 1), 3 * backward)  # what it found is judged anew


def test_clean_verdicts_come_from_passes_that_are_made_anyway() -> None:
    model, _, _ = linear_model(3)
    x, y = batch_of(model, 12)
    y[:4] = (y[:4] + 1) % 3
    right = clean_logits(model, x).argmax(dim=1) == y
    cases: list[dict[str, Any]]
    cases = [{"random_start": False}, {"target": "random"}, {"compact_every": 1}]
    for options in cases:
        result = PGD(**{"eps": 0.1, "step_size": 0.02, "steps": 3, **options})(model, x, y)
        if "compact_every" in options:
            assert result.clean_correct is None
        else:
            assert result.clean_correct is not None
            assert torch.equal(result.clean_correct, right)


class Spoilt(nn.Module):
    """Logits that become NaN in the n-th pass."""

    def __init__(self, net: nn.Module, *, at: int) -> None:
        super().__init__()
        self.net, self.at, self.seen = net, at, 0

    def forward(self, x: Tensor) -> Tensor:
        self.seen += 1
        z: Tensor = self.net(x)
        return z * torch.nan if self.seen == self.at else z


@pytest.mark.parametrize("at", [1, 3, 4, 6])
def test_logits_that_are_no_numbers_on_the_way_are_said_where_images_leave(at: int) -> None:
    model, _, _ = linear_model(3)
    x, y = batch_of(model, 6)
    attack = PGD(eps=1e-6, step_size=1e-6, steps=6, compact_every=2)
    with pytest.raises(NotFinite, match="6 of 6 images"):
        attack(Spoilt(model, at=at), x, y)


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("target", [None, "least_likely", "most_confusing", "random"])
def test_two_and_three_classes_are_enough(classes: int, target: str | None) -> None:
    model, _, _ = linear_model(classes)
    x, y = batch_of(model, 8)
    for loss in ("ce", "margin"):
        attack = PGD(eps=0.3, step_size=0.1, steps=5, loss=loss, target=target, compact_every=2)
        result = attack(model, x, y)
        assert result.target is None or not bool((result.target == y).any())
        assert bool(result.success.any())


def test_half_precision_models_and_images_keep_their_type() -> None:
    """CleverHans and AutoAttack cast to float32, which such a model refuses."""
    model = nets.smooth_net(dtype=torch.bfloat16)
    x, y = torch.rand(6, 3, 4, 4).bfloat16(), torch.arange(6) % 5
    result = PGD(eps=0.1, step_size=0.02, steps=3, compact_every=1)(model, x, y)
    assert result.adv.dtype == torch.bfloat16


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"compact_every": 0}, "`compact_every`"),
        ({"compact_every": 5, "iterate": "last"}, "`compact_every` must be None"),
        ({"precision": "half"}, "`precision`"),
        ({"channels_last": 1}, "`channels_last`"),
        ({"folded": "yes"}, "`folded`"),
        ({"rounded": 8}, "`rounded`"),
        ({"eot": 0}, "`eot`"),
    ],
)
def test_a_bad_lever_is_refused_in_a_sentence(fields: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        PGD(**{"eps": 0.1, "step_size": 0.1, "steps": 2, **fields})


@pytest.mark.parametrize("at", range(1, 6))
def test_logits_that_are_no_numbers_on_the_way_break_no_image(at: int) -> None:
    model, _, _ = linear_model(3)
    x, y = batch_of(model, 6)
    attack = PGD(eps=1e-6, step_size=1e-6, steps=5)
    assert not bool(attack(Spoilt(model, at=at), x, y).success.any())


def test_logits_of_half_precision_whose_sum_is_no_number_are_numbers_all_the_same() -> None:
    """Ten logits of 9,000 each add up to more than float16 holds."""
    model, _, _ = linear_model(3)
    x, y = batch_of(model, 6)
    high = nn.Sequential(model, Raised(9000.0))
    attack = PGD(eps=1e-6, step_size=1e-6, steps=20, compact_every=10)
    assert not bool(attack(high, x, y.zero_()).success.any())


class Raised(nn.Module):
    """Lifts the first logit far up, and narrows all of them."""

    def __init__(self, by: float) -> None:
        super().__init__()
        self.by = torch.tensor([by, 0.0, 0.0])

    def forward(self, z: Tensor) -> Tensor:
        return (z + self.by).half()


class FalseAlarm(nn.Module):
    """One number in: wrong above 0.35; under autocast it seems far more wrong around 0.1 too."""

    def forward(self, x: Tensor) -> Tensor:
        height = x.mean(dim=(1, 2, 3)) - 0.35
        if torch.is_autocast_enabled("cpu"):
            at = height.detach() + 0.35
            height = height + 5.0 * ((at > 0.05) & (at < 0.15))
        return torch.stack((torch.zeros_like(height), height), dim=1)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_false_alarm_of_the_search_hides_no_later_error(precision: str) -> None:
    x, y = torch.zeros(3, 1, 2, 2), torch.zeros(3, dtype=torch.long)
    attack = PGD(
        eps=0.5,
        step_size=0.1,
        steps=5,
        random_start=False,
        compact_every=1,
        precision=precision,
    )
    assert bool(attack(FalseAlarm(), x, y).success.all())


class Shaky(nn.Module):
    """Right by one, but for its third pass, in which it errs by ten."""

    def __init__(self) -> None:
        super().__init__()
        self.passes = 0

    def forward(self, x: Tensor) -> Tensor:
        self.passes += 1
        right = x.flatten(1).sum(dim=1) * 0 + (-10.0 if self.passes == 3 else 1.0)
        return torch.stack([right, torch.zeros_like(right)], dim=1)


@pytest.mark.parametrize("every", [None, 2])
@pytest.mark.parametrize("kind", [PGD, MIFGSM])
def test_one_lucky_draw_on_the_way_is_no_success(kind: Any, every: int | None) -> None:
    more = {"step_size": 0.1} if kind is PGD else {}
    attack = kind(eps=0.1, steps=4, eot=2, compact_every=every, **more)
    x, y = torch.rand(3, 1, 2, 2), torch.zeros(3, dtype=torch.long)
    result = attack(Shaky(), x, y, rng=seeded())
    assert not bool(result.success.any())

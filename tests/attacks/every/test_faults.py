"""What goes wrong in a caller's hands: clear sentences, nothing lost, nothing changed.

What the catalog's laws hold already is not repeated: a model that raises in any of its passes
(`test_laws.py`), 2 and 3 classes and gradients that are no numbers (`test_peer_defects.py`).
"""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import catalog
import laws
import nets
from vicinal._checks import InputError, NotFinite
from vicinal.attacks import (
    APGD,
    CWL2,
    FAB,
    FMN,
    MIFGSM,
    PGD,
    Rounded,
    Square,
    Transfer,
    UniformNoise,
)
from vicinal.evaluation import evaluate
from vicinal.gradients import clean_logits

every_attack = pytest.mark.parametrize("entry", catalog.ATTACKS)


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def batch(n: int = 7) -> tuple[Tensor, Tensor]:
    g = torch.Generator().manual_seed(1)
    x = torch.rand(n, 3, 4, 4, generator=g)
    return x, torch.arange(n) % 5


def on(entry: catalog.AttackEntry, source: nn.Module) -> Any:
    """The attack; a transfer's from another source."""
    attack: Any = entry.instance
    return dataclasses.replace(attack, source=source) if isinstance(attack, Transfer) else attack


class Small(nn.Module):
    """A model on a device that holds so many images at a time."""

    def __init__(self, net: nn.Module, *, room: int) -> None:
        super().__init__()
        self.net, self.room = net, room

    def forward(self, x: Tensor) -> Tensor:
        if len(x) > self.room:
            raise torch.OutOfMemoryError(f"{len(x)} images do not fit")
        z: Tensor = self.net(x)
        return z


@every_attack
def test_a_batch_that_does_not_fit_leaves_everything_as_it_was(entry: catalog.AttackEntry) -> None:
    x, y = batch()
    model = Small(nets.stateful_net(), room=3)
    with (
        laws.assert_model_unchanged(model),
        laws.assert_inputs_not_modified(x, y),
        pytest.raises(torch.OutOfMemoryError, match="do not fit"),
    ):
        on(entry, model)(model, x, y)
    assert torch.is_grad_enabled()


@every_attack
def test_evaluated_in_pieces_it_finds_the_same(entry: catalog.AttackEntry) -> None:
    x, y = batch()
    net = nets.smooth_net(dtype=torch.float32)
    whole = on(entry, net)(net, x, y, rng=seeded())
    small = Small(net, room=3)
    attack = on(entry, small)
    with laws.assert_model_unchanged(small):
        results = evaluate(small, (x, y), attacks={"attack": attack}, rng=seeded())
    assert results["attack"] == pytest.approx(1 - float(whole.success.double().mean()))
    assert torch.equal(results.verdicts["attack"].correct, ~whole.success)


@pytest.mark.parametrize(
    ("spoil", "phrases"),
    [
        (lambda x: (x - 0.5) / 0.25, ("`x` must hold pixels in [0, 1]", "Normalised images?")),
        (lambda x: 255 * x, ("`x` must hold pixels in [0, 1]", "Did you mean x / 255?")),
        (lambda x: (255 * x).byte(), ("`x` must be floating point", "x.float() / 255")),
        (lambda x: x.where(x < 0.5, torch.nan), ("`x` must hold pixels", "NaN")),
        (lambda x: x.flatten(1), ("`x` must be images of shape (N, C, H, W)",)),
        (lambda x: x.new_empty(0, 3, 4, 4), ("`x` must hold at least one image",)),
    ],
    ids=["normalised", "0 to 255", "bytes", "nan", "flat", "no image"],
)
@every_attack
def test_wrong_images_are_refused_before_the_model_sees_them(
    entry: catalog.AttackEntry, spoil: Any, phrases: tuple[str, ...]
) -> None:
    x, y = batch()
    model = nets.Failing(nets.stateful_net(), at=1)
    wrong = spoil(x)
    with laws.assert_model_unchanged(model), pytest.raises(InputError) as error:
        on(entry, model)(model, wrong, y[: len(wrong)])
    laws.assert_one_line(error.value, *phrases)
    assert model.seen == 0


class Spoilt(nn.Module):
    """Logits that are no numbers, for one image of the batch, from the n-th pass on."""

    def __init__(self, net: nn.Module, *, after: int) -> None:
        super().__init__()
        self.net, self.after, self.seen = net, after, 0

    def forward(self, x: Tensor) -> Tensor:
        self.seen += 1
        z: Tensor = self.net(x)
        if self.seen <= self.after:
            return z
        bad = torch.zeros(len(z), 1, dtype=z.dtype)
        bad[-1] = torch.nan
        return z + bad


@pytest.mark.parametrize("after", [0, 1])
@every_attack
def test_logits_that_are_no_numbers_are_told_in_a_sentence(
    entry: catalog.AttackEntry, after: int
) -> None:
    """From whatever pass on they are NaN, at the latest at the verdict."""
    x, y = batch()
    net = nets.stateful_net()
    model = Spoilt(net, after=after)
    with laws.assert_model_unchanged(net), pytest.raises(NotFinite, match="1 of ") as error:
        on(entry, model)(model, x, y)
    laws.assert_one_line(error.value, "the model must return finite logits", "diverged?")


class OnlyClean(nn.Module):
    """A model that says something of the clean images alone."""

    def __init__(self, net: nn.Module, x: Tensor) -> None:
        super().__init__()
        self.net, self.x = net, x

    def forward(self, x: Tensor) -> Tensor:
        z: Tensor = self.net(x)
        apart = (x.unsqueeze(1) - self.x).abs().flatten(2).amax(dim=2).amin(dim=1)
        return torch.where((apart < 1e-5).unsqueeze(1), z, torch.nan)


@every_attack
def test_no_numbers_everywhere_but_on_the_clean_images_are_no_robustness(
    entry: catalog.AttackEntry,
) -> None:
    x, _ = batch()
    net = nets.smooth_net(dtype=torch.float32)
    model = OnlyClean(net, x)
    with pytest.raises(NotFinite, match="the model must return finite logits"):
        on(entry, model)(model, x, clean_logits(net, x).argmax(dim=1))


@every_attack
def test_labels_that_do_not_fit_are_told_in_a_sentence(entry: catalog.AttackEntry) -> None:
    x, y = batch()
    model = nets.stateful_net()
    for wrong in (y[:-1], y + 5, y.float(), torch.ones(len(y), 5)):
        with laws.assert_model_unchanged(model), pytest.raises(InputError, match="`y`") as error:
            on(entry, model)(model, x, wrong)
        laws.assert_one_line(error.value)


def _compiled(net: nn.Module, backend: str) -> nn.Module:
    torch._dynamo.reset()
    compiled: nn.Module = torch.compile(net, backend=backend)  # type: ignore[assignment]
    return compiled


COMPILED: list[Any] = [
    PGD(eps=0.1, step_size=0.05, steps=3, compact_every=1),
    PGD(eps=0.1, step_size=0.05, steps=2, channels_last=True, folded=True),
    MIFGSM(eps=0.1, steps=3),
    CWL2(steps=4, search_steps=2, constant=0.1),
    APGD(eps=0.1, steps=3, loss="dlr", targets=2),
    FAB(eps=0.1, steps=3, targets=2),
    FMN(eps=0.1, steps=4),
    Square(eps=0.1, queries=4),
    UniformNoise(eps=0.1, draws=3),
]


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")
@pytest.mark.parametrize("attack", COMPILED)
def test_a_compiled_model_is_attacked_as_the_model_is(attack: Any) -> None:
    x, y = batch()
    model = nets.smooth_net(dtype=torch.float32)
    plain = attack(model, x, y, rng=seeded())
    compiled = attack(_compiled(model, "eager"), x, y, rng=seeded())
    assert torch.equal(compiled.success, plain.success)
    torch.testing.assert_close(compiled.adv, plain.adv, rtol=1e-4, atol=1e-5)
    assert not any(weight.grad is not None for weight in model.parameters())
    torch._dynamo.reset()


@every_attack
def test_a_wrapped_and_watched_model_is_attacked_as_the_model_is(
    entry: catalog.AttackEntry,
) -> None:
    x, y = batch()
    net = nets.smooth_net(dtype=torch.float32)
    plain = on(entry, net)(net, x, y, rng=seeded())
    seen: list[str] = []
    net[1].register_forward_hook(lambda *_: seen.append("forward"))
    net[1].register_full_backward_hook(lambda *_: seen.append("backward"))
    model = nn.DataParallel(net).requires_grad_(False)
    with laws.assert_model_unchanged(model):
        wrapped = on(entry, model)(model, x, y, rng=seeded())
    laws.assert_same_bits(wrapped.adv, plain.adv)
    assert wrapped.image_passes == plain.image_passes
    assert ("backward" in seen) is (plain.passes.backward > 0)


@every_attack
def test_the_callers_autocast_changes_nothing(entry: catalog.AttackEntry) -> None:
    """Success is judged in the model's own arithmetic, wherever the attack is called from."""
    x, y = batch()
    model = nets.smooth_net(dtype=torch.float32)
    attack = on(entry, model)
    plain = attack(model, x, y, rng=seeded())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = attack(model, x, y, rng=seeded())
        assert torch.is_autocast_enabled("cpu")
    laws.assert_same_bits(inside.adv, plain.adv)
    assert torch.equal(inside.success, plain.success)
    assert inside.image_passes == plain.image_passes


@every_attack
def test_images_made_in_inference_mode_can_be_worked_with_after_it(
    entry: catalog.AttackEntry,
) -> None:
    x, y = batch()
    model = nets.smooth_net(dtype=torch.float32)
    with torch.inference_mode():
        adv = on(entry, model)(model, x, y, rng=seeded()).adv
    assert not adv.is_inference()


@every_attack
def test_norms_and_range_of_what_is_returned_are_those_that_are_told(
    entry: catalog.AttackEntry,
) -> None:
    x, y = batch()
    model = nets.smooth_net(dtype=torch.float32)
    result = on(entry, model)(model, x, y, rng=seeded())
    laws.assert_in_unit_range(result.adv)
    laws.assert_in_ball(result.adv, x, eps=entry.eps, norm=entry.norm, tolerance=2e-6)
    delta = (result.adv - x).flatten(1)
    size = delta.abs().amax(dim=1) if entry.norm == "linf" else delta.norm(dim=1)
    torch.testing.assert_close(result.norms, size)
    assert torch.equal(result.success, clean_logits(model, result.adv).argmax(dim=1) != y)
    if not isinstance(entry.instance, Rounded):
        assert result.passes == entry.passes

"""Every public object, held to every law that applies to it."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import math
from collections.abc import Callable
from functools import partial
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import catalog
import laws
import nets
from vicinal import attacks, corruptions, inputs, labels, objectives
from vicinal._typing import Attack, Objective
from vicinal.maths.mixing import Mix

N, K = 6, nets.CLASSES
ROOMS: dict[str, tuple[ModuleType, dict[str, Any], list[Any]]] = {
    "objectives": (objectives, objectives.OBJECTIVES, catalog.OBJECTIVES),
    "labels": (labels, labels.LABELS, catalog.LABELS),
    "inputs": (inputs, inputs.INPUTS, catalog.INPUTS),
    "attacks": (attacks, attacks.ATTACKS, catalog.ATTACKS),
}
MOVING: list[Any] = [*catalog.INPUTS, *catalog.ATTACKS]
"""Everything that takes (model, x, y) and returns images."""

every_objective = pytest.mark.parametrize("entry", catalog.OBJECTIVES)
every_label_move = pytest.mark.parametrize("entry", catalog.LABELS)
every_input_move = pytest.mark.parametrize("entry", catalog.INPUTS)
every_attack = pytest.mark.parametrize("entry", catalog.ATTACKS)
every_mover = pytest.mark.parametrize("entry", MOVING)
every_label_form = pytest.mark.parametrize("soft", [False, True], ids=["hard", "soft"])
SOFT = [entry for entry in catalog.OBJECTIVES if entry.soft]
every_objective_and_label_form = pytest.mark.parametrize(
    ("entry", "soft"),
    [*((entry, False) for entry in catalog.OBJECTIVES), *((entry, True) for entry in SOFT)],
)


def generator(seed: int = 3) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def images(n: int = N, *, dtype: torch.dtype = torch.float64, seed: int = 1) -> Tensor:
    """Images with some pixels at the very ends of the range, as real ones have."""
    x = torch.rand(n, nets.CHANNELS, nets.SIDE, nets.SIDE, generator=generator(seed), dtype=dtype)
    return ((x - 0.5) * 1.2 + 0.5).clamp(0.0, 1.0)


def classes(n: int = N) -> Tensor:
    return torch.arange(n) * 2 % K


def distributions(n: int = N, *, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.rand(n, K, generator=generator(2), dtype=dtype).square().softmax(dim=1)


def given(soft: bool) -> Tensor:
    return distributions() if soft else classes()


def moved(mover: Any, model: nn.Module, x: Tensor, y: Tensor, **options: Any) -> Tensor:
    """The images an input move or an attack returns; a transfer's source follows the model."""
    if isinstance(mover, attacks.Transfer) and mover.source is catalog.SOURCE:
        source: nn.Module = copy.deepcopy(catalog.SOURCE).to(x.dtype)
        if isinstance(model, laws.Relabelled):
            source = laws.Relabelled(source, model.order)
        mover = dataclasses.replace(mover, source=source)
    result = mover(model, x, y, **options)
    adv: Tensor = result.x if hasattr(result, "x") else result.adv
    return adv


def from_source(mover: Any, source: nn.Module) -> Any:
    """The same transfer from another source; any other mover as it is."""
    is_transfer = isinstance(mover, attacks.Transfer)
    return dataclasses.replace(mover, source=source) if is_transfer else mover


def stretched(net: nn.Module, x: Tensor, largest: float = 1e4) -> nn.Module:
    """The net with its logits stretched until the largest is as given."""
    return nets.Scaled(net, largest / float(net(x).detach().abs().max()))


# The catalog is complete.


@pytest.mark.parametrize("name", ROOMS)
def test_no_public_object_is_missing_from_the_catalog(name: str) -> None:
    room, table, entries = ROOMS[name]
    listed = {type(entry.instance).__name__ for entry in entries}
    public = {
        name
        for name in room.__all__
        if inspect.isclass(getattr(room, name))
        and dataclasses.is_dataclass(getattr(room, name))
        and getattr(room, name).__module__.startswith(f"{room.__name__}.")
        and "__call__" in vars(getattr(room, name))
    }
    nameless = {"Foreign"} & public  # holds a callable, which no word can name
    assert listed == public == {cls.__name__ for cls in table.values()} | nameless
    assert all(getattr(room, cls.__name__) is cls for cls in table.values())


@pytest.mark.parametrize("entry", [*catalog.OBJECTIVES, *catalog.LABELS, *catalog.INPUTS])
def test_the_definition_is_one_frozen_keyword_only_dataclass(entry: Any) -> None:
    cls = type(entry.instance)
    for field in dataclasses.fields(cls):
        assert field.kw_only
    with pytest.raises(dataclasses.FrozenInstanceError):
        entry.instance.eps = 0.5
    names = vars(inputs) | vars(labels) | {"inf": math.inf} | vars(objectives)
    if "Vicinal(" not in repr(entry.instance):
        inner = vars(inputs) if cls is inputs.Vertex else vars(labels)
        inner = vars(objectives) if cls is objectives.AWP else inner
        inner = vars(corruptions) if cls is inputs.Corrupt else inner
        names = inner | {cls.__name__: cls, "inf": math.inf}
        assert eval(repr(entry.instance), names) == entry.instance
        assert hash(eval(repr(entry.instance), names)) == hash(entry.instance)


# Objectives.


@every_objective_and_label_form
def test_the_loss_is_a_finite_scalar_that_reaches_every_weight(
    entry: catalog.ObjectiveEntry, soft: bool
) -> None:
    model = nets.smooth_net()
    loss = entry.instance(model, images(), given(soft), rng=generator())
    assert loss.shape == ()
    assert loss.dtype == torch.float64
    assert float(loss.detach()) >= 0.0
    torch.autograd.backward(loss)
    for weight in model.parameters():
        assert weight.grad is not None
        assert torch.isfinite(weight.grad).all()
        assert weight.grad.abs().sum() > 0


STRENGTH_ZERO = [(zero, factor) for entry in catalog.OBJECTIVES for zero, factor in entry.erm]


@pytest.mark.parametrize(("zero", "factor"), STRENGTH_ZERO)
@every_label_form
def test_strength_zero_is_a_known_multiple_of_erm(
    zero: Objective, factor: float, soft: bool
) -> None:
    x, y, gradients = images(), given(soft), []
    for objective in (zero, objectives.ERM()):
        model = nets.smooth_net()
        loss = objective(model, x, y, rng=generator())
        torch.autograd.backward(loss)
        gradients.append([loss.detach(), *(w.grad for w in model.parameters())])
    for ours, erm in zip(*gradients, strict=True):
        assert ours is not None
        assert erm is not None
        torch.testing.assert_close(ours, factor * erm, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("twins", catalog.TWINS)
@every_label_form
def test_two_ways_to_write_one_objective_agree(twins: catalog.Twins, soft: bool) -> None:
    model = nets.smooth_net()
    one, other = (
        objective(model, images(), given(soft), rng=generator())
        for objective in (twins.one, twins.other)
    )
    torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)
    if twins.same_bits:
        laws.assert_same_bits(one, other)


@every_objective
def test_every_strength_is_felt(entry: catalog.ObjectiveEntry) -> None:
    """Away from strength zero an objective is not ERM: a law above cannot hold by doing nothing."""
    if type(entry.instance) is objectives.ERM:
        return
    model = nets.smooth_net()
    loss, erm = (
        objective(model, images(), classes(), rng=generator())
        for objective in (entry.instance, objectives.ERM())
    )
    assert (loss - erm).abs().detach() > 1e-4


@every_objective_and_label_form
def test_one_seed_one_loss_and_global_generators_untouched(
    entry: catalog.ObjectiveEntry, soft: bool
) -> None:
    model, x, y = nets.smooth_net(), images(), given(soft)
    with laws.assert_global_rng_untouched():
        first = entry.instance(model, x, y, rng=generator(3))
        again = entry.instance(model, x, y, rng=generator(3))
        other = entry.instance(model, x, y, rng=generator(4))
    laws.assert_same_bits(first, again)
    assert torch.equal(first, other) != entry.draws


@every_objective
def test_without_a_generator_manual_seed_rules(entry: catalog.ObjectiveEntry) -> None:
    model, x, y = nets.smooth_net(), images(), classes()
    losses = []
    for seed in (5, 5, 6):
        torch.manual_seed(seed)
        losses.append(entry.instance(model, x, y))
    laws.assert_same_bits(losses[0], losses[1])
    assert torch.equal(losses[0], losses[2]) != entry.draws
    torch.manual_seed(5)
    laws.assert_same_bits(losses[0], entry.instance(model, x, y, rng=torch.default_generator))


@every_objective_and_label_form
def test_images_and_labels_are_not_modified(entry: catalog.ObjectiveEntry, soft: bool) -> None:
    x, y = images(), given(soft)
    with laws.assert_inputs_not_modified(x, y):
        torch.autograd.backward(entry.instance(nets.smooth_net(), x, y, rng=generator()))


@pytest.mark.parametrize("entry", [e for e in catalog.OBJECTIVES if e.renames])
@every_label_form
def test_renaming_the_classes_changes_nothing(entry: catalog.ObjectiveEntry, soft: bool) -> None:
    soft = soft and entry.soft
    laws.assert_equivariant_to_relabelling(
        lambda model, y: entry.instance(model, images(), y, rng=generator()),
        nets.smooth_net(),
        given(soft),
        torch.tensor([2, 4, 1, 0, 3]),
    )


@pytest.mark.parametrize("entry", SOFT)
def test_a_class_is_its_one_hot_distribution(entry: catalog.ObjectiveEntry) -> None:
    model, q = nets.smooth_net(), torch.eye(K, dtype=torch.float64)[classes()]
    hard, soft = (entry.instance(model, images(), y, rng=generator()) for y in (classes(), q))
    torch.testing.assert_close(hard, soft, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int8, torch.int32])
@every_objective
def test_classes_may_be_of_any_integer_dtype(
    entry: catalog.ObjectiveEntry, dtype: torch.dtype
) -> None:
    model = nets.smooth_net()
    forms = (classes(), classes().to(dtype))
    wide, narrow = (entry.instance(model, images(), y, rng=generator()) for y in forms)
    laws.assert_same_bits(wide, narrow)


@pytest.fixture
def draws_in_float64(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every dtype gets the draws of float64, rounded; torch would draw other numbers."""
    for name in ("rand", "randn"):
        draw = getattr(torch, name)

        def wide(*shape: int, dtype: torch.dtype, draw: Any = draw, **options: Any) -> Tensor:
            drawn: Tensor = draw(*shape, dtype=torch.float64, **options)
            return drawn.to(dtype)

        monkeypatch.setattr(torch, name, wide)


def loss_and_gradient(objective: Objective, model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    loss = objective(model, x, y, rng=generator())
    gradients = torch.autograd.grad(loss, list(model.parameters()))
    assert loss.dtype in {torch.float32, torch.float64}
    return torch.cat([loss.detach().view(1), *(g.flatten() for g in gradients)]).double()


@pytest.mark.usefixtures("draws_in_float64")
@every_objective_and_label_form
def test_float32_agrees_with_float64_to_1e5(entry: catalog.ObjectiveEntry, soft: bool) -> None:
    x, y, narrow = images().float(), given(soft), nets.smooth_net().float()
    wide = nets.smooth_net().float().double()
    one = loss_and_gradient(entry.instance, narrow, x, y)
    other = loss_and_gradient(entry.instance, wide, x.double(), y)
    torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)


@every_objective_and_label_form
def test_bf16_autocast_agrees_with_float32_to_3_percent(
    entry: catalog.ObjectiveEntry, soft: bool
) -> None:
    """The loss to 3 %, the gradient to 10 % of its length: inner attacks may flip a few signs."""
    x, y, model = images().float(), given(soft), nets.smooth_net().float()
    exact = loss_and_gradient(entry.instance, model, x, y)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rough = loss_and_gradient(entry.instance, model, x, y)
    torch.testing.assert_close(rough[0], exact[0], rtol=0.03, atol=0.0)
    assert (rough - exact)[1:].norm() <= 0.1 * exact[1:].norm()


@pytest.mark.parametrize("sign", [1.0, -1.0])
@every_objective_and_label_form
def test_extreme_logits_give_finite_loss_and_gradient(
    entry: catalog.ObjectiveEntry, soft: bool, sign: float
) -> None:
    model = stretched(nets.smooth_net().float(), images().float(), sign * 1e4)
    found = loss_and_gradient(entry.instance, model, images().float(), given(soft))
    assert torch.isfinite(found).all()


@every_objective_and_label_form
def test_the_cost_in_passes_is_the_tables(entry: catalog.ObjectiveEntry, soft: bool) -> None:
    model = laws.Counting(nets.smooth_net())
    torch.autograd.backward(entry.instance(model, images(), given(soft), rng=generator()))
    assert model.passes(N) == entry.passes
    assert entry.instance.passes == entry.passes


@every_objective
def test_batchnorm_sees_the_training_forwards_and_nothing_else_changes(
    entry: catalog.ObjectiveEntry,
) -> None:
    model = nets.stateful_net()
    modes: list[bool] = []
    model.register_forward_pre_hook(lambda net, _: modes.append(net.training))
    with laws.assert_model_unchanged(model, but=("buffers",)) as before:
        entry.instance(model, images(dtype=torch.float32), classes())
    assert modes == [False] * (entry.passes[0] - entry.training) + [True] * entry.training
    old, new = before["buffers"], dict(model.named_buffers())
    assert new["4.num_batches_tracked"] == old["4.num_batches_tracked"] + entry.updates
    laws.assert_same_bits(new["1.running_mean"], old["1.running_mean"])


ATTACKING = [e for e in catalog.OBJECTIVES if hasattr(e.instance, "batchnorm")]


@pytest.mark.parametrize("mode", ["eval", "train_frozen_stats", "train"])
@pytest.mark.parametrize("entry", ATTACKING)
def test_batchnorm_is_in_the_mode_of_the_field_while_attacking(
    entry: catalog.ObjectiveEntry, mode: str
) -> None:
    instance: Any = dataclasses.replace(entry.instance, batchnorm=mode)  # type: ignore[type-var]
    model, by_batch = nets.stateful_net(), list[bool]()
    norm: Any = model[4]
    norm.register_forward_pre_hook(lambda norm, _: by_batch.append(norm.training))
    before = norm.num_batches_tracked.clone()
    instance(model, images(dtype=torch.float32), classes())
    assert any(by_batch[: -entry.training]) == (mode != "eval")
    assert (norm.num_batches_tracked > before + entry.updates) == (mode == "train")


@pytest.mark.parametrize("entry", [e for e in catalog.OBJECTIVES if not e.partners and not e.draws])
@every_label_form
def test_a_batch_is_its_images(entry: catalog.ObjectiveEntry, soft: bool) -> None:
    model, x, y = nets.smooth_net(), images(), given(soft)
    whole = entry.instance(model, x, y)
    single = [entry.instance(model, x[[i]], y[[i]]) for i in range(N)]
    torch.testing.assert_close(whole, torch.stack(single).mean(), rtol=1e-12, atol=1e-12)


# Label moves.


def mixture(n: int, weight: float) -> Mix:
    return Mix(partner=torch.arange(n).roll(1), weight=torch.full((n,), weight).double())


def logits(n: int = 200, k: int = K) -> Tensor:
    return 5 * torch.randn(n, k, generator=generator(8), dtype=torch.float64)


def many_labels(n: int = 200, k: int = K) -> Tensor:
    """Distributions, every third a point mass, every third with zeros in it."""
    q = torch.rand(n, k, generator=generator(9), dtype=torch.float64).softmax(dim=1)
    q[::3] = torch.eye(k, dtype=torch.float64)[torch.arange(len(q[::3])) % k]
    q[1::3, : k // 2] = 0.0
    return q / q.sum(dim=1, keepdim=True)


@every_label_move
def test_labels_stay_on_the_simplex(entry: catalog.LabelEntry) -> None:
    q = entry.instance(many_labels(), logits(), mix=mixture(200, 0.7))
    laws.assert_on_simplex(q, tolerance=1e-12)


@every_label_move
def test_label_of_no_strength_is_the_label(entry: catalog.LabelEntry) -> None:
    laws.assert_same_bits(
        entry.identity(many_labels(), logits(), mix=mixture(200, 1.0)), many_labels()
    )


@every_label_move
def test_a_label_move_says_where_it_looks(entry: catalog.LabelEntry) -> None:
    assert entry.instance.at == entry.at
    seen, blind = (
        entry.instance(many_labels(), z, mix=mixture(200, 0.7)) for z in (logits(), -logits())
    )
    assert torch.equal(seen, blind) == (entry.at is None)


@every_label_move
def test_label_moves_modify_nothing_and_pass_no_gradient_to_the_logits(
    entry: catalog.LabelEntry,
) -> None:
    q, z = many_labels(), logits().requires_grad_()
    with laws.assert_inputs_not_modified(q, z), laws.assert_global_rng_untouched():
        out = entry.instance(q, z, mix=mixture(200, 0.7))
    assert not out.requires_grad


@every_label_move
def test_label_moves_rename_with_the_classes(entry: catalog.LabelEntry) -> None:
    order = torch.tensor([2, 4, 1, 0, 3])
    out = entry.instance(many_labels(), logits(), mix=mixture(200, 0.7))
    renamed = entry.instance(many_labels()[:, order], logits()[:, order], mix=mixture(200, 0.7))
    torch.testing.assert_close(renamed, out[:, order], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("entry", [e for e in catalog.LABELS if not e.mixes])
def test_each_label_is_moved_on_its_own(entry: catalog.LabelEntry) -> None:
    q, z = many_labels(20), logits(20)
    single = [entry.instance(q[[i]], z[[i]]) for i in range(20)]
    laws.assert_same_bits(entry.instance(q, z), torch.cat(single))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@every_label_move
def test_label_moves_keep_the_dtype(entry: catalog.LabelEntry, dtype: torch.dtype) -> None:
    narrow = entry.instance(many_labels().to(dtype), logits().to(dtype), mix=mixture(200, 0.7))
    wide = entry.instance(many_labels(), logits(), mix=mixture(200, 0.7))
    assert narrow.dtype == dtype
    torch.testing.assert_close(narrow.double(), wide, rtol=1e-6, atol=1e-6)


@every_label_move
def test_extreme_logits_give_finite_labels(entry: catalog.LabelEntry) -> None:
    z = (logits().sign() * 1e4).float()
    laws.assert_on_simplex(entry.instance(many_labels().float(), z, mix=mixture(200, 0.7)))


# Input moves and attacks.


@every_mover
@every_label_form
def test_moved_images_stay_in_the_ball_and_the_pixel_range(entry: Any, soft: bool) -> None:
    x = images(30)
    y = distributions(30) if soft else classes(30)
    x_moved = moved(entry.instance, nets.smooth_net(), x, y, rng=generator())
    assert x_moved.shape == x.shape
    assert x_moved.dtype == x.dtype
    assert not x_moved.requires_grad
    if getattr(entry, "unit_range", True):
        laws.assert_in_unit_range(x_moved)
    if entry.eps is not None:
        laws.assert_in_ball(x_moved, x, eps=entry.eps, norm=entry.norm, tolerance=1e-12)


@every_mover
def test_an_image_of_no_strength_is_the_image(entry: Any) -> None:
    x = images()
    laws.assert_same_bits(
        moved(entry.identity, nets.smooth_net(), x, classes(), rng=generator()), x
    )


@every_mover
@every_label_form
def test_one_seed_one_image_and_global_generators_untouched(entry: Any, soft: bool) -> None:
    act = partial(moved, entry.instance, nets.smooth_net(), images(), given(soft))
    with laws.assert_global_rng_untouched():
        first, again, other = act(rng=generator(3)), act(rng=generator(3)), act(rng=generator(4))
    laws.assert_same_bits(first, again)
    if soft and getattr(entry, "leaves", False):
        return  # the net errs on all of these, so nothing is attacked
    assert torch.equal(first, other) != entry.draws


@every_mover
def test_without_a_generator_manual_seed_rules_the_images(entry: Any) -> None:
    found = []
    for seed in (5, 5, 6):
        torch.manual_seed(seed)
        found.append(moved(entry.instance, nets.smooth_net(), images(), classes()))
    laws.assert_same_bits(found[0], found[1])
    assert torch.equal(found[0], found[2]) != entry.draws


@pytest.mark.parametrize("wants_gradient", [False, True])
@every_mover
@every_label_form
def test_moves_do_not_modify_images_and_labels(
    entry: Any, soft: bool, wants_gradient: bool
) -> None:
    x, y = images().requires_grad_(wants_gradient), given(soft)
    with laws.assert_inputs_not_modified(x, y):
        moved(entry.instance, nets.smooth_net(), x, y, rng=generator())


@every_mover
@every_label_form
def test_moves_rename_with_the_classes(entry: Any, soft: bool) -> None:
    laws.assert_equivariant_to_relabelling(
        lambda model, y: moved(entry.instance, model, images(), y, rng=generator()),
        nets.smooth_net(),
        given(soft),
        torch.tensor([2, 4, 1, 0, 3]),
    )


@every_mover
def test_moves_take_a_class_as_its_one_hot_distribution(entry: Any) -> None:
    q = torch.eye(K, dtype=torch.float64)[classes()]
    hard, soft = (
        moved(entry.instance, nets.smooth_net(), images(), y, rng=generator())
        for y in (classes(), q)
    )
    torch.testing.assert_close(hard, soft, rtol=1e-12, atol=1e-12)


@pytest.mark.usefixtures("draws_in_float64")
@every_mover
def test_float32_images_agree_with_float64_to_1e5(entry: Any) -> None:
    x = images().float()
    narrow = moved(entry.instance, nets.smooth_net().float(), x, classes(), rng=generator())
    net = nets.smooth_net().float().double()
    wide = moved(entry.instance, net, x.double(), classes(), rng=generator())
    torch.testing.assert_close(narrow.double(), wide, rtol=1e-5, atol=1e-5)


@every_mover
@every_label_form
def test_extreme_logits_give_finite_images(entry: Any, soft: bool) -> None:
    model = stretched(nets.smooth_net().float(), images().float())
    found = moved(entry.instance, model, images().float(), given(soft), rng=generator())
    assert torch.isfinite(found).all()


@every_input_move
@every_label_form
def test_the_cost_of_a_move_is_the_tables(entry: catalog.InputEntry, soft: bool) -> None:
    model = laws.Counting(nets.smooth_net())
    entry.instance(model, images(), given(soft), rng=generator())
    assert model.passes(N) == entry.passes
    assert entry.instance.passes == entry.passes


@every_attack
@every_label_form
def test_the_cost_of_an_attack_is_what_it_reports(entry: catalog.AttackEntry, soft: bool) -> None:
    models = [laws.Counting(nets.smooth_net())]
    attack = entry.instance
    if isinstance(attack, attacks.Transfer):
        models.append(laws.Counting(attack.source))
        attack = dataclasses.replace(attack, source=models[1])
    result = attack(models[0], images(), given(soft), rng=generator())
    assert result.passes == entry.passes
    counted = (sum(m.forwards for m in models), sum(m.backwards for m in models))
    assert counted == getattr(result, "image_passes", None)
    assert entry.leaves or counted == (N * entry.passes[0], N * entry.passes[1])


@every_mover
@pytest.mark.parametrize("training", [True, False], ids=["train mode", "eval mode"])
def test_a_move_leaves_the_model_as_it_was(entry: Any, training: bool) -> None:
    model = nets.stateful_net()
    if not training:
        model.eval()
    source = nets.stateful_net(seed=1)
    with laws.assert_model_unchanged(model), laws.assert_model_unchanged(source):
        moved(from_source(entry.instance, source), model, images(dtype=torch.float32), classes())


FAILURES = [(entry, nth) for entry in MOVING for nth in range(1, entry.passes[0] + 1)]


@pytest.mark.parametrize(("entry", "nth"), FAILURES)
def test_an_exception_inside_the_model_leaves_it_as_it_was(entry: Any, nth: int) -> None:
    model = nets.Failing(nets.stateful_net(), at=nth)
    x, y = images(dtype=torch.float32), classes()
    with laws.assert_model_unchanged(model), laws.assert_inputs_not_modified(x, y):
        with pytest.raises(RuntimeError, match="out of memory"):
            moved(from_source(entry.instance, model), model, x, y)
        assert torch.is_grad_enabled()
        assert not torch.is_inference_mode_enabled()


SWITCHES: list[Callable[[], Any]] = [torch.no_grad, torch.inference_mode]


@pytest.mark.parametrize("switch", SWITCHES)
@every_mover
def test_moves_work_where_gradients_are_switched_off(entry: Any, switch: Callable[[], Any]) -> None:
    model, outside = nets.stateful_net(), images(dtype=torch.float32)
    mover = from_source(entry.instance, nets.stateful_net(seed=1))
    expected = moved(mover, model, outside, classes(), rng=generator())
    with laws.assert_model_unchanged(model), switch():
        inside = outside.clone()  # in inference mode, a tensor that autograd refuses
        for x in (outside, inside):
            found = moved(mover, model, x, classes().clone(), rng=generator())
            laws.assert_same_bits(found, expected)
        assert not torch.is_grad_enabled()


@pytest.mark.parametrize(
    "entry", [e for e in MOVING if not e.draws and not getattr(e, "partners", False)]
)
@every_label_form
def test_each_image_is_moved_on_its_own(entry: Any, soft: bool) -> None:
    model, x, y = nets.smooth_net(), images(), given(soft)
    single = [moved(entry.instance, model, x[[i]], y[[i]]) for i in range(N)]
    torch.testing.assert_close(
        moved(entry.instance, model, x, y), torch.cat(single), rtol=1e-12, atol=1e-12
    )


@every_attack
@every_label_form
def test_an_attacks_verdict_is_the_models_own(entry: catalog.AttackEntry, soft: bool) -> None:
    x, y, model = images(40), distributions(40) if soft else classes(40), nets.smooth_net()
    result = entry.instance(model, x, y, rng=generator())
    own = y.argmax(dim=1) if soft else y
    assert torch.equal(result.success, model(result.adv).argmax(dim=1) != own)
    delta = (result.adv - x).flatten(1)
    size = delta.abs().amax(dim=1) if entry.norm == "linf" else delta.norm(dim=1)
    torch.testing.assert_close(result.norms, size, rtol=1e-12, atol=1e-12)


@every_attack
def test_an_attack_of_no_budget_succeeds_where_the_model_errs(entry: catalog.AttackEntry) -> None:
    x, y, model = images(40), classes(40), nets.smooth_net()
    result = entry.identity(model, x, y)
    assert torch.equal(result.success, model(x).argmax(dim=1) != y)


def test_the_contracts_hold_at_run_time() -> None:
    assert all(isinstance(entry.instance, Objective) for entry in catalog.OBJECTIVES)
    assert all(isinstance(entry.instance, labels.LabelMove) for entry in catalog.LABELS)
    assert all(isinstance(entry.instance, inputs.InputMove) for entry in catalog.INPUTS)
    assert all(isinstance(entry.instance, Attack) for entry in catalog.ATTACKS)

"""Looking at a model leaves no trace on it, whatever happens inside."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from vicinal import attacks, gradients, inputs, objectives
from vicinal._checks import InputError
from vicinal._typing import BatchNormMode
from vicinal.evaluation import evaluate
from vicinal.gradients import OtherPrecision, ascend, clean_logits, detached, frozen, input_gradient
from vicinal.maths.losses import cross_entropy

MODES: tuple[BatchNormMode, ...] = ("eval", "train_frozen_stats", "train")


class Net(nn.Module):
    """BatchNorm three ways, dropout, a shared layer, a layer in eval mode and frozen weights."""

    def __init__(self) -> None:
        super().__init__()
        shared = nn.Conv2d(4, 4, 3, padding=1)
        self.body = nn.Sequential(
            nn.Conv2d(1, 4, 3),
            nn.BatchNorm2d(4),
            shared,
            nn.BatchNorm2d(4, momentum=None),
            nn.Dropout(0.5),
            shared,
            nn.BatchNorm2d(4, track_running_stats=False),
            nn.InstanceNorm2d(4, track_running_stats=True),
        )
        self.head = nn.Sequential(nn.Flatten(), nn.Linear(144, 3))
        self.body[1].eval()
        self.body[0].weight.requires_grad_(False)
        self.head[1].bias.requires_grad_(False)
        self.fail_on: int | None = None
        self.calls = 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        if self.calls == self.fail_on:
            raise KeyError("from inside the model")
        z: Tensor = self.head(self.body(x))
        return z


def _net() -> Net:
    torch.manual_seed(0)
    net = Net()
    net.body[0].requires_grad_(False)
    torch.autograd.backward(
        net(torch.rand(8, 1, 8, 8)).sum()
    )  # gradients and statistics that could be lost
    return net


def _batch(n: int = 6) -> tuple[Tensor, Tensor]:
    g = torch.Generator().manual_seed(1)
    return torch.rand(n, 1, 8, 8, generator=g), torch.randint(3, (n,), generator=g)


def _state(model: nn.Module) -> dict[str, Any]:
    return {
        "modes": [module.training for module in model.modules()],
        "tracking": [getattr(module, "track_running_stats", None) for module in model.modules()],
        "flags": [weight.requires_grad for weight in model.parameters()],
        "values": {name: value.clone() for name, value in model.state_dict().items()},
        "gradients": [None if w.grad is None else w.grad.clone() for w in model.parameters()],
    }


def _assert_same(model: nn.Module, before: dict[str, Any]) -> None:
    after = _state(model)
    for key in ("modes", "tracking", "flags"):
        assert after[key] == before[key], key
    for name, value in before["values"].items():
        assert torch.equal(after["values"][name], value), name
    for found, exact in zip(after["gradients"], before["gradients"], strict=True):
        assert (found is None) == (exact is None)
        assert exact is None or torch.equal(found, exact)


def _pgd(model: nn.Module, x: Tensor, y: Tensor) -> None:
    attacks.PGD(eps=0.1, step_size=0.05, steps=3, restarts=2, target="random")(model, x, y)


def _fgsm(model: nn.Module, x: Tensor, y: Tensor) -> None:
    attacks.FGSM(eps=0.1)(model, x, y)


def _transfer(model: nn.Module, x: Tensor, y: Tensor) -> None:
    attacks.Transfer(source=model, attack=attacks.FGSM(eps=0.1))(model, x, y)


def _evaluate(model: nn.Module, x: Tensor, y: Tensor) -> None:
    evaluate(model, (x, y), attacks=[attacks.PGD(eps=0.1, step_size=0.05, steps=2)])


def _predict(model: nn.Module, x: Tensor, y: Tensor) -> None:
    clean_logits(model, x)
    clean_logits(model, x)


def _move(batchnorm: BatchNormMode) -> Callable[[nn.Module, Tensor, Tensor], None]:
    def call(model: nn.Module, x: Tensor, y: Tensor) -> None:
        inputs.PGD(eps=0.1, step_size=0.05, steps=3, batchnorm=batchnorm)(model, x, y)

    return call


LOOKS: dict[str, Callable[[nn.Module, Tensor, Tensor], None]] = {
    "pgd": _pgd,
    "fgsm": _fgsm,
    "transfer": _transfer,
    "evaluate": _evaluate,
    "move-eval": _move("eval"),
    "move-train_frozen_stats": _move("train_frozen_stats"),
    "predict": _predict,
}


@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize("look", LOOKS)
def test_the_model_is_left_as_it_was(look: str, train: bool) -> None:
    model = _net()
    if not train:
        model.eval()
    before = _state(model)
    x, y = _batch()
    clean = x.clone(), y.clone()
    LOOKS[look](model, x, y)
    _assert_same(model, before)
    assert all(map(torch.equal, (x, y), clean))
    assert x.grad is None


@pytest.mark.parametrize("call", [1, 2])
@pytest.mark.parametrize("look", LOOKS)
def test_the_model_is_left_as_it_was_after_an_exception_inside_it(look: str, call: int) -> None:
    model = _net()
    model.fail_on = model.calls + call
    before = _state(model)
    with pytest.raises(KeyError, match="from inside"):
        LOOKS[look](model, *_batch())
    _assert_same(model, before)


@pytest.mark.parametrize("outer", MODES)
@pytest.mark.parametrize("inner", MODES)
def test_frozen_nests(outer: BatchNormMode, inner: BatchNormMode) -> None:
    model = _net()
    before = _state(model)
    with frozen(model, batchnorm=outer):
        between = _state(model)
        with frozen(model, batchnorm=inner):
            assert not any(weight.requires_grad for weight in model.parameters())
        _assert_same(model, between)
        with pytest.raises(KeyError), frozen(model, batchnorm=inner):
            raise KeyError
        _assert_same(model, between)
    _assert_same(model, before)


def test_eval_equals_a_copy_in_eval_mode() -> None:
    model, (x, _) = _net(), _batch()
    exact = copy.deepcopy(model).eval()(x)
    with frozen(model) as held:
        assert held is model
        assert torch.equal(model(x), exact)
    assert torch.equal(clean_logits(model, x), exact)


def test_train_frozen_stats_normalises_by_the_batch_and_learns_nothing() -> None:
    model, (x, _) = _net(), _batch()
    other = copy.deepcopy(model).train()
    other.body[4].eval()  # no dropout
    other.body[7].eval()  # only BatchNorm looks at the batch
    exact = other(x)
    before = _state(model)
    with frozen(model, batchnorm="train_frozen_stats"):
        found = model(x)
        assert not model.body[4].training
    assert torch.equal(found, exact)
    assert not torch.equal(found, clean_logits(model, x))
    _assert_same(model, before)
    changed = _state(other)["values"]
    assert int(changed["body.1.num_batches_tracked"]) == 1
    assert int(before["values"]["body.1.num_batches_tracked"]) == 0


def test_train_moves_the_statistics_as_a_training_step_does() -> None:
    model, (x, _) = _net(), _batch()
    model.body[4] = nn.Dropout(0.0)
    other = copy.deepcopy(model).train()
    modes = [module.training for module in model.modules()]
    exact = other(x)
    with frozen(model, batchnorm="train"):
        assert torch.equal(model(x), exact)
    for name, value in other.state_dict().items():
        assert torch.equal(model.state_dict()[name], value), name
    assert [module.training for module in model.modules()] == modes


def test_an_unknown_batchnorm_mode_is_refused() -> None:
    with pytest.raises(InputError, match="`batchnorm` must be eval"), frozen(_net(), batchnorm="x"):  # type: ignore[arg-type]
        pass


def _leaves(z: Tensor) -> list[Tensor]:
    """Name the tensors into which a backward pass of z would accumulate."""
    found: dict[int, Tensor] = {}
    waiting, seen = [z.grad_fn], set()
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if hasattr(node, "variable"):
            found[id(node.variable)] = node.variable
        waiting.extend(following for following, _ in node.next_functions)
    return list(found.values())


def test_what_is_no_module_is_refused() -> None:
    with pytest.raises(InputError, match=r"must be a torch\.nn\.Module; got function"):
        attacks.FGSM(eps=0.1)(lambda x: x.flatten(1), torch.rand(2, 1, 2, 2), torch.zeros(2).long())  # type: ignore[arg-type]


class InPlace(nn.Module):
    """Normalises the caller's images where they lie."""

    def forward(self, x: Tensor) -> Tensor:
        return x.sub_(0.5).flatten(1)


def test_a_model_that_writes_into_its_input_is_refused() -> None:
    x, y = torch.rand(4, 1, 2, 2), torch.arange(4)
    with pytest.raises(InputError, match="wrote into the images"):
        attacks.Square(eps=0.1, queries=2)(InPlace(), x, y)
    with torch.inference_mode():
        assert clean_logits(InPlace(), torch.rand(4, 1, 2, 2)).shape == (4, 4)


def test_no_weight_gradient_is_computed() -> None:
    model, (x, y) = _net(), _batch()
    fired: list[Tensor] = []
    for weight in model.parameters():
        if weight.requires_grad:
            weight.register_hook(fired.append)  # type: ignore[no-untyped-call]
            weight.register_post_accumulate_grad_hook(fired.append)  # type: ignore[no-untyped-call]
    leaves: list[list[Tensor]] = []

    def loss(z: Tensor) -> Tensor:
        leaves.append(_leaves(z))
        return cross_entropy(z, y)

    inputs.pgd(model, x, loss, eps=0.1, step_size=0.05, steps=3)
    _pgd(model, x, y)
    assert fired == []
    assert len(leaves) == 3
    assert all([leaf.shape for leaf in step] == [x.shape] for step in leaves)
    torch.autograd.backward(model(x).sum())
    assert fired  # the hooks do fire where a weight gradient is computed


@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode, torch.enable_grad])
@pytest.mark.parametrize("inference", [False, True])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"random_start": False},
        {"restarts": 2, "target": "random"},
        {"random_start": False, "target": "least_likely", "norm": "l2"},
        {"random_start": False, "target": "given", "loss": "margin"},
    ],
)
@pytest.mark.parametrize("soft", [False, True])
def test_the_callers_gradient_mode_does_not_matter(
    context: Callable[[], Any], inference: bool, options: dict[str, Any], soft: bool
) -> None:
    model, (x, y) = _net(), _batch()
    if options.get("target") == "given":
        options = {**options, "target": (y + 1) % 3}
    q = nn.functional.one_hot(y, 3).float() if soft else y
    attack = attacks.PGD(eps=0.1, step_size=0.05, steps=3, **options)
    exact = attack(model, x, q, rng=torch.Generator().manual_seed(0))
    if inference:
        with torch.inference_mode():
            x, q = x.clone(), q.clone()
            if isinstance(attack.target, Tensor):
                options = {**options, "target": attack.target.clone()}
        attack = attacks.PGD(eps=0.1, step_size=0.05, steps=3, **options)
    with context():
        found = attack(model, x, q, rng=torch.Generator().manual_seed(0))
    assert torch.equal(found.adv, exact.adv)
    assert torch.equal(found.success, exact.success)
    assert not (found.adv.requires_grad | found.norms.requires_grad)


def test_a_graph_of_the_caller_is_neither_used_nor_kept() -> None:
    model, (x, y) = _net(), _batch()
    x.requires_grad_(True)
    q = nn.functional.one_hot(y, 3).float().requires_grad_(True)
    result = attacks.PGD(eps=0.1, step_size=0.05, steps=2)(model, x * 1.0, q * 1.0)
    assert not result.adv.requires_grad
    assert x.grad is None
    assert q.grad is None
    assert not inputs.PGD(eps=0.1, step_size=0.05, steps=2)(model, x, q).x.requires_grad


def test_autocast_still_gives_weights_their_gradient_after_an_attack() -> None:
    """Autocast caches weights cast without a graph; an attack must not fill that cache."""
    model, (x, y) = nn.Sequential(nn.Flatten(), nn.Linear(64, 3)), _batch()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        _pgd(model, x, y)
        torch.autograd.backward(cross_entropy(model(x), y).sum())
    assert all(w.grad is not None and bool(w.grad.any()) for w in model.parameters())


def test_input_gradient_is_that_of_the_summed_loss() -> None:
    model, (x, y) = _net().eval(), _batch()
    gradient, z = input_gradient(model, x, lambda z: cross_entropy(z, y))
    at = x.clone().requires_grad_(True)
    torch.autograd.backward(nn.functional.cross_entropy(model(at), y, reduction="sum"))
    assert at.grad is not None
    assert torch.allclose(gradient, at.grad, atol=1e-7)
    assert torch.equal(z, model(x))
    assert not z.requires_grad


def test_ascend_visits_every_iterate_but_the_last() -> None:
    model, (x, y) = _net().eval(), _batch()
    seen: list[tuple[Tensor, Tensor]] = []
    last = ascend(
        model,
        x,
        lambda z: cross_entropy(z, y),
        steps=3,
        move=lambda at, gradient: at + 0.01 * gradient,
        visit=lambda at, z: seen.append((at, z)),
    )
    assert torch.equal(seen[0][0], x)
    assert len(seen) == 3
    for at, z in seen:
        assert torch.equal(z, model(at))
    gradient, _ = input_gradient(model, seen[-1][0], lambda z: cross_entropy(z, y))
    assert torch.equal(last, seen[-1][0] + 0.01 * gradient)


def test_detached_tensors_can_be_used_by_autograd_anywhere() -> None:
    plain = torch.rand(3, requires_grad=True)
    assert detached(plain * 1).grad_fn is None
    with torch.inference_mode():
        made = torch.rand(3)
        inside = detached(made)
    for tensor in (detached(made), inside):
        assert not tensor.is_inference()
        assert torch.equal(tensor, made)
        with gradients.differentiable():
            torch.autograd.backward(tensor.clone().requires_grad_(True).square().sum())


class _Odd(nn.Module):
    """A model that breaks the contract in the way that `change` says."""

    def __init__(self, change: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.layer = nn.Linear(64, 3)
        self.change = change
        self.loose = torch.ones(3, requires_grad=True)  # not a parameter

    def forward(self, x: Tensor) -> Any:
        return self.change(self.layer(x.flatten(1)))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda z: z.detach(), "logits without a gradient"),
        (lambda z: z.argmax(dim=1, keepdim=True) + torch.zeros(3), "logits without a gradient"),
        (lambda z: z.detach() * torch.ones(3, requires_grad=True), "logits without a gradient"),
        (lambda z: z * torch.nan, "finite logits; got NaN or infinity for 6 of 6 images"),
        (lambda z: z / 0.0, "finite logits"),
        (lambda z: (z, z), r"logits of shape \(6, K\) with K >= 2; got tuple"),
        (lambda z: z.narrow(1, 0, 1), r"got \(6, 1\)"),
        (lambda z: z.sum(dim=1), r"got \(6,\)"),
        (lambda z: z.unsqueeze(2).unsqueeze(3), r"got \(6, 3, 1, 1\)"),
        (lambda z: z.mean(dim=0, keepdim=True), r"got \(1, 3\)"),
    ],
)
@pytest.mark.parametrize("target", [None, "least_likely"])
def test_a_model_that_breaks_the_contract_is_told_in_a_sentence(
    change: Callable[[Tensor], Any], sentence: str, target: str | None
) -> None:
    model = _Odd(change)
    before = _state(model)
    for attack in (
        attacks.FGSM(eps=0.1, target=target),
        attacks.PGD(eps=0.1, step_size=0.1, steps=2, target=target, norm="l2"),
    ):
        with pytest.raises(InputError, match=sentence) as error:
            attack(model, *_batch())
        assert "\n" not in str(error.value)
    _assert_same(model, before)


def test_a_model_built_in_inference_mode_can_be_looked_at() -> None:
    with torch.inference_mode():
        model = nn.Sequential(nn.Flatten(), nn.Linear(64, 3))
    flags = _state(model)["flags"]
    assert clean_logits(model, _batch()[0]).shape == (6, 3)
    assert _state(model)["flags"] == flags


class _Casting(nn.Module):
    """Brings images to the precision of its weights, as many a forward does."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x.float())  # type: ignore[no-any-return]


def _line() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 3))


@pytest.mark.parametrize("conv", [False, True])
@pytest.mark.parametrize(
    ("of", "weights", "cast"),
    [
        (torch.float64, torch.float32, "float"),
        (torch.float16, torch.float32, "float"),
        (torch.bfloat16, torch.float32, "float"),
        (torch.float32, torch.float64, "double"),
        (torch.float32, torch.bfloat16, "bfloat16"),
    ],
)
def test_images_of_another_precision_are_told_in_a_sentence(
    of: torch.dtype, weights: torch.dtype, cast: str, conv: bool
) -> None:
    model = (nn.Sequential(nn.Conv2d(1, 1, 1), _line()) if conv else _line()).to(weights)
    x, y = torch.rand(4, 1, 8, 8).to(of), torch.arange(4) % 3
    sentence = (
        f"`x` must be of the precision of the model's weights, {weights}; got {of}. "
        f"Did you mean x.{cast}()?"
    )
    calls: list[Callable[[], Any]] = [
        lambda: attacks.PGD(eps=0.1, step_size=0.05, steps=1)(model, x, y),
        lambda: attacks.PGD(eps=0.1, step_size=0.05, steps=1, target="random")(model, x, y),
        lambda: objectives.AdversarialTraining(eps=0.1, step_size=0.1)(model, x, y),
        lambda: evaluate(model, (x, y)),
    ]
    for call in calls:
        with pytest.raises(OtherPrecision) as told:
            call()
        assert str(told.value) == sentence


def test_precisions_that_fit_each_other_in_their_way_stay_allowed() -> None:
    x, y = torch.rand(4, 1, 8, 8), torch.arange(4) % 3
    attack = attacks.PGD(eps=0.1, step_size=0.05, steps=2)
    attack(_line().bfloat16(), x.bfloat16(), y)
    attack(_Casting(_line()), x.double(), y)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert input_gradient(_line(), x.bfloat16(), lambda z: z.sum(dim=1))[1].shape == (4, 3)


def test_another_failure_of_a_model_is_its_own() -> None:
    """Also where the precision is another one too."""
    odd = _Odd(lambda z: z.view(7, 7))
    with pytest.raises(RuntimeError, match="invalid for input of size") as raised:
        clean_logits(odd, _batch()[0])
    assert not isinstance(raised.value, InputError)
    model = _Casting(nn.Sequential(nn.Flatten(), nn.Linear(5, 3)))
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied") as raised:
        clean_logits(model, _batch()[0].double())
    assert not isinstance(raised.value, InputError)


@pytest.mark.parametrize(
    "call",
    [
        lambda model, x, y: evaluate(model, (x, y)),
        lambda model, x, y: attacks.FGSM(eps=0.1)(model, x, y),
    ],
)
def test_a_function_is_no_model(call: Callable[..., Any]) -> None:
    x, y = torch.rand(4, 1, 8, 8), torch.arange(4) % 3
    with pytest.raises(InputError, match=r"must be a torch.nn.Module; got function. Make a"):
        call(lambda z: z.flatten(1), x, y)

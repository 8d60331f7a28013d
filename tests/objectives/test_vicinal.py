"""Any input move with any label move: who sees what, and what is refused."""

from __future__ import annotations

import copy
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor, nn

import laws
import nets
from vicinal import attacks, inputs, labels, objectives
from vicinal._checks import InputError
from vicinal._typing import Passes
from vicinal.inputs import Neighbour
from vicinal.labels.move import At
from vicinal.maths.losses import cross_entropy
from vicinal.maths.mixing import Mix
from vicinal.objectives import Vicinal


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def batch(n: int = 6) -> tuple[Tensor, Tensor]:
    return torch.rand(n, 3, 4, 4, dtype=torch.float64), torch.arange(n) % 5


class Spy:
    """A label move that remembers what it was shown."""

    def __init__(self, at: At) -> None:
        self.at: At = at
        self.z: Tensor | None = None
        self.mix: Mix | None = None

    def __call__(self, q: Tensor, z: Tensor, *, mix: Mix | None = None) -> Tensor:
        self.z, self.mix = z, mix
        return q


def test_at_neighbour_a_label_move_sees_the_logits_of_the_loss() -> None:
    (x, y), model, spy = batch(), nets.smooth_net(), Spy("neighbour")
    noise = inputs.GaussianNoise(sigma=0.3)
    Vicinal(inputs=noise, labels=spy)(model, x, y, rng=generator())
    assert spy.z is not None
    assert not spy.z.requires_grad
    laws.assert_same_bits(spy.z, model(noise(model, x, y, rng=generator()).x))


def test_at_clean_a_label_move_sees_one_eval_mode_forward_of_the_batch() -> None:
    x, y = torch.rand(6, 3, 4, 4), torch.arange(6) % 5
    model, spy = nets.stateful_net(), Spy("clean")
    objective = Vicinal(inputs=inputs.GaussianNoise(sigma=0.3), labels=spy)
    clean = copy.deepcopy(model).eval()(x).detach()
    counting = laws.Counting(model)
    loss = objective(counting, x, y)
    torch.autograd.backward(loss)
    assert counting.passes(6) == (2, 1) == objective.passes
    assert spy.z is not None
    assert not spy.z.requires_grad
    laws.assert_same_bits(spy.z, clean)


@pytest.mark.parametrize("start", [True, False])
def test_one_clean_forward_serves_the_target_and_the_label(start: bool) -> None:
    (x, y), spy = batch(), Spy("clean")
    model = laws.Counting(nets.smooth_net())
    move = inputs.PGD(eps=0.1, step_size=0.1, steps=1, target="least_likely", random_start=start)
    objective = Vicinal(inputs=move, labels=spy)
    torch.autograd.backward(objective(model, x, y, rng=generator()))
    assert model.passes(len(x)) == (3, 2) == objective.passes
    assert spy.z is not None
    laws.assert_same_bits(spy.z, model.net(x))


def test_the_input_move_is_handed_the_logits_that_the_label_looks_at() -> None:
    class Looking:
        passes, looks, z = Passes(1, 0), True, None

        def __call__(
            self,
            model: nn.Module,
            x: Tensor,
            y: Tensor,
            *,
            rng: torch.Generator | None = None,
            z: Tensor | None = None,
        ) -> Neighbour:
            self.z = model(x).detach() if z is None else z
            return Neighbour(x)

    (x, y), model, move = batch(), nets.smooth_net(), Looking()
    for at, passes in (("clean", (2, 1)), ("neighbour", (2, 1))):
        counting = laws.Counting(model)
        objective = Vicinal(inputs=move, labels=Spy(at))  # type: ignore[arg-type]
        torch.autograd.backward(objective(counting, x, y))
        assert counting.passes(len(x)) == passes == objective.passes
        assert move.z is not None


def test_an_input_move_of_ones_own_needs_not_know_of_clean_logits() -> None:
    class Darker:
        passes = Passes(0, 0)

        def __call__(
            self, model: nn.Module, x: Tensor, y: Tensor, *, rng: torch.Generator | None = None
        ) -> Neighbour:
            return Neighbour(x / 2)

    (x, y), model = batch(), nets.smooth_net()
    q = labels.bilateral(y, model(x))
    found = Vicinal(inputs=Darker(), labels=labels.Bilateral())(model, x, y)
    torch.testing.assert_close(found, cross_entropy(model(x / 2), q).mean(), rtol=1e-12, atol=0)


def test_a_label_move_is_handed_the_mixture_of_the_images() -> None:
    (x, y), model, spy = batch(), nets.smooth_net(), Spy(None)
    move = inputs.Interpolate()
    Vicinal(inputs=move, labels=spy)(model, x, y, rng=generator())
    assert spy.mix is not None
    laws.assert_same_bits(spy.mix.weight, move.draw(x, rng=generator()).weight)
    Vicinal(labels=spy)(model, x, y)
    assert spy.mix is None


@pytest.mark.parametrize("label", [labels.Smooth(eps=0.3), labels.LeastLikelyShift(eps=0.3)])
@pytest.mark.parametrize(
    "image", [inputs.Keep(), inputs.MixUp(), inputs.PGD(eps=0.1, step_size=0.05, steps=2)]
)
def test_eq4_the_loss_is_the_cross_entropy_at_the_neighbour(
    image: inputs.InputMove, label: labels.LabelMove
) -> None:
    (x, y), model = batch(), nets.smooth_net()
    q = torch.eye(5, dtype=torch.float64)[y]
    moved = image(model, x, y, rng=generator())
    z = model(moved.x)
    expected = cross_entropy(z, label(q, z.detach(), mix=moved.mix)).mean()
    loss = Vicinal(inputs=image, labels=label)(model, x, y, rng=generator())
    torch.testing.assert_close(loss, expected, rtol=1e-12, atol=0)


def test_a_class_of_ones_own_needs_no_base() -> None:
    """The promise to those who invent the next method: a callable with `at` is a label move."""

    class Half:
        at: ClassVar[At] = None

        def __call__(self, q: Tensor, z: Tensor, *, mix: Mix | None = None) -> Tensor:
            return (q + 1 / q.shape[1]) / 2

    (x, y), model = batch(), nets.smooth_net()
    ours = Vicinal(labels=Half())(model, x, y)
    theirs = objectives.LabelSmoothing(eps=0.5, convention="uniform")(model, x, y)
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=0)


WRONG: list[tuple[str, Any]] = [
    ("inputs", labels.Keep()),
    ("inputs", attacks.PGD(eps=0.1, step_size=0.1, steps=2)),
    ("inputs", inputs.Keep),
    ("inputs", "MixUp"),
    ("inputs", None),
    ("labels", inputs.Keep()),
    ("labels", labels.Keep),
    ("labels", labels.smooth),
    ("labels", None),
]


@pytest.mark.parametrize(
    ("side", "move"), WRONG, ids=lambda v: v if isinstance(v, str) else type(v).__name__
)
def test_what_is_no_move_is_refused_where_it_is_written(side: str, move: Any) -> None:
    with pytest.raises(InputError) as caught:
        Vicinal(**{side: move})
    laws.assert_one_line(caught.value, f"`{side}`", f"{side}.Keep()")


def test_mixed_labels_need_mixed_images() -> None:
    x, y = batch()
    with pytest.raises(InputError) as caught:
        Vicinal(labels=labels.Mixing())(nets.smooth_net(), x, y)
    laws.assert_one_line(caught.value, "labels.Mixing", "Did you mean inputs=inputs.MixUp")


def test_the_model_may_be_any_module_that_returns_logits() -> None:
    x, y = batch()
    lazy = nn.Sequential(nn.Flatten(), nn.LazyLinear(5, dtype=torch.float64))
    assert torch.isfinite(Vicinal()(lazy, x, y))

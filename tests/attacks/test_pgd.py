"""PGD as an attack: never weaker for more work, honest about its cost."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from counting import Counted, Operations
from linear_models import PIXELS, batch_of, flat, linear_model, margins_of
from oracles.madry_pgd import Net, cross_entropy, iterates
from vicinal._checks import InputError
from vicinal._typing import Norm
from vicinal.attacks import FGSM, PGD
from vicinal.gradients import clean_logits
from vicinal.maths import losses

NORMS: tuple[Norm, ...] = ("linf", "l2")


def _height(model: nn.Module, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    z = clean_logits(model, x)
    return z.argmax(dim=1) != y, losses.cross_entropy(z, y)


def _assert_at_least(
    model: nn.Module, y: Tensor, stronger: Tensor, weaker: Tensor, slack: float = 1e-5
) -> None:
    wrong, high = _height(model, stronger, y)
    also_wrong, low = _height(model, weaker, y)
    assert bool((wrong | ~also_wrong).all())
    same = wrong == also_wrong
    assert bool((high[same] >= low[same] - slack).all())


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("iterate", ["worst", "last"])
def test_restarts_never_hurt(
    trained: nn.Module, digits: tuple[Tensor, Tensor], norm: Norm, iterate: str
) -> None:
    x, y = (part[:150] for part in digits)
    eps = {"linf": 0.1, "l2": 0.5}[norm]
    found = []
    for restarts in (1, 2, 4):
        attack = PGD(
            eps=eps,
            step_size=eps / 4,
            steps=4,
            restarts=restarts,
            norm=norm,
            iterate=iterate,
        )
        found.append(attack(trained, x, y, rng=torch.Generator().manual_seed(0)).adv)
    for stronger, weaker in ((found[1], found[0]), (found[2], found[1])):
        _assert_at_least(trained, y, stronger, weaker)
    assert bool((_height(trained, found[2], y)[1] > _height(trained, found[0], y)[1] + 0.01).any())


def test_restarts_never_lose_a_target_that_was_hit(
    trained: nn.Module, digits: tuple[Tensor, Tensor]
) -> None:
    x, y = (part[:200] for part in digits)
    hits = []
    for restarts in (1, 3, 6):
        attack = PGD(eps=0.2, step_size=0.1, steps=3, restarts=restarts, target="most_confusing")
        result = attack(trained, x, y, rng=torch.Generator().manual_seed(0))
        assert result.target_hit is not None
        hits.append(result.target_hit)
    for fewer, more in pairwise(hits):
        assert bool((more | ~fewer).all())
    assert int(hits[-1].sum()) > 0


@pytest.mark.parametrize("loss", ["ce", "margin"])
def test_the_worst_iterate_is_at_least_as_strong_as_the_last(
    trained: nn.Module, digits: tuple[Tensor, Tensor], loss: str
) -> None:
    x, y = (part[:150] for part in digits)
    found = {}
    for iterate in ("worst", "last"):
        # Steps as long as the ball is wide: many walk out of an error again.
        attack = PGD(eps=0.1, step_size=0.2, steps=6, iterate=iterate, loss=loss)
        found[iterate] = attack(trained, x, y, rng=torch.Generator().manual_seed(0))
    assert bool((found["worst"].success | ~found["last"].success).all())
    if loss == "ce":
        _assert_at_least(trained, y, found["worst"].adv, found["last"].adv)
    assert bool((found["worst"].adv != found["last"].adv).any())


@pytest.mark.parametrize("random_start", [True, False])
def test_the_adversarial_image_is_the_strongest_of_madrys_iterates(random_start: bool) -> None:
    r = np.random.default_rng(0)
    net = Net(
        w=3 * r.normal(size=(9, PIXELS)),
        b=r.normal(size=9),
        v=r.normal(size=(4, 9)),
        c=r.normal(size=4),
    )
    inner, outer = nn.Linear(PIXELS, 9).double(), nn.Linear(9, 4).double()
    for layer, w, b in ((inner, net.w, net.b), (outer, net.v, net.c)):
        layer.weight.data, layer.bias.data = torch.from_numpy(w), torch.from_numpy(b)
    model = nn.Sequential(nn.Flatten(), inner, nn.Tanh(), outer)
    x, y = batch_of(model, 30)
    eps, step_size, steps = 0.08, 0.07, 5
    attack = PGD(eps=eps, step_size=step_size, steps=steps, random_start=random_start)
    result = attack(model, x, y, rng=torch.Generator().manual_seed(3))
    draw = torch.rand(x.shape, generator=torch.Generator().manual_seed(3), dtype=x.dtype)
    start = (x + eps * (2 * draw - 1)).clamp(0, 1) if random_start else x
    for i, own in enumerate(y.tolist()):
        path = iterates(
            net,
            flat(x)[i],
            own,
            start=flat(start)[i],
            eps=eps,
            step_size=step_size,
            steps=steps,
            norm="linf",
        )
        ranked = [
            (int(net.logits(at).argmax() != own), cross_entropy(net.logits(at), own)) for at in path
        ]
        best = max(range(len(path)), key=lambda step: ranked[step])
        np.testing.assert_allclose(flat(result.adv)[i], path[best], atol=1e-12)
        assert bool(result.success[i]) == bool(ranked[best][0])
    assert 0 < int(result.success.sum()) < 30


@pytest.mark.parametrize("iterate", ["worst", "last"])
def test_a_failed_search_returns_its_strongest_iterate_not_the_clean_image(iterate: str) -> None:
    """The loss of this model underflows to 0 near the image; its gradient does not."""
    model, _, _ = linear_model(2)
    model = model.float()
    layer = next(part for part in model.modules() if isinstance(part, nn.Linear))
    with torch.no_grad():
        layer.bias.copy_(torch.tensor([40.0, 0.0]))
    x, _ = batch_of(linear_model(2)[0], 20)
    x, y = x.float(), torch.zeros(20).long()
    assert float(losses.cross_entropy(clean_logits(model, x), y).max()) == 0.0
    attack = PGD(eps=0.1, step_size=0.05, steps=3, random_start=False, iterate=iterate)
    result = attack(model, x, y)
    assert not bool(result.success.any())
    assert bool((margins_of(model, result.adv, y) > margins_of(model, x, y)).all())
    assert torch.allclose(result.norms, torch.tensor(0.1))


@pytest.mark.parametrize("norm", NORMS)
def test_the_result_says_what_the_model_says(
    trained: nn.Module, digits: tuple[Tensor, Tensor], norm: Norm
) -> None:
    x, y = (part[:150] for part in digits)
    eps = {"linf": 0.1, "l2": 0.6}[norm]
    result = PGD(eps=eps, step_size=eps / 4, steps=8, restarts=2, norm=norm)(trained, x, y)
    assert torch.equal(result.success, clean_logits(trained, result.adv).argmax(dim=1) != y)
    delta = (result.adv - x).flatten(1)
    exact = delta.abs().amax(dim=1) if norm == "linf" else (delta**2).sum(dim=1).sqrt()
    assert torch.allclose(result.norms, exact)
    assert float(result.norms.max()) <= eps + 1e-6
    assert float(result.adv.min()) >= 0.0
    assert float(result.adv.max()) <= 1.0
    assert result.target is None
    assert result.target_hit is None
    assert result.seconds > 0


def test_an_image_that_was_wrong_already_counts_as_broken() -> None:
    model, _, _ = linear_model(3)
    x, y = batch_of(model, 20)
    assert bool(PGD(eps=0.0, step_size=0.0, steps=1)(model, x, (y + 1) % 3).success.all())
    assert not bool(PGD(eps=0.0, step_size=0.0, steps=1)(model, x, y).success.any())


@pytest.mark.parametrize(
    ("options", "passes"),
    [
        ({"steps": 5}, (6, 5)),
        ({"steps": 5, "iterate": "last"}, (6, 5)),
        ({"steps": 3, "restarts": 4}, (16, 12)),
        ({"steps": 3, "restarts": 2, "target": "least_likely"}, (9, 6)),
        ({"steps": 1, "random_start": False, "target": "random"}, (3, 1)),
        ({"steps": 2, "target": "given", "norm": "l2"}, (4, 2)),
    ],
)
def test_passes_are_those_that_hooks_count(
    options: dict[str, Any], passes: tuple[int, int]
) -> None:
    model = Counted(linear_model(3)[0])
    x, y = batch_of(model, 7)
    model.forward_images = 0
    if options.get("target") == "given":
        options = {**options, "target": (y + 1) % 3}
    result = PGD(**{"eps": 0.1, "step_size": 0.05, **options})(model, x, y)
    assert result.passes == passes
    assert (model.forward_images, model.backward_images) == (7 * passes[0], 7 * passes[1])


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"norm": "l2"},
        {"loss": "margin", "target": "most_confusing"},
        {"iterate": "last", "restarts": 2},
        {"eps": torch.tensor([0.1, 0.1, 0.1], dtype=torch.float64), "step_size": torch.ones(3) / 9},
        {"eps": math.inf, "random_start": False},
    ],
)
def test_nothing_in_the_loop_waits_for_the_device(options: dict[str, Any]) -> None:
    model = linear_model(3)[0].float()
    x, y = batch_of(linear_model(3)[0], 7)
    q = nn.functional.one_hot(y, 3).float()
    for label in (y, q):
        seen = []
        for steps in (5, 20):
            attack = PGD(**{"eps": 0.1, "step_size": 0.05, "steps": steps, **options})
            with Operations() as operations:
                attack(model, x.float(), label)
            seen.append(operations)
        assert seen[0].counts.total() < seen[1].counts.total()
        assert seen[0].waits > 0  # the door does check values, so the counter works
        assert seen[0].waits == seen[1].waits
        assert seen[0].transfers == seen[1].transfers


def test_the_generator_rules_and_the_global_one_is_left_alone() -> None:
    model, _, _ = linear_model(3)
    x, y = batch_of(model, 20)
    attack = PGD(eps=0.2, step_size=0.01, steps=2, restarts=2, target="random")
    state = torch.get_rng_state()
    first = attack(model, x, y, rng=torch.Generator().manual_seed(0))
    again = attack(model, x, y, rng=torch.Generator().manual_seed(0))
    other = attack(model, x, y, rng=torch.Generator().manual_seed(1))
    assert torch.equal(first.adv, again.adv)
    assert not torch.equal(first.adv, other.adv)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(7)
    ruled = attack(model, x, y).adv
    torch.manual_seed(7)
    assert torch.equal(attack(model, x, y).adv, ruled)


def test_distributions_are_judged_by_their_class() -> None:
    model, _, _ = linear_model(3)
    x, y = batch_of(model, 30)
    q = 0.9 * nn.functional.one_hot(y, 3).double() + 0.1 / 3
    attack = PGD(eps=0.05, step_size=0.02, steps=4, loss="margin", random_start=False)
    hard, soft = attack(model, x, y), attack(model, x, q)
    assert torch.equal(hard.success, soft.success)
    assert torch.equal(hard.adv, soft.adv)


def test_integer_labels_of_any_width_are_classes() -> None:
    model, _, _ = linear_model(3)
    x, y = batch_of(model, 10)
    attack = PGD(eps=0.05, step_size=0.02, steps=4, random_start=False)
    exact = attack(model, x, y).adv
    for dtype in (torch.uint8, torch.int16, torch.int32):
        assert torch.equal(attack(model, x, y.to(dtype)).adv, exact)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"eps": 8.0}, r"`eps` must satisfy .* got 8\..*did you mean 8/255"),
        ({"steps": 0}, "`steps` must be an integer >= 1"),
        ({"restarts": 0}, "`restarts` must be an integer >= 1"),
        ({"restarts": 2, "random_start": False}, "`random_start` must be True for more than one"),
        ({"eps": math.inf}, "`random_start` must be False when eps is infinite"),
        ({"iterate": "best"}, "`iterate` must be worst | last"),
        ({"loss": "kl"}, "`loss`"),
        ({"target": "least"}, "`target`"),
        ({"norm": "Linf"}, "`norm`"),
    ],
)
def test_a_bad_field_is_refused_in_a_sentence(fields: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence) as error:
        PGD(**{"eps": 0.1, "step_size": 0.1, "steps": 2, **fields})
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda x, y: (255 * x, y), r"`x` must hold pixels in \[0, 1\]; .* x / 255"),
        (lambda x, y: (x - 0.5, y), "put the normalisation inside the model"),
        (lambda x, y: (x * torch.nan, y), "NaN or infinite pixels"),
        (lambda x, y: ((255 * x).byte(), y), r"`x` must be floating point .* x.float\(\) / 255"),
        (lambda x, y: (x[0], y), r"images of shape \(N, C, H, W\)"),
        (lambda x, y: (x[:0], y[:0]), "at least one image"),
        (lambda x, y: (x, y[:-1]), "`y`"),
        (lambda x, y: (x, y + 1), r"`y` must hold classes in 0\.\.2"),
        (lambda x, y: (x, y - 1), r"`y` must hold classes in 0\.\.2 .*got -1"),
        (lambda x, y: (x, y.float()), "integer classes"),
        (lambda x, y: (x, torch.eye(4)[y]), "one column for each of the model's 3 classes"),
        (lambda x, y: (x, 2 * torch.eye(3)[y]), "rows on the simplex"),
    ],
)
@pytest.mark.parametrize("target", [None, "random"])
def test_bad_images_and_labels_are_refused_in_a_sentence(
    change: Any, sentence: str, target: str | None
) -> None:
    model, _, _ = linear_model(3)
    x, y = change(*batch_of(model, 30))
    for attack in (
        PGD(eps=0.1, step_size=0.05, steps=2, target=target),
        FGSM(eps=0.1, target=target, loss="margin"),
    ):
        with pytest.raises(InputError, match=sentence) as error:
            attack(model, x, y)
        assert "\n" not in str(error.value)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an accelerator")
def test_an_accelerator_agrees_with_the_cpu() -> None:
    model, _, _ = linear_model(3)
    x, y = batch_of(model, 50)
    attack = PGD(eps=0.05, step_size=0.02, steps=4)
    exact = attack(model, x, y, rng=torch.Generator().manual_seed(0))
    model = model.cuda()
    found = attack(model, x.cuda(), y.cuda(), rng=torch.Generator().manual_seed(0))
    assert torch.allclose(found.adv.cpu(), exact.adv, atol=1e-6)
    assert torch.equal(found.success.cpu(), exact.success)


@pytest.mark.parametrize(
    ("eps", "step_size", "hint"),
    [
        (0.1, 0.0, "Did you mean a quarter of eps, 0.025?"),
        (0.1, 0, "Did you mean a quarter of eps, 0.025?"),
        (torch.tensor([0.0, 0.2, 0.0]), torch.zeros(3), "a quarter of eps, 0.05?"),
        (math.inf, 0.0, "got 0."),
    ],
)
def test_a_step_of_nothing_is_refused_where_there_is_a_ball(
    eps: Any, step_size: Any, hint: str
) -> None:
    with pytest.raises(InputError, match="`step_size` must be above 0") as refused:
        PGD(eps=eps, step_size=step_size, steps=3, random_start=False)
    assert str(refused.value).endswith(hint)
    PGD(eps=0.0, step_size=0.0, steps=3)
    PGD(eps=torch.tensor([0.0, 0.1]), step_size=torch.tensor([0.0, 0.1]), steps=3)

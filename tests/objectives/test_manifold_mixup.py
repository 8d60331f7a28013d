"""Manifold MixUp: the draw replayed layer by layer, its gradient, and the model left alone.

The statistical test draws from fixed seeds; with other seeds it would fail by chance with
probability 1e-6 at most.
"""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import stats
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

import laws
import nets
from oracles import losses
from oracles import manifold as oracle
from vicinal import inputs, models
from vicinal._checks import InputError
from vicinal.objectives import ERM, ManifoldMixUp
from vicinal.objectives.manifold_mixup import _draw_place

PLACES = ("input", "0", "1", "2", "3", "4", "5")
"""What may be named in `net`; a mixture moves through its linear layers as it is."""
DISTINCT = ("input", "2", "4")
Array = NDArray[np.float64]


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def batch(n: int = 6) -> tuple[Tensor, Tensor]:
    return torch.rand(n, 3, 4, 4, dtype=torch.float64), torch.arange(n) % 5


def net() -> nn.Sequential:
    """Deep enough that three mixtures differ: before, between and behind two tanhs."""
    widths, layers = ((48, 8), (8, 8), (8, 5)), []
    for a, b in widths:
        layers += [nn.Linear(a, b, dtype=torch.float64), nn.Tanh()]
    return nn.Sequential(nn.Flatten(), *layers[:-1])


def hooks(model: nn.Module) -> list[int]:
    return [len(module._forward_hooks) for module in model.modules()]


def layers_of(model: nn.Sequential) -> list[oracle.Layer]:
    """The net as the oracle wants it."""
    found: list[oracle.Layer] = []
    for layer in model:
        if isinstance(layer, nn.Linear):
            found.append((layer.weight.detach().numpy(), layer.bias.detach().numpy()))
        else:
            found.append("tanh" if isinstance(layer, nn.Tanh) else "flatten")
    return found


def expected(layers: list[oracle.Layer], x: Tensor, y: Tensor, mix: Any, *, after: int) -> float:
    """lam CE(z, y_a) + (1 - lam) CE(z, y_b) at the oracle's logits, averaged."""
    partner, weight = mix.partner.tolist(), mix.weight.tolist()
    z = oracle.logits(layers, x.numpy(), after=after, partner=partner, weight=weight)
    total, one_hot = 0.0, np.eye(5)
    for i, (j, lam) in enumerate(zip(partner, weight, strict=True)):
        own = losses.cross_entropy(z[[i]], one_hot[[int(y[i])]])[0]
        other = losses.cross_entropy(z[[i]], one_hot[[int(y[j])]])[0]
        total += lam * own + (1 - lam) * other
    return total / len(partner)


@pytest.mark.parametrize("alpha", [0.4, 2.0])
@pytest.mark.parametrize("place", PLACES)
def test_eq1_a_loop_replays_the_draw(place: str, alpha: float) -> None:
    (x, y), model = batch(), net()
    mix = inputs.MixUp(alpha=alpha).draw(x, rng=generator())
    objective = ManifoldMixUp(alpha=alpha, layers=(place,))
    loss = objective(model, x, y, rng=generator()).item()
    after = PLACES.index(place) - 1
    assert loss == pytest.approx(expected(layers_of(model), x, y, mix, after=after), rel=1e-12)


def test_one_weight_serves_the_batch_and_labels_follow_the_partner() -> None:
    x, y = batch()
    mix = inputs.MixUp(alpha=2.0).draw(x, rng=generator())
    assert len(set(mix.weight.tolist())) == 1
    model, objective = net(), ManifoldMixUp(layers=("2",))
    first = objective(model, x, y, rng=generator()).item()
    last = objective(model, x, y.roll(1), rng=generator()).item()
    assert first != last
    soft = torch.eye(5, dtype=torch.float64)[y]
    assert objective(model, x, soft, rng=generator()).item() == pytest.approx(first, rel=1e-12)


def test_one_layer_is_drawn_per_step_each_as_often() -> None:
    """The mixture is drawn before the layer, so each step equals one of the layers alone."""
    (x, y), model, drawn = batch(), net(), []
    for seed in range(400):
        loss = ManifoldMixUp(layers=DISTINCT)(model, x, y, rng=generator(seed)).item()
        alone = [
            ManifoldMixUp(layers=(place,))(model, x, y, rng=generator(seed)).item()
            for place in DISTINCT
        ]
        assert len(set(alone)) == 3
        drawn.append(alone.index(loss))
    counts = np.bincount(drawn, minlength=3)
    assert stats.chisquare(counts).pvalue > 1e-6


def test_the_gradient_flows_through_both_partners() -> None:
    """Derivatives of the first weights equal the difference quotient of the loops."""
    (x, y), model = batch(4), net()
    mix = inputs.MixUp(alpha=2.0).draw(x, rng=generator(1))
    assert 0.1 < float(mix.weight[0]) < 0.9
    assert mix.partner.tolist() != [0, 1, 2, 3]
    loss = ManifoldMixUp(layers=("2",))(model, x, y, rng=generator(1))
    torch.autograd.backward(loss)
    first = model[1]
    assert isinstance(first, nn.Linear)
    assert isinstance(gradient := first.weight.grad, Tensor)
    for unit, pixel in ((0, 0), (3, 17), (7, 47)):
        found = []
        for step in (1e-5, -1e-5):
            shifted = first.weight.detach().clone().numpy()
            shifted[unit, pixel] += step
            layers = layers_of(model)
            layers[1] = (shifted, first.bias.detach().numpy())
            found.append(expected(layers, x, y, mix, after=2))
        slope = (found[0] - found[1]) / 2e-5
        assert float(gradient[unit, pixel]) == pytest.approx(slope, rel=1e-6, abs=1e-10)


def test_the_hidden_states_of_own_and_partner_share_the_gradient_by_the_weight() -> None:
    """Behind the drawn layer everything is linear here: own and partner get lam and 1 - lam."""
    x, hidden = torch.rand(2, 1, 2, 2, dtype=torch.float64), list[Tensor]()
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 3, dtype=torch.float64))

    def keep(layer: nn.Module, args: tuple[Tensor, ...], h: Tensor) -> None:
        del layer, args
        h.retain_grad()
        hidden.append(h)

    model[1].register_forward_hook(keep)
    seed = next(
        s
        for s in range(50)
        if inputs.MixUp(alpha=2.0).draw(x, rng=generator(s)).partner.tolist() == [1, 0]
    )
    lam = float(inputs.MixUp(alpha=2.0).draw(x, rng=generator(seed)).weight[0])
    loss = ManifoldMixUp(layers=("1",))(model, x, torch.tensor([0, 1]), rng=generator(seed))
    torch.autograd.backward(loss)
    own, other = (h.detach() for h in hidden[0])
    targets = torch.eye(3, dtype=torch.float64)[:2]
    at_logits = [
        ((lam * a + (1 - lam) * b).softmax(dim=0) - lam * p - (1 - lam) * r) / 2
        for a, b, p, r in ((own, other, *targets), (other, own, *targets.flip(0)))
    ]
    shares = torch.stack([
        lam * at_logits[0] + (1 - lam) * at_logits[1],
        lam * at_logits[1] + (1 - lam) * at_logits[0],
    ])
    torch.testing.assert_close(hidden[0].grad, shares, rtol=1e-12, atol=1e-14)


NETS: list[tuple[nn.Module, int, str]] = [
    (models.preactresnet18(width=2), 3, "stage1 stage2 stage3 stage4"),
    (models.vgg16(width=2), 3, "stage1 stage2 stage3 stage4 stage5"),
    (models.wide_resnet(10, 1), 3, "stage1 stage2 stage3"),
    (models.resnet50(width=2), 3, "layer1 layer2 layer3 layer4"),
    (models.digits_net(width=2), 1, "stage1 stage2 stage3"),
]


class Elsewhere:
    """A generator of an accelerator: its state can be read, a draw from it fails here."""

    device = torch.device("cuda")

    def __init__(self, offset: int) -> None:
        self.state = torch.tensor([*(7).to_bytes(8, "little"), *offset.to_bytes(8, "little")])

    def get_state(self) -> Tensor:
        return self.state.byte()


def test_on_an_accelerator_the_layer_is_a_function_of_the_generators_state() -> None:
    """The state is a seed and a count of draws; 600 states fill 3 places evenly."""
    found = [[_draw_place(3, Elsewhere(4 * k)) for k in range(600)] for _ in range(2)]  # type: ignore[arg-type]
    assert found[0] == found[1]
    assert stats.chisquare(np.bincount(found[0], minlength=3)).pvalue > 1e-6
    following = [3 * a + b for a, b in itertools.pairwise(found[0])]
    assert stats.chisquare(np.bincount(following, minlength=9)).pvalue > 1e-6


def test_on_the_cpu_the_generator_itself_is_drawn_from() -> None:
    rng, twin, third = generator(), generator(), generator()
    drawn = [_draw_place(5, rng) for _ in range(20)]
    assert drawn == [int(torch.randint(5, (1,), generator=twin)) for _ in range(20)]
    torch.set_rng_state(third.get_state())
    assert [_draw_place(5, None) for _ in range(20)] == drawn


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_step_on_cuda_waits_for_nothing_and_repeats_itself() -> None:
    model = models.preactresnet18(width=4).cuda()
    x, y = torch.rand(8, 3, 32, 32, device="cuda"), torch.arange(8, device="cuda")
    losses, objective = list[Tensor](), ManifoldMixUp()
    objective(model, x, y)
    for _ in range(2):
        rng = torch.Generator("cuda").manual_seed(3)
        torch.cuda.set_sync_debug_mode("error")
        try:
            losses += [objective(model.eval(), x, y, rng=rng) for _ in range(8)]
        finally:
            torch.cuda.set_sync_debug_mode("default")
    told = [round(loss.item(), 5) for loss in losses]
    assert told[:8] == told[8:]
    assert len(set(told[:8])) == 8


@pytest.mark.parametrize(("model", "channels", "stages"), NETS)
def test_our_nets_are_mixed_at_the_input_or_a_stage(
    model: nn.Module, channels: int, stages: str
) -> None:
    model, places = model.double().eval(), ("input", *stages.split())
    x, y = torch.rand(4, channels, 32, 32, dtype=torch.float64), torch.arange(4)
    before, seen = hooks(model), set()
    for seed in range(12):
        rng = generator(seed)
        inputs.MixUp(alpha=2.0).draw(x, rng=rng)
        k = int(torch.randint(len(places), (1,), generator=rng))
        alone = ManifoldMixUp(layers=(places[k],))(model, x, y, rng=generator(seed))
        laws.assert_same_bits(ManifoldMixUp()(model, x, y, rng=generator(seed)), alone)
        seen.add((k, round(alone.item(), 12)))
    assert len({k for k, _ in seen}) >= 3
    assert hooks(model) == before


def test_batchnorm_in_train_mode_sees_one_forward() -> None:
    model = models.digits_net(width=2)
    for layer in ("input", "stage1", "stage3"):
        ManifoldMixUp(layers=(layer,))(model, torch.rand(4, 1, 8, 8), torch.arange(4))
    assert [int(b) for n, b in model.named_buffers() if n.endswith("tracked")] == [3, 3, 3]


class Theirs(nn.Module):
    """A net of the user's own, with a habit of failing."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Flatten(), nn.Linear(48, 8, dtype=torch.float64))
        self.decoder = nn.Linear(8, 5, dtype=torch.float64)
        self.fails = False

    def forward(self, x: Tensor) -> Tensor:
        h = self.encoder(x)
        if self.fails:
            raise RuntimeError("out of memory, say")
        z: Tensor = self.decoder(h)
        return z


def test_a_users_net_is_mixed_where_they_say() -> None:
    (x, y), model = batch(), Theirs()
    mix = inputs.MixUp(alpha=2.0).draw(x, rng=generator())
    loss = ManifoldMixUp(layers=("encoder",))(model, x, y, rng=generator())
    z = model.decoder(mix(model.encoder(x)))
    q = mix(torch.eye(5, dtype=torch.float64)[y])
    torch.testing.assert_close(loss, -(q * z.log_softmax(dim=1)).sum(dim=1).mean())


def test_hooks_are_removed_after_every_step_and_after_an_exception() -> None:
    (x, y), model = batch(), Theirs()
    model.encoder.register_forward_hook(lambda *_: None)
    before = hooks(model)
    assert sum(before) == 1
    objective = ManifoldMixUp(layers=("encoder", "encoder.1"))
    with laws.assert_model_unchanged(model):
        objective(model, x, y)
        assert hooks(model) == before
        model.fails = True
        for _ in range(4):
            with pytest.raises(RuntimeError, match="out of memory"):
                objective(model, x, y)
            assert hooks(model) == before


def test_every_name_is_looked_up_at_the_first_step_not_only_the_drawn_one() -> None:
    (x, y), model = batch(), Theirs()
    objective = ManifoldMixUp(layers=(*["input"] * 99, "decodr"))
    with pytest.raises(InputError) as caught:
        objective(model, x, y)
    laws.assert_one_line(caught.value, "`layers`", "'decodr'", "Did you mean decoder")


def test_a_net_without_stages_needs_names() -> None:
    x, y = batch()
    with pytest.raises(InputError) as caught:
        ManifoldMixUp()(Theirs(), x, y)
    laws.assert_one_line(caught.value, "ManifoldMixUp", "Theirs", "layers=('input', 'encoder')")


def test_at_alpha_0_it_is_erm_at_every_layer() -> None:
    (x, y), model = batch(), net()
    for place in PLACES:
        laws.assert_same_bits(
            ManifoldMixUp(alpha=0.0, layers=(place,))(model, x, y), ERM()(model, x, y)
        )


@pytest.mark.skipif(not distributed.is_available(), reason="torch built without distributed")
def test_a_net_inside_distributeddataparallel_is_looked_through(tmp_path: Path) -> None:
    (x, y), model = batch(), nets.smooth_net()
    alone = ManifoldMixUp(layers=("1",))(model, x, y, rng=generator())
    store = distributed.FileStore(str(tmp_path / "store"), 1)
    distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    try:
        parallel = DistributedDataParallel(model)
        for name in ("1", "module.1"):
            loss = ManifoldMixUp(layers=(name,))(parallel, x, y, rng=generator())
            laws.assert_same_bits(loss, alone)
        torch.autograd.backward(loss)
        assert all(w.grad is not None for w in model.parameters())
    finally:
        distributed.destroy_process_group()


def test_a_batch_of_one_is_refused() -> None:
    with pytest.raises(InputError) as caught:
        ManifoldMixUp(layers=("1",))(nets.smooth_net(), *batch(1))
    laws.assert_one_line(caught.value, "ManifoldMixUp", "at least 2", "got 1", "drop_last=True")


@pytest.mark.parametrize("alpha", [-1.0, math.nan, math.inf])
def test_alpha_is_finite_and_not_negative(alpha: float) -> None:
    with pytest.raises(InputError) as caught:
        ManifoldMixUp(alpha=alpha)
    laws.assert_one_line(caught.value, "`alpha`", "0 <= alpha < inf")


@pytest.mark.parametrize("names", ["layer1", (), ("input", 1)])
def test_names_are_checked_where_they_are_written(names: Any) -> None:
    with pytest.raises(InputError) as caught:
        ManifoldMixUp(layers=names)
    laws.assert_one_line(caught.value, "`layers`", "tuple", repr(names))


def test_a_recipes_list_of_names_is_the_same_objective() -> None:
    listed = ManifoldMixUp(layers=["input", "stage1"])  # type: ignore[arg-type]
    assert listed == ManifoldMixUp(layers=("input", "stage1"))
    assert hash(listed) == hash(ManifoldMixUp(layers=("input", "stage1")))

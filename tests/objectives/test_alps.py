"""ALPS as an objective: eq. 12-18 replayed with loops, and what it must not look at."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import laws
import nets
from oracles import losses
from oracles import mixing as oracle
from oracles.alps_label import Case, worst_value
from vicinal import inputs, objectives
from vicinal._checks import InputError
from vicinal.objectives import ALPS

N = 8


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def batch() -> tuple[Tensor, Tensor]:
    return torch.rand(N, 3, 4, 4, dtype=torch.float64), torch.arange(N) % 5


@pytest.mark.parametrize("soft", [False, True], ids=["hard", "soft"])
@pytest.mark.parametrize("eps", [0.0, 0.2, 0.5, 2.0])
def test_eq18_is_the_worst_loss_at_the_mixtures(eps: float, soft: bool) -> None:
    """J_ALPS of eq. 14 on one draw: the inner maximum of each example by linear programming."""
    x, y = batch()
    model = nets.smooth_net()
    q = torch.rand(N, 5, dtype=torch.float64).softmax(dim=1) if soft else y
    mix = inputs.Interpolate(mode=0.8, concentration=7.0).draw(x, rng=generator())
    moved = oracle.mixed(x.numpy(), mix.partner.tolist(), mix.weight.tolist())
    z = model(torch.tensor(moved)).detach().numpy()
    total = 0.0
    for i in range(N):
        label = q[i].numpy() if soft else np.eye(5)[int(y[i])]
        v = np.array([losses.cross_entropy(z[[i]], np.eye(5)[[k]])[0] for k in range(5)])
        total += worst_value(Case(v, label, eps))
    loss = ALPS(eps=eps, mode=0.8, concentration=7.0)(model, x, q, rng=generator())
    assert loss.item() == pytest.approx(total / N, rel=1e-9)


@pytest.mark.parametrize("eps", [0.0, 0.3])
def test_algorithm1_ignores_the_partners_label(eps: float) -> None:
    """Each example's gradient stays the same to the bit when every other label changes."""
    x, y = batch()
    objective = ALPS(eps=eps, mode=0.8, concentration=7.0)

    class Reporting(nn.Module):
        """Keeps its logits, so that each example's own gradient can be read."""

        def __init__(self) -> None:
            super().__init__()
            self.net, self.z = nets.smooth_net(), torch.empty(0)

        def forward(self, x: Tensor) -> Tensor:
            self.z = self.net(x)
            return self.z

    def gradients(labels: Tensor) -> Tensor:
        model = Reporting()
        loss = objective(model, x, labels, rng=generator())
        return torch.autograd.grad(loss, model.z)[0]

    before = gradients(y)
    partner = inputs.Interpolate().draw(x, rng=generator()).partner
    assert not torch.equal(partner, torch.arange(N))
    for i in range(N):
        others = (y + 1) % 5
        others[i] = y[i]
        laws.assert_same_bits(gradients(others)[i], before[i])
        assert not torch.equal(gradients(others)[(i + 1) % N], before[(i + 1) % N])


def test_the_images_are_mixed_with_a_partner() -> None:
    """The control for the law above: the partner's IMAGE does count."""
    x, y = batch()
    model, objective = nets.smooth_net(), ALPS(eps=0.3, mode=0.8, concentration=7.0)
    other = x.clone()
    other[0] = 1 - other[0]
    one, two = (objective(model, images, y, rng=generator()) for images in (x, other))
    assert not torch.equal(one, two)
    drawn = inputs.Interpolate(mode=0.8, concentration=7.0).draw(x, rng=generator())
    seen: list[Tensor] = []
    model.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    objective(model, x, y, rng=generator())
    assert len(seen) == 1  # one forward serves label and loss
    expected = oracle.mixed(x.numpy(), drawn.partner.tolist(), drawn.weight.tolist())
    np.testing.assert_allclose(seen[0], expected, rtol=0, atol=1e-15)


def test_no_gradient_flows_through_the_choice_of_the_class() -> None:
    """The gradient is that of the loss at a label written down beforehand."""
    x, y = batch()
    objective = ALPS(eps=0.4, mode=1.0, concentration=math.inf)
    for labels in (y, torch.eye(5, dtype=torch.float64)[y]):
        model = nets.smooth_net()
        z = model(x)
        rho = torch.eye(5, dtype=torch.float64)[y] * 0.8
        rho[torch.arange(N), z.argmin(dim=1)] += 0.2
        fixed = -(rho * z.log_softmax(dim=1)).sum(dim=1).mean()
        weights = list(model.parameters())
        ours = torch.autograd.grad(objective(model, x, labels, rng=generator()), weights)
        theirs = torch.autograd.grad(fixed, weights)
        for one, other in zip(ours, theirs, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


def test_the_label_is_that_of_the_training_forward_itself() -> None:
    """With Dropout, label and loss see one and the same thinned net."""

    class Noisy(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net, self.z = nets.smooth_net(), torch.empty(0)

        def forward(self, x: Tensor) -> Tensor:
            self.z = nn.functional.dropout(self.net(x), 0.5, training=self.training)
            return self.z

    (x, y), model = batch(), Noisy()
    loss = ALPS(eps=0.5, mode=1.0, concentration=math.inf)(model, x, y)
    z = model.z.detach()
    own, least = z.gather(1, y[:, None])[:, 0], z.min(dim=1).values
    expected = (z.logsumexp(dim=1) - 0.75 * own - 0.25 * least).mean()
    torch.testing.assert_close(loss.detach(), expected, rtol=1e-12, atol=0)


def test_two_parametrisations_name_one_beta() -> None:
    """Mode (a - 1)/(a + b - 2) and concentration a + b."""
    named = ALPS.from_beta(a=8.0, b=2.0, eps=0.1)
    assert (named.eps, named.concentration) == (0.1, 10.0)
    assert named.mode == pytest.approx(7 / 8, rel=1e-12)
    assert ALPS.from_beta(a=1.0, b=3.0).mode == 0.0
    assert ALPS.from_beta(a=3.0, b=1.0).mode == 1.0


@pytest.mark.parametrize(
    ("a", "b", "phrase"),
    [
        (0.5, 2.0, "1 <= a"),
        (2.0, 0.5, "1 <= b"),
        (1.0, 1.0, "a + b > 2"),
        (math.inf, 2.0, "1 <= a < inf"),
        (2.0, math.nan, "1 <= b < inf"),
    ],
)
def test_a_beta_without_a_mode_is_refused(a: float, b: float, phrase: str) -> None:
    with pytest.raises(InputError) as caught:
        ALPS.from_beta(a=a, b=b)
    laws.assert_one_line(caught.value, phrase)


@pytest.mark.parametrize(
    ("fields", "phrase"),
    [
        ({"eps": -0.1}, "0 <= eps <= 2"),
        ({"eps": 2.5}, "0 <= eps <= 2"),
        ({"mode": 1.5}, "0 <= mode <= 1"),
        ({"concentration": 2.0}, "2 < concentration"),
    ],
)
def test_hyper_parameters_have_bounds(fields: dict[str, float], phrase: str) -> None:
    with pytest.raises(InputError) as caught:
        ALPS(**fields)
    laws.assert_one_line(caught.value, phrase)


def test_a_batch_of_one_is_refused() -> None:
    with pytest.raises(InputError) as caught:
        ALPS()(nets.smooth_net(), torch.rand(1, 3, 4, 4).double(), torch.tensor([0]))
    laws.assert_one_line(caught.value, "ALPS", "at least 2", "got 1", "drop_last=True")


def test_label_move_alone_needs_no_partner() -> None:
    from vicinal import labels

    alone = objectives.Vicinal(labels=labels.LeastLikelyShift(eps=0.2))
    loss = alone(nets.smooth_net(), torch.rand(1, 3, 4, 4).double(), torch.tensor([0]))
    assert torch.isfinite(loss)


def test_every_beta_with_one_flat_side_has_its_mode_at_the_end() -> None:
    """(a - 1)/(a + 1 - 2), rounded step by step, would be above 1 for many a: 7.53 is one."""
    drawn = (1 + 50 * torch.rand(2000, dtype=torch.float64)).tolist()
    for a in (7.53, *drawn):
        assert ALPS.from_beta(a=a, b=1.0).mode == 1.0
        assert ALPS.from_beta(a=1.0, b=a).mode == 0.0

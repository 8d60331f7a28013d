"""Memory runs out: the attack sees the whole batch all the same, and finds what it would have."""

from __future__ import annotations

import logging

import pytest
import torch
from torch import Tensor, nn

from vicinal import attacks
from vicinal._checks import InputError
from vicinal._typing import Attack
from vicinal.evaluation import evaluate
from vicinal.evaluation.pieces import InPieces, Pieces
from vicinal.maths.share import Share


class Small(nn.Module):
    """A model on a device that holds so many images at a time, fewer where a graph is kept."""

    def __init__(self, net: nn.Module, *, holds: int) -> None:
        super().__init__()
        self.net, self.holds, self.seen = net, holds, list[int]()

    def forward(self, x: Tensor) -> Tensor:
        self.seen.append(len(x))
        if len(x) > (self.holds if x.requires_grad else 2 * self.holds):
            raise torch.OutOfMemoryError("out of memory")
        z: Tensor = self.net(x)
        return z


def _net() -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(
            nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Tanh(), nn.Flatten(), nn.Linear(144, 3)
        ).double()


def _data(n: int = 13) -> tuple[Tensor, Tensor]:
    rng = torch.Generator().manual_seed(1)
    return torch.rand(n, 1, 8, 8, generator=rng, dtype=torch.float64), torch.arange(n) % 3


def _attacks(source: nn.Module) -> dict[str, Attack]:
    pgd = attacks.PGD(eps=0.1, step_size=0.03, steps=3, restarts=2)
    return {
        "pgd": pgd,
        "random": attacks.PGD(eps=0.1, step_size=0.03, steps=2, target="random"),
        "transfer": attacks.Transfer(source=source, attack=pgd),
        "rounded": attacks.Rounded(attack=attacks.Transfer(source=source, attack=pgd)),
    }


@pytest.mark.parametrize("holds", [1, 3, 6])
@pytest.mark.parametrize("seeded", [True, False])
def test_the_verdicts_and_the_draws_are_those_of_enough_memory(holds: int, seeded: bool) -> None:
    net, found, after = _net(), [], []
    for model in (net, Small(net, holds=holds)):
        torch.manual_seed(5)
        rng = torch.Generator().manual_seed(7) if seeded else None
        found.append(evaluate(model, _data(), attacks=_attacks(model), rng=rng))
        after.append(torch.get_rng_state() if rng is None else rng.get_state())
    enough, short = found
    for name in enough:
        assert torch.equal(short.verdicts[name].correct, enough.verdicts[name].correct)
        torch.testing.assert_close(short.verdicts[name].norms, enough.verdicts[name].norms)
        assert short.verdicts[name].forward == enough.verdicts[name].forward
    assert torch.equal(after[0], after[1])
    assert enough["pgd"] < enough["clean"] or enough["clean"] == 0


def test_halves_are_tried_until_one_fits_and_then_kept(caplog: pytest.LogCaptureFixture) -> None:
    model = Small(_net(), holds=4)
    fgsm = attacks.FGSM(eps=0.1)
    x, y = _data(16)
    with caplog.at_level(logging.WARNING, logger="vicinal"):
        evaluate(model, [(x, y), (x, y)], attacks={"fgsm": fgsm})
    assert [record.getMessage() for record in caplog.records] == [
        "16 images do not fit in memory: 8 at a time.",
        "8 images do not fit in memory: 4 at a time.",
    ]
    assert [n for n in model.seen if n > 8] == [16]
    last = model.seen[-16:]
    assert max(last) == 4


def test_with_enough_memory_nothing_is_wrapped() -> None:
    class Looking:
        seen: nn.Module | None = None

        def __call__(self, model: nn.Module, x: Tensor, y: Tensor, **more: object) -> object:
            self.seen = model
            return attacks.FGSM(eps=0.1)(model, x, y)

    net, looking = _net(), Looking()
    evaluate(net, _data(), attacks={"looking": looking})  # type: ignore[dict-item]
    assert looking.seen is net


def test_one_image_that_does_not_fit_is_one_sentence() -> None:
    with pytest.raises(InputError, match=r"must hold the model and one image.*smaller model\?$"):
        evaluate(Small(_net(), holds=0), _data(), attacks={"fgsm": attacks.FGSM(eps=0.1)})


def test_other_failures_are_not_hidden() -> None:
    class Broken(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            raise RuntimeError("a wrong shape")

    with pytest.raises(RuntimeError, match="a wrong shape"):
        evaluate(Broken(), _data())


def test_pieces_give_the_gradients_of_the_whole() -> None:
    net, (x, _) = _net().eval(), _data(7)
    leaf = x.clone().requires_grad_(True)
    (wanted,) = torch.autograd.grad(net(leaf).pow(2).sum(), leaf)
    z = InPieces(net, size=3)(leaf)
    (first,) = torch.autograd.grad(z.pow(2).sum(), leaf, retain_graph=True)
    (again,) = torch.autograd.grad(z.pow(2).sum(), leaf)
    torch.testing.assert_close(first, wanted)
    assert torch.equal(first, again)
    assert all(weight.grad is None for weight in net.parameters())


def test_backward_runs_in_the_arithmetic_of_forward() -> None:
    """As a search in bfloat16 does it: its autocast is over when the gradient is taken."""
    net, seen = nn.Linear(4, 3), list[torch.dtype]()
    net.register_forward_hook(lambda _, __, z: seen.append(z.dtype))
    x = torch.rand(5, 4).requires_grad_(True)
    for inside, outside in ((True, False), (False, True)):
        seen.clear()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=inside):
            z = InPieces(net, size=2)(x)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=outside):
            torch.autograd.grad(z.float().sum(), x)
        assert seen == 6 * [torch.bfloat16 if inside else torch.float32]


def test_a_second_try_draws_what_the_first_drew_also_of_a_share() -> None:
    rng = Share(rank=0, world=2)
    rng.manual_seed(3)
    drawn = list[tuple[float, float]]()

    def call(wrap: object) -> None:
        del wrap
        own = float(torch.rand((), generator=rng.alone)), float(torch.rand((), generator=rng))
        drawn.append(own)
        if len(drawn) == 1:
            raise torch.OutOfMemoryError("out of memory")

    Pieces().run(call, n=8, rng=rng)
    assert drawn[0] == drawn[1]

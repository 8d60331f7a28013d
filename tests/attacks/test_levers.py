"""Levers: the search may be as rough as it likes, the model itself says who is fooled."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import laws
import nets
from counting import Counted
from linear_models import batch_of, linear_model
from vicinal._checks import InputError
from vicinal._typing import Norm
from vicinal.attacks import APGD, FAB, PGD, AutoAttack, Square
from vicinal.attacks.folding import folded
from vicinal.attacks.levers import Levers, Lowered, fast_precision
from vicinal.gradients import clean_logits

CPU = torch.device("cpu")
ROUGH: dict[str, Any] = {"precision": "bf16"}


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)


class Liar(nn.Module):
    """In bfloat16 or channels-last it errs on everything, as it is on nothing."""

    def __init__(self, classes: int = 5) -> None:
        super().__init__()
        self.classes, self.weight = classes, nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        rough = torch.is_autocast_enabled(x.device.type) or not x.is_contiguous()
        z = torch.zeros(len(x), self.classes, dtype=x.dtype)
        z[:, 1 if rough else 0] = 1.0
        return z + 0.01 * x.flatten(1)[:, : self.classes]


LYING: dict[str, Any] = {
    "pgd": PGD(eps=0.1, step_size=0.05, steps=6, compact_every=2, **ROUGH),
    "apgd": APGD(eps=0.1, steps=6, **ROUGH),
    "apgd-t": APGD(eps=0.1, steps=6, loss="dlr", targets=3, **ROUGH),
    "fab": FAB(eps=0.1, steps=6, targets=3, compact_every=2, channels_last=True),
    "fab to the end": FAB(eps=0.1, steps=3, targets=2, compact_every=None, channels_last=True),
    "square": Square(eps=0.1, queries=6, compact_every=2, **ROUGH),
    "square twice": Square(eps=0.1, queries=6, restarts=2, compact_every=None, **ROUGH),
}


@pytest.mark.parametrize("attack", LYING.values(), ids=LYING)
def test_who_is_fooled_by_the_search_alone_is_searched_to_the_end(attack: Any) -> None:
    x, y = torch.rand(4, 3, 4, 4), torch.zeros(4).long()
    model = Counted(Liar())
    result = attack(model, x, y, rng=seeded())
    assert not bool(result.success.any())
    forward, backward = result.image_passes
    assert backward == 4 * result.passes.backward, "an image left on the search's word"
    assert forward >= 4 * result.passes.forward
    assert (model.forward_images, model.backward_images) == (forward, backward)


def test_of_autoattack_too() -> None:
    x, y = torch.rand(4, 3, 4, 4), torch.zeros(4).long()
    parts = {name: LYING[name] for name in ("apgd", "apgd-t", "fab", "square")}
    result = AutoAttack(eps=0.1, attacks=parts)(Liar(), x, y, rng=seeded())
    assert result.broken_by == (None,) * 4


LEVERS: list[dict[str, Any]] = [
    ROUGH,
    {"channels_last": True, "folded": True},
    {"precision": "bf16", "channels_last": True, "folded": True},
    {"precision": "auto", "channels_last": True, "folded": True},
]


def _exact(levers: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in levers.items() if name != "precision"}


@pytest.mark.parametrize("levers", LEVERS)
@pytest.mark.parametrize("name", ["fab", "square", "autoattack"])
def test_a_fast_search_finds_what_a_plain_one_finds(
    trained: nn.Module, digits: tuple[Tensor, Tensor], name: str, levers: dict[str, Any]
) -> None:
    x, y = (part[:60] for part in digits)
    eps = 0.12 if name == "square" else 0.08
    searches: list[Any] = [
        {
            "fab": FAB(eps=eps, steps=10, targets=2, **_exact(options)),
            "square": Square(eps=eps, queries=100, **options),
            "autoattack": AutoAttack(
                eps=eps,
                attacks=[
                    APGD(eps=eps, steps=10, **options),
                    FAB(eps=eps, steps=5, targets=2, **_exact(options)),
                    Square(eps=eps, queries=30, **options),
                ],
            ),
        }[name]
        for options in ({}, levers)
    ]
    plain, fast = searches
    model = trained.train()
    with laws.assert_model_unchanged(model):
        one, other = plain(model, x, y, rng=seeded()), fast(model, x, y, rng=seeded())
    assert 0.1 < float(one.success.double().mean()) < 0.9
    assert abs(int(one.success.sum()) - int(other.success.sum())) <= 1
    assert torch.equal(other.success, clean_logits(model, other.adv).argmax(dim=1) != y)
    assert other.adv.dtype == x.dtype
    assert float(other.norms.max()) <= eps + 1e-6


def test_an_image_that_stays_costs_no_pass_more_with_levers() -> None:
    model = linear_model(4)[0].float()
    x, y = batch_of(linear_model(4)[0], 6)
    builds: list[Any] = [FAB, Square, APGD]
    for build in builds:
        costs = []
        for channels_last in (False, True):
            options: dict[str, Any] = {"channels_last": channels_last}
            count: dict[str, Any] = {"queries": 20} if build is Square else {"steps": 5}
            counted = Counted(model)
            result = build(eps=0.0, **count, **options)(counted, x.float(), y)
            assert not bool(result.success.any())
            assert result.image_passes == (counted.forward_images, counted.backward_images)
            costs.append(result.image_passes)
        assert costs[0] == costs[1]


def test_auto_is_decided_by_the_device() -> None:
    assert fast_precision(CPU) in {"fp32", "bf16"}
    levers = Levers(precision="auto", folded=True)
    decided = levers.on(CPU)
    assert decided == Levers(precision=fast_precision(CPU), folded=True)
    assert decided.on(CPU) is decided
    lowered = levers.lower(nets.smooth_net(), CPU)
    assert isinstance(lowered, Lowered)


@pytest.mark.parametrize("fast", [True, False])
def test_auto_follows_the_instructions_of_the_processor(
    monkeypatch: pytest.MonkeyPatch, fast: bool
) -> None:
    for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        monkeypatch.setattr(torch.cpu, name, lambda: fast, raising=False)
    assert fast_precision(CPU) == ("bf16" if fast else "fp32")
    net = nn.Flatten()
    assert (Levers(precision="auto").lower(net, CPU) is net) is (not fast)


def test_autoattacks_searches_are_fast_by_default_and_those_of_random_models_are_not() -> None:
    attack = AutoAttack(eps=0.1)
    assert attack.levers == Levers(precision="auto", channels_last=True, folded=True)
    members: list[Any] = list(attack.members.values())
    exact = Levers(channels_last=True, folded=True)
    assert [part.levers for part in members] == [attack.levers] * 2 + [exact, attack.levers]
    plain: list[Any] = list(
        AutoAttack(eps=0.1, precision="fp32", channels_last=False, folded=False).members.values()
    )
    assert not any(part.levers.used for part in plain)
    drawing: list[Any] = list(AutoAttack(eps=0.1, version="rand").members.values())
    assert not any(part.levers.used for part in drawing)


class Uncopied(nn.Sequential):
    """A model that cannot be copied, as one that holds a lock or a tensor of a graph."""

    def __deepcopy__(self, memo: Any) -> Any:
        raise RuntimeError("only leaves can be copied")


def test_a_model_that_cannot_be_copied_is_searched_unfolded() -> None:
    net = Uncopied(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten()).eval()
    assert folded(net) is net


def test_without_a_radius_nothing_is_judged_on_the_way_so_no_lever_is_pulled() -> None:
    with pytest.raises(InputError, match="need a finite eps") as error:
        FAB(eps=torch.inf, folded=True)
    laws.assert_one_line(error.value)


@pytest.mark.parametrize(
    ("build", "levers"),
    [
        (build, levers)
        for build in (APGD, FAB, Square, AutoAttack)
        for levers in ({"precision": "half"}, {"channels_last": 1}, {"folded": "yes"})
        if build is not FAB or "precision" not in levers
    ],
)
def test_a_bad_lever_is_refused_in_a_sentence(build: Any, levers: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=f"`{next(iter(levers))}`"):
        build(eps=0.1, **levers)


@pytest.mark.parametrize(
    ("norm", "eps", "expected"),
    [
        ("linf", 1 / 255, "fp32"),
        ("linf", 3.99 / 255, "fp32"),
        ("linf", 4 / 255, "auto"),
        ("linf", 8 / 255, "auto"),
        ("l2", 0.5, "fp32"),
    ],
)
def test_auto_searches_a_ball_that_bf16_would_blur_in_fp32(
    norm: Norm, eps: float, expected: str
) -> None:
    ball: dict[str, Any] = {"eps": eps, "norm": norm, "precision": "auto"}
    found: list[APGD | AutoAttack | PGD | Square] = [
        APGD(**ball),
        Square(**ball),
        PGD(**ball, step_size=eps / 4, steps=2),
        AutoAttack(eps=eps, norm=norm),
    ]
    assert [one.levers.precision for one in found] == [expected] * len(found)
    each = APGD(eps=torch.tensor([eps, eps]), precision="auto")
    assert each.levers.precision == "fp32"
    asked = APGD(eps=eps, norm=norm, precision="bf16")
    assert asked.levers.precision == "bf16"


def test_bf16_moves_a_pixel_by_less_than_a_512th() -> None:
    x = torch.linspace(0, 1, 100_001)
    error = (x.bfloat16().float() - x).abs()
    assert error.max() <= 1 / 512
    assert error.max() > 0.99 / 512

"""FGSM and PGD against Foolbox on a trained net: pixel by pixel, and in robust accuracy."""

from __future__ import annotations

import sys
import warnings
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from vicinal._typing import Norm
from vicinal.attacks import FGSM, PGD
from vicinal.attacks.result import Result

POINTS = 0.2 / 100 + 1e-9

EPS: dict[Norm, float] = {"linf": 0.1, "l2": 0.5}


@pytest.fixture(scope="module")
def foolbox() -> Any:
    with warnings.catch_warnings():
        # Foolbox 3.3.4 imports a module of SciPy that moved.
        warnings.simplefilter("ignore", DeprecationWarning)
        return pytest.importorskip("foolbox", reason="foolbox is not installed: no second opinion")


def _theirs(
    foolbox: Any, attack: Any, model: nn.Module, x: Tensor, y: Tensor, eps: float
) -> tuple[Tensor, Tensor]:
    wrapped = foolbox.PyTorchModel(model.eval(), bounds=(0, 1))
    _, adv, success = attack(wrapped, x, y, epsilons=eps)
    return adv, success


def _robust(success: Tensor) -> float:
    return 1 - float(success.double().mean())


def _assert_equal_pixels(ours: Result, theirs: Tensor) -> None:
    """Allow what a gradient of exactly 0 up to rounding may do: the other sign, in few pixels."""
    same = (ours.adv - theirs).abs() <= 1e-6
    assert float(same.double().mean()) >= 0.999


def test_fgsm(foolbox: Any, trained: nn.Module, digits: tuple[Tensor, Tensor]) -> None:
    x, y = digits
    for eps in (0.02, 0.1, 0.3):
        ours = FGSM(eps=eps)(trained, x, y)
        attack = foolbox.attacks.LinfFastGradientAttack()
        adv, success = _theirs(foolbox, attack, trained, x, y, eps)
        assert abs(_robust(ours.success) - _robust(success)) <= POINTS
        _assert_equal_pixels(ours, adv)


@pytest.mark.parametrize("norm", EPS)
@pytest.mark.parametrize("random_start", [True, False])
def test_pgd_from_the_same_start(
    foolbox: Any,
    trained: nn.Module,
    digits: tuple[Tensor, Tensor],
    monkeypatch: pytest.MonkeyPatch,
    norm: Norm,
    random_start: bool,
) -> None:
    # In float64 no rounding is large enough to turn a sign on the way.
    model, x, y = trained.double(), digits[0].double(), digits[1]
    eps = EPS[norm]
    kind = {"linf": foolbox.attacks.LinfPGD, "l2": foolbox.attacks.L2PGD}[norm]
    attack = kind(abs_stepsize=eps / 4, steps=10, random_start=random_start)
    if random_start:
        torch.manual_seed(0)
        start = attack.get_random_start(foolbox.models.base.ep.astensor(x), eps).raw
        monkeypatch.setattr(sys.modules["vicinal.attacks.search"], "sample", lambda *_, **__: start)
    ours = PGD(
        eps=eps,
        step_size=eps / 4,
        steps=10,
        random_start=random_start,
        norm=norm,
        iterate="last",
    )(model, x, y)
    torch.manual_seed(0)
    adv, success = _theirs(foolbox, attack, model, x, y, eps)
    assert abs(_robust(ours.success) - _robust(success)) <= POINTS
    _assert_equal_pixels(ours, adv)
    assert 0.02 < _robust(ours.success) < 0.98


def test_pgd_from_starts_of_its_own(
    foolbox: Any, trained: nn.Module, digits: tuple[Tensor, Tensor]
) -> None:
    """From one seed the starts are the same in linf; in l2 the two libraries draw differently."""
    x, y = digits
    torch.manual_seed(0)
    ours = PGD(eps=0.1, step_size=0.01, steps=40, iterate="last")(trained, x, y)
    torch.manual_seed(0)
    attack = foolbox.attacks.LinfPGD(abs_stepsize=0.01, steps=40, random_start=True)
    _, success = _theirs(foolbox, attack, trained, x, y, 0.1)
    assert abs(_robust(ours.success) - _robust(success)) <= POINTS

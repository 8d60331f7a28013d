"""APGD and AutoAttack against pyautoattack on a trained net: verdicts, image by image."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import laws
from vicinal._typing import Norm
from vicinal.attacks import APGD, AutoAttack, Square

EPS: dict[Norm, float] = {"linf": 0.06, "l2": 0.35}


@pytest.fixture(scope="module")
def pyautoattack() -> Any:
    return pytest.importorskip("pyautoattack", reason="pyautoattack is not installed")


def _theirs(
    peer: Any, names: list[str], model: nn.Module, x: Tensor, y: Tensor, norm: Norm
) -> Tensor:
    attack = peer.AutoAttack(
        model.eval(),
        norm=norm.capitalize(),
        eps=EPS[norm],
        version="custom",
        attacks=names,
        device="cpu",
        seed=0,
    )
    attack.apgd.n_restarts = attack.fab.n_restarts = 1
    attack.square.n_queries = 300
    adv, _ = attack.run_standard_evaluation(x, y, batch_size=len(x))
    with torch.no_grad():
        fooled: Tensor = model(adv).argmax(dim=1) != y
    return fooled


@pytest.mark.parametrize("norm", EPS)
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("apgd-ce", {}),
        ("apgd-dlr", {"loss": "dlr"}),
        ("apgd-t", {"loss": "dlr", "targets": 9}),
    ],
)
def test_apgd_breaks_what_the_authors_code_breaks(
    pyautoattack: Any,
    trained: nn.Module,
    digits: tuple[Tensor, Tensor],
    name: str,
    options: dict[str, Any],
    norm: Norm,
) -> None:
    x, y = (part[:100] for part in digits)
    result = APGD(eps=EPS[norm], norm=norm, **options)(
        trained, x, y, rng=torch.Generator().manual_seed(0)
    )
    theirs = _theirs(pyautoattack, [name], trained, x, y, norm)
    assert 0.1 < float(theirs.double().mean()) < 0.9
    assert int(result.success.sum()) >= int(theirs.sum()) - 1
    assert int((result.success != theirs).sum()) <= 2


def test_an_image_that_stays_passes_the_model_as_often(
    pyautoattack: Any, trained: nn.Module, digits: tuple[Tensor, Tensor]
) -> None:
    """Iterates alike; a clean pass for every target and a last gradient are theirs alone."""
    x, y = (part[:100] for part in digits)
    options: dict[str, Any] = {"eps": 1e-4}
    parts = {"apgd-ce": APGD(**options), "apgd-t": APGD(**options, loss="dlr", targets=9)}
    right = trained(x).argmax(dim=1) == y
    x, y = x[right][:4], y[right][:4]
    for name, searches in (("apgd-ce", 1), ("apgd-t", 9)):
        ours, theirs = laws.Counting(trained).eval(), laws.Counting(trained).eval()
        result = parts[name](ours, x, y)
        assert not bool(result.success.any())
        attack = pyautoattack.AutoAttack(
            theirs, norm="Linf", eps=1e-4, version="custom", attacks=[name], device="cpu", seed=0
        )
        attack.apgd.n_restarts = 1
        part = {"apgd-ce": attack.apgd, "apgd-t": attack.apgd_targeted}[name]
        part.seed = 0
        part.perturb(x, y)
        forward, backward = theirs.passes(4)
        clean_looks = 1 if name == "apgd-ce" else 1 + searches
        assert forward - clean_looks == searches * 101 == result.passes.forward - 2
        assert backward - searches == searches * 100 == result.passes.backward


@pytest.mark.slow
@pytest.mark.parametrize("norm", EPS)
def test_autoattack_leaves_no_more_standing(
    pyautoattack: Any, trained: nn.Module, digits: tuple[Tensor, Tensor], norm: Norm
) -> None:
    x, y = (part[:40] for part in digits)
    members = AutoAttack(eps=EPS[norm], norm=norm).members
    quick = {**members, "square": Square(eps=EPS[norm], norm=norm, queries=300)}
    result = AutoAttack(eps=EPS[norm], norm=norm, attacks=quick)(
        trained, x, y, rng=torch.Generator().manual_seed(0)
    )
    theirs = _theirs(pyautoattack, list(members), trained, x, y, norm)
    assert int(result.success.sum()) >= int(theirs.sum())
    assert int((result.success != theirs).sum()) <= math.ceil(0.03 * len(y))

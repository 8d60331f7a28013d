"""The ledger: a call that was broken off anywhere ends as if it had not been."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from counting import Counted
from nets import CLASSES, smooth_net
from vicinal import attacks
from vicinal._checks import InputError
from vicinal._typing import Attack
from vicinal.evaluation import Ledger, Results, adversarial, evaluate
from vicinal.evaluation.ledger import digest
from vicinal.gradients import clean_logits

ATTACKS: dict[str, Attack] = {
    "pgd": attacks.PGD(eps=0.02, step_size=0.01, steps=2),
    "noise": attacks.UniformNoise(eps=0.05, draws=3),
    "square": attacks.Square(eps=0.05, queries=5),
}


def _net() -> nn.Module:
    return smooth_net(dtype=torch.float32)


def _data() -> list[tuple[Tensor, Tensor]]:
    x = torch.rand(20, 3, 4, 4, generator=torch.Generator().manual_seed(1))
    y = clean_logits(_net(), x).argmax(dim=1)
    y[::7] = (y[::7] + 1) % CLASSES
    return list(zip(x.split(6), y.split(6), strict=True))  # type: ignore[no-untyped-call]


def _run(ledger: Ledger | None, model: nn.Module | None = None, **kwargs: Any) -> Results:
    rng = torch.Generator().manual_seed(5)
    given: dict[str, Any] = {"attacks": ATTACKS, "rng": rng, "ledger": ledger} | kwargs
    return evaluate(model or _net(), _data(), **given)


def _same(one: Results, other: Results) -> None:
    assert list(one) == list(other)
    for name in one:
        for field in fields(one.verdicts[name]):
            if field.name == "seconds":
                continue
            a, b = (getattr(found.verdicts[name], field.name) for found in (one, other))
            assert torch.equal(a, b) if isinstance(a, Tensor) else a == b, (name, field.name)


class _Killed(BaseException):
    """No handler of ours may catch it, as none can catch a power cut."""


@pytest.mark.parametrize("after", [1, 4, 6, 11, 15])
def test_a_call_broken_off_after_any_batch_ends_as_if_it_had_not_been(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    whole = _run(None)
    keep, calls = Ledger.keep, list[int]()

    def kept(self: Ledger, *args: Any, **kwargs: Any) -> None:
        if len(calls) == after:
            raise _Killed
        calls.append(1)
        keep(self, *args, **kwargs)

    ledger = Ledger(folder=tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(Ledger, "keep", kept)
        with pytest.raises(_Killed):
            _run(ledger)
    assert len(list(tmp_path.iterdir())) == after
    model = Counted(_net())
    _same(_run(ledger, model), whole)
    fresh = Counted(_net())
    _run(None, fresh)
    assert model.forward_images < fresh.forward_images


def test_what_is_done_is_not_done_again_and_the_generator_goes_on(tmp_path: Path) -> None:
    ledger, model = Ledger(folder=tmp_path), Counted(_net())
    rngs = [torch.Generator().manual_seed(5) for _ in range(2)]
    first = _run(ledger, rng=rngs[0])
    again = _run(ledger, model, rng=rngs[1])
    assert model.forward_images == model.backward_images == 0
    _same(first, again)
    assert first.verdicts["pgd"].seconds == again.verdicts["pgd"].seconds
    assert torch.equal(rngs[0].get_state(), rngs[1].get_state())


def test_a_file_that_is_cut_short_is_done_again(tmp_path: Path) -> None:
    ledger = Ledger(folder=tmp_path)
    whole = _run(ledger)
    for path in sorted(tmp_path.iterdir())[::3]:
        path.write_bytes(path.read_bytes()[:-9])
    _same(_run(ledger), whole)


def test_an_attack_of_the_same_name_with_another_key_is_another(tmp_path: Path) -> None:
    _run(Ledger(folder=tmp_path, keys={"pgd": "eps 0.02"}))
    model = Counted(_net())
    _run(Ledger(folder=tmp_path, keys={"pgd": "eps 0.04"}), model)
    assert model.forward_images == 20 * 3


def test_processes_keep_their_own(tmp_path: Path) -> None:
    _run(Ledger(folder=tmp_path, part="-0of2"))
    model = Counted(_net())
    _run(Ledger(folder=tmp_path, part="-1of2"), model)
    assert model.forward_images > 0


def test_adversarial_images_are_kept_as_they_were_judged(tmp_path: Path) -> None:
    ledger = Ledger(folder=tmp_path / "ledger", adversarial=tmp_path / "images")
    results = _run(ledger)
    found = adversarial(tmp_path / "images")
    x = torch.cat([x for x, _ in _data()])
    y = torch.cat([y for _, y in _data()])
    assert set(found) == set(ATTACKS)
    for name, kept in found.items():
        assert kept["adv"].dtype == torch.float32
        assert torch.equal(kept["y"], y)
        right = clean_logits(_net(), kept["adv"]).argmax(dim=1) == y
        assert torch.equal(right, results.verdicts[name].correct)
        assert torch.equal(right, kept["correct"])
        norms = (kept["adv"] - x).abs().amax(dim=(1, 2, 3))
        torch.testing.assert_close(norms, results.verdicts[name].norms)
    # "noise" and "square" search another ball than "pgd": two against one.
    both = [clean_logits(_net(), found[name]["adv"]).argmax(dim=1) == y for name in ATTACKS]
    clean = clean_logits(_net(), x).argmax(dim=1) == y
    assert torch.equal(results.worst_case(), clean & both[1] & both[2])


def test_images_that_are_missing_are_made_again(tmp_path: Path) -> None:
    _run(Ledger(folder=tmp_path / "ledger"))
    ledger = Ledger(folder=tmp_path / "ledger", adversarial=tmp_path / "images")
    _run(ledger)
    assert len(adversarial(tmp_path / "images")["pgd"]["adv"]) == 20


def test_where_there_are_no_images_that_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no adversarial images"):
        adversarial(tmp_path)


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="could not make the folder"):
        _run(Ledger(folder=tmp_path / "file" / "ledger"))


def test_a_setting_has_one_name_whatever_the_order() -> None:
    assert digest({"a": 1, "b": [2]}) == digest({"b": [2], "a": 1}) != digest({"a": 1, "b": [3]})


def test_images_of_many_processes_come_in_the_order_of_the_images(tmp_path: Path) -> None:
    """As text, process 10 comes before process 2."""
    world = 12
    x, y = torch.rand(world, 3, 4, 4), torch.arange(world) % CLASSES
    for rank in range(world):
        ledger = Ledger(
            folder=tmp_path / "ledger", adversarial=tmp_path / "images", part=f"-{rank}of{world}"
        )
        few = {"fgsm": attacks.FGSM(eps=1e-6)}
        evaluate(_net(), (x[rank : rank + 1], y[rank : rank + 1]), attacks=few, ledger=ledger)
    found = adversarial(tmp_path / "images")["fgsm"]
    assert torch.equal(found["y"], y)
    torch.testing.assert_close(found["adv"], x, atol=1e-5, rtol=0)


def test_images_of_a_namesake_with_another_key_are_made_again(tmp_path: Path) -> None:
    images = tmp_path / "images"
    for radius in (0.02, 0.2, 0.02):
        pgd = {"pgd": attacks.PGD(eps=radius, step_size=radius / 2, steps=2)}
        ledger = Ledger(folder=tmp_path / "l", adversarial=images, keys={"pgd": str(radius)})
        results = _run(ledger, attacks=pgd)
    x = torch.cat([x for x, _ in _data()])
    norms = (adversarial(images)["pgd"]["adv"] - x).abs().amax(dim=(1, 2, 3))
    torch.testing.assert_close(norms, results.verdicts["pgd"].norms)

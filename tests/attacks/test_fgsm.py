"""FGSM as an attack: the input move with a verdict."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from counting import Counted
from vicinal import inputs
from vicinal._checks import InputError
from vicinal.attacks import FGSM
from vicinal.gradients import clean_logits


@pytest.mark.parametrize("loss", ["ce", "margin"])
@pytest.mark.parametrize("target", [None, "least_likely", "most_confusing"])
def test_it_is_the_input_move_and_what_the_model_says_there(
    trained: nn.Module, digits: tuple[Tensor, Tensor], loss: str, target: str | None
) -> None:
    x, y = digits
    result = FGSM(eps=0.1, loss=loss, target=target)(trained, x, y)
    moved = inputs.FGSM(eps=0.1, loss=loss, target=target)(trained, x, y).x
    assert torch.equal(result.adv, moved)
    predicted = clean_logits(trained, moved).argmax(dim=1)
    assert torch.equal(result.success, predicted != y)
    assert torch.allclose(result.norms, (moved - x).abs().amax(dim=(1, 2, 3)))
    assert (result.target is None) == (target is None)
    if result.target is not None and result.target_hit is not None:
        assert torch.equal(result.target_hit, predicted == result.target)


def test_a_step_breaks_what_chance_does_not(
    trained: nn.Module, digits: tuple[Tensor, Tensor]
) -> None:
    x, y = digits
    noise = 0.1 * torch.randn(x.shape, generator=torch.Generator().manual_seed(0)).sign()
    chance = clean_logits(trained, (x + noise).clamp(0, 1)).argmax(dim=1) != y
    broken = FGSM(eps=0.1)(trained, x, y).success
    assert int(broken.sum()) > 2 * int(chance.sum())


def test_a_budget_may_differ_from_channel_to_channel() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(8, 3))
    x, y = torch.rand(5, 2, 2, 2), torch.tensor([0, 1, 2, 0, 1])
    delta = (FGSM(eps=torch.tensor([0.0, 0.2]))(model, x, y).adv - x).abs().amax(dim=(0, 2, 3))
    assert torch.allclose(delta, torch.tensor([0.0, 0.2]))


@pytest.mark.parametrize(
    ("target", "passes"), [(None, (2, 1)), ("random", (3, 1)), ("least_likely", (3, 1))]
)
def test_passes_are_those_that_hooks_count(target: str | None, passes: tuple[int, int]) -> None:
    model = Counted(nn.Sequential(nn.Flatten(), nn.Linear(8, 3)))
    result = FGSM(eps=0.1, target=target)(model, torch.rand(5, 2, 2, 2), torch.zeros(5).long())
    assert result.passes == passes
    assert (model.forward_images, model.backward_images) == (5 * passes[0], 5 * passes[1])


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"eps": 8}, "did you mean 8/255"),
        ({"eps": float("inf")}, "`eps`"),
        ({"eps": "8/255"}, "`eps` must be a number"),
        ({"loss": "CE"}, "`loss`"),
        ({"target": "leastlikely"}, "Did you mean least_likely"),
    ],
)
def test_a_bad_field_is_refused_in_a_sentence(fields: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        FGSM(**{"eps": 0.1, **fields})

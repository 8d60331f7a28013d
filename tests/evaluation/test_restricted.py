from __future__ import annotations

import pytest
import torch
from torch import nn

from vicinal._checks import InputError
from vicinal.evaluation import evaluate, restricted


def test_an_image_is_judged_among_the_sets_classes() -> None:
    """Its best class of all may lie outside: that is no error."""
    last = nn.Linear(4, 5, bias=False)
    model = nn.Sequential(nn.Flatten(), last)
    with torch.no_grad():
        last.weight.copy_(torch.tensor([[0.0], [3.0], [1.0], [9.0], [2.0]]).expand(5, 4))
    x = torch.rand(6, 1, 2, 2)
    outputs = (4, 1, 2)  # logits 2, 3, 1: the middle one wins
    z = restricted(model, outputs)(x)
    assert torch.equal(z, model(x)[:, [4, 1, 2]])
    assert evaluate(restricted(model, outputs), (x, torch.ones(6).long()))["clean"] == 1.0
    assert evaluate(model, (x, torch.ones(6).long()))["clean"] == 0.0


def test_the_model_stays_as_it_was() -> None:
    model = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(4), nn.Linear(4, 3)).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    evaluate(restricted(model, (0, 2)), (torch.rand(4, 1, 2, 2), torch.tensor([0, 1, 0, 1])))
    assert model.training
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


@pytest.mark.parametrize("outputs", [(), (1,), (1, 1), (-1, 0)])
def test_no_choice_of_outputs_is_one_sentence(outputs: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="at least two different positions"):
        restricted(nn.Flatten(), outputs)


def test_another_models_outputs_are_one_sentence() -> None:
    with pytest.raises(InputError, match="4 outputs; got 7"):
        restricted(nn.Flatten(), (0, 7))(torch.rand(1, 1, 2, 2))

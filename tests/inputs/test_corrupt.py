"""The corruption as a move: the corruption itself, image by image."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from vicinal import corruptions, inputs, labels, objectives
from vicinal._checks import InputError

X, Y = torch.rand(400, 3, 8, 8), torch.arange(400) % 10


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


class Seen:
    """Writes severity and key into every image, and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, Tensor]] = []

    def __call__(self, x: Tensor, *, severity: int, keys: Tensor) -> Tensor:
        self.asked.append((severity, keys))
        marks = severity / 10 + (keys % 97).to(x.dtype) / 9700
        return torch.zeros_like(x) + marks[:, None, None, None]


def test_one_severity_is_the_corruption_itself() -> None:
    move = inputs.Corrupt(corruption=corruptions.gaussian_noise, severities=(3,))
    found = move(nn.Identity(), X, Y, rng=rng()).x
    assert torch.equal(found, corruptions.gaussian_noise(X, severity=3, rng=rng()))


def test_every_image_has_its_own_severity_and_key() -> None:
    seen = Seen()
    found = inputs.Corrupt(corruption=seen, severities=(1, 3, 5))(nn.Identity(), X, Y, rng=rng()).x
    keys = corruptions.draw_keys(400, rng())
    severities = (found[:, 0, 0, 0] * 10).long()
    for k in range(400):
        mark = severities[k] / 10 + (keys[k] % 97) / 9700
        assert float(found[k].min()) == float(found[k].max()) == pytest.approx(float(mark))
    assert [severity for severity, _ in seen.asked] == [1, 3, 5]
    counts = Counter(severities.tolist())
    # Uniform over three: 400 draws leave 133 +- 9.4 each; 5 standard deviations, 1e-6 false alarms.
    assert all(86 <= counts[s] <= 181 for s in (1, 3, 5))


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_a_share_of_the_images_is_left_alone(share: float) -> None:
    move = inputs.Corrupt(corruption=Seen(), severities=(2, 4), share=share)
    found = move(nn.Identity(), X, Y, rng=rng()).x
    kept = sum(torch.equal(found[k], X[k]) for k in range(400))
    assert abs(kept - 400 * (1 - share)) <= 5 * (400 * share * (1 - share)) ** 0.5


def test_with_any_label_move_it_is_one_line() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(192, 10))
    noisy = inputs.Corrupt(corruption=corruptions.gaussian_noise)
    objective = objectives.Vicinal(inputs=noisy, labels=labels.LeastLikelyShift(eps=0.2))
    loss = objective(model, X, Y, rng=rng())
    torch.autograd.backward(loss)
    assert torch.isfinite(loss)
    assert objective.passes == (1, 1)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"corruption": "fog"}, "must be a corruption"),
        ({"corruption": corruptions.GaussianNoise}, "must be a corruption"),
        ({"severities": ()}, "severities, or one"),
        ({"severities": 3}, "severities, or one"),
        ({"severities": (0,)}, "integer >= 1"),
        ({"share": 1.5}, "share <= 1"),
    ],
)
def test_mistakes_are_one_sentence(wrong: dict[str, Any], sentence: str) -> None:
    given: dict[str, Any] = {"corruption": corruptions.gaussian_noise, **wrong}
    with pytest.raises(InputError, match=sentence):
        inputs.Corrupt(**given)

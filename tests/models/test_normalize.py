"""Normalisation is a layer: affine per channel, saved with the weights, never in the way."""

from __future__ import annotations

import copy
import io
from collections.abc import Sequence

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from vicinal._checks import InputError
from vicinal.models.normalize import Normalize, normalized

MEAN = (0.49, 0.48, 0.45)
STD = (0.25, 0.24, 0.26)


def small_net() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 4 * 4, 5)
    )


def images(n: int = 2, *, dtype: torch.dtype = torch.float32) -> Tensor:
    rng = torch.Generator().manual_seed(0)
    return torch.rand(n, 3, 6, 6, generator=rng).to(dtype)


@settings(max_examples=30, deadline=None)
@given(
    mean=st.lists(st.floats(0, 1), min_size=3, max_size=3),
    std=st.lists(st.floats(0.01, 2), min_size=3, max_size=3),
)
def test_each_channel_is_shifted_and_scaled_by_its_own_numbers(
    mean: list[float], std: list[float]
) -> None:
    x = images(dtype=torch.float64)
    out = Normalize(mean, std).double()(x)
    for c in range(3):
        expected = (x[:, c] - mean[c]) / std[c]
        torch.testing.assert_close(out[:, c], expected, rtol=1e-5, atol=1e-5)


def test_one_number_serves_all_channels() -> None:
    x = images()
    one = Normalize((0.4,), (0.3,))
    each = Normalize((0.4,) * 3, (0.3,) * 3)
    assert torch.equal(one(x), each(x))
    assert torch.equal(Normalize((0.4,), (0.3,) * 3)(x), each(x))


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (Normalize((0.5,), (0.25,)), (1, 1, 1)),
        (Normalize(MEAN, STD), (3, 1, 1)),
        (Normalize((0.5,), STD), (3, 1, 1)),
        (Normalize((0.5,), (0.25,), channels=3), (3, 1, 1)),
    ],
    ids=["open", "told", "told by one", "told by channels"],
)
def test_the_numbers_are_buffers_one_per_channel(layer: Normalize, shape: tuple[int, ...]) -> None:
    state = layer.state_dict()
    assert sorted(state) == ["mean", "std"]
    assert tuple(state["mean"].shape) == tuple(state["std"].shape) == shape
    assert list(layer.parameters()) == []


def test_state_dict_carries_the_numbers_over() -> None:
    target = Normalize((0.5,), (0.25,), channels=3)
    target.load_state_dict(Normalize(MEAN, STD).state_dict())
    assert torch.equal(target(images()), Normalize(MEAN, STD)(images()))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_the_dtype_of_the_images_stays(dtype: torch.dtype) -> None:
    assert Normalize(MEAN, STD)(images(dtype=dtype)).dtype == dtype


def test_under_autocast_full_precision_images_are_normalised_in_full_precision() -> None:
    layer, x = Normalize(MEAN, STD), images()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = layer(x)
    assert torch.equal(out, layer(x))


def test_channels_last_stays() -> None:
    x = images(4).to(memory_format=torch.channels_last)
    assert Normalize(MEAN, STD)(x).is_contiguous(memory_format=torch.channels_last)


def test_gradient_is_one_over_std() -> None:
    x = images().requires_grad_()
    Normalize(MEAN, STD)(x).sum().backward()
    assert x.grad is not None
    expected = (1 / torch.tensor(STD)).view(1, 3, 1, 1).expand_as(x)
    torch.testing.assert_close(x.grad, expected)


def test_images_are_not_modified() -> None:
    x = images()
    before = x.clone()
    Normalize(MEAN, STD)(x)
    assert torch.equal(x, before)


def test_printed_model_shows_the_numbers() -> None:
    assert repr(Normalize((0.5,), (0.25,))) == "Normalize(mean=(0.5), std=(0.25))"
    assert repr(Normalize((0.5,), (0.25,)).to("meta")) == "Normalize()"


def test_normalized_is_the_net_of_the_normalised_images() -> None:
    torch.manual_seed(0)
    net = small_net().eval()
    x = images()
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (MEAN, STD))
    assert torch.equal(normalized(net, MEAN, STD)(x), net((x - mean) / std))


def test_normalized_holds_the_net_and_its_statistics() -> None:
    net = small_net()
    model = normalized(net, MEAN, STD)
    assert model.get_submodule("net") is net
    state = model.state_dict()
    torch.testing.assert_close(state["normalize.mean"].flatten(), torch.tensor(MEAN))
    torch.testing.assert_close(state["normalize.std"].flatten(), torch.tensor(STD))
    assert {k for k in state if k.startswith("net.")} == {f"net.{k}" for k in net.state_dict()}


@pytest.mark.parametrize("mode", [True, False])
def test_normalized_leaves_every_mode_as_it_was(mode: bool) -> None:
    net = small_net().train(mode)
    net[1].train(not mode)
    before = [part.training for part in net.modules()]
    model = normalized(net, MEAN, STD)
    assert model.training is mode
    assert [part.training for part in net.modules()] == before


def test_normalized_lies_on_the_device_of_the_net() -> None:
    model = normalized(small_net().to("meta"), MEAN, STD)
    assert {tensor.device.type for tensor in model.state_dict().values()} == {"meta"}


def test_normalized_takes_a_net_without_weights() -> None:
    assert normalized(nn.Flatten(), (0.5,), (0.25,))(images()).shape == (2, 108)


def test_normalized_can_be_saved_whole_and_copied() -> None:
    torch.manual_seed(0)
    model = normalized(small_net(), MEAN, STD).eval()
    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    x = images()
    assert torch.equal(torch.load(file, weights_only=False)(x), model(x))
    assert torch.equal(copy.deepcopy(model)(x), model(x))


def test_the_layer_survives_symbolic_tracing_and_export() -> None:
    layer, x = Normalize(MEAN, STD), images()
    assert torch.equal(torch.fx.symbolic_trace(layer)(x), layer(x))
    assert torch.equal(torch.export.export(layer, (x,)).module()(x), layer(x))


@pytest.mark.filterwarnings("ignore:.*torch.jit.trace.*:DeprecationWarning")
def test_the_layer_survives_jit_tracing_without_a_warning() -> None:
    layer, x = Normalize(MEAN, STD), images()
    assert torch.equal(torch.jit.trace(layer, x)(x), layer(x))  # type: ignore[no-untyped-call]


@pytest.mark.parametrize(
    ("mean", "std", "channels", "sentence"),
    [
        (
            MEAN,
            (0.25, 0.0, 0.25),
            None,
            r"`std` must satisfy 0 < std.*; got 0\. A constant channel",
        ),
        (MEAN, (0.25, -1.0, 0.25), None, r"`std` must satisfy 0 < std.*; got -1\."),
        (MEAN, (float("nan"),), None, r"`std` must satisfy 0 < std.*; got nan\."),
        (MEAN, (float("inf"),), None, r"`std` must satisfy 0 < std.*; got inf\."),
        ((123.7,), STD, None, r"`mean` must satisfy 0 <= mean <= 1; got 123\.7\..*by 255\."),
        ((float("nan"),), STD, None, r"`mean` must satisfy 0 <= mean <= 1; got nan\."),
        (0.5, STD, None, r"`mean` must be a sequence of numbers.*Did you mean \(0\.5,\)\?"),
        (MEAN, torch.tensor(STD), None, r"`std` must be a sequence.*Did you mean std\.tolist\(\)"),
        ((), STD, None, r"`mean` must be a sequence of numbers, one per channel or one for all"),
        ("abc", STD, None, r"`mean` must be a sequence of numbers"),
        (("a",), STD, None, r"`mean` must be a number; got 'a'"),
        (MEAN, (0.2, 0.3), None, r"one number per channel.*got 3 in mean and 2 in std\."),
        (MEAN, STD, 1, r"one number per channel.*3 in mean and 3 in std and 1 channels\."),
        (MEAN, STD, 0, r"`channels` must be an integer >= 1; got 0\."),
    ],
)
def test_bad_statistics_are_refused_in_one_sentence(
    mean: Sequence[float], std: Sequence[float], channels: int | None, sentence: str
) -> None:
    with pytest.raises(InputError, match=sentence):
        Normalize(mean, std, channels=channels)


@pytest.mark.parametrize(
    ("x", "sentence"),
    [
        (torch.rand(2, 1, 6, 6), r"`x` must be images \(N, 3, H, W\); got shape \(2, 1, 6, 6\)\."),
        (torch.rand(3, 6, 6), r"`x` must be images \(N, 3, H, W\); got shape \(3, 6, 6\)\."),
        (torch.zeros(2, 3, 6, 6, dtype=torch.uint8), r"floating point.*x\.float\(\) / 255\?"),
    ],
    ids=["one channel", "no batch", "bytes"],
)
def test_what_is_no_batch_of_images_is_refused(x: Tensor, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        Normalize(MEAN, STD)(x)


def test_normalized_refuses_what_is_no_module() -> None:
    with pytest.raises(InputError, match=r"`net` must be a torch\.nn\.Module; got function\."):
        normalized(images, MEAN, STD)  # type: ignore[arg-type]

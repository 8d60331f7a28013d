"""Laws that every corruption of the room keeps, whatever it does to a picture."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

import laws
import pictures
from vicinal import corruptions
from vicinal._checks import InputError
from vicinal._typing import Corruption as Contract
from vicinal.corruptions import CORRUPTIONS, PRESETS, SETS, Corruption, preset_of
from vicinal.corruptions.corruption import truncated
from vicinal.corruptions.shifts import Offset

every_corruption = pytest.mark.parametrize(
    "corruption", list(CORRUPTIONS.values()), ids=list(CORRUPTIONS)
)
KEYS = torch.tensor([3, 2**40 + 5, 7])


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@every_corruption
@pytest.mark.parametrize(
    ("size", "preset"), [((32, 32), 32), ((64, 64), 64), ((48, 48), 224), ((21, 34), None)]
)
def test_range_shape_and_dtype_are_kept_and_the_input_is_not_touched(
    corruption: Corruption[Any, Any], size: tuple[int, int], preset: int | None
) -> None:
    x = pictures.batch(3, size=size)
    before = x.clone()
    for severity in (1, 5):
        bad = corruption(x, severity=severity, keys=KEYS, preset=preset, quantize=True)
        assert bad.shape == x.shape
        assert bad.dtype == x.dtype
        laws.assert_in_unit_range(bad)
        pictures.levels(bad)  # whole grey levels
        assert not torch.equal(bad, x)
    laws.assert_same_bits(x, before)


@every_corruption
@pytest.mark.parametrize("severity", [2, 4])
@pytest.mark.parametrize("size", [(32, 32), (19, 23), (96, 96)])
def test_a_batch_is_its_images_one_by_one(
    corruption: Corruption[Any, Any], severity: int, size: tuple[int, int]
) -> None:
    x = pictures.batch(5, size=size)
    whole = corruption(x, severity=severity, rng=rng())
    generator = rng()
    single = [corruption(image[None], severity=severity, rng=generator) for image in x]
    laws.assert_same_bits(whole, torch.cat(single))


@every_corruption
def test_the_order_of_a_batch_is_of_no_account(corruption: Corruption[Any, Any]) -> None:
    x = pictures.batch(3)
    bad = corruption(x, severity=3, keys=KEYS)
    laws.assert_same_bits(bad.flip(0), corruption(x.flip(0), severity=3, keys=KEYS.flip(0)))


@every_corruption
def test_same_generator_same_bits_and_the_global_one_is_left_alone(
    corruption: Corruption[Any, Any],
) -> None:
    x = pictures.batch(3)
    state = torch.get_rng_state()
    first, second = (corruption(x, severity=3, rng=rng(5)) for _ in range(2))
    corruption(x, severity=3, keys=KEYS)
    assert torch.equal(state, torch.get_rng_state())
    laws.assert_same_bits(first, second)
    torch.manual_seed(1)
    third = corruption(x, severity=3)
    assert not torch.equal(torch.manual_seed(1).get_state(), torch.Generator().get_state())
    laws.assert_same_bits(third, corruption(x, severity=3))


@every_corruption
def test_a_draw_is_a_value_that_can_be_replayed(corruption: Corruption[Any, Any]) -> None:
    x = pictures.batch(3)
    draw = corruption.sample(KEYS, x.shape, severity=3)
    laws.assert_same_bits(corruption(x, severity=3, keys=KEYS), corruption.apply(x, draw))
    laws.assert_same_bits(corruption.apply(x, draw), corruption.apply(x, draw))


@every_corruption
def test_precision_of_the_images_changes_next_to_nothing(corruption: Corruption[Any, Any]) -> None:
    x = pictures.batch(3)
    single = pictures.levels(corruption(x, severity=3, keys=KEYS, quantize=True))
    exact = (x * 255).round().double() / 255
    double = corruption(exact, severity=3, keys=KEYS, quantize=True)
    assert double.dtype == torch.float64
    off = abs(single - pictures.levels(double))
    assert (off > 1).mean() < 1e-3
    assert (off > 0).mean() < 0.12
    half = corruption(x.bfloat16(), severity=3, keys=KEYS)
    assert half.dtype == torch.bfloat16
    laws.assert_in_unit_range(half)


@every_corruption
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_no_grey_level_is_lost_in_16_bits(
    corruption: Corruption[Any, Any], dtype: torch.dtype
) -> None:
    """Their steps are up to half a level: truncated as they are, 200 would become 199."""
    levels = torch.arange(256).view(1, 1, 16, 16).expand(3, 3, -1, -1) / 255
    for x in (levels, pictures.batch(3)):
        for quantize in (True, False):
            bad = corruption(x, severity=3, keys=KEYS, quantize=quantize)
            half = corruption(x.to(dtype), severity=3, keys=KEYS, quantize=quantize)
            laws.assert_same_bits(half, bad.to(dtype))


def test_between_the_levels_16_bits_stay_what_they_are() -> None:
    x = (torch.rand(2, 3, 8, 8, generator=rng()) * 2).half() / 2
    same = corruptions.translation.apply(x, Offset(pixels=torch.zeros(2, 2, dtype=torch.int64)))
    assert float((same - x).abs().max()) <= 2**-11
    leaf = x.clone().requires_grad_()
    (slope,) = torch.autograd.grad(
        corruptions.contrast(leaf, severity=1, quantize=False).float().sum(), leaf
    )
    assert torch.allclose(slope.float(), torch.ones(()), atol=1e-2)


@every_corruption
def test_without_quantisation_the_result_lies_within_a_level(
    corruption: Corruption[Any, Any],
) -> None:
    x = pictures.batch(3)
    fine = corruption(x, severity=3, keys=KEYS, quantize=False)
    laws.assert_in_unit_range(fine)
    below = 255 * (fine - corruption(x, severity=3, keys=KEYS, quantize=True))
    assert float(below.min()) >= -0.01
    assert float(below.max()) <= 1.01


@every_corruption
def test_grey_images_pass_or_a_sentence_says_what_is_wanted(
    corruption: Corruption[Any, Any],
) -> None:
    for channels in (1, 2, 4):
        x = pictures.batch(2, channels=channels)
        if corruption.channels is None or channels in corruption.channels:
            assert corruption(x, severity=1, rng=rng()).shape == x.shape
        else:
            with pytest.raises(InputError) as caught:
                corruption(x, severity=1, rng=rng())
            laws.assert_one_line(caught.value, corruption.name, "channels", str(channels))


@every_corruption
def test_severities_are_one_to_five(corruption: Corruption[Any, Any]) -> None:
    x = pictures.batch(1)
    for severity in (0, 6, 2.5, True):
        with pytest.raises(InputError) as caught:
            corruption(x, severity=severity)  # type: ignore[arg-type]
        laws.assert_one_line(caught.value, "`severity`", "1, 2, 3, 4 or 5")


@every_corruption
def test_no_image_is_changed_into_numbers_that_are_none(corruption: Corruption[Any, Any]) -> None:
    for value in (0.0, 1.0):
        x = torch.full((1, 3, 32, 32), value)
        for severity in corruptions.SEVERITIES:
            laws.assert_in_unit_range(corruption(x, severity=severity, keys=KEYS[:1]))


@every_corruption
def test_it_is_the_contract_by_its_name(corruption: Corruption[Any, Any]) -> None:
    assert isinstance(corruption, Contract)
    assert getattr(corruptions, corruption.name) is corruption
    assert corruption.name in corruptions.__all__
    assert type(corruption).__doc__ != Corruption.__doc__
    assert "Cost:" in (type(corruption).__doc__ or "")


def test_keys_and_images_are_checked_at_the_door() -> None:
    x = pictures.batch(2)
    noise = corruptions.gaussian_noise
    for keys in (torch.tensor([1]), torch.tensor([1.0, 2.0]), torch.tensor([[1, 2]])):
        with pytest.raises(InputError) as caught:
            noise(x, severity=1, keys=keys)
        laws.assert_one_line(caught.value, "`keys`", "(2,)")
    with pytest.raises(InputError, match=r"pixels in \[0, 1\]"):
        noise(x * 255, severity=1)
    with pytest.raises(InputError, match="`preset` must be 32, 64 or 224"):
        noise(x, severity=1, preset=96)
    with pytest.raises(InputError, match="`draw` must be what `sample` returned"):
        noise.apply(x, 0.1)  # type: ignore[arg-type]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("name", ["gaussian_noise", "pixelate", "jpeg_compression"])
def test_a_large_batch_is_cut_and_put_together_again(name: str, dtype: torch.dtype) -> None:
    """More than a chunk, and in float32 more than memory that comes in huge pages begins at."""
    x = pictures.batch(15, size=(160, 160)).to(dtype)
    assert x.numel() > 1 << 20
    keys = torch.arange(15)
    draw = CORRUPTIONS[name].sample(keys, x.shape, severity=2)
    for quantize in (True, False):
        whole = CORRUPTIONS[name](x, severity=2, keys=keys, quantize=quantize)
        assert whole.is_contiguous()
        laws.assert_same_bits(whole, CORRUPTIONS[name].apply(x, draw, quantize=quantize))


@pytest.mark.parametrize(
    ("size", "preset"),
    [((8, 8), 32), ((45, 300), 32), ((46, 46), 64), ((119, 119), 64), ((120, 500), 224)],
)
def test_constants_are_those_of_the_nearest_size(size: tuple[int, int], preset: int) -> None:
    assert preset_of(*size) == preset
    x = pictures.batch(1, size=size)
    same, forced = (
        corruptions.gaussian_noise(x, severity=3, keys=KEYS[:1], preset=known)
        for known in (None, preset)
    )
    laws.assert_same_bits(same, forced)


def test_truncation_keeps_levels_and_never_rounds() -> None:
    levels = torch.arange(256) / 255
    for dtype in (torch.float32, torch.float64):
        laws.assert_same_bits(truncated(levels.to(dtype)), levels.to(dtype).mul(255).round() / 255)
    up = (torch.arange(255) + 0.999) / 255
    assert torch.equal(truncated(up.clone()), levels[:-1])
    assert truncated(torch.tensor([-3.0, 7.0])).tolist() == [0.0, 1.0]


def test_sets_name_what_there_is() -> None:
    assert [len(SETS[name]) for name in ("common", "all", "extra")] == [15, 19, 4]
    assert SETS["all"][:15] == SETS["common"]
    assert set(CORRUPTIONS) <= {*SETS["all"], *SETS["extra"]}
    assert all(CORRUPTIONS[name].name == name for name in CORRUPTIONS)
    assert PRESETS == (32, 64, 224)


def test_gradients_pass_where_nothing_is_truncated() -> None:
    x = pictures.batch(2).mul(0.5).add(0.2).requires_grad_()
    bad: Tensor = corruptions.defocus_blur(x, severity=3, quantize=False)
    (slope,) = torch.autograd.grad(bad.sum(), x)
    assert torch.allclose(slope.mean(), torch.ones(()), atol=1e-3)
    assert not corruptions.defocus_blur(x, severity=3).requires_grad


@every_corruption
@pytest.mark.parametrize("severity", [2, 5])
def test_leaves_that_want_a_gradient_are_corrupted_alike(
    corruption: Corruption[Any, Any], severity: int
) -> None:
    x = pictures.batch(3)
    leaf = x.clone().requires_grad_()
    fine = corruption(leaf, severity=severity, keys=KEYS, quantize=False)
    laws.assert_same_bits(
        fine.detach(), corruption(x, severity=severity, keys=KEYS, quantize=False)
    )
    if fine.requires_grad:
        (slope,) = torch.autograd.grad(fine.sum(), leaf)
        assert bool(torch.isfinite(slope).all())
    assert not corruption(leaf, severity=severity, keys=KEYS, quantize=True).requires_grad


def test_a_gradient_follows_the_ray_of_a_motion_blur() -> None:
    x = torch.rand(1, 1, 4, 12, dtype=torch.float64, requires_grad=True)
    draw = corruptions.motion_blur.sample(KEYS[:1], x.shape, severity=3)

    def blurred(image: Tensor) -> Tensor:
        return corruptions.motion_blur.apply(image, draw, quantize=False)

    assert torch.autograd.gradcheck(blurred, x)


@every_corruption
def test_autocast_changes_nothing(corruption: Corruption[Any, Any]) -> None:
    """A move of a bf16 training step runs inside its autocast."""
    x = pictures.batch(3)
    for quantize in (True, False):
        bad = corruption(x, severity=3, keys=KEYS, quantize=quantize)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            laws.assert_same_bits(corruption(x, severity=3, keys=KEYS, quantize=quantize), bad)


@every_corruption
def test_the_layout_in_memory_is_of_no_account(corruption: Corruption[Any, Any]) -> None:
    x = pictures.batch(3, size=(40, 56))
    bad = corruption(x, severity=5, keys=KEYS, quantize=False)
    turned = x.mT.contiguous().mT
    every_other = torch.stack((x, x), dim=-1).flatten(3)[..., ::2]
    for same in (x.contiguous(memory_format=torch.channels_last), turned, every_other):
        assert not same.is_contiguous()
        laws.assert_same_bits(corruption(same, severity=5, keys=KEYS, quantize=False), bad)


@every_corruption
def test_a_draw_of_other_images_is_one_sentence(corruption: Corruption[Any, Any]) -> None:
    x = pictures.batch(3)
    for n in (1, 2):
        draw = corruption.sample(KEYS[:n], x.shape, severity=3)
        if any(isinstance(value, Tensor) for value in vars(draw).values()):
            with pytest.raises(InputError) as caught:
                corruption.apply(x, draw)
            laws.assert_one_line(caught.value, "`draw`", "as many images as `x`, 3", str(n))


def test_lists_of_severities_presets_and_keys_are_one_sentence() -> None:
    x = pictures.batch(2)
    noise = corruptions.gaussian_noise
    several: Any
    for several in (torch.tensor([1, 2]), torch.tensor([1, 2]).numpy(), [1, 2]):
        with pytest.raises(InputError) as caught:
            noise(x, severity=several)
        laws.assert_one_line(caught.value, "`severity`", "1, 2, 3, 4 or 5")
        with pytest.raises(InputError, match="`preset` must be 32, 64 or 224"):
            noise(x, severity=1, preset=several)
    one: Any = torch.tensor(2)
    preset: Any = torch.tensor(64)
    laws.assert_same_bits(
        noise(x, severity=one, keys=KEYS[:2], preset=preset),
        noise(x, severity=2, keys=KEYS[:2], preset=64),
    )
    keys: Any = [1, 2]
    with pytest.raises(InputError, match=r"`keys` must be one integer .* got \[1, 2\]"):
        noise.sample(keys, x.shape, severity=1)


def test_images_are_checked_before_a_draw_is_applied() -> None:
    x = pictures.batch(2)
    draw = corruptions.gaussian_noise.sample(KEYS[:2], x.shape, severity=1)
    for wrong, sentence in ((x.mul(255).byte(), "floating point"), (x[0], r"\(N, C, H, W\)")):
        with pytest.raises(InputError, match=sentence):
            corruptions.gaussian_noise.apply(wrong, draw)

"""Contrast by its formula, pixelate and JPEG by Pillow itself: the same levels."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

import pictures
from oracles import corruption_digital as oracle
from vicinal import corruptions
from vicinal.corruptions.digital import Strength, box_resized

CASES = [(severity, preset) for preset in corruptions.PRESETS for severity in (1, 3, 5)]


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize(("severity", "preset"), CASES)
def test_contrast_equals_its_formula(severity: int, preset: int, channels: int) -> None:
    x = pictures.batch(2, size=(31, 40), channels=channels)
    got = pictures.levels(corruptions.contrast(x, severity=severity, preset=preset))
    share = corruptions.contrast.constant(severity, x.shape, preset)
    for image, row in zip(x, got, strict=True):
        off = np.abs(row - oracle.contrast(pictures.array(image), share).astype(int))
        assert off.max() <= 1
        assert (off > 0).mean() < 0.01


def test_contrast_shrinks_the_deviation_and_keeps_the_means() -> None:
    x = pictures.batch(3)
    bad = corruptions.contrast(x, severity=3, preset=224, quantize=False)
    assert torch.allclose(bad.mean(dim=(2, 3)), x.mean(dim=(2, 3)), atol=1e-5)
    assert torch.allclose(bad.std(dim=(2, 3)), 0.2 * x.std(dim=(2, 3)), atol=1e-5)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("severity", "preset"), CASES)
@pytest.mark.parametrize("size", [(32, 32), (45, 64), (70, 37)])
def test_pixelate_equals_pillow(
    size: tuple[int, int], severity: int, preset: int, channels: int
) -> None:
    x = pictures.batch(2, size=size, channels=channels)
    got = pictures.levels(corruptions.pixelate(x, severity=severity, preset=preset))
    share = corruptions.pixelate.constant(severity, x.shape, preset)
    for image, row in zip(x, got, strict=True):
        assert np.array_equal(row, oracle.pixelate(pictures.array(image), share))


@pytest.mark.parametrize("n", [5, 17, 64, 111, 224, 225])
def test_the_box_filter_equals_pillows_at_every_size(n: int) -> None:
    grey = np.random.default_rng(n).integers(0, 256, (n, 3), dtype=np.uint8)
    levels = torch.from_numpy(grey).float()
    for size in {1, 2, n // 4, n // 3, n // 2, int(n * 0.6), n - 1, n, n + 1, 2 * n + 1}:
        wanted = np.asarray(Image.fromarray(grey).resize((3, size), Image.Resampling.BOX))
        assert np.array_equal(box_resized(levels, size).byte().numpy(), wanted), size
        columns = levels.mT.clone()
        across = box_resized(columns, size, dim=-1)
        assert np.array_equal(across.mT.byte().numpy(), wanted), size
        # Where a gradient is asked for, columns are selected another way.
        assert torch.equal(box_resized(columns.requires_grad_(), size, dim=-1), across), size


def test_pixelate_at_224_leaves_blocks_of_four_and_one_pixel_at_least() -> None:
    bad = corruptions.pixelate(pictures.batch(1, size=(224, 224)), severity=5)
    blocks = bad.view(1, 3, 56, 4, 56, 4)
    assert torch.equal(blocks, blocks[:, :, :, :1, :, :1].expand_as(blocks))
    assert not torch.equal(blocks[:, :, 0, 0], blocks[:, :, 1, 0])
    dot = torch.full((1, 1, 1, 1), 0.2)
    assert torch.equal(corruptions.pixelate(dot, severity=5, preset=224), dot)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("severity", "preset"), CASES)
def test_jpeg_equals_pillow(
    severity: int, preset: int, channels: int, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    x = pictures.batch(3, size=(31, 40), channels=channels)
    got = pictures.levels(corruptions.jpeg_compression(x, severity=severity, preset=preset))
    quality = int(corruptions.jpeg_compression.constant(severity, x.shape, preset))
    for image, row in zip(x, got, strict=True):
        assert np.array_equal(row, oracle.jpeg(pictures.array(image), quality))


@pytest.mark.parametrize("name", ["pixelate", "jpeg_compression"])
def test_pictures_may_lie_in_memory_in_any_order(name: str) -> None:
    x = pictures.batch(2, size=(31, 40))
    keys = torch.arange(2)
    wanted = corruptions.CORRUPTIONS[name](x, severity=2, keys=keys)
    last = x.to(memory_format=torch.channels_last)
    before = last.clone()
    assert torch.equal(corruptions.CORRUPTIONS[name](last, severity=2, keys=keys), wanted)
    assert torch.equal(last, before)


def test_a_second_jpeg_changes_less_than_the_first() -> None:
    x = pictures.batch(4)
    once = corruptions.jpeg_compression(x, severity=5)
    twice = corruptions.jpeg_compression(once, severity=5)
    assert float((twice - once).abs().mean()) < 0.5 * float((once - x).abs().mean())


def test_nothing_is_drawn() -> None:
    for corruption in (corruptions.contrast, corruptions.pixelate, corruptions.jpeg_compression):
        draw = corruption.sample(torch.tensor([1]), (3, 8, 8), severity=1, preset=224)
        assert draw == Strength(strength=corruption.constants[224][0])

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from vicinal._checks import InputError
from vicinal.data.augment import (
    Crops,
    _cut_pixels,
    _cut_rows,
    apply_crops,
    crop_padded,
    draw_crops,
    pad_images,
    random_crop_flip,
)

CPU = torch.device("cpu")


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def images(n: int, c: int, h: int, w: int, *, dtype: torch.dtype = torch.uint8) -> Tensor:
    x = torch.randint(1, 256, (n, c, h, w), generator=generator(n + h))
    return x.to(dtype) if dtype == torch.uint8 else x.to(dtype) / 255


def oracle(x: Tensor, crops: Crops) -> Tensor:
    """Image by image, row by row, pixel by pixel: outside of the image is black."""
    n, _, h, w = x.shape
    out = torch.zeros_like(x)
    for i in range(n):
        for row in range(h):
            for column in range(w):
                seen = w - 1 - column if bool(crops.flip[i]) else column
                r = row + int(crops.top[i]) - crops.pad
                s = seen + int(crops.left[i]) - crops.pad
                if 0 <= r < h and 0 <= s < w:
                    out[i, :, row, column] = x[i, :, r, s]
    return out


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize(("pad", "flip"), [(0, True), (1, False), (3, True), (5, True)])
@pytest.mark.parametrize("size", [(9, 3, 6, 7), (4, 1, 8, 6), (1, 2, 6, 6)])
def test_a_batch_equals_the_loop_over_its_images(
    dtype: torch.dtype, pad: int, flip: bool, size: tuple[int, int, int, int]
) -> None:
    x = images(*size, dtype=dtype)
    kept = x.clone()
    crops = draw_crops(len(x), pad=pad, flip=flip, rng=generator(), device=CPU)
    out = apply_crops(x, crops)
    assert out.dtype == dtype
    assert torch.equal(out, oracle(x, crops))
    assert torch.equal(x, kept)


def test_every_corner_of_the_padded_image_can_be_cut() -> None:
    x = images(8, 2, 5, 4)
    top, left = torch.tensor([0, 0, 4, 4] * 2), torch.tensor([0, 4, 0, 4] * 2)
    crops = Crops(pad=2, top=top, left=left, flip=torch.arange(8) >= 4)
    assert torch.equal(apply_crops(x, crops), oracle(x, crops))


def test_both_ways_to_cut_agree_for_any_choice_of_images() -> None:
    padded = pad_images(images(7, 3, 9, 8), pad=3)
    crops = draw_crops(20, pad=3, flip=True, rng=generator(), device=CPU)
    index = torch.randint(0, 7, (20,), generator=generator())
    rows, pixels = _cut_rows(padded, crops, index), _cut_pixels(padded, crops, index)
    assert torch.equal(rows, pixels)
    assert torch.equal(rows, apply_crops(images(7, 3, 9, 8)[index], crops))


def test_images_that_begin_inside_a_larger_tensor_or_lie_channels_last() -> None:
    whole = images(6, 3, 8, 8)
    for x in (whole[2:], whole.contiguous(memory_format=torch.channels_last), whole[:, :2]):
        crops = draw_crops(len(x), pad=0, flip=True, rng=generator(1), device=CPU)
        wide = draw_crops(len(x), pad=2, flip=True, rng=generator(1), device=CPU)
        assert torch.equal(apply_crops(x, crops), oracle(x, crops))
        assert torch.equal(apply_crops(x, wide), oracle(x, wide))


def test_neither_pad_nor_flip_is_the_identity_and_draws_nothing() -> None:
    x, rng = images(3, 3, 8, 8), generator()
    before = rng.get_state()
    assert random_crop_flip(x, pad=0, flip=False, rng=rng) is x
    crops = draw_crops(3, pad=0, flip=False, rng=rng, device=CPU)
    assert torch.equal(apply_crops(x, crops), x)
    assert torch.equal(rng.get_state(), before)


def test_the_shorthand_is_the_draw_applied() -> None:
    x = images(5, 3, 8, 8)
    crops = draw_crops(5, pad=2, flip=True, rng=generator(4), device=CPU)
    again = random_crop_flip(x, pad=2, flip=True, rng=generator(4))
    assert torch.equal(again, apply_crops(x, crops))


def test_the_generator_decides_and_the_global_one_is_not_touched() -> None:
    x, before = images(64, 1, 8, 8), torch.get_rng_state()
    one = random_crop_flip(x, pad=2, flip=True, rng=generator(1))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(one, random_crop_flip(x, pad=2, flip=True, rng=generator(1)))
    assert not torch.equal(one, random_crop_flip(x, pad=2, flip=True, rng=generator(2)))


def test_without_a_generator_the_global_one_decides() -> None:
    x = images(64, 1, 8, 8)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        one, two = (random_crop_flip(x, pad=2, flip=True) for _ in range(2))
        torch.manual_seed(5)
        assert torch.equal(one, random_crop_flip(x, pad=2, flip=True))
    assert not torch.equal(one, two)


def chi_square_is_small(counts: Tensor) -> bool:
    """Test uniformity; Wilson-Hilferty at z = 4.75 raises a false alarm in 1 of 10^6 seeds."""
    expected, k = float(counts.sum()) / len(counts), len(counts) - 1
    statistic = float((counts - expected).square().sum()) / expected
    return statistic < k * (1 - 2 / (9 * k) + 4.75 * math.sqrt(2 / (9 * k))) ** 3


def test_offsets_and_flips_are_jointly_uniform() -> None:
    crops = draw_crops(200_000, pad=4, flip=True, rng=generator(), device=CPU)
    cells = (crops.top * 9 + crops.left) * 2 + crops.flip
    assert int(crops.top.min()) == int(crops.left.min()) == 0
    assert int(crops.top.max()) == int(crops.left.max()) == 8
    assert chi_square_is_small(cells.bincount(minlength=162).double())


def test_the_test_of_uniformity_can_fail() -> None:
    crops = draw_crops(200_000, pad=4, flip=True, rng=generator(), device=CPU)
    clipped = crops.top.clamp(max=7) * 9 + crops.left
    assert not chi_square_is_small(clipped.bincount(minlength=81).double())


def test_a_part_of_a_draw_is_the_draw_of_a_part() -> None:
    x = images(10, 3, 8, 8)
    crops = draw_crops(10, pad=2, flip=True, rng=generator(), device=CPU)
    assert len(crops[3:7]) == 4
    assert torch.equal(apply_crops(x[3:7], crops[3:7]), apply_crops(x, crops)[3:7])


def test_a_pad_that_could_hide_the_image_is_refused() -> None:
    with pytest.raises(InputError, match="`pad` must be smaller than the images' 6 pixels"):
        random_crop_flip(images(2, 3, 8, 6), pad=6, flip=False)
    with pytest.raises(InputError, match="`pad`"):
        random_crop_flip(images(2, 3, 8, 6), pad=-1, flip=False)


def test_a_single_image_and_a_draw_of_another_length_are_refused() -> None:
    with pytest.raises(InputError, match=r"\(N, C, H, W\); got \(3, 8, 8\)"):
        random_crop_flip(images(1, 3, 8, 8)[0], pad=2, flip=True)
    crops = draw_crops(4, pad=2, flip=True, rng=generator(), device=CPU)
    with pytest.raises(InputError, match=r"one draw per image \(3\); got 4"):
        apply_crops(images(3, 3, 8, 8), crops)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an accelerator")
def test_a_generator_on_the_cpu_gives_the_same_images_on_an_accelerator() -> None:
    x, cuda = images(32, 3, 16, 16), torch.device("cuda")
    here = random_crop_flip(x, pad=4, flip=True, rng=generator(2))
    there = random_crop_flip(x.to(cuda), pad=4, flip=True, rng=generator(2))
    assert torch.equal(here, there.cpu())
    crops = draw_crops(32, pad=4, flip=True, rng=torch.Generator(cuda), device=cuda)
    padded = pad_images(x.to(cuda), pad=4)
    every = torch.arange(32, device=cuda)
    torch.cuda.set_sync_debug_mode("error")
    try:
        cut = crop_padded(padded, crops, index=every)
        draw_crops(32, pad=4, flip=True, rng=generator(), device=cuda)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert cut.device.type == "cuda"

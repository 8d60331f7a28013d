"""Corruptions: what happens to pictures in the world, with five severities each.

The 15 of ImageNet-C (Hendrycks & Dietterich 2019) as its scripts made them, their four extra ones,
and the four that M-TLAT adds; on tensors, in batches, on the device of the images.

    noise     gaussian_noise, shot_noise, impulse_noise; speckle_noise (extra)
    blur      defocus_blur, glass_blur, motion_blur, zoom_blur; gaussian_blur (extra)
    weather   snow, frost, fog, brightness; spatter (extra)
    digital   contrast, elastic_transform, pixelate, jpeg_compression; saturate (extra)
    M-TLAT    occlusion, color_shift, translation, rotation

    >>> import torch
    >>> x = torch.rand(2, 3, 32, 32)
    >>> rng = torch.Generator().manual_seed(0)
    >>> bad = glass_blur(x, severity=3, rng=rng)
    >>> bad.shape, bool((bad != x).any())
    (torch.Size([2, 3, 32, 32]), True)

Each is an object: `sample` makes the draws, one key per image, `apply` is the deterministic rest,
and a call is both. Constants follow the size of the images (`preset_of`). Results are truncated to
8 bits as the originals are, `quantize=False` apart. The classes take options: frost its textures,
M-TLAT's four their ranges. Files that others published are data, and load in `vicinal.data`.
"""

from typing import Any

from vicinal.corruptions.blur import DefocusBlur, GaussianBlur, GlassBlur, MotionBlur, ZoomBlur
from vicinal.corruptions.corruption import PRESETS, SEVERITIES, Corruption, preset_of
from vicinal.corruptions.digital import Contrast, JPEGCompression, Pixelate
from vicinal.corruptions.drops import Spatter
from vicinal.corruptions.elastic import ElasticTransform
from vicinal.corruptions.extra import Saturate
from vicinal.corruptions.ice import Frost
from vicinal.corruptions.keys import draw_keys, fixed_keys
from vicinal.corruptions.noise import GaussianNoise, ImpulseNoise, ShotNoise, SpeckleNoise
from vicinal.corruptions.plasma import Fog
from vicinal.corruptions.shifts import ColorShift, Occlusion, Rotation, Translation
from vicinal.corruptions.weather import Brightness, Snow

__all__ = [
    # corruptions, ready to call
    "brightness",
    "color_shift",
    "contrast",
    "defocus_blur",
    "elastic_transform",
    "fog",
    "frost",
    "gaussian_blur",
    "gaussian_noise",
    "glass_blur",
    "impulse_noise",
    "jpeg_compression",
    "motion_blur",
    "occlusion",
    "pixelate",
    "rotation",
    "saturate",
    "shot_noise",
    "snow",
    "spatter",
    "speckle_noise",
    "translation",
    "zoom_blur",
    # their classes, for options
    "Brightness",
    "ColorShift",
    "Contrast",
    "DefocusBlur",
    "ElasticTransform",
    "Fog",
    "Frost",
    "GaussianBlur",
    "GaussianNoise",
    "GlassBlur",
    "ImpulseNoise",
    "JPEGCompression",
    "MotionBlur",
    "Occlusion",
    "Pixelate",
    "Rotation",
    "Saturate",
    "ShotNoise",
    "Snow",
    "Spatter",
    "SpeckleNoise",
    "Translation",
    "ZoomBlur",
    # contract, keys and tables
    "Corruption",
    "draw_keys",
    "fixed_keys",
    "preset_of",
    "CORRUPTIONS",
    "PRESETS",
    "SETS",
    "SEVERITIES",
]

gaussian_noise = GaussianNoise()
shot_noise = ShotNoise()
impulse_noise = ImpulseNoise()
defocus_blur = DefocusBlur()
glass_blur = GlassBlur()
motion_blur = MotionBlur()
zoom_blur = ZoomBlur()
speckle_noise = SpeckleNoise()
gaussian_blur = GaussianBlur()
snow = Snow()
frost = Frost()
fog = Fog()
brightness = Brightness()
contrast = Contrast()
elastic_transform = ElasticTransform()
pixelate = Pixelate()
jpeg_compression = JPEGCompression()
occlusion = Occlusion()
color_shift = ColorShift()
translation = Translation()
rotation = Rotation()
saturate = Saturate()
spatter = Spatter()

CORRUPTIONS: dict[str, Corruption[Any, Any]] = {
    known.name: known
    for known in (
        *(gaussian_noise, shot_noise, impulse_noise),
        *(defocus_blur, glass_blur, motion_blur, zoom_blur),
        *(snow, frost, fog, brightness),
        *(contrast, elastic_transform, pixelate, jpeg_compression),
        *(occlusion, color_shift, translation, rotation),
        *(speckle_noise, gaussian_blur, saturate, spatter),
    )
}
"""Every corruption by its name."""

_COMMON = (
    *("gaussian_noise", "shot_noise", "impulse_noise"),
    *("defocus_blur", "glass_blur", "motion_blur", "zoom_blur"),
    *("snow", "frost", "fog", "brightness"),
    *("contrast", "elastic_transform", "pixelate", "jpeg_compression"),
)

SETS: dict[str, tuple[str, ...]] = {
    "common": _COMMON,
    "all": (*_COMMON, "occlusion", "color_shift", "translation", "rotation"),
    "extra": ("speckle_noise", "gaussian_blur", "saturate", "spatter"),
}
"""The 15 of ImageNet-C; these and M-TLAT's four; and the four held out for validation."""

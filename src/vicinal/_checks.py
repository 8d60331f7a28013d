"""Every argument check and every error sentence of the library.

A check returns what it checked, so that it can stand where the value is used. Its sentence names
the argument, the rule, the value it got and, where one is likely, the fix. Checks that read the
values of a tensor would make an accelerator wait, so they run at a public door (an attack's call)
or, inside a training step, only where the tensor lies on the CPU.
"""

from __future__ import annotations

import difflib
import math
import numbers
from collections.abc import Iterable

import torch
from torch import Tensor

from vicinal._errors import InputError, NotFinite

__all__ = [
    "InputError",
    "NotFinite",
    "at_least_two",
    "budget",
    "check_finite",
    "choice",
    "count",
    "distributions",
    "images",
    "labels",
    "logits",
    "number",
    "suggest",
    "training_batch",
    "training_logits",
]


def suggest(word: str, options: Iterable[str], *, listed: bool = False) -> str:
    """Name the nearest of the options to a misspelt word, as a closing question.

    Args:
        word: What was written.
        options: What could have been meant.
        listed: Whether the sentence has listed the options already.

    Returns:
        ' Did you mean ...?' or, where nothing is near, the options if they are not listed yet.
    """
    known = sorted(options)
    lowered = {option.lower(): option for option in known}
    near = difflib.get_close_matches(word.lower(), lowered, n=1, cutoff=0.5)
    if near:
        return f" Did you mean {lowered[near[0]]}?"
    return f" Known: {', '.join(known)}." if known and not listed else ""


def choice(name: str, value: str, options: Iterable[str]) -> str:
    """Check that a word is one of those known.

    Args:
        name: The argument's name.
        value: The word given.
        options: The words allowed.

    Returns:
        The word.

    Raises:
        InputError: If it is not among the options.
    """
    known = list(options)
    if value not in known:
        listed = len(known) <= 6
        rule = " | ".join(known) if listed else f"one of {len(known)} known names"
        end = suggest(str(value), known, listed=listed)
        raise InputError(f"`{name}` must be {rule}; got {value!r}.{end}")
    return value


def number(
    name: str,
    value: float,
    *,
    low: float = -math.inf,
    high: float = math.inf,
    open_low: bool = False,
    open_high: bool = False,
    hint: str = "",
) -> float:
    """Check that a number is finite or infinite as its interval allows, and lies in it.

    Args:
        name: The argument's name.
        value: The number given.
        low: Lower bound.
        high: Upper bound.
        open_low: Whether the lower bound itself is excluded.
        open_high: Whether the upper bound itself is excluded.
        hint: A likely fix, said after the value.

    Returns:
        The number as a float.

    Raises:
        InputError: If it is no number or lies outside.
    """
    if isinstance(value, bool) or not isinstance(value, (float, numbers.Real)):
        raise InputError(f"`{name}` must be a number; got {value!r} ({type(value).__name__}).")
    above = value > low if open_low else value >= low
    below = value < high if open_high else value <= high
    if not (above and below):
        left = "" if low == -math.inf else f"{low:g} {'<' if open_low else '<='} "
        closed = high == math.inf and not open_high
        right = "" if closed else f" {'<' if open_high else '<='} {high:g}"
        end = f" {hint}" if hint else ""
        raise InputError(f"`{name}` must satisfy {left}{name}{right}; got {value:g}.{end}")
    return float(value)


def count(name: str, value: int, *, low: int = 1) -> int:
    """Check that an integer is at least `low`.

    Args:
        name: The argument's name.
        value: The integer given.
        low: The least value allowed.

    Returns:
        The integer.

    Raises:
        InputError: If it is no integer or too small.
    """
    if isinstance(value, bool) or not isinstance(value, (int, numbers.Integral)) or value < low:
        raise InputError(f"`{name}` must be an integer >= {low}; got {value!r}.")
    return int(value)


def budget(
    name: str, value: float | Tensor, *, norm: str = "linf", unbounded: bool = True
) -> float | Tensor:
    """Check a perturbation budget or a step: pixels lie in [0, 1], so a linf one is at most 1.

    Args:
        name: The argument's name.
        value: A number, or one number per channel as a tensor (C,) for linf.
        norm: "linf" or "l2"; an l2 budget has no upper bound.
        unbounded: Whether infinity is allowed (the unbounded sanity check).

    Returns:
        The budget.

    Raises:
        InputError: If it is negative, above 1 for linf, or a tensor where none is allowed.
    """
    if isinstance(value, Tensor):
        if norm != "linf" or value.ndim != 1 or value.numel() == 0:
            raise InputError(
                f"`{name}` may be a tensor (C,) for norm 'linf' only; "
                f"got shape {tuple(value.shape)} and norm {norm!r}."
            )
        worst = float(value.max())
        number(name, float(value.min()), low=0.0)
        number(name, worst, low=0.0, high=1.0, hint=_pixel_hint(worst))
        return value
    if value == math.inf and unbounded:
        return math.inf
    high = 1.0 if norm == "linf" else math.inf
    return number(name, value, low=0.0, high=high, hint=_pixel_hint(value))


def _pixel_hint(value: float) -> str:
    """Tell that budgets are in the unit of the pixels, and the likely meaning of a large one."""
    if not isinstance(value, (float, numbers.Real)) or not 1 < value < math.inf:
        return ""
    return f"Pixels lie in [0, 1]: did you mean {value:g}/255?"


def images(x: Tensor, *, name: str = "x", values: bool = True) -> Tensor:
    """Check a batch of images: (N, C, H, W), floating point, every pixel in [0, 1].

    Args:
        x: The images.
        name: The argument's name.
        values: Whether to read the pixels (an accelerator waits for that).

    Returns:
        The images.

    Raises:
        InputError: If shape, dtype or range are off.
    """
    if not isinstance(x, Tensor) or x.ndim != 4:
        got = tuple(x.shape) if isinstance(x, Tensor) else type(x).__name__
        raise InputError(f"`{name}` must be images of shape (N, C, H, W); got {got}.")
    if x.numel() == 0:
        lacking = "have channels and pixels" if x.shape[0] else "hold at least one image"
        raise InputError(f"`{name}` must {lacking}; got shape {tuple(x.shape)}.")
    if not x.is_floating_point():
        raise InputError(
            f"`{name}` must be floating point in [0, 1]; got {x.dtype}. "
            "Did you mean x.float() / 255?"
        )
    if not values:
        return x
    low, high = (float(v) for v in torch.aminmax(x.detach()))
    if not (low >= 0.0 and high <= 1.0):
        raise InputError(
            f"`{name}` must hold pixels in [0, 1]; got values in [{low:.8g}, {high:.8g}]."
            f"{_range_hint(low, high)}"
        )
    return x


def _range_hint(low: float, high: float) -> str:
    if not (math.isfinite(low) and math.isfinite(high)):
        return " There are NaN or infinite pixels."
    if low >= -0.01 and high <= 1.01:
        return " Did resizing or another step of yours overshoot? Did you mean x.clamp(0, 1)?"
    if low >= 0.0 and high <= 255.0:
        return " Did you mean x / 255?"
    return (
        " Normalised images? Hand over raw pixels and put the normalisation inside the model: "
        "vicinal.models.normalized(net, mean, std)."
    )


def labels(
    y: Tensor, *, n: int, num_classes: int | None = None, name: str = "y", values: bool = True
) -> Tensor:
    """Check labels: classes (N,) int64 in 0..K-1, or distributions (N, K) with rows summing to 1.

    Args:
        y: The labels.
        n: The number of images.
        num_classes: K, where it is known.
        name: The argument's name.
        values: Whether to read the values (an accelerator waits for that).

    Returns:
        The labels.

    Raises:
        InputError: If shape, dtype or values are off.
    """
    if not isinstance(y, Tensor) or y.ndim not in {1, 2} or y.shape[0] != n:
        got = tuple(y.shape) if isinstance(y, Tensor) else type(y).__name__
        raise InputError(
            f"`{name}` must be classes of shape ({n},) or distributions ({n}, K), one per image; "
            f"got {got}."
        )
    if y.ndim == 1:
        return _classes(y, num_classes=num_classes, name=name, values=values)
    if not y.is_floating_point():
        hint = f"Did you mean {name}.{'squeeze(1)' if y.shape[1] == 1 else 'float()'}?"
        raise InputError(f"`{name}` of shape (N, K) must be floating point; got {y.dtype}. {hint}")
    if num_classes is not None and y.shape[1] != num_classes:
        raise InputError(
            f"`{name}` must have one column for each of the model's {num_classes} classes; "
            f"got {y.shape[1]}."
        )
    if values:
        off = float((y.detach().sum(dim=1) - 1).abs().max())
        low = float(y.detach().min())
        if not (off <= 1e-2 and low >= -1e-6):
            raise InputError(
                f"`{name}` must have rows on the simplex (non-negative, sum 1); "
                f"got a least entry of {low:g} and a sum that is off by {off:g}."
            )
    return y


def _classes(y: Tensor, *, num_classes: int | None, name: str, values: bool) -> Tensor:
    if y.is_floating_point() or y.dtype == torch.bool:
        raise InputError(
            f"`{name}` of shape (N,) must be integer classes; got {y.dtype}. Did you mean y.long()?"
        )
    if values and num_classes is not None:
        low, high = (int(v) for v in torch.aminmax(y))
        if low < 0 or high >= num_classes:
            worst = low if low < 0 else high
            hint = " Do your labels start at 1?" if low >= 1 and high == num_classes else ""
            raise InputError(
                f"`{name}` must hold classes in 0..{num_classes - 1} (the model has {num_classes} "
                f"outputs); got {worst}.{hint}"
            )
    return y


def distributions(q: Tensor, *, name: str = "q") -> Tensor:
    """Check the form of label distributions: (N, K), K >= 2, floating point; values are not read.

    Args:
        q: The distributions.
        name: The argument's name.

    Returns:
        The distributions.

    Raises:
        InputError: If shape or dtype are off.
    """
    if not isinstance(q, Tensor) or q.ndim != 2 or q.shape[1] < 2 or not q.is_floating_point():
        got = f"{tuple(q.shape)}, {q.dtype}" if isinstance(q, Tensor) else type(q).__name__
        raise InputError(
            f"`{name}` must be distributions of shape (N, K), floating point, K >= 2; got {got}. "
            f"Classes become distributions by labels.one_hot(y, num_classes=K)."
        )
    return q


def logits(z: Tensor, *, n: int, values: bool = True) -> Tensor:
    """Check what a model returned: logits (N, K), K >= 2, all finite.

    Args:
        z: The model's output.
        n: The number of images that went in.
        values: Whether to read the values (an accelerator waits for that).

    Returns:
        The logits.

    Raises:
        InputError: If the model returned anything else.
        NotFinite: If it returned NaN or infinity.
    """
    if not isinstance(z, Tensor) or z.ndim != 2 or z.shape[0] != n or z.shape[1] < 2:
        got = tuple(z.shape) if isinstance(z, Tensor) else type(z).__name__
        raise InputError(f"the model must return logits of shape ({n}, K) with K >= 2; got {got}.")
    if values and not bool(torch.isfinite(z.detach()).all()):
        check_finite(int((~torch.isfinite(z.detach())).any(dim=1).sum()), n)
    return z


def check_finite(bad: int, n: int) -> None:
    """Refuse logits of which some are no numbers.

    Args:
        bad: Of how many images.
        n: How many images there are.

    Raises:
        NotFinite: If there is any.
    """
    if bad:
        raise NotFinite(
            f"the model must return finite logits; got NaN or infinity for {bad} of {n} images. "
            "Has its training diverged?"
        )


def at_least_two(x: Tensor, *, who: str) -> Tensor:
    """Check that a batch has partners to mix with.

    Args:
        x: The images (N, C, H, W).
        who: The method that mixes.

    Returns:
        The images.

    Raises:
        InputError: If the batch holds one image.
    """
    if x.shape[0] < 2:
        raise InputError(
            f"{who} mixes every image with another of its batch, so a batch must hold at least 2 "
            "images; got 1. Drop the last incomplete batch (drop_last=True)?"
        )
    return x


def training_batch(x: Tensor, y: Tensor) -> None:
    """Check a batch at the door of an objective, reading values only where that is free (CPU).

    Args:
        x: Images (N, C, H, W) in [0, 1].
        y: Classes (N,) or distributions (N, K).
    """
    images(x, values=_is_free_to_read(x))
    labels(y, n=x.shape[0], values=_is_free_to_read(y))


def training_logits(z: Tensor, *, n: int) -> Tensor:
    """Check what a model returned to an objective, reading values only where that is free (CPU).

    Args:
        z: The model's output.
        n: The number of images that went in.

    Returns:
        The logits.
    """
    return logits(z, n=n, values=_is_free_to_read(z))


def _is_free_to_read(tensor: Tensor) -> bool:
    return isinstance(tensor, Tensor) and tensor.device.type == "cpu"

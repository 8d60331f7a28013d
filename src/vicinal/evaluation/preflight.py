"""Before anything is attacked: do this model and these images fit each other, and an attack?

What makes every number wrong is refused, in one sentence: images outside [0, 1], another shape or
number of classes, weights on another device or of another precision. What makes some attacks weak
is a warning, and the masking verdict then looks closer. Not here: checks that need gradients.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from vicinal import _checks
from vicinal._checks import InputError, NotFinite
from vicinal._typing import Model
from vicinal.evaluation.batches import checked
from vicinal.gradients import OtherPrecision, check_module, clean_logits
from vicinal.metrics import wilson

__all__ = [
    "Finding",
    "Unfit",
    "TooFewOutputs",
    "asked",
    "device_of",
    "guessing",
    "off_simplex",
    "outputs",
    "preflight",
    "simplex_slack",
]

_IMAGES = 16
_TOLERANCE = 1e-3
_HANDFUL = 8
_ENOUGH = 100
"""Of fewer images, an interval holds the rate of guessing too easily."""
_NARROW = 8 / 255
"""Images that use no more of [0, 1] than this were divided by 255 twice."""


class Unfit(InputError, RuntimeError):
    """The model failed on images; a RuntimeError too, as torch raised one."""


class TooFewOutputs(InputError):
    """The model has fewer outputs than the data classes.

    Args:
        outputs: Those of the model.
        classes: Those of the data.
    """

    def __init__(self, outputs: int, classes: int) -> None:
        super().__init__(
            f"the model must have an output for each of the data's {classes} classes; it has "
            f"{outputs}. Another data set, or another model?"
        )
        self.outputs, self.classes = outputs, classes


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What one check found.

    Args:
        check: The name of the check.
        state: "ok" or "warn"; what must not be is refused at once.
        words: What was found, as a sentence.
    """

    check: str
    state: str
    words: str

    @property
    def record(self) -> dict[str, str]:
        """The finding as data."""
        return {"check": self.check, "state": self.state, "words": self.words}


def preflight(
    model: Model, x: Tensor, y: Tensor, *, num_classes: int | None = None
) -> list[Finding]:
    """Look at a model and a few images before they are judged.

    Args:
        model: The model; left as it was.
        x: Images (N, C, H, W) in [0, 1], of which the first 16 are used.
        y: Classes (N,) or distributions (N, K).
        num_classes: The classes of the data set, where they are known.

    Returns:
        A finding for each check: range, dtype, device, shape, classes, mode, outputs, determinism,
        batch.

    Raises:
        InputError: If the numbers would mean nothing: images outside [0, 1], weights of another
            precision or on several devices, a model that does not take the images, or that has
            fewer outputs than there are classes.

    Example:
        >>> model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 3)).eval()
        >>> x, y = torch.linspace(0, 1, 64).view(4, 1, 4, 4), torch.tensor([0, 1, 2, 0])
        >>> {finding.state for finding in preflight(model, x, y)}
        {'ok'}

    Cost: three forward passes of at most 16 images.
    """
    few, some = checked(x)[:_IMAGES], y[:_IMAGES]
    _checks.labels(y, n=len(x))
    device = device_of(model)
    dtype = _dtype(model, x)
    few, some = few.to(device), some.to(device)
    z = _checks.logits(asked(model, few), n=len(few))
    again, alone = asked(model, few), asked(model, few[:1])
    return [
        _range(x),
        dtype,
        Finding(check="device", state="ok", words=f"the model lies on {device}."),
        Finding(check="shape", state="ok", words=f"it takes images of {tuple(x.shape[1:])}."),
        _classes(z, y, num_classes),
        _mode(model),
        outputs(z),
        _deterministic(z, again),
        _batch(z, again, alone),
    ]


def asked(model: Model, x: Tensor) -> Tensor:
    """Ask a model for the logits of clean images; say what went wrong in one sentence.

    Args:
        model: The model.
        x: Images, on its device.

    Returns:
        What it gave.

    Raises:
        Unfit: If it failed.
        OtherPrecision: If it did for images of another precision than its weights'.
        NotFinite: If it says itself that it gave NaN or infinity.
        OutOfMemoryError: If memory ran out, as torch says it.
    """
    try:
        return clean_logits(model, x)
    except torch.OutOfMemoryError:
        raise
    except (NotFinite, OtherPrecision, Unfit):
        raise
    except (RuntimeError, InputError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise Unfit(
            f"the model must take images of shape {tuple(x.shape)}, {x.dtype}, on {x.device}; it "
            f"failed: {reason.rstrip('.')}."
        ) from error


def device_of(model: Model) -> torch.device:
    """Tell where a model lies.

    Args:
        model: The model.

    Returns:
        The device of its weights, else of its buffers; the CPU where it has neither.

    Raises:
        InputError: If its parts lie on devices of different kinds, or on none ("meta"), or it is
            no module.
    """
    check_module(model)
    places = [part.device for part in _parts(model)]
    kinds = sorted({place.type for place in places})
    if len(kinds) > 1 or "meta" in kinds:
        raise InputError(
            "`model` must lie on one device, with all its weights and buffers; they lie on "
            f"{' and '.join(kinds) or 'none'}. Did you mean model.to(device)?"
        )
    return places[0] if places else torch.device("cpu")


def _parts(model: Model) -> Iterator[Tensor]:
    yield from model.parameters()
    yield from model.buffers()


def _dtype(model: Model, x: Tensor) -> Finding:
    weights = {w.dtype for w in model.parameters() if w.is_floating_point()}
    if weights and x.dtype not in weights:
        names = " and ".join(sorted(str(dtype) for dtype in weights))
        raise InputError(
            f"`model` must have weights of the images' precision, {x.dtype}; got {names}. Did you "
            "mean model.float()?"
        )
    return Finding(check="dtype", state="ok", words=f"weights and images are {x.dtype}.")


def _range(x: Tensor) -> Finding:
    low, high = (float(value) for value in torch.aminmax(x.detach()))
    words = f"pixels lie in [{low:.4g}, {high:.4g}]"
    if high - low <= _NARROW:
        words += ", a small part of [0, 1]. Were they divided by 255 twice?"
        return Finding(check="range", state="warn", words=words)
    return Finding(check="range", state="ok", words=f"{words}.")


def _classes(z: Tensor, y: Tensor, num_classes: int | None) -> Finding:
    outputs = z.shape[1]
    if num_classes is not None and outputs < num_classes:
        raise TooFewOutputs(outputs, num_classes)
    _checks.labels(y, n=len(y), num_classes=outputs)
    if num_classes is not None and outputs > num_classes:
        words = f"the model has {outputs} outputs, the data {num_classes} classes."
        return Finding(check="classes", state="warn", words=words)
    few = " DLR losses need more than three." if outputs < 4 else ""
    return Finding(check="classes", state="ok", words=f"{outputs} outputs.{few}")


def _mode(model: Model) -> Finding:
    training = sum(module.training for module in model.modules())
    if not training:
        return Finding(check="mode", state="ok", words="the model is in eval mode.")
    words = (
        f"{training} parts of the model are in train mode; it is judged in eval mode and left as "
        "it was."
    )
    return Finding(check="mode", state="warn", words=words)


def off_simplex(z: Tensor) -> float:
    """Tell how far outputs are from probabilities.

    Args:
        z: What a model gave, shape (N, K).

    Returns:
        The largest distance of a row's sum from 1; infinite where an entry is negative.

    Example:
        >>> off_simplex(torch.tensor([[0.25, 0.75], [1.0, 0.5]]))
        0.5
    """
    z = z.detach().double()
    if bool((z < 0).any()):
        return float("inf")
    return float((z.sum(dim=1) - 1).abs().max())


def simplex_slack(n: int) -> float:
    """Tell how far outputs may be from probabilities and be some, rounded.

    Args:
        n: Images. In bfloat16 sums are off by 2e-3 and more; a few logits may be so by chance.

    Returns:
        What `off_simplex` may be at most.
    """
    return 1e-2 if n >= _HANDFUL else _TOLERANCE


def outputs(z: Tensor) -> Finding:
    """Tell whether a model returns logits.

    Args:
        z: What it gave, shape (N, K).

    Returns:
        The finding; a warning where they are probabilities.

    Example:
        >>> outputs(torch.tensor([[0.25, 0.75], [1.0, 0.0]])).state
        'warn'
    """
    z = z.detach().double()
    logs = torch.logsumexp(z, dim=1).abs().max() < _TOLERANCE
    if off_simplex(z) < simplex_slack(len(z)):
        what = "probabilities (a softmax is inside): its gradients vanish where it is sure"
        words = f"the model returns {what}. Take the softmax off, and judge the logits."
        return Finding(check="outputs", state="warn", words=words)
    if bool(logs):
        words = "the model returns logarithms of probabilities: as good as logits for any attack."
        return Finding(check="outputs", state="ok", words=words)
    return Finding(check="outputs", state="ok", words="the model returns logits.")


def guessing(correct: int, n: int, *, num_classes: int) -> Finding | None:
    """Tell whether a clean accuracy is what guessing gives: its interval holds 1/K.

    Args:
        correct: Clean images that are right.
        n: Clean images; fewer than 100 say nothing.
        num_classes: K, the outputs of the model.

    Returns:
        A warning, or None.

    Example:
        >>> guessing(100, 1000, num_classes=10).words
        'clean accuracy 10.00 % is that of guessing; is the model trained?'
        >>> guessing(900, 1000, num_classes=10) is None
        True
    """
    if n < _ENOUGH:
        return None
    low, high = wilson(correct, n)
    if not low <= 1 / num_classes <= high:
        return None
    words = f"clean accuracy {100 * correct / n:.2f} % is that of guessing; is the model trained?"
    return Finding(check="guessing", state="warn", words=words)


def _deterministic(z: Tensor, again: Tensor) -> Finding:
    largest = float((z - again).abs().max())
    if largest <= _TOLERANCE * float(z.abs().max()):
        return Finding(check="determinism", state="ok", words="the same images, the same logits.")
    flips = int((z.argmax(dim=1) != again.argmax(dim=1)).sum())
    words = (
        f"the same images gave other logits, by up to {largest:.3g}, and {flips} of {len(z)} other "
        "classes: the model draws at random; attack means over its draws (eot=20, "
        "autoattack(version=rand))."
    )
    return Finding(check="determinism", state="warn", words=words)


def _batch(z: Tensor, again: Tensor, alone: Tensor) -> Finding:
    noise = float((z - again).abs().max())
    apart = float((z[:1] - alone).abs().max())
    if apart <= noise + _TOLERANCE * float(z.abs().max()):
        words = "an image's logits do not depend on the others of its batch."
        return Finding(check="batch", state="ok", words=words)
    words = (
        f"an image alone gave other logits than in a batch, by {apart:.3g}: its verdict depends on "
        "the batch size. Does the model normalise by the batch?"
    )
    return Finding(check="batch", state="warn", words=words)

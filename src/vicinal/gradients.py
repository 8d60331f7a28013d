r"""Looking at a model without changing it: freezing, input gradients, and the one ascent loop.

Every attack and every input move that follows gradients goes through `frozen`, `input_gradient` and
`ascend`. Gradients are taken with respect to the input alone, so no weight gradient is computed or
written, and everything that `frozen` touches is put back, also after an exception.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from vicinal._checks import InputError, choice, logits
from vicinal._typing import BatchNormMode, LossOfLogits, Model

__all__ = [
    "OtherPrecision",
    "Slope",
    "ascend",
    "check_module",
    "clean_logits",
    "detached",
    "differentiable",
    "frozen",
    "input_gradient",
    "undisturbed",
]


class OtherPrecision(InputError, RuntimeError):
    """A model failed on images of another precision; a RuntimeError too, as torch raised one."""


@contextmanager
def frozen(model: Model, *, batchnorm: BatchNormMode = "eval") -> Generator[Model]:
    """Hold a model still: set its mode, switch weight gradients off, restore both on the way out.

    Modes and flags are remembered per submodule, so a partly frozen net comes back as it was.

    Args:
        model: The model.
        batchnorm: "eval" puts every submodule in eval mode. "train_frozen_stats" does too, but
            BatchNorm normalises by the batch and leaves its running averages alone (what the
            original TensorFlow codes of Madry and AVmixup do while attacking). "train" puts
            everything in train mode, and running averages move as they do in training.

    Yields:
        The same model.

    Raises:
        InputError: If `batchnorm` is not one of the three, or `model` is no module.
    """
    check_module(model)
    choice("batchnorm", batchnorm, ("eval", "train_frozen_stats", "train"))
    modes = [(module, module.training) for module in model.modules()]
    norms = [module for module in model.modules() if isinstance(module, _BatchNorm)]
    tracking = [(module, module.track_running_stats) for module in norms]
    # An inference tensor records no gradient, and its flag could not be set again.
    trained = [w for w in model.parameters() if w.requires_grad and not w.is_inference()]
    try:
        for module, _ in modes:
            module.training = batchnorm == "train"
        if batchnorm == "train_frozen_stats":
            for norm in norms:
                norm.training, norm.track_running_stats = True, False
        for weight in trained:
            weight.requires_grad_(False)
        yield model
    finally:
        for norm, tracked in tracking:
            norm.track_running_stats = tracked
        for module, training in modes:
            module.training = training
        for weight in trained:
            weight.requires_grad_(True)


def check_module(model: object) -> None:
    """Refuse what is no module, such as a plain function.

    Args:
        model: What was handed over as the model.

    Raises:
        InputError: If it is none.
    """
    if not isinstance(model, nn.Module):
        raise InputError(
            f"`model` must be a torch.nn.Module; got {type(model).__name__}. Make a function the "
            "`forward` of a module of your own."
        )


@contextmanager
def differentiable() -> Generator[None]:
    """Allow gradients inside, also where the caller switched them off (`no_grad`, inference mode).

    Yields:
        Nothing.
    """
    with torch.inference_mode(mode=False), torch.enable_grad():
        yield


@contextmanager
def undisturbed(x: Tensor) -> Generator[None]:
    """Let an attack do its own arithmetic: gradients are allowed, the caller's autocast is off.

    What is found and judged inside does not depend on where the attack is called from.

    Args:
        x: The images, for their device.

    Yields:
        Nothing.
    """
    with differentiable(), torch.autocast(x.device.type, enabled=False):
        yield


def detached(tensor: Tensor) -> Tensor:
    """Cut a tensor from any graph; a copy where autograd could not use the original.

    Args:
        tensor: Any tensor, an inference tensor too.

    Returns:
        A tensor without history.
    """
    if not tensor.is_inference():
        return tensor.detach()
    # Inside inference mode a clone would be an inference tensor again.
    with torch.inference_mode(mode=False):
        return tensor.clone()


def input_gradient(model: Model, x: Tensor, loss: LossOfLogits) -> tuple[Tensor, Tensor]:
    """Take the gradient of the summed loss with respect to the images.

    The sum, not the mean: each example's gradient is then independent of its batch mates.
    Cost: one forward and one backward pass.

    Args:
        model: The model, usually inside `frozen`.
        x: Images, shape (N, C, H, W).
        loss: Logits (N, K) to losses (N,).

    Returns:
        Gradients, shape (N, C, H, W), and the logits, shape (N, K), detached.

    Raises:
        InputError: If the model returns no logits (N, K), or logits that do not depend on the
            images through differentiable operations.
        OtherPrecision: If it failed on images of another precision than its weights'.
    """
    x = x.detach().requires_grad_(True)
    z = logits(_taken(model, x), n=x.shape[0], values=False)
    total = loss(z).sum()
    gradient = None
    if total.requires_grad:
        (gradient,) = torch.autograd.grad(total, x, allow_unused=True)
    if gradient is None:
        raise InputError(
            "the model's logits must depend on its input through differentiable operations; got "
            "logits without a gradient. Does its forward detach, round or run under no_grad?"
        )
    return gradient, z.detach()


def _taken(model: Model, x: Tensor) -> Tensor:
    """Let a model take images; where it fails for their precision, say so."""
    try:
        return model(x)  # type: ignore[no-any-return]
    except RuntimeError as error:
        # Only after a failure: a model that casts by itself, or under autocast, takes any.
        weights = sorted({str(w.dtype) for w in model.parameters() if w.is_floating_point()})
        if "type" not in str(error) or not weights or str(x.dtype) in weights:
            raise
        raise OtherPrecision(
            f"`x` must be of the precision of the model's weights, {' and '.join(weights)}; got "
            f"{x.dtype}. Did you mean x.{_CASTS.get(weights[0], 'float()')}?"
        ) from error


_CASTS = {
    "torch.bfloat16": "bfloat16()",
    "torch.float16": "half()",
    "torch.float64": "double()",
}
"""What brings images to a precision; float() where it is not among these."""


Slope = Callable[[Model, Tensor, LossOfLogits], tuple[Tensor, Tensor]]
"""How a gradient and its logits are taken: `input_gradient`, or a mean of several."""


def ascend(
    model: Model,
    start: Tensor,
    loss: LossOfLogits,
    *,
    steps: int,
    move: Callable[[Tensor, Tensor], Tensor],
    visit: Callable[[Tensor, Tensor], None] | None = None,
    slope: Slope = input_gradient,
) -> Tensor:
    """Climb a loss by steps along the input gradient: the only such loop of the library.

    Cost: `steps` forward and `steps` backward passes, each as often as `slope` makes it. Nothing
    waits for the device.

    Args:
        model: The model, usually inside `frozen`.
        start: Where to begin, shape (N, C, H, W).
        loss: Logits (N, K) to losses (N,), the quantity that rises.
        steps: How many steps.
        move: Takes the iterate and its gradient, returns the next iterate.
        visit: Told every iterate with its logits before the step leaves it; the last iterate is
            not visited, its logits would cost one more forward pass.
        slope: Takes the model, an iterate and the loss, gives the gradient that is followed and the
            logits that are visited.

    Returns:
        The last iterate, shape (N, C, H, W), detached.
    """
    x = start.detach()
    for _ in range(steps):
        gradient, z = slope(model, x, loss)
        if visit is not None:
            visit(x, z)
        x = move(x, gradient)
    return x


def clean_logits(model: nn.Module, x: Tensor) -> Tensor:
    """Predict in eval mode without any graph, leaving the model as it was. Cost: one forward pass.

    Args:
        model: The model.
        x: Images, shape (N, C, H, W).

    Returns:
        Logits, shape (N, K).

    Raises:
        InputError: If the model wrote into the images.
        OtherPrecision: If it failed on images of another precision than its weights'.
    """
    version = None if x.is_inference() else x._version
    with frozen(model), torch.no_grad():
        z = _taken(model, x)
    if version is not None and x._version != version:
        raise InputError(
            "`model` must leave its input as it is; got one that wrote into the images. Does it "
            "normalise in place, with sub_ or div_?"
        )
    return z

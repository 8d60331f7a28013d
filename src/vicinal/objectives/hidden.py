"""One forward pass in which the hidden states behind a layer are mixed.

The model is left as it was: the hook that mixes lives for one forward pass and is removed after an
exception too.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vicinal._checks import InputError
from vicinal._typing import Model
from vicinal.maths.mixing import Mix

__all__ = ["forward_mixed"]


def forward_mixed(model: Model, x: Tensor, mix: Mix, *, after: nn.Module | None) -> Tensor:
    """Run the model once, its hidden states mixed after one layer.

    Args:
        model: The model; a compiled one runs uncompiled, for compiled code does not see the hook.
        x: Images, shape (N, C, H, W).
        mix: The mixture.
        after: The layer; of several calls the first counts. None mixes the images themselves.

    Returns:
        What the model returned.

    Raises:
        InputError: If the forward pass never calls the layer, or the layer does not return a
            tensor with one row per image.
    """
    if after is None:
        return model(mix(x))  # type: ignore[no-any-return]
    reached = False

    def hook(layer: nn.Module, args: tuple[object, ...], hidden: object) -> Tensor | None:
        nonlocal reached
        del args
        if reached:
            return None
        if not isinstance(hidden, Tensor) or hidden.shape[:1] != x.shape[:1]:
            raise InputError(
                f"a layer of `layers` must return a tensor (N, ...) with N = {x.shape[0]}; "
                f"{type(layer).__name__} does not."
            )
        reached = True
        return mix(hidden)

    handle = after.register_forward_hook(hook)
    try:
        with torch.compiler.set_stance("force_eager"):
            z: Tensor = model(x)
    finally:
        handle.remove()
    if not reached:
        raise InputError(
            f"`layers` must name modules that the model's forward calls; a {type(after).__name__} "
            "that was named is not."
        )
    return z

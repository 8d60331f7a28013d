"""A stretch of draws that can be had twice."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

import torch
from torch import Tensor

from vicinal.maths.share import Share

__all__ = ["same_draws"]


@contextmanager
def same_draws(x: Tensor, rng: torch.Generator | None) -> Generator[None]:
    """Put all generators back where they were, so that what follows draws the same once more.

    Args:
        x: Images; the global generators (dropout's) of the CPU and of their device go back.
        rng: The objective's generator, where one was given.

    Yields:
        Nothing.
    """
    own = [rng, rng.alone] if isinstance(rng, Share) else [rng] if rng is not None else []
    states = [generator.get_state() for generator in own]
    kind = torch.get_device_module(x.device) if x.device.type != "cpu" else None
    where = () if x.device.type == "mps" else (x.device,)  # there is one of that kind
    there = kind.get_rng_state(*where) if kind is not None else None
    here = torch.get_rng_state()
    try:
        yield
    finally:
        torch.set_rng_state(here)
        if kind is not None:
            kind.set_rng_state(there, *where)
        for generator, state in zip(own, states, strict=True):
            generator.set_state(state)

"""Randomness by name: the draws of an epoch are a function of the seed and its number alone.

A generator is derived by hashing what it is for, such as (seed, "order", 7), so a resumed run needs
no generator state: it asks for epoch 8 and gets what the uninterrupted run would have had.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch

__all__ = ["derive", "deterministic", "generator", "isolated"]


def derive(*keys: int | str) -> int:
    """Derive a seed from keys by SHA-256; 1 and "1" are different keys.

    Args:
        *keys: What the draws are for.

    Returns:
        An integer in 0..2^63-1, the same on every machine.

    Example:
        >>> derive(0, "order", 7) == derive(0, "order", 7)
        True
        >>> derive(0, "order", 7) == derive(0, "order", 8)
        False
    """
    digest = hashlib.sha256(json.dumps(keys).encode("ascii")).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def generator(*keys: int | str, device: torch.device | str = "cpu") -> torch.Generator:
    """Make a generator whose draws depend on the keys alone.

    Args:
        *keys: What the draws are for.
        device: Where it draws.

    Returns:
        A new generator.

    Example:
        >>> first, again = (torch.rand(3, generator=generator(0, "noise")) for _ in range(2))
        >>> torch.equal(first, again)
        True
    """
    return torch.Generator(device=device).manual_seed(derive(*keys))


class _Global(NamedTuple):
    """One of torch's global generators, or all of one kind of accelerator."""

    get: Callable[[], Any]
    set: Callable[[Any], object]
    seed: Callable[[int], object]


def _globals_in_use() -> list[_Global]:
    # An accelerator that nobody has used yet is not woken up; torch.manual_seed would seed it too.
    found = [
        _Global(torch.get_rng_state, torch.set_rng_state, torch.default_generator.manual_seed),
        *(
            _Global(kind.get_rng_state_all, kind.set_rng_state_all, kind.manual_seed_all)
            for kind in (torch.cuda, torch.xpu)
            if kind.is_initialized()
        ),
    ]
    if torch.backends.mps.is_available():
        mps = torch.mps
        found.append(_Global(mps.get_rng_state, mps.set_rng_state, mps.manual_seed))
    return found


@contextmanager
def isolated(*keys: int | str) -> Generator[None, None, None]:
    """Seed torch's global generators (dropout draws from them) and give the caller's back after.

    Those of Python and NumPy are not touched.

    Args:
        *keys: What the draws inside are for.

    Yields:
        Nothing.

    Example:
        >>> with isolated(0, "model", 1):
        ...     first = torch.rand(2)
        >>> with isolated(0, "model", 1):
        ...     bool((torch.rand(2) == first).all())
        True
    """
    generators = _globals_in_use()
    states = [each.get() for each in generators]
    try:
        for each in generators:
            each.seed(derive(*keys))
        yield
    finally:
        for each, state in zip(generators, states, strict=True):
            each.set(state)


@contextmanager
def deterministic() -> Generator[None, None, None]:
    """Let cuDNN take only algorithms that give the same bits each time; no effect on a CPU.

    The other operations of a classifier's training have one algorithm each; those of them that add
    with atomics on CUDA (`torch.use_deterministic_algorithms` lists them) stay as they are.

    Yields:
        Nothing.
    """
    cudnn = torch.backends.cudnn
    before = cudnn.deterministic, cudnn.benchmark
    try:
        cudnn.deterministic, cudnn.benchmark = True, False
        yield
    finally:
        cudnn.deterministic, cudnn.benchmark = before

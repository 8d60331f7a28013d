"""A verdict for every image in a few characters, so that two records can be compared in pairs."""

from __future__ import annotations

import base64
import binascii
import hashlib

import numpy as np
import torch
from torch import Tensor

from vicinal._checks import InputError

__all__ = ["fingerprint", "pack", "prints", "unpack"]


def pack(correct: Tensor) -> str:
    """Write verdicts as text, a bit each.

    Args:
        correct: Shape (N,), bool.

    Returns:
        Base64 of the bits, the first image first, filled up with zeros to whole bytes.

    Example:
        >>> pack(torch.tensor([True, False, True]))
        'oA=='
    """
    return base64.b64encode(np.packbits(correct.cpu().numpy()).tobytes()).decode("ascii")


def unpack(text: str, *, n: int) -> Tensor:
    """Read verdicts back.

    Args:
        text: What `pack` wrote.
        n: How many they are.

    Returns:
        Shape (n,), bool.

    Raises:
        InputError: If the text is something else.

    Example:
        >>> unpack("oA==", n=3)
        tensor([ True, False,  True])
    """
    try:
        held = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError, TypeError):
        held = b""
    if len(held) != -(-n // 8):
        raise InputError(f"`right` of a record must hold {n} verdicts; got {text[:20]!r}.")
    bits = np.unpackbits(np.frombuffer(held, dtype=np.uint8), count=n)
    return torch.from_numpy(bits.astype(bool))


def prints(x: Tensor, y: Tensor) -> Tensor:
    """Give every image and its label a number, to tell whether another run judged the same ones.

    Args:
        x: Images (N, C, H, W) in [0, 1]; grey levels of 255 count.
        y: Classes, shape (N,).

    Returns:
        Shape (N,), int64, on the CPU.
    """
    bytes_of = (x.detach().float() * 255).round().to(torch.uint8).cpu().contiguous().numpy()
    classes = y.cpu().tolist()
    shape = repr(tuple(x.shape[1:])).encode()
    found = [
        hashlib.blake2b(image.tobytes() + shape + str(label).encode(), digest_size=8).digest()
        for image, label in zip(bytes_of, classes, strict=True)
    ]
    return torch.tensor([int.from_bytes(one, "big", signed=True) for one in found])


def fingerprint(found: Tensor) -> str:
    """Sum up which images were judged, in which order.

    Args:
        found: What `prints` gave for them, shape (N,).

    Returns:
        Sixteen hexadecimal digits, however the images were cut into batches.
    """
    text = ",".join(str(one) for one in found.tolist())
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()

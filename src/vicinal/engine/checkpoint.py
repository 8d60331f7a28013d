"""Files of a run's state: whole or not at all, and reading one never runs code from it.

A checkpoint (`save`, `load`) holds what a resume needs: tensors, numbers and words. Weights
(`save_weights`, `load_weights`) are a model's parameters and buffers alone, in the safetensors
format, for everyone who only wants the classifier. Both are made in memory first, so a full disk is
an error of one write, and what stood at the path before stays.
"""

from __future__ import annotations

import io
import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from vicinal._checks import InputError
from vicinal.records import atomic

__all__ = ["VERSION", "fill", "load", "load_weights", "save", "save_tensors", "save_weights"]

VERSION = 1
"""Version of both formats; it grows when the meaning of a field changes."""

State = dict[str, Any]


def save(path: Path, state: Mapping[str, Any]) -> None:
    """Write a checkpoint.

    Args:
        path: Where it shall stand; its folder must exist.
        state: Tensors, numbers, words, and lists, tuples and dicts of them.
    """
    buffer = io.BytesIO()
    torch.save({"vicinal_checkpoint": VERSION, "state": dict(state)}, buffer)
    with buffer.getbuffer() as content:
        _write(path, content)


def _write(path: Path, content: bytes | memoryview) -> None:
    with atomic(path) as temporary:
        temporary.write_bytes(content)


def load(path: Path, *, map_location: str | torch.device = "cpu") -> State:
    """Read a checkpoint, its checksums first.

    Args:
        path: A file that `save` wrote.
        map_location: Where the tensors shall be.

    Returns:
        The state.

    Raises:
        InputError: If the file is missing, damaged, of a newer version, no checkpoint of ours, or
            one that would run code.
    """
    _check_sums(path)
    try:
        content = torch.load(path, map_location=map_location, weights_only=True)
    except pickle.UnpicklingError as error:
        raise InputError(
            f"{path} must hold tensors, numbers and words only; it would run code when read, so it "
            "was not. Do you trust where it comes from?"
        ) from error
    except Exception as error:  # damaged bytes can raise anything in torch's reader
        raise InputError(_damaged(path)) from error
    version = content.get("vicinal_checkpoint") if isinstance(content, dict) else None
    if not isinstance(version, int):
        raise InputError(f"{path} must be a checkpoint of a vicinal run; got another torch file.")
    if version > VERSION:
        raise InputError(
            f"{path} has version {version}; this one reads up to {VERSION}. Upgrade vicinal?"
        )
    return dict(content["state"])


def _check_sums(path: Path) -> None:
    # torch.load does not compare the checksums that torch.save writes, so a flipped bit would pass.
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
    except FileNotFoundError as error:
        raise InputError(f"{path} must be a checkpoint; there is no such file.") from error
    except Exception as error:  # damaged bytes can raise anything in zipfile too
        raise InputError(_damaged(path)) from error
    if damaged is not None:
        raise InputError(_damaged(path))


def _damaged(path: Path) -> str:
    return (
        f"{path} cannot be read: it is cut short, damaged or no checkpoint. Put a good copy in its "
        "place, or delete it to start the run again."
    )


def save_weights(path: Path, model: nn.Module) -> None:
    """Write a model's parameters and buffers as safetensors.

    Args:
        path: Where the file shall stand; its folder must exist.
        model: The model; its layout in memory and tied weights do not matter. Equal weights make
            equal files, byte for byte.
    """
    save_tensors(path, model.state_dict())


def save_tensors(path: Path, weights: Mapping[str, Tensor]) -> None:
    """Write a model's parameters and buffers, given by name, as `save_weights` does.

    Args:
        path: Where the file shall stand; its folder must exist.
        weights: What the model's `state_dict` gives.
    """
    tensors = {
        name: tensor.detach().to("cpu", copy=True, memory_format=torch.contiguous_format)
        for name, tensor in weights.items()
    }
    # One entry only: safetensors writes several in random order, so equal weights would differ.
    metadata = {"vicinal_weights": str(VERSION)}
    _write(path, safetensors.torch.save(tensors, metadata=metadata))


def load_weights(path: Path, model: nn.Module) -> None:
    """Read weights into a model: every name and every shape must fit, or nothing is changed.

    Args:
        path: A safetensors file.
        model: The model that takes them, wherever it lives.

    Raises:
        InputError: If the file is missing or damaged, or does not fit.
    """
    try:
        tensors = safetensors.torch.load(path.read_bytes())
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(f"{path} must be a file of weights; {reason.lower()}.") from error
    except (SafetensorError, ValueError, KeyError) as error:
        raise InputError(
            f"{path} cannot be read as safetensors: it is cut short, damaged or of another format. "
            "Put a good copy in its place?"
        ) from error
    fill(model, tensors, source=str(path))


def fill(model: nn.Module, tensors: Mapping[str, Tensor], *, source: str) -> None:
    """Copy tensors into a model whose names and shapes they must match.

    Args:
        model: The model.
        tensors: Its state by name.
        source: Where they come from, for the sentence.

    Raises:
        InputError: If a name is missing or unknown or a shape differs; the model is then unchanged.
    """
    own = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    given = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    differing = sorted(name for name in own.keys() & given.keys() if own[name] != given[name])
    complaints = [
        *_some("it lacks", sorted(own.keys() - given.keys())),
        *_some("the model has no", sorted(given.keys() - own.keys())),
        *(f"{name} is {given[name]}, the model's {own[name]}" for name in differing[:1]),
    ]
    if complaints:
        raise InputError(
            f"{source} does not fit the model: {'; '.join(complaints)}. Another architecture, "
            "width or num_classes?"
        )
    model.load_state_dict(dict(tensors))


def _some(what: str, names: list[str]) -> list[str]:
    if not names:
        return []
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return [f"{what} {names[0]}{more}"]

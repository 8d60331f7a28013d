"""The ledger of an evaluation: what is done of it, batch by batch, so that it can be interrupted.

A batch that an attack has finished becomes one file, under a temporary name first, then renamed:
verdicts, passes, seconds, and where the generator stands. An evaluation that begins again takes it
from there and draws on as if nothing had happened. Adversarial images, where they are wanted, are
files beside, in float32: rounded to bytes, an attack may be lost.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from vicinal import records
from vicinal._checks import InputError
from vicinal.evaluation.results import Verdicts
from vicinal.evaluation.streams import States

__all__ = ["Found", "Images", "Ledger", "adversarial", "content", "digest", "made"]

_PLAIN = ("correct", "norms", "logits", "classes", "prints", "trail", "noted")
_NUMBERS = ("forward", "backward", "seconds", "broken_by")


class Found(NamedTuple):
    """A finished batch: its verdicts, and where the generator stood afterwards."""

    verdicts: Verdicts
    states: States


class Images(NamedTuple):
    """What an attack made of a batch: images (N, C, H, W) and their labels."""

    adv: Tensor
    y: Tensor


@dataclass(frozen=True, kw_only=True)
class Ledger:
    """Finished batches in a folder.

    Args:
        folder: Where they are kept; made where missing. Another setting needs another folder.
        adversarial: Where adversarial images go, a folder for every attack; None for nowhere.
        part: What tells the files of one process from another's; empty where there is one.
        keys: What decides the numbers of an attack beside its name, by name; an attack of the same
            name with another key is another one.

    Example:
        >>> import tempfile
        >>> from vicinal.attacks import FGSM
        >>> from vicinal.evaluation import evaluate
        >>> model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 2))
        >>> pair = torch.rand(4, 1, 4, 4), torch.tensor([0, 1, 0, 1])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     ledger = Ledger(folder=Path(folder))
        ...     first = evaluate(model, pair, attacks={"fgsm": FGSM(eps=0.1)}, ledger=ledger)
        ...     again = evaluate(model, pair, attacks={"fgsm": FGSM(eps=0.1)}, ledger=ledger)
        >>> str(first) == str(again)
        True
    """

    folder: Path
    adversarial: Path | None = None
    part: str = ""
    keys: Mapping[str, str] = field(default_factory=dict)

    def found(self, name: str, batch: int, *, n: int, of: str = "") -> Found | None:
        """Look for a finished batch.

        Args:
            name: The attack's name, or "clean".
            batch: The number of the batch, from 0.
            n: Its images.
            of: What `content` says of them; empty for whatever they are.

        Returns:
            The batch; None where it is not there or not whole, it was made of other images, or its
            adversarial images are missing.
        """
        if name != "clean" and not self._has_images(name, batch):
            return None
        try:
            with safe_open(self._file(name, batch), framework="pt") as file:
                words = json.loads((file.metadata() or {})["verdicts"])
                keys: list[str] = list(file.keys())
                tensors = {key: file.get_tensor(key) for key in keys}
            fields = {key: tensors[key] for key in _PLAIN if key in tensors}
            verdicts = Verdicts(**fields, **{key: words[key] for key in _NUMBERS})
            states = [tensors[f"state{k}"] for k in range(words["states"])]
        except (OSError, SafetensorError, ValueError, KeyError, TypeError):
            return None
        if len(verdicts.correct) != n or (of and words.get("of") != of):
            return None
        return Found(verdicts, states)

    def _has_images(self, name: str, batch: int) -> bool:
        """Tell whether the images that are wanted are there, of this attack and no namesake."""
        file = self._images_of(name, batch)
        if file is None:
            return True
        try:
            with safe_open(file, framework="pt") as held:
                words: dict[str, str] = held.metadata() or {}
            return words.get("key", "") == self.keys.get(name, "")
        except (OSError, SafetensorError):
            return False

    def keep(
        self,
        name: str,
        batch: int,
        verdicts: Verdicts,
        *,
        states: Sequence[Tensor] = (),
        images: Images | None = None,
        of: str = "",
    ) -> None:
        """Keep a finished batch.

        Args:
            name: The attack's name, or "clean".
            batch: The number of the batch, from 0.
            verdicts: What came out.
            states: Where the generator stands.
            images: What the attack made; written only where adversarial images are wanted.
            of: What `content` says of the batch.
        """
        file = self._images_of(name, batch)
        if images is not None and file is not None:
            tensors = {"adv": images.adv.float(), "y": images.y, "correct": verdicts.correct}
            _write(file, tensors, {"attack": name, "key": self.keys.get(name, "")})
        kept = {key: value for key in _PLAIN if (value := getattr(verdicts, key)) is not None}
        kept |= {f"state{k}": state for k, state in enumerate(states)}
        words = {key: getattr(verdicts, key) for key in _NUMBERS}
        words |= {"states": len(states), "of": of}
        _write(self._file(name, batch), kept, {"verdicts": json.dumps(words)})

    def _file(self, name: str, batch: int) -> Path:
        slug = _slug(name, self.keys.get(name, ""))
        return self.folder / f"{slug}-{batch:06d}{self.part}.safetensors"

    def _images_of(self, name: str, batch: int) -> Path | None:
        if self.adversarial is None:
            return None
        return self.adversarial / _slug(name) / f"{batch:06d}{self.part}.safetensors"


def content(x: Tensor, y: Tensor) -> str:
    """Sum up a batch, bit by bit, to tell whether another call has the same one.

    Args:
        x: Images (N, C, H, W).
        y: Classes (N,) or distributions (N, K).

    Returns:
        Sixteen hexadecimal digits.

    Example:
        >>> x, y = torch.zeros(2, 1, 1, 1), torch.tensor([0, 1])
        >>> content(x, y) == content(x + 1e-6, y)
        False
    """
    found = hashlib.blake2b(digest_size=8)
    for tensor in (x, y):
        held = tensor.detach().cpu().contiguous()
        found.update(f"{tuple(held.shape)} {held.dtype}".encode())
        found.update(held.reshape(-1).view(torch.uint8).numpy().tobytes())
    return found.hexdigest()


def _slug(name: str, key: str = "") -> str:
    """Name files after an attack: its first word, and a digest of all of it."""
    word = "".join(c for c in name.partition("(")[0] if c.isalnum() or c in "_-")[:24]
    return f"{word}-{hashlib.sha256((name + key).encode()).hexdigest()[:10]}"


def _write(path: Path, tensors: Mapping[str, Tensor], metadata: dict[str, str]) -> None:
    made(path.parent)
    held = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with records.atomic(path) as temporary:
        temporary.write_bytes(safetensors.torch.save(held, metadata=metadata))


def made(folder: Path) -> Path:
    """Make a folder, or say in one sentence why that cannot be.

    Args:
        folder: The folder.

    Returns:
        The folder.

    Raises:
        InputError: If it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"could not make the folder {folder}: {error.strerror or error}. Choose another?"
        ) from error
    return folder


def adversarial(folder: str | Path) -> dict[str, dict[str, Tensor]]:
    """Read the adversarial images that an evaluation has saved.

    Args:
        folder: What `Ledger.adversarial`, or `--save-adversarial`, named.

    Returns:
        For every attack by its full name: `adv` (N, C, H, W) float32, `y` and `correct`, in the
        order of the images.

    Raises:
        InputError: If there are none.
    """
    found: dict[str, dict[str, list[Tensor]]] = {}
    for path in sorted(Path(folder).glob("*/*.safetensors"), key=_place):
        with safe_open(path, framework="pt") as file:
            name = (file.metadata() or {})["attack"]
            parts = found.setdefault(name, {"adv": [], "y": [], "correct": []})
            for key, tensors in parts.items():
                tensors.append(file.get_tensor(key))
    if not found:
        raise InputError(f"{folder} holds no adversarial images; `--save-adversarial` writes them.")
    return {name: {k: torch.cat(v) for k, v in parts.items()} for name, parts in found.items()}


def _place(path: Path) -> tuple[str, list[int]]:
    """Order files as their images stand: by batch, then by process, as numbers."""
    return path.parent.name, [int(digits) for digits in re.findall(r"\d+", path.stem)]


def digest(facts: Mapping[str, Any]) -> str:
    """Give a short name to a setting, the same for the same facts.

    Args:
        facts: What decides the numbers, as JSON can hold it.

    Returns:
        Sixteen hexadecimal digits.
    """
    text = json.dumps(facts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]

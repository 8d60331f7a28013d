"""Results as lines of JSON, and files that appear whole or not at all.

One line is one result. Every line carries the version of the schema and its kind; the kinds and
their fields stand in docs/results.md. This room imports no torch, so that tables and pages build
in a blink.
"""

from __future__ import annotations

import json
import math
import numbers
import os
import tempfile
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vicinal._errors import InputError

__all__ = ["SCHEMA", "Record", "append", "atomic", "line", "read", "rewrite", "write_text"]

SCHEMA = 1
"""Version of the record format; it grows when the meaning of a field changes."""

Record = dict[str, Any]


@contextmanager
def atomic(path: Path) -> Generator[Path]:
    """Write a file under a temporary name beside its own, then rename it: whole or not at all.

    Args:
        path: Where the file shall stand; its folder must exist.

    Yields:
        The temporary path to write to. After an exception it is removed and `path` is untouched.

    Raises:
        InputError: If the disk is full or the folder cannot be written.
    """
    temporary: Path | None = None
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".partial", dir=path.parent)
        os.close(handle)
        temporary = Path(name)
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    except OSError as error:
        raise InputError(
            f"could not write {path}: {error.strerror or error}. What stood there before is "
            "unchanged; free some space or choose another folder, then go on."
        ) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically.

    Args:
        path: Where the file shall stand.
        text: Its content.
    """
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def append(path: Path, record: Mapping[str, Any]) -> None:
    """Append one record as a line; the schema's version is added.

    Args:
        path: A `.jsonl` file, created when missing. A last line that a kill cut short is dropped.
        record: JSON-able fields; NaN and infinity become null.

    Raises:
        InputError: If the disk is full or the file cannot be written.
    """
    text = line(record)
    try:
        _drop_partial_line(path)
        with path.open("a", encoding="utf-8") as file:
            file.write(text + "\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise InputError(f"could not write {path}: {error.strerror or error}.") from error


def _drop_partial_line(path: Path) -> None:
    if not path.exists() or path.stat().st_size == 0:
        return
    with path.open("rb+") as file:
        content = file.read()
        if not content.endswith(b"\n"):
            file.truncate(content.rfind(b"\n") + 1)


def line(record: Mapping[str, Any]) -> str:
    """Write one record as a line of JSON; the schema's version is added.

    Args:
        record: JSON-able fields; NaN and infinity become null.

    Returns:
        The line, without its end.

    Example:
        >>> line({"kind": "epoch", "loss": float("nan")})
        '{"schema": 1, "kind": "epoch", "loss": null}'
    """
    versioned = _finite({"schema": SCHEMA, **record})
    return json.dumps(versioned, allow_nan=False, separators=(", ", ": "))


def _finite(value: Any) -> Any:  # ruff: ignore[any-type] — JSON values have no narrower type
    if isinstance(value, (bool, int)):
        return value
    if isinstance(value, numbers.Integral):  # NumPy's integers, which json does not know
        return int(value)
    if isinstance(value, (float, numbers.Real)):
        number = float(value)
        return number if math.isfinite(number) else None
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return value


def read(path: Path, *, keep: Callable[[Record], bool] | None = None) -> list[Record]:
    """Read the records of a `.jsonl` file; a last line that a kill cut short is left out.

    Args:
        path: The file; a missing one has no records.
        keep: Which records to return; all when not given.

    Returns:
        The records in order.

    Raises:
        InputError: If a complete line is no JSON object or of a newer schema.
    """
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
    found = [
        _parse(text, path, number) for number, text in enumerate(lines[:-1], 1) if text.strip()
    ]
    return [record for record in found if keep is None or keep(record)]


def _parse(text: str, path: Path, number: int) -> Record:
    try:
        record = json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(f"{path} line {number} is not JSON: {error.msg}.") from error
    if not isinstance(record, dict):
        raise InputError(f"{path} line {number} must be a JSON object; got {text[:40]!r}.")
    schema = record.get("schema", 0)
    if not isinstance(schema, int) or schema > SCHEMA:
        raise InputError(
            f"{path} line {number} has schema {schema!r}; this version reads up to "
            f"{SCHEMA}. Upgrade vicinal?"
        )
    return record


def rewrite(path: Path, records: Iterable[Mapping[str, Any]]) -> None:
    """Replace all records of a file atomically.

    Args:
        path: A `.jsonl` file.
        records: What it shall hold.
    """
    write_text(path, "".join(f"{line(record)}\n" for record in records))

from __future__ import annotations

import codecs
import os
import pickle
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from vicinal._checks import InputError
from vicinal.data.cifar_pickle import read_pickle, uint8_array

PIXELS = np.random.default_rng(0).integers(0, 256, (4, 300)).astype(np.uint8)


def python2_string(text: bytes) -> bytes:
    if len(text) < 256:
        return b"U" + bytes([len(text)]) + text
    return b"T" + struct.pack("<i", len(text)) + text


def python2_array(x: NDArray[np.uint8]) -> bytes:
    """Write the opcodes of Python 2's cPickle, protocol 2, for a NumPy 1 array of two axes."""
    empty = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\n" + (
        b"K\x00\x85" + python2_string(b"b") + b"\x87R"
    )
    dtype = (
        b"cnumpy\ndtype\n"
        + (python2_string(b"u1") + b"K\x00K\x01\x87R")
        + (b"(K\x03" + python2_string(b"|") + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb")
    )
    shape = b"".join(b"J" + struct.pack("<i", size) for size in x.shape) + b"\x86"
    return empty + b"(K\x01" + shape + dtype + b"\x89" + python2_string(x.tobytes()) + b"tb"


def python2_batch(x: NDArray[np.uint8], labels: list[int]) -> bytes:
    """Write a batch as the authors' files have it: byte strings for keys, names and pixels."""
    numbers = b"](" + b"".join(b"K" + bytes([label]) for label in labels) + b"e"
    items = (
        (python2_string(b"batch_label") + python2_string(b"training batch 1 of 5"))
        + (python2_string(b"labels") + numbers)
        + (python2_string(b"data") + python2_array(x))
    )
    return b"\x80\x02}(" + items + b"u."


def modern(x: object, protocol: int = 2) -> bytes:
    return pickle.dumps({b"data": x, b"labels": [3, 1, 4, 1]}, protocol=protocol)


def write(folder: Path, content: bytes) -> Path:
    path = folder / "data_batch_1"
    path.write_bytes(content)
    return path


def numpy1(content: bytes) -> bytes:
    return content.replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n")


def numpy2(content: bytes) -> bytes:
    return content.replace(b"cnumpy.core.multiarray\n", b"cnumpy._core.multiarray\n")


@pytest.mark.parametrize(
    "content",
    [python2_batch(PIXELS, [3, 1, 4, 1]), numpy1(modern(PIXELS)), numpy2(modern(PIXELS))],
    ids=["python2", "numpy1", "numpy2"],
)
def test_arrays_and_labels_come_out_as_the_ordinary_unpickler_gives_them(
    tmp_path: Path, content: bytes
) -> None:
    path = write(tmp_path, content)
    found = read_pickle(path)
    assert found[b"labels"] == [3, 1, 4, 1]
    assert np.array_equal(uint8_array(path, found, b"data"), PIXELS)
    ordinary = pickle.loads(numpy2(content), encoding="bytes")
    assert np.array_equal(ordinary[b"data"], PIXELS), "the test's own writer is wrong"


def test_arrays_in_fortran_order_keep_their_order(tmp_path: Path) -> None:
    path = write(tmp_path, modern(np.asfortranarray(PIXELS)))
    assert np.array_equal(uint8_array(path, read_pickle(path), b"data"), PIXELS)


class Call:
    """Pickles as a call of any function."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


def test_a_pickle_that_would_make_a_folder_is_refused_and_makes_none(tmp_path: Path) -> None:
    target = tmp_path / "made"
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        content = modern(Call(os.mkdir, str(target)), protocol)
        with pytest.raises(InputError, match=r"data_batch_1 asks to run \w+\.mkdir, .*nothing"):
            read_pickle(write(tmp_path, content))
        assert not target.exists()
    pickle.loads(content)
    assert target.exists(), "the pickle was not dangerous, so the test said nothing"


@pytest.mark.parametrize(
    "name",
    [
        "os system",
        "posix system",
        "builtins eval",
        "__builtin__ eval",
        "builtins getattr",
        "copyreg _reconstructor",
        "numpy load",
        "numpy frombuffer",
        "numpy.core.multiarray scalar",
        "numpy._core.multiarray fromfile",
        "_codecs decode",
        "codecs encode",
        "vicinal.data.cifar_pickle read_pickle",
    ],
)
def test_every_other_name_is_refused_already_when_it_is_looked_up(
    tmp_path: Path, name: str
) -> None:
    module, function = name.split()
    content = f"\x80\x02c{module}\n{function}\n.".encode("latin1")
    with pytest.raises(InputError, match=rf"asks to run {module}\.{function}"):
        read_pickle(write(tmp_path, content))


@pytest.mark.parametrize(
    "x",
    [
        PIXELS.astype(np.int64),
        PIXELS / 255,
        np.array([None, {}], dtype=object),
        np.array(["a"]),
        np.zeros(2, dtype=[("f", "u1")]),
    ],
    ids=["int64", "float64", "object", "text", "record"],
)
def test_arrays_of_anything_but_bytes_are_refused(tmp_path: Path, x: object) -> None:
    with pytest.raises(InputError, match=r"dtype .* where uint8 is needed"):
        read_pickle(write(tmp_path, modern(x)))


@pytest.mark.parametrize(
    "content",
    [
        # An array's class is called with a buffer; a class and a function are given attributes.
        b"\x80\x02cnumpy\nndarray\nK\x02\x85R}b.",
        b"\x80\x02cnumpy\nndarray\n(N}X\x06\x00\x00\x00valuesK\x01stb.",
        b"\x80\x02cnumpy\ndtype\n(N}X\x08\x00\x00\x00__init__K\x01stb.",
        b"\x80\x02Xid\x00\x00.",
        b"\x80\x02K\x01Q.",
        b"\x80\x02\x82\x01.",
    ],
)
def test_strange_programs_are_refused_in_one_sentence(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(InputError, match="data_batch_1"):
        read_pickle(write(tmp_path, content))
    path = write(tmp_path, modern(PIXELS))
    assert np.array_equal(uint8_array(path, read_pickle(path), b"data"), PIXELS)


def test_no_codec_but_that_of_bytes_is_looked_up(tmp_path: Path) -> None:
    content = pickle.dumps({b"data": Call(codecs.encode, "a", "rot13")}, protocol=2)
    with pytest.raises(InputError, match="codec 'rot13' where latin1 is needed"):
        read_pickle(write(tmp_path, content))


@pytest.mark.parametrize("content", [python2_batch(PIXELS, [1, 2]), modern(PIXELS)])
def test_a_file_cut_short_anywhere_is_refused(tmp_path: Path, content: bytes) -> None:
    for end in [*range(0, len(content), 37), len(content) - 1]:
        with pytest.raises(InputError, match="data_batch_1 is cut short or damaged"):
            read_pickle(write(tmp_path, content[:end]))


def test_an_array_with_fewer_bytes_than_its_shape_is_refused(tmp_path: Path) -> None:
    content = python2_batch(PIXELS, [1]).replace(
        python2_string(PIXELS.tobytes()), python2_string(PIXELS.tobytes()[:-1])
    )
    with pytest.raises(InputError, match="cut short or damaged"):
        read_pickle(write(tmp_path, content))


def test_one_dictionary_and_nothing_after_it(tmp_path: Path) -> None:
    for content in (pickle.dumps([1]), modern(PIXELS) + b"more"):
        with pytest.raises(InputError, match="one pickled dictionary and nothing after"):
            read_pickle(write(tmp_path, content))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="data_batch_1 is missing or unreadable"):
        read_pickle(tmp_path / "data_batch_1")


def test_what_is_no_array_is_not_taken_for_one(tmp_path: Path) -> None:
    path = write(tmp_path, modern(PIXELS))
    found = read_pickle(path)
    for key in (b"labels", b"nothing"):
        with pytest.raises(InputError, match=f"must hold a uint8 array under the key {key!r}"):
            uint8_array(path, found, key)

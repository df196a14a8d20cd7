"""Arrays of labels in numpy's files: numbers as they are, a pickled dictionary without unpickling.

`numpy.save` of a dictionary is a header and a pickle of an array of one object. The pickle's
instructions are read into records (`dataio.pickle_records`); the few names that an array is made
with are answered here, and nothing else is built.
"""

from __future__ import annotations

import io
import os
import re
from pathlib import Path

import numpy as np

from dataio.array_files import HEADER, MOST_HEADER, array_header
from dataio.pickle_records import Stateful, quoted, read_pickle

MAGIC = b"\x93NUMPY"
MOST_BYTES = 1 << 30  # the largest of PartialSpoof, 71,237 recordings at 0.01 s, has 100 MB
MOST_OPCODES = 20_000_000
TYPE = re.compile(r"[UO]\d{1,4}|[iub][1248]")


def is_array_file(path: str | os.PathLike) -> bool:
    """Whether a file is numpy's, or a pickle."""
    with open(path, "rb") as stream:
        head = stream.read(6)
    return head == MAGIC or (head[:1] == b"\x80" and head[1:2] in b"\2\3\4\5")


def read_label_arrays(path: str | os.PathLike) -> np.ndarray | dict[str, np.ndarray]:
    """Labels (N,) int64 of one recording, or of each by its name; ValueError for anything else."""
    size = Path(path).stat().st_size
    if size > MOST_BYTES:
        raise ValueError(f"it has {size} bytes, more than {MOST_BYTES}")
    stream = io.BytesIO(Path(path).read_bytes())
    if stream.getbuffer()[:6] == MAGIC and not _skip_object_header(stream):
        shape, dtype = array_header(stream, size)
        if len(shape) != 1 or dtype.kind not in "iubU":
            raise ValueError(f"an array {shape} of {dtype}: expected labels (N,)")
        return _numbers(np.frombuffer(stream.read(), dtype))
    found = read_pickle(stream, BUILDERS, most_opcodes=MOST_OPCODES)
    if isinstance(found, _Array):
        found = found.data[0] if isinstance(found.data, list) and len(found.data) == 1 else None
    if not isinstance(found, dict) or not all(isinstance(name, str) for name in found):
        raise ValueError("its pickle holds no dictionary of recordings")
    return {name: _labels(value, name) for name, value in found.items()}


def _skip_object_header(stream: io.BytesIO) -> bool:
    """Whether the file is an array of objects; the stream is then behind its header."""
    head = stream.read(8)
    width = 2 if head[6:7] == b"\1" else 4
    header = stream.read(min(int.from_bytes(stream.read(width), "little"), MOST_HEADER))
    found = HEADER.fullmatch(header.decode("latin-1").strip())
    if found is not None and found["kind"] == "O":
        return True
    stream.seek(0)
    return False


def _labels(value: object, name: str) -> np.ndarray:
    """A recording's labels (N,) of an array or a list, of numbers or of texts."""
    values = value.values() if isinstance(value, _Array) else value
    if isinstance(values, list) and all(isinstance(v, (str, int)) for v in values):
        values = np.array([str(v)[:8] for v in values], dtype="U8")
    if not isinstance(values, np.ndarray):
        raise ValueError(f"{quoted(name)!r} has no list of labels")
    return _numbers(values)


def _numbers(values: np.ndarray) -> np.ndarray:
    if values.dtype.kind != "U":
        return values.astype(np.int64)
    is_one = values == "1"
    if not (is_one | (values == "0")).all():
        raise ValueError("a label is neither '0' nor '1'")
    return is_one.astype(np.int64)


class _Type(Stateful):
    """A numpy dtype: its code, and the byte order that comes after it."""

    def __init__(self, code: object = "", *_: object):
        if not isinstance(code, str) or not TYPE.fullmatch(code):
            raise ValueError(f"an array of type {quoted(code)}: expected texts or numbers")
        self.code, self.order = code, "<"

    def take(self, state: object) -> None:
        order = state[1] if isinstance(state, tuple) and len(state) > 1 else None
        if order not in ("<", "|", "=", ">"):
            raise ValueError("an array type without a byte order")
        self.order = order

    def dtype(self) -> np.dtype:
        return np.dtype(self.order + self.code)


class _Array(Stateful):
    """A numpy array: shape, type and the bytes or objects it holds."""

    def __init__(self, *_: object):
        self.shape: tuple = ()
        self.type: _Type | None = None
        self.data: bytes | list = b""

    def take(self, state: object) -> None:
        if not isinstance(state, tuple) or len(state) != 5:
            raise ValueError("an array of another form")
        _, self.shape, self.type, _, self.data = state
        if isinstance(self.data, str):  # of protocol 2: bytes as Latin-1
            self.data = self.data.encode("latin-1")
        plain = isinstance(self.shape, tuple) and isinstance(self.type, _Type)
        if not plain or not isinstance(self.data, (bytes, bytearray, list)):
            raise ValueError("an array of another form")

    def values(self) -> np.ndarray | list:
        if isinstance(self.data, list):
            return self.data
        if self.type is None or self.type.code[0] == "O":
            raise ValueError("an array without content")
        dtype = self.type.dtype()
        count = len(self.data) // max(dtype.itemsize, 1)
        if self.shape != (count,) or count * dtype.itemsize != len(self.data):
            raise ValueError(f"an array that is no list, or not whole: {len(self.data)} bytes")
        return np.frombuffer(bytes(self.data), dtype)


def _of_bytes(data: object, of_type: object, shape: object, *_: object) -> _Array:
    """`numpy._core.numeric._frombuffer`, by which protocol 5 writes an array."""
    found = _Array()
    found.take((1, shape, of_type, False, data))
    return found


def _encoded(text: object, *_: object) -> bytes:
    """`_codecs.encode`, by which protocol 2 writes bytes."""
    if not isinstance(text, str):
        raise ValueError("bytes of another form")
    return text.encode("latin-1", "replace")


BUILDERS = {
    "numpy.dtype": _Type,
    "numpy.core.multiarray._reconstruct": _Array,
    "numpy._core.multiarray._reconstruct": _Array,
    "numpy.core.numeric._frombuffer": _of_bytes,
    "numpy._core.numeric._frombuffer": _of_bytes,
    "_codecs.encode": _encoded,
}

"""Arrays of numpy's .npy and .npz files as strangers send them: nothing is unpickled, and no more
is read, or made room for, than what was asked for and the file can hold."""

from __future__ import annotations

import math
import os
import re
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np

# Besides ValueError and OSError: what zipfile raises for a damaged, encrypted or foreign archive.
UNREADABLE = (
    ValueError, OSError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error,
)  # fmt: skip
HEADER = re.compile(  # of numbers, flags and texts
    r"\{'descr': '(?P<order>[<>|=]?)(?P<kind>[fiubUSO])(?P<size>\d{0,6})', "
    r"'fortran_order': (?P<fortran>True|False), 'shape': \((?P<shape>(\d{1,18},? ?){0,8})\),? ?\}"
)
MOST_HEADER = 10_000
MOST_UNPACKED = 100  # times the file's own size: IDs shrink to a 30th, a bomb to a 1000th
MOST_MEMBERS = 10_000


def array_header(stream: BinaryIO, size: int) -> tuple[tuple[int, ...], np.dtype]:
    """Shape and type of the .npy array that begins here, of `size` bytes with its header.

    `ValueError` for an object array, one stored column by column, or other sizes than it states.
    """
    magic = stream.read(8)
    width = {b"\x93NUMPY\x01\x00": 2, b"\x93NUMPY\x02\x00": 4, b"\x93NUMPY\x03\x00": 4}.get(magic)
    if width is None:
        raise ValueError("it is no numpy array, or of a format that is not known")
    length = int.from_bytes(stream.read(width), "little")
    # Its own form alone: numpy would have Python compile whatever stands here.
    header = stream.read(min(length, MOST_HEADER)).decode("latin-1")
    found = HEADER.fullmatch(header.strip())
    if found is None:
        what = " of a type that is no number or text" if "descr" in header else ""
        raise ValueError(f"its header is damaged, or{what or ' of another form'}: {header[:60]!r}")
    if found["kind"] == "O":
        raise ValueError("it holds Python objects, which are never unpickled")
    shape = tuple(int(word) for word in found["shape"].split(",") if word.strip())
    try:
        dtype = np.dtype(found["order"] + found["kind"] + found["size"])
    except TypeError as error:
        raise ValueError(f"its header is damaged ({error})") from None
    if found["fortran"] == "True" and len(shape) > 1:
        raise ValueError("it is stored column by column: save it with numpy.ascontiguousarray")
    told = math.prod(shape) * dtype.itemsize  # Python's integers: no overflow
    if told != size - 8 - width - length:
        raise ValueError(f"its shape {shape} of {dtype} does not fit its {size} bytes")
    return shape, dtype


class ArrayArchive:
    """An .npz of which single arrays are read: `names`, `header(name)`, `read(name)`."""

    def __init__(self, archive: zipfile.ZipFile, file_size: int):
        members = [m for m in archive.infolist() if m.filename.endswith(".npy")]
        self._members = {m.filename.removesuffix(".npy"): m for m in members}
        self._archive, self._most = archive, MOST_UNPACKED * file_size
        if len(self._members) < len(members) or len(members) > MOST_MEMBERS:
            raise ValueError("it has an array twice, or too many")

    @property
    def names(self) -> list[str]:
        return list(self._members)

    def __contains__(self, name: str) -> bool:
        return name in self._members

    @contextmanager
    def stream(self, name: str) -> Iterator[tuple[BinaryIO, tuple[int, ...], np.dtype]]:
        """An array's values as a stream of bytes behind its header, with its shape and type."""
        if name not in self._members:
            raise ValueError(f"it has no array {name[:60]!r}")
        member = self._members[name]
        if member.file_size > self._most:
            raise ValueError(f"its array {name[:60]!r} unpacks to {member.file_size} bytes")
        with self._archive.open(member) as stream:
            try:
                yield stream, *array_header(stream, member.file_size)
            except ValueError as error:
                raise ValueError(f"its array {name[:60]!r}: {error}") from None

    def header(self, name: str) -> tuple[tuple[int, ...], np.dtype]:
        with self.stream(name) as (_, shape, dtype):
            return shape, dtype

    def read(self, name: str) -> np.ndarray:
        """The whole array; one of floats that are not finite is for the caller to refuse."""
        with self.stream(name) as (stream, shape, dtype):
            data = stream.read(math.prod(shape) * dtype.itemsize + 1)
            return np.frombuffer(data, dtype).reshape(shape).copy()


@contextmanager
def open_arrays(path: str | os.PathLike) -> Iterator[ArrayArchive]:
    """An .npz file; raises what `UNREADABLE` lists where it is none."""
    with zipfile.ZipFile(path) as archive:
        yield ArrayArchive(archive, Path(path).stat().st_size)

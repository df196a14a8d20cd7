"""Arrays of numpy's .npy and .npz files as strangers send them: nothing is unpickled, and no more
is read, or made room for, than what was asked for and the file can hold."""

from __future__ import annotations

import math
import os
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
KINDS = "fiubUS"  # of numbers, flags and texts
MOST_UNPACKED = 100  # times the file's own size: IDs shrink to a 30th, a bomb to a 1000th
MOST_MEMBERS = 10_000


def array_header(stream: BinaryIO, size: int) -> tuple[tuple[int, ...], np.dtype]:
    """Shape and type of the .npy array that begins here, of `size` bytes with its header.

    `ValueError` for an object array, one stored column by column, or other sizes than it states.
    """
    version = np.lib.format.read_magic(stream)
    read_header = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }.get(version)
    if read_header is None:
        raise ValueError(f"array format {version} is not supported")
    before = stream.tell()
    try:
        shape, fortran_order, dtype = read_header(stream)
    except (RecursionError, MemoryError, TypeError, SyntaxError) as error:  # a header of brackets
        raise ValueError(f"its header is damaged ({type(error).__name__})") from None
    if dtype.hasobject:
        raise ValueError("it holds Python objects, which are never unpickled")
    if dtype.kind not in KINDS or dtype.subdtype:
        raise ValueError(f"it holds the type {str(dtype)[:60]}: expected numbers or texts")
    if fortran_order and len(shape) > 1:
        raise ValueError("it is stored column by column: save it with numpy.ascontiguousarray")
    told = math.prod(shape) * dtype.itemsize  # Python's integers: no overflow
    if min(shape, default=0) < 0 or told != size - (stream.tell() - before) - 8:
        dims = ", ".join(str(n) if abs(n) < 1 << 63 else "..." for n in shape[:8])
        raise ValueError(f"its shape ({dims}) of {dtype} does not fit its {size} bytes")
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

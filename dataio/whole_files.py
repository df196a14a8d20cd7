"""The one way to write: files that appear whole, and one sentence where they cannot.

A file is made anew under a random name beside its own (a link planted there is never followed),
with the modes of the umask, and takes its name when it is complete. A full disk, a quota, a
read-only place end as `UserError` with the remedy, and leave neither a part nor a changed file.
"""

from __future__ import annotations

import contextlib
import csv
import errno
import io
import os
import secrets
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import IO

from dataio.schema import UserError

# What a disk says when it takes no more, whoever writes there.
NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS})
_REMEDIES = {
    errno.ENOSPC: "free some space on its disk, or name another place",
    errno.EDQUOT: "your quota there is used up, remove some files or name another place",
    errno.EFBIG: "raise the limit on the size of a file (ulimit -f)",
    errno.EROFS: "its disk is read-only, name another place",
    errno.ENAMETOOLONG: "give it a shorter name",
    errno.EISDIR: "name a file",
    errno.ENOTDIR: "what it names as a folder is a file, name another place",
}
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
_MORE = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0)


class CannotWrite(UserError):
    """What the system said of writing a file, and the remedy."""


def cannot_write(path: str | os.PathLike, error: OSError | ValueError) -> CannotWrite:
    """The sentence for what the system said of writing `path`."""
    number = getattr(error, "errno", None)
    said = getattr(error, "strerror", None) or str(error)
    if isinstance(error, FileExistsError) and error.filename:
        said = f"{error.filename} is no folder"
    return CannotWrite(
        f"cannot write {os.fspath(path)} ({said}): {_REMEDIES.get(number, 'name another place')}"
    )


def _raise_if_full(path: Path, error: BaseException | None) -> None:
    """What a library's own writing said inside a `with` of this module."""
    if isinstance(error, OSError) and error.errno in NO_ROOM:
        raise cannot_write(path, error) from error


class _Guarded(io.FileIO):
    """A file open for writing whose errors are sentences that name `path`."""

    def __init__(self, name: str | os.PathLike, flags: int, path: Path):
        self.path = path
        try:
            super().__init__(os.open(name, flags | getattr(os, "O_CLOEXEC", 0), 0o666), "wb")
        except (OSError, ValueError) as error:  # ValueError: a NUL in the name
            raise cannot_write(path, error) from error

    def write(self, data) -> int:
        try:
            return self._write(data)
        except OSError as error:
            raise cannot_write(self.path, error) from error

    _write = io.FileIO.write

    def truncate(self, size=None) -> int:
        try:
            return super().truncate(size)
        except OSError as error:
            raise cannot_write(self.path, error) from error

    def close(self) -> None:
        try:
            super().close()
        except OSError as error:  # a network's disk may say only now that it is full
            raise cannot_write(self.path, error) from error


def _stream(raw: _Guarded, binary: bool) -> IO:
    """Buffered bytes, or text in which names that are not UTF-8 pass through unchanged."""
    buffered = io.BufferedWriter(raw, buffer_size=1 << 17)
    if binary:
        return buffered
    return io.TextIOWrapper(buffered, encoding="utf-8", errors="surrogateescape", newline="")


class whole_file:
    """`with whole_file(path) as stream:` text (or bytes) that appears under `path` when complete.

    UserError where nothing can be written. Outside a `with`, `open` it and then `publish` or
    `discard`; until then what is written lies in `temporary`. A device or a pipe of the shell
    (/dev/stdout, /dev/fd/63) is written as it is.
    """

    def __init__(self, path: str | os.PathLike, *, binary: bool = False):
        self.path, self.binary = Path(path), binary
        self.temporary = _aside(self.path)
        self._device = is_device(self.path)
        self.stream: IO | None = None

    def open(self) -> IO:
        make_folder(self.path.parent, for_file=self.path)
        _refuse_what_never_works(self.path)
        if self._device:
            raw = _Guarded(self.path, os.O_WRONLY | os.O_APPEND, self.path)
        else:
            raw = _Guarded(self.temporary, _NEW, self.path)
        self.stream = _stream(raw, self.binary)
        return self.stream

    def publish(self) -> None:
        try:
            self.stream.close()
            if not self._device:
                os.replace(self.temporary, self.path)
        except OSError as error:
            raise cannot_write(self.path, error) from error
        finally:
            self.discard()

    def discard(self) -> None:
        if self.stream is not None:
            with contextlib.suppress(UserError):  # that the disk is full was said before
                self.stream.close()
            self.temporary.unlink(missing_ok=True)

    def __enter__(self) -> IO:
        return self.open()

    def __exit__(self, kind, value, traceback) -> None:
        if kind is None:
            self.publish()
        else:
            self.discard()
            _raise_if_full(self.path, value)


class whole_table:
    """A CSV that appears whole if any row is added; if none is, a former one goes."""

    def __init__(self, path: str | os.PathLike, header: Sequence[str]):
        self.path, self._header = Path(path), header
        self._file: whole_file | None = None

    def __enter__(self) -> whole_table:
        return self

    def add(self, rows: Iterable[Sequence]) -> None:
        if self._file is None:
            self._file = whole_file(self.path)
            self._writer = csv.writer(self._file.open(), lineterminator="\n")
            self._writer.writerow(self._header)
        self._writer.writerows(rows)

    def __exit__(self, kind, *_) -> None:
        if self._file is None:
            if kind is None:
                remove(self.path)
        elif kind is None:
            self._file.publish()
        else:
            self._file.discard()

    def __bool__(self) -> bool:
        """Whether there are rows."""
        return self._file is not None


class whole_folder:
    """`with whole_folder(path) as aside:` a folder that appears under `path` when all is in it.

    One that another process made meanwhile stays, and this one's goes.
    """

    def __init__(self, path: str | os.PathLike):
        self.path = Path(path)
        self.temporary = _aside(self.path)

    def __enter__(self) -> Path:
        try:
            self.temporary.mkdir()
        except OSError as error:
            raise cannot_write(self.path, error) from error
        return self.temporary

    def __exit__(self, kind, value, traceback) -> None:
        try:
            _raise_if_full(self.path, value)
            if kind is None:
                os.rename(self.temporary, self.path)
        except OSError as error:
            if not self.path.is_dir():
                raise cannot_write(self.path, error) from error
        finally:
            shutil.rmtree(self.temporary, ignore_errors=True)


def whole_link(path: Path, target: str) -> None:
    """Make, or put in the place of what is there, a symbolic link to `target`."""
    temporary = _aside(path)
    try:
        temporary.symlink_to(target)
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise cannot_write(path, error) from error


def new_file(path: str | os.PathLike, *, binary: bool = False) -> IO:
    """Open a file that must not be there yet, for what lies in a folder of one's own."""
    return _stream(_Guarded(path, _NEW, Path(path)), binary)


def reserve(path: Path, size: int) -> None:
    """Make a file of `size` bytes that the disk has set aside, to be mapped into memory."""
    remove(path)
    with _Guarded(path, _NEW, path) as file:
        try:
            os.posix_fallocate(file.fileno(), 0, size)
        except OSError as error:
            remove(path)
            raise cannot_write(path, error) from error


def append_file(path: str | os.PathLike, *, binary: bool = False) -> IO:
    """Open a file to add to its end: journals and records; a link in its place is refused."""
    return _stream(_Guarded(path, _MORE, Path(path)), binary)


def make_folder(path: str | os.PathLike, *, for_file: Path | None = None) -> None:
    """Make a folder and those above it; UserError names it, or the file it is made for."""
    try:
        os.makedirs(path, exist_ok=True)
    except (OSError, ValueError) as error:
        raise cannot_write(for_file or path, error) from error


def remove(path: str | os.PathLike) -> None:
    """Remove a file if it is there; UserError where that is not allowed."""
    try:
        Path(path).unlink(missing_ok=True)
    except OSError as error:
        raise cannot_write(path, error) from error


def write_text(path: str | os.PathLike, text: str) -> None:
    """Write a small text file."""
    with whole_file(path) as stream:
        stream.write(text)


def write_bytes(path: str | os.PathLike, data: bytes | memoryview) -> None:
    """Write bytes that are at hand whole."""
    with whole_file(path, binary=True) as stream:
        stream.write(data)


def write_sound(path: str | os.PathLike, samples, rate: int, subtype: str) -> None:
    """Write a wav, flac or mp3 file, as its name ends, from samples (T,) or (T, C)."""
    import soundfile

    # In memory first: libsndfile passes over what a disk says.
    encoded = io.BytesIO()
    container = Path(path).suffix[1:].upper()
    soundfile.write(encoded, samples, rate, subtype=subtype, format=container)
    write_bytes(path, encoded.getbuffer())


def _aside(path: Path) -> Path:
    """A name beside `path` that nobody can foresee, and that is not too long."""
    return path.parent / f".{path.name[:50]}.{secrets.token_hex(6)}.part"


def is_device(path: Path) -> bool:
    """Whether a path is the shell's or the system's, written as it comes: /dev/stdout."""
    parts = path.absolute().parts
    return parts[1:2] in (("dev",), ("proc",)) and parts[2:3] != ("shm",)


def _refuse_what_never_works(path: Path) -> None:
    """`UserError` for a folder, or a name that no file can have: before the work is done."""
    try:
        os.lstat(path)
    except FileNotFoundError:
        return
    except (OSError, ValueError) as error:
        raise cannot_write(path, error) from error
    if path.is_dir():
        raise cannot_write(path, IsADirectoryError(errno.EISDIR, "it is a folder"))

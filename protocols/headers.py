"""Reading the audio headers of millions of files: in parallel, in order, and only what changed."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TypeVar

from dataio.probe import AudioHeader, UnreadableAudio, probe
from dataio.schema import UserError
from protocols.parallel import map_in_order

CHUNK_FILES = 256
CACHE_VERSION = 3  # raise it when dataio.probe reads a header differently
COMMIT_SECONDS = 1.0  # a kill loses at most this much probing
MISSING, UNREADABLE = "missing", "unreadable"
NO_STAMP = -1, -1  # size and time that no file has: it is looked at again

Entry = TypeVar("Entry")
# What is known of a file: (size, mtime in ns, frames, rate, channels, encoding, bits, reason);
# a reason in words means that it is unreadable.
KNOWN = int, int, int, int, int, str, int, str
Known = tuple[int, int, int, int, int, str, int, str]


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a file has no header: `kind` is `missing` or `unreadable`, `reason` says more."""

    kind: str
    reason: str


class HeaderCache:
    """Headers of one data folder by path, size and time of change, in an SQLite file.

    Used as a context manager; `fresh` counts the headers that were read, not remembered. What was
    remembered of another data folder is forgotten.
    """

    def __init__(self, path: str | os.PathLike, data_folder: str | os.PathLike):
        self.path = Path(path)
        self._folder = os.fsencode(os.path.realpath(data_folder))
        self.fresh = 0

    def __enter__(self) -> HeaderCache:
        if self.path.is_symlink():
            raise UserError(f"{self.path} is a link, where headers are remembered: remove it")
        try:
            self._database = sqlite3.connect(self.path, timeout=1, isolation_level=None)
            self._prepare()
        except sqlite3.Error as error:
            raise UserError(
                f"{self.path} does not open as a memory of headers ({error}): is another build "
                "at it? Else remove it, or give --no_cache"
            ) from error
        self._committed = time.monotonic()
        return self

    def _prepare(self) -> None:
        run = self._database.execute
        run("PRAGMA locking_mode = EXCLUSIVE")  # before WAL: no shared memory, which NFS lacks
        run("PRAGMA journal_mode = WAL")
        run("PRAGMA synchronous = NORMAL")
        if run("PRAGMA user_version").fetchone()[0] != CACHE_VERSION:
            run("DROP TABLE IF EXISTS headers")
            run(f"PRAGMA user_version = {CACHE_VERSION}")
        run("CREATE TABLE IF NOT EXISTS data_folder (path BLOB)")
        if run("SELECT path FROM data_folder").fetchone() != (self._folder,):
            run("DROP TABLE IF EXISTS headers")
            run("DELETE FROM data_folder")
            run("INSERT INTO data_folder VALUES (?)", (self._folder,))
        run(
            "CREATE TABLE IF NOT EXISTS headers (path BLOB PRIMARY KEY, size INTEGER, "
            "changed INTEGER, frames INTEGER, rate INTEGER, channels INTEGER, encoding TEXT, "
            "bits INTEGER, reason TEXT) WITHOUT ROWID"
        )
        run("BEGIN")

    def __exit__(self, kind, *_) -> None:
        try:
            if self._database.in_transaction:  # not so after an error of the disk's
                self._run("COMMIT")
        finally:
            self._database.close()

    def get(self, paths: list[str]) -> dict[str, Known]:
        """What is remembered of some paths (at most a chunk)."""
        keys = [os.fsencode(path) for path in paths]
        places = ",".join("?" * len(keys))
        rows = self._run(f"SELECT * FROM headers WHERE path IN ({places})", keys)
        return {os.fsdecode(path): facts for path, *facts in rows if _is_known(path, facts)}

    def put(self, rows: Iterable[tuple[str, Known]]) -> None:
        """Remember some headers."""
        cells = [(os.fsencode(path), *known) for path, known in rows]
        self.fresh += len(cells)
        places = ",".join("?" * (1 + len(KNOWN)))
        self._run(f"INSERT OR REPLACE INTO headers VALUES ({places})", cells, many=True)
        if time.monotonic() - self._committed > COMMIT_SECONDS:
            self._run("COMMIT")
            self._run("BEGIN")
            self._committed = time.monotonic()

    def _run(self, statement: str, values: Iterable = (), *, many: bool = False):
        execute = self._database.executemany if many else self._database.execute
        try:
            return execute(statement, values).fetchall()
        except sqlite3.Error as error:
            raise UserError(
                f"{self.path} does not serve as a memory of headers ({error}): if its disk is "
                "full free some space, else remove it, or give --no_cache"
            ) from error


def _is_known(path: object, facts: list) -> bool:
    """Whether a row holds what `put` writes: the file may be another's."""
    right = isinstance(path, bytes) and tuple(map(type, facts)) == KNOWN
    return right and min(fact for fact in facts if isinstance(fact, int)) >= -1


def read_headers(
    entries: Iterable[Entry],
    path_of: Callable[[Entry], str],
    data_folder: str,
    *,
    workers: int = 1,
    cache: HeaderCache | None = None,
) -> Iterator[tuple[Entry, AudioHeader | Problem]]:
    """Each entry with its file's header, in the order given.

    `path_of(entry)` is a path below `data_folder`. A few chunks a worker are held at a time,
    whatever the number of entries.
    """
    entries = iter(entries)

    def jobs() -> Iterator[tuple]:
        while chunk := list(islice(entries, CHUNK_FILES)):
            paths = [path_of(entry) for entry in chunk]
            yield (chunk, paths), (paths, cache.get(paths) if cache else {})

    work = map_in_order(partial(_probe_job, data_folder), jobs(), workers=workers)
    for (chunk, paths), found in work:
        if cache:
            cache.put((p, known) for p, (known, fresh) in zip(paths, found, strict=True) if fresh)
        for entry, (known, _) in zip(chunk, found, strict=True):
            yield entry, _header_or_problem(known)


def _probe_job(data_folder: str, job: tuple) -> list[tuple[Known | None, bool]]:
    """`(what is known, whether it was read now)` of a chunk's files; None: no such file."""
    paths, remembered = job
    return [_probe_file(data_folder, path, remembered.get(path)) for path in paths]


def _probe_file(data_folder: str, path: str, remembered: Known | None) -> tuple[Known | None, bool]:
    path = f"{data_folder}/{path}"
    try:
        status = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None, False
    except OSError as error:  # a link to itself, a name too long, a folder that is not ours
        return (*NO_STAMP, 0, 0, 0, "", 0, f"it cannot be opened ({error.strerror})"), True
    stamp = status.st_size, status.st_mtime_ns
    if remembered and tuple(remembered[:2]) == stamp:
        return remembered, False
    try:
        path.encode()
        header = probe(path)
    except UnicodeEncodeError:  # a protocol is UTF-8 text
        return (*stamp, 0, 0, 0, "", 0, "its name is not UTF-8: rename it"), True
    except (UnreadableAudio, OSError) as error:
        reason = getattr(error, "reason", None) or str(error)
        return (*stamp, 0, 0, 0, "", 0, reason), True
    facts = header.frames, header.sample_rate, header.channels, header.encoding, header.bits
    return (*stamp, *facts, ""), True


def _header_or_problem(known: Known | None) -> AudioHeader | Problem:
    if known is None:
        return Problem(MISSING, "there is no such file")
    reason = known[7]
    return Problem(UNREADABLE, reason) if reason else AudioHeader(*known[2:7])

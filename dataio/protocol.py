"""A protocol CSV as a memory-mapped table, shared by all ranks and workers of a host.

The CSV is the interchange format; the first process that opens it converts it once, in blocks, to
a cache: a folder with `rows.arrow` (ID, Path and, where there is one, Segments), `durations.npy`,
`labels.npy` and `meta.json`. Everybody then maps the same pages. The cache is keyed by the CSV's
path, size, time stamp and a check of its content, so an edited CSV gets a new one and the old one
goes.

The fast pass only notices *that* something is wrong; `protocol_faults.explain` then reads the CSV
slowly and says what is wrong, and in which line.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import io
import json
import mmap
import os
import shutil
import stat
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from dataio import protocol_faults
from dataio.rows import no_protocol
from dataio.schema import (
    FAKE,
    LABELS,
    REAL,
    SEGMENTS,
    UNKNOWN,
    UNLABELLED,
    UserError,
    resolve_path,
)
from dataio.string_hash import hash_strings
from dataio.whole_files import (
    CannotWrite,
    append_file,
    cannot_write,
    make_folder,
    new_file,
    whole_folder,
    write_bytes,
    write_text,
)

CACHE_FOLDER = ".protocol_cache"  # beside the CSV, unless the caller names another place
_LAYOUT = 2  # part of the key: a change of the cache's layout makes old ones stale
_BLOCK_BYTES = 8 << 20
_ROWS_RESIDENT = 256  # look-ups after which the pages they mapped are let go
_CHECKED_BLOCKS, _CHECKED_BYTES = 64, 1 << 16  # content check: all of 4 MB, samples of more
_WORDS = (*LABELS, *UNLABELLED)
_WORD_VALUES = np.array([LABELS.get(word, UNKNOWN) for word in _WORDS], dtype=np.int8)
_UNKNOWN_DURATION = ("-", "")
_NO_SEGMENTS = ("-", "")


class ProtocolRow(NamedTuple):
    """What training and scoring need of a row: label 1/0/-1, seconds, and the resolved path;
    `channel` (from 0) where one is to be read and not all channels' mean; `segments` is the path of
    the file that labels the recording's parts, "" where there is none.
    """

    id: str
    label: int
    duration: float
    path: str
    channel: int | None = None
    segments: str = ""


class ProtocolTable:
    """Rows of a protocol in CSV order, by number; holds no row in the process's own memory.

    `durations` (N,) float32 seconds (NaN: not stated) and `labels` (N,) int8 (1 real, 0 fake, -1
    not known) are read-only memory maps. A pickled table is its path: a worker maps the pages anew.
    """

    def __init__(self, cache: str | os.PathLike, *, csv_path: str, data_folder: str):
        """Maps a finished cache; `ProtocolTable.open` is the way in."""
        self.cache, self.csv_path, self.data_folder = os.fspath(cache), csv_path, data_folder
        self.durations = np.load(Path(cache, "durations.npy"), mmap_mode="r")
        self.labels = np.load(Path(cache, "labels.npy"), mmap_mode="r")
        self._map = _mapped(os.path.join(cache, "rows.arrow"))
        rows = pa.ipc.open_file(pa.py_buffer(self._map)).read_all()
        self._ids, self._paths = rows.column("ID"), rows.column("Path")
        self._segments = rows.column(SEGMENTS) if SEGMENTS in rows.column_names else None
        self._looked_up = 0
        self._in_use = _mark_in_use(Path(cache))
        self.meta = json.loads(Path(cache, "meta.json").read_text())

    @classmethod
    def open(
        cls,
        csv_path: str | os.PathLike,
        *,
        data_folder: str | os.PathLike,
        cache_folder: str | os.PathLike | None = None,
        require_labels: bool = True,
    ) -> ProtocolTable:
        """The table of a CSV, from its cache, which is built first where there is none yet.

        With `require_labels` the columns ID, Label, Duration and Path have to be there and known
        in every row; without, ID and Path are enough. Raises `UserError` naming file and line.
        """
        if not os.path.isfile(csv_path):
            raise no_protocol(csv_path, data_folder)
        csv_path = os.path.abspath(csv_path)
        columns = protocol_faults.check_header(csv_path, require_labels=require_labels)
        cache = _cached(csv_path, columns, cache_folder)
        table = cls(cache, csv_path=csv_path, data_folder=os.fspath(data_folder))
        if require_labels and table.meta["unlabelled"] + table.meta["unknown_durations"]:
            protocol_faults.explain(csv_path, require_labels=True)
        return table

    def __reduce__(self):
        return _attach, (self.cache, self.csv_path, self.data_folder)

    def __len__(self) -> int:
        return len(self.labels)

    def ids(self, i: int) -> str:
        """The ID of row `i`."""
        return self._ids[i].as_py()

    def path(self, i: int) -> str:
        """The path of row `i`, `$ROOT` resolved."""
        return resolve_path(self._paths[i].as_py(), self.data_folder)

    @property
    def has_segments(self) -> bool:
        """Whether there is a column of files that label the recordings' parts."""
        return self._segments is not None

    def segments(self, i: int) -> str:
        """The label file of row `i`, `$ROOT` resolved; "" where none is named."""
        word = self._segments[i].as_py() if self.has_segments else "-"
        return "" if word in _NO_SEGMENTS else resolve_path(word, self.data_folder)

    def row(self, i: int) -> ProtocolRow:
        """The fields of row `i`."""
        i = int(i)
        self._looked_up += 1
        if self._looked_up % _ROWS_RESIDENT == 0:
            # Each look-up maps the pages around it: a run that visits all rows would hold the
            # whole file. The pages stay in the system's cache, only this process lets go.
            self._map.madvise(mmap.MADV_DONTNEED)
        return ProtocolRow(
            self.ids(i),
            int(self.labels[i]),
            float(self.durations[i]),
            self.path(i),
            segments=self.segments(i),
        )

    def require_both_classes(self) -> None:
        """Raises `UserError` unless there are real and fake rows: nothing is learnt from one."""
        for word, value in LABELS.items():
            if not self.meta["classes"][str(value)]:
                raise UserError(
                    f"{self.csv_path} has no row labelled '{word}': training and EER need both "
                    "classes, so check the Label column or merge a protocol that has them"
                )

    def check_paths(self, sample: int = 1000) -> int:
        """Looks whether `sample` evenly spaced rows have their files; returns how many lack them.

        Raises `UserError` when none is there: a wrong data folder rather than a missing file.
        """
        rows = np.unique(np.linspace(0, len(self) - 1, min(sample, len(self))).astype(np.int64))
        missing = sum(not os.path.exists(self.path(i)) for i in rows.tolist())
        if missing < len(rows):
            return missing
        stated = self._paths[0].as_py()
        if stated != self.path(0) and not os.path.isdir(self.data_folder):
            raise UserError(
                f"$ROOT in {self.csv_path} stands for the data folder {self.data_folder}, which "
                "does not exist: set data_folder (or base_path) to where the corpora are"
            )
        raise UserError(
            f"none of the {len(rows)} files looked up for {self.csv_path} exists, "
            f"for instance {self.path(0)} of line 2: check data_folder and the Path column"
        )


def _mapped(path: str) -> mmap.mmap:
    with open(path, "rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def _attach(cache: str, csv_path: str, data_folder: str) -> ProtocolTable:
    return ProtocolTable(cache, csv_path=csv_path, data_folder=data_folder)


# --- the cache: which one, and that one process builds it ----------------------------------------


def _cached(csv_path: str, columns: list[str], cache_folder: str | os.PathLike | None) -> Path:
    """The cache of this very state of the CSV; built under a lock, so others wait and find it."""
    key = _content_key(csv_path)
    stem = f"{Path(csv_path).stem}-{hashlib.sha256(csv_path.encode()).hexdigest()[:8]}"
    folder = _writable_folder(csv_path, cache_folder)
    cache = folder / f"{stem}-{key}"
    if cache.is_dir():
        return cache
    with _lock(folder / f"{stem}.lock"):
        if not cache.is_dir():
            _remove_unused(folder.glob(f"{stem}-*"))
            _build_aside(csv_path, columns, cache)
    return cache


def _content_key(csv_path: str) -> str:
    """16 hex digits of size, time stamp and content (evenly spaced blocks of a large file)."""
    state = os.stat(csv_path)
    digest = hashlib.sha256(f"{_LAYOUT} {state.st_size} {state.st_mtime_ns}".encode())
    last = max(0, state.st_size - _CHECKED_BYTES)
    with open(csv_path, "rb") as file:
        for block in range(_CHECKED_BLOCKS):
            file.seek(last * block // (_CHECKED_BLOCKS - 1))
            digest.update(file.read(_CHECKED_BYTES))
    return digest.hexdigest()[:16]


def _writable_folder(csv_path: str, cache_folder: str | os.PathLike | None) -> Path:
    """The folder of caches: the one named, else beside the CSV, else the system's temporary one."""
    if cache_folder is not None:
        make_folder(cache_folder)
        return Path(cache_folder)
    beside = Path(csv_path).parent / CACHE_FOLDER
    try:
        beside.mkdir(exist_ok=True)
        with tempfile.TemporaryFile(dir=beside):
            pass
    except OSError:
        return _private_folder(Path(tempfile.gettempdir()))
    ignore = beside / ".gitignore"
    if not ignore.exists():
        write_text(ignore, "*\n")
    return beside


def _private_folder(shared: Path) -> Path:
    """This user's folder in a place where everybody writes; one that others made is not taken."""
    folder = shared / f"antideepfake_protocols_{os.getuid()}"
    try:
        with contextlib.suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        found = folder.lstat()
    except OSError as error:
        raise cannot_write(folder, error) from error
    theirs = found.st_uid != os.getuid() or not stat.S_ISDIR(found.st_mode)
    if theirs or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise UserError(
            f"{folder} is not this user's alone, so what it holds is not believed: remove it, or "
            "name another place with cache_folder"
        )
    return folder


@contextlib.contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Holds the lock file; the system lets go of it when a process dies."""
    with append_file(path) as file:
        # On a file system without locks each process builds for itself, and the first one's counts.
        with contextlib.suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _mark_in_use(cache: Path) -> IO:
    """An open file of the cache with a shared lock: a sign that its table is alive somewhere."""
    file = open(cache / "meta.json")  # noqa: SIM115 (closed with the table)
    with contextlib.suppress(OSError):
        fcntl.flock(file, fcntl.LOCK_SH)
    return file


def _remove_unused(caches: Iterable[Path]) -> None:
    """Removes caches of earlier states of a CSV, unless a process still reads them."""
    for cache in caches:
        with contextlib.suppress(OSError), open(cache / "meta.json") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(cache)


def _build_aside(csv_path: str, columns: list[str], cache: Path) -> None:
    """Writes the cache under another name and renames it when whole."""
    try:
        with whole_folder(cache) as aside:
            _build(csv_path, columns, aside)
            pa.default_memory_pool().release_unused()  # megabytes that Arrow would keep
    except CannotWrite as error:
        raise CannotWrite(
            f"the cache of {csv_path} needs about as much space as the CSV takes: {error} with "
            "cache_folder"
        ) from error


# --- building --------------------------------------------------------------------------------


class _Faulty(Exception):
    """The fast pass met something that the slow one can explain."""


def _build(csv_path: str, columns: list[str], folder: Path) -> None:
    """Converts the CSV to the four files of a cache; raises `UserError` for a faulty CSV."""
    parts: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []  # labels, durations, ID hashes
    kept = ["ID", "Path", *([SEGMENTS] if SEGMENTS in columns else [])]
    schema = pa.schema([(name, pa.string()) for name in kept])
    try:
        with (
            new_file(folder / "rows.arrow", binary=True) as stream,
            pa.ipc.new_file(stream, schema) as writer,
        ):
            for block in _blocks(csv_path, columns):
                ids = pc.utf8_trim_whitespace(block.column("ID"))  # as evaluation reads them
                parts.append((*_checked(block), hash_strings(ids)))
                writer.write_batch(block.select(kept))
    except (_Faulty, pa.ArrowInvalid) as error:
        protocol_faults.explain(csv_path, require_labels=False)
        raise UserError(f"{csv_path} cannot be read as a protocol: {error}") from error
    if not sum(len(labels) for labels, _, _ in parts):
        raise UserError(f"{csv_path} holds no rows below its header: make the protocol anew")
    labels, durations, hashes = (np.concatenate(column) for column in zip(*parts, strict=True))
    parts.clear()
    _refuse_duplicates(csv_path, hashes, folder / "rows.arrow")
    _save_array(folder / "labels.npy", labels)
    _save_array(folder / "durations.npy", durations)
    meta = {
        "rows": len(labels),
        "classes": {str(label): int((labels == label).sum()) for label in (REAL, FAKE)},
        "unlabelled": int((labels == UNKNOWN).sum()),
        "unknown_durations": int(np.isnan(durations).sum()),
    }
    write_text(folder / "meta.json", json.dumps(meta))


def _save_array(path: Path, values: np.ndarray) -> None:
    encoded = io.BytesIO()  # straight to a file numpy does not say why it could not be written
    np.save(encoded, values)
    write_bytes(path, encoded.getbuffer())


def _blocks(csv_path: str, columns: list[str]) -> Iterator[pa.RecordBatch]:
    """The CSV's needed columns as text, a few megabytes at a time."""
    needed = [name for name in ("ID", "Label", "Duration", "Path", SEGMENTS) if name in columns]
    read, convert = (
        pa.csv.ReadOptions(block_size=_BLOCK_BYTES),
        pa.csv.ConvertOptions(
            include_columns=needed, column_types=dict.fromkeys(needed, pa.string()), null_values=[]
        ),
    )
    try:
        yield from pa.csv.open_csv(csv_path, read_options=read, convert_options=convert)
    except OSError as error:  # a .gz that is cut off
        raise _Faulty(error) from error


def _checked(block: pa.RecordBatch) -> tuple[np.ndarray, np.ndarray]:
    """`(labels int8, durations float32)` of a block; raises `_Faulty` where a cell is wrong."""
    for name in ("ID", "Path"):
        if pc.any(pc.equal(block.column(name), "")).as_py():
            raise _Faulty(f"an empty {name}")
    return _labels(block), _durations(block)


def _labels(block: pa.RecordBatch) -> np.ndarray:
    if "Label" not in block.schema.names:
        return np.full(len(block), UNKNOWN, dtype=np.int8)
    index = pc.index_in(block.column("Label"), value_set=pa.array(_WORDS))
    if index.null_count:
        raise _Faulty("an unknown label")
    return _WORD_VALUES[index.to_numpy()]


def _durations(block: pa.RecordBatch) -> np.ndarray:
    if "Duration" not in block.schema.names:
        return np.full(len(block), np.nan, dtype=np.float32)
    words = pc.utf8_trim_whitespace(block.column("Duration"))
    unknown = pc.is_in(words, value_set=pa.array(_UNKNOWN_DURATION))
    durations = pc.if_else(unknown, None, words).cast(pa.float32())
    valid = pc.and_(pc.is_finite(durations), pc.greater(durations, 0))
    if not pc.all(valid).as_py():  # nulls, the unknown ones, are passed over
        raise _Faulty("a duration that is no positive number")
    return durations.to_numpy(zero_copy_only=False)


def _refuse_duplicates(csv_path: str, hashes: np.ndarray, rows_path: Path) -> None:
    """Raises `UserError` for the first ID that repeats, blanks around it aside.

    Equal hashes are only candidates.
    """
    ordered = np.sort(hashes)
    repeated = ordered[1:][ordered[1:] == ordered[:-1]]
    if not len(repeated):
        return
    suspects = np.flatnonzero(np.isin(hashes, repeated))
    ids = pa.ipc.open_file(pa.memory_map(os.fspath(rows_path))).read_all().column("ID")
    seen: set[str] = set()
    for row in suspects.tolist():
        if (utterance_id := ids[row].as_py().strip()) in seen:
            protocol_faults.explain_duplicate(csv_path, utterance_id)
        seen.add(utterance_id)

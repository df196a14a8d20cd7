"""Embedding files: what `main.py analysis` writes, and plain .npy, .npz, .parquet and score CSVs.

Rows are streamed, so a seeded subsample of a file larger than memory can be read, and every row
passes a finite check whether it is kept or not. Nothing is ever unpickled.
"""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO

import numpy as np

from dataio.schema import FAKE, REAL, UNKNOWN, UserError

DEFAULT_MAX_ROWS = 12_000
_BLOCK_BYTES = 1 << 26
_RESERVED = ("ids", "labels", "logits", "embeddings", "meta")
# Besides ValueError and OSError: what zipfile raises for a damaged, encrypted or foreign archive.
_UNREADABLE = (ValueError, OSError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error)


@dataclass(frozen=True)
class EmbeddingSet:
    """N utterances: `embeddings` (N, D) float32, with what is known of each row.

    `logits` (N, 2) float64 [fake, real] or None; `labels` (N,) 1 real, 0 fake, -1 unknown;
    `columns` are further words of each row, (N,) text; `meta` says which model made the file;
    `total_rows` is what the file held before a subsample.
    """

    ids: np.ndarray
    embeddings: np.ndarray
    logits: np.ndarray | None = None
    labels: np.ndarray | None = None
    meta: dict = field(default_factory=dict)
    columns: dict[str, np.ndarray] = field(default_factory=dict)
    total_rows: int | None = None
    name: str = "embeddings"

    def __len__(self) -> int:
        return len(self.embeddings)

    @property
    def dimensions(self) -> int:
        return self.embeddings.shape[1]

    @property
    def score(self) -> np.ndarray | None:
        """(N,) real-minus-fake logit difference, or None without logits."""
        return None if self.logits is None else self.logits[:, 1] - self.logits[:, 0]

    @property
    def predicted_real(self) -> np.ndarray | None:
        """(N,) bool: P(real) >= 0.5, that is a difference of at least 0."""
        return None if self.logits is None else self.score >= 0.0

    def take(self, rows: np.ndarray) -> EmbeddingSet:
        """The set of the given rows (indices or mask), in that order."""
        return replace(
            self,
            ids=self.ids[rows],
            embeddings=self.embeddings[rows],
            logits=None if self.logits is None else self.logits[rows],
            labels=None if self.labels is None else self.labels[rows],
            columns={name: values[rows] for name, values in self.columns.items()},
        )

    def column(self, name: str) -> np.ndarray:
        """(N,) text of a column; refused by name when nothing supplies it."""
        if name not in self.columns:
            known = ", ".join(sorted(self.columns)) or "none"
            raise UserError(
                f"{self.name} has no column {name!r} (known: {known}): "
                "give a protocol that has it with --protocol"
            )
        return self.columns[name]


def embedding_set(embeddings: np.ndarray, *, name: str = "embeddings", **known) -> EmbeddingSet:
    """An `EmbeddingSet` from arrays, checked: shapes agree, IDs are unique, numbers are finite."""
    embeddings = np.asarray(embeddings)
    if embeddings.ndim != 2 or embeddings.dtype.kind not in "fiu":
        raise UserError(
            f"{name} holds an array of shape {embeddings.shape} and type {embeddings.dtype}: "
            "expected numbers of shape (utterances, dimensions)"
        )
    rows = len(embeddings)
    if known.get("ids") is None:
        known["ids"] = np.array([f"row-{i:07d}" for i in range(rows)])
    for key in ("ids", "logits", "labels"):
        if known.get(key) is not None:
            known[key] = np.asarray(known[key])
            _check_length(known[key], rows, f"{key} of {name}")
    for column, values in known.get("columns", {}).items():
        _check_length(values, rows, f"column {column!r} of {name}")
    if known["ids"].ndim != 1:
        raise UserError(f"ids of {name} have shape {known['ids'].shape}: expected one a row")
    ids = known["ids"] = known["ids"].astype(str)
    unique, count = np.unique(ids, return_counts=True)
    if len(unique) != rows:
        worst = int(np.argmax(count > 1))
        raise UserError(
            f"{name} has the ID {str(unique[worst])!r} {count[worst]} times: IDs are unique"
        )
    embeddings = np.ascontiguousarray(embeddings, dtype=np.float32)
    if embeddings.size == 0 < rows and known.get("logits") is None:
        raise UserError(f"{name} holds neither embeddings nor scores: give a file with one of them")
    if known.get("logits") is not None:
        known["logits"] = known["logits"].astype(np.float64)
        if known["logits"].shape != (rows, 2):
            raise UserError(f"logits of {name} have shape {known['logits'].shape}: expected (N, 2)")
        refuse_non_finite(known["logits"], ids, f"logits in {name}")
    if known.get("labels") is not None:
        known["labels"] = _checked_labels(known["labels"], ids, name)
    refuse_non_finite(embeddings, ids, f"embedding in {name}")
    return EmbeddingSet(embeddings=embeddings, name=name, **known)


def _check_length(values: np.ndarray, rows: int, what: str) -> None:
    entries = np.shape(values)[0] if np.ndim(values) else "no"
    if entries != rows:
        raise UserError(f"{what}: {entries} entries for {rows} embeddings")


def _checked_labels(labels: np.ndarray, ids: np.ndarray, name: str) -> np.ndarray:
    """(N,) int8 of 1 real, 0 fake, -1 unknown; refused by ID where it is anything else."""
    known = np.isin(labels, (REAL, FAKE, UNKNOWN)) & (labels.dtype.kind in "biuf")
    if labels.shape != ids.shape or not known.all():
        row = int(np.argmin(known)) if known.shape == ids.shape else 0
        raise UserError(
            f"the label of ID {str(ids[row])!r} in {name} is {labels[row].tolist()!r}: expected "
            f"{REAL} (real), {FAKE} (fake) or {UNKNOWN} (unknown)"
        )
    return labels.astype(np.int8)


def refuse_non_finite(values: np.ndarray, ids: np.ndarray | None, what: str, start: int = 0):
    """`UserError` naming the first row (N, D) that is not finite; `start` numbers the rows."""
    finite = np.isfinite(values).all(axis=1)
    if not finite.all():
        row = start + int(np.argmin(finite))
        who = f"row {row}" if ids is None else f"row {row} (ID {str(ids[row])!r})"
        raise UserError(f"{who} has a non-finite {what}: drop that utterance or score it again")


def read_embeddings(
    path: str | Path, *, max_rows: int | None = None, rng: np.random.Generator | None = None
) -> EmbeddingSet:
    """The embeddings of a file; above `max_rows`, that many rows drawn by `rng`, in file order."""
    path = Path(path)
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise UserError(f"{path} is not an embedding file: expected one of {', '.join(READERS)}")
    if not path.is_file():
        raise UserError(f"{path} does not exist: write it with main.py analysis")

    def choose(total: int) -> np.ndarray | None:
        if max_rows is None or total <= max_rows:
            return None
        if rng is None:
            raise ValueError("a subsample needs a random generator")
        return np.sort(rng.choice(total, max_rows, replace=False))

    try:
        return reader(path, choose)
    except _UNREADABLE as error:
        raise UserError(f"{path} cannot be read as embeddings: {error}") from error


Choose = Callable[[int], "np.ndarray | None"]


def _array_header(stream: BinaryIO) -> tuple[tuple[int, ...], np.dtype]:
    version = np.lib.format.read_magic(stream)
    read_header = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }.get(version)
    if read_header is None:
        raise ValueError(f"array format {version} is not supported")
    shape, fortran_order, dtype = read_header(stream)
    if dtype.hasobject:
        raise ValueError("it holds Python objects, which are never unpickled")
    if fortran_order:
        raise ValueError("it is stored column by column: save it with numpy.ascontiguousarray")
    return shape, dtype


def _stream_rows(stream: BinaryIO, choose: Choose, what: str) -> tuple[np.ndarray, np.ndarray]:
    """The chosen rows (float32) of a 2-D array in .npy format, and their indices."""
    shape, dtype = _array_header(stream)
    if len(shape) != 2 or dtype.kind not in "fiu":
        raise ValueError(f"shape {shape}, type {dtype}: expected numbers (utterances, dimensions)")
    total, dimensions = shape
    chosen = choose(total)
    rows = np.arange(total) if chosen is None else chosen
    kept = np.empty((len(rows), dimensions), np.float32)
    row_bytes = dimensions * dtype.itemsize
    step = max(1, _BLOCK_BYTES // max(row_bytes, 1))
    for start in range(0, total, step):
        count = min(step, total - start)
        data = stream.read(count * row_bytes)
        if len(data) != count * row_bytes:
            raise ValueError("it ends early: write it again")
        block = np.frombuffer(data, dtype).reshape(count, dimensions)
        refuse_non_finite(block, None, f"embedding in {what}", start)
        low, high = np.searchsorted(rows, [start, start + count])
        kept[low:high] = block[rows[low:high] - start]
    return kept, rows


def _read_npy(path: Path, choose: Choose) -> EmbeddingSet:
    with path.open("rb") as stream:
        shape, _ = _array_header(stream)
        stream.seek(0)
        embeddings, rows = _stream_rows(stream, choose, path.name)
    ids = np.array([f"row-{i:07d}" for i in rows])
    return embedding_set(embeddings, ids=ids, total_rows=shape[0], name=path.name)


def _embedding_member(archive: zipfile.ZipFile) -> str:
    names = [name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")]
    if "embeddings" in names:
        return "embeddings"
    matrices = []
    for name in names:
        with archive.open(name + ".npy") as stream:
            shape, dtype = _array_header(stream)
        if len(shape) == 2 and dtype.kind == "f" and name != "logits":
            matrices.append(name)
    if len(matrices) != 1:
        raise ValueError(f"it has no array 'embeddings' and {len(matrices)} other matrices")
    return matrices[0]


def _read_npz(path: Path, choose: Choose) -> EmbeddingSet:
    with zipfile.ZipFile(path) as archive:
        member = _embedding_member(archive)
        with archive.open(member + ".npy") as stream:
            total = _array_header(stream)[0][0]
        with archive.open(member + ".npy") as stream:
            embeddings, rows = _stream_rows(stream, choose, path.name)
    known: dict = {"ids": np.array([f"row-{i:07d}" for i in rows]), "columns": {}}
    with np.load(path, allow_pickle=False) as archive:
        for name in archive.files:
            values = None if name == member else archive[name]
            if not isinstance(values, np.ndarray):  # a member that is no .npy comes as bytes
                continue
            if name == "meta":
                known["meta"] = parse_meta(str(values))
            elif name in _RESERVED:
                _check_length(values, total, f"array {name!r} of {path.name}")
                known[name] = values[rows]
            elif values.ndim == 1 and len(values) == total:
                known["columns"][name] = values[rows].astype(str)
    return embedding_set(embeddings, total_rows=total, name=path.name, **known)


def parse_meta(text: str | bytes) -> dict:
    """What a file says of its making; `ValueError` where that is no JSON object."""
    try:
        meta = json.loads(text)
    except ValueError as error:
        raise ValueError(f"its 'meta' is no JSON ({error})") from error
    if not isinstance(meta, dict):
        raise ValueError(f"its 'meta' holds a {type(meta).__name__}, expected a JSON object")
    return meta


def _read_parquet(path: Path, choose: Choose) -> EmbeddingSet:
    from drift.parquet import read_parquet

    return read_parquet(path, choose)


def _read_score_csv(path: Path, choose: Choose) -> EmbeddingSet:
    """A score CSV: no embeddings (D = 0), so that `score` alone can be watched."""
    from dataio.scores import read_meta, read_scores

    if _holds_only_a_header(path):
        return embedding_set(
            np.empty((0, 0), np.float32), logits=np.empty((0, 2)), total_rows=0,
            meta=read_meta(path), name=path.name,
        )  # fmt: skip
    scores = read_scores(path)
    ids = np.asarray(scores.ids)
    chosen = choose(len(ids))
    rows = np.arange(len(ids)) if chosen is None else chosen
    return embedding_set(
        np.empty((len(rows), 0), np.float32),
        ids=ids[rows],
        logits=np.asarray(scores.logits)[rows],
        labels=np.asarray(scores.labels)[rows],
        meta=scores.meta,
        total_rows=len(ids),
        name=path.name,
    )


def _holds_only_a_header(path: Path) -> bool:
    """Nothing was scored: no fault of the file, which `read_scores` refuses for measurements."""
    from dataio.scores import HEADER

    with path.open(encoding="utf-8-sig", errors="replace") as stream:
        header = stream.readline().strip().split(",")
        return set(HEADER) <= set(header) and not stream.read(1 << 10).strip()


READERS: dict[str, Callable[[Path, Choose], EmbeddingSet]] = {
    ".npz": _read_npz,
    ".npy": _read_npy,
    ".parquet": _read_parquet,
    ".csv": _read_score_csv,
}

"""Embedding files: what `main.py analysis` writes, and plain .npy, .npz, .parquet and score CSVs.

Rows are streamed, so a seeded subsample of a file larger than memory can be read, and every row
passes a finite check whether it is kept or not. Nothing is ever unpickled, and of an .npz only
the arrays that say something of its rows are read.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import numpy as np

from dataio.array_files import UNREADABLE, ArrayArchive, array_header, open_arrays
from dataio.checked import META, parse_json
from dataio.schema import UserError
from drift.embeddings import EmbeddingSet, check_length, embedding_set, refuse_non_finite
from drift.parquet import Choose, read_parquet

_BLOCK_BYTES = 1 << 26
_RESERVED = ("ids", "labels", "logits")
MOST_DIMENSIONS = 1 << 16


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
    except (*UNREADABLE, MemoryError) as error:
        raise UserError(f"{path} cannot be read as embeddings: {error}") from error


def _stream_rows(
    stream: BinaryIO, shape: tuple[int, ...], dtype: np.dtype, choose: Choose, what: str
) -> tuple[np.ndarray, np.ndarray]:
    """The chosen rows (float32) of a 2-D array whose values begin here, and their indices."""
    if len(shape) != 2 or dtype.kind not in "fiu" or shape[1] > MOST_DIMENSIONS:
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
        shape, dtype = array_header(stream, path.stat().st_size)
        embeddings, rows = _stream_rows(stream, shape, dtype, choose, path.name)
    ids = np.array([f"row-{i:07d}" for i in rows])
    return embedding_set(embeddings, ids=ids, total_rows=shape[0], name=path.name)


def _embedding_member(archive: ArrayArchive) -> str:
    if "embeddings" in archive:
        return "embeddings"
    matrices = []
    for name in archive.names:
        shape, dtype = archive.header(name)
        if len(shape) == 2 and dtype.kind == "f" and name != "logits":
            matrices.append(name)
    if len(matrices) != 1:
        raise ValueError(f"it has no array 'embeddings' and {len(matrices)} other matrices")
    return matrices[0]


def _read_npz(path: Path, choose: Choose) -> EmbeddingSet:
    with open_arrays(path) as archive:
        if "header" in archive and "scale_mean" in archive:
            raise ValueError(
                "it is a drift reference, whose rows are a part of what it was fitted on; give the"
                " embeddings themselves"
            )
        member = _embedding_member(archive)
        with archive.stream(member) as (stream, shape, dtype):
            embeddings, rows = _stream_rows(stream, shape, dtype, choose, path.name)
        total, known = shape[0], {"columns": {}, "ids": None}
        for name in archive.names:
            if name == "meta":
                known["meta"] = parse_json(str(archive.read(name)), META, "meta")
            elif name in _RESERVED:
                values = archive.read(name)
                check_length(values, total, f"array {name!r} of {path.name}")
                known[name] = values[rows]
            elif name != member and archive.header(name)[0] == (total,):
                known["columns"][name] = archive.read(name)[rows].astype(str)
    if known["ids"] is None:
        known["ids"] = np.array([f"row-{i:07d}" for i in rows])
    return embedding_set(embeddings, total_rows=total, name=path.name, **known)


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
    ".parquet": read_parquet,
    ".csv": _read_score_csv,
}

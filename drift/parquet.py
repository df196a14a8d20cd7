"""Embeddings in Parquet: which columns are the vectors, and what every row must have."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np

from dataio.checked import META, parse_json
from dataio.schema import UNKNOWN
from drift.embeddings import EmbeddingSet, embedding_set, refuse_non_finite

Choose = Callable[[int], "np.ndarray | None"]  # of so many rows, which to keep; None: all

_NUMBERED = re.compile(r"(.*?)(\d+)")


def _list_matrix(column, name: str, start: int, before: list[np.ndarray]) -> np.ndarray:
    """(rows, width) of a list column, as wide as the blocks before it.

    `start` is the file's row of its first list. Arrow would lay lists of differing lengths end to
    end, where rows shift into each other.
    """
    import pyarrow.compute as pc

    if column.null_count:
        row = start + int(np.argmax(column.is_null().to_numpy(zero_copy_only=False)))
        raise ValueError(f"row {row} has no list in column {name!r}: leave that row out")
    lengths = pc.list_value_length(column).to_numpy(zero_copy_only=False)
    width = before[0].shape[1] if before else int(lengths[0]) if len(lengths) else 0
    if (lengths != width).any():
        place = int(np.argmax(lengths != width))
        raise ValueError(
            f"row {start + place} has {lengths[place]} numbers in column {name!r}, "
            f"row 0 has {width}: write every list with one length"
        )
    return column.flatten().to_numpy(zero_copy_only=False).reshape(len(column), width)


def _matrix(batch, names: list[str], start: int, before: list[np.ndarray]) -> np.ndarray:
    """(rows, D) float32 of a list column, or of several numeric columns side by side."""
    if len(names) == 1 and hasattr(batch.column(names[0]), "flatten"):
        listed = _list_matrix(batch.column(names[0]), names[0], start, before)
        return listed.astype(np.float32)
    columns = [batch.column(name).to_numpy(zero_copy_only=False) for name in names]
    return np.stack(columns, axis=1).astype(np.float32)


def _embedding_columns(schema) -> list[str]:
    """The columns that are the embedding: a list column, or numbered columns in that order."""
    import pyarrow as pa

    for name in ("embedding", "embeddings"):
        if name not in schema.names:
            continue
        kind = schema.field(name).type
        listed = pa.types.is_list(kind) or pa.types.is_large_list(kind)
        if not (listed or pa.types.is_fixed_size_list(kind)) or not (
            pa.types.is_floating(kind.value_type) or pa.types.is_integer(kind.value_type)
        ):
            raise ValueError(f"its column {name!r} is of type {kind}: expected lists of numbers")
        return [name]
    return _numbered_columns([f.name for f in schema if pa.types.is_floating(f.type)])


def _numbered_columns(names: list[str]) -> list[str]:
    """d0, d1, ... of the names, by number; `duration` is no dimension, `f0` beside them a doubt."""
    families: dict[str, list[tuple[int, str]]] = {}
    for name in names:
        numbered = _NUMBERED.fullmatch(name)
        if numbered:
            families.setdefault(numbered[1], []).append((int(numbered[2]), name))
    if not families:
        raise ValueError("it has neither a column 'embedding' nor numbered ones (d0, d1, ...)")
    if len(families) > 1:
        smallest = min(families.values(), key=len)
        raise ValueError(
            f"column {smallest[0][1]!r} may be a dimension or not, with "
            f"{' and '.join(f'{prefix}...' for prefix in families)} numbered: rename it"
        )
    (prefix, members), *_ = families.items()
    members.sort()
    for expected, (number, name) in enumerate(members, start=min(members[0][0], 1)):
        if number != expected:
            raise ValueError(f"its column {name!r} comes where {prefix}{expected} is expected")
    return [name for _, name in members]


def read_parquet(path: Path, choose: Choose) -> EmbeddingSet:
    """The embeddings of a Parquet file; `ValueError` where its columns leave that open."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    file = pq.ParquetFile(path)
    schema = file.schema_arrow
    matrix = _embedding_columns(schema)
    total = file.metadata.num_rows
    chosen = choose(total)
    rows = np.arange(total) if chosen is None else chosen
    kept: dict[str, list] = {
        f.name: [] for f in schema if f.name not in matrix and not pa.types.is_nested(f.type)
    }
    blocks, logits, start = [], [], 0
    for batch in file.iter_batches(batch_size=8192):
        low, high = np.searchsorted(rows, [start, start + len(batch)])
        block = _matrix(batch, matrix, start, blocks)
        refuse_non_finite(block, None, f"embedding in {path.name}", start)
        picked = rows[low:high] - start
        blocks.append(block[picked])
        if "logits" in schema.names:
            logits.append(_list_matrix(batch.column("logits"), "logits", start, logits)[picked])
        for name, values in kept.items():
            values.extend(batch.column(name).take(pa.array(picked)).to_pylist())
        start += len(batch)
    known = _known(kept, rows)
    if logits:
        known["logits"] = np.concatenate(logits)
    note = (schema.metadata or {}).get(b"meta")
    if note:
        known["meta"] = parse_json(note, META, "meta")
    embeddings = np.concatenate(blocks) if blocks else np.empty((0, 0), np.float32)
    return embedding_set(embeddings, total_rows=total, name=path.name, **known)


def _known(kept: dict[str, list], rows: np.ndarray) -> dict:
    """IDs, labels and further words of the kept rows; a null is an unknown label or word."""
    known: dict = {"columns": {}, "ids": np.array([f"row-{i:07d}" for i in rows])}
    identifier = next((name for name in ("ID", "id", "ids") if name in kept), None)
    for name, values in kept.items():
        if name == identifier:
            if None in values:
                raise ValueError(f"row {rows[values.index(None)]} has no {name}")
            known["ids"] = np.array(values, dtype=str)
        elif name in ("label", "labels", "Label"):
            known["labels"] = np.array([UNKNOWN if v is None else v for v in values])
        else:
            known["columns"][name] = np.array(
                ["-" if v is None else str(v) for v in values], dtype=str
            )
    return known

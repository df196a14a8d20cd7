"""Words about utterances from protocols, joined to embeddings by ID."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from drift.embeddings import EmbeddingSet
from protocols.schema import UserError

SIGNAL_COLUMNS = ("Duration", "SampleRate", "AudioEncoding", "Path")
_SHOWN = 3  # missing IDs named in one refusal


def read_columns(
    paths: Iterable[str | Path], ids: np.ndarray, names: Sequence[str]
) -> dict[str, np.ndarray]:
    """(N,) text of each named column for the given IDs, in their order.

    `UserError` when a protocol lacks the column, or no protocol has an ID.
    """
    place = {identifier: row for row, identifier in enumerate(ids)}
    table = [[""] * len(ids) for _ in names]
    found = np.zeros(len(ids), dtype=bool)
    paths = [Path(path) for path in paths]
    for path in paths:
        try:
            with path.open(newline="", encoding="utf-8-sig") as stream:
                _collect(csv.DictReader(stream), path, place, names, table, found)
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"{path} cannot be read as a protocol: {error}") from error
    if not found.all():
        missing = ids[~found]
        listed = ", ".join(repr(str(identifier)) for identifier in missing[:_SHOWN])
        more = f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
        raise UserError(
            f"{len(missing)} of {len(ids)} embeddings have no row in "
            f"{', '.join(str(path) for path in paths)}: {listed}{more}; "
            "give the protocol they were scored with"
        )
    return {name: np.array(cells) for name, cells in zip(names, table, strict=True)}


def _collect(reader, path, place, names, table, found) -> None:
    header = reader.fieldnames or []
    for name in ("ID", *names):
        if name not in header:
            raise UserError(f"{path} has no column {name!r}: its columns are {', '.join(header)}")
    for row in reader:
        index = place.get(row["ID"])
        if index is None:
            continue
        if found[index]:
            raise UserError(f"{path}, line {reader.line_num}: ID {row['ID']!r} occurs twice")
        found[index] = True
        for cells, name in zip(table, names, strict=True):
            cells[index] = row[name] or "-"


def with_columns(
    sample: EmbeddingSet, protocols: Sequence[str | Path], names: Sequence[str]
) -> EmbeddingSet:
    """The sample with the named columns, and those of the signal, from the protocols.

    Without a protocol the sample stays as it is; what it lacks is refused where it is used.
    """
    if not protocols:
        return sample
    wanted = list(dict.fromkeys([*names, *SIGNAL_COLUMNS]))
    taken = read_columns(protocols, sample.ids, wanted)
    return replace(sample, columns={**sample.columns, **taken})

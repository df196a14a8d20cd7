"""Words about utterances from protocols, joined to embeddings by ID."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from dataio.schema import UserError
from dataio.text_cells import UNREADABLE, check_header, open_text
from drift.embeddings import EmbeddingSet

SIGNAL_COLUMNS = ("Duration", "SampleRate", "AudioEncoding", "Path")
_SHOWN = 3  # missing IDs named in one refusal


def read_columns(
    paths: Iterable[str | Path],
    ids: np.ndarray,
    names: Sequence[str],
    optional: Sequence[str] = (),
) -> dict[str, np.ndarray]:
    """(N,) text of each named column for the given IDs, in their order.

    Several protocols may cover different IDs or add columns to the same ones. `optional` columns
    come along where a protocol has them, `-` for the IDs it lacks. `UserError` when no protocol
    has an ID or its cell of a named column, or two disagree on one.
    """
    paths = [Path(path) for path in paths]
    place = {identifier: row for row, identifier in enumerate(ids)}
    table: dict[str, list[str | None]] = {}
    found = np.zeros(len(ids), dtype=bool)
    for path in paths:
        try:
            with open_text(path) as stream:
                reader = csv.DictReader(stream)
                found |= _collect(reader, path, place, {*names, *optional}, table)
        except (*UNREADABLE, csv.Error) as error:
            raise UserError(f"{path} cannot be read as a protocol: {error}") from error
    listed = ", ".join(str(path) for path in paths)
    _refuse_missing(ids[~found], len(ids), f"row in {listed}")
    for name in names:
        if name not in table:
            raise UserError(f"{listed} has no column {name!r}: give a protocol that has it")
        lacking = np.array([cell is None for cell in table[name]], dtype=bool)
        _refuse_missing(ids[lacking], len(ids), f"cell of column {name!r} in {listed}")
    return {name: np.array([cell or "-" for cell in cells]) for name, cells in table.items()}


def _refuse_missing(missing: np.ndarray, total: int, what: str) -> None:
    if not len(missing):
        return
    listed = ", ".join(repr(str(identifier)) for identifier in missing[:_SHOWN])
    more = f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
    raise UserError(
        f"{len(missing)} of {total} embeddings have no {what}: {listed}{more}; "
        "give the protocol they were scored with"
    )


def _collect(reader, path, place, wanted, table) -> np.ndarray:
    """(N,) bool: the IDs of this protocol; its cells of the wanted columns go into the table."""
    header = list(reader.fieldnames or [])
    check_header(header, ("ID", *wanted), path)
    if "ID" not in header:
        raise UserError(f"{path} has no column 'ID': its columns are {', '.join(header)}")
    present = [name for name in header if name in wanted]
    for name in present:
        table.setdefault(name, [None] * len(place))
    found = np.zeros(len(place), dtype=bool)
    for row in reader:
        index = place.get(row["ID"])
        if index is None:
            continue
        where = f"{path}, line {reader.line_num}"
        if found[index]:
            raise UserError(f"{where}: ID {row['ID']!r} occurs twice")
        if None in row or None in row.values():
            raise UserError(f"{where}: not the header's {len(header)} cells: repair that row")
        found[index] = True
        for name in present:
            cell, before = row[name] or "-", table[name][index]
            if before not in (None, cell):
                raise UserError(
                    f"{where}: {name} of ID {row['ID']!r} is {cell!r}, an earlier protocol "
                    f"says {before!r}: leave one of them out"
                )
            table[name][index] = cell
    return found


def with_columns(
    sample: EmbeddingSet, protocols: Sequence[str | Path], names: Sequence[str]
) -> EmbeddingSet:
    """The sample with the named columns, and those of the signal where a protocol has them.

    A column that the embedding file brings along need not be in a protocol. Without a protocol
    the sample stays as it is; what it lacks is refused where it is used.
    """
    if not protocols:
        return sample
    needed = [name for name in names if name not in sample.columns]
    taken = read_columns(protocols, sample.ids, needed, (*names, *SIGNAL_COLUMNS))
    return replace(sample, columns={**sample.columns, **taken})

"""Unique IDs: rows that share one get the shortest end of their path that tells them apart.

Collisions are found by 8-byte hashes (80 MB for 10 million rows); only the rows that collide are
held as text.
"""

from __future__ import annotations

import csv
import os
from array import array
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from dataio.rows import DURATION, ID, LABEL, PATH, PROPORTION, columns_of, open_rows
from dataio.schema import ROOT, UserError
from dataio.whole_files import whole_file

if TYPE_CHECKING:
    from protocols.summary import Summary

DROP = ""  # the new ID of a row that repeats another


def finish(scratch: whole_file, ids: array, outputs: dict[str, Path], summary: Summary) -> None:
    """Give the scratch file, a whole protocol, unique IDs and its final name or names."""
    repeated = repeated_hashes(ids)
    new_ids = _new_ids(scratch.temporary, repeated, ids, summary) if repeated else {}
    if not new_ids and "" in outputs:
        scratch.publish()
        return
    columns = columns_of([scratch.temporary])
    with ExitStack() as stack:
        writers = {}
        for proportion, path in outputs.items():
            file = stack.enter_context(whole_file(path))
            writers[proportion] = csv.writer(file, lineterminator="\n")
            writers[proportion].writerow(columns)
        for number, cells in enumerate(_rows(scratch.temporary)):
            if number in new_ids:
                cells[ID] = new_ids[number]
                if cells[ID] == DROP:
                    _uncount(cells, summary)
                    continue
            writers[cells[PROPORTION] if "" not in outputs else ""].writerow(cells)


def _rows(scratch: Path) -> Iterator[list[str]]:
    with open_rows(scratch) as file:
        reader = csv.reader(file)
        next(reader)  # the header
        yield from reader


def repeated_hashes(hashes: array) -> set[int]:
    """The values that occur more than once."""
    import numpy

    ordered = numpy.sort(numpy.frombuffer(hashes, dtype=numpy.int64))
    return set(ordered[1:][ordered[1:] == ordered[:-1]].tolist())


def _new_ids(scratch: Path, repeated: set[int], ids: array, summary: Summary) -> dict[int, str]:
    """Row number -> new ID, of the rows that share one (`DROP` for a row that says the same)."""
    groups: dict[str, list[tuple[int, list[str]]]] = {}
    for number, cells in enumerate(_rows(scratch)):
        if ids[number] in repeated:
            groups.setdefault(cells[ID], []).append((number, cells))
    taken = Hashes(ids)
    new_ids: dict[int, str] = {}
    for shared, rows in groups.items():
        by_path: dict[str, tuple[int, list[str]]] = {}
        for number, cells in rows:
            first = by_path.setdefault(cells[PATH], (number, cells))
            if first[0] == number:
                continue
            if first[1] != cells:
                raise UserError(
                    f"{cells[PATH]} is listed twice with different facts: {first[1]} and {cells}"
                )
            new_ids[number] = DROP
            summary.repeated += 1
        if len(by_path) > 1:
            names = distinguish(shared, list(by_path), taken)
            summary.ids_shared += 1
            summary.rows_renamed += len(names)
            new_ids.update(zip((n for n, _ in by_path.values()), names, strict=True))
    return new_ids


class Hashes:
    """A set of hashes of IDs: many that are known, sorted in an array, and a few added later."""

    def __init__(self, hashes: array):
        import numpy

        self._known = numpy.sort(numpy.frombuffer(hashes, dtype=numpy.int64))
        self._added: set[int] = set()

    def __contains__(self, value: int) -> bool:
        place = self._known.searchsorted(value)
        return value in self._added or (
            place < len(self._known) and int(self._known[place]) == value
        )

    def add(self, values: set[int]) -> None:
        self._added |= values


def distinguish(shared: str, paths: list[str], taken: Hashes) -> list[str]:
    """New IDs of the files `paths`, which all have the ID `shared`.

    The file's name takes the place of the stem at the ID's end (or follows it), then the folder
    above it joins in, and so on until all differ: `x` of a/x.wav and b/x.wav becomes `a-x.wav`
    and `b-x.wav`. `taken` holds the hashes of the other IDs; the new ones are added.
    """
    parts = [path.removeprefix(f"{ROOT}/").split("/") for path in paths]
    for depth in range(1, max(map(len, parts)) + 1):
        names = [_with_suffix(shared, part[-depth:]) for part in parts]
        hashes = set(map(hash, names))
        if len(set(names)) == len(names) and not any(value in taken for value in hashes):
            taken.add(hashes)
            return names
    raise UserError(f"no part of their paths tells these files apart: {', '.join(paths[:3])}")


def _with_suffix(shared: str, suffix: list[str]) -> str:
    stem = os.path.splitext(suffix[-1])[0]
    ending = suffix[-1] if shared.endswith(suffix[-1]) else stem
    if shared.endswith(ending):
        return shared[: len(shared) - len(ending)] + "-".join(suffix)
    return f"{shared}-{'-'.join(suffix)}"


def _uncount(cells: list[str], summary: Summary) -> None:
    summary.rows -= 1
    summary.real -= cells[LABEL] == "real"
    summary.fake -= cells[LABEL] == "fake"
    summary.hours -= float(cells[DURATION]) / 3600

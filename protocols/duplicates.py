"""What `merge` leaves out: a file listed twice, two files under one ID, a file of both classes.

They are found by 8-byte hashes of IDs and paths; only rows that share one are read as text, and
only those of one ID or path are held.
"""

from __future__ import annotations

import csv
import io
import mmap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from dataio.rows import ID, LABEL, PATH, plain_path
from dataio.schema import COLUMNS, LABELS
from dataio.whole_files import whole_table
from protocols.scratch import Rows, line_at

if TYPE_CHECKING:
    import numpy

    from protocols.tally import Kinds

DUPLICATES = "duplicates.csv"
Group = dict[str, list[tuple[int, list[str]]]]  # output -> [(row number, cells)]
REPORTED = ("conflicts", "contradictions", "in_two_outputs")


def without_duplicates(
    rows: dict[str, Rows], text: mmap.mmap, kinds: Kinds, folder: Path, summary: dict
) -> dict:
    """Row numbers to keep, by output; what shares an ID, or contradicts, is counted and listed.

    One file listed twice for an output is kept once. Different files (or labels) under one ID
    cannot both be right and are all left out, as the published script does; an ID that two
    outputs have is kept in both, and reported. A file that is real in one row and fake in
    another is left out of all outputs, whatever its IDs.
    """
    import numpy

    summary |= {"kept_once": 0, **dict.fromkeys(REPORTED, 0)}
    dropped: dict[str, set[int]] = {name: set() for name in rows}
    with whole_table(folder / DUPLICATES, ("Why", "Output", *COLUMNS)) as report:
        for shared in _shared_ids(rows, text):
            conflicting = False
            for name, group in shared.items():
                files = {(plain_path(cells[PATH]), cells[LABEL]) for _, cells in group}
                same = len(files) == 1
                summary["kept_once"] += len(group) - 1 if same else 0
                summary["conflicts"] += 0 if same else len(group)
                dropped[name].update(number for number, _ in group[same:])
                conflicting |= not same
            summary["in_two_outputs"] += len(shared) > 1
            if conflicting or len(shared) > 1:
                report.add(_lines("conflict" if conflicting else "in two outputs", shared))
        for shared in _files_of_both_classes(rows, text, kinds):
            new = {name: {n for n, _ in group} - dropped[name] for name, group in shared.items()}
            summary["contradictions"] += sum(map(len, new.values()))
            if any(new.values()):
                report.add(_lines("real and fake", shared))
            for name, numbers in new.items():
                dropped[name] |= numbers
    return {
        name: numpy.delete(numpy.arange(len(rows[name].offsets)), sorted(dropped[name]))
        for name in rows
    }


def _shared_ids(rows: dict[str, Rows], text: mmap.mmap) -> Iterator[Group]:
    """The rows of each ID that several have."""
    import numpy

    hashes = {name: numpy.frombuffer(rows[name].ids, dtype=numpy.int64) for name in rows}
    ordered = numpy.sort(numpy.concatenate(list(hashes.values())))
    repeated = numpy.unique(ordered[1:][ordered[1:] == ordered[:-1]])
    del ordered
    for shared in _grouped(rows, text, hashes, repeated, lambda cells: cells[ID]):
        if sum(map(len, shared.values())) > 1:  # else two IDs had one hash
            yield shared


def _files_of_both_classes(rows: dict[str, Rows], text: mmap.mmap, kinds: Kinds) -> Iterator[Group]:
    """The rows of each file that is real in one and fake in another."""
    import numpy

    hashes = {name: numpy.frombuffer(rows[name].paths, dtype=numpy.int64) for name in rows}
    kind = {name: numpy.frombuffer(rows[name].kinds, dtype=numpy.int32) for name in rows}
    has_label = {word: numpy.array([key[3] == word for key in kinds.numbers]) for word in LABELS}
    real, fake = (
        numpy.concatenate([hashes[name][of_kind[kind[name]]] for name in rows])
        for of_kind in has_label.values()
    )
    both = numpy.intersect1d(real, fake)
    del real, fake
    for shared in _grouped(rows, text, hashes, both, lambda cells: plain_path(cells[PATH])):
        found = {cells[LABEL] for group in shared.values() for _, cells in group}
        if found >= LABELS.keys():  # else two paths had one hash
            yield shared


def _grouped(
    rows: dict[str, Rows], text: mmap.mmap, hashes: dict, chosen: numpy.ndarray, key_of: Callable
) -> Iterator[Group]:
    """The rows whose hash is in `chosen`, a group a key, in the order of their first rows."""
    import numpy

    numbers = {name: numpy.flatnonzero(numpy.isin(hashes[name], chosen)) for name in rows}
    found = numpy.concatenate([hashes[name][numbers[name]] for name in rows])
    output = numpy.repeat(numpy.arange(len(rows)), [len(numbers[name]) for name in rows])
    number = numpy.concatenate(list(numbers.values()))
    order = numpy.argsort(found, kind="stable")  # rows of one hash side by side
    before = ~found[order[:1]]  # anything else than the first hash
    begins = numpy.flatnonzero(numpy.diff(found[order], prepend=before))
    ends = numpy.append(begins[1:], len(order))
    names = list(rows)
    for run in numpy.argsort(order[begins]):
        groups: dict[str, Group] = {}
        for place in order[begins[run] : ends[run]]:
            name = names[output[place]]
            cells = _cells_at(text, rows[name].offsets[number[place]])
            shared = groups.setdefault(key_of(cells), {})
            shared.setdefault(name, []).append((int(number[place]), cells))
        yield from groups.values()


def _cells_at(text: mmap.mmap, offset: int) -> list[str]:
    line = line_at(text, offset).decode("utf-8", "surrogateescape")
    return next(csv.reader(io.StringIO(line, newline="")))


def _lines(why: str, shared: Group) -> Iterator[list[str]]:
    """The lines of duplicates.csv on an ID or a file that is reported."""
    for name, group in shared.items():
        yield from ([why, name, *cells] for _, cells in group)

"""Text tables: opened, their header checked, their lines as cells, their numbers.

What a near-miss in a header and a number in a cell is, is decided here for every reader of CSVs.
"""

from __future__ import annotations

import csv
import difflib
import gzip
import math
import os
import re
import zlib
from collections.abc import Iterable, Iterator
from typing import IO

from dataio.schema import UserError

# what Arrow's parser takes; Python's `float` also takes 1_000 and digits of other scripts
_NUMBER = re.compile(
    r"[+-]?(([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?|nan|inf|infinity)", re.IGNORECASE
)
_LARGEST_SECONDS = 3.4028235e38  # of a float32
_NEAR = 0.8  # difflib's ratio of Lable and Label
UNREADABLE = (OSError, EOFError, UnicodeDecodeError, zlib.error)  # OSError: also no gzip file


def open_text(path: str | os.PathLike, *, errors: str = "strict") -> IO[str]:
    """A text table, unpacked if it is named `.gz`: a byte-order mark is passed over."""
    opener = gzip.open if os.fspath(path).endswith(".gz") else open
    return opener(path, "rt", encoding="utf-8-sig", errors=errors, newline="")


def check_header(header: list[str], known: Iterable[str], path: str | os.PathLike) -> None:
    """Refuse a header of which a part would silently not be read.

    That is one with a `known` column twice, or with a name that nearly is an absent one: with
    blanks around it, in other capitals, misspelt.
    """
    known = list(known)
    for column in known:
        if header.count(column) > 1:
            raise UserError(
                f"the header of {path} (line 1) has two columns {column!r}: leave one out"
            )
    absent = {_folded(column): column for column in known if column not in header}
    for name in header:
        if name in known:
            continue
        near = difflib.get_close_matches(_folded(name), absent, n=1, cutoff=_NEAR)
        if near and (near[0] == _folded(name) or len(near[0]) > 3):
            raise UserError(
                f"the header of {path} (line 1) has {name!r}: write {absent[near[0]]!r}, or "
                "another name if it is another thing"
            )


def _folded(name: str) -> str:
    """A column's name without capitals, blanks, underscores and hyphens."""
    return re.sub(r"[\W_]+", "", name).lower()


def number_of(text: str) -> float | None:
    """A cell's number, `nan` and `inf` too; None for what is none (`1_0`, digits not ASCII)."""
    text = text.strip()
    return float(text) if _NUMBER.fullmatch(text) else None


def seconds_of(text: str) -> float:
    """A cell's seconds, NaN for what is no number that a duration can be held as."""
    seconds = number_of(text)
    return math.nan if seconds is None or not abs(seconds) <= _LARGEST_SECONDS else seconds


def first_line(path: str | os.PathLike) -> str:
    """The first line without its end or byte order mark; `UserError` for what is no text."""
    try:
        with open_text(path) as stream:
            return stream.readline().rstrip("\r\n")
    except UNREADABLE as error:
        raise UserError(
            f"{path} cannot be read as text ({error}): give a score or key file"
        ) from error


def header_cells(line: str) -> list[str]:
    """The cells of a first line, parted by commas if it has any, else by spaces or tabs."""
    if "," not in line:
        return line.split()
    return [cell.strip() for cell in next(csv.reader([line]), [])]


def lines_of_cells(path: str | os.PathLike, comma: bool) -> Iterator[tuple[int, list[str]]]:
    """Line numbers from 1 and the cells, stripped; empty lines are left out."""
    number = 0
    try:
        with open_text(path) as stream:
            if comma:
                reader = csv.reader(stream)
                for cells in filter(None, reader):
                    number = reader.line_num
                    yield number, [cell.strip() for cell in cells]
                return
            for number, line in enumerate(stream, start=1):
                if cells := line.split():
                    yield number, cells
    except (*UNREADABLE, csv.Error) as error:
        raise UserError(f"{path}, after line {number}, is no UTF-8 text: {error}") from error

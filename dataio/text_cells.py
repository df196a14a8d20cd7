"""Lines of small text tables as cells, with their numbers: parted by commas, spaces or tabs."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator

from dataio.schema import UserError


def first_line(path: str | os.PathLike) -> str:
    """The first line without its end or byte order mark; `UserError` for what is no text."""
    try:
        with open(path, encoding="utf-8-sig") as stream:
            return stream.readline().rstrip("\n")
    except (OSError, UnicodeDecodeError) as error:
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
        with open(path, encoding="utf-8-sig", newline="" if comma else None) as stream:
            if comma:
                reader = csv.reader(stream)
                for cells in filter(None, reader):
                    number = reader.line_num
                    yield number, [cell.strip() for cell in cells]
                return
            for number, line in enumerate(stream, start=1):
                if cells := line.split():
                    yield number, cells
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}, after line {number}, is no UTF-8 text: {error}") from error

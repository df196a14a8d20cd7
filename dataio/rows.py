"""Reading protocol CSVs as text, row by row, with the place of every fault."""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import IO

from dataio.schema import COLUMNS, LABELS, ROOT, SEGMENTS, UNLABELLED, UserError
from dataio.text_cells import check_header, open_text, seconds_of

REQUIRED = ("ID", "Label", "Duration", "SampleRate", "Path", "AudioChannel")
TOY_EXAMPLE = "toy_example"  # of the release, whose demonstration takes its protocol for granted
PROPORTIONS = ("train", "valid", "test", "-", "")
ID, LABEL, DURATION, RATE, PATH, ATTACK, SPEAKER, PROPORTION, CHANNELS, _, _, LANGUAGE = range(12)


def no_protocol(
    path: str | os.PathLike, data_folder: str | os.PathLike = "DATA_FOLDER"
) -> UserError:
    """The refusal of a protocol CSV that is not there, with the command that makes one."""
    stem = os.path.basename(path).partition(".")[0]
    if stem in ("train", "valid", "test"):
        return UserError(f"there is no protocol {path}: `python -m protocols merge` writes one")
    if stem.startswith(TOY_EXAMPLE):
        target = os.path.join(os.path.dirname(path), f"{TOY_EXAMPLE}.csv")
        return UserError(
            f"there is no protocol {path}: make it with `python -m protocols build {TOY_EXAMPLE}"
            f" --data_folder {data_folder} --output {target}`"
        )
    return UserError(
        f"there is no protocol {path}: `python -m protocols list` names the databases that"
        " `build` knows"
    )


def open_rows(path: str | os.PathLike) -> IO[str]:
    """A CSV as text: names that are not UTF-8 survive."""
    if not os.path.isfile(path):
        raise no_protocol(path)
    return open_text(path, errors="surrogateescape")


def columns_of(paths: Iterable[str | os.PathLike]) -> tuple[str, ...]:
    """The columns that some protocols have together: `COLUMNS`, and `SEGMENTS` if any has it."""
    for path in paths:
        with open_rows(path) as file:
            if SEGMENTS in next(csv_rows(file, path), (1, []))[1]:
                return (*COLUMNS, SEGMENTS)
    return COLUMNS


def read_rows(
    path: str | os.PathLike, columns: tuple[str, ...] = COLUMNS
) -> Iterator[tuple[int, list[str], str | None]]:
    """`(line number, the cells, the line itself)` of each row of a protocol.

    The cells are text in the order of `columns`; columns that are absent and not in `REQUIRED`
    are `-`, others are left out. The line is None where it is not those cells joined by
    commas (another column order, quoted cells). Raises `UserError` for a header or a row that is
    no protocol's.
    """
    with open_rows(path) as file:
        number, header = next(csv_rows(file, path), (1, []))
        places = _places(header, path, columns)
        is_plain = tuple(header) == columns
        for line in file:
            number += 1
            if '"' in line:
                # takes more lines from the file if a cell goes on over their ends
                last, cells = next(csv_rows(chain([line], file), path, number))
                plain, line = False, None
            else:
                text = line.rstrip("\r\n")
                if not text:
                    continue
                last, cells, plain = number, text.split(","), is_plain
                line = text + "\n"
            if len(cells) != len(header):
                raise UserError(
                    f"{len(cells)} cells in {path}, line {number}: its header has {len(header)}"
                )
            if not is_plain:
                cells = ["-" if place is None else cells[place] for place in places]
            yield number, cells, line if plain else None
            number = last


def csv_rows(
    lines: Iterable[str], path: str | os.PathLike, number: int = 1
) -> Iterator[tuple[int, list[str]]]:
    """`(its last line, cells)` of each row of a CSV; `number` is the first line's.

    Raises `UserError` with the line where a row begins that is no CSV: a quote that is not closed
    swallows what follows it.
    """
    reader = csv.reader(lines, strict=True)
    while True:
        begin = number + reader.line_num
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise UserError(
                f"{path}, line {begin} is no CSV ({error}): is a quote not closed?"
            ) from error
        yield number + reader.line_num - 1, cells


def _places(
    header: list[str], path: str | os.PathLike, columns: tuple[str, ...]
) -> list[int | None]:
    check_header(header, (*COLUMNS, SEGMENTS), path)
    missing = [name for name in REQUIRED if name not in header]
    if missing:
        raise UserError(f"no column {missing[0]!r} in the header of {path}: is it a protocol CSV?")
    return [header.index(name) if name in header else None for name in columns]


def duration_of(cells: list[str], where: str) -> float:
    """The Duration cell in seconds, no number above 0 for a row without audio (-1, `nan`).

    Raises `UserError` for what is no number of seconds.
    """
    text = cells[DURATION]
    if math.isnan(seconds := seconds_of(text)) and text.strip().lower() != "nan":
        raise UserError(f"Duration {text!r} in {where} is no number of seconds")
    return seconds


def check_words(cells: list[str], where: str) -> None:
    """Refuse a label or a proportion that the protocol's format does not have."""
    if cells[LABEL] not in LABELS and cells[LABEL] not in UNLABELLED:
        raise UserError(f"unknown label {cells[LABEL]!r} in {where}: expected 'real' or 'fake'")
    if cells[PROPORTION] not in PROPORTIONS:
        raise UserError(
            f"unknown proportion {cells[PROPORTION]!r} in {where}: expected train, valid, test or -"
        )


def plain_path(path: str) -> str:
    """A Path cell in one spelling: `$ROOT//x` of old CSVs is `$ROOT/x`."""
    if path.startswith(ROOT + "//"):
        return ROOT + "/" + path[len(ROOT) :].lstrip("/")
    return path

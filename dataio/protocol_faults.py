"""What is wrong with a protocol CSV, and in which line: the slow, exact reader behind refusals."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator

from dataio.rows import no_protocol
from dataio.schema import COLUMNS, SEGMENTS, UNLABELLED, UserError, label_to_int
from dataio.text_cells import UNREADABLE, open_text, seconds_of
from dataio.text_cells import check_header as check_columns

_NEEDED = ("ID", "Path")
_NEEDED_IN_TRAINING = ("ID", "Label", "Duration", "Path")


def check_header(csv_path: str, *, require_labels: bool) -> list[str]:
    """The column names of the CSV; raises `UserError` when it, or a needed column, is missing."""
    if not os.path.isfile(csv_path):
        raise no_protocol(csv_path)
    if not os.access(csv_path, os.R_OK):
        raise UserError(f"the protocol {csv_path} may not be read: change its permissions")
    if os.path.getsize(csv_path) == 0:
        raise UserError(f"{csv_path} is empty: its first line has to name the columns")
    _, columns = next(_records(csv_path), (1, []))
    check_columns(columns, (*COLUMNS, SEGMENTS), csv_path)
    check_columns(columns, columns, csv_path)  # none twice, known or not
    needed = _NEEDED_IN_TRAINING if require_labels else _NEEDED
    missing = [name for name in needed if name not in columns]
    if missing:
        raise UserError(
            f"{csv_path} lacks the column{'s' * (len(missing) > 1)} {', '.join(missing)}: "
            f"the first line has to read {','.join(COLUMNS)}"
        )
    return columns


def explain(csv_path: str, *, require_labels: bool) -> None:
    """Raises `UserError` for the first faulty row; returns when this reader finds none."""
    records = _records(csv_path)
    _, columns = next(records)
    for line, cells in records:
        where = f"{csv_path}, line {line}"
        if len(cells) != len(columns):
            raise UserError(
                f"{where} has {len(cells)} fields where the header has {len(columns)}: quote a "
                "field that holds a comma, and keep a row on one line"
            )
        row = dict(zip(columns, cells, strict=True))
        for name in _NEEDED:
            if not row[name]:
                raise UserError(f"{where} has an empty {name}: fill it or remove the row")
        _check_label(row, where, require_labels)
        _check_duration(row, where, require_labels)


def explain_duplicate(csv_path: str, utterance_id: str) -> None:
    """Raises the `UserError` that names both lines of a repeated ID."""
    records = _records(csv_path)
    at = next(records)[1].index("ID")
    lines = [line for line, cells in records if cells[at].strip() == utterance_id]
    raise UserError(
        f"{csv_path} has the ID {utterance_id!r} in line {lines[0]} and again in line {lines[1]}: "
        "IDs have to be unique, so rename or remove one"
    )


def _check_label(row: dict[str, str], where: str, required: bool) -> None:
    label_to_int(row.get("Label", "-"), where)
    if required and row["Label"] in UNLABELLED:
        raise UserError(f"{where} has no label: training and validation need 'real' or 'fake'")


def _check_duration(row: dict[str, str], where: str, required: bool) -> None:
    word = row.get("Duration", "-")
    if word in ("-", "") and not required:
        return
    if not seconds_of(word) > 0:
        raise UserError(
            f"{where} has the duration {word!r}: expected seconds above 0, so probe the file anew "
            "or remove the row"
        )


def _records(csv_path: str) -> Iterator[tuple[int, list[str]]]:
    """(line number, cells) of every line that is not blank; raises `UserError` for broken text."""
    with open_text(csv_path) as file:
        reader = csv.reader(file)
        try:
            for cells in reader:
                if cells:
                    yield reader.line_num, cells
        except UnicodeDecodeError as error:
            raise UserError(
                f"{csv_path}, line {_line_not_utf8(csv_path)}, is not UTF-8 text: save the file as "
                "UTF-8"
            ) from error
        except (*UNREADABLE, csv.Error) as error:
            raise UserError(
                f"{csv_path}, line {reader.line_num}, is no CSV text ({error}): make the protocol "
                "anew"
            ) from error


def _line_not_utf8(csv_path: str) -> int:
    """The first line with a byte that is not UTF-8; the csv reader is a block ahead of its own."""
    with open_text(csv_path, errors="surrogateescape") as file:
        return next(n for n, line in enumerate(file, 1) if _has_stray_byte(line))


def _has_stray_byte(line: str) -> bool:
    return any("\udc80" <= letter <= "\udcff" for letter in line)

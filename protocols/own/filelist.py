"""`python -m protocols filelist NAME --list FILE ...`: a list of files and their classes.

A `.csv` list has a header with the columns path and label, and any of attack, speaker,
proportion, language. Any other list has blank-separated fields, named by --columns (default: path
label). `_` in --columns passes over a field. Paths are absolute or below the data folder.
"""

from __future__ import annotations

import argparse
import os

from dataio.rows import csv_rows, open_rows
from dataio.schema import UserError
from dataio.text_cells import check_header
from protocols.build import build_and_report
from protocols.corpus import Item
from protocols.own.items import (
    LABELS,
    PROPORTIONS,
    add_own_arguments,
    id_of,
    own_corpus,
    refuse_nothing,
)
from protocols.source import Source

COLUMNS = ("path", "label", "attack", "speaker", "proportion", "language", "_")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_own_arguments(parser)
    parser.add_argument("--list", nargs="+", required=True, metavar="FILE", dest="lists")
    parser.add_argument(
        "--columns", nargs="+", default=["path", "label"], choices=COLUMNS, help="of blank lists"
    )


def run(args: argparse.Namespace) -> int:
    for column in ("path", "label"):
        if args.columns.count(column) != 1:
            raise UserError(f"--columns {' '.join(args.columns)}: name {column!r} exactly once")

    for name in args.lists:
        if not os.path.isfile(name):
            raise UserError(f"no file {name}: --list names lists of audio files")

    def items(source):
        for name in args.lists:
            rows = _rows(source, name, args.columns)
            found = (_item(source, where, row, args) for where, row in rows)
            yield from refuse_nothing(found, f"no file is listed in {name!r}", args)

    source = Source(args.data_folder, skip_unknown=args.skip_unknown)
    return build_and_report(own_corpus(args, items), source, args)


def _rows(source: Source, name: str, columns: list[str]):
    """`(where, {column: text})` of each line of one list."""
    name = os.path.abspath(name)
    if name.endswith(".csv"):
        with open_rows(name) as file:
            check_header(next(csv_rows(file, name), (1, []))[1], COLUMNS[:-1], name)
        yield from source.table(name, columns=("path", "label"))
    else:
        for where, cells in source.lines(name, fields=len(columns)):
            yield where, dict(zip(columns, cells, strict=True))


def _item(source: Source, where: str, row: dict[str, str], args: argparse.Namespace) -> Item:
    path = source.relative(row["path"], where)
    proportion = row.get("proportion") or args.proportion
    return Item(
        path,
        id_of(path),
        source.word(LABELS, row["label"], where),
        attack=row.get("attack") or "-",
        speaker=row.get("speaker") or "-",
        proportion=source.word({"-": "-"} | PROPORTIONS, proportion, where),
        language=row.get("language") or args.language,
        where=where,
    )

"""`python -m protocols folders NAME --real DIR ... --fake DIR ...`: one folder a class.

The attack of a file is the name of its --fake folder; the ID is the path below that folder.
"""

from __future__ import annotations

import argparse
import os
from itertools import permutations

from dataio.schema import UserError
from protocols.build import build_and_report
from protocols.corpus import Item
from protocols.own.items import (
    SUFFIXES,
    add_own_arguments,
    below,
    id_of,
    own_corpus,
    refuse_nothing,
)
from protocols.source import Source


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_own_arguments(parser)
    parser.add_argument(
        "--real", nargs="+", default=[], metavar="DIR", help="folders of real speech"
    )
    parser.add_argument(
        "--fake", nargs="+", default=[], metavar="DIR", help="folders of fake speech"
    )


def run(args: argparse.Namespace) -> int:
    if not args.real and not args.fake:
        raise UserError("give --real DIR ..., --fake DIR ..., or both")
    source = Source(args.data_folder, skip_unknown=args.skip_unknown)
    _refuse_nested([*args.real, *args.fake], source.data_folder)

    def items(source):
        for label, folders in (("real", args.real), ("fake", args.fake)):
            for folder in folders:
                found = _of_folder(source, folder, label, args)
                yield from refuse_nothing(found, f"no audio in {folder!r}", args)

    return build_and_report(own_corpus(args, items), source, args)


def _refuse_nested(folders: list[str], data_folder: str) -> None:
    """`UserError` where one folder is, or is in, another: a file has one class and one attack."""
    places = [
        (folder, os.path.realpath(os.path.join(data_folder, below(folder, data_folder))))
        for folder in folders
    ]
    for (outer, place), (inner, inner_place) in permutations(places, 2):
        if os.path.commonpath([place, inner_place]) == place:
            raise UserError(
                f"the files of {inner!r} are also in {outer!r}, and each has one class and one "
                "attack: name folders that lie apart"
            )


def _of_folder(source: Source, folder: str, label: str, args: argparse.Namespace):
    top = below(folder, source.data_folder)
    name = os.path.basename(top) or label
    shapes = [f"{shape}{suffix}" for suffix in SUFFIXES for shape in ("{stem}", "{path*}/{stem}")]
    for path, _ in source.files(top, *shapes, any_case=True):
        yield Item(
            path,
            f"{name}-{id_of(path[len(top) :].lstrip('/'))}",
            label,
            attack=name if label == "fake" else "-",
            proportion=args.proportion,
            language=args.language,
        )

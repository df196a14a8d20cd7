"""`python -m protocols folders NAME --real DIR ... --fake DIR ...`: one folder a class.

The attack of a file is the name of its --fake folder; the ID is the path below that folder.
"""

from __future__ import annotations

import argparse
import os

from protocols.build import build_and_report
from protocols.corpus import Item
from protocols.own.items import SUFFIXES, add_own_arguments, below, id_of, own_corpus
from protocols.schema import UserError
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

    def items(source):
        for label, folders in (("real", args.real), ("fake", args.fake)):
            for folder in folders:
                yield from _of_folder(source, folder, label, args)

    source = Source(args.data_folder, skip_unknown=args.skip_unknown)
    return build_and_report(own_corpus(args, items), source, args)


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

"""`python -m protocols filename NAME --dir DIR --real_pattern R --fake_pattern F`: class by name.

The patterns are regular expressions, searched in the path below DIR; a file must match exactly
one of them. Named groups fill columns: `--fake_pattern '^spoof_(?P<attack>[^_]+)_'`.
"""

from __future__ import annotations

import argparse
import re

from dataio.schema import UserError
from protocols.build import build_and_report
from protocols.corpus import Item
from protocols.own.items import SUFFIXES, add_own_arguments, below, id_of, own_corpus
from protocols.source import Source

GROUPS = ("attack", "speaker")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_own_arguments(parser)
    parser.add_argument("--dir", required=True, help="the folder, below the data folder")
    parser.add_argument("--real_pattern", required=True, help="of the names of real speech")
    parser.add_argument("--fake_pattern", required=True, help="of the names of fake speech")


def run(args: argparse.Namespace) -> int:
    patterns = {
        "real": _compiled("--real_pattern", args.real_pattern),
        "fake": _compiled("--fake_pattern", args.fake_pattern),
    }

    def items(source):
        top = below(args.dir, source.data_folder)
        shapes = [f"{s}{suffix}" for suffix in SUFFIXES for s in ("{stem}", "{path*}/{stem}")]
        for path, _ in source.files(top, *shapes, any_case=True):
            rest = path[len(top) :].lstrip("/")
            found = {label: p.search(rest) for label, p in patterns.items()}
            matches = {label: match for label, match in found.items() if match}
            if len(matches) != 1:
                what = "both patterns match" if matches else "neither pattern matches"
                source.refuse(what, path)
                continue
            [(label, match)] = matches.items()
            columns = {k: v for k, v in match.groupdict().items() if k in GROUPS and v}
            yield Item(
                path,
                id_of(rest),
                label,
                proportion=args.proportion,
                language=args.language,
                **columns,
            )

    source = Source(args.data_folder, skip_unknown=args.skip_unknown)
    corpus = own_corpus(args, items, folder=f"audio files in {args.dir!r}")
    return build_and_report(corpus, source, args)


def _compiled(option: str, pattern: str) -> re.Pattern:
    try:
        return re.compile(pattern)
    except re.error as error:
        raise UserError(f"{option} {pattern!r} is no regular expression: {error}") from error

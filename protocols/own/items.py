"""What the three verbs for own data share: words for the classes, IDs, the database they build."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Iterable, Iterator

from dataio.schema import FOREIGN_LABELS, REAL, UserError
from protocols.corpus import Corpus, Item
from protocols.source import path_below

SUFFIXES = (".wav", ".flac", ".mp3", ".m4a", ".ogg", ".opus", ".aac", ".webm", ".mp4")
LABELS = {word: "real" if label == REAL else "fake" for word, label in FOREIGN_LABELS.items()}
PROPORTIONS = {"train": "train", "valid": "valid", "dev": "valid", "test": "test", "eval": "test"}
NAME = re.compile(r"\w+")


def add_own_arguments(parser: argparse.ArgumentParser) -> None:
    """The options that the three verbs have in common."""
    from protocols.build import add_build_arguments

    parser.add_argument("name", help="the database's name: begins every ID, no hyphen in it")
    add_build_arguments(parser)
    parser.add_argument("--language", default="-", help="of all files, e.g. EN")
    parser.add_argument("--proportion", default="-", choices=("train", "valid", "test", "-"))


def own_corpus(args: argparse.Namespace, items, *, folder: str = "") -> Corpus:
    """The database that a verb builds; `items` is its generator, `folder` what it looks for."""
    if not NAME.fullmatch(args.name):
        raise UserError(
            f"name {args.name!r}: use letters, digits and _ only (IDs are told apart by it)"
        )
    return Corpus(
        args.name,
        items,
        prefix=f"{args.name}-",
        contents="real+fake",
        folder=folder,
        link="own data",
    )


def refuse_nothing(found: Iterable[Item], what: str, args: argparse.Namespace) -> Iterator[Item]:
    """The items; without any, a `UserError` that begins with `what`, unless --allow_empty."""
    item = None
    for item in found:
        yield item
    if item is None and not args.allow_empty:
        raise UserError(f"{what}: correct the place, or accept it with --allow_empty")


def below(folder: str, data_folder: str) -> str:
    """A folder as the user names it, as a path below the data folder."""
    for place in (os.path.join(data_folder, folder), folder):
        if os.path.isdir(place):
            path = path_below(os.path.abspath(place), data_folder)
            if path is None:
                raise UserError(f"{folder} is not below the data folder {data_folder}")
            return path
    raise UserError(f"no folder {folder}: give one below the data folder {data_folder}")


def id_of(path: str) -> str:
    """An ID from a path below some folder: folders and stem, joined by hyphens."""
    return os.path.splitext(path)[0].replace("/", "-")

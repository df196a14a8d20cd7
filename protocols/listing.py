"""`python -m protocols list`: what databases there are, and what part each had in the release."""

from __future__ import annotations

import argparse
import json

from dataio.schema import UserError
from protocols.corpus import TEST, TRAIN, Corpus, corpora


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("names", nargs="*", help="only these")
    parser.add_argument("--json", action="store_true", help="as JSON, for programs")


def run(args: argparse.Namespace) -> int:
    known = corpora()
    for name in args.names:
        if name not in known:
            raise UserError(f"unknown database {name!r}: see `python -m protocols list`")
    chosen = [known[name] for name in args.names or known]
    if args.json:
        print(json.dumps([facts(corpus) for corpus in chosen], indent=1))
        return 0
    for corpus in chosen:
        print(_text(corpus))
    print(f"{len(chosen)} databases")
    return 0


def facts(corpus: Corpus) -> dict:
    """The declaration of a database, without its generator."""
    return {
        "name": corpus.name,
        "contents": corpus.contents,
        "csv": corpus.csv_name(),
        "id_prefix": corpus.prefix,
        "folder": corpus.folder,
        "lists": list(corpus.lists),
        "variants": list(corpus.variants),
        "source_data": list(corpus.sources),
        "segments": corpus.segments,
        "uncertain": corpus.uncertain,
        "link": corpus.link,
        "post_training": role(corpus),
    }


def role(corpus: Corpus) -> str:
    """Where the database served when the released models were post-trained."""
    if corpus.role == TRAIN:
        return f"training: {corpus.training}, validation: {corpus.validation or 'none'}"
    return "test" if corpus.role == TEST else "not used"


def _text(corpus: Corpus) -> str:
    lines = [
        f"{corpus.name}  ({corpus.contents})",
        f"  folder         {corpus.folder}",
        f"  source         {corpus.link}",
        f"  post-training  {role(corpus)}",
    ]
    if corpus.sources:
        lines.append(f"  speech from    {', '.join(corpus.sources)}")
    if corpus.lists:
        lines.append(f"  lists          {', '.join(corpus.lists)}")
    if corpus.segments:
        lines.append("  segments       labels of parts, in the column Segments")
    if corpus.uncertain:
        lines.append(f"  uncertain      {corpus.uncertain}")
    if corpus.variants:
        lines.append(f"  variants       {', '.join(corpus.variants)}")
    return "\n".join(lines)

"""`python -m protocols build NAME --data_folder D --output F.csv`: the protocol of one database.

Items come from the database's generator, headers from the files; rows are streamed to a
temporary file that takes its name when it is whole. What is left out is counted, and listed in
`<output>.skipped.csv`. A second run reads only the headers of files that are new or changed
(`<output>.headers.sqlite` remembers the rest).
"""

from __future__ import annotations

import argparse
import csv
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import IO

from dataio.locks import sole_writer
from dataio.output_paths import check_outputs
from dataio.schema import Row, UserError
from dataio.whole_files import whole_file, write_text
from protocols.corpus import Corpus, Item, find_corpus, row_of
from protocols.source import UNKNOWN_WORD, Source
from protocols.summary import Skipped, Summary, counts_text, passed_over_text

PROPORTIONS = ("train", "valid", "test")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", help="as `python -m protocols list` has it, or my_corpus.py")
    add_build_arguments(parser)
    parser.add_argument("--metadata", help="the database's list file, or a folder of its lists")
    parser.add_argument("--file_list", help="audio paths, one a line, instead of walking for them")
    parser.add_argument("--variant", default="", help="of databases that have several: see list")


def add_build_arguments(parser: argparse.ArgumentParser) -> None:
    """What every verb that writes a protocol takes."""
    parser.add_argument("--data_folder", required=True, help="what $ROOT stands for")
    parser.add_argument("--output", help="the CSV to write (default: the published name, here)")
    parser.add_argument("--workers", type=int, help="processes (default: one a core)")
    parser.add_argument(
        "--skip_unknown",
        action="store_true",
        help="leave out and count rows with a word, folder or field count that is not known",
    )
    parser.add_argument("--allow_empty", action="store_true", help="no row found: write a header")
    parser.add_argument("--no_cache", action="store_true", help="read every header again")
    parser.add_argument("--json", help="write the summary there too")


def run(args: argparse.Namespace) -> int:
    corpus = find_corpus(args.name)
    source = Source(
        args.data_folder,
        metadata=args.metadata,
        file_list=args.file_list,
        variant=_variant(corpus, args.variant),
        skip_unknown=args.skip_unknown,
        lists=corpus.lists,
    )
    return build_and_report(corpus, source, args)


def build_and_report(corpus: Corpus, source: Source, args: argparse.Namespace) -> int:
    """Build with the shared options, print the summary; the exit status."""
    from protocols.parallel import worker_count

    output = Path(args.output or corpus.csv_name(source.variant))
    _refuse_output(output)
    _check_paths(corpus, output, source, args)
    summary = build(
        corpus,
        source,
        output,
        workers=worker_count(args.workers),
        use_cache=not args.no_cache,
        allow_empty=args.allow_empty,
    )
    print(summary.text())
    if args.json:
        write_text(args.json, json.dumps(asdict(summary), indent=1) + "\n")
    return 0


def _check_paths(corpus: Corpus, output: Path, source: Source, args: argparse.Namespace) -> None:
    """Refuse outputs that would destroy a list that is read, or each other."""
    beside = [output.with_suffix(end) for end in (".skipped.csv", ".headers.sqlite")]
    outputs = [
        *(("--output", path) for path in _output_files(corpus, output).values()),
        *(("the file beside --output", path) for path in beside),
        ("--json", args.json),
    ]
    lists = [source.file_list, *getattr(args, "lists", [])]
    if source.metadata and not os.path.isdir(source.metadata):
        lists.append(source.metadata)
    check_outputs(outputs, lists)


def _variant(corpus: Corpus, asked: str) -> str:
    if asked and asked not in corpus.variants:
        known = ", ".join(corpus.variants) or "none"
        raise UserError(f"{corpus.name} has no variant {asked!r}: known are {known}")
    return asked or (corpus.variants[0] if corpus.variants else "")


# ---------------------------------------------------------------------- building


def build(
    corpus: Corpus,
    source: Source,
    output: str | os.PathLike,
    *,
    workers: int = 1,
    use_cache: bool = True,
    allow_empty: bool = False,
) -> Summary:
    """Write the protocol of `corpus` to `output` (with `split_files`, three files beside it).

    Raises `UserError` for anything unknown in the corpus and, unless `allow_empty`, if no row is
    found; the output is then left as it was.
    """
    from protocols.headers import HeaderCache
    from protocols.unique import finish

    output = Path(output)
    _refuse_output(output)
    stem = output.with_suffix("")
    outputs = _output_files(corpus, output)
    summary = Summary(corpus.name, [str(path) for path in outputs.values()])
    skipped = Skipped(Path(f"{stem}.skipped.csv"))
    scratch = whole_file(output)
    with ExitStack() as stack:
        stack.enter_context(sole_writer(output))
        stack.enter_context(skipped)
        stack.callback(scratch.discard)
        cache = HeaderCache(f"{stem}.headers.sqlite", source.data_folder) if use_cache else None
        stack.enter_context(cache or nullcontext())
        rows = _rows(corpus, source, summary, skipped, workers=workers, cache=cache)
        ids = _write_rows(rows, scratch.open(), summary, corpus.columns)
        if source.unused:
            option = source.unused.pop()
            raise UserError(f"{corpus.name} makes no use of --{option}: leave it out")
        summary.unknown, summary.passed_over = dict(source.unknown), dict(source.passed_over)
        summary.passed_over_first = source.passed_over_first
        summary.lists_not_found = source.lists_not_found
        summary.skipped_file = skipped.name()
        if not summary.rows and not allow_empty:
            raise UserError(_nothing_found(corpus, source, summary, skipped))
        summary.headers_read = cache.fresh if cache else summary.rows + summary.unreadable
        finish(scratch, ids, outputs, summary)
    return summary


def _refuse_output(output: Path) -> None:
    if output.is_dir():
        raise UserError(f"--output {output} is a folder: name a .csv file")
    if not output.parent.is_dir():
        raise UserError(f"no folder {output.parent} for --output {output}: make it first")
    if output.exists() and output.name not in os.listdir(output.parent):
        raise UserError(
            f"this disk takes {output} for a file whose name has other capitals (Codecfake and "
            "CodecFake are two databases): give another --output"
        )


def _output_files(corpus: Corpus, output: Path) -> dict[str, Path]:
    """The file of each proportion, or one file for all (`""`)."""
    if not corpus.split_files:
        return {"": output}
    return {p: output.with_name(f"{output.stem}_{p}{output.suffix}") for p in PROPORTIONS}


def _rows(corpus, source, summary, skipped, *, workers, cache) -> Iterator[Row]:
    """Rows of the items whose file has a header; the others are counted and listed."""
    from tqdm import tqdm

    from protocols.headers import MISSING, Problem, read_headers

    items = tqdm(_known_items(corpus, source), corpus.name, unit=" files", disable=None)
    found = read_headers(items, _path_of, source.data_folder, workers=workers, cache=cache)
    for item, header in found:
        if isinstance(header, Problem):
            if header.kind == MISSING:
                summary.missing += 1
            else:
                summary.unreadable += 1
            skipped.note(header.kind, item, header.reason)
            continue
        yield row_of(corpus, item, header)


def _path_of(item: Item) -> str:
    return item.path


def _known_items(corpus: Corpus, source: Source) -> Iterator[Item]:
    """The generator's items, without those in which a word was unknown (`--skip_unknown`)."""
    for item in corpus.items(source):
        words = (item.label, item.attack, item.speaker, item.proportion, item.language)
        if UNKNOWN_WORD in words or UNKNOWN_WORD in item.id or UNKNOWN_WORD in item.path:
            continue
        if item.label not in ("real", "fake", "-"):
            raise ValueError(f"the generator of {corpus.name} gave the label {item.label!r}")
        if source.stays_below(item.path, item.where or corpus.name):
            yield item


def _write_rows(rows: Iterable[Row], file: IO[str], summary: Summary, columns: tuple[str, ...]):
    """Write the rows and count them; returns the hash of each row's ID, in order."""
    from array import array

    ids = array("q")
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        writer.writerow(row.cells(columns))
        ids.append(hash(row.id))
        summary.rows += 1
        summary.real += row.label == "real"
        summary.fake += row.label == "fake"
        summary.hours += row.duration / 3600
    file.flush()
    return ids


def _nothing_found(corpus: Corpus, source: Source, summary: Summary, skipped: Skipped) -> str:
    if summary.missing or summary.unreadable:
        return (
            f"no row for {corpus.name}: of the listed files {summary.missing} are missing and "
            f"{summary.unreadable} unreadable, the first is {skipped.first}"
        )
    if source.unknown:
        return f"no row for {corpus.name}: all is unknown, {counts_text(source.unknown)}"
    if source.lists_not_found:
        return (
            f"no list of {corpus.name} found: looked for {source.lists_not_found[0]}; "
            "--metadata names one that lies elsewhere"
        )
    if source.passed_over:
        passed_over = passed_over_text(source.passed_over, source.passed_over_first)
        return f"no row for {corpus.name}: not part of its layout are {passed_over}"
    variant = f", here as --variant {source.variant}" if source.variant else ""
    return (
        f"no audio of {corpus.name} below {source.data_folder}: expected {corpus.folder}{variant} "
        "(--allow_empty writes the header alone)"
    )

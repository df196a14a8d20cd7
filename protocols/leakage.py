"""`python -m protocols leakage --train T.csv --test E.csv --data_folder D`: what do they share?

Compared are IDs, paths, file content, decoded audio (a wav and its flac are one), speakers, and
the corpora that the speech was taken from. `--train released` asks what the released models were
trained on instead, by database. Exit status 1 if anything is found, 2 if there was nothing to
compare.
"""

from __future__ import annotations

import argparse
import json
import os
from collections import Counter
from collections.abc import Iterator
from functools import cache
from itertools import islice

from dataio.output_paths import check_outputs
from dataio.rows import ID, PATH, PROPORTION, SPEAKER, plain_path, read_rows
from dataio.schema import UserError, resolve_path
from dataio.whole_files import write_text
from protocols.corpus import corpora, database_of
from protocols.equal_files import TEST, TRAINING, FileMatcher, ListedFile, real_path
from protocols.findings import Findings
from protocols.merge import PUBLISHED_ORDER

RELEASED = "released"
KINDS = {
    "ids": "test rows whose ID is in the training data",
    "paths": "test files that are a training file, by their path",
    "content": "test files whose bytes are a training file's",
    "audio": "test files whose decoded audio is a training file's",
    "speakers": "test speakers who speak in the training data",
    "sources": "test databases whose speech has a source in common with a training database",
}
RELEASED_KINDS = {
    "training": "test rows of a database that the released models were trained on",
    "validation": "test rows that chose the released models' checkpoints",
    "sources": KINDS["sources"],
}
NAMELESS = ("-", "", "unknown")  # speakers nobody can be compared by
NO_PATH = ("-", "")
BLOCK_ROWS = 20_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--train", nargs="+", required=True, metavar="CSV", help="protocols, or the word: released"
    )
    parser.add_argument("--test", nargs="+", required=True, metavar="CSV")
    parser.add_argument("--data_folder", help="what $ROOT stands for; for content, audio and links")
    parser.add_argument(
        "--compare", nargs="+", choices=KINDS, default=list(KINDS), help="only these (default: all)"
    )
    parser.add_argument("--json", help="write all figures there")
    parser.add_argument("--findings", help="write every finding to this CSV")
    parser.add_argument("--workers", type=int, help="processes (default: one a core)")


def run(args: argparse.Namespace) -> int:
    outputs = [("--json", args.json), ("--findings", args.findings)]
    check_outputs(outputs, [*args.train, *args.test])
    with Findings(args.findings) as findings:
        if RELEASED in args.train:
            if len(args.train) > 1:
                raise UserError(
                    f"--train {' '.join(args.train)}: the word {RELEASED} stands alone (what it "
                    "means has no files), ask about your own CSVs in a second run"
                )
            kinds, facts = RELEASED_KINDS, released_leakage(args.test, findings)
        else:
            kinds = {kind: KINDS[kind] for kind in KINDS if kind in args.compare}
            facts = leakage(args, findings)
    facts |= {"found": sum(findings.counts.values()), "kinds": findings.facts(kinds)}
    train = f"{facts['train_rows']} training rows" if "train_rows" in facts else "released models"
    print(f"{train} against {facts['test_rows']} test rows")
    print("\n".join(findings.lines(kinds)))
    for note in facts["notes"]:
        print(f"note: {note}")
    if args.json:
        write_text(args.json, json.dumps(facts, indent=1, ensure_ascii=False) + "\n")
    return 1 if facts["found"] else 0


# ---------------------------------------------------------------------- source corpora


@cache
def sources_of(database: str) -> frozenset[str]:
    """A database and all that its speech was taken from, as far as the release's table says."""
    found = {database}
    for source in corpora()[database].sources if database in corpora() else ():
        found |= sources_of(source)
    return frozenset(found)


def _compare_sources(train: Counter, test: Counter, findings: Findings) -> list[str]:
    """Shared sources of different databases are findings; the same database is only a note."""
    notes = []
    for name in sorted(test):
        if name in train:
            notes.append(f"{name} is in both: whether its parts share speakers is compared above")
        for other in sorted(set(train) - {name}):
            if shared := sources_of(name) & sources_of(other):
                findings.add("sources", f"{name} ({test[name]} rows) and {other}: {_join(shared)}")
    return notes


def _join(words) -> str:
    return ", ".join(sorted(words))


def released_leakage(test: list[str], findings: Findings) -> dict:
    """Which test rows are of databases that the released models saw, directly or by their source.

    The release names databases and splits, no files: a row counts by its ID's prefix.
    """
    used = {name: corpora()[name] for name in PUBLISHED_ORDER}
    rows: Counter[str] = Counter()
    for _, cells in _rows(test):
        name = database_of(cells[ID])
        rows[name] += 1
        if name in used:
            chosen = used[name].validation and cells[PROPORTION] == "valid"
            findings.add("validation" if chosen else "training", f"{cells[ID]} of {name}")
    for name in sorted(set(rows) - set(used)):
        for other in sorted(used):
            if shared := sources_of(name) & sources_of(other):
                findings.add("sources", f"{name} ({rows[name]} rows) and {other}: {_join(shared)}")
    notes = [
        f"{name}: the release's table does not know this database, compare its sources yourself"
        for name in sorted(rows)
        if name not in corpora()
    ]
    return {"test_rows": sum(rows.values()), "test_databases": dict(rows), "notes": notes}


# ---------------------------------------------------------------------- rows and files


def leakage(args: argparse.Namespace, findings: Findings) -> dict:
    """Compare the training protocols with the test protocols; findings go to `findings`."""
    from protocols.parallel import worker_count

    by_audio = [kind for kind in ("content", "audio") if kind in args.compare]
    _check_data_folder(args.data_folder, by_audio)
    test, train = Side(args.data_folder), Side(args.data_folder)
    for place, cells in _rows(args.test):
        test.add(place, cells)
    _refuse_empty(test, args.test, by_audio)
    matcher = FileMatcher(test.files, by_audio, worker_count(args.workers)) if by_audio else None
    if matcher:
        _refuse_unread(matcher, TEST)
    rows = _rows(args.train)
    while block := list(islice(rows, BLOCK_ROWS)):
        files = []
        for place, cells in block:
            file = train.count(place, cells)
            _compare_row(place, cells, file, test, args.compare, findings)
            files += [file] if file else []
        for kind, test_file, file in matcher.compare(files) if matcher else ():
            findings.add(kind, f"{test_file.place} and {file.place}")
    _refuse_empty(train, args.train, by_audio)
    if matcher:
        _refuse_unread(matcher, TRAINING)
    if "speakers" in args.compare:
        _compare_speakers(train, test, findings)
    notes = []
    if "sources" in args.compare:
        notes = _compare_sources(train.databases, test.databases, findings)
    notes += _notes_on_files(train, test, matcher)
    return {"train_rows": train.rows, "test_rows": test.rows, "notes": notes}


def _check_data_folder(data_folder: str | None, by_audio: list[str]) -> None:
    if data_folder and not os.path.isdir(data_folder):
        raise UserError(f"no folder {data_folder}: --data_folder is what $ROOT stands for")
    if by_audio and not data_folder:
        raise UserError("give --data_folder, or leave content and audio out of --compare")


def _refuse_empty(side: Side, names: list[str], by_audio: list[str]) -> None:
    names = ", ".join(names)
    if not side.rows:
        raise UserError(f"{names}: no row, so there is nothing to compare")
    if by_audio and side.rows == side.without_path:
        raise UserError(f"{names}: no row has a path, leave content and audio out of --compare")


def _refuse_unread(matcher: FileMatcher, side: str) -> None:
    """Where no file of a side can be read, "nothing found" would be no answer."""
    for kind, reading in matcher.readings.items():
        if reading.failed[side] == reading.asked[side]:
            raise UserError(
                f"none of the {reading.asked[side]} {side} files can be read to compare {kind}, "
                f"the first is {reading.first[side]}: correct --data_folder, or leave content "
                "and audio out of --compare"
            )


def _notes_on_files(train: Side, test: Side, matcher: FileMatcher | None) -> list[str]:
    notes = []
    if train.without_path or test.without_path:
        notes.append(
            f"{train.without_path} training and {test.without_path} test rows have no path: "
            "their files were not compared"
        )
    for kind, reading in matcher.readings.items() if matcher else ():
        if failed := reading.failed:
            first = reading.first.get(TEST) or reading.first[TRAINING]
            notes.append(
                f"{kind}: {failed[TRAINING]} training and {failed[TEST]} test files are missing "
                f"or unreadable and were not compared, such as {first}"
            )
    return notes


def _compare_row(place: str, cells: list[str], file, test: Side, kinds, findings) -> None:
    """Look up a training row's ID and file among the test rows; what is found is found once."""
    if "ids" in kinds and (there := test.ids.pop(hash(cells[ID]), None)):
        findings.add("ids", f"{cells[ID]}: {there} and {place}")
    if file and "paths" in kinds:
        number = test.paths.pop(hash(file.real), None)
        if number is not None:
            other = test.files[number]
            spelt = other.path if other.path == file.path else f"{other.path} is {file.path}"
            findings.add("paths", f"{spelt}: {other.place} and {place}")


def _rows(paths: list[str]) -> Iterator[tuple[str, list[str]]]:
    """`(place, cells)` of the rows of some protocols."""
    for path in paths:
        for number, cells, _ in read_rows(path):
            yield f"{path}, line {number}", cells


class Side:
    """What is remembered of one side's rows; places of IDs and paths by hash, of the test side."""

    def __init__(self, data_folder: str | None):
        self.data_folder = data_folder and os.path.realpath(data_folder)
        self.rows = 0
        self.without_path = 0
        self.ids: dict[int, str] = {}
        self.paths: dict[int, int] = {}  # where a path leads -> the number of its first file
        self.files: list[ListedFile] = []
        self.databases: Counter[str] = Counter()
        self.speakers: Counter[tuple[str, str]] = Counter()  # (database, speaker) -> rows

    def count(self, place: str, cells: list[str]) -> ListedFile | None:
        """Count a row; its file, if it has one."""
        self.rows += 1
        database = database_of(cells[ID])
        self.databases[database] += 1
        if cells[SPEAKER] not in NAMELESS:
            self.speakers[database, cells[SPEAKER]] += 1
        path = plain_path(cells[PATH])
        if path in NO_PATH:
            self.without_path += 1
            return None
        if self.data_folder is None:
            return ListedFile(place, path, os.path.normpath(path))
        path = resolve_path(path, self.data_folder)
        return ListedFile(place, path, real_path(path))

    def add(self, place: str, cells: list[str]) -> None:
        """Count a row and remember its ID and file."""
        file = self.count(place, cells)
        self.ids.setdefault(hash(cells[ID]), place)
        if file:
            self.paths.setdefault(hash(file.real), len(self.files))
            self.files.append(file)


def _compare_speakers(train: Side, test: Side, findings: Findings) -> None:
    """Speakers of one name, where the databases are the same or share a source.

    Elsewhere one name is two people: LibriTTS's 103 is not MLS's.
    """
    by_name: dict[str, list[str]] = {}
    for database, speaker in train.speakers:
        by_name.setdefault(speaker, []).append(database)
    for (database, speaker), rows in sorted(test.speakers.items()):
        for other in by_name.get(speaker, ()):
            if sources_of(database) & sources_of(other):
                there = train.speakers[other, speaker]
                findings.add(
                    "speakers",
                    f"{speaker}: {rows} test rows of {database}, {there} training rows of {other}",
                )

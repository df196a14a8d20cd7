"""`python -m protocols leakage --train T.csv --test E.csv --data_folder D`: what do they share?

Compared are IDs, paths, file content, decoded audio (a wav and its flac are one), speakers, and
the corpora that the speech was taken from. `--train released` asks what the released models were
trained on instead, by database. Exit status 1 if anything is found.

Files are hashed only where they can be equal: content where sizes agree, audio where length and
rate agree.
"""

from __future__ import annotations

import argparse
import json
import os
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from itertools import islice

from protocols.corpus import TRAIN, corpora, database_of
from protocols.files import write_text
from protocols.findings import Findings
from protocols.rows import ID, PATH, PROPORTION, SPEAKER, plain_path, read_rows
from protocols.schema import UserError, resolve_path

RELEASED = "released"
KINDS = {
    "ids": "test rows whose ID is in the training data",
    "paths": "test rows whose path is in the training data",
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
BLOCK_ROWS = 20_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--train", nargs="+", required=True, metavar="CSV", help="protocols, or the word: released"
    )
    parser.add_argument("--test", nargs="+", required=True, metavar="CSV")
    parser.add_argument("--data_folder", help="what $ROOT stands for; for content and audio")
    parser.add_argument(
        "--compare", nargs="+", choices=KINDS, default=list(KINDS), help="only these (default: all)"
    )
    parser.add_argument("--json", help="write all figures there")
    parser.add_argument("--findings", help="write every finding to this CSV")
    parser.add_argument("--workers", type=int, help="processes (default: one a core)")


def run(args: argparse.Namespace) -> int:
    with Findings(args.findings) as findings:
        if args.train == [RELEASED]:
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
    used = {name: corpus for name, corpus in corpora().items() if corpus.role == TRAIN}
    rows: Counter[str] = Counter()
    for _, _, cells in _rows(test):
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

    wants_audio = {"content", "audio"} & set(args.compare)
    if wants_audio and not args.data_folder:
        raise UserError("give --data_folder, or leave content and audio out of --compare")
    test = Side()
    for where, number, cells in _rows(args.test):
        test.add(where, number, cells)
    seen: dict[str, set[str]] = {"ids": set(), "paths": set()}
    files = None
    if wants_audio:
        files = FileMatcher(test, args.data_folder, args.compare, worker_count(args.workers))
    train = Side()
    rows = _rows(args.train)
    while block := list(islice(rows, BLOCK_ROWS)):
        for where, number, cells in block:
            train.count(cells)
            for kind, word in (("ids", cells[ID]), ("paths", plain_path(cells[PATH]))):
                place = getattr(test, kind).get(hash(word))
                if place is not None and kind in args.compare and word not in seen[kind]:
                    seen[kind].add(word)
                    findings.add(kind, f"{word}: {place} and {where}, line {number}")
        if files:
            files.compare(block, findings)
    if "speakers" in args.compare:
        _compare_speakers(train, test, findings)
    notes = []
    if "sources" in args.compare:
        notes = _compare_sources(train.databases, test.databases, findings)
    if files and files.unreadable:
        notes.append(f"{files.unreadable} files are missing or unreadable and were not compared")
    return {"train_rows": train.rows, "test_rows": test.rows, "notes": notes}


def _rows(paths: list[str]) -> Iterator[tuple[str, int, list[str]]]:
    for path in paths:
        for number, cells, _ in read_rows(path):
            yield path, number, cells


class Side:
    """What is remembered of one side's rows; places of IDs and paths by hash, of the test side."""

    def __init__(self):
        self.rows = 0
        self.ids: dict[int, str] = {}
        self.paths: dict[int, str] = {}
        self.files: list[tuple[str, str]] = []  # (place, path)
        self.databases: Counter[str] = Counter()
        self.speakers: Counter[tuple[str, str]] = Counter()  # (database, speaker) -> rows

    def count(self, cells: list[str]) -> None:
        self.rows += 1
        database = database_of(cells[ID])
        self.databases[database] += 1
        if cells[SPEAKER] not in NAMELESS:
            self.speakers[database, cells[SPEAKER]] += 1

    def add(self, where: str, number: int, cells: list[str]) -> None:
        self.count(cells)
        place, path = f"{where}, line {number}", plain_path(cells[PATH])
        self.ids.setdefault(hash(cells[ID]), place)
        self.paths.setdefault(hash(path), place)
        self.files.append((place, path))


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


class FileMatcher:
    """Finds the test files that are a training file's equal, in bytes or in decoded audio."""

    def __init__(self, test: Side, data_folder: str, compare: list[str], workers: int):
        self.data_folder, self.workers = data_folder, workers
        self.places = [place for place, _ in test.files]
        self.paths = [resolve_path(path, data_folder) for _, path in test.files]
        self.unreadable = 0
        self._own = {os.path.realpath(path): index for index, path in enumerate(self.paths)}
        self.levels: list[_Level] = []
        from protocols.decode import audio_hash, content_hash

        if "content" in compare:
            self.levels.append(_Level("content", file_size, content_hash, self))
        if "audio" in compare:
            self.levels.append(_Level("audio", audio_shape, audio_hash, self))
        self._found: set[int] = set()

    def apply(self, function: Callable[[str], str], paths: list[str]) -> list[str]:
        """`function` of each path, in parallel."""
        import pandas

        from protocols.parallel import apply_to_column

        column = pandas.Series(paths, dtype=object)
        return apply_to_column(column, function, workers=self.workers).tolist()

    def compare(self, block: list[tuple[str, int, list[str]]], findings: Findings) -> None:
        """Look for a block of training rows among the test files.

        A file under one path on both sides is found by its path, and not again here; audio whose
        bytes agree is not reported twice.
        """
        rows = [
            (f"{where}, line {number}", resolve_path(plain_path(cells[PATH]), self.data_folder))
            for where, number, cells in block
        ]
        rows = [row for row in rows if os.path.realpath(row[1]) not in self._own]
        for level in self.levels:
            for place, index in level.matches(rows):
                if index not in self._found:
                    self._found.add(index)
                    findings.add(level.kind, f"{self.places[index]} and {place}")


class _Level:
    """One way of being equal: a cheap key first, a hash of the files whose keys agree then."""

    def __init__(self, kind: str, key: Callable, hash_of: Callable, matcher: FileMatcher):
        self.kind, self._key, self._hash_of, self._matcher = kind, key, hash_of, matcher
        self._by_key: dict[str, list[int]] = {}
        self._by_hash: dict[str, list[int]] = {}
        for index, key_text in enumerate(matcher.apply(key, matcher.paths)):
            if key_text:
                self._by_key.setdefault(key_text, []).append(index)
            else:
                matcher.unreadable += not matcher.levels  # counted once, by the first level

    def matches(self, rows: list[tuple[str, str]]) -> Iterator[tuple[str, int]]:
        """`(place of the training row, number of the test file)` of equal files."""
        keys = self._matcher.apply(self._key, [path for _, path in rows])
        candidates = [row for row, key in zip(rows, keys, strict=True) if key in self._by_key]
        self._hash_test_files({key for key in keys if key in self._by_key})
        hashes = self._matcher.apply(self._hash_of, [path for _, path in candidates])
        for (place, _), digest in zip(candidates, hashes, strict=True):
            for index in self._by_hash.get(digest, ()) if digest else ():
                yield place, index

    def _hash_test_files(self, keys: set[str]) -> None:
        """Hash the test files with these keys; each file once in a run."""
        numbers = [index for key in sorted(keys) for index in self._by_key[key]]
        self._by_key |= {key: [] for key in keys}  # hashed now; the key stays known
        digests = self._matcher.apply(self._hash_of, [self._matcher.paths[i] for i in numbers])
        for index, digest in zip(numbers, digests, strict=True):
            self._by_hash.setdefault(digest, []).append(index)


def file_size(path: str) -> str:
    """The size in bytes, as text; nothing for a file that is not there."""
    try:
        return str(os.path.getsize(path))
    except OSError:
        return ""


def audio_shape(path: str) -> str:
    """Length in samples, rate and channels, as text; nothing for a file that does not open."""
    from dataio.probe import UnreadableAudio, probe

    try:
        header = probe(path)
    except (UnreadableAudio, OSError, UnicodeEncodeError):
        return ""
    return f"{header.frames} {header.sample_rate} {header.channels}"

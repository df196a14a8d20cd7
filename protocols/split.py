"""`python -m protocols split F.csv --by Speaker --valid 0.1 --test 0.2`: one protocol in parts.

No speaker and no file is in two parts, nor is a recording in several versions: rows without a
known speaker stay with all rows whose file has the same name, as a vocoded copy of a recording has.
The parts have the shares of rows asked for, of each label and attack as nearly as whole groups
allow; which groups go where follows from the seed.
"""

from __future__ import annotations

import argparse
import csv
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from dataio.matching import file_stem
from dataio.output_paths import check_outputs
from dataio.rows import (
    ATTACK,
    LABEL,
    PATH,
    PROPORTION,
    check_words,
    columns_of,
    plain_path,
    read_rows,
)
from dataio.schema import COLUMNS, LABELS, UserError
from dataio.whole_files import whole_file

PARTS = ("train", "valid", "test")
NAMELESS = ("-", "", "unknown")  # speakers nobody is told apart by
TRIES, ASSIGNED = 50, 200_000  # draws of which the best is taken; groups assigned in all of them
NEAR = 2.0  # a part's share of the rows lies within this factor of the one asked for
SHOWN = 3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("csv", help="the protocol; its Proportion column is written anew")
    parser.add_argument(
        "--by", nargs="+", default=["Speaker"], metavar="COLUMN",
        help="what stays together (default: Speaker)",
    )  # fmt: skip
    parser.add_argument("--valid", type=float, default=0.1, help="share of the rows (default 0.1)")
    parser.add_argument("--test", type=float, default=0.0, help="share of the rows (default 0)")
    parser.add_argument("--seed", type=int, default=0, help="of the draw (default 0)")
    parser.add_argument("--output_folder", default=".", help="where train.csv ... go (default: .)")
    parser.add_argument(
        "--ignore_names", action="store_true", help="files of one name are no versions of another"
    )


def run(args: argparse.Namespace) -> int:
    folder = Path(args.output_folder)
    shares = shares_of(args.valid, args.test)
    paths = {part: folder / f"{part}.csv" for part in shares}
    check_outputs([("the output", path) for path in paths.values()], [args.csv])
    rows = read_groups(args.csv, args.by, use_names=not args.ignore_names)
    parts = assign(rows, shares, args.seed)
    write(args.csv, paths, [parts[group] for group in rows.group])
    for part, path in paths.items():
        count = Counter(row[0] for row, g in rows.pairs() if parts[g] == part)
        groups = sum(where == part for where in parts)
        classes = f"{count['real']} real and {count['fake']} fake"
        print(f"{path}: {count.total()} rows, {classes}, {groups} groups by {rows.by}")
    for note in notes(rows, parts, list(shares)):
        print(f"note: {note}")
    return 0


def shares_of(valid: float, test: float) -> dict[str, float]:
    """The parts that are wanted and their shares of the rows; the rest is training."""
    for name, share in (("valid", valid), ("test", test)):
        if not 0 <= share < 1:
            raise UserError(f"--{name} {share}: give a share from 0 to below 1")
    if not 0 < valid + test < 1:
        raise UserError(f"--valid {valid} and --test {test}: together give more than 0, below 1")
    shares = zip(PARTS, (1 - valid - test, valid, test), strict=True)
    return {part: share for part, share in shares if share}


# ---------------------------------------------------------------------- what stays together


@dataclass
class Groups:
    """The rows of a protocol: `group` and `stratum` (label, attack) of each, the groups' rows."""

    path: str
    by: str
    group: list[int] = field(default_factory=list)
    stratum: list[tuple[str, str]] = field(default_factory=list)
    strata: list[Counter] = field(default_factory=list)  # of each group
    largest: str = ""  # what the largest group is known by
    unnamed: int = 0  # rows without a known value of the columns

    def pairs(self):
        return zip(self.stratum, self.group, strict=True)


def read_groups(path: str, by: list[str], *, use_names: bool) -> Groups:
    """Which rows hang together, by the columns, by their files and by their files' names."""
    unknown = [name for name in by if name not in COLUMNS]
    if unknown:
        raise UserError(f"--by {unknown[0]}: a protocol has the columns {', '.join(COLUMNS)}")
    rows, linked = Groups(str(path), ", ".join(by)), _Links()
    of_row: list[int] = []
    for number, cells, _ in read_rows(path):
        check_words(cells, f"{path}, line {number}")
        file = plain_path(cells[PATH])
        known = [(name, cells[COLUMNS.index(name)]) for name in by]
        known = [key for key in known if key[1] not in NAMELESS]
        rows.unnamed += not known
        of_row.append(linked.add(file, known))
        rows.stratum.append((cells[LABEL], cells[ATTACK]))
    if not of_row:
        raise UserError(f"{path} holds no rows below its header: there is nothing to split")
    if rows.unnamed == len(of_row):
        raise UserError(
            f"no row of {path} has a {rows.by}: fill the column, or split --by another one (--by "
            "Path: file by file)"
        )
    if use_names:
        linked.join_versions()
    numbers: dict[int, int] = {}  # of the groups, by their root
    rows.group = [numbers.setdefault(linked.root(key), len(numbers)) for key in of_row]
    rows.strata = [Counter() for _ in numbers]
    for stratum, group in rows.pairs():
        rows.strata[group][stratum] += 1
    rows.largest = linked.described(of_row, rows)
    return rows


class _Links:
    """Which files, names and values of columns hang together: disjoint sets of their numbers."""

    def __init__(self):
        self.numbers: dict[tuple[str, str], int] = {}
        self.parent: list[int] = []
        self.of_stem: dict[str, list[int]] = {}
        self.nameless: set[str] = set()  # stems of files whose speaker is not known

    def add(self, file: str, known: list[tuple[str, str]]) -> int:
        """Join a row's file and what is known of it; the number of the file."""
        numbers = []
        for key in [("file", file), *known]:
            numbers.append(self.numbers.setdefault(key, len(self.parent)))
            if numbers[-1] == len(self.parent):
                self.parent.append(numbers[-1])
        for number in numbers[1:]:
            self._join(numbers[0], number)
        stem = file_stem(file)
        self.of_stem.setdefault(stem, []).append(numbers[0])
        if not known:
            self.nameless.add(stem)
        return numbers[0]

    def join_versions(self) -> None:
        """Join all files of a name that is also one without a known speaker.

        Two named speakers' files of one name may be two recordings: each has a 1.wav.
        """
        for stem in self.nameless:
            first, *others = self.of_stem[stem]
            for other in others:
                self._join(first, other)

    def _join(self, one: int, other: int) -> None:
        self.parent[self.root(other)] = self.root(one)

    def root(self, number: int) -> int:
        while self.parent[number] != number:
            self.parent[number] = self.parent[self.parent[number]]
            number = self.parent[number]
        return number

    def described(self, of_row: list[int], rows: Groups) -> str:
        """What the largest group is known by: 'Speaker ann, Speaker bob and 3 more'."""
        sizes = [strata.total() for strata in rows.strata]
        root = self.root(of_row[rows.group.index(sizes.index(max(sizes)))])
        wanted = rows.by.split(", ")
        names = [f"{k} {v}" for (k, v), n in self.numbers.items() if self.root(n) == root
                 and k in wanted]  # fmt: skip
        names = names or [v for (k, v), n in self.numbers.items() if self.root(n) == root]
        more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
        return ", ".join(names[:SHOWN]) + more


# ---------------------------------------------------------------------- which group goes where


def assign(rows: Groups, shares: dict[str, float], seed: int) -> list[str]:
    """The part of each group; `UserError` with the reason where no draw gives what is asked."""
    total = Counter(rows.stratum)
    _refuse_few(rows, list(shares))
    best, least = None, float("inf")
    for attempt in range(max(1, min(TRIES, ASSIGNED // len(rows.strata)))):
        parts = _drawn(rows.strata, total, shares, Random(f"{seed} {attempt}"))
        fault = _fault(rows, parts, total, shares)
        if fault < least:
            best, least = parts, fault
    _refuse_far(rows, best, shares)
    return best


def _drawn(strata: list[Counter], total: Counter, shares: dict[str, float], random: Random):
    """Greedily: the largest groups first, each where the parts lack most of what it has."""
    order = list(range(len(strata)))
    random.shuffle(order)
    order.sort(key=lambda group: -strata[group].total())
    lacking = {part: {s: share * n for s, n in total.items()} for part, share in shares.items()}
    parts = [""] * len(strata)
    for group in order:
        needs = {
            part: sum(n * lacks[s] / total[s] ** 2 for s, n in strata[group].items())
            for part, lacks in lacking.items()
        }
        parts[group] = max(needs, key=needs.__getitem__)
        for stratum, count in strata[group].items():
            lacking[parts[group]][stratum] -= count
    return parts


def _fault(rows: Groups, parts: list[str], total: Counter, shares: dict[str, float]) -> float:
    """How far a draw is from the shares, over the strata; a missing class is the worst."""
    found = {part: Counter() for part in shares}
    for group, part in enumerate(parts):
        found[part].update(rows.strata[group])
    off = sum(
        n * abs(found[part][stratum] / n - share)
        for part, share in shares.items()
        for stratum, n in total.items()
    )
    missing = sum(
        not any(stratum[0] == label for stratum in found[part])
        for part in shares
        for label in {stratum[0] for stratum in total}
    )
    return off / total.total() + 10 * missing


def _refuse_few(rows: Groups, parts: list[str]) -> None:
    """Each part needs a group of each class."""
    for label in LABELS:
        groups = sum(any(s[0] == label for s in strata) for strata in rows.strata)
        if 0 < groups < len(parts):
            raise UserError(
                f"{rows.path} cannot be split by {rows.by} into {len(parts)} parts: its {label} "
                f"rows are {groups} group{'s' * (groups > 1)}, the largest is {rows.largest}; "
                "--by another column, or ask for fewer parts" + _names_hint(rows)
            )


def _refuse_far(rows: Groups, parts: list[str], shares: dict[str, float]) -> None:
    count = Counter(parts[group] for group in rows.group)
    present = {(parts[g], stratum[0]) for stratum, g in rows.pairs()}
    labels = {stratum[0] for stratum in rows.stratum}
    absent = sorted((part, label) for part in shares for label in labels - {"-", ""}
                    if (part, label) not in present)  # fmt: skip
    got = {part: count[part] / len(rows.group) for part in shares}
    far = [part for part, share in shares.items() if not share / NEAR <= got[part] <= share * NEAR]
    if not absent and not far:
        return
    what = f"{absent[0][0]} would have no {absent[0][1]} row" if absent else (
        f"{far[0]} would have {100 * got[far[0]]:.0f} % of the rows"
    )  # fmt: skip
    sizes = [strata.total() for strata in rows.strata]
    raise UserError(
        f"{rows.path} cannot be split so by {rows.by}: {what}; the largest of {len(sizes)} groups "
        f"({rows.largest}) has {max(sizes)} of {len(rows.group)} rows" + _names_hint(rows)
    )


def _names_hint(rows: Groups) -> str:
    if not rows.unnamed:
        return ""
    return (
        f"; {rows.unnamed} rows have no {rows.by} and stay with the files of their name "
        "(--ignore_names)"
    )


def notes(rows: Groups, parts: list[str], wanted: list[str]) -> list[str]:
    """What a reader of the parts must know: rows without a name, attacks not in every part."""
    found = []
    if rows.unnamed:
        found.append(
            f"{rows.unnamed} of {len(rows.group)} rows have no {rows.by}: they stay with the files "
            "of their name"
        )
    where: dict[str, set[str]] = {}
    for (_, attack), group in rows.pairs():
        where.setdefault(attack, set()).add(parts[group])
    lone = [f"{attack} ({', '.join(sorted(there))} only)" for attack, there in sorted(where.items())
            if len(there) < len(wanted) and attack != "-"]  # fmt: skip
    if lone:
        more = ", ..." if len(lone) > SHOWN else ""
        found.append(f"{len(lone)} attacks are not in every part: {', '.join(lone[:SHOWN])}{more}")
    return found


def write(csv_path: str, paths: dict[str, Path], part_of_row: list[str]) -> None:
    """The rows of each part in their order, its name in their Proportion; each file whole."""
    columns = columns_of([csv_path])
    with ExitStack() as files:
        writers = {}
        for part, path in paths.items():
            stream = files.enter_context(whole_file(path))
            writers[part] = csv.writer(stream, lineterminator="\n")
            writers[part].writerow(columns)
        rows = read_rows(csv_path, columns)
        for part, (_, cells, _) in zip(part_of_row, rows, strict=True):
            writers[part].writerow([*cells[:PROPORTION], part, *cells[PROPORTION + 1 :]])

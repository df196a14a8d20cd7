"""`python -m protocols check F.csv --data_folder D`: is a protocol true, before a GPU is used?

Every row is read; every file (or, with `--sample N`, a random N of them) is opened, compared with
its row, decoded and measured. Exit status 1 if there are errors; warnings leave it at 0.
"""

from __future__ import annotations

import argparse
import json
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

from dataio.output_paths import check_outputs
from dataio.rows import (
    CHANNELS,
    DURATION,
    ID,
    LABEL,
    PATH,
    PROPORTION,
    PROPORTIONS,
    RATE,
    plain_path,
    read_rows,
)  # fmt: skip
from dataio.schema import LABELS, ROOT, UNLABELLED, UserError, resolve_path
from dataio.text_cells import seconds_of
from dataio.whole_files import write_text
from protocols.findings import Findings
from protocols.shortcuts import Separation, Shortcuts, is_shortcut, lines

ERRORS = {
    "label": "rows whose label is neither real nor fake nor -",
    "proportion": "rows whose proportion is not train, valid, test or -",
    "number": "rows whose duration, rate or channel count is no number above 0",
    "path": "rows whose path does not begin with $ROOT/",
    "no_id": "rows without an ID",
    "repeated_id": "rows with an ID that an earlier row has",
    "contradiction": "rows with a file that an earlier row gives another label",
    "missing": "files that are not there",
    "unreadable": "files that do not open or decode",
    "sample_rate": "files with another sample rate than their row",
    "channels": "files with another channel count than their row",
    "duration": "files more than 0.05 s longer or shorter than their row",
    "truncated": "files that break off",
    "damaged": "files of which a stretch does not decode",
    "empty": "files without samples",
    "not_finite": "files with samples that are not finite",
}
WARNINGS = {
    "repeated_path": "rows with a file that an earlier row has",
    "no_rows": "protocols without a row",
    "one_class": "databases with one class only",
    "unlabelled": "rows without a label",
    "unfinished": "files whose header or end was never written, read to their end",
    "silent": "files whose mono mix is silent (peak below -60 dB of full scale)",
    "clipped": "clipped files (over 0.1 % of the samples at full scale)",
    "offset": "files with a DC offset (over 1 % of full scale)",
    "short": "files shorter than --short",
    "long": "files longer than --long",
    "shortcut": "shortcuts: a property that tells real from fake by itself",
}
DURATION_TOLERANCE = 0.05  # s; what a codec's padding may add
CLIPPED_SHARE, OFFSET = 1e-3, 1e-2
BLOCK_ROWS = 20_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("csv", help="the protocol")
    parser.add_argument("--data_folder", required=True, help="what $ROOT stands for")
    parser.add_argument("--sample", type=int, help="open only so many files, drawn at random")
    parser.add_argument("--seed", type=int, default=0, help="of that draw")
    parser.add_argument("--headers_only", action="store_true", help="do not decode the audio")
    parser.add_argument("--short", type=float, default=0.5, help="seconds (default 0.5)")
    parser.add_argument("--long", type=float, default=60.0, help="seconds (default 60)")
    parser.add_argument("--json", help="write all figures there")
    parser.add_argument("--findings", help="write every finding to this CSV")
    parser.add_argument("--workers", type=int, help="processes (default: one a core)")


def run(args: argparse.Namespace) -> int:
    from protocols.parallel import worker_count

    if args.sample is not None and args.sample < 1:
        raise UserError(f"--sample {args.sample}: give a number above 0")
    check_outputs([("--json", args.json), ("--findings", args.findings)], [args.csv])
    with Findings(args.findings) as findings:
        report = Check(args, findings, worker_count(args.workers)).report()
    print(text_of(report, findings))
    if args.json:
        write_text(args.json, json.dumps(report, indent=1, ensure_ascii=False) + "\n")
    return 1 if report["error_count"] else 0


class Check:
    """One pass over a protocol's rows, with the audio measured a block of rows at a time."""

    def __init__(self, args: argparse.Namespace, findings: Findings, workers: int):
        self.args, self.findings, self.workers = args, findings, workers
        self.rows = self.files = 0
        self.ids, self.paths = array("q"), array("q")
        self.classes: dict[str, Counter[str]] = {}
        self.shortcuts = Shortcuts(args.seed)

    def report(self) -> dict:
        """Check everything; what `--json` writes."""
        from tqdm import tqdm

        rows = tqdm(self._checked_rows(), "check", unit=" rows", disable=None)
        if self.args.sample:
            rows = _sample(rows, self.args.sample, self.args.seed)
        while block := list(islice(rows, BLOCK_ROWS)):
            self._measure(block)
        if not self.rows:
            self.findings.add("no_rows", str(self.args.csv))
        self._find_repeated()
        self._find_one_class()
        separations = self._find_shortcuts()
        error_count = sum(self.findings.counts[kind] for kind in ERRORS)
        return {
            "csv": str(self.args.csv),
            "rows": self.rows,
            "files_opened": self.files,
            "error_count": error_count,
            "warning_count": sum(self.findings.counts[kind] for kind in WARNINGS),
            "errors": self.findings.facts(ERRORS),
            "warnings": self.findings.facts(WARNINGS),
            "classes": {name: dict(count) for name, count in self.classes.items()},
            "properties": {
                name: {**s.facts(), "shortcut": is_shortcut(name, s)}
                for name, s in separations.items()
            },
        }

    # ------------------------------------------------------------------ rows

    def _checked_rows(self) -> Iterator[tuple[str, list[str]]]:
        """`(where, cells)` of the rows whose file can be looked for; faults of all are noted."""
        from protocols.corpus import database_of

        for number, cells, _ in read_rows(self.args.csv):
            where = f"line {number}, {cells[ID] or cells[PATH]}"
            self.rows += 1
            self.ids.append(hash(cells[ID]))
            self.paths.append(hash(plain_path(cells[PATH])))
            if cells[ID]:
                self.classes.setdefault(database_of(cells[ID]), Counter())[cells[LABEL]] += 1
            else:
                self.findings.add("no_id", where)
            if cells[LABEL] in UNLABELLED:
                self.findings.add("unlabelled", where)
            elif cells[LABEL] not in LABELS:
                self.findings.add("label", f"{where}: {cells[LABEL]!r}")
            if cells[PROPORTION] not in PROPORTIONS:
                self.findings.add("proportion", f"{where}: {cells[PROPORTION]!r}")
            for column in (DURATION, RATE, CHANNELS):
                if not _is_positive(cells[column]):
                    self.findings.add("number", f"{where}: {cells[column]!r}")
                    break
            if not cells[PATH].startswith(ROOT + "/"):
                self.findings.add("path", f"{where}: {cells[PATH]!r}")
            if cells[PATH] not in ("", "-"):
                yield where, cells

    def _find_repeated(self) -> None:
        """IDs and paths that several rows have; rows are read again only if there are any."""
        from protocols.unique import repeated_hashes

        ids, paths = repeated_hashes(self.ids), repeated_hashes(self.paths)
        if not ids and not paths:
            return
        first_id: dict[str, int] = {}
        first_path: dict[str, tuple[int, str]] = {}
        for index, (number, cells, _) in enumerate(read_rows(self.args.csv)):
            if self.ids[index] in ids and number != first_id.setdefault(cells[ID], number):
                self.findings.add(
                    "repeated_id", f"lines {first_id[cells[ID]]} and {number}: {cells[ID]}"
                )
            if self.paths[index] in paths:
                path = plain_path(cells[PATH])
                first, label = first_path.setdefault(path, (number, cells[LABEL]))
                if first != number:
                    kind = "repeated_path" if label == cells[LABEL] else "contradiction"
                    self.findings.add(kind, f"lines {first} and {number}: {path}")

    def _find_one_class(self) -> None:
        for name, count in self.classes.items():
            known = [label for label in LABELS if count[label]]
            if len(known) == 1:
                self.findings.add("one_class", f"{name}: {count[known[0]]} rows, all {known[0]}")

    # ------------------------------------------------------------------ audio

    def _measure(self, block: list[tuple[str, list[str]]]) -> None:
        import pandas

        from protocols.measure import measure, measure_header
        from protocols.parallel import apply_to_column

        paths = pandas.Series(
            [resolve_path(cells[PATH], self.args.data_folder) for _, cells in block]
        )
        function = measure_header if self.args.headers_only else measure
        measured = apply_to_column(paths, function, workers=self.workers)
        for (where, cells), file in zip(block, measured, strict=True):
            self.files += 1
            self._judge(where, cells, file)

    def _judge(self, where: str, cells: list[str], file) -> None:
        if file.problem:
            self.findings.add(file.problem, f"{where}: {cells[PATH]}: {file.reason}")
            return
        for kind, said, found in _differences(cells, file):
            self.findings.add(kind, f"{where}: row {said}, file {found}")
        for fault in file.faults:
            self.findings.add(fault.kind, f"{where}: {fault}")
        tests = {
            "empty": file.seconds == 0 or file.decoded_seconds == 0,
            "not_finite": not file.finite,
            "silent": file.mono_peak < _silent_peak(),
            "clipped": file.clipped > CLIPPED_SHARE,
            "offset": abs(file.offset) > OFFSET,
            "short": file.seconds < self.args.short,
            "long": file.seconds > self.args.long,
        }
        for kind, is_so in tests.items():
            if is_so:
                self.findings.add(kind, f"{where}: {_figure(kind, file)}")
        self.shortcuts.add(cells[LABEL], cells[PATH], file)

    def _find_shortcuts(self) -> dict[str, Separation]:
        """What each property of the files tells of their class."""
        separations = self.shortcuts.separations()
        for name, s in separations.items():
            if is_shortcut(name, s):
                text = f"{name}: AUC {s.strength:.2f} (p {s.p:.2g}): real {s.real}; fake {s.fake}"
                self.findings.add("shortcut", text)
        return separations


def _is_positive(text: str) -> bool:
    return seconds_of(text) > 0


def _silent_peak() -> float:
    from protocols.measure import SILENT_PEAK

    return SILENT_PEAK


def _differences(cells: list[str], file) -> Iterator[tuple[str, str, str]]:
    """`(kind, the row's figure, the file's figure)` where row and header differ."""
    if _is_positive(cells[RATE]) and float(cells[RATE]) != file.sample_rate:
        yield "sample_rate", f"{cells[RATE]} Hz", f"{file.sample_rate} Hz"
    if _is_positive(cells[CHANNELS]) and float(cells[CHANNELS]) != file.channels:
        yield "channels", cells[CHANNELS], str(file.channels)
    if _is_positive(cells[DURATION]):
        difference = abs(float(cells[DURATION]) - file.seconds)
        if difference > DURATION_TOLERANCE + 0.005:  # the row is rounded to 0.01 s
            yield "duration", f"{cells[DURATION]} s", f"{file.seconds:.2f} s"


def _figure(kind: str, file) -> str:
    """The figure that a finding rests on."""
    figures = {
        "silent": f"peak {file.mono_peak:.5f}, of its channels {file.peak:.5f}",
        "clipped": f"{100 * file.clipped:.2f} % of the samples",
        "offset": f"{100 * file.offset:.1f} % of full scale",
    }
    return figures.get(kind, f"{file.seconds:.2f} s")


def _sample(rows: Iterable, size: int, seed: int) -> Iterator:
    """`size` of the rows, each equally likely, in their order (a reservoir; all are read)."""
    from random import Random

    random = Random(seed)
    chosen: list[tuple[int, object]] = []
    for index, row in enumerate(rows):
        if index < size:
            chosen.append((index, row))
        elif (place := random.randrange(index + 1)) < size:
            chosen[place] = (index, row)
    yield from (row for _, row in sorted(chosen, key=lambda pair: pair[0]))


def text_of(report: dict, findings: Findings) -> str:
    """The report as a table: errors, warnings, what each property tells of the class."""
    shown = {kind: text for kind, text in WARNINGS.items() if findings.counts[kind]}
    named = {kind: shown.pop(kind) for kind in ("shortcut",) if kind in shown}
    text = [
        f"{Path(report['csv'])}: {report['rows']} rows, {report['files_opened']} files opened",
        f"errors: {report['error_count']}",
        *findings.lines({kind: text for kind, text in ERRORS.items() if findings.counts[kind]}),
        f"warnings: {report['warning_count']}",
        *findings.lines(shown),
        *findings.lines(named, shown=len(report["properties"])),
    ]
    return "\n".join([*text, *lines(report["properties"])])

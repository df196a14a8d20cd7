"""What a build did: its figures, and the list of the files that have no row."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from dataio.schema import ROOT
from dataio.whole_files import whole_table
from protocols.corpus import Item

SHOWN = 10  # unknown words printed


@dataclass
class Summary:
    """What a build did, in numbers."""

    database: str
    outputs: list[str]
    rows: int = 0
    real: int = 0
    fake: int = 0
    hours: float = 0.0
    headers_read: int = 0
    missing: int = 0
    unreadable: int = 0
    repeated: int = 0  # rows that say again what an earlier one said
    ids_shared: int = 0
    rows_renamed: int = 0
    unknown: dict[str, int] = field(default_factory=dict)
    passed_over: dict[str, int] = field(default_factory=dict)
    passed_over_first: dict[str, list[str]] = field(default_factory=dict)  # the first few of each
    lists_not_found: list[str] = field(default_factory=list)
    skipped_file: str = ""

    def text(self) -> str:
        """The summary as a user reads it."""
        lines = [
            f"{self.database}: {self.rows} rows, {self.real} real and {self.fake} fake, "
            f"{self.hours:.2f} h -> {', '.join(self.outputs)}",
            f"  headers read: {self.headers_read}, remembered: {self._remembered()}",
        ]
        lines += [f"  list not found: {place}" for place in self.lists_not_found]
        if self.missing or self.unreadable:
            lines.append(
                f"  left out: {self.missing} missing and {self.unreadable} unreadable files, "
                f"see {self.skipped_file}"
            )
        if self.unknown:
            lines.append(f"  left out as unknown: {counts_text(self.unknown)}")
        if self.passed_over:
            passed_over = passed_over_text(self.passed_over, self.passed_over_first)
            lines.append(f"  not part of the layout: {passed_over}")
        if self.repeated:
            lines.append(f"  listed more than once: {self.repeated} rows, one kept of each")
        if self.rows_renamed:
            lines.append(
                f"  {self.rows_renamed} rows shared {self.ids_shared} IDs: "
                "each now ends in its path"
            )
        return "\n".join(lines)

    def _remembered(self) -> int:
        return max(0, self.rows + self.repeated + self.unreadable - self.headers_read)


def counts_text(counts: dict[str, int]) -> str:
    """The most frequent words and how often each was met."""
    shown = [f"{word!r} x {count}" for word, count in Counter(counts).most_common(SHOWN)]
    return ", ".join(shown) + (" ..." if len(counts) > SHOWN else "")


def passed_over_text(counts: dict[str, int], first: dict[str, list[str]]) -> str:
    """Why files were passed over, how many, and the first of each."""
    return "; ".join(
        f"{what} x {count} ({', '.join(first[what])}{' ...' if count > len(first[what]) else ''})"
        for what, count in counts.items()
    )


class Skipped(whole_table):
    """The list of files that have no row, written as it grows; no file if there is none."""

    def __init__(self, path: Path):
        super().__init__(path, ("Problem", "Path", "ListedIn", "Reason"))
        self.first = ""

    def note(self, kind: str, item: Item, reason: str) -> None:
        """Note one file: what is wrong, its path and the list line that names it."""
        self.first = self.first or f"{item.path}: {reason}"
        self.add([(kind, f"{ROOT}/{item.path}", item.where, reason)])

    def name(self) -> str:
        """The file's name, or nothing if there is no file."""
        return str(self.path) if self else ""

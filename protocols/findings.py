"""What `check` and `leakage` found: counted by kind, the first few of each kept as examples."""

from __future__ import annotations

import csv
from collections import Counter
from contextlib import AbstractContextManager

from dataio.whole_files import whole_file
from dataio.words import printable

EXAMPLES = 15


class Findings(AbstractContextManager):
    """Counts and examples by kind; with `path`, every finding also goes to that CSV."""

    def __init__(self, path: str | None = None):
        self.counts: Counter[str] = Counter()
        self.examples: dict[str, list[str]] = {}
        self._file = whole_file(path) if path else None

    def __enter__(self) -> Findings:
        if self._file:
            self._writer = csv.writer(self._file.open(), lineterminator="\n")
            self._writer.writerow(("Kind", "Finding"))
        return self

    def add(self, kind: str, text: str) -> None:
        """Note one finding: `text` names its place."""
        self.counts[kind] += 1
        examples = self.examples.setdefault(kind, [])
        if len(examples) < EXAMPLES:
            examples.append(text)
        if self._file:
            self._writer.writerow((kind, text))

    def __exit__(self, *error) -> None:
        if self._file:
            self._file.__exit__(*error)

    def facts(self, kinds: dict[str, str]) -> dict:
        """Count and examples of each of `kinds` (kind -> what it means), also of those at 0."""
        return {
            kind: {
                "count": self.counts[kind],
                "meaning": meaning,
                "examples": self.examples.get(kind, []),
            }
            for kind, meaning in kinds.items()
        }

    def lines(self, kinds: dict[str, str], shown: int = 3) -> list[str]:
        """One line a kind, and under it the first examples."""
        lines = []
        for kind, meaning in kinds.items():
            lines.append(f"  {self.counts[kind]:>9}  {meaning}")
            lines += [
                f"               {printable(text)}" for text in self.examples.get(kind, [])[:shown]
            ]
        return lines

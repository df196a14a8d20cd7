"""Counting rows and hours by class, database, language and attack, and showing them as tables."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from dataio.rows import ATTACK, ID, LABEL, LANGUAGE
from protocols.corpus import database_of

SHOWN = 20  # lines of a printed table
TABLES = ("database", "language", "attack")


class Kinds:
    """Numbers for the (database, language, attack, label) that occur."""

    def __init__(self):
        self.numbers: dict[tuple[str, str, str, str], int] = {}

    def number(self, cells: list[str]) -> int:
        """The number of a row's kind; a new one for a new kind."""
        key = (database_of(cells[ID]), cells[LANGUAGE], cells[ATTACK], cells[LABEL])
        return self.numbers.setdefault(key, len(self.numbers))


@dataclass
class Count:
    """Rows and hours, by label."""

    rows: dict[str, int] = field(default_factory=lambda: {"real": 0, "fake": 0})
    hours: dict[str, float] = field(default_factory=lambda: {"real": 0.0, "fake": 0.0})

    def add(self, label: str, count: int, hours: float) -> None:
        self.rows[label] = self.rows.get(label, 0) + int(count)
        self.hours[label] = self.hours.get(label, 0.0) + float(hours)

    def facts(self) -> dict:
        return {
            "rows": sum(self.rows.values()),
            "real": self.rows["real"],
            "fake": self.rows["fake"],
            "hours": round(sum(self.hours.values()), 4),
            "hours_real": round(self.hours["real"], 4),
            "hours_fake": round(self.hours["fake"], 4),
        }


def tally(kinds: Kinds, counts: Iterable[int], hours: Iterable[float]) -> dict:
    """Totals, and the same by database, language and attack, from the figures of each kind."""
    total = Count()
    by: dict[str, dict[str, Count]] = {name: {} for name in TABLES}
    for key, count, duration in zip(kinds.numbers, counts, hours, strict=True):
        if count:
            label = key[3]
            total.add(label, count, duration)
            for name, word in zip(TABLES, key, strict=False):
                by[name].setdefault(word, Count()).add(label, count, duration)
    return total.facts() | {
        f"by_{name}": {w: c.facts() for w, c in sorted(table.items())} for name, table in by.items()
    }


def tables_text(tallies: dict[str, dict], more: str) -> list[str]:
    """Lines of a table of the totals, and of one a database, language and attack.

    `tallies` has a `tally` a name; `more` says where the lines beyond `SHOWN` are.
    """
    lines = [_head("")] + [_line(name, facts) for name, facts in tallies.items()]
    for kind in TABLES:
        for name, facts in tallies.items():
            table = facts[f"by_{kind}"]
            if table:
                lines += ["", _head(f"{name} by {kind}")]
                largest = sorted(table, key=lambda word: -table[word]["rows"])
                lines += [_line(word, table[word]) for word in largest[:SHOWN]]
                if len(table) > SHOWN:
                    lines.append(f"... and {len(table) - SHOWN} more, see {more}")
    return lines


def _head(name: str) -> str:
    columns = ("rows", "real", "fake", "hours", "real", "fake")
    return f"{name:<34} " + " ".join(f"{column:>10}" for column in columns)


def _line(name: str, facts: dict) -> str:
    rows = " ".join(f"{facts[key]:>10}" for key in ("rows", "real", "fake"))
    hours = " ".join(f"{facts[key]:>10.2f}" for key in ("hours", "hours_real", "hours_fake"))
    return f"{name[:34]:<34} {rows} {hours}"

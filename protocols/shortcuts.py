"""What tells real from fake without listening: one property of the files at a time, and its AUC.

A detector trained on real flac at 16 kHz and fake wav at 22 kHz learns the file format. A property
is named a shortcut where its AUC is far from 0.5 and the p-value says that so few files would not
show it by chance: over all label orders where they can be counted, drawn ones for some hundred
files, the normal law with its correction for ties (Lehmann 1975, sec. 1.4) beyond.
"""

from __future__ import annotations

import math
import os
from collections import Counter
from itertools import combinations
from random import Random
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy

    from protocols.measure import Measured

FAR = 0.2  # |AUC - 0.5| from which a property is named
RISK = 0.01  # chance that files without a shortcut are said to have one by their samples
MOST = 100_000  # files of a class whose properties are held; of more, a random choice
COUNTED, DRAWN, SMALL = 20_000, 9_999, 400  # label orders all tried, or drawn; files for which
UNSURE = 0.1  # a p-value of the normal law from which on it need not be exact

# name, unit and decimals; of a text the classes' shares are compared, of a number its order
WORDS = ("container", "encoding", "bits", "sample rate", "channels")
NUMBERS = {
    "length": ("s", 2), "level": ("dB", 1), "peak": ("dB", 1), "level of pauses": ("dB", 1),
    "leading silence": ("s", 2), "trailing silence": ("s", 2), "offset": ("%", 2),
    "clipped": ("%", 2), "bandwidth": ("Hz", 0),
}  # fmt: skip


class Separation(NamedTuple):
    """How well one property parts the classes: `auc` of the larger value being real (of a text:
    of having the value that parts best), two-sided `p`, `real` and `fake` in words."""

    auc: float
    p: float
    real: str
    fake: str

    @property
    def strength(self) -> float:
        """The AUC of the better order, 0.5 to 1."""
        return max(self.auc, 1 - self.auc)

    def facts(self) -> dict[str, float | str]:
        """What the report holds of it."""
        return {**self._asdict(), "strength": self.strength}


def properties_of(path: str, file: Measured) -> tuple[tuple[str, ...], tuple[float, ...]]:
    """The values of `WORDS` and of `NUMBERS` for one file; NaN for what was not measured."""
    ending = os.path.splitext(path)[1].lower() or "none"
    words = (ending, file.encoding, str(file.bits), f"{file.sample_rate} Hz", str(file.channels))
    return words, (
        file.seconds, file.level_db, _decibel(file.mono_peak), file.pause_db,
        file.leading_silence, file.trailing_silence, 100 * abs(file.offset), 100 * file.clipped,
        file.bandwidth,
    )  # fmt: skip


def _decibel(peak: float) -> float:
    return 20 * math.log10(max(peak, 1e-6))


class Shortcuts:
    """The properties of the files of each class, and what they tell of the class."""

    def __init__(self, seed: int = 0):
        self.files: dict[str, list] = {"real": [], "fake": []}
        self.seen: Counter[str] = Counter()
        self._random = Random(seed)

    def add(self, label: str, path: str, file: Measured) -> None:
        """One readable file; a label that is neither class is passed over."""
        if label not in self.files:
            return
        held, self.seen[label] = self.files[label], self.seen[label] + 1
        if len(held) < MOST:
            held.append(properties_of(path, file))
        elif (place := self._random.randrange(self.seen[label])) < MOST:
            held[place] = properties_of(path, file)

    def separations(self) -> dict[str, Separation]:
        """By property, the most telling first; one that was not measured is left out."""
        if not all(self.files.values()):
            return {}
        found = {}
        for place, name in enumerate(WORDS):
            found[name] = _of_words(*([words[place] for words, _ in f] for f in self._classes()))
        for place, name in enumerate(NUMBERS):
            values = [[numbers[place] for _, numbers in files] for files in self._classes()]
            if (separation := _of_numbers(name, *values)) is not None:
                found[name] = separation
        return dict(sorted(found.items(), key=lambda pair: -pair[1].strength))

    def _classes(self):
        return self.files["real"], self.files["fake"]


def is_shortcut(name: str, separation: Separation) -> bool:
    """Whether it parts the classes well, and beyond chance.

    Headers are what somebody chose, and mostly all alike; of the numbers, several vary in any set,
    so each may be wrong more seldom.
    """
    risk = RISK if name in WORDS else RISK / len(NUMBERS)
    return separation.strength >= 0.5 + FAR and separation.p <= risk


def _of_words(real: list[str], fake: list[str]) -> Separation:
    """The value whose share differs most between the classes, against all others."""
    counts = Counter(real), Counter(fake)
    values = sorted(counts[0] | counts[1])
    shares = {v: counts[0][v] / len(real) - counts[1][v] / len(fake) for v in values}
    best = max(values, key=lambda value: abs(shares[value]))
    auc, p = auc_and_p([value == best for value in real], [value == best for value in fake])
    tried = max(1, len(values) - 1)
    return Separation(auc, min(1.0, tried * p), *map(_shares, counts))


def _shares(counts: Counter[str]) -> str:
    """'16000 Hz 90 %, 8000 Hz 10 %', the two most frequent."""
    total = counts.total()
    shown = [f"{value} {100 * n / total:.0f} %" for value, n in counts.most_common(2)]
    return ", ".join(shown) + (", ..." if len(counts) > 2 else "")


def _of_numbers(name: str, *classes: list[float]) -> Separation | None:
    known = [[value for value in values if not math.isnan(value)] for values in classes]
    if not all(known):
        return None
    unit, decimals = NUMBERS[name]
    auc, p = auc_and_p(*([round(value, decimals) for value in values] for values in known))
    medians = (sorted(values)[len(values) // 2] for values in known)
    return Separation(auc, p, *(f"median {median:.{decimals}f} {unit}" for median in medians))


def auc_and_p(real, fake) -> tuple[float, float]:
    """P(a real value is above a fake one), ties counting half, and its two-sided p-value under
    equal laws: Mann and Whitney's test."""
    import numpy
    from scipy.stats import rankdata

    ranks = rankdata(numpy.concatenate([real, fake]).astype(numpy.float64))
    n, m = len(real), len(fake)
    middle = n * (n + m + 1) / 2
    distance = abs(float(ranks[:n].sum()) - middle)
    auc = 0.5 + (float(ranks[:n].sum()) - middle) / (n * m)
    if distance == 0:
        return auc, 1.0
    _, ties = numpy.unique(ranks, return_counts=True)
    size = n + m
    tied = float((ties.astype(numpy.float64) ** 3 - ties).sum()) / (size * (size - 1))
    deviation = math.sqrt(n * m / 12 * (size + 1 - tied))
    p = math.erfc(distance / deviation / math.sqrt(2))
    if size <= SMALL and p < UNSURE:
        p = _by_relabelling(ranks, n, middle, distance - 1e-6)
    return auc, p


def _by_relabelling(ranks: numpy.ndarray, n: int, middle: float, distance: float) -> float:
    """The share of label orders at least as far from the middle: all of them, or drawn ones."""
    import numpy

    if math.comb(len(ranks), n) <= COUNTED:
        chosen = numpy.array(list(combinations(range(len(ranks)), n)))
        return float((abs(ranks[chosen].sum(axis=1) - middle) >= distance).mean())
    drawn = numpy.random.default_rng(0).permuted(numpy.tile(ranks, (DRAWN, 1)), axis=1)
    far = int((abs(drawn[:, :n].sum(axis=1) - middle) >= distance).sum())
    return (1 + far) / (1 + DRAWN)


def lines(properties: dict[str, dict]) -> list[str]:
    """A table of the properties, as the report has them, the most telling first."""
    heads = ("by itself tells real from fake", "AUC", "p", "real", "fake")
    rows = [heads]
    for name, facts in properties.items():
        figures = f"{facts['strength']:.2f}", f"{facts['p']:.2g}"
        rows.append((name, *figures, facts["real"], facts["fake"]))
    widths = [max(len(row[i]) for row in rows) for i in range(4)]
    return [
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[4]])
        for row in (rows if properties else [])
    ]

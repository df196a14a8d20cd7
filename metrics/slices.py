"""One figure for each attack, language or other group of files, each within its subset."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from dataio.schema import FAKE, REAL

NO_VALUE = "-"
OWN, ALL = "own", "all of subset"


class Slice(NamedTuple):
    """Row indices of a group: `real_from`, `fake_from` say whether a class is the group's own
    or, where the group has none of it (an attack has no real files), the whole subset's."""

    subset: str
    value: str
    rows: np.ndarray
    real_from: str
    fake_from: str


def slices(
    subsets: dict[str, np.ndarray], labels: np.ndarray, values: np.ndarray
) -> Iterator[Slice]:
    """The slices of each subset (name -> row indices) by a column's `values` (N,).

    A value with fake files only is measured against all real files of its subset, and the other
    way round. Real files without a value (`-`) make no slice of their own; fake files do.
    """
    for subset, rows in subsets.items():
        real, fake = rows[labels[rows] == REAL], rows[labels[rows] == FAKE]
        groups = _grouped(real, values[real]), _grouped(fake, values[fake])
        groups[0].pop(NO_VALUE, None)
        for value in sorted(set(groups[0]) | set(groups[1])):
            own = [group.get(value) for group in groups]
            chosen = [
                everything if part is None else part
                for part, everything in zip(own, (real, fake), strict=True)
            ]
            origin = [ALL if part is None else OWN for part in own]
            yield Slice(subset, value, np.concatenate(chosen), *origin)


def _grouped(rows: np.ndarray, values: np.ndarray) -> dict[str, np.ndarray]:
    """Row indices by value."""
    if not len(rows):
        return {}
    names, member = np.unique(values.astype(str), return_inverse=True)
    order = np.argsort(member, kind="stable")
    parts = np.split(rows[order], np.cumsum(np.bincount(member))[:-1])
    return dict(zip(names.tolist(), parts, strict=True))

"""Groups of dependent rows (a speaker's, a source file's), made exchangeable between two sides.

When nothing has changed, the groups of both sides come from one distribution, but a group of ten
rows and a group of one are not alike: if they traded places, the row counts of the sides would
change, and with them every distance. So groups trade places only with groups of as many rows, and
where the sides have groups of different sizes, both are first thinned to like sizes. The test is
then exact for any sizes; the price is the rows left out. It takes a group's size to say nothing
about what is in it.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from drift.embeddings import EmbeddingSet
from drift.null import MINIMUM_RELABELLINGS, MINIMUM_ROWS, draw_relabellings
from drift.reference import Reference

Groups = np.ndarray | None  # (rows,) names, or None where rows are independent


def like_rows(
    first: np.ndarray, second: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Row indices of two sides, in order, whose groups are of like sizes.

    `first`, `second` name the group of each row. The groups of each side are ordered by size and
    cut into as many cells as the side with fewer groups has; in each cell all are thinned, by
    rows drawn from `rng`, to the smallest of them. Where sizes agree already nothing is lost.
    """
    counted = {"return_inverse": True, "return_counts": True}
    units = [np.unique(side, **counted)[1:] for side in (first, second)]
    cells = min(len(sizes) for _, sizes in units)
    if cells == 0:
        return np.arange(0), np.arange(0)
    cell_of_unit, smallest = [], np.full(cells, np.iinfo(np.int64).max)
    for _, sizes in units:
        order = np.lexsort((rng.random(len(sizes)), sizes))
        cell = np.empty(len(sizes), dtype=np.int64)
        cell[order] = np.arange(len(sizes)) * cells // len(sizes)
        np.minimum.at(smallest, cell, sizes)
        cell_of_unit.append(cell)
    kept = []
    for (unit_of_row, sizes), cell in zip(units, cell_of_unit, strict=True):
        order = np.lexsort((rng.random(len(unit_of_row)), unit_of_row))
        place = np.arange(len(order)) - (np.cumsum(sizes) - sizes)[unit_of_row[order]]
        kept.append(np.sort(order[place < smallest[cell][unit_of_row[order]]]))
    return kept[0], kept[1]


def like_groups(
    reference: Reference, incoming: EmbeddingSet, seed: int
) -> tuple[Reference, EmbeddingSet]:
    """Both sides as they are compared: thinned to like groups where the reference has groups.

    `UserError` when the incoming set lacks the reference's group column.
    """
    if reference.group is None:
        return reference, incoming
    rng = np.random.default_rng([seed, 12])
    ours, theirs = like_rows(reference.groups, incoming.column(reference.group), rng)
    if len(ours) < len(reference.sample):
        reference = replace(reference, sample=reference.sample.take(ours))
    return reference, incoming if len(theirs) == len(incoming) else incoming.take(theirs)


def groups_of(reference: Reference, incoming: EmbeddingSet) -> tuple[Groups, Groups]:
    """The group of each row of both sides; None twice for a reference without groups."""
    if reference.group is None:
        return None, None
    return reference.groups, incoming.column(reference.group)


def relabel_like_rows(
    n: int, m: int, first: Groups, second: Groups, *, draws: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Rows of both sides to compare, and their relabellings (B + 1, rows) (None: too few)."""
    ours, theirs = np.arange(n), np.arange(m)
    if first is not None:
        ours, theirs = like_rows(first, second, rng)
        first, second = first[ours], second[theirs]
    if too_few(len(ours), len(theirs), first, second):
        return ours, theirs, None
    is_reference = draw_relabellings(
        len(ours), len(theirs), draws, rng, reference_groups=first, incoming_groups=second
    )
    return ours, theirs, is_reference


def count_relabellings(first: np.ndarray, second: np.ndarray) -> int:
    """How many distinct ways there are to deal the groups anew, each among those of its size."""
    sizes = [np.unique(side, return_counts=True)[1] for side in (first, second)]
    ways = 1
    for size in np.unique(sizes[0]):
        n, m = ((of_side == size).sum() for of_side in sizes)
        ways *= math.comb(int(n + m), int(m))
    return ways


def too_few(n: int, m: int, first: Groups, second: Groups) -> str:
    """Why rows (and groups, as they are compared) allow no statement, or an empty text."""
    if min(n, m) < MINIMUM_ROWS:
        return f"fewer than {MINIMUM_ROWS} rows"
    if first is not None and count_relabellings(first, second) < MINIMUM_RELABELLINGS:
        units = (len(np.unique(side)) for side in (first, second))
        return "{} and {} groups are too few to deal anew".format(*units)
    return ""


def thinning_note(
    before: tuple[Reference, EmbeddingSet], after: tuple[Reference, EmbeddingSet]
) -> str:
    """How many rows were left out to make groups alike, or an empty text."""
    (n, m), (all_n, all_m) = ((len(r.sample), len(i)) for r, i in (after, before))
    if (n, m) == (all_n, all_m):
        return ""
    group = before[0].group
    return f"{n} of {all_n} and {m} of {all_m} rows: each {group} thinned to sizes both sides have"

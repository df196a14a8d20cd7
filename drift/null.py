"""What distances look like when nothing has changed: relabellings, p-values, corrections.

Reference and incoming rows are put in one pool. If both come from one distribution, every way of
calling `n` of the pool "reference" and the other `m` "incoming" was equally likely, so the
distances of random relabellings are draws from the null distribution *at the comparison's own
sizes*, whatever n and m are. With B draws, p = (k + 1) / (B + 1), where k of them reach the
observed distance, and P(p <= alpha) <= alpha exactly: no sample size is "large enough" or not.

Rows of one speaker or one source file are not independent. Given groups, whole groups change
sides, each for groups of as many rows, and the same argument holds with groups in place of rows;
`drift.groups` makes the groups of both sides alike first.
"""

from __future__ import annotations

import math

import numpy as np

LEVELS = (0.05, 0.5, 0.95, 0.99)  # null quantiles every result carries
MINIMUM_ROWS = 20  # on each side; below this a result says "insufficient"
DRAWS_MAX = 2_000  # relabellings added for many tests stop here
MINIMUM_RELABELLINGS = 100  # distinct ones; with fewer, p <= 0.05 hangs on a handful of groups

# Equal up to float32 rounding: a null value this close to the observed one counts as reaching it.
_TIE = 1e-6


def draw_relabellings(
    n: int,
    m: int,
    draws: int,
    rng: np.random.Generator,
    *,
    reference_groups: np.ndarray | None = None,
    incoming_groups: np.ndarray | None = None,
) -> np.ndarray:
    """(draws + 1, n + m) bool, true where a row is called reference; row 0 is the actual labelling.

    With groups (one name a row on each side), groups change sides as a whole and trade places only
    with groups of as many rows, so the row counts of both sides stay. A group that occurs on both
    sides counts as two blocks.
    """
    if reference_groups is None or incoming_groups is None:
        actual = np.arange(n + m) < n
        return np.vstack([actual, rng.permuted(np.tile(actual, (draws, 1)), axis=1)])
    block_of_row = number_blocks(reference_groups, incoming_groups)
    sizes = np.bincount(block_of_row)
    actual = np.arange(len(sizes)) <= block_of_row[:n].max()
    shuffled = np.tile(actual, (draws, 1))
    for size in np.unique(sizes):
        alike = np.flatnonzero(sizes == size)
        shuffled[:, alike] = rng.permuted(shuffled[:, alike], axis=1)
    return np.vstack([actual, shuffled])[:, block_of_row]


def number_blocks(reference_groups: np.ndarray, incoming_groups: np.ndarray) -> np.ndarray:
    """(n + m,) number of each row's block, those of the reference first."""
    first = np.unique(reference_groups, return_inverse=True)[1]
    second = np.unique(incoming_groups, return_inverse=True)[1]
    return np.concatenate([first, first.max(initial=-1) + 1 + second])


def p_value(values: np.ndarray) -> float:
    """(k + 1) / (B + 1) for `values` (B + 1,), the observed distance first; large means drift."""
    return float(ranks(values)[0])


def ranks(values: np.ndarray) -> np.ndarray:
    """(B + 1,): the p-value each labelling would have had, were it the observed one.

    ValueError for a value that is not finite: it would stand nowhere and pass for no drift.
    """
    if not np.isfinite(values).all():
        raise ValueError("a distance is not finite")
    tolerance = _TIE * np.abs(values).max(initial=0.0)
    ordered = np.sort(values)
    reached = len(values) - np.searchsorted(ordered, values - tolerance, side="left")
    return reached / len(values)


def combined_p(values: np.ndarray) -> float:
    """One p-value for several distances of the same relabellings, `values` (distances, B + 1)."""
    return float(combined_ranks(values)[0])


def combined_ranks(values: np.ndarray) -> np.ndarray:
    """(B + 1,): the combined p-value each labelling would have had, were it the observed one.

    Each labelling is judged by its smallest p over the distances (Tippett), ties by the product
    of all (Fisher); where it stands among all labellings is its p-value. That keeps alpha exactly
    however the distances depend on each other, which ten separate tests do not.
    """
    each = np.stack([ranks(row) for row in values])
    # rounded, so that what is equal but for the order of a sum is a tie
    key = np.stack([each.min(axis=0), np.log(each).sum(axis=0)], axis=1).round(9)
    _, place, counts = np.unique(key, axis=0, return_inverse=True, return_counts=True)
    return np.cumsum(counts)[place] / len(key)


def benjamini_hochberg(p: np.ndarray) -> np.ndarray:
    """Adjusted p-values over the last axis of `p` (..., S) (Benjamini and Hochberg 1995)."""
    count = p.shape[-1]
    order = np.argsort(p, axis=-1)
    scaled = np.take_along_axis(p, order, axis=-1) * count / np.arange(1, count + 1)
    scaled = np.minimum.accumulate(scaled[..., ::-1], axis=-1)[..., ::-1]
    adjusted = np.empty_like(scaled)
    np.put_along_axis(adjusted, order, np.minimum(scaled, 1.0), axis=-1)
    return adjusted


def draws_for(tests: int, draws: int, alpha: float) -> int:
    """Enough draws that one drifted test among `tests` can pass the correction alone.

    Its p must come below alpha / tests, and no p is below 1 / (B + 1). At most `DRAWS_MAX`: beyond
    100 tests at 5 % several must drift together to be found.
    """
    return max(draws, min(math.ceil(tests / alpha), DRAWS_MAX))


def status_of(p: float, alpha: float) -> str:
    """`alarm` up to alpha, `warn` up to twice alpha, else `ok`."""
    if p <= alpha:
        return "alarm"
    return "warn" if p <= 2 * alpha else "ok"

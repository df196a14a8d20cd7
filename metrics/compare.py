"""Two systems on the same files: DeLong for the AUC, McNemar at a threshold, Holm over subsets.

Both tests take files for independent, or whole groups of files where `clusters` name them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from dataio.schema import FAKE, REAL
from metrics.groups import group_counts, members


class PairedTest(NamedTuple):
    """A paired test: the difference A - B it is about, its statistic and two-sided p-value."""

    difference: float
    statistic: float
    p_value: float


def delong(
    scores_a: np.ndarray,
    scores_b: np.ndarray,
    labels: np.ndarray,
    clusters: np.ndarray | None = None,
) -> PairedTest:
    """AUC of A minus AUC of B, both (N,), by the normal deviate of DeLong et al. 1988.

    The structural components come from mid-ranks (Sun and Xu 2014), so ties count half. With
    `clusters` (N,) (`groups.members`) they are summed over whole groups (Obuchowski 1997) and the
    deviate is held against Student's t with one degree of freedom fewer than the groups of the
    class that has fewer. NaN where a class has fewer than two groups (files), p = 1 for systems
    that rank alike.
    """
    groups = group_counts(labels, clusters)
    if min(groups.values()) < 2:
        return PairedTest(math.nan, math.nan, math.nan)
    parts = [_components(scores, labels == REAL, labels == FAKE) for scores in (scores_a, scores_b)]
    difference = float(parts[0][0].mean() - parts[1][0].mean())
    member = np.arange(len(labels)) if clusters is None else members(clusters)
    # each group's share of the difference, over its real files and over its fake ones
    shares = [
        np.bincount(member[labels == label], (a - b - difference) / len(a), member.max() + 1)
        for label, a, b in zip((REAL, FAKE), *parts, strict=True)
    ]
    variance = (
        _unbiased(groups["real"]) * (shares[0] ** 2).sum()
        + _unbiased(groups["fake"]) * (shares[1] ** 2).sum()
        + _unbiased(member.max() + 1) * 2 * (shares[0] * shares[1]).sum()
    )
    if variance == 0:
        return PairedTest(difference, 0.0 if difference == 0 else math.inf, float(difference == 0))
    deviate = difference / math.sqrt(variance)
    if clusters is None:
        return PairedTest(difference, deviate, math.erfc(abs(deviate) / math.sqrt(2)))
    from scipy.special import stdtr

    p_value = 2 * float(stdtr(min(groups.values()) - 1, -abs(deviate)))
    return PairedTest(difference, deviate, p_value)


def _unbiased(groups: int) -> float:
    """Bessel's correction of a sum of squares about the mean."""
    return groups / (groups - 1)


def _components(scores, real, fake) -> tuple[np.ndarray, np.ndarray]:
    """For each real file the share of fakes below it, for each fake the share of real above it."""
    ranks = midranks(scores)
    n_real, n_fake = real.sum(), fake.sum()
    of_real = (ranks[real] - midranks(scores[real])) / n_fake
    of_fake = 1 - (ranks[fake] - midranks(scores[fake])) / n_real
    return of_real, of_fake


def midranks(values: np.ndarray) -> np.ndarray:
    """Ranks from 1, equal values sharing the mean of theirs (N,)."""
    _, member, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2)[member]


def mcnemar(
    right_a: np.ndarray, right_b: np.ndarray, clusters: np.ndarray | None = None
) -> PairedTest:
    """Accuracy of A minus that of B from (N,) booleans "decided rightly"; the exact test.

    The statistic is the number of files only A got right minus the number only B did. If the
    systems are alike, each file's sign is a fair coin (the binomial test); with `clusters` (N,)
    the systems are exchanged in whole groups, one coin a group.
    """
    signs = right_a.astype(np.int64) - right_b
    sums = signs
    if clusters is not None:
        sums = np.bincount(members(clusters), signs).round().astype(np.int64)
    total = int(signs.sum())
    difference = total / len(signs) if len(signs) else math.nan
    return PairedTest(difference, float(total), _sign_flips(np.abs(sums[sums != 0]), abs(total)))


def _sign_flips(sizes: np.ndarray, total: int) -> float:
    """P(|sum of +-sizes| >= total), all signs equally likely: whole numbers, counted exactly."""
    if total == 0:
        return 1.0
    # the sum is `total` or more where the sizes that turn negative come to `limit` at most
    limit = (int(sizes.sum()) - total) // 2
    values, counts = np.unique(sizes, return_counts=True)
    often_first = np.argsort(-counts, kind="stable")
    negative = None  # (limit + 1,) probability of each sum of negative sizes
    for value, count in zip(values[often_first], counts[often_first], strict=True):
        chances = _fair_coins(count, limit // value)
        if negative is None:
            negative = np.zeros(limit + 1)
            negative[: len(chances) * value : value] = chances
            continue
        before, negative = negative, np.zeros(limit + 1)
        for flipped in np.flatnonzero(chances):
            negative[flipped * value :] += chances[flipped] * before[: limit + 1 - flipped * value]
    return min(1.0, 2 * float(negative.sum()))


def _fair_coins(count: int, most: int) -> np.ndarray:
    """Probability of 0, 1, ... heads of `count` fair coins, up to `most`."""
    from scipy.special import gammaln

    heads = np.arange(min(count, most) + 1)
    ways = gammaln(count + 1) - gammaln(heads + 1) - gammaln(count - heads + 1)
    return np.exp(ways - count * math.log(2))


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values, in the given order: the family-wise error holds for each subset read.

    NaN (nothing tested) stays NaN and does not count. Holm 1979.
    """
    adjusted = [math.nan] * len(p_values)
    tested = sorted((p, i) for i, p in enumerate(p_values) if not math.isnan(p))
    highest = 0.0
    for rank, (p_value, index) in enumerate(tested):
        highest = max(highest, min(1.0, p_value * (len(tested) - rank)))
        adjusted[index] = highest
    return adjusted

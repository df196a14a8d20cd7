"""Two systems on the same files: DeLong for the AUC, McNemar at a threshold, Holm over subsets."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from protocols.schema import FAKE, REAL


class PairedTest(NamedTuple):
    """A paired test: the difference A - B it is about, its statistic and two-sided p-value."""

    difference: float
    statistic: float
    p_value: float


def delong(scores_a: np.ndarray, scores_b: np.ndarray, labels: np.ndarray) -> PairedTest:
    """AUC of A minus AUC of B, both (N,), by the normal deviate of DeLong et al. 1988.

    The structural components come from mid-ranks (Sun and Xu 2014), so ties count half. NaN
    without both classes, p = 1 for systems that rank alike.
    """
    real, fake = labels == REAL, labels == FAKE
    n_real, n_fake = int(real.sum()), int(fake.sum())
    if n_real < 2 or n_fake < 2:
        return PairedTest(math.nan, math.nan, math.nan)
    parts = [_components(scores, real, fake) for scores in (scores_a, scores_b)]
    areas = [of_real.mean() for of_real, _ in parts]
    variance = (
        np.var(parts[0][0] - parts[1][0], ddof=1) / n_real
        + np.var(parts[0][1] - parts[1][1], ddof=1) / n_fake
    )
    difference = float(areas[0] - areas[1])
    if variance == 0:
        return PairedTest(difference, 0.0 if difference == 0 else math.inf, float(difference == 0))
    deviate = difference / math.sqrt(variance)
    return PairedTest(difference, deviate, math.erfc(abs(deviate) / math.sqrt(2)))


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


def mcnemar(right_a: np.ndarray, right_b: np.ndarray) -> PairedTest:
    """Accuracy of A minus that of B from (N,) booleans "decided rightly"; the exact binomial test.

    The statistic is the number of files only A got right minus the number only B did.
    """
    from scipy.special import bdtr

    only_a = int((right_a & ~right_b).sum())
    only_b = int((~right_a & right_b).sum())
    discordant = only_a + only_b
    p_value = 1.0 if not discordant else 2 * float(bdtr(min(only_a, only_b), discordant, 0.5))
    difference = (only_a - only_b) / len(right_a) if len(right_a) else math.nan
    return PairedTest(difference, float(only_a - only_b), min(1.0, p_value))


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

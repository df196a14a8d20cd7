"""Equal error rates, area under the ROC, and rates at a threshold: definitions on a `Sweep`.

Each takes `scores` (N,) and `labels` (N,), or a ready `Sweep` in place of both, and gives NaN
where a class is absent.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import NamedTuple

import numpy as np

from metrics.sweep import Sweep, as_sweep, pav_blocks


class ErrorRate(NamedTuple):
    """A rate in [0, 1] and the score threshold (in units of the scores) that gives it."""

    rate: float
    threshold: float


NOWHERE = ErrorRate(float("nan"), float("nan"))


def eer(scores, labels=None) -> ErrorRate:
    """Equal error rate by the rule of the ASVspoof 2019, 2021 and 5 packages.

    At the first point of the ascending sweep where |FRR - FAR| is least, (FRR + FAR) / 2; the
    threshold is the highest rejected score. Ties are grouped: all-equal scores give 0.5.

    Rates are compared in whole numbers. The packages compare them in floating point, so that of two
    points equally near FRR = FAR rounding may choose the second: half a file, 1 / (2 n), apart, in
    about 9 % of sets of 300 and 200 files; elsewhere, and without ties, the figures are the same.

    Swapping the classes and negating the scores leaves it unchanged but for one case: two points
    equally near FRR = FAR on either side of it, of which the first counts and the swap makes the
    other one first. They differ by half a file, 1 / (2 n): one fake above 4 of 8 real files has
    0.75, or 0.25 if swapped. The interpolated EER and the hull's have no such case.
    """
    points = as_sweep(scores, labels)
    if not points.both_classes:
        return NOWHERE
    index = _nearest_crossing(points)
    frr = points.real[index] / points.real[-1]
    far = (points.fake[-1] - points.fake[index]) / points.fake[-1]
    return ErrorRate(float(frr + far) / 2, rejected_score(points, index))


def _nearest_crossing(points: Sweep) -> int:
    """The first argmin of |FRR - FAR| over the K + 1 points, in O(log K).

    FRR never falls and FAR never rises, so their difference is sorted and the least absolute
    value stands beside its change of sign.
    """
    index = bisect_left(range(len(points.real)), 0, key=points.imbalance)  # never the first point
    if -points.imbalance(index - 1) <= points.imbalance(index):
        index = bisect_left(range(index), points.imbalance(index - 1), key=points.imbalance)
    return index


def rejected_score(points: Sweep, index: int) -> float:
    """The highest rejected score at a point of the sweep; just below the minimum at the first."""
    lowest = points.values[0]
    return float(points.values[index - 1]) if index else float(np.nextafter(lowest, -np.inf))


def eer_interpolated(scores, labels=None) -> ErrorRate:
    """Where the straight line between neighbouring points of the ROC crosses FRR = FAR.

    The threshold is interpolated alike between the highest rejected scores of the two points.
    """
    points = as_sweep(scores, labels)
    if not points.both_classes:
        return NOWHERE
    rate, left, share = _crossing(points.frr, points.far)
    low, high = rejected_score(points, left), rejected_score(points, left + 1)
    return ErrorRate(rate, low + share * (high - low))


def eer_rocch(scores, labels=None) -> float:
    """EER of the ROC's convex hull: what a system that may mix two thresholds reaches.

    Never above the interpolated EER; the ASVspoof rule, a mean of two unequal rates, can lie below
    it where a class is tiny (Brummer and de Villiers 2013; Provost and Fawcett 2001).
    """
    points = as_sweep(scores, labels)
    if not points.both_classes:
        return float("nan")
    real, fake = (np.append(0.0, np.cumsum(mass)) for mass in pav_blocks(points))
    return _crossing(real / real[-1], 1 - fake / fake[-1])[0]


def _crossing(frr: np.ndarray, far: np.ndarray) -> tuple[float, int, float]:
    """Where FRR = FAR on the polyline: the rate, the point to its left, the share of the way on."""
    right = int(np.searchsorted(frr - far, 0.0))  # first with FRR >= FAR; never 0
    left = right - 1
    share = (far[left] - frr[left]) / ((frr[right] - frr[left]) + (far[left] - far[right]))
    return float(frr[left] + share * (frr[right] - frr[left])), left, float(share)


def auc(scores, labels=None) -> float:
    """Area under the ROC = P(real > fake) + P(real = fake) / 2."""
    points = as_sweep(scores, labels)
    if not points.both_classes:
        return float("nan")
    # trapezoids in whole counts: exact below 2**53 pairs of files
    below = (points.fake[1:] + points.fake[:-1]).astype(np.float64)
    area = (np.diff(points.real) * below).sum() / 2  # no BLAS: its threads spin beside ours
    return min(
        1.0, float(area / (float(points.real[-1]) * float(points.fake[-1])))
    )  # weights round


def confusion(scores, labels=None, *, threshold: float) -> dict[str, float]:
    """Rates of the real class when `score >= threshold` is called real.

    accuracy, precision, recall, f1, fpr, fnr; a ratio over nothing is NaN. `threshold` is in
    units of the scores: see `logit` for a probability's.
    """
    points = as_sweep(scores, labels)
    index = int(np.searchsorted(points.values, threshold, side="left"))
    real, fake = float(points.real[-1]), float(points.fake[-1])
    missed, false_accepts = float(points.real[index]), fake - float(points.fake[index])
    return confusion_rates(real=real, fake=fake, missed=missed, false_accepts=false_accepts)


def confusion_rates(*, real, fake, missed, false_accepts) -> dict[str, float]:
    """The same from four counts (or weights)."""
    hits = real - missed
    return {
        "accuracy": _ratio(hits + fake - false_accepts, real + fake),
        "precision": _ratio(hits, hits + false_accepts),
        "recall": _ratio(hits, real),
        "f1": _ratio(2 * hits, 2 * hits + false_accepts + missed),
        "fpr": _ratio(false_accepts, fake),
        "fnr": _ratio(missed, real),
    }


def hter(scores, labels=None, *, threshold: float) -> float:
    """Half total error rate at a threshold: the mean of FAR and FRR."""
    at = confusion(scores, labels, threshold=threshold)
    return (at["fpr"] + at["fnr"]) / 2


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole > 0 else float("nan")


def logit(probability: float) -> float:
    """The score threshold s that a threshold on P(real) = 1 / (1 + e^-s) stands for."""
    if not 0 <= probability <= 1:
        raise ValueError(f"a probability threshold lies in [0, 1], not {probability}")
    with np.errstate(divide="ignore"):
        return float(np.log(probability) - np.log1p(-np.float64(probability)))


def expit(score):
    """P(real) = 1 / (1 + e^-s) of a score or an array of them, without overflow."""
    score = np.asarray(score, dtype=np.float64)
    decay = np.exp(-np.abs(score))
    return np.where(score >= 0, 1.0, decay) / (1.0 + decay)


def rate_at(scores, labels=None, *, which: str, limit: float) -> float:
    """The least `which` ("frr" or "far") over the thresholds that hold the other to `limit`."""
    points = as_sweep(scores, labels)
    if not points.both_classes:
        return float("nan")
    wanted, held = (points.frr, points.far) if which == "frr" else (points.far, points.frr)
    return float(wanted[held <= limit].min())


def crossing_tie(points: Sweep) -> tuple[int, int]:
    """Real and fake files that share the one score at which FRR passes FAR; (0, 0) if one class."""
    right = bisect_left(range(len(points.real)), 0, key=points.imbalance)
    tied = int(points.real[right] - points.real[right - 1])
    tied_fake = int(points.fake[right] - points.fake[right - 1])
    return (tied, tied_fake) if tied and tied_fake else (0, 0)

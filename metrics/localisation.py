"""How well a timeline finds the spoof parts of recordings: RangeEER, segment EER, seconds, events.

Every figure takes lists with an entry a file: `frame_scores` of arrays (N,) of bona fide scores
(larger: more likely real), `frame_seconds` of seconds a frame (one number where all are alike),
`spoof_segments` of lists of (start, end) in seconds and `durations` in seconds. Frame i covers
[i, i + 1) of its file's frame seconds and is called spoof where its score <= threshold; a stretch
that no frame covers, or whose score is infinite (not scored), counts as not spoof. RangeEER: Zhang
et al., arXiv 2305.17739.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from metrics.bootstrap import NO_INTERVAL, Plan

SEGMENT_SECONDS = (0.02, 0.04, 0.08, 0.16, 0.32, 0.64)
RESOLVED = 1024  # thresholds that a replicate's EER is looked for among
MOST_CELLS = 1 << 23  # of those thresholds times files
BLOCK = 64  # replicates whose weights are multiplied at once
TOUCHING = 1e-6  # seconds: a shorter overlap comes of rounding
EVEN = 1e-12  # rates that differ by less are equally near
LEAST_OVERLAP = 0.5  # intersection over union from which on an event is found

Segments = Sequence[tuple[float, float]]


class LocalisationRate(NamedTuple):
    """An equal error rate in [0, 1], its score threshold, and the two rates it is the mean of."""

    rate: float
    threshold: float
    fnr: float
    fpr: float


NOWHERE = LocalisationRate(*[float("nan")] * 4)


@dataclass(frozen=True)
class Weighted:
    """Scored pieces of F files and what they weigh: seconds, or whole segments.

    `scores`, `spoof`, `bona_fide` and `file` (N,): a piece's bona fide score, how much of it is
    spoof and how much is not, and the number of its file. `totals` (F, 2): spoof and bona fide of
    each file, what no piece covers included.
    """

    scores: np.ndarray
    spoof: np.ndarray
    bona_fide: np.ndarray
    file: np.ndarray
    totals: np.ndarray


def range_eer(frame_scores, frame_seconds, spoof_segments, durations) -> LocalisationRate:
    """Equal error rate of spoof seconds missed and bona fide seconds called spoof.

    Seconds are summed over all files before dividing. At the lowest of the scores, taken as
    thresholds, where both rates are closest. NaN where there are no spoof or no bona fide seconds.
    ValueError for input that is no timeline.
    """
    return equal_rates(frames(frame_scores, frame_seconds, spoof_segments, durations))


def segment_eer(
    frame_scores, frame_seconds, spoof_segments, durations, *, step: float
) -> LocalisationRate:
    """Equal error rate of segments of `step` seconds, those of all files pooled."""
    return equal_rates(segments(frame_scores, frame_seconds, spoof_segments, durations, step=step))


def frames(frame_scores, frame_seconds, spoof_segments, durations) -> Weighted:
    """Every frame with its seconds of spoof and of bona fide."""
    parts = []
    for scores, step, spoof, duration in _files(
        frame_scores, frame_seconds, spoof_segments, durations
    ):
        ends = np.minimum(np.arange(len(scores) + 1) * step, duration)
        within = np.diff(_seconds_before(spoof, ends))
        whole = _seconds_before(spoof, np.array([duration]))[0]
        weights, scored = np.stack([within, np.diff(ends) - within]), scores < np.inf
        parts.append((scores[scored], *weights[:, scored], (whole, duration - whole)))
    return _joined(parts)


def segments(frame_scores, frame_seconds, spoof_segments, durations, *, step: float) -> Weighted:
    """ceil(duration / step) segments a file, spoof if any part is.

    A segment's score is the least of the frames whose middle it holds; one so short that it holds
    none has that of the frame around it. One that no frame covers is never called spoof.
    """
    if not 0 < step < np.inf:
        raise ValueError(f"segments of {step} s: give a positive number of seconds")
    parts = []
    for scores, seconds, spoof, duration in _files(
        frame_scores, frame_seconds, spoof_segments, durations
    ):
        count = int(np.ceil(duration / step - TOUCHING))
        ends = np.minimum(np.arange(count + 1) * step, duration)
        is_spoof = np.diff(_seconds_before(spoof, ends)) > TOUCHING
        values = _least_within(scores, seconds, count, step)
        weights = np.array([is_spoof, ~is_spoof], dtype=np.float64)
        covered = values < np.inf
        totals = tuple(weights.sum(axis=1))
        parts.append((values[covered], *weights[:, covered], totals))
    return _joined(parts)


def _least_within(scores: np.ndarray, seconds: float, count: int, step: float) -> np.ndarray:
    """Scores (count,) of segments of `step` seconds; infinite where no frame is."""
    values = np.full(count, np.inf)
    middles = (np.arange(len(scores)) + 0.5) * seconds
    held = np.floor(middles / step + TOUCHING).astype(np.int64)
    inside = held < count
    np.minimum.at(values, held[inside], scores[inside])
    around = np.floor((np.arange(count) + 0.5) * step / seconds + TOUCHING).astype(np.int64)
    alone = np.isinf(values) & (around < len(scores))
    values[alone] = scores[around[alone]]
    return values


def equal_rates(pieces: Weighted) -> LocalisationRate:
    """The weighted equal error rate of all files: one sort, two cumulative sums."""
    spoof, bona_fide = pieces.totals.sum(axis=0)
    if not (spoof > 0 and bona_fide > 0 and len(pieces.scores)):
        return NOWHERE
    order = np.argsort(pieces.scores)
    ordered = pieces.scores[order]
    last = np.append(ordered[1:] != ordered[:-1], True)  # ties are called together
    found, called = (np.cumsum(w[order])[last] for w in (pieces.spoof, pieces.bona_fide))
    fnr, fpr = (spoof - found) / spoof, called / bona_fide
    at = _closest(fnr, fpr)
    rates = (max(0.0, float(side[at])) for side in (fnr, fpr))
    return _equal(float(ordered[last][at]), *rates)


def _equal(threshold: float, fnr: float, fpr: float) -> LocalisationRate:
    return LocalisationRate((fnr + fpr) / 2, threshold, fnr, fpr)


def _closest(fnr: np.ndarray, fpr: np.ndarray) -> int:
    """The first place where two rates are closest, rounding apart."""
    distance = np.abs(fnr - fpr)
    return int(np.argmax(distance <= distance.min() + EVEN))


# --- at a threshold ---------------------------------------------------------------------------


def seconds_found(pieces: Weighted, threshold: float) -> np.ndarray:
    """(F, 3) of each file: spoof called spoof, all that is called spoof, all that is spoof."""
    called = pieces.scores <= threshold
    count = len(pieces.totals)
    hits, alarms = (
        np.bincount(pieces.file[called], weights[called], minlength=count)
        for weights in (pieces.spoof, pieces.bona_fide)
    )
    return np.stack([hits, hits + alarms, pieces.totals[:, 0]], axis=1)


def events_found(
    frame_scores, frame_seconds, spoof_segments, durations, *, threshold: float
) -> np.ndarray:
    """(F, 3) of each file: events found, events called, events there are.

    An event is a stretch without a gap; one is found by at most one other, with which it shares
    at least half of what both cover together (temporal IoU 0.5).
    """
    counts = []
    for scores, seconds, spoof, duration in _files(
        frame_scores, frame_seconds, spoof_segments, durations
    ):
        called = np.concatenate([[False], scores <= threshold, [False]])
        edges = np.flatnonzero(called[1:] != called[:-1]).reshape(-1, 2) * seconds
        edges = edges[edges[:, 0] < duration - TOUCHING].clip(max=duration)
        counts.append((matched_events(edges, spoof), len(edges), len(spoof)))
    return np.array(counts, dtype=np.float64).reshape(-1, 3)


def matched_events(called: np.ndarray, there: np.ndarray) -> int:
    """How many of two lists of disjoint, ordered events (K, 2) pair up one to one."""
    found = one = other = 0
    while one < len(called) and other < len(there):
        (a, b), (c, d) = called[one], there[other]
        shared, together = min(b, d) - max(a, c), max(b, d) - min(a, c)
        if shared > 0 and shared >= LEAST_OVERLAP * together - TOUCHING:
            found, one, other = found + 1, one + 1, other + 1
        elif b < d:
            one += 1
        else:
            other += 1
    return found


def precision_recall_f1(counts: np.ndarray) -> np.ndarray:
    """(..., 3) of counts (..., 3): found, called, there; NaN for a ratio over nothing."""
    found, called, there = np.moveaxis(counts, -1, 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.stack([found / called, found / there, 2 * found / (called + there)], axis=-1)


# --- intervals over files ---------------------------------------------------------------------


def eer_interval(pieces: Weighted, plan: Plan) -> tuple[float, float]:
    """The interval of `equal_rates` over files reweighted at random (see `metrics.bootstrap`).

    One imagined file of mean size is all wrong for the upper end and all right for the lower. A
    replicate's crossing is looked for among up to `RESOLVED` thresholds, closest together around
    that of the files themselves.
    """
    observed = equal_rates(pieces)
    if np.isnan(observed.rate):
        return NO_INTERVAL
    count = len(pieces.totals)
    thresholds = _thresholds(pieces.scores, observed.threshold, max(128, MOST_CELLS // count))
    width = len(thresholds)
    # a score above the last threshold is called spoof by none of them
    places = pieces.file * (width + 1) + np.searchsorted(thresholds, pieces.scores)
    hits, alarms = (
        np.bincount(places, weights, minlength=count * (width + 1))
        .reshape(count, width + 1)[:, :-1]
        .cumsum(axis=1)
        for weights in (pieces.spoof, pieces.bona_fide)
    )
    spoof, bona_fide = pieces.totals.mean(axis=0)
    ones, zeros, mean = np.ones(width), np.zeros(width), [spoof, bona_fide]
    right = np.concatenate([spoof * ones, zeros, mean])
    wrong = np.concatenate([zeros, bona_fide * ones, mean])

    def rate(summed: np.ndarray) -> float:
        found, called, (spoof, bona_fide) = np.split(summed, [width, 2 * width])
        fnr, fpr = (spoof - found) / spoof, called / bona_fide
        at = _closest(fnr, fpr)
        return (fnr[at] + fpr[at]) / 2

    return _interval(np.hstack([hits, alarms, pieces.totals]), right, wrong, rate, plan)


def _thresholds(scores: np.ndarray, around: float, most: int) -> np.ndarray:
    """All distinct scores, or so many of them, by the cubes of their distance in rank."""
    distinct = np.unique(scores)
    most = min(most, RESOLVED)
    if len(distinct) <= most:
        return distinct
    middle, last = int(np.searchsorted(distinct, around)), len(distinct) - 1
    steps = np.linspace(-1, 1, most) ** 3
    ranks = middle + np.where(steps < 0, steps * middle, steps * (last - middle))
    return distinct[np.unique(ranks.round().astype(np.int64))]


def ratio_intervals(counts: np.ndarray, plan: Plan) -> list[tuple[float, float]]:
    """The intervals of precision, recall and F1 of counts (F, 3), as `eer_interval`."""
    _, called, there = counts.mean(axis=0)
    # the imagined file: all of it found, or what it calls and what there is apart
    right, wrong = np.full(3, there), np.array([0.0, max(called, there), there])
    return [
        NO_INTERVAL
        if np.isnan(value)
        else _interval(counts, right, wrong, lambda c, k=column: precision_recall_f1(c)[k], plan)
        for column, value in enumerate(precision_recall_f1(counts.sum(axis=0)))
    ]


def _interval(
    sizes: np.ndarray,
    right: np.ndarray,
    wrong: np.ndarray,
    figure: Callable[[np.ndarray], float],
    plan: Plan,
) -> tuple[float, float]:
    """Of a figure of summed sizes (C,), over files of `sizes` (F, C); imagined ones are (C,)."""
    if len(sizes) < 2:
        return NO_INTERVAL
    samples = np.empty((plan.replicates, 2))
    for first in range(0, plan.replicates, BLOCK):
        numbers = range(first, min(first + BLOCK, plan.replicates))
        weights = np.array(
            [
                np.random.default_rng([plan.seed, number]).standard_exponential(len(sizes) + 1)
                for number in numbers
            ]
        )
        for number, summed, imagined in zip(
            numbers, weights[:, 1:] @ sizes, weights[:, 0], strict=True
        ):
            samples[number] = [figure(summed + imagined * file) for file in (right, wrong)]
    return plan.interval(samples)


# --- what is given, checked -------------------------------------------------------------------


def _files(frame_scores, frame_seconds, spoof_segments, durations):
    """`(scores (N,), seconds, spoof (K, 2), duration)` of each file; ValueError for what is none.

    The spoof segments are joined where they overlap or touch, and cut to the file.
    """
    count = len(durations)
    steps = np.broadcast_to(np.asarray(frame_seconds, dtype=np.float64), count)
    if not len(frame_scores) == len(spoof_segments) == count:
        raise ValueError(
            f"{len(frame_scores)} files of scores, {len(spoof_segments)} of segments and {count} "
            "durations: give one entry a file"
        )
    for number, (scores, step, spoof, duration) in enumerate(
        zip(frame_scores, steps, spoof_segments, durations, strict=True)
    ):
        scores = np.asarray(scores, dtype=np.float64)
        if scores.ndim != 1 or not (scores > -np.inf).all():
            raise ValueError(f"file {number}: frame scores must be (N,) and numbers, or infinite")
        if not (0 < step < np.inf and 0 <= duration < np.inf):
            raise ValueError(f"file {number}: {duration} s in frames of {step} s is no recording")
        try:
            yield scores, float(step), _joined_segments(spoof, float(duration)), float(duration)
        except ValueError as error:
            raise ValueError(f"file {number}: {error}") from None


def _joined_segments(spoof: Segments, duration: float) -> np.ndarray:
    """Disjoint segments (K, 2) in order, within [0, duration]."""
    given = np.array(spoof, dtype=np.float64).reshape(-1, 2)
    if not np.isfinite(given).all() or (given[:, 0] < 0).any() or (given[:, 1] < given[:, 0]).any():
        raise ValueError(f"segments {spoof!r:.80} are no (start, end) in seconds")
    given = given[given[:, 0].argsort(kind="stable")].clip(max=duration)
    given = given[given[:, 1] > given[:, 0]]
    if not len(given):
        return given
    reach = np.maximum.accumulate(given[:, 1])
    first = np.append(True, given[1:, 0] > reach[:-1] + TOUCHING)
    last = np.append(first[1:], True)
    return np.stack([given[first, 0], reach[last]], axis=1)


def _seconds_before(spoof: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Spoof seconds before each of `times`, of disjoint segments (K, 2) in order."""
    if not len(spoof):
        return np.zeros(len(times))
    lengths = spoof[:, 1] - spoof[:, 0]
    sums = np.cumsum(lengths)
    return np.interp(times, spoof.ravel(), np.stack([sums - lengths, sums], axis=1).ravel())


def _joined(parts: list[tuple]) -> Weighted:
    """The pieces of all files, numbered by file."""
    if not parts:
        return Weighted(*[np.zeros(0)] * 3, np.zeros(0, dtype=np.int64), np.zeros((0, 2)))
    scores, spoof, bona_fide, totals = zip(*parts, strict=True)
    counts = [len(part) for part in scores]
    file = np.repeat(np.arange(len(parts)), counts)
    return Weighted(*map(np.concatenate, (scores, spoof, bona_fide)), file, np.array(totals))

"""RangeEER and its companions against brute force, and against what can be said by hand."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from metrics import localisation
from metrics.bootstrap import Plan
from metrics.localisation import (
    eer_interval,
    equal_rates,
    events_found,
    frames,
    precision_recall_f1,
    range_eer,
    ratio_intervals,
    seconds_found,
    segment_eer,
)

KNOWN = json.loads(Path(__file__).with_name("data").joinpath("range_eer.json").read_text())


def overlap(start: float, end: float, segments) -> float:
    """Seconds of [start, end] within disjoint segments."""
    return sum(max(0.0, min(end, b) - max(start, a)) for a, b in segments)


def brute_force(scores, steps, segments, durations) -> tuple[float, float, float]:
    """(rate, fnr, fpr) by trying every score, with all seconds counted anew each time."""
    spoof = sum(overlap(0, d, s) for s, d in zip(segments, durations, strict=True))
    bona_fide = sum(durations) - spoof
    best = None
    for threshold in sorted({float(v) for values in scores for v in values}):
        hit = alarm = 0.0
        for values, step, parts, duration in zip(scores, steps, segments, durations, strict=True):
            for i, value in enumerate(values):
                if value <= threshold:
                    start, end = min(i * step, duration), min((i + 1) * step, duration)
                    hit += overlap(start, end, parts)
                    alarm += end - start - overlap(start, end, parts)
        fnr, fpr = 1 - hit / spoof, alarm / bona_fide
        if best is None or abs(fnr - fpr) < best[0] - 1e-12:
            best = abs(fnr - fpr), (fnr + fpr) / 2, fnr, fpr
    return best[1:]


def drawn(rng: np.random.Generator, files: int = 5):
    """Timelines whose frames stop short of or pass the end, with scores that tie."""
    scores, steps, segments, durations = [], [], [], []
    for _ in range(files):
        step, duration = float(rng.choice([0.02, 0.05, 0.16, 0.3])), float(rng.uniform(0.4, 4))
        edges = np.sort(rng.uniform(0, duration, 2 * rng.integers(0, 4)))
        frames_here = max(1, int(duration / step) + int(rng.integers(-3, 2)))
        scores.append(rng.normal(size=frames_here).round(1))
        steps.append(step)
        segments.append([tuple(pair) for pair in edges.reshape(-1, 2).tolist()])
        durations.append(duration)
    segments[0] = segments[0] or [(0.1, 0.3)]
    return scores, steps, segments, durations


def test_the_known_answer_of_range_eer():
    files = KNOWN["files"]
    found = range_eer(
        [np.array(file["bona_fide_scores"]) for file in files],
        [file["step"] for file in files],
        [file["spoof_segments"] for file in files],
        [file["duration"] for file in files],
    )
    assert found.rate == pytest.approx(KNOWN["range_eer"], abs=1e-9)
    assert found.fnr == pytest.approx(KNOWN["fnr"], abs=1e-9)
    assert found.fpr == pytest.approx(KNOWN["fpr"], abs=1e-9)
    assert found.threshold == KNOWN["threshold"]


@pytest.mark.parametrize("seed", range(20))
def test_range_eer_is_what_brute_force_finds(seed):
    given = drawn(np.random.default_rng(seed))
    found = range_eer(*given)
    assert (found.rate, found.fnr, found.fpr) == pytest.approx(brute_force(*given), abs=1e-9)


def test_separable_frames_have_no_error_and_swapped_ones_nothing_else():
    scores = [np.array([3.0, -1.0, -1.0, 3.0])]
    assert range_eer(scores, [0.5], [[(0.5, 1.5)]], [2.0]).rate == 0
    assert range_eer([-scores[0]], [0.5], [[(0.5, 1.5)]], [2.0]).rate == 1


def test_a_wholly_bona_fide_file_counts_among_the_false_alarms():
    spoof = np.array([-2.0, -2.0]), [(0.0, 2.0)], 2.0
    alarm = np.array([-2.0, 1.0]), [], 2.0
    assert math.isnan(range_eer([spoof[0]], 1.0, [spoof[1]], [spoof[2]]).rate)
    both = range_eer(*([pair[0] for pair in (spoof, alarm)], 1.0), [spoof[1], []], [2.0, 2.0])
    assert (both.fnr, both.fpr) == (0.0, 0.5)


def test_spoof_that_no_frame_covers_is_missed_and_frames_past_the_end_weigh_nothing():
    found = range_eer([np.array([1.0, 0.0])], 1.0, [[(1.0, 4.0)]], [4.0])
    assert found.fnr == pytest.approx(2 / 3)
    past = range_eer([np.array([1.0, -1.0, -9.0, -9.0])], 1.0, [[(1.0, 1.5)]], [1.5])
    assert (past.rate, past.threshold) == (0.0, -1.0)


def test_frames_that_were_not_scored_are_never_called_spoof():
    found = range_eer([np.array([1.0, np.inf, -1.0])], 1.0, [[(1.0, 3.0)]], [3.0])
    assert (found.fnr, found.fpr, found.threshold) == (0.5, 0.0, -1.0)


def test_overlapping_labels_are_counted_once():
    once = range_eer([np.array([0.3, -0.5, 0.1])], 1.0, [[(0.5, 1.7)]], [3.0])
    twice = range_eer([np.array([0.3, -0.5, 0.1])], 1.0, [[(0.9, 1.7), (0.5, 1.2)]], [3.0])
    assert twice == pytest.approx(once)


def brute_segments(scores, seconds, segments, duration, step):
    """Scores and labels of segments, where `step` and `seconds` are multiples of each other."""
    values, labels = [], []
    for k in range(math.ceil(duration / step - 1e-9)):
        start, end = k * step, min((k + 1) * step, duration)
        labels.append(overlap(start, end, segments) > 1e-9)
        if step >= seconds:
            ratio = round(step / seconds)
            held = scores[k * ratio : (k + 1) * ratio]
        else:
            first = k // round(seconds / step)
            held = scores[first : first + 1]
        values.append(min(held, default=np.inf))
    return np.array(values), np.array(labels)


@pytest.mark.parametrize("step", localisation.SEGMENT_SECONDS)
def test_segments_take_the_least_score_and_are_spoof_if_any_part_is(step):
    rng = np.random.default_rng(3)
    durations = [2.61, 1.28, 0.5]
    segments = [[(0.5, 0.79), (1.4, 1.41)], [], [(0.1, 0.3)]]
    scores = [rng.normal(size=math.ceil(d / 0.08)) for d in durations]
    parts = [
        brute_segments(*file, step)
        for file in zip(scores, [0.08] * 3, segments, durations, strict=True)
    ]
    values, labels = (np.concatenate(side) for side in zip(*parts, strict=True))
    found = segment_eer(scores, 0.08, segments, durations, step=step)
    rates = [
        (abs(fnr - fpr), (fnr + fpr) / 2)
        for threshold in np.unique(values)
        for fnr in [(values[labels] > threshold).mean()]
        for fpr in [(values[~labels] <= threshold).mean()]
    ]
    assert found.rate == pytest.approx(next(r for d, r in rates if d <= min(rates)[0] + 1e-12))


def test_coarse_segments_flatter():
    rng = np.random.default_rng(0)
    scores = [np.where((np.arange(500) // 100) % 2, -1.0, 1.0) + rng.normal(size=500)]
    segments = [[(2.0, 4.0), (6.0, 8.0)]]
    at = [segment_eer(scores, 0.02, segments, [10.0], step=s).rate for s in (0.02, 0.64)]
    assert at[1] < at[0]


def test_seconds_and_events_at_a_threshold_by_hand():
    scores = [np.array([1, -1, -1, 1, -1, 1.0]), np.array([-1.0, 1.0])]
    segments, durations = [[(1.0, 4.0)], []], [6.0, 2.0]
    counts = seconds_found(frames(scores, 1.0, segments, durations), 0.0)
    assert counts.tolist() == [[2, 3, 3], [0, 1, 0]]
    events = events_found(scores, 1.0, segments, durations, threshold=0.0)
    assert events.tolist() == [[1, 2, 1], [0, 1, 0]]  # [1, 3] shares 2 of 3 s with [1, 4]
    precision, recall, f1 = precision_recall_f1(counts.sum(axis=0))
    assert (precision, recall, f1) == pytest.approx((0.5, 2 / 3, 4 / 7))


def test_an_event_that_shares_less_than_half_is_not_found():
    called, there = np.array([[0.0, 1.0], [5.0, 6.0]]), np.array([[0.4, 2.4], [5.0, 6.5]])
    assert localisation.matched_events(called, there) == 1


def test_the_interval_over_files_holds_the_figure_and_narrows_with_more_of_them():
    rng = np.random.default_rng(1)

    def width(files: int) -> float:
        given = drawn(rng, files)
        pieces = frames(*given)
        low, high = eer_interval(pieces, Plan(200))
        assert low <= equal_rates(pieces).rate <= high
        for (low_, high_), value in zip(
            ratio_intervals(seconds_found(pieces, 0.0), Plan(200)),
            precision_recall_f1(seconds_found(pieces, 0.0).sum(axis=0)),
            strict=True,
        ):
            assert low_ <= value <= high_
        return high - low

    assert width(400) < width(25) / 2


def test_an_interval_of_no_error_reaches_above_it():
    scores = [np.array([3.0, -1.0, -1.0, 3.0])] * 10
    pieces = frames(scores, 0.5, [[(0.5, 1.5)]] * 10, [2.0] * 10)
    low, high = eer_interval(pieces, Plan(200))
    assert low == 0 and 0.1 < high < 0.5


def test_thresholds_thinned_out_move_the_interval_by_little(monkeypatch):
    given = drawn(np.random.default_rng(2), 60)
    pieces = frames(
        [s + np.random.default_rng(0).normal(size=len(s)) for s in given[0]], *given[1:]
    )
    whole = eer_interval(pieces, Plan(200))
    monkeypatch.setattr(localisation, "RESOLVED", 128)
    assert eer_interval(pieces, Plan(200)) == pytest.approx(whole, abs=2e-3)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"frame_scores": [[0.0, math.nan]]}, "infinite"),
        ({"frame_scores": [[[0.0]]]}, "infinite"),
        ({"frame_seconds": [0.0]}, "no recording"),
        ({"durations": [math.inf]}, "no recording"),
        ({"spoof_segments": [[(2.0, 1.0)]]}, "start, end"),
        ({"spoof_segments": [[(-1.0, 1.0)]]}, "start, end"),
        ({"spoof_segments": []}, "one entry a file"),
    ],
)
def test_what_is_no_timeline_is_refused(change, word):
    given = {
        "frame_scores": [[0.0, 1.0]],
        "frame_seconds": [1.0],
        "spoof_segments": [[(0.0, 1.0)]],
        "durations": [2.0],
    }
    with pytest.raises(ValueError, match=word):
        range_eer(**(given | change))

"""Segments of a curve: hysteresis, a least duration, pauses."""

import numpy as np
import pytest

from metrics.segments import Segment, below, bridged, runs, segments, without_short


def bits(text):
    return np.array([letter == "1" for letter in text])


def test_runs_are_where_a_mask_is_true():
    assert runs(bits("0110001")) == [(1, 3), (6, 7)]
    assert runs(bits("")) == [] and runs(bits("111")) == [(0, 3)]


def test_a_segment_begins_at_one_threshold_and_ends_at_the_other():
    scores = np.array([0.9, 0.55, 0.4, 0.55, 0.45, 0.59, 0.6, 0.55, 0.49])
    assert below(scores, 0.5, 0.6).tolist() == bits("001111001").tolist()
    assert below(scores, 0.5, 0.5).tolist() == bits("001010001").tolist()
    assert below(np.array([0.55, 0.4]), 0.5, 0.6).tolist() == [False, True]
    assert below(np.zeros(0), 0.5, 0.6).tolist() == []


@pytest.mark.parametrize(
    "before, after",
    [
        ("0001000", "0000000"),
        ("1101111", "1111111"),
        ("1100011", "1100011"),
        ("1", "1"),
        ("", ""),
    ],
)
def test_what_is_shorter_than_the_least_is_what_is_beside_it(before, after):
    found = without_short(bits(before), 2)
    assert found.tolist() == bits(after).tolist()


def test_pauses_are_bridged_and_longer_stretches_are_in_no_segment():
    scored = bits("0110111000011")
    assert bridged(scored, 2).tolist() == bits("0111111000011").tolist()
    scores = np.array([0, 0, 0, 0, 1, 1, 1, 0, 0, 0, 0, 1, 1.0])
    found = segments(scores, scored, enter=0.5, leave=0.5, least=1, gap=2)
    assert found == [Segment(1, 4, True), Segment(4, 7, False), Segment(11, 13, False)]
    assert segments(scores, bits("0" * 13), enter=0.5, leave=0.5, least=1, gap=2) == []

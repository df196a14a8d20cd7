"""From a curve over frames to segments: two thresholds (hysteresis) and a least duration."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Segment(NamedTuple):
    """Frames [start, stop), judged fake or not."""

    start: int
    stop: int
    is_fake: bool


def runs(mask: np.ndarray) -> list[tuple[int, int]]:
    """[start, stop) of each stretch of (N,) bool that is true."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    return [(int(start), int(stop)) for start, stop in edges.reshape(-1, 2)]


def bridged(mask: np.ndarray, longest: int) -> np.ndarray:
    """(N,) bool with gaps of at most `longest` frames between two true stretches filled."""
    filled = mask.copy()
    for start, stop in runs(~mask):
        if start > 0 and stop < len(mask) and stop - start <= longest:
            filled[start:stop] = True
    return filled


def below(scores: np.ndarray, enter: float, leave: float) -> np.ndarray:
    """(N,) bool: from where the scores fall below `enter` to where they reach `leave`."""
    if not len(scores):
        return np.zeros(0, dtype=bool)
    said = np.where(scores < enter, 1, np.where(scores >= leave, 0, -1))
    said[0] = max(said[0], 0)
    places = np.maximum.accumulate(np.where(said >= 0, np.arange(len(said)), 0))
    return said[places] == 1


def without_short(states: np.ndarray, least: int) -> np.ndarray:
    """(N,) bool in which stretches under `least` frames are what is beside them, shortest first.

    The first of several as short goes first; a whole curve that is short stays as it is.
    """
    states = states.copy()
    while True:
        edges = np.concatenate([[0], np.flatnonzero(np.diff(states)) + 1, [len(states)]])
        sizes = np.diff(edges)
        if len(sizes) < 2 or sizes.min() >= least:
            return states
        k = int(sizes.argmin())
        states[edges[k] : edges[k + 1]] ^= True


def segments(
    scores: np.ndarray, scored: np.ndarray, *, enter: float, leave: float, least: int, gap: int
) -> list[Segment]:
    """Segments of a curve (N,), the lower the likelier fake, in order.

    `scored` (N,) bool: frames that count; pauses of up to `gap` frames between them break no
    segment, what is longer is in none.
    """
    found = []
    for start, stop in runs(bridged(scored, gap)):
        states = without_short(below(scores[start:stop], enter, leave), least)
        edges = np.concatenate([[0], np.flatnonzero(np.diff(states)) + 1, [len(states)]]) + start
        found += [
            Segment(int(first), int(last), bool(states[first - start]))
            for first, last in zip(edges[:-1], edges[1:], strict=True)
        ]
    return found

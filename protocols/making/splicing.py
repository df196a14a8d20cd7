"""Cutting and pasting of speech where it is quiet, so that the seam is not what is heard."""

from __future__ import annotations

import numpy as np

from dataio.schema import SAMPLE_RATE

BLOCK = SAMPLE_RATE // 100  # 10 ms, in which energy is measured
QUIET = 0.1  # of the mean energy: 10 dB below it
FADE = SAMPLE_RATE // 100  # samples of a cross-fade
STRETCH_SECONDS = (0.25, 1.5)  # a word to a phrase
FROM_ENDS = SAMPLE_RATE // 10  # a stretch has speech on both sides


def cut_points(waveform: np.ndarray) -> np.ndarray:
    """Samples (K,) where (T,) is quieter than what is around and 10 dB below its mean."""
    blocks = waveform[: len(waveform) // BLOCK * BLOCK].reshape(-1, BLOCK)
    energy = np.convolve(np.mean(blocks**2, axis=1), np.ones(3) / 3, "same")
    if len(energy) < 3:
        return np.zeros(0, dtype=np.int64)
    inner = energy[1:-1]
    lowest = (inner <= energy[:-2]) & (inner <= energy[2:]) & (inner <= QUIET * energy.mean())
    return (np.flatnonzero(lowest) + 1) * BLOCK + BLOCK // 2


def draw_stretch(waveform: np.ndarray, rng: np.random.Generator) -> tuple[int, int]:
    """Start and end (samples) of a word or phrase of (T,), both at cut points; without two such
    places its middle third.
    """
    points = cut_points(waveform)
    points = points[(points >= FROM_ENDS) & (points <= len(waveform) - FROM_ENDS)]
    apart = points[None, :] - points[:, None]
    low, high = (seconds * SAMPLE_RATE for seconds in STRETCH_SECONDS)
    pairs = np.argwhere((apart >= low) & (apart <= high))
    if not len(pairs):
        return len(waveform) // 3, 2 * len(waveform) // 3
    first, last = pairs[rng.integers(len(pairs))]
    return int(points[first]), int(points[last])


def splice(host: np.ndarray, start: int, end: int, insert: np.ndarray) -> np.ndarray:
    """`host` (T,) with [start, end) replaced by `insert` (N,): matched in level, cross-faded over
    10 ms inside its ends. The new stretch is [start, start + N).
    """
    ramp = (1 - np.cos(np.pi * (np.arange(FADE) + 0.5) / FADE)) / 2
    replaced = host[start:end]
    gain = np.sqrt(np.mean(replaced**2) / max(np.mean(insert**2), 1e-12))
    middle = insert * gain
    middle[:FADE] = middle[:FADE] * ramp + replaced[:FADE] * ramp[::-1]
    middle[-FADE:] = middle[-FADE:] * ramp[::-1] + replaced[-FADE:] * ramp
    return np.concatenate([host[:start], middle, host[end:]])

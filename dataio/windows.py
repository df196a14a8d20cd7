"""A recording of any length as windows, cut while it is decoded, and their results as one.

| rule | |
|---|---|
| cut | windows begin every hop, on a frame (20 ms); the last ends where the recording does |
| cross-fade | a window's weight falls towards an end that another reaches over; in a frame the |
| | weights add up to 1: a second counts once, however many windows hold it |
| fold | the mean over windows, each weighing its seconds (of speech, where that is known) |

Samples in, arrays out; how the samples were chunked does not matter.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from dataio.schema import FAKE, REAL, SAMPLE_RATE, UserError

FRAME = 320  # samples between two frames of a detector, 20 ms
LEAST_SECONDS = 0.5  # of a window: `min_duration`'s default
Spans = Sequence[tuple[float, float]]  # (start, stop) in seconds


class Windowing(NamedTuple):
    """`window` and `hop` in samples, whole frames; files of over `most_whole` seconds are cut."""

    window: int
    hop: int
    most_whole: float


def windowing_of(hparams: Mapping[str, object]) -> Windowing | None:
    """What the YAML says of long files; None where all are scored whole. UserError for no sense."""
    window, hop = hparams["window_seconds"], hparams["hop_seconds"]
    if window is None or hparams["max_whole_seconds"] is None:
        return None
    hop = window if hop is None else hop
    if window < LEAST_SECONDS:
        raise UserError(f"window_seconds {window} is too short: give {LEAST_SECONDS} or more")
    if hop > window:
        raise UserError(
            f"hop_seconds {hop} is longer than window_seconds {window}, what is between two windows"
            " would not be scored: give a shorter one"
        )
    frames = (max(1, round(seconds * SAMPLE_RATE / FRAME)) for seconds in (window, hop))
    return Windowing(*(count * FRAME for count in frames), hparams["max_whole_seconds"])


class WindowCutter:
    """`feed` samples at 16 kHz as they come, then `finish`: (first sample, window (T,)) each."""

    def __init__(self, window: int, hop: int):
        self.window, self.hop = window, hop
        self.samples = 0  # fed so far
        self._held = np.zeros(0, np.float32)  # what a window to come may need
        self._next = 0  # first sample of the next window
        self._covered = 0  # samples that windows have reached over

    def feed(self, samples: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
        """The windows that (T,) more samples complete."""
        held = np.concatenate([self._held, samples])
        first = self.samples - len(self._held)
        self.samples += len(samples)
        while self._next + self.window <= self.samples:
            at = self._next - first
            self._covered = self._next + self.window
            self._next += self.hop
            yield self._covered - self.window, held[at : at + self.window]
        needed = min(self._next, self._after(self.samples - self.window))  # the last may be next
        self._held = held[needed - first :].copy()

    def finish(self) -> Iterator[tuple[int, np.ndarray]]:
        """The last window, where samples of more than a frame are in none: it ends with them."""
        if self.samples - self._covered >= (FRAME if self._covered else 1):
            start = self._after(self.samples - self.window)
            first = self.samples - len(self._held)
            self._covered = self.samples
            yield start, self._held[start - first :]

    @staticmethod
    def _after(sample: int) -> int:
        """The first frame's border at or behind a sample."""
        return max(0, -(-sample // FRAME) * FRAME)


def cross_fade(starts: Sequence[int], stops: Sequence[int]) -> list[np.ndarray]:
    """The weights (frames,) of each window [start, stop) of samples; 1 in sum in every frame.

    Before that a window weighs a frame by how far it is from the window's nearer end.
    """
    bounds = [(start // FRAME, max(start // FRAME + 1, stop // FRAME)) for start, stop in
              zip(starts, stops, strict=True)]  # fmt: skip
    total = np.zeros(max((stop for _, stop in bounds), default=0))
    slopes = []
    for start, stop in bounds:
        places = np.arange(stop - start) + 0.5
        slopes.append(np.minimum(places, places[::-1]))
        total[start:stop] += slopes[-1]
    return [slope / total[start:stop] for slope, (start, stop) in zip(slopes, bounds, strict=True)]


def is_within(spans: Spans, frames: int) -> np.ndarray:
    """(frames,) bool: whether a frame's middle is within one of the spans."""
    inside = np.zeros(frames, dtype=bool)
    for start, stop in spans:
        first, last = (round(seconds * SAMPLE_RATE / FRAME) for seconds in (start, stop))
        inside[max(0, first) : max(0, last)] = True
    return inside


class Windows(NamedTuple):
    """Windows of a file: `starts`, `stops` (K,) in samples, the `seconds` (K,) each counts for in
    the mean, and `logits` (K, 2).
    """

    starts: np.ndarray
    stops: np.ndarray
    seconds: np.ndarray
    logits: np.ndarray

    def mean(self, values: np.ndarray) -> np.ndarray:
        """(K, D) of the windows to (D,) of the file."""
        return (self.seconds / self.seconds.sum()) @ values.astype(np.float64)

    def share(self, chosen: np.ndarray) -> float:
        """How much of what counts is in the windows chosen, (K,) bool; from 0 to 1."""
        return float(self.seconds[chosen].sum() / self.seconds.sum())

    def worst(self) -> int:
        """The window most likely fake of those that count: the least real - fake logit."""
        differences = self.logits[:, REAL] - self.logits[:, FAKE]
        return int(np.where(self.seconds > 0, differences, np.inf).argmin())


def counted(
    starts: Sequence[int], stops: Sequence[int], logits: np.ndarray, speech: Spans | None
) -> Windows:
    """Windows in the order of their starts, with the seconds they count for.

    Of speech where it is known, unless there is none in any window: then of all, as without it.
    """
    fades = cross_fade(starts, stops)
    frames = max(stops) // FRAME + 1
    step = FRAME / SAMPLE_RATE
    for inside in (is_within(speech or (), frames), np.ones(frames, dtype=bool)):
        seconds = [
            step * fade[inside[start // FRAME :][: len(fade)]].sum()
            for start, fade in zip(starts, fades, strict=True)
        ]
        if sum(seconds) > 0:
            break
    return Windows(np.array(starts), np.array(stops), np.array(seconds), np.asarray(logits))

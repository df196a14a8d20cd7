"""Banks of random notch filters: the linear-phase FIRs of RawBoost, designed and applied by FFT.

A bank holds F cascades of N windowed-sinc band-stop filters. Every filter has an odd number of
taps and is symmetric about its centre, so its response is a real amplitude A(w) times a delay.
A cascade is then a product of real numbers per frequency, and its delay is removed exactly by
leaving the phase out: no coefficients are convolved, no frequency response is searched twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import fft

BLOCK = 2048  # samples of one overlap-save block; the published longest cascade overlaps 490
GROUP = 16  # blocks transformed at once: their powers and spectra stay in the second-level cache
GRID = 512  # frequencies on [0, pi) where the peak gain is sought (scipy's freqz default)
EDGE_HZ = 1e-3  # how far from 0 Hz and the Nyquist frequency a band edge is kept


@dataclass(frozen=True, slots=True)
class Notches:
    """Parameters of F cascades of N notch filters.

    `centre_hz`, `width_hz`, `taps` (odd) have shape (F, N); `gain_db` (F,) is the peak gain of each
    cascade over frequency; `sample_rate` in Hz.
    """

    centre_hz: np.ndarray
    width_hz: np.ndarray
    taps: np.ndarray
    gain_db: np.ndarray
    sample_rate: int

    @property
    def reach(self) -> int:
        """Samples on either side of the centre that the longest cascade sees (at least 1)."""
        return max(1, int((self.taps // 2).sum(axis=1).max()))


def block_size(reach: int) -> int:
    """FFT length for cascades that see `reach` samples either side: under half of it is overlap."""
    size = BLOCK
    while size < 4 * reach:
        size *= 2
    return size


@lru_cache(maxsize=8)
def cosines(rows: int, size: int) -> np.ndarray:
    """Matrix (rows, size // 2 + 1) that turns a symmetric filter's half into its amplitude.

    Row 0 is 1 (the centre tap), row j is 2 cos(2 pi j k / size) (the two taps at distance j).
    """
    table = 2 * np.cos(2 * np.pi / size * np.outer(np.arange(rows), np.arange(size // 2 + 1)))
    table[0] = 1
    return table


def half_filters(notches: Notches) -> np.ndarray:
    """Taps of each filter from its centre outwards, (F, N, longest half + 1).

    The ideal band-stop response is the unit pulse less the ideal band-pass, i.e. for distance j > 0
    (sin(w1 j) - sin(w2 j)) / (pi j) and 1 - (w2 - w1) / pi at the centre, under a Hamming window.
    """
    edges_hz = np.stack(
        [notches.centre_hz - notches.width_hz / 2, notches.centre_hz + notches.width_hz / 2]
    )
    nyquist = notches.sample_rate / 2
    low, high = edges_hz
    low = np.where(low <= 0, EDGE_HZ, low)
    high = np.where(high >= nyquist, nyquist - EDGE_HZ, high)
    halves = (notches.taps // 2)[..., None]  # (F, N, 1)
    distance = np.arange(halves.max() + 1)
    omega = np.pi / nyquist * np.stack([low, high])[..., None]  # (2, F, N, 1), radians a sample
    sines = np.sin(omega * distance)
    with np.errstate(invalid="ignore", divide="ignore"):
        ideal = (sines[0] - sines[1]) / (np.pi * distance)
        window = 0.54 + 0.46 * np.cos(np.pi * distance / halves)
    ideal[..., 0] = 1 - (high - low) / nyquist
    window[..., 0] = 1
    return np.where(distance <= halves, ideal * window, 0.0)


def amplitudes(notches: Notches, size: int) -> np.ndarray:
    """Real zero-phase responses (F, size // 2 + 1) of the cascades at 2 pi k / size.

    Each filter is positive at 0 Hz (there the published design scales it to 1; the size of that
    scale cancels in the next step, its sign does not); each cascade's largest gain on the grid
    pi k / 512, k < 512, is `gain_db`.
    """
    halves = half_filters(notches)
    longest = halves.shape[-1]
    table = cosines(-(-longest // 64) * 64, size)  # rounded up: one cached table for many draws
    single = halves @ table[:longest]
    single = np.where(single[..., :1] < 0, -single, single)
    cascade = single.prod(axis=1)
    on_grid = cascade[:, : size // 2 : size // 2 // GRID]
    scale = 10 ** (notches.gain_db / 20) / np.abs(on_grid).max(axis=1)
    return cascade * scale[:, None]


def filter_powers(waveform: np.ndarray, notches: Notches) -> np.ndarray:
    """Sum over f of cascade f applied to waveform ** (f + 1); (T,) -> (T,) of the same dtype.

    The published code drops (L + 1) / 2 samples of an L-tap filter's output, one more than its
    delay: the output here too is one sample ahead of the input.
    """
    reach = notches.reach
    size = block_size(reach)
    hop = size - 2 * reach
    blocks = -(-waveform.size // hop)
    padded = np.zeros(blocks * hop + 2 * reach, waveform.dtype)
    padded[reach - 1 : reach - 1 + waveform.size] = waveform
    windows = np.lib.stride_tricks.sliding_window_view(padded, size)[::hop]  # (blocks, size)
    responses = amplitudes(notches, size).astype(waveform.dtype)
    filtered = np.empty((blocks, hop), waveform.dtype)
    for first in range(0, blocks, GROUP):
        group = slice(first, first + GROUP)
        filtered[group] = _filter_frames(windows[group], responses)[:, reach : reach + hop]
    return filtered.reshape(-1)[: waveform.size]


def _filter_frames(frames: np.ndarray, responses: np.ndarray) -> np.ndarray:
    """Circular form of `filter_powers` on each row of (blocks, size); in place where it can be."""
    frames = np.ascontiguousarray(frames)
    power = frames.copy()
    spectrum = fft.rfft(power) * responses[0]
    for response in responses[1:]:
        power *= frames
        term = fft.rfft(power)
        term *= response
        spectrum += term
    return fft.irfft(spectrum, frames.shape[-1], overwrite_x=True)

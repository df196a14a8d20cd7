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
        return max(1, int((self.taps // 2).sum(axis=-1).max()))


def block_size(reach: int) -> int:
    """FFT length for cascades that see `reach` samples either side: under half of it is overlap."""
    size = BLOCK
    while size < 4 * reach:
        size *= 2
    return size


def rounded(rows: int) -> int:
    """Up to a multiple of 64, so that one cached table serves many draws."""
    return -(-rows // 64) * 64


@lru_cache(maxsize=8)
def cosines(rows: int, size: int) -> np.ndarray:
    """Matrix (rows, size // 2 + 1) that turns a symmetric filter's half into its amplitude.

    Row 0 is 1 (the centre tap), row j is 2 cos(2 pi j k / size) (the two taps at distance j).
    """
    table = 2 * np.cos(2 * np.pi / size * np.outer(np.arange(rows), np.arange(size // 2 + 1)))
    table[0] = 1
    return table


@lru_cache(maxsize=8)
def windows(rows: int) -> np.ndarray:
    """(rows, rows): row m is the right half of a Hamming window of 2 m + 1 taps over pi j.

    Column j is the distance from the centre, where the division is left out; zero beyond m.
    """
    half, distance = np.ogrid[:rows, :rows]
    window = 0.54 + 0.46 * np.cos(np.pi * distance / np.maximum(half, 1))
    window[:, 1:] /= np.pi * distance[:, 1:]
    window[:, 0] = 1
    return np.where(distance <= half, window, 0)


def half_filters(notches: Notches) -> np.ndarray:
    """Taps of each filter from its centre outwards, (F, N, longest half + 1).

    The ideal band-stop response is the unit pulse less the ideal band-pass, i.e. for distance j > 0
    (sin(w1 j) - sin(w2 j)) / (pi j) and 1 - (w2 - w1) / pi at the centre, under a Hamming window.
    """
    nyquist = notches.sample_rate / 2
    low = notches.centre_hz - notches.width_hz / 2
    high = notches.centre_hz + notches.width_hz / 2
    low[low <= 0] = EDGE_HZ
    high[high >= nyquist] = nyquist - EDGE_HZ
    halves = notches.taps // 2
    longest = int(halves.max())
    turns = np.pi / nyquist * np.arange(longest + 1)  # radians at distance j for 1 Hz
    filters = np.sin(low[..., None] * turns) - np.sin(high[..., None] * turns)
    filters[..., 0] = 1 - (high - low) / nyquist
    filters *= windows(rounded(longest + 1))[halves, : longest + 1]
    return filters


def amplitudes(notches: Notches, size: int) -> np.ndarray:
    """Real zero-phase responses (F, size // 2 + 1) of the cascades at 2 pi k / size.

    Each filter is positive at 0 Hz (there the published design scales it to 1; the size of that
    scale cancels in the next step, its sign does not); each cascade's largest gain on the grid
    pi k / 512, k < 512, is `gain_db`.
    """
    halves = half_filters(notches)
    bank, longest = halves.shape[:2], halves.shape[-1]
    table = cosines(rounded(longest), size)[:longest]
    single = (halves.reshape(-1, longest) @ table).reshape(*bank, -1)
    cascade = single.prod(axis=1)
    cascade *= np.sign(single[..., 0]).prod(axis=1, keepdims=True)
    on_grid = cascade[:, : size // 2 : size // 2 // GRID]
    scale = 10 ** (notches.gain_db / 20) / np.abs(on_grid).max(axis=1)
    cascade *= scale[:, None]
    return cascade


def filter_powers(waveform: np.ndarray, notches: Notches) -> np.ndarray:
    """Sum over f of cascade f applied to waveform ** (f + 1); (T,) -> (T,) of the same dtype.

    The published code drops (L + 1) / 2 samples of an L-tap filter's output, one more than its
    delay: the output here too is one sample ahead of the input.
    """
    reach = notches.reach
    size = block_size(reach)
    hop = size - 2 * reach
    blocks = -(-waveform.size // hop)
    padded = np.zeros((blocks + 1) * hop, waveform.dtype)
    padded[reach - 1 : reach - 1 + waveform.size] = waveform
    rows = padded.reshape(blocks + 1, hop)
    responses = amplitudes(notches, size).astype(waveform.dtype)
    filtered = np.empty((blocks, hop), waveform.dtype)
    for first in range(0, blocks, GROUP):
        last = min(first + GROUP, blocks)
        frames = np.empty((last - first, size), waveform.dtype)
        frames[:, :hop] = rows[first:last]
        frames[:, hop:] = rows[first + 1 : last + 1, : 2 * reach]
        filtered[first:last] = _filter_frames(frames, responses)[:, reach : reach + hop]
    return filtered.reshape(-1)[: waveform.size]


def _filter_frames(frames: np.ndarray, responses: np.ndarray) -> np.ndarray:
    """Circular form of `filter_powers` on each row of (blocks, size)."""
    power = frames
    spectrum = fft.rfft(power)
    spectrum *= responses[0]
    for response in responses[1:]:
        power = power * frames
        term = fft.rfft(power)
        term *= response
        spectrum += term
    return fft.irfft(spectrum, frames.shape[-1], overwrite_x=True)

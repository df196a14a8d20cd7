"""Resampling to 16 kHz: torchaudio.functional.resample's filter, its kernels computed once."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterable, Iterator
from functools import lru_cache

import numpy as np
import torch

from dataio.schema import SAMPLE_RATE

LOWPASS_WIDTH, ROLLOFF = 6, 0.99  # torchaudio.functional.resample's defaults; the window is Hann
_AT_ONCE = 1 << 20  # samples resampled together
_MAX_KERNEL = 1 << 24  # weights; rates that share few factors with 16,000 need more (44,101: 7e8)


def filter_shape(sample_rate: int) -> tuple[int, int, int]:
    """`(up, down, width)`: `down` samples become `up`, each seeing `width` samples either side."""
    common = math.gcd(sample_rate, SAMPLE_RATE)
    up, down = SAMPLE_RATE // common, sample_rate // common
    return up, down, math.ceil(LOWPASS_WIDTH * down / (min(up, down) * ROLLOFF))


def resample(waveform: np.ndarray, sample_rate: int) -> np.ndarray:
    """(T,) float32 at `sample_rate` Hz to (ceil(T * 16000 / sample_rate),) at 16 kHz."""
    if sample_rate == SAMPLE_RATE or len(waveform) == 0:
        return waveform
    up, down, width = filter_shape(sample_rate)
    if up * (2 * width + down) > _MAX_KERNEL:
        return _resample_pointwise(waveform, up, down, width)
    with _one_thread():
        return _resampler(sample_rate)(torch.from_numpy(waveform)).numpy()


def resample_blocks(
    blocks: Iterable[np.ndarray], sample_rate: int, at_once: int | None = None
) -> Iterator[np.ndarray]:
    """As `resample` of the blocks (T,) put together, `at_once` samples (a million) and more a time.

    An output block of `up` samples needs `width` inputs past either side of its `down` inputs.
    No piece, the last one neither, is short: torch takes another convolution for those, and the
    last bits would tell.
    """
    at_once = _AT_ONCE if at_once is None else at_once
    up, down, width = filter_shape(sample_rate)
    margin = math.ceil(width / down) * down
    held: list[np.ndarray] = []
    length = done = 0  # samples held; those of them, from the first on, whose output has been given
    for block in blocks:
        held.append(block)
        length += len(block)
        if length < 2 * at_once + 2 * margin + down:
            continue
        together, ready = np.concatenate(held), (length - at_once - margin) // down * down
        yield resample(together, sample_rate)[done // down * up : ready // down * up]
        held, length, done = [together[ready - margin :]], length - ready + margin, margin
    if held:
        together = np.concatenate(held) if len(held) > 1 else held[0]
        yield resample(together, sample_rate)[done // down * up :]


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """Torch picks its convolution, and so the last bit, by the number of threads it may use: a
    file has to be the same in the main process and in a loader worker, which has one.
    """
    threads = torch.get_num_threads()
    if threads == 1:
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@lru_cache(maxsize=16)
def _resampler(sample_rate: int):
    from torchaudio.transforms import Resample

    # With a dtype the kernel is the one torchaudio.functional.resample computes at every call.
    return Resample(
        sample_rate,
        SAMPLE_RATE,
        lowpass_filter_width=LOWPASS_WIDTH,
        rolloff=ROLLOFF,
        dtype=torch.float32,
    )


def _resample_pointwise(waveform: np.ndarray, up: int, down: int, width: int) -> np.ndarray:
    """The same filter, its weights computed where they are used and only where they are not zero.

    y[j] = sum_i x[i] h(j down / up - i) with h the Hann-windowed sinc of torchaudio.
    """
    length = math.ceil(len(waveform) * up / down)
    cutoff = min(up, down) * ROLLOFF / down  # zero crossings an input sample
    padded = np.pad(waveform.astype(np.float64), (width, width + 1))
    taps = np.arange(-width, width + 2)
    output = np.empty(length, dtype=np.float32)
    for begin in range(0, length, SAMPLE_RATE):
        steps = np.arange(begin, min(begin + SAMPLE_RATE, length))
        nearest, remainder = np.divmod(steps * down, up)  # exact in integers
        distance = (remainder[:, None] / up - taps) * cutoff  # (n, taps), in zero crossings
        distance = distance.clip(-LOWPASS_WIDTH, LOWPASS_WIDTH)
        window = np.cos(distance * (np.pi / 2 / LOWPASS_WIDTH)) ** 2
        weights = np.sinc(distance) * window * cutoff
        output[steps] = (padded[nearest[:, None] + (taps + width)] * weights).sum(axis=1)
    return output

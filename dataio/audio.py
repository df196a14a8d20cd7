"""A file, or the needed piece of it, as a mono 16 kHz waveform.

Order of the recipe: mono by channel mean, then resampling. A piece is read by seeking, with enough
samples on both sides that it equals the same piece of the whole file, resampled.
"""

from __future__ import annotations

import math
import os

import numpy as np

from dataio.probe import AudioHeader, UnreadableAudio, probe
from dataio.reading import read_native
from dataio.resampling import filter_shape, resample
from dataio.schema import SAMPLE_RATE


def load_waveform(
    path: str | os.PathLike,
    *,
    start_seconds: float = 0.0,
    max_seconds: float | None = None,
    header: AudioHeader | None = None,
) -> np.ndarray:
    """Samples (T,) float32, mono, 16 kHz, of at most `max_seconds` from `start_seconds` on.

    The piece's borders are the nearest samples at 16 kHz. `header` saves a second look where the
    caller has probed. Raises `UnreadableAudio` for a file that is missing, unreadable, empty,
    broken off, not finite, or that ends before the piece begins.
    """
    path = os.fspath(path)
    header = header or probe(path)
    total = math.ceil(header.frames * SAMPLE_RATE / header.sample_rate)
    start = round(start_seconds * SAMPLE_RATE)
    stop = total if max_seconds is None else min(total, start + round(max_seconds * SAMPLE_RATE))
    if start >= total:
        raise UnreadableAudio(path, f"it ends before {start_seconds:.2f} s")
    if header.sample_rate == SAMPLE_RATE:
        waveform = read_native(path, header, start, stop)
    else:
        waveform = _read_resampled(path, header, start, stop)
    if len(waveform) == 0:
        raise UnreadableAudio(path, "it holds no audio")
    if not np.isfinite(waveform).all():
        raise UnreadableAudio(path, "it holds samples that are not finite")
    return waveform


def _read_resampled(path: str, header: AudioHeader, start: int, stop: int) -> np.ndarray:
    """Samples [start, stop) of the file at 16 kHz.

    The filter maps blocks of `down` input samples to blocks of `up` output samples, and looks
    `width` input samples past either side of its block; reading begins at a block's border.
    """
    up, down, width = filter_shape(header.sample_rate)
    margin = math.ceil(width / down)  # blocks
    first_block = max(0, start // up - margin)
    last_block = math.ceil(stop / up) + margin
    native = read_native(path, header, first_block * down, min(header.frames, last_block * down))
    skip = start - first_block * up
    return resample(native, header.sample_rate)[skip : skip + stop - start]

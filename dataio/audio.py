"""A file, or the needed piece of it, as a mono 16 kHz waveform.

Order of the recipe: mono by channel mean, then resampling. A piece is read by seeking, with enough
samples on both sides that it equals the same piece of the whole file, resampled.
"""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Iterator

import numpy as np

from dataio.audio_file import AudioHeader, Faults, UnreadableAudio
from dataio.probe import probe
from dataio.reading import Reading, read_native
from dataio.resampling import filter_shape, resample_blocks
from dataio.schema import SAMPLE_RATE

logger = logging.getLogger(__name__)


def load_waveform(path: str | os.PathLike, **options) -> np.ndarray:
    """The waveform of `read_audio`, whose options it takes; the file's faults go to the log."""
    reading = read_audio(path, **options)
    for fault in reading.faults:
        logger.warning("%s: %s", os.fspath(path), fault)
    return reading.waveform


def read_audio(
    path: str | os.PathLike,
    *,
    start_seconds: float = 0.0,
    max_seconds: float | None = None,
    header: AudioHeader | None = None,
    channel: int | None = None,
) -> Reading:
    """Samples (T,) float32, mono, 16 kHz, of at most `max_seconds` from `start_seconds` on.

    The piece's borders are the nearest samples at 16 kHz. `header` saves a second look where the
    caller has probed; `channel` (from 0) takes one instead of all channels' mean. A file that
    breaks off, or of which a stretch does not decode (it is left silent), says so in `faults`.
    Raises `UnreadableAudio` for a file that is missing, unreadable, empty, for the most part
    damaged, not finite, or that ends before the piece begins.
    """
    path = os.fspath(path)
    header, faults = header or probe(path), Faults()
    total = math.ceil(header.frames * SAMPLE_RATE / header.sample_rate)
    start = round(start_seconds * SAMPLE_RATE)
    stop = total if max_seconds is None else min(total, start + round(max_seconds * SAMPLE_RATE))
    if start >= total:
        raise UnreadableAudio(path, f"it ends before {start_seconds:.2f} s")
    pieces = _pieces(path, header, start, stop, channel, faults)
    waveform = _together(path, pieces, stop - start)
    if len(waveform) == 0:
        raise UnreadableAudio(path, "it holds no audio")
    _refuse_infinite(path, waveform)
    return Reading(waveform, faults.all())


def stream_audio(
    path: str | os.PathLike, header: AudioHeader, *, faults: Faults, channel: int | None = None
) -> Iterator[np.ndarray]:
    """The samples of `read_audio` as they are decoded: (T,) each, for files of any length.

    What it raises is raised when it is come upon; `faults` is complete at the end.
    """
    path = os.fspath(path)
    total = math.ceil(header.frames * SAMPLE_RATE / header.sample_rate)
    left = total
    for piece in _pieces(path, header, 0, total, channel, faults):
        piece = piece[:left]
        _refuse_infinite(path, piece)
        yield piece
        left -= len(piece)
    if left == total:
        raise UnreadableAudio(path, "it holds no audio")


def _together(path: str, pieces: Iterator[np.ndarray], length: int) -> np.ndarray:
    """Pieces (T,) as one of at most `length` samples, so that no sample is held twice."""
    first = next(pieces, np.zeros(0, np.float32))
    if len(first) >= length:
        return first[:length]
    try:
        waveform = np.empty(length, np.float32)
    except MemoryError as error:  # of the length that the header states
        reason = f"no memory for the {length / SAMPLE_RATE:.0f} s its header states"
        raise UnreadableAudio(path, reason) from error
    waveform[: len(first)], at = first, len(first)
    for piece in pieces:
        piece = piece[: length - at]
        waveform[at : at + len(piece)] = piece
        at += len(piece)
    return waveform[:at]


def _pieces(path, header, start, stop, channel, faults) -> Iterator[np.ndarray]:
    """Samples [start, stop) of the file at 16 kHz, and perhaps some behind them."""
    reader = _read_plain if header.sample_rate == SAMPLE_RATE else _read_resampled
    return reader(path, header, start, stop, channel, faults)


def _refuse_infinite(path: str, samples: np.ndarray) -> None:
    if not np.isfinite(samples).all():
        raise UnreadableAudio(path, "it holds samples that are not finite")


def _read_plain(path, header, start, stop, channel, faults) -> Iterator[np.ndarray]:
    return read_native(path, header, start, stop, channel=channel, faults=faults)


def _read_resampled(path, header, start, stop, channel, faults) -> Iterator[np.ndarray]:
    """Samples [start, stop) of the file at 16 kHz.

    The filter maps blocks of `down` input samples to blocks of `up` output samples, and looks
    `width` input samples past either side of its block; reading begins at a block's border.
    """
    up, down, width = filter_shape(header.sample_rate)
    margin = math.ceil(width / down)  # blocks
    first_block = max(0, start // up - margin)
    last_block = math.ceil(stop / up) + margin
    end = min(header.frames, last_block * down)
    native = read_native(path, header, first_block * down, end, channel=channel, faults=faults)
    skip = start - first_block * up
    for piece in resample_blocks(native, header.sample_rate):
        dropped, skip = min(skip, len(piece)), skip - min(skip, len(piece))
        yield piece[dropped:]

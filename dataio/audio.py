"""A file, or the needed piece of it, as a mono 16 kHz waveform.

Order of the recipe: mono by channel mean, then resampling. A piece is read by seeking, with enough
samples on both sides that it equals the same piece of the whole file, resampled.
"""

from __future__ import annotations

import math
import os
from functools import lru_cache

import numpy as np
import soundfile
import torch

from dataio.probe import (
    FFMPEG_SEEK,
    SOUNDFILE,
    AudioHeader,
    UnreadableAudio,
    decoded_frames,
    open_ffmpeg,
    probe,
)
from protocols.schema import SAMPLE_RATE

LOWPASS_WIDTH, ROLLOFF = 6, 0.99  # torchaudio.functional.resample's defaults; the window is Hann
_PREROLL_SECONDS = 0.5  # decoded and dropped before a piece: codecs carry state between frames
_SLACK_SECONDS = 0.05  # a decoded length may differ from the stated one by this much
_MAX_KERNEL = 1 << 24  # weights; rates that share few factors with 16,000 need more (44,101: 7e8)


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
    return _resampler(sample_rate)(torch.from_numpy(waveform)).numpy()


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


def read_native(path: str, header: AudioHeader, start: int, stop: int) -> np.ndarray:
    """Channel mean (T,) float32 of the samples [start, stop) at the file's own rate.

    Raises `UnreadableAudio` where the file breaks off before `stop`.
    """
    if header.reader == SOUNDFILE:
        waveform = _read_soundfile(path, start, stop)
    else:
        can_seek = header.reader == FFMPEG_SEEK
        waveform = _read_ffmpeg(path, start, stop, rate=header.sample_rate, can_seek=can_seek)
    missing = stop - start - len(waveform)
    if missing > _SLACK_SECONDS * header.sample_rate:
        got = (start + len(waveform)) / header.sample_rate
        reason = f"it breaks off at {got:.2f} s, its header states {header.seconds:.2f} s"
        raise UnreadableAudio(path, reason)
    return waveform


def _read_soundfile(path: str, start: int, stop: int) -> np.ndarray:
    try:
        with soundfile.SoundFile(path) as sound:
            if start:
                sound.seek(start)
            samples = sound.read(stop - start, dtype="float32")  # (T,) or (T, C)
    except soundfile.LibsndfileError as error:
        raise UnreadableAudio(path, f"it does not decode ({error})") from error
    return samples if samples.ndim == 1 else samples.mean(axis=1)


def _read_ffmpeg(path: str, start: int, stop: int, *, rate: int, can_seek: bool) -> np.ndarray:
    import av

    pieces: list[np.ndarray] = []
    container, stream = open_ffmpeg(path)
    with container:
        try:
            for position, samples in _decode_from(container, stream, start, rate, can_seek):
                if position >= stop:
                    break
                kept = samples[max(0, start - position) : stop - position]
                if len(kept):
                    pieces.append(kept)
                if position + len(samples) >= stop:
                    break
        except av.error.FFmpegError as error:
            raise UnreadableAudio(path, f"it does not decode ({error.strerror})") from error
    return np.concatenate(pieces) if pieces else np.zeros(0, np.float32)


def _decode_from(container, stream, start: int, rate: int, can_seek: bool):
    """Yields (position, mono samples) from `start` or before; positions in samples of the file.

    After a seek the position comes from the time stamp of the first frame; it then counts on,
    since the time stamps of some containers are rounded to milliseconds.
    """
    origin = stream.start_time or 0
    target = start - round(_PREROLL_SECONDS * rate)
    position = 0
    if can_seek and target > 0:
        container.seek(origin + int(target / rate / stream.time_base), stream=stream)
        position = None
    for frame in decoded_frames(container, stream):
        if position is None:
            position = round((frame.pts - origin) * stream.time_base * rate)
        samples = _frame_mono(frame)
        yield position, samples
        position += len(samples)


def _frame_mono(frame) -> np.ndarray:
    """A decoded PyAV frame as the channel mean (T,) float32, integers scaled to [-1, 1)."""
    samples = frame.to_ndarray()  # (C, T) planar, (1, T * C) packed
    if not frame.format.is_planar:
        samples = samples.reshape(-1, frame.layout.nb_channels).T
    if samples.dtype == np.uint8:
        samples = (samples.astype(np.float32) - 128) / 128
    elif samples.dtype.kind == "i":
        samples = samples.astype(np.float32) / -float(np.iinfo(samples.dtype).min)
    return samples.astype(np.float32, copy=False).mean(axis=0)

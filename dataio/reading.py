"""Samples [start, stop) of a file at its own rate, by the reader that is exact for its kind."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
import soundfile

from dataio.mpeg_audio import mp3_layout
from dataio.probe import (
    FFMPEG,
    FFMPEG_SEEK,
    MP3,
    MP3_FROM_START,
    SOUNDFILE,
    AudioHeader,
    UnreadableAudio,
    decoded_frames,
    open_ffmpeg,
    open_soundfile,
)

# Decoded and dropped before a piece: codecs carry state from frame to frame.
_PREROLL_SECONDS = 0.5
# libsndfile seeks wrongly in the last page of a Vorbis stream (off by what its end is trimmed by);
# a page seldom holds more than a second, so reading begins at least this long before the end.
_OGG_TAIL_SECONDS = 5.0
_SLACK_SECONDS = 0.05  # a decoded length may differ from the stated one by this much


def read_native(path: str, header: AudioHeader, start: int, stop: int) -> np.ndarray:
    """Channel mean (T,) float32 of the samples [start, stop) at the file's own rate.

    Raises `UnreadableAudio` where the file does not decode or breaks off before `stop`.
    """
    waveform = _READERS[header.reader](path, start, stop, header.sample_rate)
    missing = stop - start - len(waveform)
    if missing > _SLACK_SECONDS * header.sample_rate:
        got = (start + len(waveform)) / header.sample_rate
        reason = f"it breaks off at {got:.2f} s, its header states {header.seconds:.2f} s"
        raise UnreadableAudio(path, reason)
    return waveform


def _read_soundfile(path: str, start: int, stop: int, rate: int) -> np.ndarray:
    try:
        with open_soundfile(path) as sound:
            begin = start
            if sound.format == "OGG":
                latest = sound.frames - _OGG_TAIL_SECONDS * rate
                begin = max(0, round(min(start - _PREROLL_SECONDS * rate, latest)))
            if begin:
                sound.seek(begin)
            samples = sound.read(stop - begin, dtype="float32")[start - begin :]  # (T,) or (T, C)
    except soundfile.LibsndfileError as error:
        raise UnreadableAudio(path, f"it does not decode ({error})") from error
    except MemoryError as error:  # of the length that the header states
        reason = f"no memory for the {(stop - start) / rate:.0f} s its header states"
        raise UnreadableAudio(path, reason) from error
    return samples if samples.ndim == 1 else channel_mean(samples.T)


def _read_ffmpeg(
    path: str, start: int, stop: int, rate: int, *, is_mp3: bool = False, can_seek: bool = False
) -> np.ndarray:
    first_byte = 0
    if is_mp3:
        layout = mp3_layout(path, measure=False)
        first_byte, start, stop = layout.first_byte, start + layout.skip, stop + layout.skip
    opened = open_ffmpeg(path, first_byte)
    return _read_opened(path, opened, start, stop, seek_at=rate if can_seek else None)


_READERS = {
    SOUNDFILE: _read_soundfile,
    MP3: partial(_read_ffmpeg, is_mp3=True, can_seek=True),
    MP3_FROM_START: partial(_read_ffmpeg, is_mp3=True),
    FFMPEG_SEEK: partial(_read_ffmpeg, can_seek=True),
    FFMPEG: _read_ffmpeg,
}


def _read_opened(
    path: str, opened: tuple, start: int, stop: int, *, seek_at: int | None = None
) -> np.ndarray:
    """Samples [start, stop) of an open `(container, stream)`, which is closed.

    seek_at: the sample rate, for a container that seeks exactly; None reads from its start.
    """
    import av

    container, stream = opened
    pieces: list[np.ndarray] = []
    with container:
        try:
            begin = 0 if seek_at is None else _seek(container, stream, start, seek_at)
            for position, samples in _positioned(container, stream, begin, seek_at):
                kept = samples[max(0, start - position) : max(0, stop - position)]
                if len(kept):
                    pieces.append(kept)
                if position + len(samples) >= stop:
                    break
        except (av.error.FFmpegError, ValueError) as error:  # ValueError: 64-bit integers
            words = getattr(error, "strerror", None) or error
            raise UnreadableAudio(path, f"it does not decode ({words})") from error
    return np.concatenate(pieces) if pieces else np.zeros(0, np.float32)


def _seek(container, stream, start: int, rate: int) -> int | None:
    """Goes to shortly before sample `start`; None: the first frame's time stamp tells where to."""
    target = start - round(_PREROLL_SECONDS * rate)
    if target <= 0:
        return 0
    offset = int(target / rate / stream.time_base)
    container.seek((stream.start_time or 0) + offset, stream=stream)
    return None


def _positioned(
    container, stream, position: int | None, rate: int | None
) -> Iterator[tuple[int, np.ndarray]]:
    """Yields (position in samples, mono samples (T,)) of the frames from here on.

    Positions are counted on from the first, as containers may round time stamps.
    """
    for frame in decoded_frames(container, stream):
        if position is None:
            since_start = frame.pts - (stream.start_time or 0)
            position = round(since_start * stream.time_base * rate)
        samples = _mono(frame)
        yield position, samples
        position += len(samples)


def _mono(frame) -> np.ndarray:
    """A decoded PyAV frame as the channel mean (T,) float32, integers scaled to [-1, 1)."""
    samples = frame.to_ndarray()  # (C, T) planar, (1, T * C) packed
    if not frame.format.is_planar:
        samples = samples.reshape(-1, frame.layout.nb_channels).T
    if samples.dtype == np.uint8:
        samples = (samples.astype(np.float32) - 128) / 128
    elif samples.dtype.kind == "i":
        samples = samples.astype(np.float32) / -float(np.iinfo(samples.dtype).min)
    return channel_mean(samples.astype(np.float32, copy=False))


def channel_mean(samples: np.ndarray) -> np.ndarray:
    """(C, T) to (T,). Channel by channel: numpy's mean is 30 times slower on interleaved stereo."""
    if len(samples) == 1:
        return samples[0]
    total = samples[0] + samples[1]
    for channel in samples[2:]:
        total += channel
    return total / np.float32(len(samples))

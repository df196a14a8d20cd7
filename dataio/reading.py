"""The samples of a file at its own rate, as they are decoded: one way for all who read audio.

A piece [start, stop) is read by the reader that is exact for the file's kind, in blocks. What does
not decode is left silent and named, with its second; what is behind it is read all the same.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from mmap import ACCESS_READ, mmap
from typing import NamedTuple

import numpy as np
import soundfile

from dataio import ogg
from dataio.audio_file import (
    AudioHeader,
    Fault,
    Faults,
    Part,
    PartOfFile,
    UnreadableAudio,
    joined_words,
    truncated,
)  # fmt: skip
from dataio.ffmpeg import decoded, open_ffmpeg
from dataio.mpeg_audio import mp3_layout, skip_id3
from dataio.probe import (
    FFMPEG,
    FFMPEG_SEEK,
    MP3,
    MP3_FROM_START,
    OGG,
    SLACK_SECONDS,
    SOUNDFILE,
    open_soundfile,
)  # fmt: skip

# Decoded and dropped before a piece: codecs carry state from frame to frame.
_PREROLL_SECONDS = 0.5
# libsndfile seeks wrongly in the last page of a Vorbis stream (off by what its end is trimmed by);
# a page seldom holds more than a second, so reading begins at least this long before the end.
_OGG_TAIL_SECONDS = 5.0
_BLOCK_SAMPLES = 1 << 21  # of all channels; most files are one block
_FRAMES_A_BLOCK = 64  # of FFmpeg's, which hold some hundred samples each
_BUFFERED_BYTES, _SEARCHED_BYTES = 1 << 14, 1 << 20  # before and behind where a second may begin
_STEP_SAMPLES = 1 << 10  # in which the edges of damage are sought
_PLAIN_STEPS = 64  # of it, before they double
_MOST_STRETCHES = 100  # of damage, behind which a file is taken to end

Blocks = Iterator[np.ndarray]  # (C, T) float32 in [-1, 1]


class Reading(NamedTuple):
    """Samples (T,) float32, and what is wrong with the file that they come from."""

    waveform: np.ndarray
    faults: tuple[Fault, ...] = ()


def blocks(
    path: str, header: AudioHeader, start: int = 0, stop: int | None = None, *, faults: Faults
) -> Blocks:
    """Yields (C, T) float32: the samples [start, stop) at the file's own rate, in order.

    They end early where the file does; `faults` then holds the second. Raises `UnreadableAudio`
    for a file of which nothing decodes, or less than half of what was asked for.
    """
    stop = header.frames if stop is None else stop
    for fault in header.faults:
        faults.add(fault)
    at, rate, before = start, header.sample_rate, faults.damaged_seconds
    for block in _READERS[header.reader](path, header, start, stop, faults):
        block = block[:, : stop - at]
        if block.shape[1]:
            yield block
        at += block.shape[1]
        if at >= stop:
            break
    if stop - at > SLACK_SECONDS * rate:
        faults.add(truncated(at / rate, header.seconds))
        if at == start:
            raise UnreadableAudio(path, str(truncated(at / rate, header.seconds)))
    if 2 * (faults.damaged_seconds - before) * rate > at - start:
        raise UnreadableAudio(path, "most of it does not decode")


def read_native(
    path: str,
    header: AudioHeader,
    start: int,
    stop: int,
    *,
    faults: Faults,
    channel: int | None = None,
) -> Iterator[np.ndarray]:
    """Yields (T,) float32 of the samples [start, stop): of a channel, or for None of their mean."""
    for block in blocks(path, header, start, stop, faults=faults):
        yield channel_mean(block) if channel is None else block[min(channel, len(block) - 1)]


def channel_mean(samples: np.ndarray) -> np.ndarray:
    """(C, T) to (T,). Channel by channel: numpy's mean is 30 times slower on interleaved stereo."""
    if len(samples) == 1:
        return samples[0]
    total = samples[0] + samples[1]
    for channel in samples[2:]:
        total += channel
    return total / np.float32(len(samples))


# --- libsndfile -----------------------------------------------------------------------------------


def _soundfile_blocks(
    path: str, header: AudioHeader, start: int, stop: int, faults: Faults
) -> Blocks:
    for part, first, begin, end in _within_parts(header, start, stop):
        at = begin
        try:
            with _open_at(path, part, begin, by_number=header.encoding == "FLAC") as sound:
                for block in _read_on(sound, end - at):
                    at += block.shape[1]
                    if sound.format == "FLAC" and at == header.frames:
                        _refuse_second_flac(path, sound)
                    yield block
        except soundfile.LibsndfileError as error:
            yield from _past_damage(path, part, first, at, end, header, faults, error)


def _within_parts(
    header: AudioHeader, start: int, stop: int
) -> Iterator[tuple[Part | None, int, int, int]]:
    """(part, its first sample in the whole, [begin, end) in the part) of what is asked for."""
    first = 0
    for part in header.parts or (None,):
        frames = header.frames if part is None else part.frames
        begin, end = max(0, start - first), min(frames, stop - first)
        if begin < end:
            yield part, first, begin, end
        first += frames


def _open_at(path: str, part: Part | None, begin: int, *, by_number: bool) -> soundfile.SoundFile:
    """The file open at a sample, by a descriptor of its own if `by_number`; read up to there where
    the format (GSM 6.10) or libsndfile (FLAC behind a large tag) cannot seek.
    """
    sound = open_soundfile(path, part, by_number=by_number)
    if begin == 0:
        return sound
    seek_to = begin
    if sound.format == "OGG":
        rate = sound.samplerate
        latest = sound.frames - _OGG_TAIL_SECONDS * rate
        seek_to = max(0, round(min(begin - _PREROLL_SECONDS * rate, latest)))
    try:
        sound.seek(seek_to)
    except soundfile.LibsndfileError:
        sound.close()
        sound, seek_to = open_soundfile(path, part, by_number=by_number), 0
    for _ in _read_on(sound, begin - seek_to):
        pass
    return sound


def _read_on(sound: soundfile.SoundFile, count: int, size: int | None = None) -> Blocks:
    """The next `count` samples in blocks of `size`; fewer where they end."""
    size = size or max(1, _BLOCK_SAMPLES // sound.channels)
    while count > 0:
        try:
            samples = sound.read(min(count, size), dtype="float32")  # (T,) or (T, C)
        except ValueError:  # it stands behind its own end: frames were passed over
            return
        if len(samples) == 0:
            return
        yield samples[None] if samples.ndim == 1 else samples.T
        count -= len(samples)


def _past_damage(
    path: str,
    part: Part | None,
    first: int,
    at: int,
    end: int,
    header: AudioHeader,
    faults: Faults,
    error: soundfile.LibsndfileError,
) -> Blocks:
    """Reads on from `at`, where a block did not decode: up to the damage, and behind it again.

    `first`: the part's first sample in the whole. The damage's edges are sought on a grid, so that
    a piece has them where the whole has them; behind long damage the steps double.
    """
    rate, last = header.sample_rate, header.frames if part is None else part.frames
    for _ in range(_MOST_STRETCHES):
        for size in (_STEP_SAMPLES, _STEP_SAMPLES // 16):
            try:
                with _seek(path, part, at) as sound:
                    for count in (-at % size, end - at):  # to the grid, and along it
                        for block in _read_on(sound, min(count, end - at), size):
                            yield block
                            at += block.shape[1]
                return
            except soundfile.LibsndfileError:
                pass
        step, steps = _STEP_SAMPLES - at % _STEP_SAMPLES, 0
        while not _decodes_at(path, part, at + step):
            steps += 1
            step += _STEP_SAMPLES if steps < _PLAIN_STEPS else step
            if at + step >= last:
                if first + at == 0:
                    raise UnreadableAudio(path, f"it does not decode ({error})") from error
                return
        faults.damage((first + at) / rate, (first + at + step) / rate)
        yield np.zeros((header.channels, min(step, end - at)), np.float32)
        at += step
        if at >= end:
            return


def _seek(path: str, part: Part | None, at: int) -> soundfile.SoundFile:
    sound = open_soundfile(path, part)
    if at:
        sound.seek(at)
    return sound


def _decodes_at(path: str, part: Part | None, at: int) -> bool:
    try:
        with _seek(path, part, at) as sound:
            return len(sound.read(_STEP_SAMPLES)) > 0
    except soundfile.LibsndfileError:
        return False


def _refuse_second_flac(path: str, sound: soundfile.SoundFile) -> None:
    """Raises `UnreadableAudio` for joined FLAC files; libsndfile, open at the first's end by its
    descriptor, reads no further. It has taken a buffer's worth of bytes more at most.
    """
    end = os.lseek(sound.name, 0, os.SEEK_CUR)
    start = max(skip_id3(os.pread(sound.name, 16, 0)) + 1, end - _BUFFERED_BYTES)  # not its own
    data = os.pread(sound.name, end - start + _SEARCHED_BYTES, start)
    for mark in (b"fLaC\0\0\0\x22", b"fLaC\x80\0\0\x22"):  # STREAMINFO, 34 bytes long, follows
        if (at := data.find(mark)) >= 0:
            raise UnreadableAudio(path, joined_words(start + at))


def _ogg_blocks(path: str, header: AudioHeader, start: int, stop: int, faults: Faults) -> Blocks:
    """libsndfile's, but of damaged pages FFmpeg's: it tells by time stamps how long a gap is."""
    with open(path, "rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as data:
        bounds = header.parts or (Part(0, len(data), header.frames),)
        is_damaged = [ogg.damage(data, part.start, part.stop) for part in bounds]
    if not any(is_damaged):
        yield from _soundfile_blocks(path, header, start, stop, faults)
        return
    for part, first, begin, end in _within_parts(replace(header, parts=bounds), start, stop):
        opened = open_ffmpeg(path, source=PartOfFile(path, part))
        with opened[0]:
            found = decoded(
                path, opened, header.sample_rate, faults, position=first, since=start, by_time=True
            )
            yield from _cut(found, first + begin, first + end)


# --- FFmpeg ---------------------------------------------------------------------------------------


def _ffmpeg_blocks(
    path: str,
    header: AudioHeader,
    start: int,
    stop: int,
    faults: Faults,
    *,
    is_mp3: bool = False,
    can_seek: bool = False,
) -> Blocks:
    first_byte = 0
    if is_mp3:
        layout = mp3_layout(path, measure=False)
        first_byte, start, stop = layout.first_byte, start + layout.skip, stop + layout.skip
    container, stream = open_ffmpeg(path, first_byte)
    with container:
        position = _go_to(container, stream, start, header.sample_rate) if can_seek else 0
        opened, rate = (container, stream), header.sample_rate
        fills = not is_mp3 or can_seek
        found = decoded(path, opened, rate, faults, position=position, since=start, fills=fills)
        yield from _cut(found, start, stop)


def _cut(found: Iterator[tuple[int, np.ndarray]], start: int, stop: int) -> Blocks:
    """The samples [start, stop) of blocks that come with their positions, several together."""
    held: list[np.ndarray] = []
    for position, samples in found:
        if position < start or position + samples.shape[1] > stop:
            samples = samples[:, max(0, start - position) : max(0, stop - position)]
        if samples.shape[1]:
            if held and len(samples) != len(held[0]):  # mono and stereo files joined
                yield _side_by_side(held)
                held = []
            held.append(samples)
        if len(held) == _FRAMES_A_BLOCK:
            yield _side_by_side(held)
            held = []
        if position + samples.shape[1] >= stop:
            break
    if held:
        yield _side_by_side(held)


def _side_by_side(blocks: list[np.ndarray]) -> np.ndarray:
    return blocks[0] if len(blocks) == 1 else np.concatenate(blocks, axis=1)


def _go_to(container, stream, start: int, rate: int) -> int | None:
    """Goes to shortly before sample `start`; None: the first frame's time stamp tells where to."""
    import av

    target = start - round(_PREROLL_SECONDS * rate)
    if target <= 0:
        return 0
    offset = int(target / rate / stream.time_base)
    try:
        container.seek((stream.start_time or 0) + offset, stream=stream)
    except av.error.FFmpegError:  # a container without an index: read from the start, as it stands
        return 0
    return None


_READERS = {
    SOUNDFILE: _soundfile_blocks,
    OGG: _ogg_blocks,
    MP3: partial(_ffmpeg_blocks, is_mp3=True, can_seek=True),
    MP3_FROM_START: partial(_ffmpeg_blocks, is_mp3=True),
    FFMPEG_SEEK: partial(_ffmpeg_blocks, can_seek=True),
    FFMPEG: _ffmpeg_blocks,
}

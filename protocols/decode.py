"""Whole files at their own rate, block by block: for measuring, hashing and cutting. No torch."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from dataio.probe import (
    FFMPEG_SEEK,
    SOUNDFILE,
    AudioHeader,
    UnreadableAudio,
    decoded_frames,
    open_ffmpeg,
    open_soundfile,
    probe,
)  # fmt: skip

if TYPE_CHECKING:
    import numpy

BLOCK_FRAMES = 1 << 18


def audio_blocks(path: str, header: AudioHeader) -> Iterator[numpy.ndarray]:
    """Samples (T, C) float32 in [-1, 1], a few seconds at a time.

    Of m4a and mp4 what the container presents, as its header has it: the padding of the last
    frame, which FFmpeg's decoder leaves on, is cut off. Raises `UnreadableAudio` where the
    file does not decode.
    """
    if header.reader == SOUNDFILE:
        return _soundfile_blocks(path)
    blocks = _ffmpeg_blocks(path)
    return _first(header.frames, blocks) if header.reader == FFMPEG_SEEK else blocks


def _first(frames: int, blocks: Iterator[numpy.ndarray]) -> Iterator[numpy.ndarray]:
    for block in blocks:
        yield block[:frames]
        frames -= len(block)
        if frames <= 0:
            return


def _soundfile_blocks(path: str) -> Iterator[numpy.ndarray]:
    import soundfile

    try:
        with open_soundfile(path) as sound:
            while len(block := sound.read(BLOCK_FRAMES, dtype="float32", always_2d=True)):
                yield block
    except soundfile.LibsndfileError as error:
        raise UnreadableAudio(path, f"it does not decode ({error})") from error


def _ffmpeg_blocks(path: str) -> Iterator[numpy.ndarray]:
    import av
    import numpy

    container, stream = open_ffmpeg(path)
    with container:
        try:
            for frame in decoded_frames(container, stream):
                samples = frame.to_ndarray()  # (C, T) planar, (1, T * C) packed
                if not frame.format.is_planar:
                    samples = samples.reshape(-1, frame.layout.nb_channels).T
                if samples.dtype.kind == "i":
                    samples = samples / -float(numpy.iinfo(samples.dtype).min)
                elif samples.dtype.kind == "u":
                    samples = (samples.astype(numpy.float32) - 128) / 128
                yield samples.T.astype(numpy.float32)
        except (av.error.FFmpegError, ValueError) as error:  # ValueError: 64-bit integers
            words = getattr(error, "strerror", None) or error
            raise UnreadableAudio(path, f"it does not decode ({words})") from error


def content_hash(path: str) -> str:
    """BLAKE2 of the file's bytes; nothing for a file that cannot be read."""
    digest = hashlib.blake2b(digest_size=16)
    try:
        with open(path, "rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    except OSError:
        return ""
    return digest.hexdigest()


def audio_hash(path: str) -> str:
    """BLAKE2 of rate, channels and the samples as 16-bit integers: equal for a wav and its flac.

    Nothing for a file that cannot be read.
    """
    import numpy

    try:
        header = probe(path)
        digest = hashlib.blake2b(
            f"{header.sample_rate} {header.channels} ".encode(), digest_size=16
        )
        for block in audio_blocks(path, header):
            scaled = numpy.rint(numpy.nan_to_num(block) * 32768).clip(-32768, 32767)
            digest.update(scaled.astype("<i2").tobytes())
    except (UnreadableAudio, OSError, UnicodeEncodeError):
        return ""
    return digest.hexdigest()

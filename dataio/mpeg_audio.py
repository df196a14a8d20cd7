"""Counts the frames of an mp3 stream, for files whose own header does not tell the length.

libsndfile takes the length of a stream without a Xing, Info or VBRI header from its size and the
bit rate of its first frame. With a variable bit rate that is anything: a 60 s file was reported,
and read, as 24 s. So the frames are counted here; a frame's length follows from its 4-byte header
(ISO/IEC 11172-3, 2.4.2.3 and, for the half rates, 13818-3).
"""

from __future__ import annotations

import os
from mmap import ACCESS_READ, mmap
from typing import NamedTuple

# kbit/s by bit rate index 1..14, for layer III.
_KBITS_V1 = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_KBITS_V2 = (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_RATES = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}  # Hz
_LAYER_III = 1
_HEADER_BYTES = 4
_TAG_BYTES = 4096
_SEARCH_BYTES = 64 * 1024  # how far junk before the first frame may reach


class FrameHeader(NamedTuple):
    """One layer III frame: its size in bytes, samples a channel, rate in Hz and channels."""

    size: int
    samples: int
    sample_rate: int
    channels: int


def frame_table() -> dict[int, FrameHeader]:
    """Every valid layer III frame header, keyed by the bits that decide it.

    The key is `key_of(header bytes)`: version (2 bits), rate (2), bit rate (4), padding (1) and
    "is mono" (1). Free-format frames (bit rate index 0) have no computable size and are absent.
    """
    table = {}
    for version, rates in _RATES.items():
        samples, kbits = (1152, _KBITS_V1) if version == 3 else (576, _KBITS_V2)
        for rate_index, rate in enumerate(rates):
            for bit_index, rate_kbits in enumerate(kbits, start=1):
                for padding in (0, 1):
                    size = samples // 8 * rate_kbits * 1000 // rate + padding
                    for mono in (0, 1):
                        key = _key(version, rate_index, bit_index, padding, mono)
                        table[key] = FrameHeader(size, samples, rate, 2 - mono)
    return table


def _key(version: int, rate_index: int, bit_index: int, padding: int, mono: int) -> int:
    return version << 8 | rate_index << 6 | bit_index << 2 | padding << 1 | mono


def header_at(data: bytes | mmap, at: int) -> FrameHeader | None:
    """The layer III frame header at byte `at`, or None where there is none."""
    if at + _HEADER_BYTES > len(data) or data[at] != 0xFF or data[at + 1] & 0xE0 != 0xE0:
        return None
    if data[at + 1] >> 1 & 3 != _LAYER_III:
        return None
    version, third = data[at + 1] >> 3 & 3, data[at + 2]
    mono = data[at + 3] >> 6 == 3
    return _FRAMES.get(_key(version, third >> 2 & 3, third >> 4, third >> 1 & 1, mono))


_FRAMES = frame_table()


def skip_id3(data: bytes | mmap) -> int:
    """Where the bytes after the leading ID3v2 tags begin (0 without one)."""
    at = 0
    while data[at : at + 3] == b"ID3" and at + 10 <= len(data):
        size = 0
        for seven_bits in data[at + 6 : at + 10]:
            size = size << 7 | seven_bits & 0x7F
        at += 10 + size + (10 if data[at + 5] & 0x10 else 0)  # bit 4: a footer follows
    return at


def first_frame(data: bytes | mmap, at: int = 0) -> int | None:
    """The first byte at or after `at` where a frame begins that another one follows, or ends."""
    stop = min(len(data), at + _SEARCH_BYTES)
    while (at := data.find(b"\xff", at, stop)) >= 0:
        header = header_at(data, at)
        if header and (at + header.size >= len(data) or header_at(data, at + header.size)):
            return at
        at += 1
    return None


class InfoFrame(NamedTuple):
    """A Xing, Info or VBRI header: has it a frame count, and how many bytes does it speak of."""

    counts_frames: bool
    stated_bytes: int | None


def info_frame(data: bytes | mmap, at: int) -> InfoFrame | None:
    """What the frame at `at` says of the whole file, or None where it is an ordinary frame."""
    body = data[at : at + header_at(data, at).size]
    tag_at = max(body.find(b"Xing", 0, 64), body.find(b"Info", 0, 64))
    if tag_at >= 0:
        flags = int.from_bytes(body[tag_at + 4 : tag_at + 8], "big")
        bytes_at = tag_at + (12 if flags & 1 else 8)
        stated = int.from_bytes(body[bytes_at : bytes_at + 4], "big") if flags & 2 else None
        return InfoFrame(bool(flags & 1), stated)
    if body[36:40] == b"VBRI":
        return InfoFrame(True, int.from_bytes(body[46:50], "big"))
    return None


def count_samples(data: bytes | mmap, at: int) -> int | None:
    """Samples a channel from the frame at `at` to the end; None for what cannot be followed.

    Junk between frames (a tag, a spliced file) is searched over as a decoder does.
    """
    total = 0
    while at is not None and at < len(data):
        header = header_at(data, at)
        if header is None:
            at = first_frame(data, at)
            continue
        if at + header.size > len(data):  # a last frame cut short is not decoded
            break
        total += header.samples
        at += header.size
    return total or None


def mp3_length(path: str | os.PathLike) -> int | None:
    """Samples a channel of an mp3 file, counted.

    None if the length in its own header can be trusted, 0 if only decoding tells: a file cut short
    keeps the header of the whole, so the bytes it speaks of have to be there (and some 4 kB more at
    most, for a tag behind the audio), or the delay and padding it states are not to be had.
    """
    with open(path, "rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as data:
        start = first_frame(data, skip_id3(data))
        if start is None:
            return None
        info = info_frame(data, start)
        if info is None:
            return count_samples(data, start)
        missing = (info.stated_bytes or len(data) - start) - (len(data) - start)
        is_borne_out = -_TAG_BYTES <= missing <= header_at(data, start).size
        return None if info.counts_frames and is_borne_out else 0

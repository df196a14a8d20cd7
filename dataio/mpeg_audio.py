"""Where the audio of an mp3 file begins and how long it is, to the sample.

libsndfile takes the length of a stream without a Xing, Info or VBRI header from its size and the
bit rate of its first frame. With a variable bit rate that is anything: a 60 s file was reported,
and read, as 24 s. So the frames are counted here; a frame's length follows from its 4-byte header
(ISO/IEC 11172-3, 2.4.2.3 and, for the half rates, 13818-3).

Seeking is no better: libsndfile complains on the terminal whenever a frame's bits begin before the
place it sought, and FFmpeg trusts the rough table of the Xing header. Without that header FFmpeg
seeks exactly, frame by frame; `Mp3Layout.first_byte` is where to open the file for that.
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
_ENCODERS = (b"LAME", b"Lavf", b"Lavc")  # those that state their delay
_DECODER_DELAY = 529  # samples: of the layer III filter bank
_SEARCH_BYTES = 64 * 1024  # how far junk before the first frame may reach


class FrameHeader(NamedTuple):
    """One layer III frame: its size in bytes, samples a channel, rate in Hz and channels."""

    size: int
    samples: int
    sample_rate: int
    channels: int


def frame_table() -> dict[int, FrameHeader]:
    """Every valid layer III frame header, keyed by the bits that decide it.

    The key is that of `_key`: version (2 bits), rate (2), bit rate (4), padding (1) and "is mono"
    (1). Free-format frames (bit rate index 0) have no computable size and are absent.
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


def skip_id3(data: bytes | mmap, at: int = 0) -> int:
    """Where the bytes after the ID3v2 tags at byte `at` begin (`at` itself without one)."""
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
    """What a Xing, Info or VBRI header says of the whole file; None or 0 where it is silent.

    `delay` and `padding`: samples the encoder put before and behind the audio, decoder's included.
    """

    frames: int | None
    stated_bytes: int | None
    delay: int = 0
    padding: int = 0


def info_frame(data: bytes | mmap, at: int) -> InfoFrame | None:
    """The header at byte `at`, or None where an ordinary frame begins there."""
    body = data[at : at + header_at(data, at).size]
    tag_at = max(body.find(b"Xing", 0, 64), body.find(b"Info", 0, 64))
    if tag_at >= 0:
        return _xing_frame(body[tag_at:])
    if body[36:40] == b"VBRI":
        return InfoFrame(int.from_bytes(body[50:54], "big"), int.from_bytes(body[46:50], "big"))
    return None


def _xing_frame(tag: bytes) -> InfoFrame:
    """Flags say which fields follow: 1 frames, 2 bytes, 4 a table of 100 bytes, 8 quality."""
    flags, at, values = int.from_bytes(tag[7:8], "big"), 8, {}  # 0 in a tag cut short
    for flag, size in ((1, 4), (2, 4), (4, 100), (8, 4)):
        if flags & flag:
            values[flag] = int.from_bytes(tag[at : at + size], "big")
            at += size
    delay = padding = 0
    if tag[at : at + 4] in _ENCODERS:  # 9 bytes name it; at 21, two times 12 bits
        both = int.from_bytes(tag[at + 21 : at + 24], "big")
        delay, padding = (both >> 12) + _DECODER_DELAY, max(0, (both & 0xFFF) - _DECODER_DELAY)
    return InfoFrame(values.get(1), values.get(2), delay, padding)


class Count(NamedTuple):
    """Samples a channel, and whether frame followed on frame (a tag at the very end breaks
    nothing). `damaged_at`: the samples at which bytes lie between frames that are no tag;
    `new_rate`: another rate, found at the frame behind `total`; `is_torn`: the last frame is cut.
    """

    total: int
    is_unbroken: bool
    damaged_at: tuple[int, ...] = ()
    new_rate: int | None = None
    is_torn: bool = False


def count_samples(data: bytes | mmap, at: int | None) -> Count:
    """What the frames from the one at byte `at` to the end of the file, or to a new rate, hold.

    Junk between frames (a tag, a spliced file) is searched over as a decoder does.
    """
    total, is_unbroken, damaged_at, rate = 0, True, [], None
    while at is not None and at < len(data):
        header = header_at(data, at)
        if header is None:
            junk, at = at, first_frame(data, _behind_tag(data, at))
            is_unbroken = is_unbroken and at is None
            if at is not None and _behind_tag(data, junk) == junk:
                damaged_at.append(total)
            continue
        if header.sample_rate != (rate or header.sample_rate):
            return Count(total, False, tuple(damaged_at), header.sample_rate)
        if at + header.size > len(data):  # a last frame cut short is not decoded
            return Count(total, is_unbroken, tuple(damaged_at), None, True)
        rate = header.sample_rate
        total += header.samples
        at += header.size
    return Count(total, is_unbroken, tuple(damaged_at))


def _behind_tag(data: bytes | mmap, at: int) -> int:
    """The byte behind the tags that begin at byte `at`; `at` itself where none does."""
    while True:
        if data[at : at + 3] == b"TAG":
            at += 128
        elif data[at : at + 3] == b"ID3":
            at = skip_id3(data, at)
        elif data[at : at + 8] == b"APETAGEX" and at + 32 <= len(data):
            is_head = data[at + 23] & 0x20  # of the flags: this is the header, not the footer
            at += 32 + (int.from_bytes(data[at + 12 : at + 16], "little") if is_head else 0)
        else:
            return at


class Mp3Layout(NamedTuple):
    """`first_byte` of the first frame that is audio; decoded from there, the audio is what is left
    after `skip` samples, `length` of them. `is_unbroken`: FFmpeg can seek in it. `stated`: the
    length in its header, or 0; the rest as in `Count`, counted from the first sample of the audio.
    """

    first_byte: int
    skip: int
    length: int
    is_unbroken: bool
    sample_rate: int
    channels: int
    stated: int = 0
    damaged_at: tuple[int, ...] = ()
    new_rate: int | None = None
    is_torn: bool = False


def mp3_layout(path: str | os.PathLike, *, measure: bool = True) -> Mp3Layout | None:
    """Where the audio of an mp3 file is; None if it holds no frame.

    Without `measure` frames are never counted and `length` may be 0.
    A file cut short, or joined, keeps the header of its first part, so a header is believed only
    if the bytes it speaks of are there, and some 4 kB more at most, for a tag behind the audio.
    """
    with open(path, "rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as data:
        start = first_frame(data, skip_id3(data))
        if start is None:
            return None
        header, info = header_at(data, start), info_frame(data, start)
        first_byte, there = start + header.size * (info is not None), len(data) - start
        skip, stated = (info.delay if info else 0), 0
        if info and info.frames:
            stated = max(0, info.frames * header.samples - info.delay - info.padding)
        audio = (header.sample_rate, header.channels)
        believed = Mp3Layout(first_byte, skip, stated, True, *audio, stated)
        if stated and _bears_out(info, there, header.size):
            return believed
        count = count_samples(data, first_byte) if measure else Count(0, True)
        if stated and info.stated_bytes is None and count.total == info.frames * header.samples:
            return believed._replace(is_unbroken=count.is_unbroken)
        return believed._replace(
            length=max(0, count.total - skip),
            is_unbroken=count.is_unbroken,
            damaged_at=tuple(max(0, at - skip) for at in count.damaged_at),
            new_rate=count.new_rate,
            is_torn=count.is_torn,
        )


def _bears_out(info: InfoFrame, there: int, frame_size: int) -> bool:
    stated = info.stated_bytes
    return stated is not None and -_TAG_BYTES <= stated - there <= frame_size


def looks_like_mp3(path: str, start: bytes) -> bool:
    """Whether an .mp3 file begins as one: with an ID3 tag or a layer III frame."""
    if not path.lower().endswith(".mp3"):
        return False
    return start[:3] == b"ID3" or (len(start) > 1 and start[0] == 0xFF and start[1] & 0xE6 == 0xE2)

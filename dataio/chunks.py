"""Files of chunks (wav, rf64, w64, aiff, au, caf, NIST): what they state of their audio's bytes.

libsndfile takes what is there for all there ever was, refuses a caf that is cut off, says "no
audio" where a killed recorder left a size of 0, and reads a second file's header as samples. So
the sizes are looked at here; what reads the samples stays libsndfile, shown a mended header.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from dataio.audio_file import joined_words

_MOST_CHUNKS = 256
_NIST_BYTES = 1024
_UNSTATED = 0x7FFF0000  # sizes from here on, where so much is not there, are a pipe's "not known"
_FOUR_GB, _NO_SIZE = 1 << 32, 1 << 62


class Layout(NamedTuple):
    """How many bytes of audio are stated (None: not known) and how many there are.

    `patches` (place, bytes) let the header state what is there; `joined_at` is the byte at which
    another file begins, or None.
    """

    stated: int | None
    there: int
    patches: tuple[tuple[int, bytes], ...]
    joined_at: int | None = None


Read = Callable[[int, int], bytes]  # (place, count) -> bytes of the file


def chunk_layout(read: Read, size: int) -> Layout | None:
    """The layout of a file of `size` bytes; None for a file of another kind, or without audio."""
    head = read(0, 16)
    kind = _KINDS.get(head[:4])
    return kind(read, size) if kind else None


def _riff(read: Read, size: int, *, order: str = "little", name=b"data", before=0) -> Layout | None:
    """Names of 4 bytes, sizes of 4, bodies padded to 2; `before` bytes of a body are no samples."""
    chunk = _find(read, name, 12, order)
    if chunk is None:
        return None
    size_at, stated = chunk
    body = size_at + 4
    if before < stated == size - body:  # as most files are: nothing behind the audio, and all there
        return Layout(stated - before, stated - before, ())
    is_unstated = stated >= _UNSTATED and body + stated > size
    is_empty = stated <= before and _is_tiled(read, body + stated, size, order)
    patches = [(at, (size - start).to_bytes(4, order)) for at, start in ((4, 8), (size_at, body))
               if size < _FOUR_GB]  # fmt: skip
    known = None if is_unstated or (stated <= before and not is_empty) else stated - before
    joined = _joined(read, size, 4, body + stated + (stated & 1), body + stated)
    return Layout(known, size - body - before, tuple(patches), joined)


def _rf64(read: Read, size: int) -> Layout | None:
    """As RIFF, but the sizes are 8 bytes each in a first chunk `ds64`: the file's, the audio's."""
    chunk = _find(read, b"data", 12, "little")
    if chunk is None or read(12, 4) != b"ds64":
        return None
    body, stated = chunk[0] + 4, int.from_bytes(read(28, 8), "little")
    patches = ((20, _eight(size - 8)), (28, _eight(size - body)))
    joined = _joined(read, size, 4, body + stated + (stated & 1), body + stated)
    return Layout(stated or None, size - body, patches, joined)


def _w64(read: Read, size: int) -> Layout | None:
    """Names of 16 bytes, sizes of 8 that count name and size, too, bodies padded to 8."""
    at = 40
    for _ in range(_MOST_CHUNKS):
        start = read(at, 24)
        stated = int.from_bytes(start[16:], "little")
        if start[:4] == b"data":
            patches = ((16, _eight(size)), (at + 16, _eight(size - at)))
            joined = _joined(read, size, 16, (at + stated + 7) // 8 * 8, at + stated)
            known = stated - 24 if 24 < stated < _NO_SIZE else None
            return Layout(known, size - at - 24, patches, joined)
        if stated < 24:
            return None
        at += (stated + 7) // 8 * 8
    return None


def _caf(read: Read, size: int) -> Layout | None:
    """Names of 4 bytes, sizes of 8; the body begins with a count of edits of 4 bytes."""
    chunk = _find(read, b"data", 8, "big", width=8)
    if chunk is None:
        return None
    size_at, stated = chunk
    body = size_at + 8
    known = stated - 4 if 4 < stated < _NO_SIZE else None
    patches = ((size_at, (size - body).to_bytes(8, "big")),)
    return Layout(known, size - body - 4, patches, _joined(read, size, 8, body + stated))


def _au(read: Read, size: int) -> Layout:
    order = "big" if read(0, 4) == b".snd" else "little"
    at, stated = (int.from_bytes(read(i, 4), order) for i in (4, 8))
    there = max(0, size - at)
    known = stated if 0 < stated < 0xFFFFFFFF or not there else None
    patches = ((8, min(there, 0xFFFFFFFE).to_bytes(4, order)),)
    return Layout(known, there, patches, _joined(read, size, 4, at + stated))


def _nist(read: Read, size: int) -> Layout | None:
    """NIST Sphere: 1024 bytes of text, `sample_count -i 16000`, and the samples."""
    text = read(0, _NIST_BYTES)
    facts = {name: int(value) for name, value in re.findall(rb"(\w+) -i (\d{1,15})\b", text)}
    if b"shorten" in text or b"sample_count" not in facts:
        return None
    channels, width = facts.get(b"channel_count", 1), facts.get(b"sample_n_bytes", 2)
    stated = facts[b"sample_count"] * channels * width
    joined = _joined(read, size, 8, _NIST_BYTES + stated)
    return Layout(stated or None, size - _NIST_BYTES, (), joined)


def mp4_fault(read: Read, size: int) -> str | None:
    """What is wrong with the boxes of an m4a, mp4 or mov file, or None."""
    at, names = 0, []
    while at + 8 <= size and len(names) < _MOST_CHUNKS:
        start = read(at, 16)
        length, name = int.from_bytes(start[:4], "big"), start[4:8]
        if name == b"ftyp" and at:
            return joined_words(at)
        names.append(name)
        if length == 1:
            length = int.from_bytes(start[8:], "big")
        at += length if length >= 8 else size
    if b"moov" not in names:
        return "its index (moov) is missing: it is cut off, or its recorder was stopped"
    return None


def _find(
    read: Read, name: bytes, at: int, order: str, *, width: int = 4
) -> tuple[int, int] | None:
    """Where the size of the chunk `name` stands, and that size."""
    for _ in range(_MOST_CHUNKS):
        start = read(at, 4 + width)
        if len(start) < 4 + width:
            return None
        size = int.from_bytes(start[4:], order)
        if start[:4] == name:
            return at + 4, size
        at += 4 + width + size + (size & 1 if width == 4 else 0)
    return None


def _is_tiled(read: Read, at: int, size: int, order: str) -> bool:
    """Whether chunks follow one another from byte `at` to the end: then "no audio" is true."""
    for _ in range(_MOST_CHUNKS):
        if at >= size:
            return True
        start = read(at, 8)
        if len(start) < 8 or not start[:3].isalnum():
            return False
        at += 8 + int.from_bytes(start[4:], order)
        at += at & 1
    return False


def _joined(read: Read, size: int, magic: int, *places: int) -> int | None:
    """The first of some places at which the file's own first `magic` bytes stand again."""
    return next((at for at in places if 0 < at < size and read(at, magic) == read(0, magic)), None)


def _eight(value: int) -> bytes:
    return value.to_bytes(8, "little")


_KINDS = {
    b"RIFF": _riff,
    b"RIFX": partial(_riff, order="big"),
    b"RF64": _rf64,
    b"BW64": _rf64,
    b"FORM": partial(_riff, order="big", name=b"SSND", before=8),
    b"riff": _w64,
    b"caff": _caf,
    b".snd": _au,
    b"dns.": _au,
    b"NIST": _nist,
}

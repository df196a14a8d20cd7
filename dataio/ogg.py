"""The pages of an Ogg file (RFC 3533): where its streams begin and end, which pages are damaged.

libsndfile reads the first of several streams that follow one another (voice notes put together,
radio) and passes over a damaged page, so that what is behind it comes too early.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from mmap import mmap
from typing import NamedTuple

_HEADER = struct.Struct(
    "<4sBBqIIIB"
)  # magic, version, flags, granule, serial, number, CRC, lacings
_FIRST, _LAST = 2, 4  # flags
_CRC_AT = slice(22, 26)
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


class Page(NamedTuple):
    """A page's place and size in bytes, and its header; `granule`: -1 where no packet ends."""

    at: int
    size: int
    is_first: int
    is_last: int
    granule: int
    serial: int
    number: int


class Link(NamedTuple):
    """One of the streams that follow one another: bytes [start, stop), and whether the last page
    is marked as such. `is_torn`: its last page is not all there.
    """

    start: int
    stop: int
    is_ended: bool
    is_torn: bool


def pages(data: bytes | mmap, at: int = 0, end: int | None = None) -> Iterator[Page]:
    """The whole pages in bytes [at, end); what is none is passed over."""
    end = len(data) if end is None else end
    while at + _HEADER.size <= end:
        magic, version, flags, granule, serial, number, _, lacings = _HEADER.unpack_from(data, at)
        size = _HEADER.size + lacings + sum(data[at + 27 : at + 27 + lacings])
        if magic == b"OggS" and not version and at + size <= end:
            yield Page(at, size, flags & _FIRST, flags & _LAST, granule, serial, number)
            at += size
        elif (at := data.find(b"OggS", at + 1, end)) < 0:
            return


def links(data: bytes | mmap) -> list[Link]:
    """The streams that follow one another, in order; streams side by side are one link."""
    found: list[Link] = []
    start, end, was_first, open_serials = 0, 0, True, set()
    for page in pages(data):
        if page.is_first and not was_first:
            found.append(Link(start, page.at, not open_serials, False))
            start, open_serials = page.at, set()
        if page.is_last:
            open_serials.discard(page.serial)
        else:
            open_serials.add(page.serial)
        was_first, end = page.is_first, page.at + page.size
    if end:
        is_torn = end < len(data) and data.find(b"OggS", end) >= 0
        found.append(Link(start, len(data), not open_serials, is_torn))
    return found


def damage(data: bytes | mmap, start: int, stop: int) -> bool:
    """Whether a page of one link, bytes [start, stop), is damaged (its check sum) or missing (its
    number)."""
    following: dict[int, int] = {}
    end = start
    for page in pages(data, start, stop):
        if page.at != end or page.number != following.get(page.serial, page.number):
            return True
        raw = data[page.at : page.at + page.size]
        if check_sum(raw) != raw[_CRC_AT]:
            return True
        following[page.serial], end = page.number + 1, page.at + page.size
    return False


def check_sum(page: bytes) -> bytes:
    """The CRC of a page as its header holds it.

    Ogg's polynomial is zlib's with the bits the other way round, and nothing inverted.
    """
    page = page[:22] + bytes(4) + page[26:]
    value = zlib.crc32(page.translate(_REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return value.to_bytes(4, "little").translate(_REVERSED)[::-1]

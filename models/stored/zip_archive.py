"""The directory of a zip archive such as `torch.save` writes; anything else is refused.

A zip can be read in two ways: from its end, and by headers on the way. Where the two differ, two
readers see two files. This one takes an archive only if there is no room for a second reading: one
directory at the very end, members stored plainly, one after the other from the first byte on, each
named alike in both places. Source: PKWARE's APPNOTE.TXT 6.3.10, sections 4.3 and 4.5.3.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator
from typing import NamedTuple

from dataio.checksum import crc32

END = struct.Struct("<4s4H2LH")  # end of central directory record
LOCATOR = struct.Struct("<4sLQL")  # zip64 end of central directory locator
END64 = struct.Struct("<4sQ2H2L4Q")  # zip64 end of central directory record
ENTRY = struct.Struct("<4s6H3L5H2L")  # central directory header
LOCAL = struct.Struct("<4s5H3L2H")  # local file header
DESCRIPTORS = (struct.Struct("<4s3L"), struct.Struct("<4sL2Q"))  # after a member's data
FULL, FULL64 = 0xFFFF, 0xFFFFFFFF  # "see the zip64 field"
ENCRYPTED = 0x0001 | 0x0040 | 0x2000  # general purpose flags (4.4.4)
DESCRIBED_LATER = 0x0008  # sizes and checksum follow the data
MAX_MEMBERS = 200_000


class Member(NamedTuple):
    """Where the bytes of a member lie, and their CRC-32; `plain` if they are what was stored."""

    name: str
    start: int
    size: int
    crc32: int
    plain: bool


class _Entry(NamedTuple):
    """A member as the directory tells it; `offset` is that of its local header."""

    name: bytes
    size: int
    packed: int
    crc32: int
    offset: int
    method: int


def read_directory(data: mmap.mmap) -> dict[str, Member]:
    """The members of the archive by name; ValueError for what torch.save would not have written."""
    start, end, count = _find_directory(data)
    entries = sorted(_entries(data, start, end, count), key=lambda entry: entry.offset)
    members: dict[str, Member] = {}
    place = 0
    for entry in entries:
        if entry.offset != place:
            raise ValueError("its content is damaged (bytes between or over its zip members)")
        member, place = _locate(data, entry, start)
        if member.name in members:
            raise ValueError("its content is damaged (two zip members of one name)")
        members[member.name] = member
    if place != start:
        raise ValueError("its content is damaged (bytes before its zip directory)")
    if members and not any(member.crc32 for member in members.values()):
        # torch.serialization.set_crc32_options(False) writes none
        return {name: member._replace(crc32=-1) for name, member in members.items()}
    return members


def check_content(data: mmap.mmap, member: Member) -> None:
    """ValueError when the bytes of `member` are not those that were written."""
    if member.crc32 < 0:
        return
    with memoryview(data) as view, view[member.start : member.start + member.size] as content:
        if crc32(content) != member.crc32:
            raise ValueError("its content is damaged (a checksum is wrong): get the file again")


def _find_directory(data: mmap.mmap) -> tuple[int, int, int]:
    """Where the directory begins and ends, and its number of entries."""
    end = len(data) - END.size
    if end < 0 or data[end : end + 4] != b"PK\x05\x06":
        raise ValueError("its content is damaged (no zip directory at its end): is it cut off?")
    _, disk, first_disk, here, count, size, start, comment = END.unpack_from(data, end)
    place = end - LOCATOR.size
    if place >= 0 and data[place : place + 4] == b"PK\x06\x07":
        _, _, end64, disks = LOCATOR.unpack_from(data, place)
        if end64 != place - END64.size or data[end64 : end64 + 4] != b"PK\x06\x06" or disks > 1:
            raise ValueError("its content is damaged (its zip64 directory)")
        whole = END64.unpack_from(data, end64)
        short = (here, count, size, start)
        disk, first_disk, here, count, size, start = whole[4:]
        full = (FULL, FULL, FULL64, FULL64)
        for said, value, sign in zip(short, whole[6:], full, strict=True):
            if said not in (value, sign):
                raise ValueError("its content is damaged (two zip directories)")
        end = end64
    if disk or first_disk or comment or here != count or start + size != end:
        raise ValueError("its content is damaged (its zip directory is not where it says)")
    if count > MAX_MEMBERS:
        raise ValueError(f"its zip directory has more than {MAX_MEMBERS} members")
    return start, end, count


def _entries(data: mmap.mmap, place: int, end: int, count: int) -> Iterator[_Entry]:
    for _ in range(count):
        if place + ENTRY.size > end or data[place : place + 4] != b"PK\x01\x02":
            raise ValueError("its content is damaged (its zip directory)")
        fields = ENTRY.unpack_from(data, place)
        flags, method, crc, packed, size = fields[3], fields[4], *fields[7:10]
        name_size, extra_size, note_size, disk, offset = *fields[10:14], fields[16]
        place += ENTRY.size
        name = data[place : place + name_size]
        extra = data[place + name_size : place + name_size + extra_size]
        place += name_size + extra_size + note_size
        size, packed, offset = _long_fields(extra, size, packed, offset)
        if flags & ENCRYPTED or disk or (method == 0 and packed != size):
            raise ValueError("its zip members are encrypted, or damaged: unpack it first")
        yield _Entry(name, size, packed, crc, offset, method)
    if place != end:
        raise ValueError("its content is damaged (its zip directory)")


def _long_fields(extra: bytes, *short: int) -> Iterator[int]:
    """`short` with the values of the zip64 extra field (4.5.3) where they say so."""
    long = b""
    while len(extra) >= 4:
        kind, length = struct.unpack_from("<2H", extra)
        if kind == 1:
            long = extra[4 : 4 + length]
        extra = extra[4 + length :]
    for value in short:
        if value != FULL64:
            yield value
        elif len(long) >= 8:
            yield int.from_bytes(long[:8], "little")
            long = long[8:]
        else:
            raise ValueError("its content is damaged (its zip64 directory)")


def _locate(data: mmap.mmap, entry: _Entry, limit: int) -> tuple[Member, int]:
    """The member behind its local header, and where the next header belongs."""
    if entry.offset + LOCAL.size > limit or data[entry.offset : entry.offset + 4] != b"PK\x03\x04":
        raise ValueError("its content is damaged (a zip member is not where it should be)")
    fields = LOCAL.unpack_from(data, entry.offset)
    flags, name_size, extra_size = fields[2], fields[9], fields[10]
    start = entry.offset + LOCAL.size + name_size + extra_size
    name = data[entry.offset + LOCAL.size : entry.offset + LOCAL.size + name_size]
    end = start + entry.packed
    told = zip(fields[6:9], (entry.crc32, entry.packed, entry.size), strict=True)
    later = 0 if flags & DESCRIBED_LATER else FULL64
    alike = all(here in (there, later, FULL64) for here, there in told)
    alike = alike and (name, fields[3], flags & ENCRYPTED) == (entry.name, entry.method, 0)
    if not alike or end > limit:
        raise ValueError("its content is damaged (a zip member differs from its directory)")
    for descriptor in DESCRIPTORS:
        after = data[end : end + descriptor.size]
        if after == _descriptor(descriptor, entry):
            end += descriptor.size
            break
    plain = entry.method == 0
    return Member(_checked_name(name), start, entry.packed, entry.crc32, plain), end


def _descriptor(layout: struct.Struct, entry: _Entry) -> bytes | None:
    """The record that may follow a member; None where its sizes need the longer layout."""
    if layout is DESCRIPTORS[0] and max(entry.packed, entry.size) > FULL64:
        return None
    return layout.pack(b"PK\x07\x08", entry.crc32, entry.packed, entry.size)


def _checked_name(name: bytes) -> str:
    text = name.decode("utf-8", "replace")
    parts = text.split("/")
    if not text.isprintable() or "\\" in text or not parts[0] or {".", ".."} & set(parts):
        raise ValueError("its content is damaged (the name of a zip member)")
    return text

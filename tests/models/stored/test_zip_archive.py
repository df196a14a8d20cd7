"""A zip is read in one way or not at all."""

import io
import mmap
import struct
import zipfile

import pytest
import torch

from models.stored.zip_archive import check_content, read_directory


def mapped(data: bytes) -> mmap.mmap:
    made = mmap.mmap(-1, len(data))
    made[:] = data
    return made


def plain(**members: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return stream.getvalue()


def test_members_of_torch_and_of_zipfile_are_where_zipfile_finds_them():
    stream = io.BytesIO()
    torch.save({"a": torch.ones(9), "b": torch.empty(0)}, stream)
    for data in (stream.getvalue(), plain(a=b"xyz", b=b"")):
        whole = mapped(data)
        members = read_directory(whole)
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            assert set(members) == set(archive.namelist())
            for name, member in members.items():
                assert data[member.start : member.start + member.size] == archive.read(name)
                check_content(whole, member)


def zip64() -> bytes:
    """A member whose sizes and place stand in zip64 fields, as in files beyond 4 GB."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive, archive.open("a", "w", force_zip64=True) as file:
        file.write(b"xyz")
    data = stream.getvalue()
    start, end = data.index(b"PK\x01\x02"), data.index(b"PK\x05\x06")
    entry = bytearray(data[start:end])
    struct.pack_into("<2L", entry, 20, 0xFFFFFFFF, 0xFFFFFFFF)
    struct.pack_into("<H", entry, 30, 28)
    struct.pack_into("<L", entry, 42, 0xFFFFFFFF)
    entry += struct.pack("<2H3Q", 1, 24, 3, 3, 0)
    end64 = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, 1, 1, len(entry), start)
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, start + len(entry), 1)
    full = (0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF)
    return data[:start] + entry + end64 + locator + struct.pack(
        "<4s4H2LH", b"PK\x05\x06", 0, 0, *full, 0
    )  # fmt: skip


def test_the_long_fields_of_files_beyond_4_gb_are_read():
    data = zip64()
    (member,) = read_directory(mapped(data)).values()
    assert data[member.start : member.start + member.size] == b"xyz"


def end_of(data: bytes) -> int:
    return data.index(b"PK\x05\x06")


def doubled() -> bytes:
    """Two archives, one after the other: the last directory counts for most readers."""
    return plain(a=b"x") + plain(a=b"y")


def renamed() -> bytes:
    data = plain(abc=b"x")
    return data.replace(b"abc", b"abd", 1)


def of_one_name() -> bytes:
    return plain(aa=b"x", ab=b"y").replace(b"ab", b"aa")


def overlapping() -> bytes:
    data = bytearray(plain(a=b"x" * 99, b=b"y"))
    entries = data.index(b"PK\x01\x02")
    struct.pack_into("<L", data, data.index(b"PK\x01\x02", entries + 1) + 42, 0)
    return bytes(data)


def commented() -> bytes:
    data = plain(a=b"x")
    return data[:-2] + struct.pack("<H", 9) + b"PK\x05\x06 you!"


REFUSED = {
    "a second archive": doubled(),
    "bytes before": b"#!/bin/sh\n" + plain(a=b"x"),
    "bytes after": plain(a=b"x") + b"more",
    "a comment": commented(),
    "bytes before the directory": plain(a=b"x").replace(b"PK\x01\x02", b"MOREPK\x01\x02", 1),
    "another name in the header": renamed(),
    "two of one name": of_one_name(),
    "overlapping": overlapping(),
    "a name that escapes": plain(**{"../a": b"x"}),
    "a name from the root": plain(**{"/a": b"x"}),
    "a name with an escape sequence": plain(**{"a\x1b[2J": b"x"}),
    "no directory": plain(a=b"x")[:40],
    "nothing": b"PK",
    "a directory of more": plain(a=b"x").replace(b"\1\0\1\0", b"\2\0\2\0"),
}


@pytest.mark.parametrize("data", REFUSED.values(), ids=REFUSED)
def test_what_could_be_read_in_two_ways_is_refused(data):
    with pytest.raises(ValueError, match="damaged"):
        read_directory(mapped(data))


def test_an_encrypted_member_is_refused():
    data = plain(a=b"x")
    at = data.index(b"PK\x01\x02")
    with pytest.raises(ValueError, match="encrypted"):
        read_directory(mapped(data[: at + 8] + b"\x01" + data[at + 9 :]))


def test_a_changed_byte_is_found_by_its_checksum():
    data = mapped(plain(a=b"hello").replace(b"hello", b"hullo"))
    with pytest.raises(ValueError, match="checksum"):
        check_content(data, read_directory(data)["a"])

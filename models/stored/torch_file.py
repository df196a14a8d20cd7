"""What `torch.save` put into a file, in its zip format or the one before it, as inert records.

    content = read_torch_file(path)    # dictionaries, lists, numbers, text, StoredTensor, Inert
    weight = content["model"]["encoder.layer_norm.weight"].read()

Neither `torch.load` nor `pickle` takes part: see `dataio.pickle_records`.
"""

from __future__ import annotations

import functools
import io
import mmap
import sys
from pathlib import Path

from dataio.pickle_records import MAX_BYTES, Inert, read_pickle
from models.stored import zip_archive
from models.stored.tensors import (
    Storage,
    rebuild_parameter,
    rebuild_tensor,
    sizes,
    storage_type,
)

ZIP_START = b"PK\x03\x04"
LEGACY_START = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # torch.save's magic number, pickled
LEGACY_PROTOCOL = 1001
TAR_MAGIC = slice(257, 262)  # where a tar says "ustar"

BUILDERS = {  # by the name that a pickle calls
    "collections.OrderedDict": lambda *_: {},
    "torch.Size": lambda numbers=(): sizes(numbers),
    "torch._utils._rebuild_tensor": rebuild_tensor,
    "torch._utils._rebuild_tensor_v2": rebuild_tensor,
    "torch._utils._rebuild_parameter": rebuild_parameter,
}


def is_torch_file(path: Path) -> bool:
    """Whether the file begins like something `torch.save` wrote, new or legacy format."""
    with open(path, "rb") as file:
        start = file.read(len(LEGACY_START))
    return start.startswith(ZIP_START) or start == LEGACY_START


def read_torch_file(path: Path) -> object:
    """What `torch.save` put into `path`: containers and `StoredTensor`s, everything else `Inert`.

    ValueError, in one sentence, for what is damaged or something else.
    """
    if not is_torch_file(path):
        raise ValueError("it is not a file written by torch.save")
    with open(path, "rb") as file:
        # Private pages: what is written to a tensor of it, if anything, stays in this process.
        data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
    if data[TAR_MAGIC] == b"ustar":
        raise ValueError("it is not a file written by torch.save, but a tar archive")
    return _read_zip(data) if data[:4] == ZIP_START else _read_legacy(data)


def _read_zip(data: mmap.mmap) -> object:
    members = zip_archive.read_directory(data)
    names = {name.partition("/")[2]: member for name, member in members.items()}
    if any(name.rpartition("/")[2] == "constants.pkl" for name in members):
        raise ValueError("it is a TorchScript program, not a set of tensors")
    folders = {name.partition("/")[0] for name in members}
    if len(folders) != 1 or "data.pkl" not in names:
        raise ValueError("it is a zip archive, but not one of torch.save: unpack it first")
    if not all(member.plain for member in members.values()):
        raise ValueError("its zip members are compressed, as torch.save's never are: pack it anew")

    def content(name: str) -> bytes:
        member = names[name]
        if member.size > MAX_BYTES:
            raise ValueError(f"its {name} has more than {MAX_BYTES >> 20} MB")
        zip_archive.check_content(data, member)
        return data[member.start : member.start + member.size]

    swapped = "byteorder" in names and content("byteorder") != sys.byteorder.encode()
    storages: dict[str, Storage] = {}

    def persistent(saved: object) -> Storage:
        kind, origin, key, _, count = _fields(saved, 5)
        if kind != "storage":
            raise ValueError("its content is damaged (a persistent id of no known kind)")
        dtype, member = storage_type(origin), names.get(f"data/{key}")
        if member is None or count * dtype.itemsize > member.size:
            raise ValueError("its content is damaged (a storage is missing or too short)")
        check = functools.partial(zip_archive.check_content, data, member)
        storage = storages.setdefault(
            key, Storage(dtype, count, data, member.start, swapped, check)
        )
        if (storage.dtype, storage.count) != (dtype, count):
            raise ValueError("its content is damaged (a storage of two types)")
        return storage

    return read_pickle(io.BytesIO(content("data.pkl")), BUILDERS, persistent)


def _read_legacy(data: mmap.mmap) -> object:
    """Magic number, protocol, system, content and storage keys, a pickle each; then the storages.

    Each storage is its number of items in eight bytes, then the items.
    """
    stream = io.BytesIO(data[:MAX_BYTES])
    storages: dict[str, Storage] = {}
    views: dict[str, Storage] = {}

    def persistent(saved: object) -> object:
        if isinstance(saved, tuple) and saved[:1] == ("module",) and len(saved) > 1:
            return saved[1]  # a class, with its source; neither is of use
        kind, origin, key, _, count, view = _fields(saved, 6)
        if kind != "storage":
            raise ValueError("its content is damaged (a persistent id of no known kind)")
        dtype = storage_type(origin)
        storage = storages.setdefault(key, Storage(dtype, count, data))
        if (storage.dtype, storage.count) != (dtype, count):
            raise ValueError("its content is damaged (a storage of two types)")
        return storage if view is None else _view(storage, view, views)

    read_pickle(stream, {})  # the magic number, seen already
    protocol, system = read_pickle(stream, {}), read_pickle(stream, {})
    if protocol != LEGACY_PROTOCOL or not isinstance(system, dict):
        raise ValueError("its content is damaged (its format's version)")
    swapped = (system.get("little_endian") is True) != (sys.byteorder == "little")
    content = read_pickle(stream, BUILDERS, persistent)
    keys = read_pickle(stream, {})
    listed = isinstance(keys, list) and all(type(key) is str for key in keys)
    if not listed or sorted(keys) != sorted(storages):
        raise ValueError("its content is damaged (its list of storages)")
    place = stream.tell()
    for key in keys:
        storage = storages[key]
        count = int.from_bytes(data[place : place + 8], "little")
        storage.start, storage.swapped = place + 8, swapped
        place = storage.start + storage.bytes
        if count != storage.count or place > len(data):
            raise ValueError("its content is damaged (a storage is cut off): get the file again")
    return content


def _fields(saved: object, count: int) -> tuple:
    """The persistent id of a storage: kind, class name, key, device, number of items, ..."""
    if not isinstance(saved, tuple) or len(saved) != count:
        raise ValueError("its content is damaged (a persistent id of no known kind)")
    kind, origin, key, device, *numbers = saved
    if not isinstance(origin, Inert) or type(key) is not str or not isinstance(kind, str):
        raise ValueError("its content is damaged (the persistent id of a storage)")
    (size,) = sizes((numbers[0],))
    return (kind, origin.origin, key, device, size, *numbers[1:])


def _view(storage: Storage, told: object, views: dict[str, Storage]) -> Storage:
    """A storage that is a part of another: key, first item, number of items."""
    if not isinstance(told, tuple) or len(told) != 3 or type(told[0]) is not str:
        raise ValueError("its content is damaged (a view of a storage)")
    key, (first, count) = told[0], sizes(told[1:])
    if first + count > storage.count:
        raise ValueError("its content is damaged (a view past the end of its storage)")
    place = first * storage.dtype.itemsize
    return views.setdefault(key, Storage(storage.dtype, count, start=place, root=storage))

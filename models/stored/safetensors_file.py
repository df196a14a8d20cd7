"""Tensors of a safetensors file, as `StoredTensor`s; its header is checked before its bytes."""

from __future__ import annotations

from pathlib import Path

import torch

from dataio.pickle_records import quoted
from models.stored.tensors import StoredTensor, sizes

MAX_HEADER = 32 << 20  # bytes; a thousand tensors take a tenth of a megabyte
MAX_TENSORS = 100_000
FLOATS = {
    "BF16": torch.bfloat16,
    "F16": torch.float16,
    "F32": torch.float32,
    "F64": torch.float64,
}


def is_safetensors(path: Path) -> bool:
    """The length of a header that could be, then a JSON object."""
    with open(path, "rb") as file:
        start = file.read(9)
    return start[8:] == b"{" and int.from_bytes(start[:8], "little") <= MAX_HEADER


def read_safetensors(path: Path) -> dict[str, StoredTensor]:
    """The tensors of `path` by name; ValueError, in one sentence, for what is damaged.

    The package checks that the tensors fill the file without gaps, overlaps or overflows.
    """
    from safetensors import SafetensorError, safe_open

    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
    if 8 + length > path.stat().st_size:
        raise ValueError("its content is damaged (its header is cut off): get the file again")
    try:
        archive = safe_open(path, framework="pt")
        names = archive.keys()
        if len(names) > MAX_TENSORS:
            raise ValueError(f"it has more than {MAX_TENSORS} tensors")
        return {name: _stored(archive, name) for name in names}
    except SafetensorError as error:
        reason = quoted(str(error))
        raise ValueError(f"its content is damaged ({reason}): get the file again") from error


def _stored(archive, name: str) -> StoredTensor:
    part = archive.get_slice(name)
    dtype = FLOATS.get(part.get_dtype(), torch.uint8)  # what is no float is no weight
    return StoredTensor(sizes(part.get_shape()), dtype, lambda: archive.get_tensor(name))

"""The state of a module or an optimiser out of a file: numbers, text, tensors, and nothing else."""

from __future__ import annotations

import math
from pathlib import Path

from models.stored.tensors import StoredTensor
from models.stored.torch_file import read_torch_file

DEEPEST = 8  # containers within each other; an optimiser's has four
MAX_ITEMS = 1_000_000
SHARED = 8  # times that the bytes of a file may be in its tensors


def read_state(path: Path) -> dict:
    """A state dict whose tensors are private views of the mapped file, to be copied from.

    What is written to them stays in this process. ValueError for anything that is no state.
    """
    return _Plain(path).of(read_torch_file(path), 0)


class _Plain:
    """Reads what a file holds, as long as that is no more than the file's size warrants."""

    def __init__(self, path: Path) -> None:
        self.items, self.bytes = MAX_ITEMS, SHARED * path.stat().st_size

    def of(self, value: object, depth: int) -> object:
        self.items -= 1
        if depth > DEEPEST or self.items < 0:
            raise ValueError("it is nested too deep, or in too many places")
        if isinstance(value, dict):
            return {
                self.of(key, depth + 1): self.of(item, depth + 1) for key, item in value.items()
            }
        if isinstance(value, (list, tuple)):
            return type(value)(self.of(item, depth + 1) for item in value)
        if isinstance(value, StoredTensor):
            self.bytes -= math.prod(value.shape) * value.dtype.itemsize
            if self.bytes < 0:
                raise ValueError("its tensors are larger than the file")
            return value.read()
        if value is None or isinstance(value, (bool, int, float, str)):
            return value
        raise ValueError("it holds more than numbers, text and tensors")

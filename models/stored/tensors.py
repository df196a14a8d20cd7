"""Tensors of a file, described and checked before any of their bytes is touched.

What a file says of a tensor (type, place, sizes, strides) is held against what the file has; the
bytes stay where they are, memory-mapped, until `read` is called.
"""

from __future__ import annotations

import math
import mmap
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

DTYPES = {
    "BFloat16Storage": torch.bfloat16,
    "BoolStorage": torch.bool,
    "ByteStorage": torch.uint8,
    "CharStorage": torch.int8,
    "ComplexDoubleStorage": torch.complex128,
    "ComplexFloatStorage": torch.complex64,
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "IntStorage": torch.int32,
    "LongStorage": torch.int64,
    "ShortStorage": torch.int16,
    "UntypedStorage": torch.uint8,
}
MAX_DIMENSIONS = 64
MAX_SIZE = 2**63


@dataclass(frozen=True, eq=False)
class StoredTensor:
    """A tensor that a file holds; `read` gives it, a view of the file where it can be.

    `read` raises ValueError when the bytes are not as they were written.
    """

    shape: tuple[int, ...]
    dtype: torch.dtype
    read: Callable[[], Tensor]


@dataclass(eq=False)
class Storage:
    """`count` items of `dtype` in a file, from byte `start` on as soon as that is known.

    `check` looks at the bytes, once; a view (`root`) is a part of another storage.
    """

    dtype: torch.dtype
    count: int
    data: mmap.mmap | None = None
    start: int = 0
    swapped: bool = False  # the file is of the other byte order
    check: Callable[[], None] | None = None
    root: Storage | None = None

    @property
    def bytes(self) -> int:
        return self.count * self.dtype.itemsize

    def tensor(self, offset: int, shape: tuple[int, ...], stride: tuple[int, ...]) -> Tensor:
        """A view of this storage; the numbers have been checked."""
        source = self.root or self
        check = source.check  # once, or twice where two threads come at the same time
        if check is not None:
            check()
            source.check = None
        if math.prod(shape) == 0:
            return torch.empty(shape, dtype=self.dtype)
        start = source.start + (self.start if self.root else 0)
        flat = torch.frombuffer(source.data, dtype=self.dtype, count=self.count, offset=start)
        tensor = flat.as_strided(shape, stride, offset)
        return _byteswapped(tensor) if source.swapped else tensor


def _byteswapped(tensor: Tensor) -> Tensor:
    width = tensor.dtype.itemsize // (2 if tensor.is_complex() else 1)
    octets = tensor.contiguous().view(-1).view(torch.uint8).view(-1, width)
    return octets.flip(1).contiguous().view(-1).view(tensor.dtype).view(tensor.shape)


def storage_type(origin: str) -> torch.dtype:
    """The item type of a storage class such as `torch.FloatStorage`; ValueError for others."""
    module, _, name = origin.rpartition(".")
    dtype = DTYPES.get(name.removeprefix("_"))
    if dtype is None or module.partition(".")[0] != "torch":
        raise ValueError("its content is damaged (a storage of no known type)")
    return dtype


def rebuild_tensor(storage: object, offset: object, shape: object, stride: object, *_) -> object:
    """What `torch._utils._rebuild_tensor` and `_rebuild_tensor_v2` make of the same arguments."""
    if not isinstance(storage, Storage):
        raise ValueError("its content is damaged (a tensor without a storage)")
    shape, stride = sizes(shape), sizes(stride)
    (offset,) = sizes((offset,))
    count = math.prod(shape)
    if len(shape) != len(stride) or math.prod(size for size in shape if size) >= MAX_SIZE:
        raise ValueError("its content is damaged (a tensor's shape and strides)")
    last = offset + sum((size - 1) * step for size, step in zip(shape, stride, strict=True))
    if count and last >= storage.count:
        raise ValueError("its content is damaged (a tensor reaches past the end of its storage)")

    def read() -> Tensor:
        if count > storage.count:
            raise ValueError("a tensor of it has more values than its storage")
        return storage.tensor(offset, shape, stride)

    return StoredTensor(shape, storage.dtype, read)


def rebuild_parameter(data: object, *_) -> object:
    """What `torch._utils._rebuild_parameter` wraps: the tensor as it is."""
    return data


def sizes(numbers: object) -> tuple[int, ...]:
    """A shape, strides or an offset as non-negative integers below 2^63."""
    right = isinstance(numbers, (tuple, list)) and len(numbers) <= MAX_DIMENSIONS
    if not right or not all(type(n) is int and 0 <= n < MAX_SIZE for n in numbers):
        raise ValueError("its content is damaged (a tensor's shape, strides or offset)")
    return tuple(numbers)

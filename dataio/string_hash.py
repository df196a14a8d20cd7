"""64-bit hashes of a column of strings, all rows at once."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)  # odd, bits well spread: 2**64 / golden ratio
_TAIL_MASKS = np.array([(1 << 8 * n) - 1 for n in range(8)] + [2**64 - 1], dtype=np.uint64)


def hash_strings(strings: pa.StringArray) -> np.ndarray:
    """(N,) uint64 for a string array without nulls; equal strings have equal hashes.

    Strings are taken 8 bytes at a time; step w mixes word w of every row that reaches so far.
    Used to find candidates for duplicates: a collision costs a comparison, no error.
    """
    offsets_buffer, data_buffer = strings.buffers()[1:]
    offsets = np.frombuffer(offsets_buffer, dtype=np.int32, count=strings.offset + len(strings) + 1)
    offsets = offsets[strings.offset :].astype(np.int64)
    first, last = offsets[0], offsets[-1]
    data = np.zeros(last - first + 8, dtype=np.uint8)  # 8 spare bytes: words may reach over the end
    if last > first:
        data[: last - first] = np.frombuffer(data_buffer, dtype=np.uint8)[first:last]
    words = np.ndarray((last - first + 1,), dtype="<u8", buffer=data, strides=(1,))
    starts, lengths = offsets[:-1] - first, np.diff(offsets)
    hashes = lengths.astype(np.uint64) * _MULTIPLIER
    rows = np.arange(len(strings))
    for begin in range(0, int(lengths.max(initial=0)), 8):
        if begin:
            rows = rows[lengths[rows] > begin]
        left = np.minimum(lengths[rows] - begin, 8)
        word = words[np.minimum(starts[rows] + begin, len(words) - 1)] & _TAIL_MASKS[left]
        mixed = (hashes[rows] ^ word) * _MULTIPLIER
        hashes[rows] = mixed ^ (mixed >> np.uint64(29))
    return hashes

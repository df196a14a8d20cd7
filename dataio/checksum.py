"""Sums over content: CRC-32 at the speed of memory (22 GB/s a core, zlib's own 4), SHA-256."""

from __future__ import annotations

import hashlib
import os

try:
    from zlib_ng.zlib_ng import crc32
except ImportError:  # an environment from before it was asked for: the same sum, more slowly
    from zlib import crc32

__all__ = ["crc32", "sha256_of"]


def sha256_of(path: str | os.PathLike) -> str:
    """The SHA-256 of a file's content, in hexadecimal."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()

"""CRC-32 at the speed of memory: 22 GB/s a core where zlib's own has 4."""

from __future__ import annotations

try:
    from zlib_ng.zlib_ng import crc32
except ImportError:  # an environment from before it was asked for: the same sum, more slowly
    from zlib import crc32

__all__ = ["crc32"]

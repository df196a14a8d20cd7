"""The sum is zlib's, whichever library makes it."""

import zlib

from dataio.checksum import crc32


def test_the_check_value_of_the_standard():
    assert crc32(b"123456789") == 0xCBF43926  # Rocksoft's catalogue of CRCs, CRC-32/ISO-HDLC


def test_views_and_pieces_have_the_sum_of_the_whole():
    data = bytes(range(256)) * 1000
    assert crc32(memoryview(data)) == zlib.crc32(data)
    assert crc32(data[777:], crc32(data[:777])) == zlib.crc32(data)

"""Frame headers against sizes worked out by hand from ISO/IEC 11172-3."""

import pytest

from dataio.mpeg_audio import count_samples, first_frame, header_at, skip_id3

# 0xFF 0xFB: MPEG 1, layer III, no CRC. Third byte: bit rate 9 (128 kbit/s), rate 0 (44.1 kHz).
FRAME_128K = bytes([0xFF, 0xFB, 0x90, 0x00]) + bytes(413)  # 144 * 128000 / 44100 = 417.96
FRAME_PADDED = bytes([0xFF, 0xFB, 0x92, 0x00]) + bytes(414)
FRAME_16KHZ = bytes([0xFF, 0xF3, 0x48, 0xC0]) + bytes(140)  # MPEG 2: 72 * 32000 / 16000 = 144


@pytest.mark.parametrize(
    "frame, samples, rate, channels",
    [
        (FRAME_128K, 1152, 44_100, 2),
        (FRAME_PADDED, 1152, 44_100, 2),
        (FRAME_16KHZ, 576, 16_000, 1),
    ],
)
def test_a_frame_tells_its_size(frame, samples, rate, channels):
    assert header_at(frame, 0) == (len(frame), samples, rate, channels)


@pytest.mark.parametrize(
    "start",
    [
        b"\xff\xfb\x00\x00",  # free format
        b"\xff\xfb\xf0\x00",  # bit rate 15
        b"\xff\xfb\x9c\x00",  # rate 3
        b"\xff\xeb\x90\x00",  # version 1, reserved
        b"\xff\xfd\x90\x00",  # layer II
        b"RIFF",
        b"\xff\xfb",
    ],
)
def test_what_is_no_layer_three_frame_has_no_header(start):
    assert header_at(start, 0) is None


def test_frames_are_counted_over_padding_and_junk():
    data = FRAME_128K * 3 + b"junk" * 5 + FRAME_PADDED * 4
    assert count_samples(data, 0) == (7 * 1152, False, (3 * 1152,), None, False)


def test_a_tag_behind_the_last_frame_breaks_nothing():
    assert count_samples(FRAME_128K * 3 + b"TAG" + bytes(125), 0) == (
        3 * 1152,
        True,
        (),
        None,
        False,
    )


def test_tags_between_joined_files_are_no_damage():
    id3 = b"ID3\x03\x00\x00" + bytes([0, 0, 0, 50]) + b"t" * 50
    ape = b"APETAGEX" + bytes(4) + (40).to_bytes(4, "little") + bytes([0, 0, 0, 0, 0, 0, 0, 0x20])
    for tag in (b"TAG" + bytes(125), id3, ape.ljust(32, b"\0") + b"x" * 40):
        assert count_samples(FRAME_128K * 3 + tag + FRAME_128K * 2, 0).damaged_at == ()


def test_another_rate_ends_the_count():
    counted = count_samples(FRAME_128K * 3 + FRAME_16KHZ * 3, 0)
    assert (counted.total, counted.new_rate) == (3 * 1152, 16_000)


def test_a_last_frame_cut_short_does_not_count():
    assert count_samples(FRAME_128K * 3 + FRAME_128K[:100], 0) == (3 * 1152, True, (), None, True)


def test_first_frame_is_behind_tag_and_false_starts():
    tag = b"ID3\x03\x00\x00" + bytes([0, 0, 1, 72]) + b"\xff\xfb\x90\x00" * 50  # 1 * 128 + 72
    false_start = b"\xff\xfb\x90\x00zzzz"  # no second frame where the first would end
    data = tag + false_start + FRAME_128K * 2
    assert skip_id3(data) == len(tag) == 210
    assert first_frame(data, skip_id3(data)) == len(tag) + len(false_start)


def test_bytes_without_a_frame_have_none():
    assert first_frame(b"\xff" * 1000) is None
    assert count_samples(b"nothing here" * 10, 0) == (0, True, (), None, False)

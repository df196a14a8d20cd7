"""Joined, cut off, damaged, never finished: what can be had is read and its faults are named."""

import logging
import struct

import av
import numpy as np
import pytest
import soundfile
from support import sounds
from support.sounds import KINDS, sample_rate

from dataio.audio import load_waveform, read_audio
from dataio.audio_file import DAMAGED, TRUNCATED, UNFINISHED, UnreadableAudio
from dataio.probe import probe

SECONDS = 4.0
SIDE_BY_SIDE = {"a.ogg", "a.opus", "a.mp3", "bare.mp3", "a.aac", "a.webm", "a.mka",
                "a.avi", "a.ac3", "a.ts", "a.mpg"}  # fmt: skip
NO_PROMISE = {"a.ac3", "a.ts", "a.mpg"}  # neither a length in the header nor a torn packet to see


@pytest.fixture
def write_kind(signal, tmp_path):
    """write_kind(name, seconds) -> path of one of KINDS; codecs draw no noise of their own."""

    def write(name, seconds=SECONDS, rate=None, seed=0):
        rate = rate or sample_rate(name)
        return sounds.write_kind(tmp_path / name, name, signal(seconds, rate, seed=seed), rate)

    return write


@pytest.mark.parametrize("name", KINDS)
def test_a_sound_file_has_no_fault(name, write_kind):
    reading = read_audio(write_kind(name))
    assert reading.faults == ()
    assert len(reading.waveform) / 16_000 == pytest.approx(SECONDS, abs=0.1)


@pytest.mark.parametrize("name", KINDS)
def test_joined_files_are_read_whole_or_refused(name, write_kind):
    path = write_kind(name)
    first = load_waveform(path)
    path.write_bytes(path.read_bytes() + write_kind(name, 2.5, seed=1).read_bytes())
    if name not in SIDE_BY_SIDE:
        with pytest.raises(UnreadableAudio, match="another file is joined to it at byte"):
            load_waveform(path)
        return
    whole = load_waveform(path)
    assert len(whole) / 16_000 == pytest.approx(SECONDS + 2.5, abs=0.15)
    np.testing.assert_allclose(whole[: len(first) - 3000], first[:-3000], atol=1e-4)
    assert np.abs(whole[len(first) + 3000 :]).max() > 0.05
    for start in (1.0, 3.8, 5.0):
        piece = load_waveform(path, start_seconds=start, max_seconds=0.5)
        np.testing.assert_allclose(piece, whole[round(start * 16_000) :][:8000], atol=1e-5)


@pytest.mark.parametrize("name", ["bare.mp3", "a.mp3", "a.aac", "a.ogg"])
def test_another_sample_rate_inside_is_refused_with_its_second(name, write_kind):
    path = write_kind(name)
    first = path.read_bytes()
    path.write_bytes(first + write_kind(name, 2.0, rate=22_050).read_bytes())
    with pytest.raises(UnreadableAudio, match=r"changes from 44100 to 22050 Hz at [34]\.\d\d s"):
        probe(path)


@pytest.mark.parametrize("name", sorted(KINDS.keys() - NO_PROMISE))
def test_a_file_cut_off_is_read_as_far_as_it_goes_and_says_where(name, write_kind, caplog):
    path = write_kind(name)
    whole = load_waveform(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    reading = read_audio(path)
    (fault,) = (fault for fault in reading.faults if fault.kind == TRUNCATED)
    assert fault.seconds == pytest.approx(len(reading.waveform) / 16_000, abs=0.1)
    assert 1.5 < fault.seconds < 3
    assert f"breaks off at {fault.seconds:.2f} s" in fault.words
    count = len(reading.waveform) - 3000
    np.testing.assert_allclose(reading.waveform[:count], whole[:count], atol=1e-4)
    with caplog.at_level(logging.WARNING):
        load_waveform(path)
    assert f"{path}: it breaks off" in caplog.text
    with pytest.raises(UnreadableAudio, match="breaks off|ends before"):
        load_waveform(path, start_seconds=3.5, max_seconds=0.2)


def test_an_m4a_without_its_index_is_refused_with_the_reason(write_audio):
    path = write_audio("a.m4a", codec="aac")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(UnreadableAudio, match=r"its index \(moov\) is missing"):
        probe(path)


SIZE_AT = {  # (place from the chunk's name, bytes of the size, what a killed recorder leaves)
    "a.wav": [
        (b"data", 4, "<I", 0),
        (b"data", 4, "<I", 0xFFFFFFFF),
        (b"data", 4, "<I", 0x7FFFF000),
    ],
    "gsm.wav": [(b"data", 4, "<I", 0)],
    "a.aiff": [(b"SSND", 4, ">I", 0)],
    "a.au": [(b".snd", 8, ">I", 0), (b".snd", 8, ">I", 0xFFFFFFFF)],
    "a.caf": [(b"data", 4, ">q", -1), (b"data", 4, ">q", 0)],
    "a.rf64": [(b"ds64", 16, "<Q", 0)],
    "a.w64": [(b"data", 16, "<Q", 24), (b"data", 16, "<Q", 0)],
}


@pytest.mark.parametrize(("name", "case"), [(n, c) for n, cases in SIZE_AT.items() for c in cases])
def test_a_file_whose_recorder_was_killed_is_read_in_full(name, case, write_kind):
    path, (word, offset, form, value) = write_kind(name), case
    whole = load_waveform(path)
    data = bytearray(path.read_bytes())
    struct.pack_into(form, data, data.index(word) + offset, value)
    path.write_bytes(data)
    reading = read_audio(path)
    np.testing.assert_array_equal(reading.waveform[: len(whole)], whole)
    assert len(reading.waveform) - len(whole) < 200
    assert [fault.kind for fault in reading.faults] == [UNFINISHED]
    piece = load_waveform(path, start_seconds=1.0, max_seconds=0.5)
    np.testing.assert_allclose(piece, whole[16_000:24_000], atol=1e-6)


def test_a_wav_without_audio_before_another_chunk_is_still_empty(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros(0, np.float32), 16_000)
    data = (tmp_path / "a.wav").read_bytes() + b"LIST" + struct.pack("<I", 4) + b"INFO"
    (tmp_path / "a.wav").write_bytes(data)
    with pytest.raises(UnreadableAudio, match="holds no audio"):
        probe(tmp_path / "a.wav")


def test_an_ogg_whose_end_is_not_marked_is_unfinished(write_kind):
    path = write_kind("a.ogg")
    data = path.read_bytes()
    path.write_bytes(data[: data.rindex(b"OggS")])
    assert [fault.kind for fault in probe(path).faults] == [UNFINISHED]


CHECKED = ("a.flac", "a.ogg", "a.opus", "a.m4a", "a.aac", "a.mp3",
           "a.tta", "a.wv", "a.ac3", "a.flv")  # fmt: skip


@pytest.mark.parametrize("name", CHECKED)
def test_damage_is_silence_in_its_place_and_the_rest_is_read(name, write_kind):
    path = write_kind(name, 8.0)
    whole = load_waveform(path)
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    count = 900 if name == "a.mp3" else 40  # at least one frame's header: the rest has no check
    data[middle : middle + count] = b"\x55" * count
    path.write_bytes(data)
    reading = read_audio(path)
    assert [fault.kind for fault in reading.faults] == [DAMAGED]
    where = round(reading.faults[0].seconds * 16_000)
    assert 2.5 < reading.faults[0].seconds < 5.5
    assert len(reading.waveform) == pytest.approx(len(whole), abs=160)
    np.testing.assert_allclose(reading.waveform[: where - 1600], whole[: where - 1600], atol=2e-3)
    end = slice(len(whole) - 16_000, len(whole) - 1600)
    if name != "a.ac3":  # whose decoder fills bands with noise of its own
        np.testing.assert_allclose(reading.waveform[end], whole[end], atol=2e-3)
    if name != "a.mp3":  # its frames are counted to seek in it, and some are gone
        piece = load_waveform(path, start_seconds=6.5, max_seconds=1.0)
        np.testing.assert_allclose(piece, reading.waveform[104_000:120_000], atol=1e-4)


def test_a_file_of_which_most_does_not_decode_is_refused(write_kind):
    path = write_kind("a.flac", 8.0)
    data = bytearray(path.read_bytes())
    data[len(data) // 5 : len(data) * 4 // 5] = b"\x55" * len(
        data[len(data) // 5 : len(data) * 4 // 5]
    )
    path.write_bytes(data)
    with pytest.raises(UnreadableAudio, match="most of it does not decode"):
        load_waveform(path)


@pytest.mark.parametrize("name", ["gsm.wav", "id3.flac"])
def test_a_piece_of_what_cannot_seek_is_read(name, write_kind):
    path = write_kind(name.replace("id3", "a"), 6.0)
    if name == "id3.flac":
        tag = b"ID3\x03\x00\x00" + bytes([0, 8, 0, 0]) + bytes(8 << 14)
        path.write_bytes(tag + path.read_bytes())
    whole = load_waveform(path)
    for start in (0.0, 1.0, 3.33, 5.9):
        piece = load_waveform(path, start_seconds=start, max_seconds=0.5)
        np.testing.assert_allclose(piece, whole[round(start * 16_000) :][:8000], atol=1e-6)


def test_a_tag_that_is_not_utf8_keeps_no_file_from_being_read(write_audio):
    path = write_audio("a.m4a", codec="aac", container_options={"movflags": "+use_metadata_tags"})
    with av.open(str(path)) as source, av.open(str(path.with_name("b.m4a")), "w") as target:
        target.metadata["title"] = "XXXXXXXX"
        stream = target.add_stream_from_template(source.streams.audio[0])
        for packet in source.demux(audio=0):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    data = path.with_name("b.m4a").read_bytes()
    assert b"XXXXXXXX" in data
    path.write_bytes(data.replace(b"XXXXXXXX", "Привет!!".encode("cp1251")))
    assert len(load_waveform(path)) == pytest.approx(32_000, abs=1600)


PLAYLISTS = {
    "list.m4a": "ffconcat version 1.0\nfile '{}'\n",
    "list.mp3": "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:2,\n{}\n#EXT-X-ENDLIST\n",
    "live.wav": "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{}\n",
    "list.ogg": "[playlist]\nFile1={}\nNumberOfEntries=1\n",
    "list.aac": '<?xml version="1.0"?><MPD><BaseURL>{}</BaseURL></MPD>',
    "session.flac": "v=0\no=- 0 0 IN IP4 127.0.0.1\nm=audio 5004 RTP/AVP 0\n",
    "raw.vox": "ffconcat version 1.0\nfile '{}'\n",
    "marked.m4a": "\ufeffffconcat version 1.0\nfile '{}'\n",
}


@pytest.mark.parametrize("name", PLAYLISTS)
def test_a_playlist_is_no_audio_whatever_it_is_called(name, write_audio, tmp_path):
    sound = write_audio("a.aac", codec="aac")
    (tmp_path / name).write_text(PLAYLISTS[name].format(sound))
    with pytest.raises(UnreadableAudio, match="no sound: name the files themselves"):
        probe(tmp_path / name)


def test_a_list_that_hides_its_first_line_is_refused_as_well(write_audio, tmp_path):
    """By FFmpeg's own list of readers: the words at the beginning are for the message."""
    sound = write_audio("a.aac", codec="aac")
    (tmp_path / "a.m3u8").write_text(
        f"\n \n#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:2,\n{sound}\n"
    )
    (tmp_path / "sub.srt").write_text("1\n00:00:01,000 --> 00:00:02,000\nwords\n")
    for name in ("a.m3u8", "sub.srt"):
        with pytest.raises(UnreadableAudio):
            probe(tmp_path / name)


@pytest.mark.parametrize("suffix", [".au", ".snd"])
def test_a_text_is_no_sound_by_its_name(suffix, tmp_path):
    """libsndfile would take it for 8-bit samples without a header."""
    (tmp_path / f"a{suffix}").write_text("words " * 5000)
    with pytest.raises(UnreadableAudio, match="it has no header"):
        probe(tmp_path / f"a{suffix}")


def test_bytes_in_which_libsndfile_finds_a_frame_of_layer_one_are_no_sound(tmp_path):
    words = b"\xff\xff\x00\xff\xff\xff" + b"[" * 26 + b"\xff" * 8 + b"[" * 31
    (tmp_path / "a.ogg").write_bytes(words + b"\xff\xff\x00\xff\xff\xff" + b"[" * 58)
    with soundfile.SoundFile(tmp_path / "a.ogg") as sound:
        assert sound.subtype == "MPEG_LAYER_I"
    with pytest.raises(UnreadableAudio, match="neither libsndfile nor FFmpeg reads it"):
        probe(tmp_path / "a.ogg")


def test_mpeg_of_another_layer_is_read_still(write_audio):
    path = write_audio("a.mp2", 2.0, 44_100, codec="mp2")
    assert len(load_waveform(path)) == pytest.approx(32_000, abs=1600)


def test_hours_of_silence_in_few_bytes_are_refused(tmp_path):
    """14 bytes a quarter of a second: FLAC of digital silence."""
    with soundfile.SoundFile(tmp_path / "a.flac", "w", 16_000, 1) as sound:
        for _ in range(30):
            sound.write(np.zeros(60 * 16_000, np.int16))
    assert (tmp_path / "a.flac").stat().st_size < 110_000
    with pytest.raises(UnreadableAudio, match="bytes may hold .* of audio, and it unpacks to more"):
        probe(tmp_path / "a.flac")

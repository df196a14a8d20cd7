"""Headers: lengths against decoding, the protocol's words, refusals."""

import os
import pickle
import shutil
import struct
import subprocess
import sys
from types import SimpleNamespace

import av
import numpy as np
import pytest
import soundfile

from dataio.audio import load_waveform
from dataio.audio_file import AudioHeader, Faults, UnreadableAudio
from dataio.ffmpeg import samples_of
from dataio.probe import probe
from dataio.reading import blocks

VBR = {"flags": "+qscale", "global_quality": str(4 * 118)}  # ffmpeg -q:a 4
NO_XING = {"container_options": {"write_xing": "0"}}

# name, how it is written, and (AudioEncoding, AudioBitSample)
KINDS = {
    "a.wav": ({}, ("PCM_S", 16)),
    "a.flac": ({}, ("FLAC", 16)),
    "a.ogg": ({}, ("VORBIS", 0)),
    "a.mp3": ({}, ("MP3", 0)),
    "vbr.mp3": ({"codec": "libmp3lame", "options": VBR}, ("MP3", 0)),
    "bare_vbr.mp3": ({"codec": "libmp3lame", "options": VBR, **NO_XING}, ("MP3", 0)),
    "bare_cbr.mp3": ({"codec": "libmp3lame", **NO_XING}, ("MP3", 0)),
    "a.m4a": ({"codec": "aac"}, ("AAC", 0)),
    "lossless.m4a": ({"codec": "alac"}, ("ALAC", 24)),  # FFmpeg's choice for floats
    "a.aac": ({"codec": "aac"}, ("AAC", 0)),
    "a.webm": ({"codec": "libopus", "sample_rate": 48_000}, ("OPUS", 0)),
    "film.mp4": ({"codec": "aac", "video": True}, ("AAC", 0)),
    "a.mov": ({"codec": "pcm_s16le"}, ("PCM_S", 16)),
    "a.mka": ({"codec": "libmp3lame"}, ("MP3", 0)),
}


def decoded_seconds(path):
    with av.open(str(path)) as container:
        rate = container.streams.audio[0].codec_context.sample_rate
        return sum(frame.samples for frame in container.decode(audio=0)) / rate


@pytest.mark.parametrize("name", KINDS)
def test_length_is_true_within_50_ms_of_decoding(write_audio, name):
    kind, words = KINDS[name]
    path = write_audio(name, **{"seconds": 7.3, "sample_rate": 44_100, "channels": 2, **kind})
    header = probe(path)
    assert header.seconds == pytest.approx(decoded_seconds(path), abs=0.05)
    assert header.seconds == pytest.approx(7.3, abs=0.05)
    assert (header.sample_rate, header.channels) == (kind.get("sample_rate", 44_100), 2)
    assert (header.encoding, header.bits) == words


def test_libsndfile_alone_would_misjudge_a_bare_variable_rate_mp3(write_audio):
    """The reason for dataio.mpeg_audio: should this fail one day, that module may go."""
    path = write_audio("b.mp3", 7.3, 44_100, 2, codec="libmp3lame", options=VBR, **NO_XING)
    assert abs(soundfile.info(path).duration - 7.3) > 1


@pytest.mark.parametrize(
    "subtype, words",
    [
        ("PCM_U8", ("PCM_U", 8)),
        ("PCM_16", ("PCM_S", 16)),
        ("PCM_24", ("PCM_S", 24)),
        ("PCM_32", ("PCM_S", 32)),
        ("FLOAT", ("PCM_F", 32)),
        ("DOUBLE", ("PCM_F", 64)),
        ("ULAW", ("ULAW", 8)),
        ("ALAW", ("ALAW", 8)),
    ],
)
def test_wav_subtypes_have_torchaudios_words(tmp_path, signal, subtype, words):
    soundfile.write(tmp_path / "a.wav", signal(0.1, 8000), 8000, subtype=subtype)
    header = probe(tmp_path / "a.wav")
    assert (header.encoding, header.bits) == words
    assert (header.frames, header.sample_rate, header.channels) == (800, 8000, 1)


def test_flac_tells_its_bit_depth(tmp_path, signal):
    soundfile.write(tmp_path / "a.flac", signal(0.1, 8000), 8000, subtype="PCM_24")
    assert (probe(tmp_path / "a.flac").encoding, probe(tmp_path / "a.flac").bits) == ("FLAC", 24)


def test_raw_g722_is_measured_by_its_size(tmp_path, signal):
    path = tmp_path / "prompt.g722"
    with av.open(str(path), "w", format="g722") as container:
        stream = container.add_stream("g722", rate=16_000, layout="mono")
        samples = (signal(1.5, 16_000).T * 32767).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
        frame.sample_rate = 16_000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    header = probe(path)
    assert (header.frames, header.sample_rate, header.channels) == (24_000, 16_000, 1)
    assert (header.encoding, header.bits) == ("G722", 4)


def test_flac_from_a_pipe_has_no_length_and_is_counted(write_audio):
    path = write_audio("a.flac", 3.0)
    data = bytearray(path.read_bytes())
    data[21] &= 0xF0  # the total of STREAMINFO: 36 bits that end at byte 26
    data[22:26] = bytes(4)
    path.write_bytes(data)
    assert soundfile.SoundFile(path).frames > 1 << 60  # what a pipe's flac looks like
    assert probe(path).frames == 48_000


def test_wav_from_a_pipe_ends_with_its_file(write_audio):
    path = write_audio("a.wav", 1.0)
    data = bytearray(path.read_bytes())
    data[40:44] = struct.pack("<I", 0xFFFFFFFF)
    path.write_bytes(data)
    assert probe(path).frames == 16_000


def test_mp3_cut_short_is_as_long_as_what_is_left(write_audio):
    path = write_audio("a.mp3", 20.0, 44_100, codec="libmp3lame", options=VBR)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 3])
    assert 1 < probe(path).seconds < 15
    assert probe(path).seconds == pytest.approx(decoded_seconds(path), abs=0.05)


def test_two_mp3_files_joined_are_as_long_as_both(write_audio):
    path = write_audio("a.mp3", 5.0, 44_100, codec="libmp3lame", options=VBR)
    path.write_bytes(path.read_bytes() * 2)
    assert probe(path).seconds == pytest.approx(10, abs=0.15)  # each brings its encoder's delay


@pytest.mark.parametrize(
    "name, content, reason",
    [
        ("none.wav", None, "no such file"),
        ("empty.wav", b"", "empty"),
        ("text.wav", b"this is no audio" * 99, "neither libsndfile nor FFmpeg"),
        ("text.g722", b"", "empty"),
        ("a.raw", b"\0" * 3000, "no sound track|neither libsndfile nor FFmpeg"),
    ],
)
def test_what_is_no_audio_is_refused_by_name(tmp_path, name, content, reason):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(UnreadableAudio, match=reason) as refusal:
        probe(tmp_path / name)
    assert refusal.value.path == os.fspath(tmp_path / name)


def test_a_folder_is_refused(tmp_path):
    with pytest.raises(UnreadableAudio, match="folder"):
        probe(tmp_path)


def test_a_header_without_audio_is_refused(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros(0, np.float32), 16_000)
    with pytest.raises(UnreadableAudio, match="holds no audio"):
        probe(tmp_path / "a.wav")


def test_a_film_without_sound_is_refused(tmp_path):
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        stream = container.add_stream("mpeg4", rate=5)
        stream.width = stream.height = 64
        container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8))))
        container.mux(stream.encode())
    with pytest.raises(UnreadableAudio, match="no sound track"):
        probe(tmp_path / "a.mp4")


@pytest.fixture
def unknown_codec(write_audio):
    """A wav whose header names a codec that does not exist."""
    path = write_audio("a.wav", 1.0)
    data = bytearray(path.read_bytes())
    data[20:22] = b"\x77\x77"
    path.write_bytes(data)
    return path


@pytest.fixture
def wide_integers(tmp_path, signal):
    """A caf of 64-bit integers, which FFmpeg decodes and PyAV cannot hand over."""
    path = tmp_path / "a.caf"
    soundfile.write(path, signal(0.2, 8000), 8000, subtype="DOUBLE")
    data = bytearray(path.read_bytes())
    data[35] &= ~1  # the last byte of mFormatFlags: no floats
    path.write_bytes(data)
    return path


def test_a_codec_nobody_knows_is_refused(unknown_codec):
    with pytest.raises(UnreadableAudio, match="knows its codec"):
        probe(unknown_codec)


def test_samples_that_no_array_can_hold_are_refused(wide_integers):
    with pytest.raises(UnreadableAudio, match="does not decode .*s64"):
        load_waveform(wide_integers)
    with pytest.raises(UnreadableAudio, match="does not decode .*s64"):
        list(blocks(os.fspath(wide_integers), probe(wide_integers), faults=Faults()))


def test_more_channels_than_pyav_can_hand_over_are_refused():
    """A damaged AAC may be of 24; PyAV takes them from memory that is not the frame's, and dies."""
    frame = SimpleNamespace(
        format=SimpleNamespace(is_planar=True), layout=SimpleNamespace(nb_channels=24)
    )
    with pytest.raises(UnreadableAudio, match="it has 24 channels"):
        samples_of("a.flv", frame)


def test_a_header_without_a_rate_has_no_length():
    assert AudioHeader(0, 0, 0, "AAC", 0).seconds == 0


def test_a_rate_of_a_few_samples_a_second_is_a_damaged_header(tmp_path, signal):
    soundfile.write(tmp_path / "a.wav", signal(1.0, 8000), 7)
    with pytest.raises(UnreadableAudio, match="damaged, it states 7 samples a second"):
        probe(tmp_path / "a.wav")


def test_a_length_that_so_few_bytes_cannot_hold_is_refused(write_audio):
    path = write_audio("a.flac", 1.0)
    data = bytearray(path.read_bytes())
    data[21] |= 0x0F  # the total of STREAMINFO: 36 bits that end at byte 26
    path.write_bytes(data)
    with pytest.raises(UnreadableAudio, match="bytes may hold .* s of audio, and it unpacks to"):
        probe(path)


@pytest.mark.parametrize("name", ["12:30.m4a", "12:30.mp3"])
def test_a_relative_name_may_hold_a_colon(name, write_audio, tmp_path, monkeypatch):
    write_audio("b" + name[-4:], 1.0, codec={"m4a": "aac", "mp3": "libmp3lame"}[name[-3:]])
    (tmp_path / ("b" + name[-4:])).rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    assert len(load_waveform(name)) == pytest.approx(16_000, abs=1600)


@pytest.mark.parametrize("suffix", [b".wav", b".mp3", b".m4a"])
def test_a_name_need_not_be_utf8(suffix, write_audio):
    kinds = {b".wav": None, b".mp3": "libmp3lame", b".m4a": "aac"}
    path = write_audio("a" + suffix.decode(), 1.0, codec=kinds[suffix])
    name = os.fsdecode(os.fsencode(path.parent) + b"/caf\xe9" + suffix)
    os.rename(path, name)
    assert probe(name).seconds == pytest.approx(1.0, abs=0.1)
    assert len(load_waveform(name)) == pytest.approx(16_000, abs=1600)


MUTATED = {
    "a.wav": {}, "a.flac": {}, "a.ogg": {}, "a.mp3": {}, "a.caf": {}, "a.w64": {}, "a.aiff": {},
    "a.au": {}, "a.m4a": {"codec": "aac"}, "a.aac": {"codec": "aac"},
    "a.mka": {"codec": "libmp3lame"}, "a.webm": {"codec": "libopus", "sample_rate": 48_000},
}  # fmt: skip


@pytest.mark.parametrize("name", MUTATED)
def test_damaged_bytes_give_audio_or_a_refusal_and_nothing_else(name, write_audio):
    path = write_audio(name, **{"seconds": 0.3, "sample_rate": 22_050, **MUTATED[name]})
    whole = path.read_bytes()
    rng = np.random.default_rng(5)
    for _ in range(100):
        path.write_bytes(mutated(whole, rng))
        try:
            header = probe(path)
            if header.seconds < 600:  # memory that is stated and there is taken
                waveform = load_waveform(path, header=header)
                assert waveform.dtype == np.float32 and waveform.ndim == 1
        except UnreadableAudio:
            pass


def mutated(whole, rng):
    """Cut short, with foreign bytes put in, or with some changed in the header or anywhere."""
    data, kind = bytearray(whole), rng.integers(4)
    if kind == 0:
        return data[: rng.integers(len(data))]
    if kind == 1:
        place = rng.integers(len(data))
        data[place:place] = rng.bytes(rng.integers(1, 3000))
        return data
    places = rng.integers(200 if kind == 2 else len(data), size=rng.integers(1, 10))
    for place in places % len(data):
        data[place] = rng.integers(256)
    return data


def test_content_counts_not_the_suffix(write_audio, tmp_path):
    shutil.move(write_audio("a.m4a", 1.0, codec="aac"), tmp_path / "a.wav")
    assert probe(tmp_path / "a.wav").encoding == "AAC"


def test_refusal_survives_the_way_out_of_a_worker():
    error = pickle.loads(pickle.dumps(UnreadableAudio("a.wav", "it is empty")))
    assert (error.path, error.reason) == ("a.wav", "it is empty")


def test_headers_protocols_and_plans_import_no_torch():
    code = (
        "import sys, dataio.probe, dataio.protocol, dataio.batching; "
        "print([name for name in ('torch', 'pandas', 'av') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

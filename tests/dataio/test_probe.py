"""Headers: lengths against decoding, the protocol's words, refusals."""

import os
import pickle
import shutil
import struct
import subprocess
import sys

import av
import numpy as np
import pytest
import soundfile

from dataio.probe import UnreadableAudio, probe

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

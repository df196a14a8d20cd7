"""Pieces equal the whole file's; resampling is torchaudio's; refusals name the file."""

import math
import subprocess
import sys

import av
import numpy as np
import pytest
import soundfile
import torch
import torchaudio

from dataio.audio import load_waveform
from dataio.probe import UnreadableAudio, probe
from dataio.resampling import _resample_pointwise, filter_shape, resample, resample_blocks

SECONDS = 12.3
NO_PNS = {"options": {"aac_pns": "0"}}  # else the decoder fills bands with noise of its own
VBR = {"flags": "+qscale", "global_quality": str(4 * 118)}  # ffmpeg -q:a 4
BARE = {"container_options": {"write_xing": "0"}}

FILES = {
    "16k.wav": {"sample_rate": 16_000},
    "8k.wav": {"sample_rate": 8000},
    "stereo_44k.wav": {"sample_rate": 44_100, "channels": 2},
    "48k.flac": {"sample_rate": 48_000},
    "stereo_22k.flac": {"sample_rate": 22_050, "channels": 2},
    "16k.mp3": {"sample_rate": 16_000},
    "stereo_44k.mp3": {"sample_rate": 44_100, "channels": 2},
    "vbr.mp3": {"sample_rate": 44_100, "codec": "libmp3lame", "options": VBR},
    "bare.mp3": {"sample_rate": 44_100, "codec": "libmp3lame", "options": VBR, **BARE},
    "24k.ogg": {"sample_rate": 24_000},
    "16k.m4a": {"sample_rate": 16_000, "codec": "aac", **NO_PNS},
    "stereo_44k.m4a": {"sample_rate": 44_100, "channels": 2, "codec": "aac", **NO_PNS},
    "lossless.m4a": {"sample_rate": 48_000, "codec": "alac"},
    "a.aac": {"sample_rate": 44_100, "codec": "aac", **NO_PNS},
    "a.webm": {"sample_rate": 48_000, "codec": "libopus"},
}


@pytest.mark.parametrize("name", FILES)
def test_a_piece_equals_that_piece_of_the_whole_file(write_audio, name):
    path = write_audio(name, SECONDS, **FILES[name])
    whole = load_waveform(path)
    assert whole.dtype == np.float32 and whole.ndim == 1
    assert len(whole) == math.ceil(probe(path).frames * 16_000 / probe(path).sample_rate)
    for start, longest in ((0, 1), (0.0371, 2.5), (3.3333, 4), (7.1, 0.025), (9, 60), (12.2, 1)):
        piece = load_waveform(path, start_seconds=start, max_seconds=longest)
        begin = round(start * 16_000)
        expected = whole[begin : begin + round(longest * 16_000)]
        np.testing.assert_allclose(piece, expected, rtol=0, atol=1e-6)  # same length, too


@pytest.mark.parametrize("damage", ["joined", "cut"])
def test_a_piece_of_a_damaged_mp3_is_in_its_place(write_audio, capfd, damage):
    path = write_audio("a.mp3", SECONDS, 44_100, codec="libmp3lame", options=VBR)
    data = path.read_bytes()
    path.write_bytes(data * 2 if damage == "joined" else data[: len(data) // 2])
    whole = load_waveform(path)
    for start in np.linspace(0, len(whole) / 16_000 - 0.1, 12):
        piece = load_waveform(path, start_seconds=start, max_seconds=1.0)
        expected = whole[round(start * 16_000) :][:16_000]
        np.testing.assert_allclose(piece, expected, rtol=0, atol=1e-6)
    assert capfd.readouterr().err == ""  # libmpg123 would complain on the terminal


def test_an_aac_piece_with_substituted_noise_is_in_its_place(write_audio):
    """FFmpeg draws such noise from a generator that runs on: equal but for that noise."""
    path = write_audio("a.m4a", SECONDS, 44_100, codec="aac")
    piece = load_waveform(path, start_seconds=6.0, max_seconds=3.0)
    whole = load_waveform(path)
    shifts = range(-20, 21)
    errors = [np.abs(piece - whole[96_000 + s :][: len(piece)]).mean() for s in shifts]
    assert shifts[int(np.argmin(errors))] == 0


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.m4a"])
def test_lossless_files_give_the_samples_written(write_audio, signal, name):
    codec = {"codec": "alac"} if name == "a.m4a" else {}
    path = write_audio(name, 2.0, 16_000, channels=2, **codec)
    expected = signal(2.0, 16_000, 2).mean(axis=1)
    np.testing.assert_allclose(load_waveform(path), expected, rtol=0, atol=1 / 32768)


@pytest.mark.parametrize("rate", [8000, 11_025, 22_050, 24_000, 32_000, 44_100, 48_000, 96_000])
def test_resampling_is_that_of_torchaudio(signal, rate):
    samples = signal(1.2345, rate)[:, 0]
    expected = torchaudio.functional.resample(torch.from_numpy(samples), rate, 16_000).numpy()
    np.testing.assert_allclose(resample(samples, rate), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("rate", [8000, 11_025, 24_000, 44_100])
def test_the_number_of_threads_changes_no_bit(signal, rate):
    """So that a file is the same in the main process and in a loader worker."""
    before = torch.get_num_threads()
    samples = signal(0.1, rate)[:, 0]
    try:
        outputs = []
        for threads in (1, 2, 4, 16):
            torch.set_num_threads(threads)
            outputs.append(resample(samples, rate).tobytes())
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    assert len(set(outputs)) == 1


@pytest.mark.parametrize("rate", [8000, 11_025, 22_050, 44_100, 48_000, 96_000, 44_101])
def test_resampling_in_blocks_changes_no_bit(signal, monkeypatch, rate):
    monkeypatch.setattr("dataio.resampling._AT_ONCE", 1 << 16)
    samples = signal((5 << 16) / rate + 0.1, rate)[:, 0]
    blocks = (samples[at : at + 20_001] for at in range(0, len(samples), 20_001))
    pieces = list(resample_blocks(blocks, rate))
    assert len(pieces) > 1
    np.testing.assert_array_equal(np.concatenate(pieces), resample(samples, rate))


@pytest.mark.slow
def test_a_long_file_takes_the_memory_of_what_is_returned(tmp_path, signal):
    """10 minutes of 48 kHz stereo: 230 MB as they are decoded, 38 MB as they are returned."""
    minute = signal(60, 48_000, 2)
    with soundfile.SoundFile(tmp_path / "a.flac", "w", 48_000, 2) as sound:
        for _ in range(10):
            sound.write(minute)
    code = (
        "import resource, sys, torch\n"
        "from dataio.audio import load_waveform\n"
        "load_waveform(sys.argv[1], max_seconds=30)\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "waveform = load_waveform(sys.argv[1])\n"
        "print(len(waveform), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "a.flac")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    samples, kilobytes = map(int, done.stdout.split())
    assert samples == 10 * 60 * 16_000
    assert kilobytes < 4 * samples / 1024 + 150_000


@pytest.mark.parametrize("rate", [8000, 22_050, 48_000])
def test_pointwise_filter_is_the_same_filter(signal, rate):
    samples = signal(0.5, rate)[:, 0]
    pointwise = _resample_pointwise(samples, *filter_shape(rate))
    np.testing.assert_allclose(pointwise, resample(samples, rate), rtol=0, atol=1e-4)


def test_a_rate_that_shares_no_factor_keeps_a_tone(tmp_path):
    rate = 44_101  # torchaudio's kernel for it takes 3 GB
    tone = np.sin(2 * np.pi * 1000 * np.arange(rate) / rate).astype(np.float32)
    soundfile.write(tmp_path / "a.wav", tone, rate, subtype="FLOAT")
    waveform = load_waveform(tmp_path / "a.wav")
    expected = np.sin(2 * np.pi * 1000 * np.arange(16_000) / 16_000)
    assert len(waveform) == 16_000
    np.testing.assert_allclose(waveform[100:-100], expected[100:-100], atol=2e-3)


def test_a_tone_above_the_new_cut_off_vanishes():
    tone = np.sin(2 * np.pi * 15_000 * np.arange(48_000) / 48_000).astype(np.float32)
    assert np.abs(resample(tone, 48_000)[100:-100]).max() < 5e-3


def test_mono_is_the_channel_mean_before_resampling(tmp_path, signal):
    stereo = signal(1.0, 8000, 2)
    soundfile.write(tmp_path / "a.wav", stereo, 8000, subtype="FLOAT")
    np.testing.assert_array_equal(
        load_waveform(tmp_path / "a.wav"), resample(stereo.mean(axis=1), 8000)
    )


def test_the_sound_of_a_film_is_read(write_audio):
    path = write_audio("film.mp4", 3.0, 44_100, 2, codec="aac", video=True)
    assert len(load_waveform(path)) == pytest.approx(48_000, abs=800)


def test_raw_g722_is_decoded(tmp_path, signal):
    with av.open(str(tmp_path / "a.g722"), "w", format="g722") as container:
        stream = container.add_stream("g722", rate=16_000, layout="mono")
        samples = (signal(1.5, 16_000).T * 32767).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
        frame.sample_rate = 16_000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    waveform = load_waveform(tmp_path / "a.g722")
    assert len(waveform) == 24_000
    aligned = np.correlate(waveform, samples[0] / 32767, "same")
    assert abs(int(np.argmax(aligned)) - 12_000) <= 32  # the codec's filters delay by 22 samples


def test_a_long_file_is_not_read_whole_for_a_piece(write_audio, monkeypatch):
    path = write_audio("long.flac", 60.0)
    read = []
    whole_read = soundfile.SoundFile.read

    def counting_read(self, *args, **kwargs):
        samples = whole_read(self, *args, **kwargs)
        read.append(len(samples))
        return samples

    monkeypatch.setattr(soundfile.SoundFile, "read", counting_read)
    load_waveform(path, start_seconds=30, max_seconds=2)
    assert sum(read) == 32_000


def test_samples_that_are_not_finite_are_refused(tmp_path):
    samples = np.zeros(1000, np.float32)
    for value in (np.nan, np.inf):
        samples[500] = value
        soundfile.write(tmp_path / "a.wav", samples, 16_000, subtype="FLOAT")
        with pytest.raises(UnreadableAudio, match="not finite"):
            load_waveform(tmp_path / "a.wav")


def test_a_piece_behind_the_end_is_refused(write_audio):
    with pytest.raises(UnreadableAudio, match=r"ends before 5\.00 s"):
        load_waveform(write_audio("a.wav", 2.0), start_seconds=5.0)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(UnreadableAudio, match="no such file"):
        load_waveform(tmp_path / "a.wav")

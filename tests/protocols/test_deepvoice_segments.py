"""Cutting the DEEP-VOICE recordings by the release's log."""

import numpy
import pytest
import soundfile

AUDIO = "DeepVoice/KAGGLE/AUDIO"
LOG = """\
Audio: alice-to-bob_seg_1, start at: 0, end at: 5000
Saved: /x/Data/DeepVoice/AUDIO_SEGMENTS/FAKE/alice-to-bob_seg_1.wav
Audio: alice-to-bob_seg_2, start at: 4000, end at: 9999999
Saved: /x/Data/DeepVoice/AUDIO_SEGMENTS/FAKE/alice-to-bob_seg_2.wav
Audio: bob-original_seg_1, start at: 1000, end at: 5000
Saved: /x/Data/DeepVoice/AUDIO_SEGMENTS/REAL/bob-original_seg_1.wav
Audio: carol-to-bob_seg_1, start at: 0, end at: 10
Saved: /x/Data/DeepVoice/AUDIO_SEGMENTS/FAKE/carol-to-bob_seg_1.wav
All done
"""


def cut(protocols, log=LOG):
    with open("log.txt", "w") as file:
        file.write(log)
    return protocols("deepvoice_segments", "--log", "log.txt", "--data_folder", "data")


@pytest.fixture
def recordings(write_audio, tmp_path):
    write_audio(f"{AUDIO}/FAKE/alice-to-bob.wav", seconds=0.25, rate=44100, channels=2, seed=1)
    write_audio(f"{AUDIO}/REAL/bob-original.wav", seconds=0.25, rate=44100, seed=2)


def test_segments_are_the_samples_of_the_log_bit_for_bit(recordings, protocols, tmp_path):
    status, out, err = cut(protocols)
    assert status == 0
    data = tmp_path / "data"
    source, rate = soundfile.read(data / AUDIO / "FAKE/alice-to-bob.wav", dtype="int16")
    folder = data / "DeepVoice/KAGGLE/AUDIO_SEGMENTS"
    for name, start, end in (("1", 0, 5000), ("2", 4000, len(source))):
        path = folder / f"FAKE/alice-to-bob_seg_{name}.wav"
        samples, segment_rate = soundfile.read(path, dtype="int16")
        assert segment_rate == rate == 44100
        assert numpy.array_equal(samples, source[start:end])
        assert soundfile.info(path).subtype == "PCM_16"
    assert len(soundfile.read(folder / "REAL/bob-original_seg_1.wav")[0]) == 4000
    assert "3 segments of 2 recordings written" in out
    assert "1 recordings are missing" in out
    assert "carol-to-bob.wav: 1 segments left out" in err


def test_the_segments_have_a_protocol(recordings, protocols):
    cut(protocols)
    status, out, _ = protocols("build", "DeepVoice", "--data_folder", "data")
    assert status == 0
    assert "3 rows, 1 real and 2 fake" in out


def test_an_unreadable_recording_is_counted_and_the_others_are_cut(recordings, protocols, tmp_path):
    (tmp_path / "data" / AUDIO / "FAKE/alice-to-bob.wav").write_text("no audio")
    status, out, err = cut(protocols)
    assert status == 0
    assert "1 segments of 1 recordings written" in out
    assert "1 recordings are missing, 1 unreadable" in out
    assert "alice-to-bob.wav is unreadable (Format not recognised.): 2 segments left out" in err


def test_a_segment_past_the_end_of_its_recording_is_refused(recordings, protocols):
    log = "Audio: bob-original_seg_1, start at: 11025, end at: 12000\n"
    status, _, err = cut(protocols, log)
    assert status == 2
    assert "is it the right recording?" in err


@pytest.mark.parametrize(
    ("log", "message"),
    [
        ("Audio: x_seg_1, start at: a, end at: 5\n", "unknown form of line 1"),
        ("Saved: x\n", "no line beginning with 'Audio:'"),
        ("Audio: none-to-none_seg_1, start at: 0, end at: 5\n", "no readable recording of the log"),
    ],
)
def test_what_is_no_log_is_refused(log, message, protocols):
    status, _, err = cut(protocols, log)
    assert status == 2
    assert message in err


def test_a_missing_log_is_refused(protocols):
    status, _, err = protocols("deepvoice_segments", "--log", "none.txt", "--data_folder", ".")
    assert (status, "no file none.txt" in err) == (2, True)

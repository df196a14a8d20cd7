"""`python -m augment preview`: a wav for each example, one readable picture, mistakes named."""

import subprocess
import sys

import numpy as np
import pytest
import soundfile

from augment.__main__ import main
from augment.catalogue import EXAMPLES, synthetic_recordings
from augment.codecs import CODECS
from augment.effects import EFFECTS
from augment.preview import augment_all, level_db


@pytest.fixture
def speech(tmp_path):
    path = tmp_path / "speech.wav"
    rng = np.random.default_rng(0)
    envelope = 0.5 + 0.5 * np.sin(np.arange(24_000) / 1_500)
    soundfile.write(path, 0.1 * envelope * rng.standard_normal(24_000), 16_000)
    return path


def test_every_effect_codec_and_algorithm_has_an_example():
    entries = [entry for entry, _ in EXAMPLES.values()]
    assert {entry["name"] for entry in entries} == {*EFFECTS, "rawboost"}
    assert {entry["codec"] for entry in entries if entry["name"] == "codec"} == set(CODECS)
    algorithms = {entry["algo"] for entry in entries if entry["name"] == "rawboost"}
    assert algorithms == set(range(1, 9))


@pytest.mark.slow
def test_preview_writes_a_wav_for_each_example_and_one_picture(speech, tmp_path, capsys):
    output = tmp_path / "preview"
    assert main(["preview", str(speech), "--output", str(output), "--seconds", "1"]) == 0
    printed = capsys.readouterr().out
    wavs = sorted(output.glob("*.wav"))
    left_out = printed.count("left out: ")
    assert len(wavs) == 1 + len(EXAMPLES) - left_out
    assert [soundfile.info(wav).frames for wav in wavs] == [16_000] * len(wavs)
    original, _ = soundfile.read(wavs[0], dtype="float32")
    for wav in wavs[1:]:
        augmented, _ = soundfile.read(wav, dtype="float32")
        assert np.isfinite(augmented).all()
        assert np.abs(augmented - original).max() > 1e-4, wav.name
    picture = (output / "spectrograms.png").read_bytes()
    assert picture.startswith(b"\x89PNG") and len(picture) > 50_000
    assert not list(output.glob("*.part"))


@pytest.mark.slow
def test_ones_own_noises_and_rooms_are_taken(speech, tmp_path):
    settings = synthetic_recordings(tmp_path / "recordings")
    waveform, _ = soundfile.read(speech, dtype="float32")
    versions, _ = augment_all(waveform, settings, seed=3)
    again, _ = augment_all(waveform, settings, seed=3)
    other, _ = augment_all(waveform, settings, seed=4)
    np.testing.assert_array_equal(versions["noise"], again["noise"])
    assert np.abs(versions["noise"] - other["noise"]).max() > 1e-3
    folder = settings["noise"]["folder"]
    output = str(tmp_path / "preview")
    words = ["preview", str(speech), "--output", output, "--noise", folder, "--rooms"]
    assert main([*words, settings["reverberation"]["folder"]]) == 0


def test_mistakes_end_with_status_2_and_one_line(speech, tmp_path, capsys):
    output = str(tmp_path / "preview")
    text = tmp_path / "notes.wav"
    text.write_text("not audio")
    for words, culprit in (
        ([str(tmp_path / "absent.wav"), "--output", output], "absent.wav"),
        ([str(text), "--output", output], "notes.wav"),
        ([str(speech), "--output", output, "--noise", str(tmp_path / "nowhere")], "nowhere"),
        ([str(tmp_path), "--output", output], str(tmp_path)),
        ([str(speech), "--output", str(text)], f"{text} is a file"),
        ([str(speech), "--output", f"{text}/below"], f"{text} is a file"),
        ([str(speech), "--output", output, "--seed", "-1"], "--seed -1"),
        ([str(speech), "--output", output, "--seconds", "nan"], "--seconds nan"),
        ([str(speech), "--output", output, "--seconds", "-1"], "--seconds -1"),
        ([str(speech), "--output", output, "--seconds", "0"], "--seconds 0"),
        ([str(speech), "--output", output, "--seconds", "inf"], "--seconds inf"),
    ):
        assert main(["preview", *words]) == 2
        printed = capsys.readouterr().err
        assert printed.startswith("error: ") and culprit in printed and printed.count("\n") == 1
    assert not (tmp_path / "preview").exists()


def test_a_full_scale_sine_is_at_0_db_and_silence_far_below():
    sine = np.sin(2 * np.pi * 1_000 / 16_000 * np.arange(16_000))
    assert level_db(sine).max() == pytest.approx(0, abs=0.1)
    assert level_db(np.zeros(10)).max() <= -120


def test_help_runs_as_a_command():
    command = [sys.executable, "-m", "augment", "preview", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "--output DIR" in done.stdout

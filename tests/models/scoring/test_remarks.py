"""What is said beside a score: faults of the file, channels that differ, silence, no speech."""

import csv

import numpy as np
import pytest
import soundfile

import main
from dataio.audio import load_waveform
from dataio.probe import probe
from models.scoring import remarks
from protocols.making.voice import draw_speaker, draw_tracks, synthesise

RATE = 16_000


def voice(seed, seconds=2.0):
    """(T,) float32 of a voice made of formulas."""
    rng = np.random.default_rng(seed)
    speaker = draw_speaker(rng)
    waveform = synthesise(speaker, draw_tracks(speaker, seconds, rng), rng)
    return (0.5 * waveform / np.abs(waveform).max()).astype(np.float32)


@pytest.fixture
def write(tmp_path):
    def write(name, *channels):
        size = min(map(len, channels))
        soundfile.write(tmp_path / name, np.stack([c[:size] for c in channels], 1), RATE)
        return tmp_path / name

    return write


@pytest.fixture
def score(checkpoint, tmp_path, capfd):
    """`score(files, *options) -> (status, rows of the CSV by ID, out, err)`."""

    def run(files, *options):
        output = tmp_path / "out/v.csv"
        words = [f"--ckpt_path={checkpoint}", "--device=cpu", f"--output={output}", *options]
        status = main.main(["score", "hparams/w2v_tiny.yaml", *map(str, files), *words])
        rows = list(csv.DictReader(output.open())) if output.exists() else []
        return status, {row["ID"]: row for row in rows}, *capfd.readouterr()

    return run


def test_each_channel_is_scored_as_a_file_of_its_own(write, score):
    left, right = voice(1), voice(2)
    both, alone = write("both.wav", left, right), write("alone.wav", right)
    _, rows, out, _ = score([both, alone], "--channels=each")
    assert set(rows) == {f"{both} [left]", f"{both} [right]", str(alone)}
    assert rows[f"{both} [right]"]["PReal"] == rows[str(alone)]["PReal"]
    assert rows[f"{both} [left]"]["PReal"] != rows[str(alone)]["PReal"]
    assert [row["Channel"] for row in rows.values()] == ["left", "right", "mix"]
    assert f"{both} [left]" in out
    for side in ("left", "right"):
        _, single, _, _ = score([both, alone], f"--channels={side}")
        assert single[str(both)]["PReal"] == rows[f"{both} [{side}]"]["PReal"]
        assert single[str(alone)]["PReal"] == rows[str(alone)]["PReal"]  # a mono file's only one


def test_more_than_two_channels_are_numbered(write, score):
    path = write("three.wav", voice(1), voice(2), voice(3))
    _, rows, _, _ = score([path], "--channels=each")
    assert list(rows) == [f"{path} [channel {number}]" for number in (1, 2, 3)]


def test_a_wrong_word_for_channels_is_refused(write, score):
    status, _, _, err = score([write("a.wav", voice(1))], "--channels=middle")
    assert status == 2 and "mix, each, left, right" in err and err.count("\n") == 1


def test_channels_of_two_voices_are_remarked_on_and_those_of_one_are_not(write, score):
    one, two = voice(1), voice(2)
    differ, same = write("two.wav", one, two), write("one.wav", one, 0.7 * one)
    one_sided = write("half.wav", one, np.zeros_like(one))
    _, rows, out, _ = score([differ, same, one_sided])
    assert "hold different sounds" in rows[str(differ)]["Remark"]
    assert "try --channels each" in out
    assert rows[str(same)]["Remark"] == rows[str(one_sided)]["Remark"] == ""


def test_inverted_channels_are_silence_without_a_verdict(write, score, tmp_path):
    path, good = write("inverted.wav", voice(1), -voice(1)), write("good.wav", voice(2))
    status, rows, _, err = score([path, good])
    assert status == 3 and list(rows) == [str(good)]
    assert "digital silence once its channels are mixed, on which there is no verdict" in err
    (skipped,) = csv.DictReader((tmp_path / "out/v.skipped.csv").open())
    assert (skipped["Path"], skipped["Kind"]) == (str(path), "silent")
    assert score([path, good], "--allow_skipped=True")[0] == 0
    assert len(score([path], "--channels=left")[1]) == 1


def test_a_file_that_breaks_off_is_scored_with_a_remark(write, score):
    path = write("cut.flac", voice(1, 4.0))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    status, rows, out, _ = score([path])
    assert status == 0 and "it breaks off at" in rows[str(path)]["Remark"]
    assert "it breaks off at" in out


def test_inference_lists_what_is_wrong_with_files_that_it_scores(corpus, checkpoint, capfd):
    """And silence, and both again after a kill."""
    cut, silent = (corpus / f"Data/Toy/test/00{number}.wav" for number in (1, 2))
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size * 3 // 4])
    soundfile.write(silent, np.zeros(RATE), RATE)
    scores = corpus / "s.csv"
    words = [f"--base_path={corpus}", f"--data_folder={corpus}/Data", f"--score_path={scores}"]
    words += [f"--test_csv={corpus}/protocols/test.csv", f"--ckpt_path={checkpoint}"]
    assert main.main(["inference", "hparams/w2v_tiny.yaml", *words, "--device=cpu"]) == 3
    (remark,) = csv.DictReader((corpus / "s.remarks.csv").open())
    assert remark["Path"] == str(cut) and "it breaks off at" in remark["Remark"]
    (skipped,) = csv.DictReader((corpus / "s.skipped.csv").open())
    assert (skipped["Path"], skipped["Kind"]) == (str(silent), "silent")
    err = capfd.readouterr().err
    assert "warning: Toy-test-001: it breaks off" in err and "s.remarks.csv" in err
    assert len(list(csv.DictReader(scores.open()))) == 9


@pytest.mark.needs("silero_vad")
def test_the_verdict_on_noise_is_that_there_is_no_speech(write, score, tmp_path):
    noise = np.random.default_rng(0).normal(0, 0.1, 2 * RATE).astype(np.float32)
    path, spoken = write("noise.wav", noise), write("voice.wav", voice(1, 3.0))
    status, rows, out, _ = score([path, spoken])
    assert status == 0 and rows[str(path)]["Verdict"] == "no speech"
    assert float(rows[str(path)]["PReal"]) > 0 and "no speech was found in it" in out
    assert rows[str(spoken)]["Verdict"] in ("real", "fake")
    assert remarks.UNCHECKED not in (tmp_path / "out/v.meta.json").read_text()


def test_without_the_package_one_sentence_says_that_speech_was_not_checked(
    write, score, monkeypatch
):
    monkeypatch.setattr("models.scoring.speech.find_spec", lambda _name: None)
    path = write("noise.wav", np.random.default_rng(0).normal(0, 0.1, RATE).astype(np.float32))
    _, rows, out, _ = score([path])
    assert rows[str(path)]["Verdict"] in ("real", "fake") and out.count(remarks.UNCHECKED) == 1


def test_the_mix_of_a_file_is_read_as_before(write):
    path = write("a.wav", voice(1), voice(2))
    mix, left = load_waveform(path), load_waveform(path, channel=0)
    right = load_waveform(path, channel=1, header=probe(path))
    np.testing.assert_array_equal(mix, (left + right) / 2)

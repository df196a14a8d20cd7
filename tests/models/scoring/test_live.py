"""`main.py stream`: a line each hop, the same for any source, nothing said without evidence."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import sys
import time
import types

import numpy as np
import pytest
import soundfile
import torch

import main
from dataio.live import Paced, microphone, pcm
from dataio.schema import UserError
from metrics.calibration import Calibration, save_calibration
from models.checkpoints import load_detector
from models.in_flight import InFlight
from models.scoring.live import LiveSpeech

RATE = 16_000
WINDOWS = ["--window_seconds=2", "--hop_seconds=1", "--pace=null"]


pytestmark = pytest.mark.usefixtures("by_seconds")


@pytest.fixture
def recording(tmp_path):
    """5.7 s of noise as a 16-bit file: (samples (T,), path)."""
    samples = 0.2 * np.random.default_rng(1).standard_normal(round(5.7 * RATE)).clip(-3, 3)
    path = tmp_path / "a.wav"
    soundfile.write(path, samples, RATE)
    return soundfile.read(path, dtype="float32")[0], str(path)


@pytest.fixture
def listen(checkpoint, capsys):
    def run(*words):
        status = main.main(["stream", "hparams/w2v_tiny.yaml", *words[:1],
                            f"--ckpt_path={checkpoint}", "--device=cpu", *words[1:]])  # fmt: skip
        out, err = capsys.readouterr()
        return status, [json.loads(line) for line in out.splitlines()], err

    return run


def test_windows_are_scored_as_files_of_their_own(listen, recording, checkpoint):
    samples, path = recording
    status, (*lines, end), err = listen(path, *WINDOWS)
    spans = [(0, 2), (1, 3), (2, 4), (3, 5), (3.7, 5.7)]
    assert status == 0 and [(line["start"], line["stop"]) for line in lines] == spans
    detector, _ = load_detector("w2v_tiny", checkpoint)
    for line in lines:
        piece = samples[round(line["start"] * RATE) : round(line["stop"] * RATE)]
        with torch.inference_mode():
            wanted = detector.eval()(torch.from_numpy(piece[None])).logits[0].tolist()
        assert line["logits"] == pytest.approx(wanted, abs=1e-5)
    assert (end["ended"], end["windows"], end["dropped"]) == ("end of input", 5, 0)
    assert lines[-1]["verdict"] is None and "no verdict is given without --calibration" in err
    # the mean, each window weighing the seconds it adds: 2, 1, 1, 1 and 0.7
    differences = [line["logits"][1] - line["logits"][0] for line in lines]
    mean = np.average(differences, weights=[2, 1, 1, 1, 0.7])
    assert end["running_p_real"] == pytest.approx(1 / (1 + np.exp(-mean)))


def test_a_pipe_says_what_the_file_says(listen, recording, monkeypatch):
    samples, path = recording
    content = np.round(samples * 32768).astype("<i2").tobytes()

    class Pipe:
        buffer = io.BytesIO(content + b"\0")  # half a sample at the end
        isatty = staticmethod(lambda: False)

    _, by_file, _ = listen(path, *WINDOWS)
    monkeypatch.setattr("sys.stdin", Pipe)
    status, by_pipe, _ = listen("-", *WINDOWS)
    keep = ("start", "stop", "logits", "running_p_real")
    assert status == 0
    assert [{k: line.get(k) for k in keep} for line in by_pipe] == [
        {k: line.get(k) for k in keep} for line in by_file
    ]


def test_a_calibration_brings_a_verdict_that_stays(listen, recording, tmp_path):
    for offset, word in ((9.0, "real"), (-9.0, "fake")):
        path = tmp_path / "cal.json"
        save_calibration(path, Calibration("affine", 0.0, offset))
        _, (*lines, end), _ = listen(recording[1], *WINDOWS, f"--calibration={path}")
        assert {line["verdict"] for line in lines} == {word} == {end["verdict"]}
        assert (end["decided_at"], lines[-1]["evidence"]) == (2, offset)
    save_calibration(path, Calibration("affine", 0.0, 0.1))
    _, (*lines, end), _ = listen(recording[1], *WINDOWS, f"--calibration={path}")
    assert {line["verdict"] for line in lines} == {"not yet"} and end["decided_at"] is None
    assert lines[-1]["evidence"] == pytest.approx(0.2)  # of 0 to 2 and 2 to 4 s; 3.7 s overlaps


def test_what_computing_cannot_keep_up_with_is_dropped_and_counted(listen, recording, monkeypatch):
    from models.scoring import live

    def slow(scorer, batch):
        time.sleep(0.5)
        return InFlight(torch.zeros(1, 2))

    monkeypatch.setattr(live, "forward", slow)
    words = ["--window_seconds=0.5", "--hop_seconds=0.1", "--pace=10"]
    _, (*lines, end), _ = listen(recording[1], *words)
    assert end["dropped"] > 10 and end["windows"] + end["dropped"] >= 52
    assert all(line["behind"] < 2 for line in lines) and end["heard"] == pytest.approx(5.7)


def test_digital_silence_has_no_score(listen, tmp_path):
    soundfile.write(tmp_path / "s.wav", np.zeros(3 * RATE), RATE)
    _, (*lines, end), _ = listen(str(tmp_path / "s.wav"), *WINDOWS)
    assert [line["logits"] for line in lines] == [None, None] and end["running_p_real"] is None


@pytest.mark.parametrize(
    "words, sentence",
    [
        (["nowhere.wav"], "there is no file nowhere.wav"),
        (["a.wav", "--window_seconds=null"], "window_seconds is null"),
        (["a.wav", "--max_far=0.7"], "max_far is 0.7: expected between 0 and 0.5"),
    ],
)
def test_a_mistake_is_one_sentence(listen, words, sentence):
    status, lines, err = listen(*words)
    assert (status, lines) == (2, []) and sentence in err


@pytest.mark.parametrize("rate", [8000, 44_100])
def test_pcm_of_another_rate_is_the_resampled_whole(rate):
    from dataio.resampling import resample

    samples = np.random.default_rng(2).integers(-9000, 9000, rate).astype("<i2")
    blocks = list(pcm(io.BytesIO(samples.tobytes()), rate))
    wanted = resample(samples.astype(np.float32) / 32768, rate)
    assert len(blocks) > 3
    np.testing.assert_allclose(np.concatenate(blocks), wanted, atol=1e-6)


def test_a_source_that_could_run_ahead_is_held_back():
    blocks = [np.zeros(1600, np.float32)] * 4
    source, begun, heard = Paced(iter(blocks), 1.0), time.monotonic(), 0
    while (came := source.take(1.0)) is not None:
        heard += len(came)
        assert all(at - begun >= 0.1 for at, _ in came)
    assert heard == 4 and time.monotonic() - begun >= 0.39


def test_an_error_of_the_source_is_raised_where_it_is_taken():
    def broken():
        yield np.zeros(16, np.float32)
        raise OSError("gone")

    source = Paced(broken(), None)
    assert len(source.take(5.0)) == 1
    with pytest.raises(OSError, match="gone"):
        source.take(5.0)


def test_without_a_microphone_one_sentence_says_what_to_do(listen, monkeypatch):
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    status, lines, err = listen()
    assert (status, lines) == (2, []) and "bash install.sh --with microphone" in err


def test_a_microphone_is_heard_until_it_breaks(monkeypatch):
    class Device:
        left = 3

        def __init__(self, samplerate, channels, dtype):
            assert (samplerate, channels, dtype) == (RATE, 1, "int16")

        __enter__ = lambda self: self  # noqa: E731
        __exit__ = lambda *_: None  # noqa: E731

        def read(self, count):
            self.left -= 1
            if not self.left:
                raise PortAudioError("unplugged")
            return np.full(count, 16384, "<i2").tobytes(), False

    class PortAudioError(Exception):
        pass

    fake = types.SimpleNamespace(RawInputStream=Device, PortAudioError=PortAudioError)
    monkeypatch.setitem(sys.modules, "sounddevice", fake)
    heard = microphone(RATE)
    assert [set(next(heard).tolist()) for _ in range(2)] == [{0.5}, {0.5}]
    with pytest.raises(UserError, match="unplugged"):
        next(heard)


@pytest.mark.slow
def test_ctrl_c_ends_with_what_is_known(checkpoint, recording):
    words = [sys.executable, "main.py", "stream", "hparams/w2v_tiny.yaml", recording[1]]
    words += [f"--ckpt_path={checkpoint}", "--device=cpu", "--window_seconds=0.5", "--pace=0.5"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        end = json.loads(process.stdout.readlines()[-1])
    assert process.returncode == 0 and end["ended"] == "SIGINT" and end["windows"] >= 1


@pytest.mark.needs("silero_vad")
def test_noise_is_no_speech_of_a_stream():
    noise = np.random.default_rng(0).standard_normal(RATE).astype(np.float32) * 0.01
    speech = LiveSpeech(RATE)
    speech.feed(noise[:700])
    speech.feed(noise[700:])
    assert speech.seconds == 0 and speech.within(0, 1) == 0


@pytest.mark.needs("silero_vad")
@pytest.mark.parametrize("size", [100, 512, 7000])
def test_speech_of_a_stream_is_counted_where_it_is_however_it_comes(size, monkeypatch):
    """A model that calls what is loud speech, under the package's own iterator."""

    class Loud:
        reset_states = staticmethod(lambda: None)

        def __call__(self, chunk, _rate):
            return (chunk.abs().mean() > 0.1).float()

    monkeypatch.setattr("models.scoring.live.load_vad", Loud)
    sound = np.zeros(4 * RATE, np.float32)
    sound[RATE : 2 * RATE] = 0.5
    speech = LiveSpeech(2 * RATE)
    for start in range(0, len(sound), size):
        speech.feed(sound[start : start + size])
    # the iterator lets go a tenth of a second after the last of it
    assert speech.seconds == pytest.approx(1.1, abs=0.08)
    assert speech.within(0.9, 2.3) == speech.seconds and speech.within(2.5, 4) == 0

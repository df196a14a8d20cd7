"""Detectors from Python: the manual's example, the names of `models`, what they cost to import."""

from __future__ import annotations

import math
import signal
import subprocess
import sys

import pytest
import soundfile
import torch
from support.pages import ROOT, blocks, page

import models
from dataio.schema import UserError
from models.detector import build_detector

EXAMPLES = blocks(page("python"), "python")


@pytest.fixture
def recordings(tmp_path, toy_corpus, monkeypatch):
    """speech.wav, recordings/a.wav and a file that is no audio, in the working directory."""
    files = sorted((toy_corpus / "Data").rglob("*.wav"))[:2]
    (tmp_path / "recordings").mkdir()
    for path, name in zip(files, ("speech.wav", "recordings/a.wav"), strict=True):
        soundfile.write(tmp_path / name, *soundfile.read(path))
    (tmp_path / "recordings/broken.wav").write_text("no audio")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def detector():
    torch.manual_seed(0)
    return build_detector("w2v_tiny")


def test_the_manuals_example_runs_as_written(recordings, detector, capsys):
    torch.save(detector.state_dict(), "mms-300m-anti-deepfake")
    code = "".join(block.text for block in EXAMPLES).replace('"mms_300m"', '"w2v_tiny"')
    names: dict = {}
    exec(compile(code, "python.md", "exec"), names)
    shown = capsys.readouterr().out
    assert "speech.wav 0." in shown and "broken.wav nan" in shown
    assert len(names["scores"]) == 2


def test_each_file_has_one_named_result_in_order(recordings, detector):
    found = models.score_files(detector, ["recordings", "speech.wav"])
    assert [file.path for file in found] == [
        "recordings/a.wav",
        "recordings/broken.wav",
        "speech.wav",
    ]
    good, bad, _ = found
    softmax = 1 / (1 + math.exp(good.fake_logit - good.real_logit))
    assert good.p_real == pytest.approx(softmax) and good.reason is None and good.seconds > 0
    assert math.isnan(bad.p_real) and math.isnan(bad.real_logit) and bad.reason


def test_scores_are_those_of_the_command(recordings, detector, capsys):
    import main

    torch.save(detector.state_dict(), "C")
    words = ["score", "w2v_tiny", "speech.wav", "--ckpt_path", "C", "--device", "cpu"]
    assert main.main(words) == 0
    (file,) = models.score_files(detector, ["speech.wav"])
    assert f"{file.p_real:.6f}"[:-1] in capsys.readouterr().out


def test_the_detector_keeps_the_mode_it_came_in(recordings, detector):
    first = models.score_files(detector.train(), ["speech.wav"])
    assert detector.training
    assert models.score_files(detector.eval(), ["speech.wav"]) == first
    assert not detector.training


def test_a_path_that_does_not_exist_is_a_mistake(detector):
    with pytest.raises(UserError, match="nowhere.wav does not exist"):
        models.score_files(detector, ["nowhere.wav"])


def test_the_names_are_those_of_their_homes():
    from models.checkpoints import load_detector
    from models.detector import Detector

    assert models.load_detector is load_detector and models.Detector is Detector
    with pytest.raises(AttributeError, match="module 'models' has no attribute 'load_detectr'"):
        models.load_detectr  # noqa: B018


def test_importing_models_imports_no_torch():
    code = "import models, sys; print(sorted({'torch', 'numpy', 'pandas'} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert run.stdout == "[]\n"


def test_an_interrupt_is_not_taken_for_the_end(recordings, detector, monkeypatch):
    original = detector.forward

    def interrupted(*arguments):
        signal.raise_signal(signal.SIGINT)
        return original(*arguments)

    monkeypatch.setattr(detector, "forward", interrupted)
    with pytest.raises(KeyboardInterrupt):
        models.score_files(detector, ["recordings", "speech.wav"], max_batch_length=1)

"""A detector of random weights and a corpus that a test may spoil."""

import shutil

import pytest
import torch

from models.detector import build_detector


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory):
    """A detector checkpoint of random weights whose scores spread."""
    torch.manual_seed(0)
    detector = build_detector("w2v_tiny")
    with torch.no_grad():
        detector.proj_fc.weight.mul_(20)
    path = tmp_path_factory.mktemp("weights") / "tiny.ckpt"
    torch.save(detector.state_dict(), path)
    return path


@pytest.fixture
def corpus(toy_corpus, tmp_path):
    """A copy of the toy corpus that a test may spoil."""
    shutil.copytree(toy_corpus, tmp_path / "corpus")
    return tmp_path / "corpus"


@pytest.fixture(autouse=True)
def speech_everywhere(request, monkeypatch):
    """The toy corpus is noise; tests that need silero_vad let the check for speech be as it is."""
    needed = [name for mark in request.node.iter_markers("needs") for name in mark.args]
    if "silero_vad" not in needed:
        monkeypatch.setattr("models.scoring.remarks.has_speech", lambda _waveform: True)

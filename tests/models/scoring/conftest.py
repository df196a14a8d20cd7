"""A corpus that a test may spoil, and speech that is everywhere or known to nobody."""

import shutil

import pytest


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


@pytest.fixture
def by_seconds(monkeypatch):
    """As without silero-vad, where seconds count whatever is in them."""
    monkeypatch.setattr("models.scoring.speech.find_spec", lambda _name: None)

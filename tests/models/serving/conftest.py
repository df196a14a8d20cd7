"""A service of a tiny detector, on a free port of the loopback, for as long as a module's tests."""

import pytest
import soundfile
from support.serving import Running


@pytest.fixture
def start(checkpoint):
    """`start(**keys) -> Running`, ended after the test."""
    running = []

    def make(**keys):
        running.append(Running(checkpoint, **keys))
        return running[-1]

    yield make
    for service in running:
        service.stop()


@pytest.fixture(scope="package")
def service(checkpoint):
    running = Running(checkpoint)
    yield running
    running.stop()


@pytest.fixture(scope="package")
def sounds(toy_corpus):
    """Ten wavs of 0.6 to 2 s, the second real one's samples also as (samples, rate)."""
    return sorted((toy_corpus / "Data/Toy/test").glob("*.wav"))


@pytest.fixture(scope="package")
def samples(sounds):
    return soundfile.read(sounds[1], dtype="int16")


@pytest.fixture(autouse=True)
def speech_everywhere(monkeypatch):
    """The toy corpus is noise, which has no speech in it."""
    monkeypatch.setattr("models.scoring.speech.has_speech", lambda _waveform: True)
    monkeypatch.setattr("models.scoring.remarks.has_speech", lambda _waveform: True)
    monkeypatch.setattr("models.scoring.long_files.can_find_speech", lambda: False)
    monkeypatch.setattr("models.serving.windows.has_speech", lambda _waveform: True)

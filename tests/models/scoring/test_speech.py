"""Speech found while samples come: what silero-vad finds in all of them at once."""

import numpy as np
import pytest

from models.scoring import speech
from protocols.making.voice import draw_speaker, draw_tracks, synthesise

RATE = 16_000
pytestmark = pytest.mark.needs("silero_vad")


@pytest.fixture(scope="module")
def spoken():
    """(T,) float32: 3 s of a voice made of formulas, 2 s of noise, 2 s of the voice."""
    rng = np.random.default_rng(1)
    speaker = draw_speaker(rng)
    voice = synthesise(speaker, draw_tracks(speaker, 3.0, rng), rng)
    voice = 0.5 * voice / np.abs(voice).max()
    noise = 0.003 * rng.standard_normal(2 * RATE)
    return np.concatenate([voice, noise, voice[: 2 * RATE + 77]]).astype(np.float32)


def test_a_voice_is_speech_and_noise_tones_and_hum_are_not(spoken):
    time = np.arange(3 * RATE) / RATE
    noise = np.random.default_rng(0).normal(0, 0.1, len(time))
    chord = sum(0.1 * np.sin(2 * np.pi * f * time) for f in (220, 277.2, 329.6))
    assert speech.has_speech(spoken)
    for sound in (noise, chord, 0.1 * np.sin(2 * np.pi * 50 * time)):
        assert not speech.has_speech(sound.astype(np.float32))


@pytest.mark.parametrize("size", [100, 512, 30_000])
def test_how_samples_come_changes_nothing_and_the_package_says_the_same(spoken, size):
    import torch
    from silero_vad import get_speech_timestamps

    expected = get_speech_timestamps(torch.from_numpy(spoken), speech.load_vad())
    finder = speech.SpeechFinder()
    for at in range(0, len(spoken), size):
        finder.feed(spoken[at : at + size])
    found = finder.spans()
    assert [(round(a * RATE), round(b * RATE)) for a, b in found] == [
        (span["start"], span["end"]) for span in expected
    ]
    assert len(found) >= 2


def test_two_finders_fed_by_turns_do_not_mix(spoken):
    alone, other, third = (speech.SpeechFinder() for _ in range(3))
    alone.feed(spoken)
    for at in range(0, len(spoken), 5000):
        other.feed(spoken[at : at + 5000])
        third.feed(np.zeros(700, np.float32))
    assert other.spans() == alone.spans() and third.spans() == []


def test_looking_for_speech_leaves_torchs_threads_alone():
    import torch

    before = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        speech.load_vad()
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)

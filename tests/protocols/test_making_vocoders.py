"""Copy-synthesis keeps what a listener follows and changes what a detector may hear."""

import sys

import numpy as np
import pytest

from dataio.schema import SAMPLE_RATE, UserError
from protocols.making import channel, vocoders, voice
from protocols.making.vocoders import ENVELOPE_HOP, VOCODERS


@pytest.fixture(scope="module")
def speech():
    rng = np.random.default_rng(4)
    speaker = voice.draw_speaker(rng)
    tracks = voice.draw_tracks(speaker, 1.5, rng)
    return voice.synthesise(speaker, tracks, rng)


NEEDS = {"world": [pytest.mark.needs("pyworld")]}


@pytest.fixture(params=[pytest.param(v, marks=NEEDS.get(v, ())) for v in sorted(VOCODERS)])
def vocoder(request):
    return VOCODERS[request.param]


def log_mel(waveform):
    bank, _ = vocoders._mel_bank()
    return np.log(np.abs(vocoders._stft(waveform, vocoders.FFT, vocoders.HOP)) @ bank.T + 1e-3)


def test_a_copy_has_the_length_of_its_source_and_other_samples(vocoder, speech):
    for waveform in (speech, speech[: 7 * ENVELOPE_HOP + 13]):
        copy = vocoder(waveform, np.random.default_rng(0))
        assert copy.shape == waveform.shape
        assert np.isfinite(copy).all()
    copy = vocoder(speech, np.random.default_rng(0))
    likeness = np.dot(copy, speech) / np.linalg.norm(copy) / np.linalg.norm(speech)
    assert abs(likeness) < 0.98


def test_a_copy_sounds_like_its_source(vocoder, speech):
    """Its log-mel spectrogram is nearer to the source's than a reversed copy's is."""
    copy = vocoder(speech, np.random.default_rng(0))
    near = np.abs(log_mel(copy) - log_mel(speech)).mean()
    far = np.abs(log_mel(copy[::-1]) - log_mel(speech)).mean()
    assert near < 0.6 * far


def test_a_copy_keeps_the_pitch(vocoder, speech):
    pitch = vocoders.track_pitch(speech)
    copied = vocoders.track_pitch(vocoder(speech, np.random.default_rng(0)))
    both = (pitch > 0) & (copied > 0)
    assert both.sum() > 0.4 * (pitch > 0).sum()
    assert np.median(np.abs(copied[both] / pitch[both] - 1)) < 0.03


def test_same_generator_same_copy(vocoder, speech):
    first, second = (vocoder(speech, np.random.default_rng(3)) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_silence_stays_silence(vocoder):
    copy = vocoder(np.zeros(SAMPLE_RATE // 2), np.random.default_rng(0))
    assert np.isfinite(copy).all()
    assert np.abs(copy).max() < 0.01


@pytest.mark.parametrize("f0_hz", [75.0, 120.0, 210.0, 380.0])
def test_the_pitch_of_a_pulse_train_is_found(f0_hz):
    pulses = np.zeros(SAMPLE_RATE)
    pulses[np.round(np.arange(0, SAMPLE_RATE - 1, SAMPLE_RATE / f0_hz)).astype(int)] = 1.0
    pitch = vocoders.track_pitch(pulses)[10:-10]
    assert (pitch > 0).mean() > 0.95
    assert np.median(pitch[pitch > 0]) == pytest.approx(f0_hz, rel=0.01)


def test_noise_has_no_pitch():
    pitch = vocoders.track_pitch(np.random.default_rng(0).standard_normal(SAMPLE_RATE))
    assert (pitch > 0).mean() < 0.1


def test_the_inverse_transform_undoes_the_transform():
    noise = np.random.default_rng(0).standard_normal(5000)
    spectrum = vocoders._stft(noise, 512, 128)
    np.testing.assert_allclose(vocoders._istft(spectrum, 5000, 512, 128), noise, atol=1e-6)


def test_minimum_phase_keeps_the_magnitude_and_puts_the_energy_first():
    envelope = np.exp(np.cos(np.linspace(0, 3 * np.pi, 513)))[None]
    response = vocoders._minimum_phase(envelope)
    np.testing.assert_allclose(np.abs(response), envelope, rtol=1e-6)
    impulse, zero_phase = np.fft.irfft(response)[0], np.fft.irfft(envelope)[0]
    assert np.sum(impulse[:40] ** 2) > 0.99 * np.sum(impulse**2)
    assert np.sum(zero_phase[-40:] ** 2) > 0.1 * np.sum(zero_phase**2)


def test_without_pyworld_the_error_names_the_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyworld", None)
    with pytest.raises(UserError, match="bash install.sh --with corpora"):
        vocoders.world(np.zeros(1600), np.random.default_rng(0))


def test_finishing_gives_the_drawn_level_and_no_offset():
    rng = np.random.default_rng(0)
    levels = []
    for _ in range(50):
        tone = 3 + np.sin(np.arange(8000) * rng.uniform(0.1, 0.5)) * 10 ** rng.uniform(-3, 1)
        finished = channel.finish(tone, rng, snr_db=(28.0, 45.0))
        assert abs(finished.mean()) < 2e-3
        assert np.abs(finished).max() <= 0.98
        levels.append(20 * np.log10(np.sqrt(np.mean(finished**2))))
    low, high = channel.LEVEL_DBFS
    assert low - 0.01 <= min(levels) < low + 1 and high - 1 < max(levels) <= high + 0.01


def test_the_noise_lies_where_its_ratio_says():
    rng = np.random.default_rng(0)
    tone = np.sin(np.arange(160_000) * 0.3)
    finished = channel.finish(tone, rng, snr_db=(20.0, 20.0))
    basis = np.stack([np.sin(np.arange(160_000) * 0.3), np.cos(np.arange(160_000) * 0.3)], axis=1)
    rest = finished - basis @ np.linalg.lstsq(basis, finished, rcond=None)[0]
    ratio = 10 * np.log10(np.mean(finished**2 - rest**2) / np.mean(rest**2))
    assert ratio == pytest.approx(20, abs=0.2)


def test_trimming_takes_the_silence_and_leaves_the_speech():
    tone = np.sin(np.arange(1600) * 0.3)
    padded = np.pad(tone, (3200, 4800))
    assert len(channel.trim(padded)) == len(tone)
    assert len(channel.trim(np.zeros(1600))) == 0


def test_the_band_ends_at_90_and_7000_hz():
    def gain(hz):
        tone = np.sin(2 * np.pi * hz * np.arange(SAMPLE_RATE) / SAMPLE_RATE)
        return np.sqrt(2 * np.mean(channel.band_limit(tone)[4000:] ** 2))

    assert gain(1000) == pytest.approx(1, abs=0.01)
    assert gain(40) < 0.1 and gain(7700) < 0.1


def test_a_room_is_the_direct_sound_and_a_tail_that_dies_away():
    response = channel.draw_room(np.random.default_rng(0))
    assert response[0] == 1.0
    assert np.sum(response[1:] ** 2) < 0.6
    half = len(response) // 2
    assert np.sum(response[half:] ** 2) < 0.1 * np.sum(response[1:half] ** 2)
    impulse = np.zeros(100)
    impulse[0] = 1
    np.testing.assert_allclose(channel.reverberate(impulse, response), response[:100], atol=1e-12)

"""The formula voice obeys the physics it is made of."""

import numpy as np
import pytest

from dataio.schema import SAMPLE_RATE
from protocols.making import voice
from protocols.making.voice import FRAME, Speaker, Tracks

FRAMES = 200  # 1 s


def plain_speaker(**changes) -> Speaker:
    values = {
        "f0_hz": 125.0, "melody_semitones": 2.0, "tract_scale": 1.0, "open_quotient": 0.6,
        "tilt_hz": 3000.0, "jitter": 0.0, "shimmer": 0.0, "breath": 0.0, "rate": 1.0,
        "bandwidth_scale": 1.0,
    }  # fmt: skip
    return Speaker(**{**values, **changes})


def steady_vowel(f0_hz: float, formants: tuple[float, float, float]) -> Tracks:
    ones, zeros = np.ones(FRAMES), np.zeros(FRAMES)
    return Tracks(f0_hz * ones, np.tile(formants, (FRAMES, 1)), ones, zeros, zeros, 4000 * ones)


def spectrum(waveform: np.ndarray) -> np.ndarray:
    """Power in 1 Hz bins of the middle second."""
    return np.abs(np.fft.rfft(waveform * np.hanning(len(waveform)), SAMPLE_RATE)) ** 2


def cycle_lengths(speaker: Speaker, f0_hz: float = 125.0) -> np.ndarray:
    """Seconds from one closure of the glottis, the sharpest dip, to the next."""
    pulses, _ = voice.glottal_pulses(np.full(FRAMES, f0_hz), speaker, np.random.default_rng(0))
    dips = np.flatnonzero(
        (pulses[1:-1] < pulses[:-2]) & (pulses[1:-1] <= pulses[2:]) & (pulses[1:-1] < -0.3)
    )
    return np.diff(dips)[1:-1] / SAMPLE_RATE


@pytest.mark.parametrize("f0_hz", [95.0, 125.0, 230.0])
def test_the_lowest_harmonic_is_the_pitch_asked_for(f0_hz):
    rng = np.random.default_rng(0)
    waveform = voice.synthesise(
        plain_speaker(f0_hz=f0_hz), steady_vowel(f0_hz, (600, 1200, 2500)), rng
    )
    power = spectrum(waveform)
    low = slice(int(0.6 * f0_hz), int(1.4 * f0_hz))
    assert low.start + np.argmax(power[low]) == pytest.approx(f0_hz, abs=2)
    between = power[int(1.4 * f0_hz) : int(1.6 * f0_hz)].max()
    assert power[low].max() > 100 * between


@pytest.mark.parametrize("formants", [(300, 2300, 3000), (730, 1090, 2440), (450, 1050, 2250)])
def test_formants_lie_where_they_were_put(formants):
    f0_hz = 80.0  # fine enough a comb to see each peak
    waveform = voice.synthesise(
        plain_speaker(), steady_vowel(f0_hz, formants), np.random.default_rng(0)
    )
    power = spectrum(waveform)
    harmonics = np.arange(1, 50)
    heights = np.array([power[int(k * f0_hz) - 4 : int(k * f0_hz) + 5].max() for k in harmonics])
    peaks = [k * f0_hz for k in harmonics[1:-1] if heights[k - 1] > max(heights[k - 2], heights[k])]
    for formant in formants:
        assert min(abs(peak - formant) for peak in peaks) <= f0_hz


def test_a_shorter_tract_raises_every_formant():
    long = voice.draw_tracks(plain_speaker(), 1.0, np.random.default_rng(5))
    short = voice.draw_tracks(plain_speaker(tract_scale=1.2), 1.0, np.random.default_rng(5))
    np.testing.assert_allclose(short.formants_hz, 1.2 * long.formants_hz)


def test_cycles_are_even_without_jitter_and_uneven_with_it():
    even, uneven = cycle_lengths(plain_speaker()), cycle_lengths(plain_speaker(jitter=0.01))
    assert even.mean() == pytest.approx(1 / 125, rel=2e-3)
    assert even.std() / even.mean() < 0.005  # what rounding to samples leaves
    assert uneven.std() / uneven.mean() == pytest.approx(0.01, rel=0.35)


def test_breath_fills_the_gaps_between_harmonics():
    vowel = steady_vowel(125.0, (600, 1200, 2500))
    floors = [
        np.median(
            spectrum(voice.synthesise(plain_speaker(breath=b), vowel, np.random.default_rng(0)))[
                2500:3500
            ]
        )
        for b in (0.0, 0.05)
    ]
    assert floors[1] > 10 * floors[0]


def test_a_pause_is_silent_and_an_utterance_is_not():
    tracks = steady_vowel(125.0, (600, 1200, 2500))
    silent = Tracks(**{**vars_of(tracks), "voicing": np.zeros(FRAMES)})
    rng = np.random.default_rng(0)
    assert np.abs(voice.synthesise(plain_speaker(), silent, rng)).max() < 1e-6
    assert np.sqrt(np.mean(voice.synthesise(plain_speaker(), tracks, rng) ** 2)) > 0.5


def vars_of(tracks: Tracks) -> dict:
    return {name: getattr(tracks, name) for name in tracks.__dataclass_fields__}


def test_a_moving_resonator_carries_its_state_over_frames():
    """With targets that stand still the piecewise filter is the plain one."""
    from scipy.signal import lfilter

    rng = np.random.default_rng(0)
    noise = rng.standard_normal(10 * FRAME)
    centres, widths = np.full((10, 1), 700.0), np.full((10, 1), 80.0)
    c = -np.exp(-2 * np.pi * 80 / SAMPLE_RATE)
    b = 2 * np.exp(-np.pi * 80 / SAMPLE_RATE) * np.cos(2 * np.pi * 700 / SAMPLE_RATE)
    expected = lfilter([1 - b - c], [1, -b, -c], noise)
    np.testing.assert_allclose(voice.resonate(noise, centres, widths), expected, atol=1e-10)


def test_same_draws_same_voice_and_other_draws_another():
    def speak(seed):
        rng = np.random.default_rng(seed)
        speaker = voice.draw_speaker(rng)
        return voice.synthesise(speaker, voice.draw_tracks(speaker, 1.0, rng), rng)

    first = speak(1)
    np.testing.assert_array_equal(first, speak(1))
    assert len(first) >= SAMPLE_RATE and np.isfinite(first).all()
    assert len(first) != len(speak(2)) or not np.allclose(first, speak(2))

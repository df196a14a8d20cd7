"""Codec round trips keep length, alignment and dtype, sound like the codec, and refuse by name."""

import numpy as np
import pytest
from scipy.signal import butter, correlate, sosfilt

from augment import build, codecs
from augment.codecs import CODECS, CodecFacts, check_bit_rate, require, round_trip
from dataio.schema import UserError


def available(name):
    try:
        require(name)
    except UserError:
        return False
    return True


AVAILABLE = [name for name in CODECS if available(name)]


def speech_band(length=32_000, seed=0, sample_rate=16_000):
    """Noise between 300 and 3000 Hz that comes and goes: no two shifts of it look alike."""
    noise = np.random.default_rng(seed).standard_normal(length)
    band = butter(2, [300, 3_000], "band", fs=sample_rate, output="sos")
    envelope = 0.5 + 0.5 * np.sin(np.arange(length) / 1_500)
    return (0.2 * sosfilt(band, noise) * envelope).astype(np.float32)


def lag_in_samples(late, early):
    """How many samples `late` lags `early`: where their cross-correlation peaks."""
    return int(np.argmax(correlate(late, early, method="fft"))) - (early.size - 1)


def test_everything_but_amr_is_in_every_pyav_wheel():
    assert set(CODECS) - {"amr_nb"} <= set(AVAILABLE)


@pytest.mark.parametrize("length", [32_000, 31_777])
@pytest.mark.parametrize("name", AVAILABLE)
def test_length_dtype_and_alignment_stay(name, length):
    waveform = speech_band(length)
    coded = round_trip(waveform, name, sample_rate=16_000)
    assert coded.shape == waveform.shape and coded.dtype == waveform.dtype
    assert abs(lag_in_samples(coded, waveform)) <= 16  # 1 ms
    likeness = coded @ waveform / np.linalg.norm(coded) / np.linalg.norm(waveform)
    assert 0.5 < likeness < 1 - 1e-5  # the same sound, and not the same samples


@pytest.mark.parametrize("name", AVAILABLE)
def test_8_khz_input_keeps_length_and_alignment(name):
    waveform = speech_band(16_000, sample_rate=8_000)
    coded = round_trip(waveform, name, sample_rate=8_000)
    assert coded.shape == waveform.shape
    assert abs(lag_in_samples(coded, waveform)) <= 8


@pytest.mark.parametrize("name", AVAILABLE)
def test_the_end_of_the_waveform_survives(name):
    waveform = speech_band(16_000)
    end = slice(-800, None)
    coded = round_trip(waveform, name, sample_rate=16_000)
    assert np.linalg.norm(coded[end]) > 0.3 * np.linalg.norm(waveform[end])


@pytest.mark.parametrize("name", ["g711_alaw", "g711_mulaw", "gsm", "amr_nb"])
def test_telephone_codecs_have_no_sound_above_4_khz(name):
    if name not in AVAILABLE:
        pytest.skip(f"no {name} in this FFmpeg")
    waveform = np.random.default_rng(0).standard_normal(32_000).astype(np.float32) * 0.1
    spectrum = np.abs(np.fft.rfft(round_trip(waveform, name, sample_rate=16_000))) ** 2
    assert spectrum[8_400:].sum() < 1e-2 * spectrum.sum()


@pytest.mark.parametrize("name", ["mp3", "opus", "aac"])
def test_fewer_bits_give_a_worse_copy(name):
    waveform = speech_band()
    errors = [
        np.linalg.norm(round_trip(waveform, name, bit_rate, sample_rate=16_000) - waveform)
        for bit_rate in (8_000, 64_000)
    ]
    assert errors[0] > 1.5 * errors[1]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", AVAILABLE)
def test_odd_inputs_give_finite_output(name, dtype):
    for waveform in (np.zeros(1), np.ones(1), np.zeros(3_000), np.full(3_000, 0.5),
                     np.sign(speech_band(5_000)), 40 * speech_band(333)):  # fmt: skip
        coded = round_trip(waveform.astype(dtype), name, sample_rate=16_000)
        assert coded.shape == waveform.shape and coded.dtype == dtype
        assert np.isfinite(coded).all()


def test_silence_through_logarithmic_codecs_stays_almost_silent():
    for name in ("g711_alaw", "g711_mulaw", "g722"):
        coded = round_trip(np.zeros(1_000, np.float32), name, sample_rate=16_000)
        assert np.abs(coded).max() < 1e-3


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"codec": "mp4"}, "codec: unknown 'mp4'; choose from mp3,"),
        ({"codec": []}, "codec is empty"),
        ({}, "key 'codec' is missing"),
        ({"codec": "gsm", "bit_rate": 13_000}, "'gsm' has one bit rate; leave bit_rate 13000 out"),
        (
            {"codec": "mp3", "bit_rate": 33_000},
            "'mp3': bit_rate 33000; give a number of 8000, 16000",
        ),
        ({"codec": "opus", "bit_rate": 1}, "'opus': bit_rate 1; give a number from 6000 to 256000"),
        (
            {"codec": "mp3", "bitrate": 32_000},
            "unknown key 'bitrate'; the keys are bit_rate, codec",
        ),
    ],
)
def test_settings_that_cannot_be_are_refused_by_name(entry, words):
    with pytest.raises(UserError) as refusal:
        build(None, [{"name": "codec", **entry}])
    assert words in str(refusal.value)


def test_a_codec_that_ffmpeg_lacks_is_refused_by_name_when_built(monkeypatch):
    monkeypatch.setitem(codecs.CODECS, "amr_nb", CodecFacts("libamr_of_mars", "amrnb", 8_000, 40))
    with pytest.raises(
        UserError, match=r"'amr_nb': the FFmpeg inside PyAV .* has no 'libamr_of_mars'"
    ):
        build(None, [{"name": "codec", "codec": ["mp3", "amr_nb"]}])


def test_every_listed_default_bit_rate_is_accepted():
    for name, facts in CODECS.items():
        check_bit_rate(name, facts.default)


def test_codec_and_bit_rate_are_drawn_from_the_lists():
    step = build(None, [{"name": "codec", "codec": ["mp3", "opus"], "bit_rate": [16_000, 32_000]}])
    effect = step.steps[0].effects[0]
    rng = np.random.default_rng(0)
    drawn = {effect.draw(100, rng) for _ in range(60)}
    assert drawn == {(name, rate) for name in ("mp3", "opus") for rate in (16_000, 32_000)}

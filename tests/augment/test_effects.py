"""Each effect does to a signal what its name says, and the same for the same draw."""

import numpy as np
import pytest

from augment import build
from augment.effects import EFFECTS, filter_band
from dataio.schema import UserError

FILELESS = ("telephone", "speed", "gain", "clipping", "time_mask", "band_mask")


def effect(name, sample_rate=16_000, **settings):
    return build(None, [{"name": name, **settings}], sample_rate=sample_rate).steps[0].effects[0]


def tone(hz, length=16_000, sample_rate=16_000):
    return np.sin(2 * np.pi * hz / sample_rate * np.arange(length)).astype(np.float32)


@pytest.mark.parametrize("sample_rate", [16_000, 8_000])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", FILELESS)
def test_odd_inputs_give_finite_output_of_their_length_and_dtype(name, dtype, sample_rate):
    augmentation = build(None, [{"name": name}], sample_rate=sample_rate)
    noise = np.random.default_rng(1).standard_normal(2_000)
    for seed in range(5):
        for waveform in (np.zeros(0), np.zeros(1), np.ones(1), np.zeros(900), np.full(900, 0.3),
                         np.sign(noise), noise):  # fmt: skip
            waveform = waveform.astype(dtype)
            before = waveform.copy()
            augmented = augmentation(waveform, np.random.default_rng(seed))
            assert augmented.shape == waveform.shape and augmented.dtype == dtype
            assert np.isfinite(augmented).all()
            np.testing.assert_array_equal(waveform, before)


@pytest.mark.parametrize("name", FILELESS)
def test_the_same_draw_gives_the_same_output_and_another_seed_another(name):
    waveform = np.random.default_rng(0).standard_normal(8_000).astype(np.float32)
    chosen = effect(name)
    if name == "telephone":
        chosen = effect(name, low_hz=[200, 400])
    drawn = chosen.draw(8_000, np.random.default_rng(1))
    first = chosen.apply(waveform, drawn)
    np.testing.assert_array_equal(first, chosen.apply(waveform, drawn))
    other = chosen.apply(waveform, chosen.draw(8_000, np.random.default_rng(2)))
    assert np.abs(first - other).max() > 1e-3


def test_the_telephone_band_passes_speech_and_stops_the_rest():
    telephone = effect("telephone")
    middle = slice(1_000, 15_000)
    for hz, least, most in (
        (50, 0, 0.02),
        (1_000, 0.98, 1.02),
        (3_000, 0.98, 1.02),
        (5_000, 0, 0.01),
    ):
        peak = np.abs(telephone.apply(tone(hz), (300, 3_400))[middle]).max()
        assert least <= peak <= most, hz
    kept = telephone.apply(tone(1_000), (300, 3_400))
    np.testing.assert_allclose(kept[middle], tone(1_000)[middle], atol=0.01)  # no delay


def test_a_masked_band_is_silent_and_the_rest_untouched():
    mask = effect("band_mask")
    middle = slice(1_000, 15_000)
    assert np.abs(mask.apply(tone(2_000), [(1_500, 2_500)])[middle]).max() < 0.01
    kept = mask.apply(tone(4_000), [(1_500, 2_500)])
    np.testing.assert_allclose(kept[middle], tone(4_000)[middle], atol=0.01)


def test_a_band_beyond_the_spectrum_changes_nothing():
    waveform = tone(1_000)
    assert filter_band(waveform, 9_000, 9_500, sample_rate=16_000, keep=False) is waveform
    low = filter_band(waveform, -500, 100, sample_rate=16_000, keep=False)
    np.testing.assert_allclose(low[1_000:15_000], waveform[1_000:15_000], atol=0.01)


@pytest.mark.parametrize("percent", [90, 110, 200])
def test_speed_moves_a_tone_by_its_factor(percent):
    perturbed = effect("speed").apply(tone(1_000), percent)
    spectrum = np.abs(np.fft.rfft(perturbed[:7_000], 70_000))
    assert np.argmax(spectrum) * 16_000 / 70_000 == pytest.approx(10 * percent, rel=0.001)


def test_faster_is_filled_with_zeros_and_slower_is_cut():
    speed = effect("speed", factor=[0.5, 2])
    assert not speed.apply(tone(1_000), 200)[8_100:].any()
    slow = speed.apply(tone(1_000), 50)
    assert np.abs(slow[-100:]).max() > 0.9


def test_gain_is_in_decibels():
    louder = effect("gain", gain_db=6)
    np.testing.assert_allclose(louder.apply(tone(100), louder.draw(1, np.random.default_rng(0))),
                               1.99526 * tone(100), rtol=1e-4)  # fmt: skip


@pytest.mark.parametrize("percent", [0, 1, 10, 100])
def test_clipping_flattens_the_asked_share_of_the_samples(percent):
    waveform = np.random.default_rng(0).standard_normal(10_001)
    clipped = effect("clipping").apply(waveform, percent)
    assert np.mean(clipped != waveform) == pytest.approx(percent / 100, abs=2e-4)
    assert np.abs(clipped).max() == pytest.approx(np.quantile(np.abs(waveform), 1 - percent / 100))


def test_time_masks_are_zero_inside_and_nothing_else_changes():
    mask = effect("time_mask", masks=3, seconds=[0.05, 0.1])
    waveform = np.ones(16_000, np.float32)
    counts = set()
    for seed in range(40):
        drawn = mask.draw(waveform.size, np.random.default_rng(seed))
        counts.add(len(drawn))
        masked = mask.apply(waveform, drawn)
        inside = np.zeros(waveform.size, bool)
        for stretch in drawn:
            assert 800 <= stretch.stop - stretch.start <= 1_600
            assert 0 <= stretch.start <= stretch.stop <= waveform.size
            inside[stretch] = True
        np.testing.assert_array_equal(masked, np.where(inside, 0, 1))
    assert counts == {1, 2, 3}


@pytest.mark.parametrize(
    ("name", "settings", "words"),
    [
        ("gain", {"gain_db": [6, -6]}, "gain_db: 6 is above -6; swap them"),
        ("gain", {"gain_db": [1, 2, 3]}, "gain_db is [1, 2, 3]; give a number or [low, high]"),
        ("gain", {"db": 1}, "(gain): unknown key 'db'; the keys are gain_db"),
        ("speed", {"factor": 0}, "factor is 0; give a number from 0.25 to 4"),
        ("clipping", {"percent": "some"}, "percent is 'some'; give a number"),
        ("time_mask", {"masks": 0}, "masks is 0; give a number from 1"),
        ("time_mask", {"masks": 1.5}, "masks is 1.5; give a whole number"),
        ("telephone", {"low_hz": 4_000}, "keep them apart"),
        ("telephone", {"low_hz": 9_000, "high_hz": 10_000}, "no band of 16000 Hz audio"),
        ("telephone", {"low_hz": [300, 7_999], "high_hz": 8_500}, "low_hz must be below 7999"),
        ("telephone", {"low_hz": 0, "high_hz": [0.5, 3_400]}, "high_hz above 1"),
    ],
)
def test_settings_that_cannot_be_are_refused_by_name(name, settings, words):
    with pytest.raises(UserError) as refusal:
        effect(name, **settings)
    assert words in str(refusal.value)


def test_a_telephone_band_that_reaches_beyond_the_spectrum_is_cut_to_it():
    telephone = effect("telephone", sample_rate=8_000, low_hz=0, high_hz=7_000)
    kept = telephone.apply(tone(1_000, sample_rate=8_000), (0, 7_000))
    np.testing.assert_allclose(kept[500:-500], tone(1_000, sample_rate=8_000)[500:-500], atol=0.01)


def test_the_sample_rate_cannot_be_given_in_the_yaml():
    for name in EFFECTS:
        with pytest.raises(UserError, match="unknown key 'sample_rate'"):
            build(None, [{"name": name, "sample_rate": 8_000}])

"""Notch cascades agree with scipy's designs, and their physics."""

import numpy as np
import pytest
from scipy import signal

from augment.notches import Notches, amplitudes, filter_powers, half_filters


def one_notch(centre_hz=2_000.0, width_hz=800.0, taps=99, gain_db=0.0):
    return Notches(
        np.array([[centre_hz]]),
        np.array([[width_hz]]),
        np.array([[taps]]),
        np.array([gain_db]),
        16_000,
    )


@pytest.mark.parametrize(
    ("low", "high", "taps"), [(300, 900, 11), (0.001, 450, 57), (7000, 7999.999, 99)]
)
def test_a_single_filter_is_that_of_firwin_up_to_scale(low, high, taps):
    expected = signal.firwin(taps, [low, high], window="hamming", fs=16_000)
    half = half_filters(one_notch((low + high) / 2, high - low, taps))[0, 0]
    ours = np.concatenate([half[:0:-1], half])
    np.testing.assert_allclose(ours / ours.sum(), expected, atol=1e-9 * np.abs(expected).max())


def test_a_tone_in_the_notch_vanishes_and_one_outside_stays():
    time = np.arange(16_000) / 16_000
    inside, outside = (np.sin(2 * np.pi * hz * time) for hz in (2_000, 5_000))
    middle = slice(2_000, 14_000)
    notch = one_notch()
    assert np.abs(filter_powers(inside, notch)[middle]).max() < 0.01
    kept = filter_powers(outside, notch)
    # one sample ahead, as in the published code, which cuts one sample more than the delay
    np.testing.assert_allclose(kept[middle], outside[2_001:14_001], atol=0.01)


def test_a_constant_stays_a_constant():
    kept = filter_powers(np.full(8_000, 0.25), one_notch(gain_db=0.0))
    np.testing.assert_allclose(kept[1_000:7_000], 0.25, rtol=0.01)


@pytest.mark.parametrize("gain_db", [-20.0, 0.0, 6.0])
def test_the_largest_gain_over_frequency_is_the_one_asked_for(gain_db):
    rng = np.random.default_rng(0)
    shape = (3, 5)
    cascades = Notches(
        rng.uniform(20, 8_000, shape), rng.uniform(100, 1_000, shape),
        2 * rng.integers(5, 50, shape) + 1, np.full(3, gain_db), 16_000,
    )  # fmt: skip
    grid = amplitudes(cascades, 1024)[:, :512]
    np.testing.assert_allclose(20 * np.log10(np.abs(grid).max(axis=1)), gain_db, atol=1e-9)
    fine = amplitudes(cascades, 4096)[:, :2048:4]
    np.testing.assert_allclose(fine, grid, atol=1e-12)

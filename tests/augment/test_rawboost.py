"""RawBoost equals its plain form, draws from the published distributions, refuses bad settings."""

import numpy as np
import pytest
from scipy import stats

from augment.rawboost import DEFAULTS, SERIES, RawBoost, apply, white_noise
from dataio.schema import UserError
from tests.augment.plain_rawboost import PlainRawBoost, apply_plain

ALGORITHMS = sorted(SERIES)
LNL = "LnL_convolutive_noise"


def speech_like(length, seed=0, scale=0.2):
    """Noise under a slow envelope, (length,) float32."""
    rng = np.random.default_rng(seed)
    envelope = 0.55 + 0.45 * np.sin(np.arange(length) / 2000)
    return (scale * envelope * rng.standard_normal(length)).astype(np.float32)


def assert_equals_plain(waveform, rawboost, rng):
    draw = rawboost.draw(waveform.size, rng)
    expected = apply_plain(waveform, draw)
    peak = np.abs(expected).max()
    augmented = apply(waveform, draw)
    assert augmented.dtype == waveform.dtype
    assert np.abs(augmented - expected).max() <= 1e-6 * peak


@pytest.mark.parametrize("length", [400, 1557, 1558, 2049, 64_000])
@pytest.mark.parametrize("algo", ALGORITHMS)
def test_output_equals_the_plain_form(algo, length):
    rng = np.random.default_rng([algo, length])
    for seed in range(2):
        waveform = speech_like(length, seed, scale=(0.03, 0.5)[seed])
        assert_equals_plain(waveform, RawBoost.from_yaml({"algo": algo}), rng)


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [13, 60])
@pytest.mark.parametrize("algo", ALGORITHMS)
def test_output_equals_the_plain_form_up_to_a_minute(algo, seconds):
    rng = np.random.default_rng([algo, seconds])
    waveform = speech_like(seconds * 16_000)
    assert_equals_plain(waveform, RawBoost.from_yaml({"algo": algo}), rng)


@pytest.mark.parametrize(
    "changes",
    [
        {"minG": -3, "maxG": 6},
        {"nBands": 1, "N_f": 1},
        {"nBands": 8, "maxCoeff": 400},
        {"minCoeff": 1, "maxCoeff": 1},
        {"N_f": 7, "maxF": 200},
    ],
)
@pytest.mark.parametrize("algo", [4, 8])
def test_output_equals_the_plain_form_with_other_settings(algo, changes):
    block = {"algo": algo, LNL: {**DEFAULTS[LNL], **changes}}
    rng = np.random.default_rng(7)
    for seed in range(3):
        assert_equals_plain(speech_like(20_000, seed), RawBoost.from_yaml(block), rng)


def test_a_clipped_signal_and_double_precision_equal_the_plain_form_too():
    rng = np.random.default_rng(3)
    clipped = speech_like(30_000, scale=3).clip(-1, 1)
    for algo in ALGORITHMS:
        rawboost = RawBoost.from_yaml({"algo": algo})
        assert_equals_plain(clipped, rawboost, rng)
        draw = rawboost.draw(clipped.size, rng)
        double = apply(clipped.astype(np.float64), draw)
        assert np.abs(double - apply_plain(clipped, draw)).max() < 1e-13


def test_the_peak_is_limited_to_one_by_every_algorithm_without_stationary_noise():
    waveform = speech_like(16_000, scale=0.9)
    rng = np.random.default_rng(0)
    for algo in (1, 2, 5, 8):
        peaks = []
        for _ in range(10):
            draw = RawBoost.from_yaml({"algo": algo}).draw(waveform.size, rng)
            peaks.append(np.abs(apply(waveform, draw)).max())
        assert max(peaks) == pytest.approx(1, abs=1e-6)


def test_stationary_noise_has_the_drawn_snr():
    waveform = speech_like(32_000)
    draw = RawBoost.from_yaml({"algo": 3}).draw(waveform.size, np.random.default_rng(5))
    noise = apply(waveform, draw) - waveform
    snr_db = 20 * np.log10(np.linalg.norm(waveform) / np.linalg.norm(noise))
    assert snr_db == pytest.approx(draw.stages[0].snr_db, abs=1e-3)


def test_impulses_change_only_the_drawn_samples_by_the_drawn_share():
    waveform = speech_like(8_000, scale=0.05)
    draw = RawBoost.from_yaml({"algo": 2}).draw(waveform.size, np.random.default_rng(1))
    stage = draw.stages[0]
    change = apply(waveform, draw) - waveform
    untouched = np.setdiff1d(np.arange(waveform.size), stage.positions)
    assert not change[untouched].any()
    expected = stage.gains * waveform[stage.positions]
    np.testing.assert_allclose(change[stage.positions], expected, atol=1e-7)


def test_convolutive_noise_removes_the_mean():
    waveform = speech_like(16_000) + np.float32(0.3)
    draw = RawBoost.from_yaml({"algo": 1}).draw(waveform.size, np.random.default_rng(2))
    assert abs(apply(waveform, draw).astype(float).mean()) < 1e-7


@pytest.mark.parametrize("sample_rate", [16_000, 8_000])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("algo", ALGORITHMS)
def test_odd_inputs_give_finite_output_of_their_length_and_dtype(algo, dtype, sample_rate):
    rawboost = RawBoost.from_yaml({"algo": algo}, sample_rate)
    inputs = {
        "silence": np.zeros(3000),
        "one sample": np.full(1, 0.5),
        "one zero": np.zeros(1),
        "nothing": np.zeros(0),
        "constant": np.full(3000, -0.4),
        "clipped": np.sign(speech_like(3000)),
        "a tiny sound": 1e-20 * speech_like(3000),
    }
    for seed in range(10):
        for name, waveform in inputs.items():
            waveform = waveform.astype(dtype)
            draw = rawboost.draw(waveform.size, np.random.default_rng(seed))
            augmented = apply(waveform, draw)
            assert augmented.shape == waveform.shape, name
            assert augmented.dtype == dtype, name
            assert np.isfinite(augmented).all(), name
            if not waveform.any():
                assert not augmented.any(), name


def test_at_8_khz_no_notch_is_centred_above_the_nyquist_frequency():
    rawboost = RawBoost.from_yaml({"algo": 1}, 8_000)
    draw = rawboost.draw(8_000, np.random.default_rng(0))
    assert draw.stages[0].notches.centre_hz.max() <= 4_000
    assert_equals_plain(speech_like(8_000), rawboost, np.random.default_rng(1))


def test_the_input_is_left_as_it_was():
    waveform = speech_like(4_000)
    before = waveform.copy()
    for algo in ALGORITHMS:
        apply(waveform, RawBoost.from_yaml({"algo": algo}).draw(4_000, np.random.default_rng(0)))
    np.testing.assert_array_equal(waveform, before)


def test_a_draw_is_refused_for_another_length_and_for_integers():
    draw = RawBoost.from_yaml({"algo": 5}).draw(100, np.random.default_rng(0))
    with pytest.raises(ValueError, match=r"\(100,\), not float32 \(99,\)"):
        apply(np.zeros(99, np.float32), draw)
    with pytest.raises(ValueError, match="not int16"):
        apply(np.zeros(100, np.int16), draw)


# --- distributions ------------------------------------------------------------------------------


def assert_same_distribution(ours, plain):
    assert stats.ks_2samp(np.ravel(ours), np.ravel(plain)).pvalue > 0.01


@pytest.fixture(scope="module")
def ours():
    rng = np.random.default_rng(2022)
    rawboost = RawBoost.from_yaml({"algo": 4})
    return [rawboost.draw(2_000, rng).stages for _ in range(300)]


@pytest.fixture(scope="module")
def plain():
    return PlainRawBoost(4, seed=2023)


def test_notches_are_drawn_from_the_published_ranges(ours, plain):
    theirs = np.array([plain.bands() for _ in range(1_500)]).reshape(-1, 3)
    for stage in (0, 2):  # the cascades of the convolutive and of the stationary noise
        notches = [stages[stage].notches for stages in ours]
        assert_same_distribution([n.centre_hz for n in notches], theirs[:, 0])
        assert_same_distribution([n.width_hz for n in notches], theirs[:, 1])
        assert_same_distribution([n.taps for n in notches], theirs[:, 2])
    taps, counts = np.unique(theirs[:, 2], return_counts=True)
    drawn, drawn_counts = np.unique([n.taps for n in notches], return_counts=True)
    assert list(drawn) == list(taps) == list(range(11, 100, 2))
    shares = counts / counts.sum(), drawn_counts / drawn_counts.sum()
    np.testing.assert_allclose(*shares, atol=0.02)


def test_gains_are_drawn_from_the_published_ranges(ours, plain):
    gains = np.array([stages[0].notches.gain_db for stages in ours])  # (300, 5)
    assert not gains[:, 0].any()
    assert_same_distribution(gains[:, 1:], [plain.gain_db(1) for _ in range(2_000)])
    assert_same_distribution(gains[:, 4], [plain.gain_db(4) for _ in range(2_000)])
    assert not np.array([stages[2].notches.gain_db for stages in ours]).any()


def test_impulses_are_drawn_from_the_published_distributions(ours, plain):
    theirs = [plain.impulses(2_000) for _ in range(1_000)]
    impulses = [stages[1] for stages in ours]
    assert_same_distribution([i.positions.size for i in impulses], [p.size for p, _ in theirs])
    assert_same_distribution(
        np.concatenate([i.gains for i in impulses]), np.concatenate([g for _, g in theirs])
    )
    positions = np.concatenate([i.positions for i in impulses])
    assert_same_distribution(positions, np.concatenate([p for p, _ in theirs]))
    assert all(np.unique(i.positions).size == i.positions.size for i in impulses)


def test_gains_of_impulses_do_not_depend_on_their_positions():
    rng = np.random.default_rng(11)
    rawboost = RawBoost.from_yaml({"algo": 2})
    stages = [rawboost.draw(2_000, rng).stages[0] for _ in range(300)]
    positions = np.concatenate([s.positions for s in stages])
    gains = np.concatenate([s.gains for s in stages])
    assert_same_distribution(gains[positions < 1_000], gains[positions >= 1_000])


def test_stationary_noise_is_drawn_from_the_published_distributions(ours, plain):
    theirs = [plain.between(10, 40) for _ in range(2_000)]
    assert_same_distribution([stages[2].snr_db for stages in ours], theirs)
    noise = np.concatenate([stages[2].noise for stages in ours])
    assert_same_distribution(noise, plain.random.normal(0, 1, 200_000))


def test_white_noise_is_normal_white_and_of_the_asked_length():
    noise = white_noise(200_001, np.random.default_rng(4)).astype(float)
    assert noise.shape == (200_001,)
    assert stats.kstest(noise, "norm").pvalue > 0.01
    for lag in (1, 2, 100_000, 100_001):  # the two halves are made of the same uniforms
        assert abs(np.mean(noise[lag:] * noise[:-lag])) < 4 / np.sqrt(noise.size - lag)


def test_the_same_generator_state_gives_the_same_output():
    waveform = speech_like(5_000)
    rawboost = RawBoost.from_yaml({"algo": 4})
    draws = [rawboost.draw(5_000, np.random.default_rng(seed)) for seed in (1, 1, 2)]
    first, again, other = (apply(waveform, draw) for draw in draws)
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0.01


# --- settings -----------------------------------------------------------------------------------


def test_sections_left_out_have_the_published_values():
    whole = RawBoost.from_yaml({"algo": 5, **DEFAULTS})
    assert RawBoost.from_yaml({"algo": 5}) == whole
    assert whole.notches.bands == 5 and whole.orders == 5
    assert (whole.notches.centre_hz.low, whole.notches.centre_hz.high) == (20, 8000)
    assert (whole.notches.width_hz.low, whole.notches.width_hz.high) == (100, 1000)
    assert (whole.notches.taps.low, whole.notches.taps.high) == (10, 100)
    assert (whole.notches.gain_db.low, whole.notches.gain_db.high) == (0, 0)
    assert (whole.bias_db.low, whole.bias_db.high) == (5, 20)
    assert (whole.impulse_percent, whole.impulse_gain) == (10, 2)
    assert (whole.snr_db.low, whole.snr_db.high) == (10, 40)


def test_snr_max_is_40_where_the_yaml_lacks_it():
    rawboost = RawBoost.from_yaml({"algo": 3, "SSI_additive_noise": {"SNRmin": 10}})
    assert rawboost.snr_db.high == 40


@pytest.mark.parametrize(
    ("block", "words"),
    [
        ({}, "rawboost: key 'algo' is missing"),
        ({"algo": 9}, "algo is 9; give a whole number 0 to 8"),
        ({"algo": True}, "algo is True"),
        ({"algo": "5"}, "algo is '5'"),
        ({"algo": [4, 5]}, "algo is [4, 5]; give a whole number 0 to 8"),
        ({"algo": None}, "algo is None"),
        ({"algo": 5, "P": 10}, "rawboost: unknown key 'P'"),
        ({"algo": 5, "ISD_additive_noise": {"P": 10}}, "ISD_additive_noise: key 'g_sd' is missing"),
        ({"algo": 5, "ISD_additive_noise": {"P": 101, "g_sd": 2}}, "P is 101; give a number"),
        ({"algo": 5, "ISD_additive_noise": {"P": "ten", "g_sd": 2}}, "P is 'ten'"),
        ({"algo": 5, "ISD_additive_noise": 10}, "ISD_additive_noise is 10; give a mapping"),
        ({"algo": 3, "SSI_additive_noise": {"SNRmin": 50}}, "50 is above 40; swap them"),
        ({"algo": 3, "SSI_additive_noise": {"SNRmin": 1, "SNR": 2}}, "unknown key 'SNR'"),
        ({"algo": 1, LNL: {**DEFAULTS[LNL], "nBands": 0}}, "nBands is 0; give a number from 1"),
        ({"algo": 1, LNL: {**DEFAULTS[LNL], "N_f": 2.5}}, "N_f is 2.5; give a whole number"),
        ({"algo": 1, LNL: {**DEFAULTS[LNL], "minF": 9000}}, "9000 is above 8000"),
        ({"algo": 1, LNL: {**DEFAULTS[LNL], "maxG": float("nan")}}, "maxG is nan"),
    ],
)
def test_settings_that_cannot_be_are_refused_by_name(block, words):
    with pytest.raises(UserError) as refusal:
        RawBoost.from_yaml(block)
    assert words in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_notches_that_lie_above_the_nyquist_frequency_are_refused():
    block = {"algo": 1, LNL: {**DEFAULTS[LNL], "minF": 5000}}
    with pytest.raises(UserError, match="minF 5000 Hz is above the Nyquist frequency of 8000 Hz"):
        RawBoost.from_yaml(block, 8_000)

"""The shortcut probe finds a planted shortcut, and nothing where there is none."""

import numpy as np

from benchmarks.corpus_shortcuts import (
    file_statistics,
    fit_and_score,
    lfcc_statistics,
    rates_by_attack,
)


def probe(extract, real, fake):
    """EER in % of the second half of each class after training on the first half."""
    features = [np.array([extract(waveform) for waveform in group]) for group in (real, fake)]
    train = np.concatenate([group[::2] for group in features])
    test = np.concatenate([group[1::2] for group in features])
    sizes = [len(group[::2]) for group in features]
    labels = np.repeat([1, 0], sizes)
    attacks = np.repeat(["-", "a"], [len(group[1::2]) for group in features])
    return rates_by_attack(fit_and_score(train, labels, test), attacks)["a"]


def noises(rng, level, count=40):
    return [level * rng.standard_normal(8000) for _ in range(count)]


def test_a_class_that_is_louder_is_found_by_the_file_statistics():
    rng = np.random.default_rng(0)
    assert probe(file_statistics, noises(rng, 0.1), noises(rng, 0.2)) == 0


def test_the_same_noise_twice_is_told_apart_by_neither():
    rng = np.random.default_rng(0)
    for extract in (file_statistics, lfcc_statistics):
        assert probe(extract, noises(rng, 0.1), noises(rng, 0.1)) > 20


def test_another_colour_is_found_by_the_lfcc():
    rng = np.random.default_rng(0)
    red = [np.convolve(noise, [1, 0.9], "same") / 1.35 for noise in noises(rng, 0.1)]
    assert probe(lfcc_statistics, noises(rng, 0.1), red) == 0


def test_each_attack_is_compared_with_all_real_files():
    attacks = np.array(["-", "-", "a", "a", "b", "b"])
    rates = rates_by_attack(np.array([1.0, 1.1, 0.0, 0.1, 2.0, 2.1]), attacks)
    assert rates["a"] == 0 and rates["b"] == 100

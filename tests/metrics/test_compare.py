"""Paired tests against definitions written out in full, and against their own null law."""

from itertools import product
from math import comb, erfc, nan, sqrt

import numpy as np
import pytest

from metrics.compare import delong, holm, mcnemar, midranks
from metrics.rates import auc


def delong_written_out(a, b, labels):
    """DeLong et al. 1988: the covariance of the two systems' structural components."""
    parts = []
    for scores in (a, b):
        real, fake = scores[labels == 1], scores[labels == 0]
        wins = (real[:, None] > fake) + 0.5 * (real[:, None] == fake)
        parts.append((wins.mean(axis=1), wins.mean(axis=0)))
    covariance = sum(
        np.cov([parts[0][k], parts[1][k]]) / len(parts[0][k]) for k in (0, 1)
    )  # (2, 2)
    contrast = np.array([1, -1])
    difference = parts[0][0].mean() - parts[1][0].mean()
    deviate = difference / sqrt(contrast @ covariance @ contrast)
    return difference, deviate, erfc(abs(deviate) / sqrt(2))


@pytest.mark.parametrize("decimals", [1, 9])
def test_delong_is_its_definition(rng, decimals):
    labels = np.append([0, 0, 1, 1], rng.integers(0, 2, 150))
    shared = rng.normal(size=154) + labels
    a = np.round(shared + 0.5 * rng.normal(size=154), decimals)
    b = np.round(shared + 0.8 * rng.normal(size=154), decimals)
    assert delong(a, b, labels) == pytest.approx(delong_written_out(a, b, labels), abs=1e-10)
    assert delong(a, b, labels).difference == pytest.approx(auc(a, labels) - auc(b, labels))


def test_delong_of_a_system_with_itself_finds_nothing(rng):
    labels = rng.integers(0, 2, 50)
    scores = rng.normal(size=50)
    assert delong(scores, scores, labels) == (0.0, 0.0, 1.0)
    assert delong(scores, np.exp(scores), labels).p_value == 1.0


def test_delong_needs_two_files_of_each_class():
    assert np.isnan(delong(np.arange(3.0), np.arange(3.0), np.array([1, 0, 0])).p_value)


@pytest.mark.slow
def test_delong_rejects_equal_systems_at_its_level(rng):
    rejected = 0
    for _ in range(1000):
        labels = np.repeat([1, 0], 150)
        shared = rng.normal(size=300) + 1.5 * labels
        a, b = (shared + rng.normal(size=300) for _ in range(2))
        rejected += delong(a, b, labels).p_value < 0.05
    assert abs(rejected / 1000 - 0.05) < 3 * sqrt(0.05 * 0.95 / 1000)


def obuchowski_written_out(a, b, labels, groups):
    """Obuchowski 1997, eq. 3 to 6, for the difference of two systems: sums over each group."""
    wins = []
    for scores in (a, b):
        real, fake = scores[labels == 1], scores[labels == 0]
        wins.append((real[:, None] > fake) + 0.5 * (real[:, None] == fake))
    difference = wins[0].mean() - wins[1].mean()
    of_real, of_fake = ((wins[0] - wins[1]).mean(axis=axis) - difference for axis in (1, 0))
    m, n = len(of_real), len(of_fake)
    real_sums, fake_sums = [], []
    for group in sorted(set(groups)):
        real_sums.append(sum(of_real[groups[labels == 1] == group]))
        fake_sums.append(sum(of_fake[groups[labels == 0] == group]))
    i10 = len(set(groups[labels == 1]))
    i01 = len(set(groups[labels == 0]))
    i = len(set(groups))
    s10 = i10 / ((i10 - 1) * m) * sum(x**2 for x in real_sums)
    s01 = i01 / ((i01 - 1) * n) * sum(x**2 for x in fake_sums)
    s11 = i / (i - 1) * sum(x * y for x, y in zip(real_sums, fake_sums, strict=True))
    return difference / sqrt(s10 / m + s01 / n + 2 * s11 / (m * n)), min(i10, i01) - 1


@pytest.mark.parametrize("decimals", [1, 9])
def test_delong_over_groups_is_obuchowskis_definition(rng, decimals):
    from scipy.stats import t

    groups = np.append(rng.integers(0, 9, 150), [20] * 5 + [21] * 5)
    labels = np.append(rng.integers(0, 2, 150), [1] * 5 + [0] * 5)
    shared = rng.normal(size=160) + labels
    a = np.round(shared + 0.5 * rng.normal(size=160), decimals)
    b = np.round(shared + 0.8 * rng.normal(size=160), decimals)
    statistic, freedom = obuchowski_written_out(a, b, labels, groups)
    found = delong(a, b, labels, groups)
    assert found.statistic == pytest.approx(statistic)
    assert found.p_value == pytest.approx(2 * t.sf(abs(statistic), freedom))
    assert found.difference == pytest.approx(auc(a, labels) - auc(b, labels))


def test_tests_over_groups_of_one_file_are_those_over_files(rng):
    labels = rng.integers(0, 2, 400)
    a, b = rng.normal(size=400) + 1.2 * labels, rng.normal(size=400) + labels
    alone = np.full(400, -1)
    assert delong(a, b, labels, alone).statistic == pytest.approx(delong(a, b, labels).statistic)
    right = a > 0.5, b > 0.5
    assert mcnemar(*right, alone) == mcnemar(*right)


def test_one_group_tells_nothing():
    labels = np.array([1, 1, 0, 0])
    a, b = np.array([3.0, 1, 2, 0]), np.array([0.0, 1, 2, 3])
    assert np.isnan(delong(a, b, labels, np.zeros(4, int)).p_value)
    assert np.isnan(delong(a, b, labels, np.array([0, 0, 1, 2])).p_value)
    assert mcnemar(np.ones(9, bool), np.zeros(9, bool), np.zeros(9, int)).p_value == 1.0


@pytest.mark.parametrize("seed", range(5))
def test_mcnemar_over_groups_counts_every_exchange_of_the_systems(seed):
    rng = np.random.default_rng(seed)
    groups, right_a, right_b = rng.integers(0, 8, 60), rng.random(60) < 0.8, rng.random(60) < 0.6
    sums = [int((right_a * 1 - right_b * 1)[groups == g].sum()) for g in range(8)]
    flipped = np.array(list(product((-1, 1), repeat=8))) @ sums
    expected = np.mean(np.abs(flipped) >= abs(sum(sums)))
    assert mcnemar(right_a, right_b, groups).p_value == pytest.approx(expected, abs=1e-12)


@pytest.mark.slow
def test_tests_over_speakers_hold_their_level_where_those_over_files_do_not(rng):
    """Two equal systems that each err on speakers of their own; 40 speakers, 20 files each."""
    rejected, sets, speaker = np.zeros(4), 600, np.repeat(np.arange(40), 20)
    labels = speaker % 2
    for _ in range(sets):
        shared = 1.5 * labels + 0.5 * rng.normal(size=800)
        a, b = (
            shared + 0.6 * rng.normal(size=40)[speaker] + 0.5 * rng.normal(size=800)
            for _ in range(2)
        )
        right = [(scores >= 0.75) == (labels == 1) for scores in (a, b)]
        tests = [delong(a, b, labels, speaker), mcnemar(*right, speaker)]
        tests += [delong(a, b, labels), mcnemar(*right)]
        rejected += [test.p_value < 0.05 for test in tests]
    level = rejected / sets
    assert (level[:2] < 0.05 + 3 * sqrt(0.05 * 0.95 / sets)).all(), level
    assert (level[2:] > 0.3).all(), level


def test_midranks_are_scipys(rng):
    from scipy.stats import rankdata

    values = np.round(rng.normal(size=200), 1)
    assert np.array_equal(midranks(values), rankdata(values))


@pytest.mark.parametrize("only_a, only_b", [(0, 0), (5, 0), (3, 9), (7, 7), (40, 60)])
def test_mcnemar_is_the_exact_binomial_test(only_a, only_b):
    right_a = np.array([True] * only_a + [False] * only_b + [True] * 30)
    right_b = np.array([False] * only_a + [True] * only_b + [True] * 30)
    n, few = only_a + only_b, min(only_a, only_b)
    expected = min(1.0, 2 * sum(comb(n, k) for k in range(few + 1)) / 2**n)
    found = mcnemar(right_a, right_b)
    assert found.p_value == pytest.approx(expected, rel=1e-9)
    assert found.difference == pytest.approx(right_a.mean() - right_b.mean())


def test_holm_of_the_textbook_example():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_holm_never_exceeds_one_and_leaves_nan_out():
    adjusted = holm([0.6, nan, 0.9])
    assert adjusted[0] == 1.0 and np.isnan(adjusted[1]) and adjusted[2] == 1.0
    assert holm([]) == []

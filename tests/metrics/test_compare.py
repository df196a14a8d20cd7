"""Paired tests against definitions written out in full, and against their own null law."""

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

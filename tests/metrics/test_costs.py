"""Detection costs and Cllr: the ASVspoof 5 package's definitions restated, and their bounds."""

import math

import numpy as np
import pytest

from metrics import costs
from metrics.costs import Costs


def asvspoof5_dcf(real, fake, *, threshold, p_spoof=0.05, c_miss=1.0, c_fa=10.0):
    """Normalised DCF of the ASVspoof 5 plan, from counting alone: accept where score >= t."""
    frr = sum(s < threshold for s in real) / len(real)
    far = sum(s >= threshold for s in fake) / len(fake)
    cost = c_miss * (1 - p_spoof) * frr + c_fa * p_spoof * far
    return cost / min(c_miss * (1 - p_spoof), c_fa * p_spoof)


@pytest.fixture(params=[1, 8])
def set_of_scores(rng, request):
    labels = rng.integers(0, 2, 400)
    return np.round(rng.normal(size=400) * 1.5 + 2 * labels - 1, request.param), labels


def test_bayes_threshold_of_track_1_is_minus_0_642():
    assert Costs().threshold == pytest.approx(-0.642, abs=5e-4)
    assert Costs().threshold == pytest.approx(-math.log(0.95 / 0.5))


def test_actual_and_minimum_dcf_are_those_of_the_asvspoof5_package(set_of_scores):
    scores, labels = set_of_scores
    real, fake = scores[labels == 1], scores[labels == 0]
    actual = asvspoof5_dcf(real, fake, threshold=-math.log(0.95 / (10 * 0.05)))
    assert costs.act_dcf(scores, labels, costs=Costs()) == pytest.approx(actual, abs=1e-12)
    least = min(asvspoof5_dcf(real, fake, threshold=t) for t in [*np.unique(scores), np.inf])
    assert costs.min_dcf(scores, labels, costs=Costs()) == pytest.approx(least, abs=1e-12)
    assert least <= actual


def test_other_costs_are_respected(set_of_scores):
    scores, labels = set_of_scores
    asked = {"p_spoof": 0.4, "c_miss": 3.0, "c_fa": 2.0}
    real, fake = scores[labels == 1], scores[labels == 0]
    expected = asvspoof5_dcf(real, fake, threshold=0.3, **asked)
    found = costs.dcf_at(scores, labels, costs=Costs(**asked), threshold=0.3)
    assert found == pytest.approx(expected)


def test_threshold_of_least_cost_gives_that_cost(set_of_scores):
    scores, labels = set_of_scores
    rejected = costs.min_dcf_threshold(scores, labels, costs=Costs())
    there = costs.dcf_at(scores, labels, costs=Costs(), threshold=np.nextafter(rejected, np.inf))
    assert there == pytest.approx(costs.min_dcf(scores, labels, costs=Costs()), abs=1e-15)


def test_cllr_is_the_asvspoof5_formula(set_of_scores):
    scores, labels = set_of_scores
    real = np.mean([math.log2(1 + math.exp(-s)) for s in scores[labels == 1]])
    fake = np.mean([math.log2(1 + math.exp(s)) for s in scores[labels == 0]])
    assert costs.cllr(scores, labels) == pytest.approx((real + fake) / 2, abs=1e-12)


def test_scores_that_say_nothing_cost_one_bit():
    assert costs.cllr(np.zeros(6), np.array([1, 0, 0, 1, 0, 0])) == pytest.approx(1.0)


def test_min_cllr_is_cllr_after_scikit_learns_isotonic_regression(set_of_scores):
    from sklearn.isotonic import IsotonicRegression

    scores, labels = set_of_scores
    real, fake = labels == 1, labels == 0
    weights = np.where(real, 1 / real.sum(), 1 / fake.sum())
    model = IsotonicRegression(y_min=0, y_max=1).fit(scores, labels, sample_weight=weights)
    posterior = model.predict(scores)
    with np.errstate(divide="ignore"):
        ratio = np.log(posterior) - np.log1p(-posterior)
    assert costs.min_cllr(scores, labels) == pytest.approx(costs.cllr(ratio, labels), abs=1e-9)


def test_min_cllr_ignores_any_rising_map_and_never_exceeds_cllr(set_of_scores):
    scores, labels = set_of_scores
    assert costs.min_cllr(scores, labels) == pytest.approx(costs.min_cllr(scores**3, labels))
    assert costs.min_cllr(scores, labels) <= costs.cllr(scores, labels)


def test_huge_scores_do_not_overflow():
    assert costs.cllr(np.array([1e6, -1e6]), np.array([1, 0])) == 0.0
    assert costs.cllr(np.array([-1e3, 1e3]), np.array([1, 0])) == pytest.approx(1e3 / math.log(2))


@pytest.mark.parametrize(
    "asked",
    [
        {"p_spoof": 0},
        {"p_spoof": 1.2},
        {"c_miss": -1},
        {"c_fa": 0},
        {"c_miss": math.inf},
        {"c_fa": math.nan},
        {"p_spoof": math.nan},
        {"c_miss": 1e308, "c_fa": 1e-308},
    ],
)
def test_impossible_costs_are_refused(asked):
    with pytest.raises(ValueError, match="costs must be positive"):
        Costs(**asked)

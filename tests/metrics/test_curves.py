"""What the report draws: points that lie on the exact curves, counts that add up."""

import json
from statistics import NormalDist

import numpy as np
import pytest

from metrics import costs, curves
from metrics.costs import Costs
from metrics.sweep import sweep


@pytest.fixture
def set_of_scores(rng):
    labels = rng.integers(0, 2, 20_000)
    return rng.normal(size=20_000) + 1.5 * labels, labels


def test_probit_is_the_normal_quantile():
    shares = np.array([0.001, 0.05, 0.5, 0.9])
    assert curves.probit(shares) == pytest.approx([NormalDist().inv_cdf(p) for p in shares])


def test_drawn_error_curve_is_a_thin_choice_of_exact_points(set_of_scores):
    points = sweep(*set_of_scores)
    drawn = curves.error_curve(points)
    exact = set(zip(points.frr.tolist(), points.far.tolist(), strict=True))
    pairs = list(zip(drawn["frr"], drawn["far"], strict=True))
    assert len(pairs) <= curves.POINTS < len(points.values) and set(pairs) <= exact
    assert pairs[0] == (0.0, 1.0) and pairs[-1] == (1.0, 0.0)


def test_histogram_counts_every_file(set_of_scores):
    scores, labels = set_of_scores
    bins = curves.histogram(np.append(scores, [1e9, -1e9]), np.append(labels, [1, 0]))
    assert sum(bins["real"]) == labels.sum() + 1 and sum(bins["fake"]) == (1 - labels).sum() + 1
    assert len(bins["edges"]) == len(bins["real"]) + 1
    assert curves.histogram(np.zeros(3), np.array([1, 0, 0]))["fake"].count(2) == 1


def test_reliability_of_honest_probabilities_lies_on_the_diagonal(rng):
    stated = rng.random(200_000)
    found = curves.reliability(stated, (rng.random(200_000) < stated).astype(int))
    assert found["observed"] == pytest.approx(found["stated"], abs=0.015)
    assert found["ece"] < 0.01 and sum(found["files"]) == 200_000
    overconfident = curves.reliability(np.full(1000, 0.99), rng.integers(0, 2, 1000))
    assert overconfident["ece"] == pytest.approx(0.49, abs=0.06)


def test_wilson_interval_of_the_textbook(rng):
    low, high = curves.wilson(np.array([0.0, 5.0]), np.array([10.0, 10.0]))
    assert low == pytest.approx([0.0, 0.2366], abs=1e-4)
    assert high == pytest.approx([0.2775, 0.7634], abs=1e-4)


def test_cost_curve_holds_its_minimum_and_true_costs(set_of_scores):
    scores, labels = set_of_scores
    drawn = curves.cost_curve(sweep(scores, labels), Costs())
    assert min(drawn["dcf"]) == costs.min_dcf(scores, labels, costs=Costs())
    for threshold, cost in list(zip(drawn["threshold"], drawn["dcf"], strict=True))[::40]:
        assert cost == costs.dcf_at(scores, labels, costs=Costs(), threshold=threshold)


def test_worst_files_are_the_lowest_real_and_the_highest_fake():
    ids = np.array([f"f{i}" for i in range(60)], object)
    scores, labels = np.arange(60.0), np.arange(60) % 2
    found = curves.worst_files(ids, scores, labels)
    assert [row["id"] for row in found["real"]] == [f"f{i}" for i in range(1, 41, 2)]
    assert [row["id"] for row in found["fake"]] == [f"f{i}" for i in range(58, 18, -2)]
    assert curves.worst_files(ids[:1], scores[:1], labels[:1])["real"] == []


def test_what_is_not_a_number_becomes_null():
    content = curves.finite({"a": [float("nan"), 1.0], "b": (float("inf"), {"c": "x"})})
    assert json.dumps(content, allow_nan=False) == '{"a": [null, 1.0], "b": [null, {"c": "x"}]}'

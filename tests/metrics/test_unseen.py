"""No error seen is not no error: the bounds that stand where resampling has nothing to draw."""

from math import sqrt

import numpy as np
import pytest
from scipy.stats import beta, norm

from metrics.bootstrap import Plan, intervals
from metrics.costs import Costs
from metrics.measures import MEASURES, Setting, measure
from metrics.sweep import sweep
from metrics.unseen import compatible

RATES = [name for name in MEASURES if name not in ("eer_threshold", "cllr")]


def separated(n_real, n_fake):
    return np.append(np.arange(n_real) + 10.0, -np.arange(n_fake) - 10.0), np.repeat(
        [1, 0], [n_real, n_fake]
    )


@pytest.mark.parametrize("files", [1, 7, 300])
def test_bound_is_the_clopper_pearson_interval(files):
    assert compatible(0, files, files, 0.025) == pytest.approx(beta.ppf(0.975, 1, files))
    assert compatible(files, files, files, 0.025) == pytest.approx(beta.ppf(0.025, files, 1))
    assert compatible(1, files, files, 0.025) in (1 / files, beta.ppf(0.025, files, 1))


def test_no_figure_of_separated_classes_is_given_as_certain():
    scores, labels = separated(60, 400)
    found = intervals(scores, labels, RATES, setting=Setting(), plan=Plan(20))
    best = measure(sweep(scores, labels), RATES, Setting())
    for name in RATES:
        low, high = found[name]
        assert low < high and best[name] in (low, high), name
    real, fake = 1 - 0.025 ** (1 / 60), 1 - 0.025 ** (1 / 400)
    assert found["eer"] == pytest.approx((0, real)) and found["fnr"] == pytest.approx((0, real))
    assert found["fpr"] == pytest.approx((0, fake)) and found["recall"] == pytest.approx(
        (1 - real, 1)
    )
    assert found["roc_auc"] == pytest.approx(((1 - real) * (1 - fake), 1))
    assert found["act_dcf"] == pytest.approx((0, Costs().normalised(real, fake)))
    assert found["frr_at_far_1"] == pytest.approx((0, real))
    assert found["frr_at_far_0.1"] == (0, 1)  # 400 fakes cannot vouch for a FAR of 0.1 %


def test_only_what_does_not_vary_is_widened():
    """At the threshold no real file is missed, but fakes are accepted."""
    scores, labels = separated(50, 200)
    scores[-40:] = 5.0
    found = intervals(scores, labels, ["fnr", "fpr", "eer"], setting=Setting(), plan=Plan(200))
    assert found["fnr"] == pytest.approx((0, 1 - 0.025 ** (1 / 50)))
    assert found["fpr"][0] < 0.2 < found["fpr"][1] < 0.3 and found["eer"][0] == 0


def test_classes_in_the_wrong_order_are_not_certainly_so():
    scores, labels = separated(30, 30)
    found = intervals(
        -scores, labels, ["eer", "roc_auc", "recall"], setting=Setting(), plan=Plan(9)
    )
    assert found["eer"] == pytest.approx((0.025 ** (1 / 30), 1)) and found["roc_auc"][1] > 0.1
    assert found["recall"][1] == pytest.approx(1 - 0.025 ** (1 / 30))


def test_groups_count_where_groups_are_drawn():
    scores, labels = separated(100, 100)
    clusters = np.arange(200) // 10  # ten groups of each class
    found = intervals(scores, labels, ["eer"], setting=Setting(), plan=Plan(9), clusters=clusters)
    assert found["eer"] == pytest.approx((0, 1 - 0.025 ** (1 / 10)))


def test_intervals_of_separated_samples_cover_the_true_eer():
    """Normals 4.5 apart: half of the sets of 60 + 60 files are separated, none has an EER of 0."""
    truth, covered, separable, sets = norm.cdf(-2.25), 0, 0, 400
    for number in range(sets):
        rng = np.random.default_rng([7, number])
        labels = np.repeat([1, 0], 60)
        scores = rng.normal(size=120) + 4.5 * labels
        if scores[:60].min() < scores[60:].max():
            continue
        low, high = intervals(scores, labels, ["eer"], setting=Setting(), plan=Plan(2))["eer"]
        separable += 1
        covered += low <= truth <= high
    assert separable > 40 and covered / separable > 0.975 - 3 * sqrt(0.025 / separable)

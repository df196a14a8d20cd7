"""Equal error rates and rates at a threshold: known answers, closed forms, other people's code."""

from fractions import Fraction
from math import erf, exp, log, pi, sqrt

import numpy as np
import pytest

from metrics import costs, rates
from metrics.costs import Costs
from metrics.sweep import sweep


def two_normals(rng, n=200_000, distance=2.0):
    labels = np.repeat([1, 0], n)
    return rng.normal(size=2 * n) + distance * labels, labels


def phi(x):
    return (1 + erf(x / sqrt(2))) / 2


def asvspoof_eer(scores, labels):
    """The published rule restated in whole fractions: walk the distinct scores upwards, reject
    what is not above each, begin with nothing rejected; first least |FRR - FAR|."""
    real = sorted(Fraction(s) for s, label in zip(scores, labels, strict=True) if label == 1)
    fake = sorted(Fraction(s) for s, label in zip(scores, labels, strict=True) if label == 0)
    best = None
    for threshold in [None, *sorted({*real, *fake})]:
        missed = sum(1 for s in real if threshold is not None and s <= threshold)
        accepted = sum(1 for s in fake if threshold is None or s > threshold)
        frr, far = Fraction(missed, len(real)), Fraction(accepted, len(fake))
        if best is None or abs(frr - far) < best[0]:
            best = (abs(frr - far), (frr + far) / 2, threshold)
    return float(best[1]), best[2]


def published_example():
    """16 real and 134 fake files: at the crossing 1 real is missed and 8 fakes are accepted."""
    scores = np.concatenate([[-1.0], np.linspace(2, 3, 15), np.linspace(-3, -2, 126)])
    scores = np.concatenate([scores, np.linspace(0, 1, 8)])
    return scores, np.repeat([1, 0], [16, 134])


def test_quarter_of_each_class_wrong_is_an_eer_of_a_quarter():
    scores = np.array([-1, 3, 4, 5, 1, 2, 2.5, -2, -3, -4, -5, -6, -7, -8, -9, -10])
    labels = np.repeat([1, 0], [4, 12])
    assert rates.eer(scores, labels) == (0.25, -1.0)
    assert rates.eer_interpolated(scores, labels).rate == 0.25


def test_published_150_file_example_has_its_corrected_eer():
    assert round(rates.eer(*published_example()).rate, 4) == 0.0611


def test_separable_scores_have_no_errors():
    scores, labels = np.array([0.0, 1.0, 2.0, 3.0]), np.array([0, 0, 1, 1])
    assert rates.eer(scores, labels) == (0.0, 1.0)
    assert rates.eer_interpolated(scores, labels).rate == 0.0
    assert rates.eer_rocch(scores, labels) == 0.0
    assert rates.auc(scores, labels) == 1.0
    assert costs.min_dcf(scores, labels, costs=Costs()) == 0.0
    assert costs.min_cllr(scores, labels) == 0.0


def test_all_scores_equal_is_a_coin_toss():
    scores, labels = np.zeros(10), np.array([1] * 3 + [0] * 7)
    assert rates.eer(scores, labels).rate == 0.5
    assert rates.eer_interpolated(scores, labels).rate == 0.5
    assert rates.eer_rocch(scores, labels) == pytest.approx(0.5)
    assert rates.auc(scores, labels) == 0.5
    assert costs.min_cllr(scores, labels) == pytest.approx(1.0)


@pytest.mark.parametrize("figure", ["eer", "eer_interpolated", "eer_rocch", "auc"])
def test_swapping_classes_and_negating_scores_changes_nothing(figure, rng):
    scores, labels = two_normals(rng, n=500)
    both = (scores, labels), (-scores, 1 - labels)
    first, second = (getattr(rates, figure)(*each) for each in both)
    rate = (lambda found: found[0]) if isinstance(first, tuple) else float
    assert rate(first) == pytest.approx(rate(second), abs=1e-12)


def test_swap_moves_the_asvspoof_eer_only_between_two_equally_near_points():
    """The first argmin decides between them; their means lie 1 / (2 n) apart, n the files of the
    class one of whose files lies between. The other definitions have no such exception."""
    coin_toss = np.append(np.arange(8.0), 3.5), np.append(np.ones(8, int), 0)
    assert rates.eer(*coin_toss).rate == 0.75
    assert rates.eer(-coin_toss[0], 1 - coin_toss[1]).rate == 0.25
    moved = 0
    for seed in range(400):
        rng = np.random.default_rng(seed)
        n_real, n_fake = rng.integers(1, 12, 2)
        labels = np.repeat([1, 0], [n_real, n_fake])
        scores = rng.normal(size=len(labels)) + rng.normal() * labels
        both = (scores, labels), (-scores, 1 - labels)
        first, second = (rates.eer(*each).rate for each in both)
        if abs(first - second) > 1e-12:
            moved += 1
            points = sweep(scores, labels)
            nearest = np.abs(points.frr - points.far)
            assert (nearest < nearest.min() + 1e-12).sum() == 2
            apart = abs(first - second) - np.array([0.5 / n_real, 0.5 / n_fake])
            assert np.abs(apart).min() < 1e-12
        interpolated = [rates.eer_interpolated(*each).rate for each in both]
        assert interpolated[0] == pytest.approx(interpolated[1], abs=1e-12)
        hull = [rates.eer_rocch(*each) for each in both]
        assert hull[0] == pytest.approx(hull[1], abs=1e-12)
    assert 0 < moved < 60


@pytest.mark.parametrize("distance", [0.5, 2.0, 3.0])
def test_two_normals_reach_their_closed_forms(rng, distance):
    scores, labels = two_normals(rng, distance=distance)
    for rate in (
        rates.eer(scores, labels).rate,
        rates.eer_interpolated(scores, labels).rate,
        rates.eer_rocch(scores, labels),
    ):
        # standard error of a rate p over 200,000 files, both classes, four of them
        assert rate == pytest.approx(phi(-distance / 2), abs=4 * sqrt(0.25 / 400_000))
    assert rates.auc(scores, labels) == pytest.approx(phi(distance / sqrt(2)), abs=0.003)


def test_cllr_of_two_normals_is_its_integral(rng):
    # s ~ N(+-m, 2m) are log likelihood ratios of themselves; m = 2 here
    n, m = 400_000, 2.0
    labels = np.repeat([1, 0], n)
    scores = np.where(labels == 1, m, -m) + sqrt(2 * m) * rng.normal(size=2 * n)
    grid = np.linspace(-25, 29, 200_001)
    density = np.exp(-((grid - m) ** 2) / (4 * m)) / sqrt(4 * pi * m)
    expected = float(np.sum(np.logaddexp(0, -grid) * density) * (grid[1] - grid[0]) / log(2))
    assert costs.cllr(scores, labels) == pytest.approx(expected, abs=0.003)
    # they are calibrated, so isotonic calibration gains next to nothing
    assert 0 <= costs.cllr(scores, labels) - costs.min_cllr(scores, labels) < 0.002


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("seed", range(40))
def test_eer_is_the_asvspoof_rule_restated(seed, ties):
    rng = np.random.default_rng(seed)
    labels = np.append([0, 1], rng.integers(0, 2, rng.integers(0, 60)))
    scores = rng.normal(size=len(labels)) + rng.normal() * labels
    scores = np.round(scores, 0 if ties else 12)
    expected, threshold = asvspoof_eer(scores, labels)
    found = rates.eer(scores, labels)
    assert found.rate == pytest.approx(expected, abs=1e-15)
    if threshold is None:
        assert found.threshold < scores.min()
    else:
        assert found.threshold == float(threshold)


def packages_eer(scores, labels):
    """The ASVspoof packages' `compute_eer` restated: rates in floating point, one point a file.

    Equal scores are walked one by one there: for sets without ties only."""
    labels = labels[np.argsort(scores, kind="mergesort")]
    real = np.cumsum(labels)
    accepted = (1 - labels).sum() - (np.arange(1, len(labels) + 1) - real)
    frr = np.append(0, real / labels.sum())
    far = np.append(1, accepted / (1 - labels).sum())
    nearest = np.argmin(np.abs(frr - far))
    return np.mean((frr[nearest], far[nearest]))


def test_packages_differ_by_half_a_file_where_two_points_are_equally_near():
    """Exactly equal |FRR - FAR| round to unequal ones there: about one set in ten of this size."""
    differing, sets = 0, 600
    for seed in range(sets):
        rng = np.random.default_rng(seed)
        labels = np.repeat([1, 0], [300, 200])
        scores = rng.normal(size=500) + 2 * labels
        apart = abs(rates.eer(scores, labels).rate - packages_eer(scores, labels))
        points = sweep(scores, labels)
        nearest = np.abs(200 * points.real - 300 * (200 - points.fake))  # in whole numbers
        tied = (nearest == nearest.min()).sum() > 1
        if apart > 1e-12:
            differing += 1
            assert tied and any(
                apart == pytest.approx(half, abs=1e-12) for half in (0.5 / 300, 0.5 / 200)
            )
    assert 0.05 < differing / sets < 0.15, differing / sets


@pytest.mark.parametrize("seed", range(20))
def test_hull_eer_is_the_crossing_of_scikit_learns_hull_and_not_above_the_interpolated(seed):
    from scipy.spatial import ConvexHull
    from sklearn.metrics import roc_curve

    rng = np.random.default_rng(seed)
    labels = np.append([0, 1], rng.integers(0, 2, 50))
    scores = np.round(rng.normal(size=52) + labels, 1)
    far, tpr, _ = roc_curve(labels, scores)
    corners = np.append(np.column_stack([1 - tpr, far]), [[1.0, 1.0]], axis=0)
    # the hull as half planes n.x + c <= 0: the least e with (e, e) inside all of them
    facets = ConvexHull(corners).equations
    slope, constant = facets[:, 0] + facets[:, 1], facets[:, 2]
    expected = max(0.0, *(-constant[slope < -1e-12] / slope[slope < -1e-12]))
    hull = rates.eer_rocch(scores, labels)
    assert hull == pytest.approx(expected, abs=1e-9)
    assert hull <= rates.eer_interpolated(scores, labels).rate + 1e-12


def test_asvspoof_rule_can_lie_below_the_hull_in_a_tiny_set():
    scores = np.concatenate([[1.0], [2.0], np.arange(-9.0, 0.0)])  # 1 real, 10 fake, one above it
    labels = np.repeat([1, 0], [1, 10])
    assert rates.eer(scores, labels).rate == pytest.approx(0.05)  # mean of FRR 0 and FAR 0.1
    assert rates.eer_rocch(scores, labels) == pytest.approx(0.1 / 1.1)
    assert rates.eer_interpolated(scores, labels).rate == pytest.approx(0.1)


@pytest.mark.parametrize("decimals", [1, 9])
def test_agreement_with_scikit_learn(rng, decimals):
    from sklearn import metrics as sklearn_metrics

    labels = rng.integers(0, 2, 3000)
    scores = np.round(rng.normal(size=3000) + 1.3 * labels, decimals)
    assert rates.auc(scores, labels) == pytest.approx(
        sklearn_metrics.roc_auc_score(labels, scores), abs=1e-12
    )
    for threshold in (-0.5, 0.0, 0.7):
        decided = (scores >= threshold).astype(int)
        found = rates.confusion(scores, labels, threshold=threshold)
        tn, fp, fn, tp = sklearn_metrics.confusion_matrix(labels, decided).ravel()
        expected = {
            "accuracy": sklearn_metrics.accuracy_score(labels, decided),
            "precision": sklearn_metrics.precision_score(labels, decided),
            "recall": sklearn_metrics.recall_score(labels, decided),
            "f1": sklearn_metrics.f1_score(labels, decided),
            "fpr": fp / (fp + tn),
            "fnr": fn / (fn + tp),
        }
        assert found == pytest.approx(expected, abs=1e-12)
    far, tpr, _ = sklearn_metrics.roc_curve(labels, scores, drop_intermediate=False)
    points = sweep(scores, labels)
    assert np.allclose(points.far[::-1], far) and np.allclose(1 - points.frr[::-1], tpr)


def test_a_score_at_the_threshold_is_accepted():
    found = rates.confusion(np.array([0.0, 0.0]), np.array([1, 0]), threshold=0.0)
    assert found["recall"] == 1.0 and found["fpr"] == 1.0


def test_operating_points_hold_the_limit_even_where_it_is_met_exactly():
    scores = np.concatenate([np.arange(100.0), np.arange(100) + 50.5])  # fake 0..99, real 50.5..
    labels = np.repeat([0, 1], 100)
    assert rates.rate_at(scores, labels, which="frr", limit=0.01) == 0.48  # one fake (99) accepted
    assert rates.rate_at(scores, labels, which="frr", limit=0.001) == 0.49
    assert rates.rate_at(scores, labels, which="far", limit=0.01) == 0.48


@pytest.mark.parametrize("labels", [[1, 1, 1], [0, 0, 0]])
def test_one_class_gives_nan_for_rank_metrics_and_the_rest(labels):
    scores, labels = np.array([-1.0, 0.5, 2.0]), np.array(labels)
    assert np.isnan(rates.eer(scores, labels).rate) and np.isnan(rates.auc(scores, labels))
    assert np.isnan(rates.eer_interpolated(scores, labels).rate)
    assert np.isnan(rates.eer_rocch(scores, labels)) and np.isnan(costs.cllr(scores, labels))
    found = rates.confusion(scores, labels, threshold=0.0)
    if labels[0] == 1:
        assert found["accuracy"] == found["recall"] == pytest.approx(2 / 3)
        assert found["fnr"] == pytest.approx(1 / 3) and np.isnan(found["fpr"])
    else:
        assert found["fpr"] == pytest.approx(2 / 3) and np.isnan(found["recall"])


@pytest.mark.parametrize(
    "scores, labels, message",
    [
        ([0.0, np.nan], [0, 1], "NaN score in row 1"),
        ([0.0, 1.0], [0, 2], "labels must be 1"),
        ([0.0, 1.0], [0], r"expected both \(N,\)"),
    ],
)
def test_senseless_input_is_refused(scores, labels, message):
    with pytest.raises(ValueError, match=message):
        sweep(np.array(scores), np.array(labels))


def test_probability_and_score_thresholds_are_inverse():
    probabilities = np.array([1e-12, 0.2, 0.5, 0.9])
    assert rates.expit([rates.logit(p) for p in probabilities]) == pytest.approx(probabilities)
    assert rates.logit(0.0) == -np.inf and rates.logit(1.0) == np.inf
    assert rates.expit(-800.0) == pytest.approx(exp(-745) * 0, abs=1e-300)
    with pytest.raises(ValueError, match="lies in"):
        rates.logit(1.5)

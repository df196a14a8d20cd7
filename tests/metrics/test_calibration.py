"""Calibration and fusion: closed forms, scikit-learn, and what a file may hold."""

import json

import numpy as np
import pytest

from dataio.schema import UserError
from dataio.scores import Scores
from metrics import costs
from metrics.calibration import (
    Calibration,
    fit_affine,
    fit_isotonic,
    fit_logistic,
    load_calibration,
    save_calibration,
    separable,
)
from metrics.fusion import aligned, fit_fusion
from metrics.rates import auc

ASCENDING = np.array([1, 1, 0, 1, 0, 1, 1, 1, 0, 0, 1])  # its last block once sloped upwards


def normals(rng, n_real=40_000, n_fake=10_000, distance=2.0):
    labels = np.repeat([1, 0], [n_real, n_fake])
    return rng.normal(size=len(labels)) + distance * labels, labels


def test_affine_map_of_two_normals_is_their_likelihood_ratio(rng):
    # ln N(s; d, 1) - ln N(s; 0, 1) = d s - d^2 / 2, whatever the share of each class
    fitted = fit_affine(*normals(rng))
    assert fitted.scale == pytest.approx(2.0, abs=0.06)
    assert fitted.offset == pytest.approx(-2.0, abs=0.06)


@pytest.mark.parametrize("prior", [0.5, 0.05, 0.95])
def test_logistic_regression_agrees_with_scikit_learn(rng, prior):
    from sklearn.linear_model import LogisticRegression

    labels = rng.integers(0, 2, 800)
    features = rng.normal(size=(800, 3)) * [1, 5, 0.1] + np.outer(labels, [1.0, 2.0, 0.0])
    weights, offset = fit_logistic(features, labels, prior)
    share = np.where(labels == 1, prior / labels.sum(), (1 - prior) / (1 - labels).sum())
    model = LogisticRegression(C=1e9, tol=1e-10, max_iter=5000, solver="lbfgs")
    model.fit(features, labels, sample_weight=share * len(labels))
    assert weights == pytest.approx(model.coef_[0], rel=2e-3, abs=2e-3)
    expected = model.intercept_[0] - np.log(prior / (1 - prior))
    assert offset == pytest.approx(expected, abs=5e-3)


def test_affine_calibration_lowers_cllr_but_not_the_ranking(rng):
    scores, labels = normals(rng, 2000, 2000)
    scores = 0.1 * scores + 3
    fitted = fit_affine(scores, labels)
    ratio = fitted.log_likelihood_ratio(scores)
    assert costs.cllr(ratio, labels) < costs.cllr(scores, labels)
    assert auc(ratio, labels) == pytest.approx(auc(scores, labels), abs=1e-12)
    nudged = [
        costs.cllr(a * scores + b, labels)
        for a, b in (
            (fitted.scale * 1.02, fitted.offset),
            (fitted.scale, fitted.offset + 0.05),
            (fitted.scale * 0.98, fitted.offset - 0.05),
        )
    ]
    assert min(nudged) > costs.cllr(ratio, labels)


def test_isotonic_map_nearly_reaches_min_cllr_and_never_falls(rng):
    scores, labels = normals(rng, 3000, 3000)
    fitted = fit_isotonic(scores, labels)
    ratio = fitted.log_likelihood_ratio(scores)
    assert costs.cllr(ratio, labels) == pytest.approx(costs.min_cllr(scores, labels), abs=0.005)
    assert (np.diff(fitted.log_likelihood_ratio(np.sort(scores))) >= 0).all()
    assert np.isfinite(fitted.log_likelihood_ratio(np.array([-1e9, 1e9]))).all()


@pytest.mark.parametrize("n_real, n_fake", [(30, 30), (8, 200), (400, 15)])
@pytest.mark.parametrize("decimals", [0, 1, 12])
def test_isotonic_map_is_scikit_learns_with_the_same_imagined_files(rng, n_real, n_fake, decimals):
    from sklearn.isotonic import IsotonicRegression

    labels = np.repeat([1, 0], [n_real, n_fake])
    scores = np.round(rng.normal(size=len(labels)) + labels, decimals)
    ends = scores.min(), scores.max()
    padded, marks = np.append(scores, [*ends, *ends]), np.append(labels, [1, 1, 0, 0])
    weights = np.where(marks == 1, 1 / (n_real + 2), 1 / (n_fake + 2))
    posterior = IsotonicRegression().fit(padded, marks, sample_weight=weights).predict(scores)
    expected = np.log(posterior) - np.log1p(-posterior)
    found = fit_isotonic(scores, labels).log_likelihood_ratio(scores)
    assert found == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("seed", range(20))
def test_isotonic_calibration_treats_both_ends_alike(seed):
    """Classes swapped and scores negated: the same evidence for the other class."""
    rng = np.random.default_rng(seed)
    labels = np.append([0, 1], rng.integers(0, 2, 12)) if seed else ASCENDING
    scores = np.arange(float(len(labels)))
    found = fit_isotonic(scores, labels).log_likelihood_ratio(scores)
    mirrored = fit_isotonic(-scores, 1 - labels).log_likelihood_ratio(-scores)
    assert found == pytest.approx(-mirrored, abs=1e-12)
    assert np.unique(np.round(found, 9)).size < len(scores)  # blocks are flat


def test_separable_classes_give_finite_evidence_bounded_by_their_size():
    scores, labels = np.arange(20.0), np.repeat([0, 1], 10)
    assert separable(scores, labels)
    fitted = fit_isotonic(scores, labels)
    # each outer block: 10 of one class and 1 imagined file of the other, of 12 each
    assert fitted.log_likelihood_ratio(np.array([0.0, 19.0])) == pytest.approx(
        [-np.log(11), np.log(11)]
    )
    assert np.isfinite(fit_affine(scores, labels).scale)


def test_probability_follows_bayes_rule(rng):
    fitted = Calibration("affine", scale=2.0, offset=-1.0)
    s, prior = np.array([-1.0, 0.5, 2.0]), 0.2
    ratio = np.exp(2 * s - 1)
    expected = prior * ratio / (prior * ratio + 1 - prior)
    assert fitted.probability(s, prior) == pytest.approx(expected)
    with pytest.raises(ValueError, match="strictly between"):
        fitted.probability(s, 1.0)


def test_one_class_is_refused():
    for fit in (fit_affine, fit_isotonic):
        with pytest.raises(ValueError, match="needs both classes"):
            fit(np.arange(3.0), np.ones(3, int))


@pytest.mark.parametrize("fit", [fit_affine, fit_isotonic])
def test_a_saved_calibration_comes_back_the_same(tmp_path, rng, fit):
    fitted = fit(*normals(rng, 200, 200))
    save_calibration(tmp_path / "cal.json", fitted)
    back = load_calibration(tmp_path / "cal.json")
    s = np.linspace(-5, 5, 101)
    assert np.array_equal(back.log_likelihood_ratio(s), fitted.log_likelihood_ratio(s))
    assert back.checkpoint_sha256 is None and back.meta == {}


@pytest.mark.parametrize(
    "change, message",
    [
        ({"format": "other"}, "is not a calibration"),
        ({"method": "magic"}, "damaged"),
        ({"scale": float("nan")}, "damaged"),
        ({"scale": "2"}, "damaged"),
        ({"surprise": 1}, "damaged"),
        ({"method": "isotonic", "knots": [1, 1], "values": [0, 1]}, "damaged"),
        ({"method": "isotonic", "knots": [], "values": []}, "damaged"),
    ],
)
def test_a_file_that_is_no_calibration_is_refused(tmp_path, change, message):
    path = tmp_path / "cal.json"
    save_calibration(path, Calibration("affine"))
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(UserError, match=message):
        load_calibration(path)


def test_a_missing_or_unreadable_file_is_refused(tmp_path):
    with pytest.raises(UserError, match="cannot read"):
        load_calibration(tmp_path / "none.json")
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(UserError, match="not JSON"):
        load_calibration(tmp_path / "bad.json")


def test_fusion_of_two_independent_witnesses_adds_their_evidence(rng):
    labels = np.repeat([1, 0], 20_000)
    scores = rng.normal(size=(40_000, 2)) + np.outer(labels, [1.0, 2.0])
    fusion = fit_fusion(scores, labels)
    assert fusion.weights == pytest.approx([1.0, 2.0], abs=0.06)
    assert fusion.offset == pytest.approx(-2.5, abs=0.08)
    fused = costs.min_cllr(fusion.log_likelihood_ratio(scores), labels)
    assert fused < min(costs.min_cllr(column, labels) for column in scores.T)


def scored(ids, values, labels, path):
    values = np.array(values, float)
    logits = np.column_stack([np.zeros(len(values)), values])
    return Scores(np.array(ids, object), logits, np.array(labels, np.int8), path)


def test_files_are_matched_by_id_not_by_place():
    first = scored(["a", "b", "c"], [1, 2, 3], [1, 0, 0], "A.csv")
    other = scored(["c", "a", "b"], [30, 10, 20], [0, 1, 0], "B.csv")
    assert aligned([first, other], [])[0].tolist() == [[1, 10], [2, 20], [3, 30]]


@pytest.mark.parametrize(
    "other, message",
    [
        (scored(["a", "x"], [1, 2], [1, 0], "B.csv"), "B.csv holds 'x', which A.csv does not"),
        (scored(["a"], [1], [1], "B.csv"), "A.csv holds 'b', which B.csv does not"),
        (scored(["a", "b"], [1, 2], [1, 1], "B.csv"), "label 'b' differently"),
    ],
)
def test_files_that_do_not_match_are_refused_by_name(other, message):
    with pytest.raises(UserError, match=message):
        aligned([scored(["a", "b"], [1, 2], [1, 0], "A.csv"), other], [])

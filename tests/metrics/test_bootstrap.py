"""Intervals: a replicate's figures are those of the weighted files; bounds known in closed form."""

from math import sqrt

import numpy as np
import pytest
from scipy.stats import beta

from metrics.bootstrap import (
    HIGH,
    LOW,
    Plan,
    Ranked,
    drawing,
    imagined_weights,
    intervals,
    paired_intervals,
    replicate,
)
from metrics.groups import group_counts
from metrics.measures import MEASURES, Setting, measure
from metrics.sweep import sweep


def weighted_files(scores, labels, weights, imagined, places):
    """The sweep of the files themselves and of the imagined ones, each class of its own mass."""
    scores, labels = np.concatenate([scores, places]), np.append(labels, [1, 0])
    together = np.empty(len(labels))
    for label, own, more in zip((1, 0), weights, imagined, strict=True):
        mass = np.append(own, more).astype(float)
        together[labels == label] = mass * (len(own) / mass.sum())
    return sweep(scores, labels, together)


@pytest.mark.parametrize("decimals", [0, 1, 12])
@pytest.mark.parametrize("distance", [0.0, 1.0, 8.0])
@pytest.mark.parametrize("place", [(LOW, HIGH), (HIGH, LOW), (LOW, LOW), (HIGH, HIGH)])
def test_every_figure_of_a_replicate_is_that_of_the_weighted_files(rng, distance, decimals, place):
    labels = np.append([0, 1], rng.integers(0, 2, 60))
    scores = np.round(rng.normal(size=62) + distance * labels, decimals)
    setting = Setting(threshold=0.3)
    at = setting.threshold, setting.cost_threshold
    weights, imagined = drawing(labels, None)(rng), (1.5, 0.3)
    ends = min(scores.min(), *at) - 1e-9, max(scores.max(), *at) + 1e-9
    places = [ends[0] if end == LOW else ends[1] for end in place]
    whole = weighted_files(scores, labels, weights, imagined, places)
    expected = measure(whole, MEASURES, setting)
    ranked = Ranked(scores, labels, at=at)
    (every,) = ranked.reweighted(weights, imagined, [place], every=True)
    assert measure(every, MEASURES, setting) == pytest.approx(expected, abs=1e-6)
    assert every.real[-1] == pytest.approx(labels.sum())
    assert every.fake[-1] == pytest.approx((1 - labels).sum())
    (thin,) = ranked.reweighted(weights, imagined, [place])
    names = [name for name, each in MEASURES.items() if each.corners]
    of_corners = {name: expected[name] for name in names}
    assert measure(thin, names, setting) == pytest.approx(of_corners, abs=1e-6)


def test_sorted_order_and_file_order_draw_from_the_same_law(rng):
    labels = rng.integers(0, 2, 400)
    scores = rng.normal(size=400) + labels
    plan = Plan(2000, seed=1)
    options = {"draw": drawing(labels, None), "setting": Setting(), "plan": plan}
    imagined = imagined_weights(plan, labels, group_counts(labels, None))
    samples = [
        replicate([system], ["eer"], imagined=imagined, **options)[:, 0, 0, 0]
        for system in (Ranked(scores, labels), Ranked(scores, labels, exchangeable=True))
    ]
    spread = samples[0].std()
    assert samples[0].mean() == pytest.approx(samples[1].mean(), abs=5 * spread / sqrt(1000))
    assert spread == pytest.approx(samples[1].std(), rel=0.1)


@pytest.mark.parametrize("errors", [0, 1, 3, 39, 40])
def test_rates_at_a_threshold_have_the_bounds_of_clopper_and_pearson(errors):
    """40 real files, `errors` of them missed; the ends of 4,000 replicates spread a little."""
    scores = np.append(np.where(np.arange(40) < errors, -1.0, 1.0), np.full(25, -2.0))
    labels = np.repeat([1, 0], [40, 25])
    found = intervals(scores, labels, ["fnr", "recall"], setting=Setting(), plan=Plan(4000))
    low = beta.ppf(0.025, errors, 41 - errors) if errors else 0.0
    high = beta.ppf(0.975, errors + 1, 40 - errors) if errors < 40 else 1.0
    assert found["fnr"] == pytest.approx((low, high), abs=0.012)
    assert found["recall"] == pytest.approx((1 - high, 1 - low), abs=0.012)


@pytest.mark.parametrize("n_real, n_fake", [(100, 1000), (30, 300), (500, 20)])
@pytest.mark.parametrize("seed", [0, 1])
def test_an_eer_without_an_error_ends_at_the_bound_of_the_smaller_class(n_real, n_fake, seed):
    scores = np.append(np.arange(n_real) + 1.0, -np.arange(n_fake) - 1.0)
    labels = np.repeat([1, 0], [n_real, n_fake])
    names = ["eer", "eer_interpolated", "eer_rocch", "fnr", "fpr"]
    found = intervals(scores, labels, names, setting=Setting(), plan=Plan(1000, seed))
    bounds = {"fnr": beta.ppf(0.975, 1, n_real), "fpr": beta.ppf(0.975, 1, n_fake)}
    for name in names:
        bound = bounds.get(name, max(bounds.values()))
        assert found[name] == (0.0, pytest.approx(bound, rel=0.1)), name


def test_one_error_does_not_make_an_eer_more_certain_than_none():
    """100 real and 1,000 fake files: none wrong, then one fake above the lowest real."""
    scores = np.append(np.arange(100) + 1.0, -np.arange(1000) - 1.0)
    labels = np.repeat([1, 0], [100, 1000])
    options = {"setting": Setting(), "plan": Plan(1000)}
    none = intervals(scores, labels, ["eer"], **options)["eer"]
    scores[-1] = 1.5
    one = intervals(scores, labels, ["eer"], **options)["eer"]
    assert one[0] >= none[0] == 0 and one[1] >= none[1] > 0.03


@pytest.mark.parametrize("distance", [0.0, 1.0, 3.0, 9.0])
@pytest.mark.parametrize("decimals", [0, 12])
def test_figures_lie_in_their_intervals(rng, distance, decimals):
    labels = np.repeat([1, 0], [25, 60])
    scores = np.round(rng.normal(size=85) + distance * (labels - 0.5), decimals)
    figures = measure(sweep(scores, labels), MEASURES, Setting())
    found = intervals(scores, labels, list(MEASURES), setting=Setting(), plan=Plan(100))
    for name, (low, high) in found.items():
        assert low - 1e-12 <= figures[name] <= high + 1e-12, name
        assert low < high, name
        if name not in ("cllr", "act_dcf", "eer_threshold_score"):
            assert low >= 0 and high <= 1, name


def test_classes_in_the_wrong_order_are_not_certainly_so():
    scores, labels = np.append(-np.arange(30.0), np.arange(30.0) + 1), np.repeat([1, 0], 30)
    names, bound = ["eer", "roc_auc", "recall"], beta.ppf(0.975, 1, 30)
    found = intervals(scores - 0.5, labels, names, setting=Setting(), plan=Plan(1000))
    assert found["eer"] == (pytest.approx(1 - bound, rel=0.06), 1) and found["roc_auc"][1] > 0.1
    assert found["recall"] == (0, pytest.approx(bound, rel=0.06))


def test_a_least_cost_ends_higher_than_its_replicates(rng):
    """The least of many costs is below that of the best threshold: the interval leans upwards."""
    labels = np.repeat([1, 0], 300)
    scores = rng.normal(size=600) + 2 * labels
    names = ["min_dcf", "min_cllr"]
    figures = measure(sweep(scores, labels), names, Setting())
    found = intervals(scores, labels, names, setting=Setting(), plan=Plan(200))
    for name, (low, high) in found.items():
        assert high - figures[name] > figures[name] - low, name


def test_same_seed_same_interval_whatever_the_threads(rng, monkeypatch):
    labels = rng.integers(0, 2, 300)
    scores = rng.normal(size=300) + labels
    found = []
    monkeypatch.setattr("metrics.bootstrap.THREADED", 0)
    for threads in (1, 3):
        monkeypatch.setattr("metrics.bootstrap._threads", lambda threads=threads: threads)
        found.append(intervals(scores, labels, ["eer"], setting=Setting(), plan=Plan(50, seed=4)))
    assert found[0] == found[1]
    other = intervals(scores, labels, ["eer"], setting=Setting(), plan=Plan(50, seed=5))
    assert other != found[0]


def test_a_cluster_is_drawn_whole(rng):
    labels = np.array([1, 1, 0, 1, 0, 0, 1, 1, 0, 0, 0])
    # 0 and 1 of both classes, 2 and two files of fake only, 3 and 4 of real only
    clusters = np.array([0, 0, 0, 1, 1, 2, 3, 4, 2, -1, -1])
    real, fake = drawing(labels, clusters)(rng)
    assert real[0] == real[1] == fake[0] and real[2] == fake[1]  # clusters 0 and 1
    assert fake[2] == fake[3]  # cluster 2
    assert len({*real, *fake}) == 7 and min(*real, *fake) > 0


def test_an_imagined_group_has_the_mean_size_of_its_class(rng):
    labels = np.repeat([1, 0], [30, 200])
    clusters = np.arange(230) // 10  # 3 groups of real files, 20 of fake
    plan = Plan(400)
    alone, grouped = (
        imagined_weights(plan, labels, group_counts(labels, each)) for each in (None, clusters)
    )
    assert grouped == pytest.approx(10 * alone)
    assert alone.mean(axis=0) == pytest.approx([1, 1], rel=0.02)
    options = {"setting": Setting(), "plan": plan, "clusters": clusters}
    found = intervals(np.where(labels == 1, 1.0, -1.0), labels, ["fnr"], **options)["fnr"]
    assert found == (0, pytest.approx(beta.ppf(0.975, 1, 3), rel=0.1))


@pytest.mark.parametrize(
    "clusters, without",
    [
        (np.zeros(40, int), {"eer", "fpr", "fnr"}),
        (np.where(np.arange(40) < 20, -1, 0), {"eer", "fpr"}),  # all fakes of one attack
    ],
)
def test_a_class_of_one_group_has_no_interval(rng, clusters, without):
    labels = np.repeat([1, 0], 20)
    scores = rng.normal(size=40) + labels
    names = ["eer", "fpr", "fnr"]
    options = {"setting": Setting(0.5), "plan": Plan(50), "clusters": clusters}
    found = intervals(scores, labels, names, **options)
    assert {name for name in names if np.isnan(found[name]).all()} == without
    both = np.array([scores, rng.normal(size=40)])
    found = paired_intervals(both, labels, names, **options)
    assert {name for name in names if np.isnan(found[name]).all()} == without


def test_difference_of_systems_without_errors_is_not_certain(rng):
    labels = np.repeat([1, 0], 30)
    sound = rng.random(60) + 2 * labels
    options = {"setting": Setting(1.5), "plan": Plan(1000)}
    low, high = paired_intervals([sound, 2 * sound], labels, ["eer"], **options)["eer"]
    one, either = (beta.ppf(level, 1, 30) for level in (0.975, 0.975**0.5))  # classes that err
    assert low == pytest.approx(-high, rel=0.05) and one < high < 1.1 * either
    noisy = sound + 2 * rng.normal(size=60)  # the same system twice does differ by nothing
    assert paired_intervals([noisy, noisy], labels, ["eer"], **options)["eer"] == (0, 0)


def test_correlated_files_widen_the_interval_only_when_clustered(rng):
    speakers = np.repeat(np.arange(40), 50)
    labels = (speakers % 2).astype(int)
    scores = rng.normal(size=40)[speakers] + 0.1 * rng.normal(size=2000) + labels
    widths = []
    for clusters in (None, speakers):
        low, high = intervals(
            scores, labels, ["eer"], setting=Setting(), plan=Plan(300), clusters=clusters
        )["eer"]
        widths.append(high - low)
    assert widths[1] > 3 * widths[0]


def test_one_class_has_nan_intervals_for_what_needs_two():
    found = intervals(
        np.arange(5.0), np.ones(5, int), ["eer", "recall"], setting=Setting(2.0), plan=Plan(50)
    )
    assert np.isnan(found["eer"]).all() and 0 <= found["recall"][0] <= found["recall"][1] <= 1


@pytest.mark.parametrize(
    "asked, message",
    [
        ({"replicates": 0}, "0 reweightings are too few"),
        ({"replicates": 38}, "38 reweightings are too few .*least: 39"),
        ({"replicates": 1000, "confidence": 0.999}, "give 1999"),
        ({"confidence": 1.0}, "strictly between 0 and 1"),
    ],
)
def test_an_impossible_plan_is_refused(asked, message):
    with pytest.raises(ValueError, match=message):
        Plan(**asked)
    assert Plan(39) and Plan(19, confidence=0.9)

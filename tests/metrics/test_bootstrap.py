"""Intervals: a replicate's figures are those of the resampled files; coverage; determinism."""

from math import erf, sqrt

import numpy as np
import pytest

from metrics.bootstrap import (
    Plan,
    Ranked,
    draw_clusters,
    draw_files,
    intervals,
    paired_intervals,
    replicate,
)
from metrics.measures import MEASURES, Setting, measure
from metrics.sweep import sweep


def resampled_files(scores, labels, counts):
    """The files themselves, each as often as it was drawn."""
    real, fake = scores[labels == 1], scores[labels == 0]
    repeated = np.concatenate([np.repeat(real, counts[0]), np.repeat(fake, counts[1])])
    return repeated, np.repeat([1, 0], [counts[0].sum(), counts[1].sum()])


@pytest.mark.parametrize("decimals", [0, 1, 12])
@pytest.mark.parametrize("distance", [0.0, 1.0, 8.0])
@pytest.mark.parametrize("seed", range(6))
def test_every_figure_of_a_replicate_is_that_of_the_resampled_files(seed, distance, decimals):
    rng = np.random.default_rng(seed)
    labels = np.append([0, 1], rng.integers(0, 2, 60))
    scores = np.round(rng.normal(size=62) + distance * labels, decimals)
    setting = Setting(threshold=0.3)
    ranked = Ranked(scores, labels, at=(setting.threshold, setting.cost_threshold))
    counts = draw_files(int(labels.sum()), int((1 - labels).sum()))(rng)
    expected = measure(sweep(*resampled_files(scores, labels, counts)), MEASURES, setting)
    thin = [name for name, each in MEASURES.items() if each.corners and name != "eer_threshold"]
    found = measure(ranked.resampled(counts), thin, setting)
    assert found == pytest.approx({name: expected[name] for name in thin}, abs=1e-12, nan_ok=True)
    every = measure(ranked.resampled(counts, every=True), MEASURES, setting)
    assert every == pytest.approx(expected, abs=1e-12, nan_ok=True)


def test_thinned_sweep_keeps_the_threshold_of_the_eer(rng):
    labels = rng.integers(0, 2, 500)
    scores = rng.normal(size=500) + labels
    counts = draw_files(int(labels.sum()), int((1 - labels).sum()))(rng)
    ranked = Ranked(scores, labels)
    expected = measure(
        sweep(*resampled_files(scores, labels, counts)), ["eer_threshold"], Setting()
    )
    found = measure(ranked.resampled(counts), ["eer_threshold"], Setting())
    assert found == pytest.approx(expected)


def test_sorted_order_and_file_order_draw_from_the_same_law(rng):
    labels = rng.integers(0, 2, 400)
    scores = rng.normal(size=400) + labels
    draw = draw_files(int(labels.sum()), int((1 - labels).sum()))
    plan = Plan(2000, seed=1)
    samples = [
        replicate([system], ["eer"], draw=draw, setting=Setting(), plan=plan)[:, 0, 0]
        for system in (Ranked(scores, labels), Ranked(scores, labels, exchangeable=True))
    ]
    spread = samples[0].std()
    assert samples[0].mean() == pytest.approx(samples[1].mean(), abs=5 * spread / sqrt(1000))
    assert spread == pytest.approx(samples[1].std(), rel=0.1)


def test_each_class_keeps_its_size(rng):
    real, fake = draw_files(30, 7)(rng)
    assert len(real) == real.sum() == 30 and len(fake) == fake.sum() == 7


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


def test_a_cluster_is_drawn_whole_and_a_class_never_vanishes(rng):
    labels = np.array([1, 1, 0, 1, 0, 0, 1, 1, 0, 0, 0])
    # 0 and 1 of both classes, 2 and two files of fake only, 3 and 4 of real only
    clusters = np.array([0, 0, 0, 1, 1, 2, 3, 4, 2, -1, -1])
    draw = draw_clusters(labels, clusters)
    seen = set()
    for _ in range(300):
        real, fake = draw(rng)
        assert real[0] == real[1] == fake[0] and real[2] == fake[1]  # clusters 0 and 1
        assert fake[2] == fake[3]  # cluster 2
        assert real[0] + real[2] == 2 and real[3] + real[4] == 2  # each stratum keeps its size
        assert fake[2] + fake[4] + fake[5] == 3
        seen.add((fake[2], fake[4], fake[5]))
    assert len(seen) == 10  # every multiset of three from three


def test_a_cluster_without_its_like_varies_with_the_others(rng):
    labels = np.array([1, 0, 1, 0, 1, 1])
    draw = draw_clusters(labels, np.array([0, 0, 1, 1, 2, 2]))  # 2 is the only one of real only
    drawn = [draw(rng) for _ in range(300)]
    assert {real[2] for real, _ in drawn} == {0, 1, 2}  # 3 would leave no fake file
    assert all(real[2] == real[3] and fake.any() for real, fake in drawn)


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
    options = {"setting": Setting(1.5), "plan": Plan(30)}
    bound = 1 - 0.025 ** (1 / 30)
    found = paired_intervals([sound, 2 * sound], labels, ["eer"], **options)
    assert found["eer"] == pytest.approx((-bound, bound))
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
        np.arange(5.0), np.ones(5, int), ["eer", "recall"], setting=Setting(2.0), plan=Plan(20)
    )
    assert np.isnan(found["eer"]).all() and 0 <= found["recall"][0] <= found["recall"][1] <= 1


@pytest.mark.parametrize("asked", [{"replicates": 0}, {"confidence": 1.0}])
def test_an_impossible_plan_is_refused(asked):
    with pytest.raises(ValueError, match="need replicates"):
        Plan(**asked)


@pytest.mark.slow
@pytest.mark.parametrize("n_real, n_fake", [(300, 300), (100, 800)])
def test_95_percent_intervals_of_the_eer_cover_its_true_value(n_real, n_fake):
    """Two normals 2 apart have an EER of Phi(-1). 600 sets: 3 standard errors are 2.7 %."""
    truth, sets, covered = (1 - erf(1 / sqrt(2))) / 2, 600, 0
    for number in range(sets):
        rng = np.random.default_rng([99, number])
        labels = np.repeat([1, 0], [n_real, n_fake])
        scores = rng.normal(size=len(labels)) + 2 * labels
        plan = Plan(400, seed=number)
        low, high = intervals(scores, labels, ["eer"], setting=Setting(), plan=plan)["eer"]
        covered += low <= truth <= high
    assert abs(covered / sets - 0.95) < 3 * sqrt(0.95 * 0.05 / sets), covered / sets


@pytest.mark.slow
@pytest.mark.parametrize("speakers, least, most", [(10, 0.82, 0.92), (40, 0.89, 0.97)])
def test_intervals_over_few_speakers_cover_less_than_they_promise(speakers, least, most):
    """Half the speakers real, half fake, 20 files each: score = 2 * label + the speaker's own
    shift + noise, all normal, so the EER is Phi(-1 / sqrt(2))."""
    truth, sets, covered = (1 - erf(1 / sqrt(2) / sqrt(2))) / 2, 400, 0
    for number in range(sets):
        rng = np.random.default_rng([98, number])
        speaker = np.repeat(np.arange(speakers), 20)
        labels = speaker % 2
        scores = rng.normal(size=speakers)[speaker] + rng.normal(size=len(speaker)) + 2 * labels
        plan = Plan(300, seed=number)
        options = {"setting": Setting(), "plan": plan, "clusters": speaker}
        low, high = intervals(scores, labels, ["eer"], **options)["eer"]
        covered += low <= truth <= high
    assert least < covered / sets < most, covered / sets

"""Distances against scipy, POT and closed forms, and what every result promises."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import ot
import pytest
import torch
from scipy import stats
from scipy.spatial.distance import cdist, pdist
from support.drift_world import World

from drift.distances import DISTANCES, Result
from drift.distances.base import make_pool
from drift.distances.classifier import count_wins, draw_folds
from drift.distances.frechet import frechet_of_labellings
from drift.distances.per_dimension import directions
from drift.embeddings import embedding_set
from drift.reference import fit_reference
from drift.sweeps import NEIGHBOUR, sweep_pairs, sweep_ranks, w1_of_weights


@pytest.fixture(scope="module")
def compared():
    """A fitted reference, what arrived, and both as standardised arrays."""
    world, rng = World(24), np.random.default_rng(3)
    reference = fit_reference(world.draw(240, rng, name="r"), seed=3)
    incoming = world.draw(110, rng, name="i", shift=0.15, spread=1.1)
    return (
        reference,
        incoming,
        reference.coordinates.astype(np.float64),
        reference.scale.standardise(incoming.embeddings).astype(np.float64),
    )


def result_of(name: str, compared, **settings) -> Result:
    reference, incoming, _, _ = compared
    return DISTANCES[name]().fit(reference).compare(incoming, **{"draws": 39, **settings})


def scipy_w1(x, y):
    return np.mean([stats.wasserstein_distance(a, b) for a, b in zip(x.T, y.T, strict=True)])


def scipy_ks(x, y):
    return np.mean([stats.ks_2samp(a, b).statistic for a, b in zip(x.T, y.T, strict=True)])


def pot_sliced_w1(x, y):
    return np.mean(
        [ot.emd2_1d(x @ u, y @ u, metric="euclidean") for u in directions(24).astype(np.float64)]
    )


def plain_energy(x, y):
    return 2 * cdist(x, y).mean() - pdist(x).mean() - pdist(y).mean()


def plain_knn(x, y, bandwidth):
    return np.sort(cdist(y, x), axis=1)[:, NEIGHBOUR - 1].mean() / bandwidth


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("w1", scipy_w1),
        ("ks", scipy_ks),
        ("sliced_w1", pot_sliced_w1),
        ("energy", plain_energy),
    ],
)
def test_distance_equals_an_independent_implementation(name, known, compared):
    _, _, x, y = compared
    assert result_of(name, compared).value == pytest.approx(known(x, y), rel=2e-4)


def test_frechet_equals_pot_gaussian_wasserstein_in_the_components(compared):
    reference, _, x, y = compared
    components = reference.scale.components.astype(np.float64)
    x, y = x @ components.T, y @ components.T
    known = ot.gaussian.bures_wasserstein_distance(x.mean(0), y.mean(0), np.cov(x.T), np.cov(y.T))
    assert result_of("frechet", compared).value == pytest.approx(known**2, rel=1e-4)


def test_mmd_is_the_unbiased_estimate_with_the_stored_bandwidth(compared):
    reference, _, x, y = compared
    gamma = 1 / (2 * reference.scale.bandwidth**2)
    known = (
        np.exp(-gamma * pdist(x, "sqeuclidean")).mean()
        + np.exp(-gamma * pdist(y, "sqeuclidean")).mean()
        - 2 * np.exp(-gamma * cdist(x, y, "sqeuclidean")).mean()
    )
    assert result_of("mmd", compared).value == pytest.approx(known, rel=1e-3)


def test_knn_is_the_mean_distance_to_the_fifth_neighbour(compared):
    reference, _, x, y = compared
    known = plain_knn(x, y, reference.scale.bandwidth)
    assert result_of("knn", compared).value == pytest.approx(known, rel=1e-4)


def test_energy_in_one_dimension_is_twice_the_squared_scipy_distance():
    """scipy's is the biased form, sqrt(2 E|x-y| - E|x-x'| - E|y-y'|) over all pairs."""
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal(400), rng.standard_normal(300) + 0.5
    member = torch.tensor(np.arange(700) < 400, dtype=torch.float32)[None]
    rows = torch.tensor(np.concatenate([x, y])[:, None], dtype=torch.float32)
    ours = sweep_pairs(rows, member, bandwidth=1.0, wanted=frozenset({"energy"}))["energy"][0]
    n, m = 400, 300
    biased = ours + pdist(x[:, None]).mean() / n + pdist(y[:, None]).mean() / m
    assert biased == pytest.approx(stats.energy_distance(x, y) ** 2, rel=1e-4)


def test_kl_and_js_equal_their_definitions_on_the_reference_bins(compared):
    reference, _, x, y = compared
    kl, js = [], []
    for d in range(24):
        edges = np.concatenate([[-np.inf], reference.scale.edges[:, d], [np.inf]])
        p, q = (np.histogram(side[:, d], edges)[0] + 0.5 for side in (x, y))
        p, q = p / p.sum(), q / q.sum()
        kl.append(stats.entropy(q, p))
        js.append((stats.entropy(p, (p + q) / 2) + stats.entropy(q, (p + q) / 2)) / 2)
    assert result_of("kl", compared).value == pytest.approx(np.mean(kl), rel=1e-4)
    assert result_of("js", compared).value == pytest.approx(np.mean(js), rel=1e-4)


def test_score_is_w1_of_the_logit_difference(compared):
    reference, incoming, _, _ = compared
    scale = reference.scale
    known = stats.wasserstein_distance(reference.sample.score, incoming.score)
    result = result_of("score", compared)
    assert result.value == pytest.approx(known / scale.score_deviation, rel=1e-4)
    assert result.details["ks"] == pytest.approx(
        stats.ks_2samp(reference.sample.score, incoming.score).statistic, rel=1e-4
    )
    assert result.details["fake_share_incoming"] == pytest.approx((incoming.score < 0).mean())


def test_frechet_of_two_normals_approaches_the_closed_form():
    """N(0, 1) against N(mu, sigma^2) in each of K dimensions: K (mu^2 + (1 - sigma)^2)."""
    rng, k, mu, sigma = np.random.default_rng(1), 4, 0.5, 2.0
    x = rng.standard_normal((200_000, k))
    y = rng.standard_normal((200_000, k)) * sigma + mu
    member = torch.tensor(np.arange(400_000) < 200_000, dtype=torch.float64)[None]
    value = frechet_of_labellings(torch.tensor(np.concatenate([x, y])), member)[0]
    assert value == pytest.approx(k * (mu**2 + (1 - sigma) ** 2), rel=0.02)


def test_w1_and_energy_of_shifted_normals_approach_their_closed_forms():
    """W1 of N(0, 1) and N(mu, 1) is mu; 1-D energy is 2 E|N(mu, 2)| - 2 E|N(0, 2)|."""
    rng, mu, rows = np.random.default_rng(2), 0.7, 2_000
    x, y = rng.standard_normal((2, rows, 3))
    both = torch.tensor(np.concatenate([x, y + mu]), dtype=torch.float32)
    member = torch.tensor(np.arange(2 * rows) < rows, dtype=torch.float32)[None]
    w1 = sweep_ranks(both, member, wanted=frozenset({"w1"}))["w1"][0]
    assert w1 == pytest.approx(mu, abs=0.06)
    folded = 2 / np.sqrt(np.pi) * np.exp(-(mu**2) / 4) + mu * (1 - 2 * stats.norm.cdf(-mu / 2**0.5))
    pairs = sweep_pairs(both[:, :1], member, bandwidth=1.0, wanted=frozenset({"energy"}))
    assert pairs["energy"][0] == pytest.approx(2 * folded - 4 / np.sqrt(np.pi), abs=0.05)


def test_c2st_is_chance_without_drift_and_one_for_sets_apart(compared):
    reference, _, _, _ = compared
    world = World(24)
    same = world.draw(110, np.random.default_rng(9), name="i")
    far = replace(same, embeddings=same.embeddings + 20 * world.scales)
    c2st = DISTANCES["c2st"]().fit(reference)
    assert c2st.compare(far, draws=39).value == 1.0
    result = c2st.compare(same, draws=39)
    assert result.null[0.05] < 0.5 < result.null[0.95]
    assert abs(result.value - 0.5) < 0.12


def test_c2st_agrees_with_an_iterated_logistic_regression(compared):
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score

    from drift.distances.classifier import PENALTY

    reference, incoming, x, y = compared
    rows = np.concatenate([x, y])
    side = np.arange(len(rows)) >= len(x)
    fold = draw_folds(np.arange(len(rows)), np.random.default_rng([0, 4]))
    wins = pairs = 0.0
    for f in range(5):
        train, held = fold != f, fold == f
        penalty = PENALTY * np.square(rows[train]).sum(axis=0).mean() / 4
        model = LogisticRegression(C=1 / penalty, max_iter=1000).fit(rows[train], side[train])
        count = side[held].sum() * (~side[held]).sum()
        wins += count * roc_auc_score(side[held], model.decision_function(rows[held]))
        pairs += count
    assert result_of("c2st", compared).value == pytest.approx(wins / pairs, abs=0.01)


def test_auc_counts_ties_as_half():
    scores = torch.tensor([[1.0], [1.0], [2.0], [0.0]])
    wins, pairs = count_wins(scores, torch.tensor([[1.0], [0.0], [1.0], [0.0]]))
    assert (wins.item(), pairs.item()) == (3.5, 4.0)


def test_relabelled_distances_equal_distances_of_the_relabelled_rows(compared):
    """Every column of a sweep is what the plain formula gives for that labelling."""
    reference, incoming, x, y = compared
    pool = make_pool(
        reference, incoming, draws=3, seed=1, wanted=["w1", "ks", "mmd", "energy", "knn"]
    )
    rows = np.concatenate([x, y])
    for place, labelling in enumerate(pool.is_reference):
        a, b = rows[labelling], rows[~labelling]
        assert pool.ranked["w1"][place].mean() == pytest.approx(scipy_w1(a, b), rel=1e-3)
        assert pool.ranked["ks"][place].mean() == pytest.approx(scipy_ks(a, b), rel=1e-3)
        assert pool.pairs["energy"][place] == pytest.approx(plain_energy(a, b), abs=1e-4)
        assert pool.pairs["knn"][place] == pytest.approx(plain_knn(a, b, 1.0), rel=1e-4)


def test_neighbours_of_a_far_cluster_are_reference_rows_not_each_other():
    """The kept pooled neighbours of such a row are all incoming: it must be looked at in full."""
    rng = np.random.default_rng(4)
    x, y = rng.standard_normal((60, 5)), rng.standard_normal((400, 5)) + 50
    rows = torch.tensor(np.concatenate([x, y]), dtype=torch.float32)
    member = torch.tensor(np.arange(460) < 60, dtype=torch.float32)[None]
    knn = sweep_pairs(rows, member, bandwidth=1.0, wanted=frozenset({"knn"}))["knn"][0]
    assert knn == pytest.approx(plain_knn(x, y, 1.0), rel=1e-4)


def test_equal_values_make_no_distance_inside_their_run():
    rows = torch.tensor([[0.0], [0.0], [1.0], [0.0], [0.0], [1.0]])
    member = torch.tensor([[1.0, 1, 1, 0, 0, 0]])
    swept = sweep_ranks(rows, member, wanted=frozenset({"w1", "ks"}))
    assert swept["ks"][0, 0] == pytest.approx(0.0, abs=1e-6)
    assert swept["w1"][0, 0] == pytest.approx(0.0, abs=1e-6)


def test_weighted_w1_of_equal_weights_is_w1(compared):
    _, _, x, y = compared
    weights = np.concatenate([np.full(len(x), 1 / len(x)), np.full(len(y), -1 / len(y))])
    rows = torch.tensor(np.concatenate([x, y]), dtype=torch.float32)
    ours = w1_of_weights(rows, torch.tensor(weights[None], dtype=torch.float32))
    assert ours[0] == pytest.approx(scipy_w1(x, y), rel=1e-3)


@pytest.mark.parametrize("name", DISTANCES)
def test_result_carries_everything_it_promises(name, compared):
    result = result_of(name, compared, draws=59, seed=5)
    assert result.name == name and result.unit
    assert (result.n, result.m, result.draws, result.seed) == (160, 110, 59, 5)
    assert list(result.null) == [0.05, 0.5, 0.95, 0.99]
    assert result.null[0.05] <= result.null[0.5] <= result.null[0.95] <= result.null[0.99]
    assert result.p in [k / 60 for k in range(1, 61)]
    assert result.effect == pytest.approx(result.value - result.null[0.5])
    assert result.status in ("ok", "warn", "alarm")
    with pytest.raises(AttributeError):
        result.value = 0.0


@pytest.mark.parametrize("name", DISTANCES)
def test_same_seed_same_result_and_another_seed_another_null(name, compared):
    first, again, other = (result_of(name, compared, seed=seed) for seed in (1, 1, 2))
    assert first.value == again.value and first.null == again.null
    assert first.null != other.null


@pytest.mark.parametrize("name", DISTANCES)
def test_a_large_drift_alarms_in_every_distance(name, compared):
    reference, _, _, _ = compared
    world, rng = World(24), np.random.default_rng(6)
    drifted = world.draw(110, rng, name="i", shift=1.5, new_share=0.5, real_share=0.05)
    result = DISTANCES[name]().fit(reference).compare(drifted, draws=39)
    assert result.status == "alarm" and result.p == 1 / 40 and result.effect > 0


@pytest.mark.parametrize("name", DISTANCES)
def test_too_few_rows_are_insufficient_and_not_ok(name, compared):
    reference, incoming, _, _ = compared
    result = DISTANCES[name]().fit(reference).compare(incoming.take(np.arange(19)))
    assert result.status == "insufficient" and np.isnan(result.p) and "20 rows" in result.note


def test_score_without_logits_is_insufficient_and_says_why():
    rows = np.random.default_rng(0).standard_normal((90, 3)).astype(np.float32)
    result = DISTANCES["score"]().fit(rows).compare(rows + 1)
    assert result.status == "insufficient" and "logits" in result.note


def test_frechet_warns_below_five_rows_a_component(compared):
    reference, incoming, _, _ = compared
    few = DISTANCES["frechet"]().fit(reference).compare(incoming.take(np.arange(40)), draws=39)
    assert "fewer than 5 rows" in few.note
    assert result_of("frechet", compared).note == ""


def test_w1_names_the_dimension_that_moved(compared):
    reference, _, _, _ = compared
    moved = World(24).draw(110, np.random.default_rng(8), name="i")
    embeddings = moved.embeddings.copy()
    embeddings[:, 17] += 3 * reference.scale.deviation[17]
    result = DISTANCES["w1"]().fit(reference).compare(replace(moved, embeddings=embeddings))
    top = result.details["top_dimensions"][0]
    assert top["dimension"] == 17 and top["value"] == pytest.approx(3, abs=0.4)
    assert result.details["max"] == top["value"] > result.details["max_null_95"]


def test_share_of_rejected_dimensions_counts_the_moved_ones(compared):
    reference, _, _, _ = compared
    moved = World(24).draw(110, np.random.default_rng(8), name="i")
    embeddings = moved.embeddings.copy()
    embeddings[:, :6] += 3 * reference.scale.deviation[:6]
    result = DISTANCES["ks"]().fit(reference).compare(replace(moved, embeddings=embeddings))
    assert 6 / 24 <= result.details["rejected_share"] <= 9 / 24


def test_units_do_not_matter():
    """Multiplying a dimension on both sides changes nothing: all is in reference deviations."""
    rng = np.random.default_rng(5)
    x, y = rng.standard_normal((2, 90, 4)).astype(np.float32)
    factor = np.array([1, 1024, 0.0625, 8], np.float32)
    for name in ("w1", "mmd", "frechet"):
        plain = DISTANCES[name]().fit(x).compare(y, draws=19)
        scaled = DISTANCES[name]().fit(x * factor).compare(y * factor, draws=19)
        assert scaled.value == pytest.approx(plain.value, rel=1e-4, abs=1e-7)


def test_a_dimension_that_never_varies_is_no_division_by_zero():
    rng = np.random.default_rng(5)
    x = rng.standard_normal((90, 4)).astype(np.float32)
    x[:, 2] = 7.0
    for name in DISTANCES:
        if name != "score":
            assert np.isfinite(DISTANCES[name]().fit(x[50:]).compare(x[:50], draws=19).value), name


def test_folds_keep_blocks_whole_and_are_of_about_equal_size():
    blocks = np.repeat(np.arange(40), 5)
    fold = draw_folds(blocks, np.random.default_rng(0))
    assert all(len(np.unique(fold[blocks == b])) == 1 for b in range(40))
    assert set(np.bincount(fold)) == {40}


def test_plain_arrays_are_enough():
    rng = np.random.default_rng(0)
    w1 = DISTANCES["w1"]().fit(rng.standard_normal((100, 6)))
    assert w1.compare(rng.standard_normal((60, 6)) + 2).status == "alarm"
    assert embedding_set(np.ones((2, 3))).ids.tolist() == ["row-0000000", "row-0000001"]

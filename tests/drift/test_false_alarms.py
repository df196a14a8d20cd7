"""Same distribution on both sides: 5 % of comparisons alarm, for any sizes and dimensions.

With 19 relabellings p <= 0.05 means that the actual labelling beats all of them, which happens
with probability 1 / 20 exactly: few relabellings cost power, never the level, so many comparisons
can be afforded here. The bounds below are binomial, 1 in 2,000 on either side; from 150 comparisons
on they have a lower one too, and 15 % of false alarms would nearly always be seen. The large sizes
cost seconds each: few run here, judged together, and benchmarks/RESULTS.md has more.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binom
from support.drift_world import World

from drift.distances import DISTANCES, measure
from drift.embeddings import embedding_set
from drift.null import combined_p
from drift.reference import fit_reference, fit_scale

NAMES = ("w1", "mmd", "energy", "c2st", "frechet")
DRAWS, LEVEL, TAIL = 19, 0.05, 0.0005
UNIFORM_MEAN, UNIFORM_DEVIATION = 0.525, 0.2883  # of a p-value from 0.05, 0.1, ..., 1
# dimensions, rows of the reference file, incoming rows, comparisons
SIZES = [
    (64, 50, 50, 1_000),
    (64, 50, 1_000, 200),
    (64, 1_000, 50, 200),
]
LARGE_SIZES = [
    (1024, 400, 60, 30),
    (1024, 50, 200, 30),
    (64, 5_000, 5_000, 1),
    (1024, 5_000, 500, 1),
]
WIDE = (1024, 50, 200, 200)  # without c2st, which takes most of the time there


def comparisons(dimensions, n, m, count, names=NAMES, draws=DRAWS, **drift):
    """p-values (names + the combined one, count)."""
    world = World(dimensions)
    found = []
    for trial in range(count):
        rng = np.random.default_rng([dimensions, n, m, trial])
        reference = fit_reference(world.draw(n, rng, name="r"), seed=trial)
        results, values = measure(
            [DISTANCES[name]() for name in names],
            reference,
            world.draw(m, rng, name="i", **drift),
            draws=draws,
            seed=trial,
            alpha=LEVEL,
        )
        found.append([result.p for result in results] + [combined_p(values)])
    return np.array(found).T


def assert_binomial(alarms: int, count: int, what: str) -> None:
    low, high = binom.ppf([TAIL, 1 - TAIL], count, LEVEL)
    assert low <= alarms <= high, f"{what}: {alarms} alarms of {count}, expected {low} to {high}"


def assert_uniform(p: np.ndarray, names, what) -> None:
    for name, row in zip((*names, "all together"), p, strict=True):
        assert_binomial((row <= LEVEL).sum(), len(row), f"{name}, {what}")
        assert abs(row.mean() - UNIFORM_MEAN) < 4 * UNIFORM_DEVIATION / np.sqrt(len(row))


@pytest.mark.slow
def test_five_percent_of_same_distribution_comparisons_alarm_whatever_the_sizes():
    found = {size: comparisons(*size) for size in SIZES}
    found["large"] = np.concatenate([comparisons(*size) for size in LARGE_SIZES], axis=1)
    found["all sizes"] = np.concatenate(list(found.values()), axis=1)
    for size, p in found.items():
        assert_uniform(p, NAMES, size)
    names = tuple(name for name in NAMES if name != "c2st")
    assert_uniform(comparisons(*WIDE, names=names), names, WIDE)


@pytest.mark.slow
def test_p_values_of_the_other_distances_are_uniform_too():
    names = ("ks", "kl", "js", "sliced_w1", "knn", "score")
    p = comparisons(16, 90, 45, 200, names=names)
    assert_uniform(p, names, "N = 90, M = 45, D = 16")


@pytest.mark.slow
def test_groups_that_move_together_keep_the_level_and_single_rows_would_not():
    """30 speakers a side with a voice each: rows of a speaker are far from independent."""
    count, alarms, naive = 200, 0, 0
    world = World(16)

    def speakers(rng, name):
        sample = world.draw(30 * 8, rng, name=name)
        voices = rng.standard_normal((30, 16)).astype(np.float32) * world.scales
        who = np.repeat(np.arange(30), 8)
        names = np.array([f"{name}{speaker}" for speaker in who])
        return replace(
            sample,
            embeddings=sample.embeddings + voices[who],
            columns={"Speaker": names},
        )

    for trial in range(count):
        rng = np.random.default_rng([7, trial])
        reference = fit_reference(speakers(rng, "r"), seed=trial, group="Speaker")
        incoming = speakers(rng, "i")
        settings = {"draws": DRAWS, "seed": trial, "alpha": LEVEL}
        grouped, _ = measure([DISTANCES["mmd"]()], reference, incoming, **settings)
        rows = replace(reference, group=None)
        single, _ = measure([DISTANCES["mmd"]()], rows, incoming, **settings)
        alarms += grouped[0].p <= LEVEL
        naive += single[0].p <= LEVEL
    assert_binomial(alarms, count, "groups moved whole")
    assert naive > count / 2


def test_a_scale_fitted_on_the_compared_rows_would_alarm_at_nothing():
    """Why the reference is dealt in two: see drift.reference."""
    own, dealt = 0, 0
    for trial in range(8):
        rng = np.random.default_rng([11, trial])
        sample, incoming = (embedding_set(rng.standard_normal((50, 1024))) for _ in range(2))
        reference = fit_reference(sample, seed=trial)
        same_rows = replace(reference, sample=sample, scale=fit_scale(sample))
        for which in (reference, same_rows):
            results, _ = measure(
                [DISTANCES["frechet"]()], which, incoming, draws=DRAWS, seed=trial, alpha=LEVEL
            )
            alarmed = results[0].p <= LEVEL
            own, dealt = (own + alarmed, dealt) if which is same_rows else (own, dealt + alarmed)
    assert own == 8 and dealt <= 2

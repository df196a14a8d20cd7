"""Drift is found, and the more surely the larger it is: power curves at 5 %."""

from __future__ import annotations

import numpy as np
import pytest
from support.drift_world import World

from drift.distances import DISTANCES, measure
from drift.reference import fit_reference

NAMES = ("w1", "mmd", "energy", "c2st", "frechet")
TRIALS = 30
# kind of drift -> its sizes, and the distances that must nearly always see the largest. Two are
# blind by nature: a linear classifier to a change of spread, and frechet, which looks along the
# reference's components, to part of a cluster that lies across them.
CURVES = {
    "shift": ((0.0, 0.1, 0.4), ("w1", "mmd", "energy", "c2st", "frechet")),
    "spread": ((1.0, 1.1, 1.4), ("w1", "mmd", "energy", "frechet")),
    "new_share": ((0.0, 0.1, 0.4), ("w1", "mmd", "energy", "c2st")),
}


def power(kind: str, amount: float) -> np.ndarray:
    world, alarms = World(64), np.zeros(len(NAMES))
    for trial in range(TRIALS):
        rng = np.random.default_rng([5, trial])
        reference = fit_reference(world.draw(300, rng, name="r"), seed=trial)
        results, _ = measure(
            [DISTANCES[name]() for name in NAMES],
            reference,
            world.draw(150, rng, name="i", **{kind: amount}),
            draws=59,
            seed=trial,
            alpha=0.05,
        )
        alarms += [result.status == "alarm" for result in results]
    return alarms / TRIALS


@pytest.mark.slow
@pytest.mark.parametrize("kind", CURVES)
def test_power_rises_with_the_size_of_the_drift(kind):
    amounts, seen_by = CURVES[kind]
    curve = np.array([power(kind, amount) for amount in amounts])
    assert (curve[0] <= 0.2).all()  # no drift: the level, of 30
    for name, along in zip(NAMES, curve.T, strict=True):
        if name in seen_by:
            assert along[2] >= 0.9, (name, along)
            assert (np.diff(along) >= -0.1).all(), (name, along)


@pytest.mark.slow
def test_a_linear_classifier_is_blind_to_a_change_of_spread():
    assert power("spread", 1.4)[NAMES.index("c2st")] <= 0.2

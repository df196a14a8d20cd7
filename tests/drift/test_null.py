"""Relabellings, p-values and corrections: known answers."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import false_discovery_control

from drift.groups import count_relabellings
from drift.null import (
    benjamini_hochberg,
    combined_p,
    combined_ranks,
    draw_relabellings,
    draws_for,
    p_value,
    ranks,
    status_of,
)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([5.0, 1, 2, 3], 1 / 4),  # beats all three: never 0
        ([2.5, 1, 2, 3], 2 / 4),
        ([0.0, 1, 2, 3], 4 / 4),
        ([2.0, 2, 2, 2], 4 / 4),  # a tie reaches the observed value
        ([-0.2, -0.1, -0.3, -0.4], 2 / 4),
    ],
)
def test_p_is_k_plus_one_over_b_plus_one(values, expected):
    assert p_value(np.array(values)) == expected


def test_ranks_are_the_p_values_each_labelling_would_have():
    assert ranks(np.array([2.0, 9.0, 5.0, 1.0])).tolist() == [0.75, 0.25, 0.5, 1.0]


def test_relabellings_keep_the_sizes_and_start_with_the_actual_one():
    drawn = draw_relabellings(7, 4, 50, np.random.default_rng(0))
    assert drawn.shape == (51, 11)
    assert drawn[0].tolist() == [True] * 7 + [False] * 4
    assert (drawn.sum(axis=1) == 7).all()
    assert len(np.unique(drawn, axis=0)) > 40


def test_groups_move_whole_and_only_for_groups_of_their_size():
    reference, incoming = np.repeat(["a", "b", "c"], [3, 1, 2]), np.repeat(["a", "z"], [2, 3])
    drawn = draw_relabellings(
        6, 5, 80, np.random.default_rng(0), reference_groups=reference, incoming_groups=incoming
    )
    # the group `a` of one side and that of the other are two blocks
    for rows in ([0, 1, 2], [3], [4, 5], [6, 7], [8, 9, 10]):
        assert all(len(set(row)) == 1 for row in drawn[:, rows].tolist())
    assert (drawn.sum(axis=1) == 6).all() and drawn[:, 3].all()
    assert len(np.unique(drawn, axis=0)) == count_relabellings(reference, incoming) == 4


def test_combined_p_is_uniform_whatever_the_dependence_and_finds_a_single_drift():
    rng = np.random.default_rng(1)
    common = rng.standard_normal((400, 1, 20))
    found = np.array(
        [combined_p(values) for values in common + 0.5 * rng.standard_normal((400, 4, 20))]
    )
    assert abs((found <= 0.05).mean() - 0.05) < 0.033
    values = rng.standard_normal((10, 200))
    for place in (0, 7, 199):
        turned = np.roll(values, -place, axis=1)
        assert combined_ranks(values)[place] == combined_p(turned)
    values[3, 0] = 99.0
    assert combined_p(values) <= 0.05


def test_benjamini_hochberg_equals_scipy_along_the_last_axis():
    p = np.random.default_rng(0).random((3, 40)) ** 2
    assert np.allclose(benjamini_hochberg(p), false_discovery_control(p, axis=1))


def test_many_tests_get_enough_relabellings_for_one_of_them_to_pass():
    draws = draws_for(50, 200, 0.05)
    one_drifted = np.array([1 / (draws + 1)] + [0.9] * 49)
    assert benjamini_hochberg(one_drifted)[0] <= 0.05
    assert draws_for(2, 200, 0.05) == 200
    assert draws_for(10_000, 200, 0.05) == 2_000


@pytest.mark.parametrize(
    ("p", "status"), [(0.05, "alarm"), (0.051, "warn"), (0.1, "warn"), (0.11, "ok")]
)
def test_status_warns_up_to_twice_alpha(p, status):
    assert status_of(p, 0.05) == status

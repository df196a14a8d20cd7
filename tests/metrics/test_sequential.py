"""Wald's test: its bounds, what overlaps, and error rates that hold in simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest

from metrics.sequential import NOT_YET, SequentialTest


def test_it_decides_where_the_evidence_passes_a_bound_and_stays_with_it():
    test = SequentialTest(0.05, 0.01)
    assert (test.upper, test.lower) == (-math.log(0.05), math.log(0.01))
    assert test.take(0, 2, 2.0) == NOT_YET  # e^2 = 7.4 is not 20
    assert test.take(2, 4, 1.1) == "real" and test.decided_at == 4
    assert test.take(4, 6, -50.0) == "real" and test.evidence == pytest.approx(3.1)
    assert SequentialTest(0.05, 0.01).take(0, 2, -4.7) == "fake"


def test_a_window_that_shares_sound_with_the_last_one_taken_says_nothing_new():
    test = SequentialTest(0.01, 0.01)
    for start in range(4):
        test.take(start, start + 4, 1.0)
    assert test.evidence == 1.0
    test.take(4, 8, 1.0)
    assert test.evidence == 2.0


@pytest.mark.parametrize("rates", [(0.0, 0.1), (0.1, 0.5), (-1, 0.1)])
def test_a_rate_that_is_none_is_refused(rates):
    with pytest.raises(ValueError, match="between 0 and 0.5"):
        SequentialTest(*rates)


@pytest.mark.parametrize("separation", [0.5, 1.0, 2.5])
@pytest.mark.parametrize("far, frr", [(0.05, 0.05), (0.01, 0.1)])
def test_error_rates_hold_for_calibrated_ratios(separation, far, frr):
    # N(+-d^2 / 2, d^2) are the log likelihood ratios of two normal laws d deviations apart
    rng, streams = np.random.default_rng([int(10 * separation), int(100 * far)]), 2000
    for sign, wrong, rate in ((1, "fake", frr), (-1, "real", far)):
        ratios = rng.normal(sign * separation**2 / 2, separation, size=(streams, 60))
        verdicts = [run(SequentialTest(far, frr), row) for row in ratios]
        assert verdicts.count(wrong) / streams <= rate + 3 * math.sqrt(rate / streams)
        if separation > 0.5:
            assert verdicts.count(NOT_YET) == 0


def run(test: SequentialTest, ratios: np.ndarray) -> str:
    for place, ratio in enumerate(ratios):
        test.take(place, place + 1, ratio)
    return test.verdict

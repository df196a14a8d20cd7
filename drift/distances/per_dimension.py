"""Distances of one dimension at a time, averaged: w1, ks, kl, js; w1 along random directions."""

from __future__ import annotations

import numpy as np

from drift.distances.base import Distance, Measurement, Pool
from drift.null import benjamini_hochberg

TOP_DIMENSIONS = 10
DIRECTIONS, DIRECTIONS_SEED = 128, 20250910


def _top(values: np.ndarray) -> list[dict[str, float]]:
    """The dimensions that drifted most, with the null's 95 % quantile of each; (B + 1, D)."""
    order = np.argsort(-values[0], kind="stable")[:TOP_DIMENSIONS]
    null = np.quantile(values[1:, order], 0.95, axis=0)
    return [
        {"dimension": int(d), "value": float(values[0, d]), "null_95": float(q)}
        for d, q in zip(order, null, strict=True)
    ]


def _mean_over_dimensions(values: np.ndarray) -> Measurement:
    """The mean (the headline), the largest, and which dimensions lead; (B + 1, D)."""
    largest = values.max(axis=1)
    details = {
        "max": float(largest[0]),
        "max_null_95": float(np.quantile(largest[1:], 0.95)),
        "top_dimensions": _top(values),
    }
    return Measurement(values.mean(axis=1, dtype=np.float64), details)


class W1(Distance):
    """1-D Wasserstein-1 in each dimension, in reference deviations; the mean is the headline."""

    name, unit = "w1", "reference deviations"

    def measure(self, pool: Pool) -> Measurement:
        return _mean_over_dimensions(pool.ranked["w1"])


class KS(Distance):
    """1-D Kolmogorov-Smirnov D in each dimension: the mean, and the share of dimensions rejected.

    The share counts dimensions whose asymptotic two-sample p passes Benjamini-Hochberg at 5 %.
    Those p-values take rows as independent; under relabelling the share has its own null, given
    as its 95 % quantile.
    """

    name, unit = "ks", "difference of probability"

    def measure(self, pool: Pool) -> Measurement:
        from scipy.stats import kstwobign

        taken = _mean_over_dimensions(pool.ranked["ks"])
        n = pool.is_reference.sum(axis=1, keepdims=True)
        m = pool.n + pool.m - n
        p = kstwobign.sf(pool.ranked["ks"] * np.sqrt(n * m / (n + m)))
        rejected = (benjamini_hochberg(p) <= 0.05).mean(axis=1)
        taken.details["rejected_share"] = float(rejected[0])
        taken.details["rejected_share_null_95"] = float(np.quantile(rejected[1:], 0.95))
        return taken


class KL(Distance):
    """KL(incoming || reference) in nats on 32 reference quantile bins, 0.5 added to each bin."""

    name, unit = "kl", "nats"

    def measure(self, pool: Pool) -> Measurement:
        return _mean_over_dimensions(pool.ranked["kl"])


class JS(Distance):
    """Jensen-Shannon divergence in nats on the bins of `KL`; symmetric, at most ln 2."""

    name, unit = "js", "nats"

    def measure(self, pool: Pool) -> Measurement:
        return _mean_over_dimensions(pool.ranked["js"])


def directions(dimensions: int) -> np.ndarray:
    """(DIRECTIONS, D) float32 unit vectors, the same in every run."""
    drawn = np.random.default_rng(DIRECTIONS_SEED).standard_normal((DIRECTIONS, dimensions))
    return (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(np.float32)


class SlicedW1(Distance):
    """Mean Wasserstein-1 along 128 fixed random directions of the standardised space."""

    name, unit = "sliced_w1", "reference deviations"

    def measure(self, pool: Pool) -> Measurement:
        from drift.sweeps import sweep_ranks

        projected = pool.tensor(pool.coordinates) @ pool.tensor(
            directions(pool.coordinates.shape[1]).T
        )
        swept = sweep_ranks(projected, pool.tensor(pool.is_reference), wanted=frozenset({"w1"}))
        values = swept["w1"]
        return Measurement(values.mean(axis=1, dtype=np.float64))

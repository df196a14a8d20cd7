"""Detection cost and the cost of log likelihood ratios.

DCF(t) = C_miss (1 - P_spoof) FRR(t) + C_fa P_spoof FAR(t), divided by what the better of
"accept all" and "reject all" costs. Defaults: ASVspoof 5, track 1. Cllr: Brummer and du Preez 2006.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from metrics.rates import rejected_score
from metrics.sweep import Sweep, as_sweep, pav_blocks


@dataclass(frozen=True)
class Costs:
    """An application: how often speech is fake, and what each error costs."""

    p_spoof: float = 0.05
    c_miss: float = 1.0
    c_fa: float = 10.0

    def __post_init__(self):
        usable = 0 < self.p_spoof < 1 and 0 < self.c_miss < math.inf and 0 < self.c_fa < math.inf
        if not (usable and self.false_alarm_weight > 0 and 0 < self.odds < math.inf):
            raise ValueError(f"costs must be positive, finite numbers and 0 < p_spoof < 1: {self}")

    @property
    def miss_weight(self) -> float:
        return self.c_miss * (1 - self.p_spoof)

    @property
    def false_alarm_weight(self) -> float:
        return self.c_fa * self.p_spoof

    @property
    def odds(self) -> float:
        """What a miss costs in units of what a false alarm costs, each as often as it can occur."""
        return self.miss_weight / self.false_alarm_weight

    @property
    def threshold(self) -> float:
        """The Bayes threshold on a log likelihood ratio (natural log): -0.642 by default."""
        return -math.log(self.odds)

    def normalised(self, frr, far):
        """DCF of a pair of rates (or arrays of them) over the default cost."""
        cost = self.miss_weight * frr + self.false_alarm_weight * far
        return cost / min(self.miss_weight, self.false_alarm_weight)


def dcf_curve(scores, labels=None, *, costs: Costs) -> np.ndarray:
    """Normalised DCF (K + 1,) at each point of the sweep."""
    points = as_sweep(scores, labels)
    return costs.normalised(points.frr, points.far)


def min_dcf(scores, labels=None, *, costs: Costs) -> float:
    """The least normalised DCF over all thresholds: what the ranking alone allows."""
    points = as_sweep(scores, labels)
    if not points.both_classes:
        return float("nan")
    index = _cheapest(points, costs)
    far = (points.fake[-1] - points.fake[index]) / points.fake[-1]
    return float(costs.normalised(points.real[index] / points.real[-1], far))


def min_dcf_threshold(scores, labels=None, *, costs: Costs) -> float:
    """The highest rejected score at the first point of least cost."""
    points = as_sweep(scores, labels)
    return rejected_score(points, _cheapest(points, costs))


def _cheapest(points: Sweep, costs: Costs) -> int:
    """The point of least cost; up to a constant, to spare passes over a long sweep."""
    miss = costs.miss_weight / points.real[-1]
    false_alarm = costs.false_alarm_weight / points.fake[-1]
    return int(np.argmin(miss * points.real - false_alarm * points.fake))


def dcf_at(scores, labels=None, *, costs: Costs, threshold: float) -> float:
    """Normalised DCF when scores >= `threshold` (in units of the scores) are accepted."""
    points = as_sweep(scores, labels)
    if not points.both_classes:
        return float("nan")
    index = int(np.searchsorted(points.values, threshold, side="left"))
    far = (points.fake[-1] - points.fake[index]) / points.fake[-1]
    return float(costs.normalised(points.real[index] / points.real[-1], far))


def act_dcf(scores, labels=None, *, costs: Costs) -> float:
    """Normalised DCF at the Bayes threshold: scores are taken for log likelihood ratios."""
    return dcf_at(scores, labels, costs=costs, threshold=costs.threshold)


def cllr(scores, labels=None) -> float:
    """Cost of scores read as natural log likelihood ratios, in bits; 1 for s = 0 throughout."""
    points = as_sweep(scores, labels)
    if not points.both_classes:
        return float("nan")
    real = _mean_cost(np.diff(points.real), -points.values)
    fake = _mean_cost(np.diff(points.fake), points.values)
    return float((real + fake) / 2 / math.log(2))


def _mean_cost(counts: np.ndarray, exponents: np.ndarray) -> float:
    """Mean of ln(1 + e^x) where counts are not 0 (an infinite x elsewhere costs nothing)."""
    present = counts > 0
    counts = counts[present]
    return (counts * np.logaddexp(0, exponents[present])).sum() / counts.sum()


def min_cllr(scores, labels=None) -> float:
    """Cllr after the best monotone calibration of these very scores (PAV): 0 if separable."""
    points = as_sweep(scores, labels)
    if not points.both_classes:
        return float("nan")
    real, fake = pav_blocks(points)
    # a block's log likelihood ratio: its share of the real over its share of the fake
    real_share, fake_share = real / real.sum(), fake / fake.sum()
    with np.errstate(divide="ignore", invalid="ignore"):
        real_cost = np.where(real > 0, real_share * np.log2(1 + fake_share / real_share), 0.0)
        fake_cost = np.where(fake > 0, fake_share * np.log2(1 + real_share / fake_share), 0.0)
    return float((real_cost.sum() + fake_cost.sum()) / 2)

"""Intervals where no error was seen: resampling can draw none, and would call the figure certain.

With no error in n files, error rates up to u = 1 - a^(1/n) are compatible, a being half of
1 - confidence (Clopper and Pearson 1934). Where whole groups are drawn, n is their number: a group
is without error no more often than one of its files. u holds for a threshold put between two
separated classes as well: FRR at the lowest of n real scores is Beta(1, n), whatever their law.
The figures are then those at FRR = u_real and FAR = u_fake; an EER is never above the larger.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from metrics.costs import min_cllr
from metrics.measures import Setting
from metrics.rates import confusion_rates, eer
from metrics.sweep import Sweep

Interval = tuple[float, float]


def widened(
    intervals: Mapping[str, Interval],
    points: Sweep,
    groups: Mapping[str, int],
    *,
    setting: Setting,
    confidence: float,
) -> dict[str, Interval]:
    """The intervals by figure, those without width stretched to what is still compatible.

    `points`: the sweep they belong to, `groups`: independent units of each class in it.
    """
    stuck = [name for name, (low, high) in intervals.items() if low == high]
    if not stuck:
        return dict(intervals)
    risk = (1 - confidence) / 2
    ends = _at_thresholds(points, groups, setting, risk) | _of_ranks(points, groups, setting, risk)
    found = dict(intervals)
    for name in stuck:
        value = intervals[name][0]
        end = ends.get(name, value)
        found[name] = (min(value, end), max(value, end))
    return found


def compatible(errors: float, files: float, groups: int, risk: float) -> float:
    """The error rate furthest from none (or from all) of the files; else the observed one."""
    if not files:
        return float("nan")
    if errors == 0:
        return 1 - risk ** (1 / groups)
    return risk ** (1 / groups) if errors == files else errors / files


def _at_thresholds(points: Sweep, groups, setting: Setting, risk: float) -> dict[str, float]:
    real, fake = float(points.real[-1]), float(points.fake[-1])

    def rates_at(threshold: float) -> tuple[float, float]:
        index = int(np.searchsorted(points.values, threshold, side="left"))
        missed, accepted = float(points.real[index]), fake - float(points.fake[index])
        return (
            compatible(missed, real, groups["real"], risk),
            compatible(accepted, fake, groups["fake"], risk),
        )

    frr, far = rates_at(setting.threshold)
    missed, accepted = (real and real * frr), (fake and fake * far)  # 0 of an absent class
    table = confusion_rates(real=real, fake=fake, missed=missed, false_accepts=accepted)
    actual = setting.costs.normalised(*rates_at(setting.cost_threshold))
    return {**table, "hter": (frr + far) / 2, "act_dcf": actual}


def _of_ranks(points: Sweep, groups, setting: Setting, risk: float) -> dict[str, float]:
    """Of separated classes; of classes in the wrong order, where that has a meaning."""
    rate = eer(points).rate
    if rate not in (0.0, 1.0):
        return {}
    frr, far = (1 - risk ** (1 / groups[name]) for name in ("real", "fake"))
    if rate == 1.0:
        worst = max(frr, far)
        return {
            "eer": 1 - worst,
            "eer_interpolated": 1 - worst,
            "roc_auc": 1 - (1 - frr) * (1 - far),
        }
    # the classes as one decision: what it rejects, then what it accepts
    decision = Sweep(np.arange(2.0), np.array([0, frr, 1]), np.array([0, 1 - far, 1]))
    return {
        **dict.fromkeys(("eer", "eer_interpolated", "eer_rocch"), max(frr, far)),
        "roc_auc": (1 - frr) * (1 - far),
        "min_dcf": min(1.0, setting.costs.normalised(frr, far)),
        "min_cllr": min_cllr(decision),
        "frr_at_far_1": frr if far <= 0.01 else 1.0,
        "frr_at_far_0.1": frr if far <= 0.001 else 1.0,
        "far_at_frr_1": far if frr <= 0.01 else 1.0,
        "far_at_frr_0.1": far if frr <= 0.001 else 1.0,
    }

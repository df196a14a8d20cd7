"""Every figure of a set of scores by name: one table from which screen, JSON and intervals draw."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from metrics import costs as cost_functions
from metrics import rates
from metrics.costs import Costs
from metrics.sweep import Sweep

PUBLISHED = (
    "roc_auc", "accuracy", "precision", "recall", "f1", "fpr", "fnr", "eer", "eer_threshold",
)  # fmt: skip


@dataclass(frozen=True)
class Setting:
    """What a figure may depend on besides the scores.

    `threshold`: in units of the scores, for the threshold table; `costs`: for the DCFs;
    `dcf_threshold`: where the actual DCF is taken, None for the costs' own Bayes threshold.
    """

    threshold: float = 0.0
    costs: Costs = field(default_factory=Costs)
    dcf_threshold: float | None = None

    @property
    def cost_threshold(self) -> float:
        return self.costs.threshold if self.dcf_threshold is None else self.dcf_threshold


class Measure(NamedTuple):
    """How a figure is computed, and whether the ROC's corners suffice (`Sweep.corners`)."""

    of: Callable[[Sweep, Setting], float]
    corners: bool = True
    text: str = ""


def _at_threshold(name: str) -> Measure:
    def of(points: Sweep, setting: Setting) -> float:
        return rates.confusion(points, threshold=setting.threshold)[name]

    return Measure(of, text=f"{name} of the real class at the stated threshold")


def _operating_point(which: str, limit: float) -> Measure:
    other = {"frr": "far", "far": "frr"}[which]

    def of(points: Sweep, _: Setting) -> float:
        return rates.rate_at(points, which=which, limit=limit)

    return Measure(of, text=f"least {which.upper()} with {other.upper()} at most {limit:.1%}")


MEASURES: dict[str, Measure] = {
    "roc_auc": Measure(lambda points, _: rates.auc(points), text="area under the ROC"),
    **{name: _at_threshold(name) for name in PUBLISHED[1:7]},
    "hter": Measure(
        lambda points, setting: rates.hter(points, threshold=setting.threshold),
        text="half total error rate, (fpr + fnr) / 2, at the stated threshold",
    ),
    "eer": Measure(lambda points, _: rates.eer(points).rate, text="EER, ASVspoof rule"),
    "eer_threshold": Measure(
        lambda points, _: float(rates.expit(rates.eer(points).threshold)),
        text="its threshold, as P(real)",
    ),
    "eer_threshold_score": Measure(
        lambda points, _: rates.eer(points).threshold,
        corners=False,  # a score between two corners may be the one that is reached
        text="its threshold, as real - fake logit (P(real) is 1 from about 37 on)",
    ),
    "eer_interpolated": Measure(
        lambda points, _: rates.eer_interpolated(points).rate, text="EER, linear crossing"
    ),
    "eer_rocch": Measure(lambda points, _: rates.eer_rocch(points), text="EER, convex hull"),
    "min_dcf": Measure(
        lambda points, setting: cost_functions.min_dcf(points, costs=setting.costs),
        text="least normalised detection cost",
    ),
    "act_dcf": Measure(
        lambda points, setting: cost_functions.dcf_at(
            points, costs=setting.costs, threshold=setting.cost_threshold
        ),
        text="normalised detection cost at the Bayes threshold",
    ),
    "cllr": Measure(
        lambda points, _: cost_functions.cllr(points),
        corners=False,
        text="cost of the log likelihood ratios, bits",
    ),
    "min_cllr": Measure(lambda points, _: cost_functions.min_cllr(points), text="Cllr after PAV"),
    "frr_at_far_1": _operating_point("frr", 0.01),
    "frr_at_far_0.1": _operating_point("frr", 0.001),
    "far_at_frr_1": _operating_point("far", 0.01),
    "far_at_frr_0.1": _operating_point("far", 0.001),
}


def measure(points: Sweep, names: Iterable[str], setting: Setting) -> dict[str, float]:
    """The named figures of one set."""
    return {name: float(MEASURES[name].of(points, setting)) for name in names}

"""Intervals that cover near no error as well: files (or groups of files) reweighted at random.

Bayesian bootstrap (Rubin 1981): a replicate weighs every file by a standard exponential variate.
Resampling can only repeat errors that were seen, so each class is given one imagined file more. It
counts as an error at one end of the interval and as none at the other: the rate of x errors in n
files is then Beta(x + 1, n - x) for the upper end and Beta(x, n - x + 1) for the lower one, whose
quantiles are the bounds of Clopper and Pearson (1934). Figures of both classes mix two such laws
(melding: Fay, Proschan and Brittain 2015); those of a ranking are read from the reweighted ROC.
`benchmarks/interval_coverage.py` measures the coverage.

The scores are sorted once, a replicate is two vectors of weights, and of its ROC only the corners
are formed, and the points of the one segment where FRR meets FAR. A test holds every figure of a
replicate equal to that of the weighted files themselves.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np

from dataio.schema import FAKE, REAL
from metrics.calibration import fit_isotonic
from metrics.costs import cllr, dcf_at, min_dcf_threshold
from metrics.groups import group_counts, members
from metrics.measures import MEASURES, Setting, measure
from metrics.rates import eer_interpolated
from metrics.sweep import Sweep, sweep

THREADED = 20_000  # distinct scores from which on threads gain more than they cost
DEPENDS_ON = {"fpr": ("fake",), "fnr": ("real",), "recall": ("real",)}  # all others: both
NO_INTERVAL = (float("nan"), float("nan"))
LOW, HIGH = 0, 1
# where the imagined real and the imagined fake file stand: both wrong, then both right
ENDS = ((LOW, HIGH), (HIGH, LOW))
MOVED = ((LOW, LOW), (HIGH, HIGH))  # what lowers a threshold, then what raises it
ENDS_OF = {"eer_threshold": MOVED, "eer_threshold_score": MOVED}

Pair = tuple[np.ndarray, np.ndarray]
Draw = Callable[[np.random.Generator], Pair]
UpperEnd = Callable[[Sweep, float], float]
NOTHING_ELSE: Mapping[str, UpperEnd] = {}


@dataclass(frozen=True)
class Plan:
    """How many replicates, from which seed, for which confidence."""

    replicates: int = 1000
    seed: int = 0
    confidence: float = 0.95

    def __post_init__(self):
        if not 0 < self.confidence < 1:
            raise ValueError(f"a confidence lies strictly between 0 and 1, not {self.confidence}")
        least = math.ceil(round(2 / (1 - self.confidence), 6)) - 1  # whose outermost are the ends
        if self.replicates < least:
            raise ValueError(
                f"{self.replicates} reweightings are too few for an interval of confidence "
                f"{self.confidence:g}: give {max(1000, least)}, or 0 for none; least: {least}"
            )

    def interval(self, samples: np.ndarray) -> tuple[float, float]:
        """(low, high) of the replicates (R, 2) with the imagined files at either place."""
        tail = (1 - self.confidence) / 2
        # the k-th of R replicates stands for k / (R + 1): else R = 200 would cover 1 % less
        low, high = np.quantile(samples, [tail, 1 - tail], axis=0, method="weibull")
        return float(low.min()), float(high.max())


class Ranked:
    """One system's scores, ready to be reweighted: (N,) scores, (N,) labels of 1 and 0.

    `at` lists thresholds (in units of the scores) at which rates will be asked for. Files drawn
    one by one are `exchangeable`: their weights are as good in sorted as in file order, which
    saves a pass; groups and pairs of systems need the files' own order.
    """

    def __init__(
        self,
        scores: np.ndarray,
        labels: np.ndarray,
        at: Sequence[float] = (),
        *,
        exchangeable: bool = False,
    ):
        scores, labels = np.asarray(scores), np.asarray(labels)
        self.observed = sweep(scores, labels)
        self.order = [
            slice(None) if exchangeable else np.argsort(scores[labels == label], kind="stable")
            for label in (REAL, FAKE)
        ]
        # the imagined files stand just beyond all scores and thresholds
        inside = [*self.observed.values[:1], *self.observed.values[-1:], *filter(math.isfinite, at)]
        lowest = np.nextafter(min(inside, default=0.0), -np.inf)
        highest = np.nextafter(max(inside, default=0.0), np.inf)
        self.values = np.concatenate([[lowest], self.observed.values, [highest]])
        # how many files of each class every point rejects, the imagined ones apart
        counts = self.observed.real, self.observed.fake
        self.rejected = [np.concatenate([[0], count, count[-1:]]) for count in counts]
        self.last = len(self.values)
        asked = np.searchsorted(self.values, np.asarray(at, dtype=np.float64), side="left")
        corners = self.observed.corners() + 1
        self.kept = np.unique(np.concatenate([[0, self.last], corners, asked]))

    def reweighted(
        self,
        weights: Pair,
        imagined: Sequence[float],
        places: Sequence[tuple[int, int]],
        every: bool = False,
    ) -> list[Sweep]:
        """The sweeps of the files weighted by (N_real,) and (N_fake,), in file order.

        One for each of the `places` of the imagined real and fake file, whose weights are
        `imagined`. Each class is given the mass of its files. Only the kept points and those of
        the segment of the crossing, or `every` point.
        """
        sums = [_cumulated(each[order]) for each, order in zip(weights, self.order, strict=True)]
        return [self._swept(sums, imagined, place, every) for place in places]

    def _swept(self, sums, imagined, place: tuple[int, int], every: bool) -> Sweep:
        first = [1 if end == LOW else self.last for end in place]

        def mass(kind: int, points):
            own = sums[kind][self.rejected[kind][points]]
            return own + imagined[kind] * (points >= first[kind])

        real, fake = mass(0, self.last), mass(1, self.last)

        def missed_minus_accepted(k: int) -> float:
            at = self.kept[k]
            return mass(0, at) * fake - (fake - mass(1, at)) * real

        kept = np.arange(self.last + 1) if every else self._with_crossing(missed_minus_accepted)
        # the first point, with nothing rejected, is always kept and has no value of its own
        swept = [mass(kind, kept) for kind in (0, 1)]
        for kind, total in ((0, real), (1, fake)):
            if total > 0:  # the classes stay in proportion, which accuracy and precision depend on
                swept[kind] *= self.rejected[kind][-1] / total
        return Sweep(self.values[kept[1:] - 1], *swept)

    def _with_crossing(self, missed_minus_accepted: Callable[[int], float]) -> np.ndarray:
        low, high = 0, len(self.kept) - 1
        while low < high:  # the first kept point with FRR >= FAR
            middle = (low + high) // 2
            low, high = (low, middle) if missed_minus_accepted(middle) >= 0 else (middle + 1, high)
        if low == 0:
            return self.kept
        between = np.arange(self.kept[low - 1] + 1, self.kept[low])
        return np.concatenate([self.kept[:low], between, self.kept[low:]])


def drawing(labels: np.ndarray, clusters: np.ndarray | None) -> Draw:
    """Draws of weights for the real and the fake files: each its own, or one for each cluster.

    `clusters` (N,), e.g. speakers: a negative code is a file on its own (`groups.members`).
    """
    labels = np.asarray(labels)
    if clusters is None:
        sizes = [int((labels == label).sum()) for label in (REAL, FAKE)]
        return lambda rng: tuple(rng.standard_exponential(n, dtype=np.float32) for n in sizes)
    member = members(clusters)
    of_real, of_fake = member[labels == REAL], member[labels == FAKE]

    def draw(rng: np.random.Generator) -> Pair:
        weights = rng.standard_exponential(int(member.max(initial=-1)) + 1, dtype=np.float32)
        return weights[of_real], weights[of_fake]

    return draw


def imagined_weights(plan: Plan, labels: np.ndarray, groups: Mapping[str, int]) -> np.ndarray:
    """Weights (R, 2) of the imagined real and fake file, or group of a group's mean size.

    Near no error they decide alone, so their law is spread evenly over the replicates instead of
    drawn: the bound of a set without errors hardly depends on the seed.
    """
    rng = np.random.default_rng([plan.seed, plan.replicates])
    ranks = np.array([rng.permutation(plan.replicates) for _ in range(2)]).T
    sizes = [
        (np.asarray(labels) == label).sum() / max(groups[name], 1)
        for label, name in ((REAL, "real"), (FAKE, "fake"))
    ]
    return -np.log1p(-(ranks + 1) / (plan.replicates + 1)) * sizes  # as in `Plan.interval`


def replicate(
    systems: Sequence[Ranked],
    names: Sequence[str],
    *,
    draw: Draw,
    imagined: np.ndarray,
    setting: Setting,
    plan: Plan,
    uppers: Mapping[str, UpperEnd] = NOTHING_ELSE,
) -> np.ndarray:
    """The named figures (R, 2, systems, names) of R reweighted sets, at both places of `ENDS`.

    The same draw for all systems. Each replicate has its own generator, so the result does not
    depend on the number of threads. `uppers`: see `upper_ends`.
    """
    columns = {name: column for column, name in enumerate(names)}
    alike = {}  # names that are read from the same sweeps
    for name in columns:
        needs = ENDS_OF.get(name, ENDS), not MEASURES[name].corners
        alike.setdefault(needs, []).append(name)

    def one(number: int) -> np.ndarray:
        weights = draw(np.random.default_rng([plan.seed, number]))
        found = np.empty((2, len(systems), len(names)))
        for k, system in enumerate(systems):
            for (places, every), group in alike.items():
                swept = system.reweighted(weights, imagined[number], places, every)
                for end, points in enumerate(swept):
                    for name, figure in measure(points, group, setting).items():
                        if name in uppers and end == 0:
                            figure = uppers[name](points, figure)
                        found[end, k, columns[name]] = figure
        return found

    numbers = range(plan.replicates)
    if sum(len(system.values) for system in systems) < THREADED:
        return np.array([one(number) for number in numbers])
    with ThreadPoolExecutor(max_workers=_threads()) as pool:
        return np.array(list(pool.map(one, numbers)))


def upper_ends(points: Sweep, names: Sequence[str], setting: Setting) -> dict[str, UpperEnd]:
    """From a replicate and its figure to what stands for the upper end, where that is another.

    A least cost is below that of the best threshold (or map) of the population, for it fits its own
    files; a replicate's is so once more, by its cost at the choice made on the files (`points`)
    less its own least. Twice that is added: to undo the replicate's share, and the files' own.
    The hull's EER fits its files as well, and is never above the interpolated one.
    """
    if not points.both_classes:
        return {}
    found = {"eer_rocch": lambda s, _: eer_interpolated(s).rate}
    if "min_dcf" in names:
        above = np.nextafter(min_dcf_threshold(points, costs=setting.costs), np.inf)
        chosen = partial(dcf_at, costs=setting.costs, threshold=above)
        found["min_dcf"] = lambda s, least: min(1.0, 2 * chosen(s) - least)
    if "min_cllr" in names:
        ratio = fit_isotonic(points).log_likelihood_ratio
        found["min_cllr"] = lambda s, least: min(
            1.0, 2 * cllr(Sweep(ratio(s.values), s.real, s.fake)) - least
        )
    return found


def intervals(
    scores: np.ndarray,
    labels: np.ndarray,
    names: Sequence[str],
    *,
    setting: Setting,
    plan: Plan,
    clusters: np.ndarray | None = None,
) -> dict[str, tuple[float, float]]:
    """The interval of each named figure.

    (NaN, NaN) where the figure is NaN or all files of a class it depends on are of one group.
    """
    at = (setting.threshold, setting.cost_threshold)
    ranked = Ranked(scores, labels, at, exchangeable=clusters is None)
    groups = group_counts(labels, clusters)
    samples = replicate(
        [ranked],
        names,
        draw=drawing(labels, clusters),
        imagined=imagined_weights(plan, labels, groups),
        setting=setting,
        plan=plan,
        uppers=upper_ends(ranked.observed, names, setting),
    )[:, :, 0]
    figures = measure(ranked.observed, names, setting)
    return {
        name: NO_INTERVAL
        if math.isnan(figures[name]) or _varies_not(name, groups)
        else plan.interval(samples[:, :, column])
        for column, name in enumerate(names)
    }


def paired_intervals(
    scores: Sequence[np.ndarray],
    labels: np.ndarray,
    names: Sequence[str],
    *,
    setting: Setting,
    plan: Plan,
    clusters: np.ndarray | None = None,
) -> dict[str, tuple[float, float]]:
    """The interval of each figure's difference between two systems' scores (2, N) of one set.

    The imagined files are errors of one system and none of the other, either way round; a system
    against itself differs by nothing. What least costs fit of their own files is in both.
    """
    groups = group_counts(labels, clusters)
    if np.array_equal(*scores):
        return {name: NO_INTERVAL if _varies_not(name, groups) else (0.0, 0.0) for name in names}
    at = (setting.threshold, setting.cost_threshold)
    samples = replicate(
        [Ranked(system, labels, at) for system in scores],
        names,
        draw=drawing(labels, clusters),
        imagined=imagined_weights(plan, labels, groups),
        setting=setting,
        plan=plan,
    )
    differences = samples[:, :, 0] - samples[:, ::-1, 1]
    return {
        name: NO_INTERVAL if _varies_not(name, groups) else plan.interval(differences[:, :, column])
        for column, name in enumerate(names)
    }


def _varies_not(name: str, groups: Mapping[str, int]) -> bool:
    """Whether all files of a class the figure depends on are of one group."""
    return any(groups[kind] == 1 for kind in DEPENDS_ON.get(name, ("real", "fake")))


def _cumulated(weights: np.ndarray) -> np.ndarray:
    """Weights (n,) summed up, with the leading 0 (n + 1,)."""
    sums = np.zeros(len(weights) + 1)
    np.cumsum(weights, dtype=np.float64, out=sums[1:])
    return sums


def _threads() -> int:
    """NumPy leaves the interpreter while it draws, counts and sums."""
    return min(4, os.cpu_count() or 1)

"""Intervals by resampling files (or clusters of files) with replacement, within each class.

Exact and cheap: the scores are sorted once, a replicate is a vector of counts, and of its ROC
only the corners are formed, and the points of the one segment where FRR meets FAR. A test holds
every figure of a replicate equal to the figure of the resampled files themselves.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from dataio.schema import FAKE, REAL
from metrics.groups import group_counts, members
from metrics.measures import MEASURES, Setting, measure
from metrics.sweep import Sweep, sweep
from metrics.unseen import widened

THREADED = 20_000  # distinct scores from which on threads gain more than they cost
DEPENDS_ON = {"fpr": ("fake",), "fnr": ("real",), "recall": ("real",)}  # all others: both
NO_INTERVAL = (float("nan"), float("nan"))
Draw = Callable[[np.random.Generator], tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Plan:
    """How many replicates, from which seed, for which confidence."""

    replicates: int = 1000
    seed: int = 0
    confidence: float = 0.95

    def __post_init__(self):
        if self.replicates < 1 or not 0 < self.confidence < 1:
            raise ValueError(f"need replicates >= 1 and 0 < confidence < 1: {self}")

    def interval(self, samples: np.ndarray) -> tuple[float, float]:
        """The percentile interval (low, high) of the replicates (R,); NaN if one is NaN."""
        tail = (1 - self.confidence) / 2
        low, high = np.quantile(samples, [tail, 1 - tail])
        return float(low), float(high)


class Ranked:
    """One system's scores, ready to be resampled: (N,) scores, (N,) labels of 1 and 0.

    `at` lists thresholds (in units of the scores) at which rates will be asked for. Files drawn
    one by one are `exchangeable`: their counts are as good in sorted as in file order, which
    saves a pass; clusters and pairs of systems need the files' own order.
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
        self.points = sweep(scores, labels)
        self.order = [
            slice(None) if exchangeable else np.argsort(scores[labels == label], kind="stable")
            for label in (REAL, FAKE)
        ]
        asked = np.searchsorted(self.points.values, np.asarray(at, dtype=np.float64), side="left")
        self.kept = np.unique(np.concatenate([self.points.corners(), asked]))

    def resampled(self, counts: tuple[np.ndarray, np.ndarray], every: bool = False) -> Sweep:
        """The sweep of the files repeated `counts` times: (N_real,) and (N_fake,) in file order.

        Only the kept points and those of the segment of the crossing, or `every` point.
        """
        real, fake = (
            _cumulated(count[order]) for count, order in zip(counts, self.order, strict=True)
        )
        kept = np.arange(len(self.points.real)) if every else self._with_crossing(real, fake)
        # the sweep's own counts are positions in the sorted files of each class; the first point,
        # with nothing rejected, is always kept and has no value of its own
        return Sweep(
            self.points.values[kept[1:] - 1],
            real[self.points.real[kept]],
            fake[self.points.fake[kept]],
        )

    def _with_crossing(self, real: np.ndarray, fake: np.ndarray) -> np.ndarray:
        def missed_minus_accepted(k: int) -> float:
            at = self.kept[k]
            rejected, accepted = real[self.points.real[at]], fake[-1] - fake[self.points.fake[at]]
            return rejected * fake[-1] - accepted * real[-1]

        low, high = 0, len(self.kept) - 1
        while low < high:  # the first kept point with FRR >= FAR
            middle = (low + high) // 2
            low, high = (low, middle) if missed_minus_accepted(middle) >= 0 else (middle + 1, high)
        if low == 0:
            return self.kept
        between = np.arange(self.kept[low - 1] + 1, self.kept[low])
        return np.concatenate([self.kept[:low], between, self.kept[low:]])


def draw_files(n_real: int, n_fake: int) -> Draw:
    """Draws of n files from n with replacement, for each class by itself (stratified)."""

    def draw(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        return tuple(
            np.bincount(rng.integers(0, n, n), minlength=n) if n else np.zeros(0, dtype=np.int64)
            for n in (n_real, n_fake)
        )

    return draw


def draw_clusters(labels: np.ndarray, clusters: np.ndarray) -> Draw:
    """Draws of whole clusters (N,) of files, e.g. speakers: all of a cluster's files or none.

    Clusters with real files only, with fake only and with both are three strata, so a class never
    vanishes. A stratum of one cluster would never vary: then all clusters are one stratum, drawn
    again where a class is missing. A negative code is a file on its own (`groups.members`).
    """
    labels, member = np.asarray(labels), members(clusters)
    count = int(member.max(initial=-1)) + 1
    has_real = np.bincount(member, labels == REAL, count) > 0
    has_fake = np.bincount(member, labels == FAKE, count) > 0
    strata = [np.flatnonzero(has_real + 2 * has_fake == kind) for kind in (1, 2, 3)]
    if any(len(stratum) == 1 for stratum in strata):
        strata = [np.arange(count)]
    of_real, of_fake = member[labels == REAL], member[labels == FAKE]

    def draw(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        while True:
            times = np.zeros(count, dtype=np.int64)
            for stratum in strata:
                picked = rng.integers(0, max(len(stratum), 1), len(stratum))
                times[stratum] = np.bincount(picked, minlength=len(stratum))
            drawn = times[of_real], times[of_fake]
            if all(part.any() or not len(part) for part in drawn):
                return drawn

    return draw


def drawing(labels: np.ndarray, clusters: np.ndarray | None) -> Draw:
    """Draws of single files, or of clusters where there are any."""
    if clusters is not None:
        return draw_clusters(labels, clusters)
    return draw_files(int((labels == REAL).sum()), int((labels == FAKE).sum()))


def replicate(
    systems: Sequence[Ranked], names: Sequence[str], *, draw: Draw, setting: Setting, plan: Plan
) -> np.ndarray:
    """The named figures (R, systems, names) of R resampled sets; the same draw for all systems.

    Each replicate has its own generator, so the result does not depend on the number of threads.
    """
    every = not all(MEASURES[name].corners for name in names)

    def one(number: int) -> list[list[float]]:
        counts = draw(np.random.default_rng([plan.seed, number]))
        return [
            list(measure(system.resampled(counts, every), names, setting).values())
            for system in systems
        ]

    numbers = range(plan.replicates)
    if sum(len(system.points.values) for system in systems) < THREADED:
        return np.array([one(number) for number in numbers])
    with ThreadPoolExecutor(max_workers=_threads()) as pool:
        return np.array(list(pool.map(one, numbers)))


def intervals(
    scores: np.ndarray,
    labels: np.ndarray,
    names: Sequence[str],
    *,
    setting: Setting,
    plan: Plan,
    clusters: np.ndarray | None = None,
) -> dict[str, tuple[float, float]]:
    """The interval of each named figure; (NaN, NaN) where a class is missing or of one group.

    Where no error was seen, up to the bound of `metrics.unseen`.
    """
    at = (setting.threshold, setting.cost_threshold)
    ranked = Ranked(scores, labels, at, exchangeable=clusters is None)
    draw = drawing(np.asarray(labels), clusters)
    samples = replicate([ranked], names, draw=draw, setting=setting, plan=plan)[:, 0]
    groups = group_counts(labels, clusters)
    return _bounds(samples, names, ranked.points, groups, setting=setting, plan=plan)


def paired_intervals(
    scores: Sequence[np.ndarray],
    labels: np.ndarray,
    names: Sequence[str],
    *,
    setting: Setting,
    plan: Plan,
    clusters: np.ndarray | None = None,
) -> dict[str, tuple[float, float]]:
    """The interval of each figure's difference between two systems' scores (2, N) of one set."""
    at = (setting.threshold, setting.cost_threshold)
    ranked = [Ranked(system, labels, at) for system in scores]
    draw = drawing(np.asarray(labels), clusters)
    samples = replicate(ranked, names, draw=draw, setting=setting, plan=plan)
    groups = group_counts(labels, clusters)
    own = [
        _bounds(samples[:, k], names, system.points, groups, setting=setting, plan=plan)
        for k, system in enumerate(ranked)
    ]
    found = {}
    for column, name in enumerate(names):
        (low_a, high_a), (low_b, high_b) = own[0][name], own[1][name]
        found[name] = plan.interval(samples[:, 0, column] - samples[:, 1, column])
        if _varies_not(name, groups):
            found[name] = NO_INTERVAL
        elif not np.ptp(samples[:, :, column], axis=0).any():  # neither system can be seen to err
            found[name] = (low_a - high_b, high_a - low_b)
    return found


def _bounds(
    samples: np.ndarray,
    names: Sequence[str],
    points: Sweep,
    groups,
    *,
    setting: Setting,
    plan: Plan,
) -> dict[str, tuple[float, float]]:
    """The intervals of one system's replicates (R, names); none where a class cannot vary."""
    found = {name: plan.interval(samples[:, column]) for column, name in enumerate(names)}
    found = widened(found, points, groups, setting=setting, confidence=plan.confidence)
    return found | {name: NO_INTERVAL for name in names if _varies_not(name, groups)}


def _varies_not(name: str, groups) -> bool:
    """Whether all files of a class the figure depends on are of one group."""
    return any(groups[kind] == 1 for kind in DEPENDS_ON.get(name, ("real", "fake")))


def _cumulated(counts: np.ndarray) -> np.ndarray:
    """Counts (n,) summed up, with the leading 0 (n + 1,)."""
    sums = np.zeros(len(counts) + 1, dtype=np.int64)
    np.cumsum(counts, out=sums[1:])
    return sums


def _threads() -> int:
    """NumPy leaves the interpreter while it draws, counts and sums."""
    return min(4, os.cpu_count() or 1)

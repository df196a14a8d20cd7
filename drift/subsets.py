"""Comparing a part of what arrived: what slices, windows and predicted classes have in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from dataio.schema import UNKNOWN
from drift.distances import DISTANCES, Result, measure
from drift.embeddings import EmbeddingSet
from drift.groups import groups_of, like_groups
from drift.null import combined_p
from drift.reference import Reference

# Parts are many, so they run the default distances, those of them that were asked for.
PART_DISTANCES = ("w1", "mmd", "score")
# More reference rows than this hardly sharpen a distance (its variance goes with 1/n + 1/m) but
# cost time in every part.
REFERENCE_ROWS_EACH, REFERENCE_ROWS_LEAST = 4, 1_000
_JACKKNIFE_BLOCKS = 20


@dataclass(frozen=True)
class Part:
    """One part's outcome: `p` combines its results, `adjusted_p` corrects over its family.

    `against` says which reference rows it was held against; `interval` is a 95 % interval of the
    w1 effect (None where not asked for); `eer` is NaN without both classes.
    """

    name: str
    rows: int
    against: str
    results: tuple[Result, ...]
    p: float
    eer: float = float("nan")
    adjusted_p: float = float("nan")
    status: str = "insufficient"
    interval: tuple[float, float] | None = None


@dataclass(frozen=True)
class Plan:
    """How a comparison is made: names of distances, number of relabellings, seed, level."""

    distances: Sequence[str] = ("w1", "mmd", "score")
    draws: int = 200
    seed: int = 0
    alpha: float = 0.05

    def for_parts(self, **changes) -> Plan:
        chosen = [name for name in self.distances if name in PART_DISTANCES]
        return replace(self, distances=chosen or self.distances, **changes)

    def for_windows(self, **changes) -> Plan:
        chosen = [name for name in self.distances if name in PART_DISTANCES]
        return replace(self, distances=chosen or PART_DISTANCES, **changes)


def run_plan(
    plan: Plan, reference: Reference, incoming: EmbeddingSet
) -> tuple[tuple[Result, ...], float]:
    """The results of the plan's distances, and one p-value over those that could be measured."""
    results, values = measure(
        [DISTANCES[name]().fit(reference) for name in plan.distances],
        reference,
        incoming,
        draws=plan.draws,
        seed=plan.seed,
        alpha=plan.alpha,
    )
    return tuple(results), combined_p(values) if len(values) else float("nan")


def thin_reference(
    reference: Reference, incoming: EmbeddingSet, part_rows: int | None = None
) -> Reference:
    """Enough reference rows for a part of that size, by the reference's seed and whole groups.

    `part_rows` are all of the incoming set's unless given. Of a group, only as many rows count as
    the largest incoming group has: the comparison thins it to at most that (`drift.groups`).
    """
    part_rows = len(incoming) if part_rows is None else part_rows
    wanted = max(REFERENCE_ROWS_LEAST, REFERENCE_ROWS_EACH * part_rows)
    rows = len(reference.sample)
    if rows <= wanted:
        return reference
    ours, theirs = groups_of(reference, incoming)
    blocks = np.arange(rows) if ours is None else ours
    rng = np.random.default_rng([reference.seed, 6])
    _, block_of_row, sizes = np.unique(blocks, return_inverse=True, return_counts=True)
    if theirs is not None:
        sizes = np.minimum(sizes, np.unique(theirs, return_counts=True)[1].max(initial=1))
    order = rng.permutation(len(sizes))
    before = np.cumsum(sizes[order]) - sizes[order]
    keep = np.isin(block_of_row, order[before < wanted])
    return replace(reference, sample=reference.sample.take(keep))


def equal_error_rate(scored: EmbeddingSet, others: EmbeddingSet | None = None) -> float:
    """EER of a part whose labels are known; a class it lacks is taken from `others`, else NaN."""
    from metrics.rates import eer

    if scored.labels is None or scored.logits is None:
        return float("nan")
    score, labels = scored.score, scored.labels
    if others is not None:
        present = np.unique(labels[labels != UNKNOWN])
        if len(present) == 1:
            added = (others.labels != present[0]) & (others.labels != UNKNOWN)
            score = np.concatenate([score, others.score[added]])
            labels = np.concatenate([labels, others.labels[added]])
    known = labels != UNKNOWN
    return eer(score[known], labels[known]).rate if known.any() else float("nan")


def jackknife_interval(
    plan: Plan, reference: Reference, incoming: EmbeddingSet, effect: float
) -> tuple[float, float]:
    """A 95 % interval of the w1 effect: 20 blocks of either side left out in turn.

    Both sides are finite, so both contribute: variance = (g - 1) / g sum (w - mean w)^2 each
    (delete-a-group jackknife; groups stay together). Normal, so rough where w1 is near its floor.
    """
    from drift.distances.base import make_pool
    from drift.sweeps import w1_of_weights

    reference, incoming = like_groups(reference, incoming, plan.seed)
    pool = make_pool(reference, incoming, draws=0, seed=plan.seed, wanted=())
    rng = np.random.default_rng([plan.seed, 7])
    side_of_row = pool.is_reference[0]
    weights, spans = [], []
    for side in (True, False):
        units = np.unique(pool.blocks[side_of_row == side])
        block_of_unit = rng.permutation(len(units)) % min(_JACKKNIFE_BLOCKS, len(units))
        block_of_row = np.full(len(side_of_row), -1)
        mine = side_of_row == side
        block_of_row[mine] = block_of_unit[np.searchsorted(units, pool.blocks[mine])]
        for block in range(block_of_unit.max() + 1):
            kept = block_of_row != block
            first, second = kept & side_of_row, kept & ~side_of_row
            weights.append(first / first.sum() - second / second.sum())
        spans.append(block_of_unit.max() + 1)
    values = w1_of_weights(pool.tensor(pool.coordinates), pool.tensor(np.array(weights)))
    variance, start = 0.0, 0
    for count in spans:
        part = values[start : start + count]
        variance += (count - 1) / count * np.square(part - part.mean()).sum()
        start += count
    half = 1.96 * float(np.sqrt(variance))
    return effect - half, effect + half

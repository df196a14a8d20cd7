"""What every distance shares: the pool it is measured on and the result it gives."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import ClassVar

import numpy as np

from drift.device import chosen_device
from drift.embeddings import EmbeddingSet, embedding_set
from drift.groups import groups_of, like_groups, thinning_note, too_few
from drift.null import LEVELS, draw_relabellings, number_blocks, p_value, status_of
from drift.reference import Reference, fit_reference


@dataclass(frozen=True)
class Result:
    """One distance of one comparison.

    `value` is the distance, biased upwards as every distance between finite samples is; `null`
    maps a level to that quantile of the relabelled distances at the same sizes; `effect` is the
    value less the null's median, so 0 means "as far apart as equal samples are"; `unit` is the
    unit of both. `status` is ok, warn, alarm or insufficient; `n`, `m` reference and incoming rows
    that were compared (with groups they may be fewer than there are; `note` says so).
    """

    name: str
    value: float
    null: Mapping[float, float]
    p: float
    effect: float
    unit: str
    n: int
    m: int
    draws: int
    seed: int
    status: str
    note: str = ""
    details: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Measurement:
    """What a distance class returns: `values` (B + 1,), the actual labelling first."""

    values: np.ndarray
    details: dict[str, object] = field(default_factory=dict)
    note: str = ""


@dataclass(frozen=True)
class Pool:
    """Reference rows, then incoming rows, and every relabelling of them.

    `coordinates` (n + m, D) float32 in reference deviations, `score` (n + m,) likewise or None;
    `predicted_fake` (n + m,) bool or None; `is_reference` (B + 1, n + m) bool; `blocks` (n + m,)
    numbers rows that belong together; `wanted` names the distances that share the sweeps.
    """

    reference: Reference
    coordinates: np.ndarray
    score: np.ndarray | None
    predicted_fake: np.ndarray | None
    is_reference: np.ndarray
    blocks: np.ndarray
    n: int
    m: int
    seed: int
    wanted: frozenset[str]

    @property
    def draws(self) -> int:
        return len(self.is_reference) - 1

    @cached_property
    def device(self):
        return chosen_device()

    def tensor(self, array: np.ndarray, dtype: str = "float32"):
        """A torch tensor where the distances are computed."""
        import torch

        return torch.as_tensor(array, dtype=getattr(torch, dtype), device=self.device)

    @cached_property
    def ranked(self):
        from drift.sweeps import sweep_ranks

        edges = self.tensor(self.reference.scale.edges)
        return sweep_ranks(
            self.tensor(self.coordinates),
            self.tensor(self.is_reference),
            wanted=self.wanted,
            edges=edges,
        )

    @cached_property
    def pairs(self):
        from drift.sweeps import sweep_pairs

        return sweep_pairs(
            self.tensor(self.coordinates),
            self.tensor(self.is_reference),
            bandwidth=self.reference.scale.bandwidth,
            wanted=self.wanted,
        )


def make_pool(
    reference: Reference,
    incoming: EmbeddingSet,
    *,
    draws: int,
    seed: int,
    wanted: Iterable[str],
) -> Pool:
    """Put both sides together and draw the relabellings, by groups where the reference has them.

    With groups, the sides are those of `groups.like_groups`.
    """
    n, m = len(reference.sample), len(incoming)
    ours, theirs = groups_of(reference, incoming)
    is_reference = draw_relabellings(
        n, m, draws, np.random.default_rng([seed, 3]), reference_groups=ours, incoming_groups=theirs
    )
    blocks = np.arange(n + m) if ours is None else number_blocks(ours, theirs)
    scale, score, fake = reference.scale, None, None
    if reference.sample.logits is not None and incoming.logits is not None:
        both = np.concatenate([reference.sample.score, incoming.score])
        score, fake = scale.standardise_score(both), both < 0
    coordinates = np.concatenate([reference.coordinates, scale.standardise(incoming.embeddings)])
    return Pool(
        reference, coordinates, score, fake, is_reference, blocks, n, m, seed, frozenset(wanted)
    )  # fmt: skip


class Distance:
    """A distance: `fit(reference)` once, `compare(incoming)` as often as utterances arrive.

    A subclass names itself and its unit and measures a `Pool` under every relabelling at once;
    larger values mean more drift.
    """

    name: ClassVar[str]
    unit: ClassVar[str]
    needs_logits: ClassVar[bool] = False

    def fit(self, reference: Reference | EmbeddingSet | np.ndarray, *, seed: int = 0) -> Distance:
        """Keep the reference, fitting one where plain embeddings (N, D) are given."""
        if isinstance(reference, np.ndarray):
            reference = embedding_set(reference)
        if isinstance(reference, EmbeddingSet):
            reference = fit_reference(reference, seed=seed)
        self.reference = reference
        return self

    def compare(
        self,
        incoming: EmbeddingSet | np.ndarray,
        *,
        draws: int = 200,
        seed: int = 0,
        alpha: float = 0.05,
    ) -> Result:
        """The distance of `incoming` from the fitted reference."""
        if isinstance(incoming, np.ndarray):
            incoming = embedding_set(incoming)
        self.reference.check(incoming)
        return measure([self], self.reference, incoming, draws=draws, seed=seed, alpha=alpha)[0][0]

    def measure(self, pool: Pool) -> Measurement:
        raise NotImplementedError


def missing_data(distance: Distance, reference: Reference, incoming: EmbeddingSet) -> str:
    """Why a distance cannot be measured on these two, or an empty text."""
    if distance.needs_logits:
        if reference.sample.logits is None or incoming.logits is None:
            return "no logits on both sides"
    elif reference.sample.dimensions == 0:
        return "no embeddings, scores only"
    return ""


def measure(
    distances: Iterable[Distance],
    reference: Reference,
    incoming: EmbeddingSet,
    *,
    draws: int,
    seed: int,
    alpha: float,
) -> tuple[list[Result], np.ndarray]:
    """The results of several distances on shared relabellings, and their values (k, B + 1).

    The second array holds the measured distances only, in order, for `null.combined_p`. Rows move
    by the reference's groups; `UserError` when the incoming set does not name them.
    """
    distances = list(distances)
    given = reference, incoming
    reference, incoming = like_groups(reference, incoming, seed)
    thinned = thinning_note(given, (reference, incoming))
    missing = {d.name: missing_data(d, reference, incoming) for d in distances}
    sizes = {"n": len(reference.sample), "m": len(incoming)}
    little = too_few(*sizes.values(), *groups_of(reference, incoming))
    measured = [d for d in distances if not (little or missing[d.name])]
    pool = None
    if measured:
        pool = make_pool(
            reference,
            incoming,
            draws=draws,
            seed=seed,
            wanted=[d.name for d in measured],
        )
    results, values = [], []
    for distance in distances:
        empty = empty_result(distance, seed=seed, note=little or missing[distance.name], **sizes)
        empty = replace(empty, note=_joined(empty.note, thinned))
        if distance not in measured:
            results.append(empty)
            continue
        taken = distance.measure(pool)
        results.append(conclude(empty, taken, alpha))
        values.append(taken.values)
    return results, np.array(values).reshape(len(values), draws + 1)


def empty_result(distance: Distance, *, n: int, m: int, seed: int, note: str) -> Result:
    """What a distance says before it is measured, or where it cannot be."""
    return Result(
        name=distance.name, value=np.nan, null={}, p=np.nan, effect=np.nan, unit=distance.unit,
        n=n, m=m, draws=0, seed=seed, status="insufficient", note=note,
    )  # fmt: skip


def conclude(empty: Result, taken: Measurement, alpha: float) -> Result:
    """The result of a measurement: where its first value stands among all of them."""
    value, p = float(taken.values[0]), p_value(taken.values)
    null = {
        level: float(q)
        for level, q in zip(LEVELS, np.quantile(taken.values[1:], LEVELS), strict=True)
    }
    return replace(
        empty,
        value=value,
        null=null,
        p=p,
        effect=value - null[0.5],
        draws=len(taken.values) - 1,
        status=status_of(p, alpha),
        note=_joined(taken.note, empty.note),
        details=taken.details,
    )


def _joined(*notes: str) -> str:
    return "; ".join(note for note in notes if note)

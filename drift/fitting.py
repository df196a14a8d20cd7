"""Fitting a reference with its null table: what windows of common sizes show by chance."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from drift.distances import DISTANCES, measure
from drift.embeddings import EmbeddingSet
from drift.null import LEVELS
from drift.reference import NullTable, Reference, fit_reference
from drift.subsets import PART_DISTANCES, REFERENCE_ROWS_EACH

NULL_SIZES = (100, 250, 500, 1_000)
NULL_DRAWS = 200


def fit_with_null(sample: EmbeddingSet, *, seed: int = 0, group: str | None = None) -> Reference:
    """A reference whose null table holds the sizes it has rows for."""
    reference = fit_reference(sample, seed=seed, group=group)
    return replace(reference, null=null_table_of(reference, seed))


def null_table_of(reference: Reference, seed: int) -> NullTable:
    """Reference rows against other reference rows, for each size that leaves twice as many.

    Sizes are those a window of that many rows is compared at (`subsets.thin_reference`), as far
    as the reference reaches. Rows are dealt singly: with groups this is the optimistic case, and
    a comparison's own null, which moves groups, is the one that counts.
    """
    rows = len(reference.sample)
    alone = replace(reference, group=None)
    names = [name for name in PART_DISTANCES if _measurable(name, reference)]
    sizes, quantiles = [], []
    order = np.random.default_rng([seed, 9]).permutation(rows)
    for size in NULL_SIZES:
        if 3 * size > rows:
            break
        against = min(rows - size, max(1_000, REFERENCE_ROWS_EACH * size))
        held = replace(alone, sample=reference.sample.take(order[size : size + against]))
        moved = reference.sample.take(order[:size])
        results, _ = measure(
            [DISTANCES[name]() for name in names],
            held,
            moved,
            draws=NULL_DRAWS,
            seed=seed,
            alpha=0.05,
        )
        sizes.append((against, size))
        quantiles.append([[result.null[level] for level in LEVELS] for result in results])
    shape = (len(sizes), len(names), len(LEVELS))
    return NullTable(
        np.array(sizes, np.int64).reshape(-1, 2),
        np.array(names, dtype=str),
        np.array(quantiles).reshape(shape),
    )


def _measurable(name: str, reference: Reference) -> bool:
    if DISTANCES[name].needs_logits:
        return reference.sample.logits is not None
    return reference.sample.dimensions > 0

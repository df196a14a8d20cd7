"""Drift of each value of a protocol column: which attack, which language, which speaker."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from drift.distances import Result
from drift.embeddings import EmbeddingSet
from drift.null import MINIMUM_ROWS, benjamini_hochberg, draws_for, status_of
from drift.reference import Reference
from drift.subsets import (
    Part,
    Plan,
    equal_error_rate,
    jackknife_interval,
    run_plan,
    thin_reference,
)


def compare_slices(
    plan: Plan, reference: Reference, incoming: EmbeddingSet, column: str
) -> list[Part]:
    """One part a value of `column`, held against the reference's rows of the same value.

    A value the reference does not know (a new attack), or hardly knows, is held against all of
    it. The p-values are corrected over the column's values (Benjamini-Hochberg); there are as
    many relabellings as it takes for one drifted value among up to 100 to be found.
    """
    cells = incoming.column(column)
    values, counts = np.unique(cells, return_counts=True)
    tests = int((counts >= MINIMUM_ROWS).sum())
    plan = plan.for_parts(draws=draws_for(tests, plan.draws, plan.alpha))
    parts = []
    for value in values:
        mine = incoming.take(cells == value)
        held, against = _like(reference, column, str(value))
        results, p = run_plan(plan, thin_reference(held, len(mine)), mine)
        parts.append(
            Part(
                name=str(value),
                rows=len(mine),
                against=against,
                results=results,
                p=p,
                interval=_interval(plan, held, mine, results),
                eer=equal_error_rate(mine, incoming),
            )
        )
    return corrected(parts, plan.alpha)


def corrected(parts: list[Part], alpha: float) -> list[Part]:
    """The parts with p-values adjusted over those that have one, and the status that follows."""
    known = [i for i, part in enumerate(parts) if not np.isnan(part.p)]
    if known:
        adjusted = benjamini_hochberg(np.array([parts[i].p for i in known]))
        for i, p in zip(known, adjusted, strict=True):
            parts[i] = replace(parts[i], adjusted_p=float(p), status=status_of(p, alpha))
    return parts


def _like(reference: Reference, column: str, value: str) -> tuple[Reference, str]:
    known = reference.sample.columns.get(column)
    if known is not None and (known == value).sum() >= MINIMUM_ROWS:
        rows = reference.sample.take(known == value)
        return replace(reference, sample=rows), f"{column} {value}"
    return reference, "all of the reference"


def _interval(
    plan: Plan, reference: Reference, incoming: EmbeddingSet, results: tuple[Result, ...]
) -> tuple[float, float] | None:
    for result in results:
        if result.name == "w1" and result.status != "insufficient":
            held = thin_reference(reference, len(incoming))
            return jackknife_interval(plan, held, incoming, result.effect)
    return None

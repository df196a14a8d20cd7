"""Drift of each value of a protocol column: which attack, which language, which speaker."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from dataio.schema import UserError
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

    A value the reference does not know (a new attack) is held against all of it. One it hardly
    knows is insufficient: held against all, it would alarm for being itself. The p-values are
    corrected over the column's values (Benjamini-Hochberg); there are as many relabellings as it
    takes for one drifted value among up to 100 to be found.
    """
    check_column(reference, incoming, column)
    cells = incoming.column(column)
    values, counts = np.unique(cells, return_counts=True)
    tests = int((counts >= MINIMUM_ROWS).sum())
    plan = plan.for_parts(draws=draws_for(tests, plan.draws, plan.alpha))
    parts = []
    for value in values:
        mine = incoming.take(cells == value)
        held, against = _like(reference, column, str(value))
        results, p = run_plan(plan, thin_reference(held, mine), mine)
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


def check_column(reference: Reference, incoming: EmbeddingSet, column: str) -> None:
    """`UserError` unless both sides have the column."""
    incoming.column(column)
    if column not in reference.sample.columns:
        raise UserError(
            f"the reference {reference.sample.name} was fitted without the column {column!r}: fit "
            f"it again with --protocol P.csv --by {column}, to hold each value against its own rows"
        )


def _like(reference: Reference, column: str, value: str) -> tuple[Reference, str]:
    """The reference's rows of that value, or all of it for a new one, and what they are."""
    known = reference.sample.columns[column] == value
    fixed_scale = value in reference.scale_only.get(column, ())
    if not known.any() and not fixed_scale:
        return reference, "all of the reference: new value"
    held = replace(reference, sample=reference.sample.take(known))
    if fixed_scale:
        return held, "all reference rows of it fixed the scale"
    if known.sum() < MINIMUM_ROWS:
        return held, f"only {known.sum()} reference rows of it"
    return held, f"{column} {value}"


def _interval(
    plan: Plan, reference: Reference, incoming: EmbeddingSet, results: tuple[Result, ...]
) -> tuple[float, float] | None:
    for result in results:
        if result.name == "w1" and result.status != "insufficient":
            held = thin_reference(reference, incoming)
            return jackknife_interval(plan, held, incoming, result.effect)
    return None

"""One comparison of what arrived with the reference: the whole, its parts, and one status.

The whole, the slices of each column and the windows are families of tests; alpha is shared out
evenly among the families asked for, so the overall status keeps alpha. Predicted classes and
signal conditions explain an alarm and never raise one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from dataio.schema import UserError
from drift.classes import Classes, compare_classes
from drift.conditions import Condition, compare_conditions
from drift.distances import DEFAULT_DISTANCES, DISTANCES, Result
from drift.embeddings import EmbeddingSet
from drift.null import status_of
from drift.ranking import DriftedFile, rank_files
from drift.reference import Reference
from drift.slices import check_column, compare_slices
from drift.subsets import Part, Plan, equal_error_rate, run_plan
from drift.windows import K_OF_N, Windows, compare_windows, lay_windows

DRIFTED_FILES = 20
_SEVERITY = ("ok", "warn", "alarm")


@dataclass(frozen=True)
class Request:
    """What is asked of one comparison; see `python -m drift compare --help`."""

    distances: Sequence[str] = DEFAULT_DISTANCES
    draws: int = 200
    seed: int = 0
    alpha: float = 0.05
    by: Sequence[str] = ()
    window: str | None = None
    step: str | None = None
    time: str | None = None
    rule: tuple[int, int] = K_OF_N
    windows_judged: bool = True

    def __post_init__(self) -> None:
        unknown = [name for name in self.distances if name not in DISTANCES]
        if unknown:
            raise UserError(f"no distance {unknown[0]!r}: choose from {', '.join(DISTANCES)}")
        for option, given in (("--by", self.by), ("--distances", self.distances)):
            twice = [name for place, name in enumerate(given) if name in given[:place]]
            if twice:
                raise UserError(f"{option} names {twice[0]!r} twice: name it once")
        if not 0 < self.alpha < 0.5:
            raise UserError(f"--alpha {self.alpha} is no level: choose between 0 and 0.5")
        if self.draws * self.family_alpha < 1:
            raise UserError(
                f"--draws {self.draws} cannot resolve p <= {self.family_alpha:.3g}: "
                f"use at least {int(np.ceil(1 / self.family_alpha))}"
            )

    @property
    def families(self) -> int:
        """The tests that share alpha; windows too few or too short for the rule take none."""
        return 1 + len(self.by) + (self.window is not None and self.windows_judged)

    @property
    def family_alpha(self) -> float:
        return self.alpha / self.families


@dataclass(frozen=True)
class Comparison:
    """Everything a report says. `p` combines the results of the whole; `status` is the worst of
    the families'."""

    status: str
    p: float
    results: tuple[Result, ...]
    request: Request
    reference: Reference
    incoming: EmbeddingSet
    eer: tuple[float, float]
    slices: dict[str, list[Part]] = field(default_factory=dict)
    windows: Windows | None = None
    classes: Classes | None = None
    conditions: list[Condition] = field(default_factory=list)
    drifted: list[DriftedFile] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def compare(reference: Reference, incoming: EmbeddingSet, request: Request) -> Comparison:
    """Compare; refuses embeddings that are not comparable (`Reference.check`)."""
    notes = reference.check(incoming) + _subsample_notes(reference, incoming, request)
    for column in request.by:
        check_column(reference, incoming, column)
    windows = layout = None
    if request.window is not None and len(incoming):
        layout = lay_windows(
            incoming, size=request.window, step=request.step, time=request.time, rule=request.rule
        )
        request = replace(request, windows_judged=len(layout.judged) >= request.rule[0])
    plan = Plan(request.distances, request.draws, request.seed, request.family_alpha)
    results, p = run_plan(plan, reference, incoming)
    if len(incoming) == 0:
        return Comparison(
            status="insufficient",
            p=p,
            results=results,
            request=request,
            reference=reference,
            incoming=incoming,
            eer=(equal_error_rate(reference.sample), float("nan")),
            notes=[*notes, f"{incoming.name} holds no row: there is nothing to compare"],
        )
    slices = {column: compare_slices(plan, reference, incoming, column) for column in request.by}
    if layout is not None:
        windows = compare_windows(plan, reference, incoming, layout, request.rule)
    whole = "insufficient" if np.isnan(p) else status_of(p, request.family_alpha)
    return Comparison(
        status=overall_status(whole, slices, windows),
        p=p,
        results=results,
        request=request,
        reference=reference,
        incoming=incoming,
        eer=(equal_error_rate(reference.sample), equal_error_rate(incoming)),
        slices=slices,
        windows=windows,
        classes=compare_classes(plan, reference, incoming),
        conditions=compare_conditions(reference, incoming, draws=request.draws, seed=request.seed),
        drifted=_drifted(reference, incoming),
        notes=notes,
    )


def overall_status(whole: str, slices: dict[str, list[Part]], windows: Windows | None) -> str:
    """The worst family; insufficient only if the whole could not be judged."""
    if whole == "insufficient":
        return whole
    found = [whole, *(part.status for parts in slices.values() for part in parts)]
    if windows is not None:
        found.append(windows.status)
    return max((s for s in found if s in _SEVERITY), key=_SEVERITY.index)


def _drifted(reference: Reference, incoming: EmbeddingSet) -> list[DriftedFile]:
    if incoming.dimensions == 0:
        return []
    return rank_files(reference, incoming, DRIFTED_FILES)


def _subsample_notes(reference: Reference, incoming: EmbeddingSet, request: Request) -> list[str]:
    notes = []
    kept = len(reference.sample) + reference.scale.rows
    if reference.sample.total_rows and reference.sample.total_rows > kept:
        notes.append(
            f"reference: {kept:,} of {reference.sample.total_rows:,} rows, "
            f"drawn with seed {reference.seed}"
        )
    if incoming.total_rows and incoming.total_rows > len(incoming):
        notes.append(
            f"incoming: {len(incoming):,} of {incoming.total_rows:,} rows, "
            f"drawn with seed {request.seed}"
        )
    return notes

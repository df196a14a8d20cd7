"""Several systems' scores of the same files into one log likelihood ratio, linear in them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from dataio.matching import matched_rows
from dataio.schema import UNKNOWN, UserError
from metrics.calibration import fit_logistic


class Fusion(NamedTuple):
    """llr = sum of weights * scores + offset; `weights` (D,) in the systems' order."""

    weights: np.ndarray
    offset: float

    def log_likelihood_ratio(self, scores: np.ndarray) -> np.ndarray:
        """(N,) from one column a system (N, D)."""
        return scores @ self.weights + self.offset


def fit_fusion(scores: np.ndarray, labels: np.ndarray, prior: float = 0.5) -> Fusion:
    """Weights by prior-weighted logistic regression on a development set's scores (N, D)."""
    return Fusion(*fit_logistic(scores, labels, prior))


def aligned(systems: Sequence, notes: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Score differences (N, D) and labels (N,) of `Scores` over the same files, in the first
    one's order; a label that one file lacks is taken from another.

    `UserError` names an ID that one has and the other lacks, and labels that disagree. `notes` is
    told where files are matched without their subset prefix.
    """
    first, *others = systems
    labels = first.labels.copy()
    columns = [first.difference]
    for other in others:
        paths = (other.path, first.path)
        rows = matched_rows(other.ids, first.ids, paths=paths, notes=notes)
        extra = np.flatnonzero(rows < 0)
        if len(extra):
            raise UserError(_unmatched(other, first, other.ids[extra]))
        if len(other) < len(first):
            missing = np.setdiff1d(np.arange(len(first)), rows)
            raise UserError(_unmatched(first, other, first.ids[missing]))
        column = np.empty(len(first))
        column[rows] = other.difference
        columns.append(column)
        theirs = np.empty_like(labels)
        theirs[rows] = other.labels
        clash = np.flatnonzero((labels != theirs) & (labels != UNKNOWN) & (theirs != UNKNOWN))
        if len(clash):
            raise UserError(
                f"{other.path} and {first.path} label {first.ids[clash[0]]!r} differently"
                f"{_more(len(clash))}: score the same protocol with both"
            )
        labels = np.where(labels == UNKNOWN, theirs, labels)
    return np.column_stack(columns), labels


def _unmatched(having, lacking, ids) -> str:
    return (
        f"{having.path} holds {ids[0]!r}{_more(len(ids))}, which {lacking.path} does not: "
        "score the same protocol with both"
    )


def _more(count: int) -> str:
    return f" and {count - 1} more" if count > 1 else ""

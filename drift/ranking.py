"""Which files drifted most: each one's distance to its fifth nearest reference neighbour."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dataio.schema import UserError
from drift.embeddings import EmbeddingSet
from drift.null import benjamini_hochberg
from drift.reference import Reference


@dataclass(frozen=True)
class DriftedFile:
    """One incoming utterance.

    `distance` in median reference distances; `ratio` to what the median reference row shows; `p`
    the share of reference rows at least as far from their own neighbours, (k + 1) / (n + 1);
    `q` that p corrected over all incoming files; `score` the logit difference (NaN: none).
    """

    id: str
    distance: float
    ratio: float
    p: float
    q: float
    score: float
    label: int | None


def rank_files(reference: Reference, incoming: EmbeddingSet, top: int) -> list[DriftedFile]:
    """The `top` incoming files, farthest first; ties in file order.

    A reference row's own distance leaves itself out, so it has one neighbour fewer to choose
    from than an incoming row: negligible, and on the cautious side.
    """
    from drift.sweeps import neighbour_distances

    if reference.sample.dimensions == 0:
        raise UserError(f"{incoming.name} holds scores only: ranking files needs embeddings")
    if len(incoming) == 0:
        return []
    theirs = reference.scale.standardise(incoming.embeddings)
    bandwidth = reference.scale.bandwidth
    own = neighbour_distances(reference.coordinates, None) / bandwidth
    distance = neighbour_distances(reference.coordinates, theirs) / bandwidth
    ordered = np.sort(own)
    reached = len(own) - np.searchsorted(ordered, distance, side="left")
    p = (reached + 1) / (len(own) + 1)
    q = benjamini_hochberg(p)
    median = float(np.median(own)) or 1.0
    chosen = np.argsort(-distance, kind="stable")[:top]
    score = incoming.score if incoming.logits is not None else np.full(len(incoming), np.nan)
    return [
        DriftedFile(
            id=str(incoming.ids[row]),
            distance=float(distance[row]),
            ratio=float(distance[row] / median),
            p=float(p[row]),
            q=float(q[row]),
            score=float(score[row]),
            label=None if incoming.labels is None else int(incoming.labels[row]),
        )
        for row in chosen
    ]

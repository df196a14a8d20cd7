"""Rows met twice: the reference's own among what arrives, and copies.

A relabelling takes every row as drawn anew. Rows that both sides share hide drift (with half of
them the power fell from 93 to 47 %), and copies within one side make chance look like it (every
row twice: 71 % false alarms).
"""

from __future__ import annotations

import hashlib

import numpy as np

from dataio.schema import UserError
from drift.embeddings import EmbeddingSet

TOLERATED_COPIES = 0.01  # of the rows: two empty recordings are no fault


def repeats(reference: EmbeddingSet, incoming: EmbeddingSet, *, grouped: bool) -> list[str]:
    """Refuse incoming rows that are the reference's own, or each other's; notes on doubts.

    Copies within a group move together (`grouped`) and do no harm.
    """
    known, mine = _digests(reference), _digests(incoming)
    if len(np.unique(known)) == 1 or len(np.unique(mine)) == 1:
        return ["all rows of one side are the same: is the detector at fault?"]
    shared = int(np.isin(mine, known).sum())
    if shared:
        raise UserError(
            f"{shared} of {len(mine)} rows of {incoming.name} are rows of the reference "
            f"{reference.name}, number for number: leave these recordings out of one side"
        )
    notes = [] if grouped or not incoming.dimensions else copies(incoming)
    named = int(np.isin(incoming.ids, reference.ids).sum())
    if named and _are_names(reference, incoming):
        notes.append(
            f"{named} of {len(mine)} rows have IDs of the reference: where the recordings are the "
            "same, drift is harder to see than the p-values say"
        )
    return notes


def copies(sample: EmbeddingSet) -> list[str]:
    """Refuse a sample in which many rows are copies of others; a note on a few."""
    kinds, rows = len(np.unique(_digests(sample))), len(sample)
    if 1 < kinds < rows * (1 - TOLERATED_COPIES):
        raise UserError(
            f"{rows - kinds} of {rows} rows of {sample.name} repeat the embedding of another row: "
            "give every recording once, or name a column whose rows belong together with --group "
            "(copies make chance look like drift)"
        )
    return [f"{rows - kinds} of {rows} rows repeat another's embedding"] if kinds < rows else []


def _are_names(*sides: EmbeddingSet) -> bool:
    """Whether the IDs were given: numbered rows of two files share their names by chance."""
    return not any(side.ids[0].startswith("row-") for side in sides if len(side))


def _digests(sample: EmbeddingSet) -> np.ndarray:
    """(N,) 16 bytes that tell rows apart; scores alone agree by chance, so their IDs count too."""
    rows = np.ascontiguousarray(sample.embeddings + np.float32(0))  # -0 is 0
    words = [b""] * len(sample)
    if not sample.dimensions:
        rows, words = sample.logits, [name.encode(errors="replace") for name in sample.ids]
    return np.array(
        [hashlib.blake2b(word + row.tobytes(), digest_size=16).digest()
         for word, row in zip(words, rows, strict=True)]
    )  # fmt: skip

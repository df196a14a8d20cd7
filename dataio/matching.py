"""Which rows of two files are the same recording: by ID, else by the name without its subset.

An ID here is `<subset>-<name>`; corpora and other toolkits write the name alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dataio.schema import UserError


def bare_name(utterance_id: str) -> str:
    """The corpus's own file name: the text after the first hyphen, or all of it without one."""
    return utterance_id.partition("-")[2] or utterance_id


def matched_rows(
    ids: Sequence[str], known: Sequence[str], *, paths: tuple[str, str], notes: list[str]
) -> np.ndarray:
    """The row of each ID among `known` (N,), -1 where there is none.

    Only if no ID is known as it stands is the subset prefix left out, on the one side or the
    other; `notes` is told so. `UserError` if two names then coincide. `paths` of both are for
    the sentences.
    """
    rows = _rows(ids, known)
    if (rows >= 0).any():
        return rows
    for ours, theirs in ((_bare(ids), known), (ids, _bare(known))):
        rows = _rows(ours, theirs)
        if (rows >= 0).any():
            _refuse_ambiguous(ours, rows, theirs, paths)
            notes.append(
                f"{paths[0]} and {paths[1]} are matched by file name, without the subset prefix"
            )
            return rows
    return rows


def _bare(ids: Sequence[str]) -> list[str]:
    return [bare_name(key) for key in ids]


def _rows(ids: Sequence[str], known: Sequence[str]) -> np.ndarray:
    position = {key: row for row, key in enumerate(known)}
    return np.fromiter((position.get(key, -1) for key in ids), np.int64, len(ids))


def _refuse_ambiguous(ours, rows: np.ndarray, theirs, paths: tuple[str, str]) -> None:
    wanted = {key for key, row in zip(ours, rows.tolist(), strict=True) if row >= 0}
    for names, path in ((ours, paths[0]), (theirs, paths[1])):
        seen: set[str] = set()
        for key in names:
            if key in wanted and key in seen:
                raise UserError(
                    f"{path} holds several IDs with the name {key!r}, so {paths[0]} and {paths[1]} "
                    "cannot be matched without the subset prefix: keep the rows of one subset"
                )
            seen.add(key)

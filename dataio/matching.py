"""Which rows of two files are the same recording: by ID, else by the recording's own name.

An ID here is `<subset>-<name>`; corpora and other toolkits write the name alone, or a path.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import numpy as np

from dataio.schema import UserError, subset_of

# databases whose IDs hold more than subset and name: ASV5-A17-E_0000000001 is trial E_0000000001
_NAMED_LAST = ("ASV5",)
_EXTENSION = re.compile(r"\.(?=[a-z0-9]*[a-z])[a-z0-9]{2,5}$", re.IGNORECASE)


def bare_name(utterance_id: str) -> str:
    """The corpus's own name of a recording: the text after the subset, or all without a hyphen.

    Where the database puts an attack between the two, it is left out as well.
    """
    if subset_of(utterance_id) in _NAMED_LAST:
        return utterance_id.rpartition("-")[2]
    return utterance_id.partition("-")[2] or utterance_id


def file_stem(name: str) -> str:
    """A file's name without folders and extension: `a/LA_E_1.flac` is `LA_E_1`."""
    return _EXTENSION.sub("", name.rpartition("/")[2])


def _bare_stem(name: str) -> str:
    return bare_name(file_stem(name))


def _as_it_is(name: str) -> str:
    return name


# how both sides' names are read, in the order in which it is tried
_WAYS: tuple[tuple[Callable, Callable, str], ...] = (
    (bare_name, _as_it_is, "the subset prefix"),
    (_as_it_is, bare_name, "the subset prefix"),
    (file_stem, file_stem, "folders and extensions"),
    (_bare_stem, file_stem, "folders, extensions and the subset prefix"),
    (file_stem, _bare_stem, "folders, extensions and the subset prefix"),
)


def matched_rows(
    ids: Sequence[str], known: Sequence[str], *, paths: tuple[str, str], notes: list[str]
) -> np.ndarray:
    """The row of each ID among `known` (N,), -1 where there is none.

    Only if no ID is known as it stands are subset prefix, folders and extensions left out, on
    the one side or the other; `notes` is told so. `UserError` if two names then coincide. `paths`
    of both are for the sentences.
    """
    rows = _rows(ids, known)
    if (rows >= 0).any():
        return rows
    for ours, theirs, without in _WAYS:
        our_names, their_names = list(map(ours, ids)), list(map(theirs, known))
        found = _rows(our_names, their_names)
        if (found >= 0).any():
            _refuse_ambiguous(our_names, found, their_names, paths, without)
            notes.append(f"{paths[0]} and {paths[1]} are matched by file name, without {without}")
            return found
    return rows


def _rows(ids: Sequence[str], known: Sequence[str]) -> np.ndarray:
    position = {key: row for row, key in enumerate(known)}
    return np.fromiter((position.get(key, -1) for key in ids), np.int64, len(ids))


def _refuse_ambiguous(ours, rows: np.ndarray, theirs, paths: tuple[str, str], without) -> None:
    wanted = {key for key, row in zip(ours, rows.tolist(), strict=True) if row >= 0}
    for names, path in ((ours, paths[0]), (theirs, paths[1])):
        seen: set[str] = set()
        for key in names:
            if key in wanted and key in seen:
                raise UserError(
                    f"{path} holds several IDs with the name {key!r}, so {paths[0]} and {paths[1]} "
                    f"cannot be matched without {without}: keep the rows of one subset or folder"
                )
            seen.add(key)

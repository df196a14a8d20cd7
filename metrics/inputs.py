"""What the verbs of evaluation.py read: score files, their labels, and what belongs to them."""

from __future__ import annotations

import argparse

import numpy as np

from dataio.output_paths import Named, check_outputs
from dataio.schema import UNKNOWN, UserError, subset_of
from dataio.score_formats import read_any
from dataio.score_keys import Key, read_keys, with_labels
from dataio.scores import Scores, meta_path, subset_index
from metrics import calibration as calibrations

SCORE_FILES = ("scores", "apply", "against", "threshold_from")
OTHER_FILES = ("protocol", "calibration", "against_calibration", "key", "timelines", "labels")


def refuse_overwriting(arguments: argparse.Namespace, outputs: Named) -> None:
    """`UserError` if an output is a file that the command reads, or another output."""

    def named(options: tuple[str, ...]) -> list[str]:
        found = [getattr(arguments, option, None) or [] for option in options]
        return [path for paths in found for path in ([paths] if isinstance(paths, str) else paths)]

    scores = named(SCORE_FILES)
    check_outputs(outputs, [*scores, *map(meta_path, scores), *named(OTHER_FILES)])


def key_of(arguments: argparse.Namespace) -> Key | None:
    """The union of the key files named, None without any."""
    if arguments.key:
        return read_keys(arguments.key, arguments.phase)
    if arguments.phase:
        raise UserError(f"--phase {arguments.phase} chooses among the trials of a --key: name one")
    if arguments.allow_missing:
        raise UserError("--allow_missing is about the trials of a --key: name one")
    return None


def read(path: str, key: Key | None, notes: list[str], *, required: bool = True) -> Scores:
    """The rows of a score file, labelled by the key where there is one.

    Where labels are not `required`, a file may be absent from the key.
    """
    scores = read_any(path)
    return with_labels(scores, key, notes, required=required) if key else scores


def labelled(scores: Scores, notes: list[str]) -> Scores:
    """The rows that can be measured; `notes` counts the others, `UserError` if none can."""
    known = scores.labels != UNKNOWN
    if known.all():
        return scores
    if not known.any():
        raise UserError(f"{scores.path} holds no labels: give the set's key file with --key")
    notes.append(f"{int((~known).sum())} rows of {scores.path} have no label and are left out")
    return scores.take(known)


def by_prefix(scores: Scores, prefixes: list[str]) -> dict[str, np.ndarray]:
    """Row indices by the prefixes named; `UserError` for one that no ID has.

    A prefix is a subset's name, the text before an ID's first hyphen; one with a hyphen selects
    within its subset the IDs that begin with it.
    """
    names, index = subset_index(scores.ids)
    found = {}
    for prefix in prefixes:
        subset = names.index(subset_of(prefix)) if subset_of(prefix) in names else None
        rows = np.flatnonzero(index == subset)
        if "-" in prefix:
            rows = rows[[scores.ids[row].startswith(prefix) for row in rows]]
        if not len(rows):
            there = ", ".join(names[:20]) or "none (no ID has a hyphen)"
            raise UserError(f"no ID is of subset {prefix!r}: the subsets are {there}")
        found[prefix] = rows
    return found


def checked_calibration(path: str, scores: Scores) -> calibrations.Calibration:
    """The calibration; refused for scores that are known to come from another checkpoint."""
    calibration = calibrations.load_calibration(path)
    ours, theirs = scores.meta.get("checkpoint_sha256"), calibration.checkpoint_sha256
    if ours and theirs and ours != theirs:
        raise UserError(
            f"{path} was fitted for checkpoint {theirs[:12]}, {scores.path} comes from "
            f"{ours[:12]}: calibrate with scores of the same checkpoint"
        )
    return calibration

"""Columns of a protocol for scored files: who spoke, which attack, which language."""

from __future__ import annotations

import os
from collections.abc import Iterable

import numpy as np

from dataio.matching import matched_rows
from dataio.schema import LABELS, UNKNOWN, UNLABELLED, UserError
from dataio.scores import (
    Scores,
    diagnose,
    has_repeats,
    named_lines,
    parse_labels,
    read_table,
)

LABEL_WORDS = LABELS | dict.fromkeys(UNLABELLED, UNKNOWN)


def protocol_columns(
    path: str | os.PathLike, scores: Scores, columns: Iterable[str], notes: list[str]
) -> dict[str, np.ndarray]:
    """Columns of a protocol CSV, each (N,) object array of str, for the scored files in order.

    Files are matched by ID, or by name without the subset (then `notes` says so). `UserError`
    names the lines of ragged rows, unknown labels and IDs the protocol holds twice, of scored IDs
    that it lacks, and of labels on which the two disagree.
    """
    import pyarrow.compute as pc

    columns = list(dict.fromkeys(["ID", "Label", *columns]))
    table = read_table(path, columns)
    known = table and pc.utf8_trim_whitespace(table["ID"])
    labels = table and parse_labels(table["Label"], LABEL_WORDS)
    if table is None or not table.num_rows or labels is None or has_repeats(known):
        raise UserError(diagnose(path, ["ID", "Label"], _row_fault))
    rows = matched_rows(scores.ids, known.to_pylist(), paths=(scores.path, str(path)), notes=notes)
    if (rows < 0).any():
        raise UserError(
            f"{scores.path}: {named_lines(scores.path, scores.ids[rows < 0])} not in {path}: "
            "give the protocol these scores were made from"
        )
    clash = (labels[rows] != scores.labels) & (labels[rows] != UNKNOWN)
    clash &= scores.labels != UNKNOWN
    if clash.any():
        where = named_lines(scores.path, scores.ids[clash])
        raise UserError(f"{scores.path} and {path} disagree on the Label of {where}")
    return {name: np.array(table[name].to_pylist(), dtype=object)[rows] for name in columns}


def _row_fault(key: str, label: str) -> tuple[str, str]:
    """(fault, ""), or ("", ID) for a row that can be used."""
    if label not in LABEL_WORDS:
        return f"an unknown Label {label!r} (expected real, fake or '-')", ""
    return ("", key) if key else ("an empty ID", "")

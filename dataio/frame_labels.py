"""What is real and what is fake in the piece of a recording that is trained on.

A label stands for `seconds` from the piece's own start: 1 real, 0 where any part is spoof, -1 where
nobody says: the row is fake, or unlabelled, and names no file of segments.
"""

from __future__ import annotations

import os
from functools import lru_cache

import numpy as np

from dataio.protocol import ProtocolRow, ProtocolTable
from dataio.schema import FAKE, REAL, UNKNOWN, UserError
from dataio.segment_labels import Labelled, SegmentLabels, read_segments

ROUNDING = 1e-6  # of a label: a shorter overlap comes of rounding
LOOKED_UP = 200  # rows, before the first step


class FrameLabels:
    """Labels of `seconds` each, of rows whose column Segments names the file that holds them."""

    def __init__(self, seconds: float):
        self.seconds = seconds

    def __call__(self, row: ProtocolRow, start: float, length: float) -> np.ndarray:
        """(K,) int8 of the piece from `start`, `length` seconds long; the last label may be partly
        behind its end. `UserError` for a fake row that its label file does not know.
        """
        count = int(np.ceil(length / self.seconds - ROUNDING))
        if not row.segments:
            return np.full(count, REAL if row.label == REAL else UNKNOWN, dtype=np.int8)
        labels = np.full(count, REAL, dtype=np.int8)
        for begin, end in labelled(row).spoof:
            first = int(np.floor((begin - start) / self.seconds + ROUNDING))
            last = int(np.ceil((end - start) / self.seconds - ROUNDING))
            labels[max(first, 0) : max(last, 0)] = FAKE
        return labels

    def check(self, table: ProtocolTable) -> None:
        """Raises `UserError` for a table without labels of parts, or with rows they do not know."""
        if not table.has_segments:
            raise UserError(
                f"{table.csv_path} has no column Segments, from which the loss of frames is "
                "learnt: name the label file of each recording there, or leave out loss frames"
            )
        fake = np.flatnonzero(table.labels == FAKE)
        chosen = fake[np.unique(np.linspace(0, len(fake) - 1, LOOKED_UP).astype(np.int64))]
        rows = [table.row(i) for i in chosen.tolist()]
        known = [labelled(row) for row in rows if row.segments]
        if not known:
            raise UserError(
                f"no fake row of {table.csv_path} names a label file in Segments: the loss of "
                "frames would learn from real ones alone"
            )


def labelled(row: ProtocolRow) -> Labelled:
    """The labels of a row's recording; a real one need not be in a file of spoof alone."""
    labels = _file(row.segments)
    found = labels.find(os.path.basename(row.path), row.id)
    if found is None and row.label != REAL:
        raise UserError(f"{row.segments} has no label of {row.id} ({row.path}), which is fake")
    return found or Labelled()


@lru_cache(maxsize=16)
def _file(path: str) -> SegmentLabels:
    return read_segments(path)

"""`score_files`: what `main.py score` does, for people who write Python."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from dataio.files import FileTable, find_audio
from dataio.schema import FAKE, REAL
from metrics.rates import expit
from models.detector import Detector
from models.distributed import World
from models.scoring.audio import Memory
from models.scoring.run import Scorer, run_batches


class FileScore(NamedTuple):
    """One file: logits and P(real), the uncalibrated softmax; NaN where `reason` says why.

    `remark`: what is wrong with the file though it has a score, such as where it is cut off.
    """

    path: str
    seconds: float
    fake_logit: float
    real_logit: float
    p_real: float
    reason: str | None = None
    remark: str | None = None


def score_files(
    detector: Detector,
    paths: Iterable[str | os.PathLike],
    *,
    precision: str = "fp32",
    min_duration: float | None = 0.5,
    max_batch_length: float = 100,
    num_workers: int = 0,
) -> list[FileScore]:
    """A result for each of the files, folders searched for audio, in their order.

    The detector computes on its own device and is left in the mode it came in. `min_duration` and
    `max_batch_length` in seconds, `precision` "fp32", "bf16" or "fp16". UserError for a path that
    does not exist; a file that cannot be scored has a `reason`.
    """
    table = FileTable(find_audio(paths))
    options = {
        "eval_precision": precision,
        "min_duration": min_duration,
        "max_batch_length": max_batch_length,
        "num_workers": num_workers,
        "prefetch_factor": 4,
        "time_limit": None,
    }
    device = str(detector.device)
    scorer = Scorer(detector, None, device, World(), options, show_bar=False)
    memory = Memory(len(table))
    training = detector.training
    try:
        detector.eval()
        if (reason := run_batches(scorer, table, memory, done=memory.done(len(table)))) is not None:
            raise KeyboardInterrupt(reason)  # half of the results would look like all
    finally:
        detector.train(training)
    logits, notes = memory.results(len(table))
    remarks = memory.remarks(len(table))
    differences = logits[:, REAL].astype(np.float64) - logits[:, FAKE]
    return [
        FileScore(
            table.path(row),
            float(table.durations[row]),
            float(logits[row, FAKE]),
            float(logits[row, REAL]),
            float(expit(differences[row])),
            notes[row][1] if row in notes else None,
            remarks.get(row),
        )
        for row in range(len(table))
    ]

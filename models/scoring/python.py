"""`score_files`: what `main.py score` does, for people who write Python."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from dataio.files import FileTable, find_audio
from dataio.schema import FAKE, REAL, SAMPLE_RATE
from dataio.windows import Windows
from metrics.rates import expit
from models.detector import Detector
from models.distributed import World
from models.scoring.audio import Memory
from models.scoring.run import Scorer, run_batches


class FileScore(NamedTuple):
    """One file: logits and P(real), the uncalibrated softmax; NaN where `reason` says why.

    `remark`: what is wrong with the file though it has a score, such as where it is cut off.
    `windows`: those of a file too long to be scored whole, in order.
    """

    path: str
    seconds: float
    fake_logit: float
    real_logit: float
    p_real: float
    reason: str | None = None
    remark: str | None = None
    windows: tuple[WindowScore, ...] = ()


class WindowScore(NamedTuple):
    """A window of a long file: [start, stop) in seconds, those it `counts` for in the file's mean
    (of speech, where silero-vad is installed), logits and P(real).
    """

    start: float
    stop: float
    counts: float
    fake_logit: float
    real_logit: float
    p_real: float


def score_files(
    detector: Detector,
    paths: Iterable[str | os.PathLike],
    *,
    precision: str = "fp32",
    min_duration: float | None = 0.5,
    max_batch_length: float = 100,
    num_workers: int = 0,
    max_whole_seconds: float | None = 60,
    window_seconds: float | None = 10,
    hop_seconds: float | None = None,
) -> list[FileScore]:
    """A result for each of the files, folders searched for audio, in their order.

    The detector computes on its own device and is left in the mode it came in. `min_duration` and
    `max_batch_length` in seconds, `precision` "fp32", "tf32", "bf16" or "fp16". Files over
    `max_whole_seconds` are scored in windows of `window_seconds` every `hop_seconds` (None: as long
    as they are); None for either of the first two: every file whole. UserError for a path that does
    not exist; a file that cannot be scored has a `reason`.
    """
    table = FileTable(find_audio(paths))
    options = {
        "eval_precision": precision,
        "min_duration": min_duration,
        "max_batch_length": max_batch_length,
        "num_workers": num_workers,
        "prefetch_factor": 4,
        "time_limit": None,
        "max_whole_seconds": max_whole_seconds,
        "window_seconds": window_seconds,
        "hop_seconds": hop_seconds,
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
    windows = memory.windows(len(table))
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
            _scores_of(windows[row]) if row in windows else (),
        )
        for row in range(len(table))
    ]


def _scores_of(windows: Windows) -> tuple[WindowScore, ...]:
    places = zip(windows.starts, windows.stops, windows.seconds, windows.logits, strict=True)
    return tuple(
        WindowScore(
            float(start / SAMPLE_RATE),
            float(stop / SAMPLE_RATE),
            float(seconds),
            *map(float, pair),
            float(expit(float(pair[REAL]) - float(pair[FAKE]))),
        )
        for start, stop, seconds, pair in places
    )

"""`python main.py score`: verdicts on audio files, with neither protocol nor labels."""

from __future__ import annotations

import csv
import os
import sys
from pathlib import Path

import numpy as np

from dataio.files import FileTable, find_audio, printable
from dataio.schema import FAKE, REAL, UserError
from dataio.whole_files import whole_file
from models.scoring.files import write_skipped
from models.scoring.run import Scorer, load_scorer, run_batches, tell_skipped

COLUMNS = ("Path", "Seconds", "PReal", "Verdict")
DEFAULT_PRIOR = 0.5  # of real speech, for a calibrated probability


class Memory:
    """A sink that keeps logits (N, 2) and the skipped rows of a list of files."""

    def __init__(self, count: int):
        self.logits = np.full((count, 2), np.nan, dtype=np.float32)
        self.skipped: dict[int, tuple[str, str]] = {}

    def add_scores(self, rows: np.ndarray, logits: np.ndarray, embeddings: np.ndarray) -> None:
        self.logits[rows] = logits

    def add_skipped(self, row: int, kind: str, reason: str) -> None:
        self.skipped[int(row)] = (kind, reason)


def score_audio(hparams: dict, run_options: dict, names: list[str]) -> int:
    """Print, and with `output` write, a row a file: path, seconds, P(real), verdict."""
    if not names:
        raise UserError(
            "no audio named: python main.py score hparams/<model>.yaml FILE_OR_FOLDER ..."
        )
    if int(os.environ.get("WORLD_SIZE", 1)) > 1:
        raise UserError("score runs in one process: for torchrun make a protocol and use inference")
    convert, basis = probability(hparams)
    table = FileTable(find_audio(names))
    scorer = load_scorer(hparams, run_options)
    check_calibration(hparams, scorer)
    memory = Memory(len(table))
    run_batches(scorer, table, memory, done=np.zeros(len(table), dtype=bool))
    rows = verdicts(table, memory, convert, hparams["threshold"])
    skipped = [(table.ids(i), *memory.skipped[i]) for i in sorted(memory.skipped)]
    output = hparams["output"]
    if output is not None:
        with whole_file(output) as stream:
            csv.writer(stream, lineterminator="\n").writerows([COLUMNS, *rows])
        beside = Path(output).with_suffix(".skipped.csv")
        write_skipped(beside, table, [(i, *memory.skipped[i]) for i in sorted(memory.skipped)])
    show(rows, f"real when P(real) >= {hparams['threshold']}; {basis}")
    return tell_skipped(skipped, output and Path(output), allowed=hparams["allow_skipped"])


def probability(hparams: dict):
    """The function from s = real - fake logit to P(real), and what it rests on in words."""
    from metrics.rates import expit

    prior = hparams["prior_real"]
    if hparams["calibration"] is None:
        if prior is not None:
            raise UserError(
                f"prior_real {prior} does nothing without a calibration: add --calibration cal.json"
            )
        return expit, "uncalibrated softmax of the detector's logits"
    prior = DEFAULT_PRIOR if prior is None else prior
    from metrics.calibration import load_calibration

    calibration = load_calibration(hparams["calibration"])
    return (
        lambda s: calibration.probability(s, prior),
        f"calibrated by {hparams['calibration']} at a prior of {prior} for real",
    )


def check_calibration(hparams: dict, scorer: Scorer) -> None:
    """A calibration belongs to the checkpoint it was fitted on."""
    if hparams["calibration"] is None:
        return
    from metrics.calibration import load_calibration

    wanted = load_calibration(hparams["calibration"]).checkpoint_sha256
    if wanted is None:
        print(
            f"warning: {hparams['calibration']} does not say for which checkpoint", file=sys.stderr
        )
    elif wanted != scorer.checkpoint.sha256:
        raise UserError(
            f"{hparams['calibration']} was fitted on another checkpoint ({wanted[:12]}...) than"
            f" {scorer.checkpoint.path}: calibrate again with this one's scores"
        )


def verdicts(table: FileTable, memory: Memory, convert, threshold: float) -> list[tuple]:
    """(path, seconds, P(real), verdict) of the files that have a score."""
    rows = []
    for i in np.flatnonzero(np.isfinite(memory.logits).all(1)):
        fake, real = memory.logits[i].astype(np.float64)[[FAKE, REAL]]
        p_real = float(convert(real - fake))
        word = "real" if p_real >= threshold else "fake"
        rows.append((table.path(i), f"{table.durations[i]:.2f}", f"{p_real:.6f}", word))
    return rows


def show(rows: list[tuple], basis: str) -> None:
    """The verdicts as a table; a reader that has seen enough of it (`| head`) is no error."""
    rows = [("Path", "Seconds", "P(real)", "Verdict"), *rows]
    rows = [(printable(row[0]), *row[1:]) for row in rows]
    width = max(len(row[0]) for row in rows)
    try:
        for path, seconds, p_real, word in rows:
            print(f"{path:{width}}  {seconds:>7}  {p_real:>8}  {word}")
        print(basis, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

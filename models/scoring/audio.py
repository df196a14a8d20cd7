"""`python main.py score`: verdicts on audio files, with neither protocol nor labels."""

from __future__ import annotations

import contextlib
import csv
import hashlib
import os
from pathlib import Path
from typing import NamedTuple

import numpy as np

from dataio.files import MIX, FileTable, find_audio
from dataio.output_paths import check_outputs
from dataio.schema import FAKE, REAL, SAMPLE_RATE, UserError
from dataio.scores import HEADER, score_row
from dataio.stopping import Stopped
from dataio.whole_files import whole_file
from dataio.windows import Windows
from dataio.words import printable, tell
from models.scoring.files import write_json, write_skipped, write_windows
from models.scoring.remarks import NO_SPEECH, UNCHECKED, Inspection
from models.scoring.run import Scorer, load_scorer, open_journal, run_batches
from models.scoring.screen import tell_skipped
from models.scoring.speech import can_find_speech

COLUMNS = ("Path", "Seconds", "PReal", "Verdict", "Channel", "Remark")
NO_SPEECH_VERDICT = "no speech"
DEFAULT_PRIOR = 0.5  # of real speech, for a calibrated probability


class Verdict(NamedTuple):
    """What was found of a file or a channel of it: seconds, logits [fake, real], P(real), and
    `real`, `fake` or `no speech`; `id` is the path, and the channel's name where it has several.
    Of a file scored in windows also the `worst` one, and the share of speech judged fake.
    """

    id: str
    path: str
    seconds: float
    logits: tuple[float, float]
    p_real: float
    verdict: str
    channel: str
    remark: str
    worst: Worst | None = None


class Worst(NamedTuple):
    """The window most likely fake, in seconds, and how much of the file's speech is judged fake."""

    start: float
    stop: float
    p_real: float
    share_fake: float

    def __str__(self) -> str:
        place = f"worst window {self.start:.2f} to {self.stop:.2f} s (P(real) {self.p_real:.6f})"
        return f"{place}, {100 * self.share_fake:.0f} % of what counts judged fake"


class Memory:
    """A journal in memory, for scores that go to the screen alone."""

    def __init__(self, count: int):
        self.logits = np.full((count, 2), np.nan, dtype=np.float32)
        self.notes: dict[int, tuple[str, str]] = {}
        self._remarks: dict[int, str] = {}
        self._windows: dict[int, Windows] = {}

    def add_scores(self, rows: np.ndarray, logits: np.ndarray, embeddings: np.ndarray) -> None:
        self.logits[rows] = logits

    def add_skipped(self, row: int, kind: str, reason: str) -> None:
        self.notes[int(row)] = (kind, reason)

    def add_remark(self, row: int, words: str) -> None:
        self._remarks[int(row)] = words

    def add_windows(self, row: int, windows: Windows) -> None:
        self._windows[int(row)] = windows

    def remarks(self, total: int) -> dict[int, str]:
        return self._remarks

    def windows(self, total: int) -> dict[int, Windows]:
        return self._windows

    def done(self, total: int) -> np.ndarray:
        return np.zeros(total, dtype=bool)

    def to_be_continued(self, reason: str, total: int) -> Stopped:
        count = int(np.isfinite(self.logits[:, 0]).sum()) + len(self.notes)
        kept = f"{count} of {total} files are done and shown, and nothing is kept"
        return Stopped(f"{reason}: {kept}; with --output the same command goes on")

    def results(self, total: int) -> tuple[np.ndarray, dict[int, tuple[str, str]]]:
        return self.logits, dict(sorted(self.notes.items()))


def score_audio(hparams: dict, run_options: dict, names: list[str]) -> int:
    """Print, and with `output` write, a row a file: path, seconds, P(real), verdict.

    Scores for an `output` are in its journal as they come: the same command goes on after a kill.
    """
    if not names:
        raise UserError(
            "no audio named: python main.py score hparams/<model>.yaml FILE_OR_FOLDER ..."
        )
    if int(os.environ.get("WORLD_SIZE", 1)) > 1:
        raise UserError("score runs in one process: for torchrun make a protocol and use inference")
    convert, basis = probability(hparams)
    paths = find_audio(names)
    output = checked_output(hparams, paths)
    table = FileTable(paths, hparams["channels"])
    scorer = load_scorer(hparams, run_options)
    check_calibration(hparams, scorer)
    memory = contextlib.nullcontext(Memory(len(table)))
    job = {"audio": digest_of(paths), "channels": hparams["channels"]}
    job |= {"finds_speech": can_find_speech()}
    with memory if output is None else open_journal(scorer, job, output) as journal:
        return score_into(journal, scorer, table, convert, basis, output)


def score_into(journal, scorer: Scorer, table: FileTable, convert, basis: str, output: Path | None):
    """Score what the journal lacks, show it, and make the files of `output`; the exit status."""
    stopped_by, rows, notes = judge(journal, scorer, table, convert)
    basis = in_full(basis, scorer.hparams)
    skipped = [(table.ids(row), *note) for row, note in notes.items()]
    try:  # whoever reads the screen may have seen enough, and a full disk take no file
        if output is not None and not stopped_by:
            listed = [(row, *notes[row]) for row in notes]
            write_skipped(output.with_suffix(".skipped.csv"), table, listed)
            windows = journal.windows(len(table))
            write_windows(output.with_suffix(".windows.csv"), table, windows)
            write_verdicts(output, rows, scorer.meta() | {"basis": basis})
            journal.remove()
    finally:
        show(rows, basis)
    if stopped_by:
        raise journal.to_be_continued(stopped_by, len(table))
    return tell_skipped(skipped, output, allowed=scorer.hparams["allow_skipped"])


def judge(
    journal, scorer: Scorer, table: FileTable, convert
) -> tuple[str | None, list[Verdict], dict[int, tuple[str, str]]]:
    """Score what the journal lacks: what asked to end early, if anything did, the verdicts, and of
    the rows without one (kind, reason).
    """
    hparams = scorer.hparams
    done = journal.done(len(table))
    inspect = Inspection(mixes=hparams["channels"] == MIX)
    stopped_by = run_batches(scorer, table, journal, done=done, inspect=inspect)
    logits, notes = journal.results(len(table))
    remarks, windows = journal.remarks(len(table)), journal.windows(len(table))
    return stopped_by, verdicts(table, logits, remarks, windows, convert, hparams), notes


def in_full(basis: str, hparams: dict) -> str:
    """What a verdict rests on, in words: threshold, probability, and whether speech was sought."""
    basis = f"real when P(real) >= {hparams['threshold']}; {basis}"
    return basis + ("" if can_find_speech() else f"; {UNCHECKED}")


def checked_output(hparams: dict, paths: list[str]) -> Path | None:
    """`output`, if one is asked for; `UserError` before any work where it cannot serve."""
    if hparams["output"] is None:
        return None
    output = Path(hparams["output"])
    if output.suffix.lower() not in (".csv", ".json"):
        raise UserError(f"--output {output} ends in neither .csv nor .json: name one of these")
    ends = [".skipped.csv", ".windows.csv"] + ([] if is_json(output) else [".meta.json"])
    neighbours = [("the file beside --output", output.with_suffix(end)) for end in ends]
    given = [hparams["ckpt_path"], hparams["calibration"], *paths]
    check_outputs([("--output", output), *neighbours], given)
    return output


def is_json(path: Path) -> bool:
    return path.suffix.lower() == ".json"


def digest_of(paths: list[str]) -> str:
    """Changes with the list of files, and with the size or time stamp of one."""
    digest = hashlib.sha256()
    for path in paths:
        state = os.stat(path)
        digest.update(
            f"{os.path.abspath(path)}\0{state.st_size}\0{state.st_mtime_ns}\0".encode(
                "utf-8", "surrogateescape"
            )
        )
    return digest.hexdigest()


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
        tell(f"warning: {hparams['calibration']} does not say for which checkpoint")
    elif wanted not in (scorer.checkpoint.sha256, *scorer.checkpoint.made_of):
        raise UserError(
            f"{hparams['calibration']} was fitted on another checkpoint ({wanted[:12]}...) than"
            f" {scorer.checkpoint.path}: calibrate again with this one's scores"
        )


def verdicts(
    table: FileTable,
    logits: np.ndarray,
    remarks: dict[int, str],
    windows: dict[int, Windows],
    convert,
    hparams: dict,
) -> list[Verdict]:
    """One of each row that has logits (of (N, 2), NaN where there are none)."""
    threshold, rows = hparams["threshold"], []
    for i in np.flatnonzero(np.isfinite(logits).all(1)):
        fake, real = logits[i].astype(np.float64)[[FAKE, REAL]]
        p_real = float(convert(real - fake))
        worst = worst_of(windows[int(i)], convert, threshold) if int(i) in windows else None
        followed = worst.p_real if worst and hparams["verdict"] == "worst" else p_real
        word = "real" if followed >= threshold else "fake"
        remark = remarks.get(int(i), "")
        if NO_SPEECH in remark:
            word = NO_SPEECH_VERDICT
        remark = "; ".join(filter(None, [remark, worst and str(worst)]))
        about = (table.ids(i), table.path(i), float(table.durations[i]))
        pair = (float(fake), float(real))
        rows.append(Verdict(*about, pair, p_real, word, table.channels[i], remark, worst))
    return rows


def worst_of(windows: Windows, convert, threshold: float) -> Worst:
    """What a file's windows say beside their mean."""
    differences = windows.logits[:, REAL].astype(np.float64) - windows.logits[:, FAKE]
    p_real = np.array([float(convert(s)) for s in differences])
    k = windows.worst()
    place = (windows.starts[k] / SAMPLE_RATE, windows.stops[k] / SAMPLE_RATE)
    return Worst(*map(float, place), float(p_real[k]), windows.share(p_real < threshold))


def write_verdicts(output: Path, rows: list[Verdict], meta: dict) -> None:
    """As JSON, or as CSV with its `<stem>.meta.json`; the CSV is a score file too."""
    if is_json(output):
        write_json(output, {"meta": meta, "files": [_as_json(row) for row in rows]})
        return
    write_json(output.with_suffix(".meta.json"), meta)
    with whole_file(output) as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow([*COLUMNS, *HEADER])
        for row in rows:
            cells = [row.path, f"{row.seconds:.2f}", f"{row.p_real:.6f}", row.verdict]
            cells += [row.channel, row.remark]
            writer.writerow(cells + score_row(row.id, row.logits, None))


def _as_json(row: Verdict) -> dict:
    worst = {} if row.worst is None else {"worst": row.worst._asdict()}
    return {**row._asdict(), **worst}


def show(rows: list[Verdict], basis: str) -> None:
    """The verdicts as a table, a remark below its file."""
    lines = [("Path", "Seconds", "P(real)", "Verdict")]
    for row in rows:
        figures = f"{row.seconds:.2f}", f"{row.p_real:.6f}"
        lines.append((printable(row.id), *figures, row.verdict))
    width = max(len(line[0]) for line in lines)
    for (path, seconds, p_real, word), row in zip(lines, [None, *rows], strict=True):
        print(f"{path:{width}}  {seconds:>7}  {p_real:>8}  {word}")
        if row and row.remark:
            print(f"    {row.remark}")
    print(basis, flush=True)

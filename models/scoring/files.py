"""From a finished journal to the files users read: score CSV, skipped list, embeddings, meta."""

from __future__ import annotations

import contextlib
import csv
import json
import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from dataio.protocol import ProtocolTable
from dataio.schema import SAMPLE_RATE, UserError
from dataio.scores import HEADER, score_row
from dataio.whole_files import remove, reserve, whole_file, whole_table
from dataio.windows import Windows
from models.scoring.journal import ScoreJournal

logger = logging.getLogger(__name__)


def write_results(
    path: Path,
    table: ProtocolTable,
    journal: ScoreJournal,
    *,
    meta: dict,
    width: int,
    with_scores: bool = True,
) -> list[tuple[str, str, str]]:
    """Write the score CSV in protocol order and its neighbours, each whole.

    Without `with_scores`, of a detector without a head, neither the CSV nor logits are written.

    Beside `<stem>.csv`: `<stem>.meta.json`, `<stem>.skipped.csv` when rows were left out,
    `<stem>.remarks.csv` when there is something to say of rows that were not, `<stem>.windows.csv`
    when files were scored in windows, and with `width` > 0 `<stem>.npz`; one of a former analysis
    goes, as it would not belong to the scores.
    Returns (ID, kind, reason) of the rows without a score. UserError, and nothing is written, when
    the journal lacks a row.
    """
    logits, notes = journal.results(len(table))
    scored = np.flatnonzero(np.isfinite(logits).all(1))
    require_every_row(table, scored, notes)
    skipped = [(row, *notes[row]) for row in notes]
    write_skipped(path.with_suffix(".skipped.csv"), table, skipped)
    with whole_table(path.with_suffix(".remarks.csv"), ("ID", "Path", "Remark")) as rows:
        for row, words in journal.remarks(len(table)).items():
            rows.add([(table.ids(row), table.path(row), words)])
    write_windows(path.with_suffix(".windows.csv"), table, journal.windows(len(table)))
    embeddings_path = path.with_suffix(".npz")
    if width:
        told = logits if with_scores else None
        write_embeddings(embeddings_path, table, journal, scored, told, meta, width)
    elif embeddings_path.exists():
        logger.warning("removing %s: it belongs to former scores", embeddings_path)
        remove(embeddings_path)
    write_json(path.with_suffix(".meta.json"), meta)
    if with_scores:
        with whole_file(path) as stream:
            writer = csv.writer(stream, lineterminator="\n")
            writer.writerow(HEADER)
            for row in scored:
                writer.writerow(score_row(table.ids(row), logits[row], int(table.labels[row])))
    return [(table.ids(row), kind, reason) for row, kind, reason in skipped]


def write_json(path: Path, content: dict) -> None:
    with whole_file(path) as stream:
        json.dump(content, stream, indent=1)
        stream.write("\n")


def require_every_row(table: ProtocolTable, scored: np.ndarray, notes: dict) -> None:
    """Raise UserError when a row has neither a score nor a note why: no row is lost silently."""
    lost = np.setdiff1d(np.arange(len(table)), np.concatenate([scored, list(notes)]).astype(int))
    if len(lost):
        raise UserError(
            f"{len(lost)} rows of {table.csv_path} have neither a score nor a reason, the first is"
            f" {table.ids(lost[0])}: give the same command again, it scores what is missing"
        )


def write_skipped(path: Path, table: ProtocolTable, skipped: list[tuple[int, str, str]]) -> None:
    """`ID,Path,Kind,Reason` of the rows without a score; no file when there are none."""
    with whole_table(path, ("ID", "Path", "Kind", "Reason")) as rows:
        for row, kind, reason in skipped:
            rows.add([(table.ids(row), table.path(row), kind, reason)])


WINDOW_COLUMNS = ("ID", "Start", "Stop", "Counts", "FakeLogit", "RealLogit")


def write_windows(path: Path, table: ProtocolTable, windows: dict[int, Windows]) -> None:
    """A line for each window of files scored in windows: its place and what it counts for in
    seconds, its logits; no file when there are none.
    """
    with whole_table(path, WINDOW_COLUMNS) as rows:
        for row, found in windows.items():
            rows.add(
                (
                    table.ids(row),
                    f"{start / SAMPLE_RATE:.2f}",
                    f"{stop / SAMPLE_RATE:.2f}",
                    f"{seconds:.2f}",
                    *map(str, logits),
                )
                for start, stop, seconds, logits in zip(*found, strict=True)
            )


def write_embeddings(
    path: Path,
    table: ProtocolTable,
    journal: ScoreJournal,
    scored: np.ndarray,
    logits: np.ndarray | None,
    meta: dict,
    width: int,
) -> None:
    """`ids`, `labels`, `logits` (N, 2) if any, `embeddings` (N, D), JSON `meta`; no pickle."""
    place = np.full(len(table), -1)
    place[scored] = np.arange(len(scored))
    with _scratch_matrix(journal.folder / "embeddings", len(scored), width) as embeddings:
        for records in journal.scores(len(table)):
            known = place[records["row"]] >= 0
            embeddings[place[records["row"][known]]] = records["embedding"][known]
        meta = {**meta, "layer": "last", "pooling": "mean over valid frames"}
        with whole_file(path, binary=True) as stream:
            np.savez(
                stream,
                ids=np.array([table.ids(row) for row in scored], dtype=np.str_),
                labels=np.asarray(table.labels[scored], dtype=np.int64),
                embeddings=embeddings,
                meta=np.array(json.dumps(meta)),
                **({} if logits is None else {"logits": logits[scored]}),
            )


@contextlib.contextmanager
def _scratch_matrix(path: Path, rows: int, width: int) -> Iterator[np.ndarray]:
    """(rows, width) float32 on disk, not in memory: 10 million of XLS-R 2B are 77 GB.

    The disk gives the room at once; a page for which it had none later would end the process.
    """
    reserve(path, max(rows, 1) * width * 4)
    try:
        yield np.memmap(path, np.float32, mode="r+", shape=(max(rows, 1), width))[:rows]
    finally:
        path.unlink(missing_ok=True)

"""From a finished journal to the files users read: score CSV, skipped list, embeddings, meta."""

from __future__ import annotations

import csv
import json
import logging
import os
from pathlib import Path

import numpy as np

from dataio.protocol import ProtocolTable
from dataio.schema import UserError
from dataio.scores import HEADER, score_row
from dataio.whole_files import whole_file
from models.scoring.journal import ScoreJournal

logger = logging.getLogger(__name__)


def write_results(
    path: Path, table: ProtocolTable, journal: ScoreJournal, *, meta: dict, width: int
) -> list[tuple[str, str, str]]:
    """Write the score CSV in protocol order and its neighbours, each whole.

    Beside `<stem>.csv`: `<stem>.meta.json`, `<stem>.skipped.csv` when rows were left out, and with
    `width` > 0 `<stem>.npz`; one of a former analysis goes, as it would not belong to the scores.
    Returns (ID, kind, reason) of the rows without a score. UserError, and nothing is written, when
    the journal lacks a row.
    """
    logits, notes = journal.results(len(table))
    scored = np.flatnonzero(np.isfinite(logits).all(1))
    require_every_row(table, scored, notes)
    skipped = [(row, *notes[row]) for row in notes]
    write_skipped(path.with_suffix(".skipped.csv"), table, skipped)
    embeddings_path = path.with_suffix(".npz")
    if width:
        write_embeddings(embeddings_path, table, journal, scored, logits, meta, width)
    elif embeddings_path.exists():
        logger.warning("removing %s: it belongs to former scores", embeddings_path)
        embeddings_path.unlink()
    write_json(path.with_suffix(".meta.json"), meta)
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
    path.unlink(missing_ok=True)
    if not skipped:
        return
    with whole_file(path) as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["ID", "Path", "Kind", "Reason"])
        for row, kind, reason in skipped:
            writer.writerow([table.ids(row), table.path(row), kind, reason])


def write_embeddings(
    path: Path,
    table: ProtocolTable,
    journal: ScoreJournal,
    scored: np.ndarray,
    logits: np.ndarray,
    meta: dict,
    width: int,
) -> None:
    """`ids`, `labels`, `logits` (N, 2), `embeddings` (N, D), JSON `meta`; without pickle."""
    place = np.full(len(table), -1)
    place[scored] = np.arange(len(scored))
    # On disk, not in memory: 10 million embeddings of XLS-R 2B are 77 GB.
    embeddings = np.memmap(
        journal.folder / "embeddings", np.float32, mode="w+", shape=(max(len(scored), 1), width)
    )[: len(scored)]
    for records in journal.scores():
        known = place[records["row"]] >= 0
        embeddings[place[records["row"][known]]] = records["embedding"][known]
    meta = {**meta, "layer": "last", "pooling": "mean over valid frames"}
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    with partial.open("wb") as stream:
        np.savez(
            stream,
            ids=np.array([table.ids(row) for row in scored], dtype=np.str_),
            labels=np.asarray(table.labels[scored], dtype=np.int64),
            logits=logits[scored],
            embeddings=embeddings,
            meta=np.array(json.dumps(meta)),
        )
    os.replace(partial, path)

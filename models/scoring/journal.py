"""Scores on disk as they come, so that a killed run continues where it was.

Each rank appends fixed-size records to its own file; a torn last record is cut off when the file is
read again. `job.json` says which scoring the journal belongs to; one of another job is thrown away.
"""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from dataio.checked import ANYTHING, TEXT, WHOLE, Damaged, parse_json, read_json
from dataio.schema import UserError
from dataio.stopping import Stopped
from dataio.whole_files import append_file, cannot_write, make_folder, write_text
from dataio.windows import Windows
from models.distributed import World, barrier

logger = logging.getLogger(__name__)
SKIPPED = {"row": WHOLE, "kind": TEXT, "reason": TEXT}  # a line of rank*.skipped
REMARK = "remark"  # the kind of a note on a row that has a score
NOTES = ("error", "short", "silent", REMARK)
WINDOW = np.dtype(
    [("row", "<i8"), ("start", "<i8"), ("stop", "<i8"), ("seconds", "<f8"), ("logits", "<f4", (2,))]
)  # of a file scored in windows: samples, what the window counts for


class ScoreJournal:
    """Records of row number, logits (2,) and, with `width` > 0, an embedding (width,)."""

    def __init__(self, folder: Path, job: dict, *, width: int, world: World):
        self.folder, self.world = folder, world
        fields = [("row", "<i8"), ("logits", "<f4", (2,))]
        self.record = np.dtype(fields + ([("embedding", "<f4", (width,))] if width else []))
        if world.is_main:
            self._claim(job)
        barrier()
        self._scores = self._open_records("scores", self.record)
        self._windows = self._open_records("windows", WINDOW)
        self._skipped = self._open_skipped()

    def _claim(self, job: dict) -> None:
        note = self.folder / "job.json"
        if self.folder.exists():
            try:
                former = read_json(note, {...: ANYTHING}, "it is begun anew")
            except (OSError, UserError):
                former = None
            if former != job:
                logger.warning("starting anew: %s belongs to another scoring", self.folder)
                self.remove()
        make_folder(self.folder)
        write_text(note, json.dumps(job))

    def _open_records(self, name: str, record: np.dtype):
        path = self.folder / f"rank{self.world.rank}.{name}"
        whole = path.stat().st_size // record.itemsize if path.exists() else 0
        stream = append_file(path, binary=True)
        stream.truncate(whole * record.itemsize)
        return stream

    def _open_skipped(self):
        path = self.folder / f"rank{self.world.rank}.skipped"
        text = path.read_bytes() if path.exists() else b""
        stream = append_file(path, binary=True)
        stream.truncate(text.rfind(b"\n") + 1)
        return stream

    def add_scores(self, rows: np.ndarray, logits: np.ndarray, embeddings: np.ndarray) -> None:
        """Append rows (B,), logits (B, 2), embeddings (B, D); safe once this returns."""
        records = np.empty(len(rows), self.record)
        records["row"], records["logits"] = rows, logits
        if "embedding" in self.record.names:
            records["embedding"] = embeddings
        self._scores.write(records.tobytes())
        self._scores.flush()

    def add_windows(self, row: int, windows: Windows) -> None:
        """Append the windows of a row, before its score."""
        records = np.empty(len(windows.starts), WINDOW)
        records["row"] = row
        for name, values in zip(WINDOW.names[1:], windows, strict=True):
            records[name] = values
        self._windows.write(records.tobytes())
        self._windows.flush()

    def add_skipped(self, row: int, kind: str, reason: str) -> None:
        """Note a row that gets no score: `kind` is "error", "short" or "silent"."""
        self._note(row, kind, reason)

    def add_remark(self, row: int, words: str) -> None:
        """Note what is to be said of a row beside its score."""
        self._note(row, REMARK, words)

    def _note(self, row: int, kind: str, reason: str) -> None:
        line = json.dumps({"row": int(row), "kind": kind, "reason": reason})
        self._skipped.write(line.encode() + b"\n")
        self._skipped.flush()

    def scores(self, total: int) -> Iterator[np.ndarray]:
        """The records of every rank's file, memory-mapped; a later one replaces a former.

        `UserError` for a record of none of the `total` rows: -1 would be another file's score.
        """
        yield from self._records("scores", self.record, total)

    def windows(self, total: int) -> dict[int, Windows]:
        """Row -> its windows, of the rows that were scored in such; each window once."""
        found: dict[int, list[np.ndarray]] = {}
        for records in self._records("windows", WINDOW, total):
            cuts = np.flatnonzero(np.diff(records["row"])) + 1
            for part in np.split(np.asarray(records), cuts):
                found.setdefault(int(part["row"][0]), []).append(part)
        return {row: _each_once(np.concatenate(found[row])) for row in sorted(found)}

    def _records(self, name: str, record: np.dtype, total: int) -> Iterator[np.ndarray]:
        for path in sorted(self.folder.glob(f"rank*.{name}")):
            count = path.stat().st_size // record.itemsize
            if count:
                records = np.memmap(path, record, mode="r", shape=(count,))
                if records["row"].min() < 0 or records["row"].max() >= total:
                    raise self._damaged(path, f"a row that is none of the {total}")
                yield records

    def _damaged(self, path: Path, holds: object) -> UserError:
        return UserError(
            f"{path} is damaged (it holds {holds}): remove {self.folder} and score anew"
        )

    def skipped(self, total: int) -> dict[int, tuple[str, str]]:
        """Row -> (kind, reason); `UserError` for what `add_skipped` does not write."""
        return {row: (kind, words) for row, kind, words in self._notes(total) if kind != REMARK}

    def remarks(self, total: int) -> dict[int, str]:
        """Row -> what is said of it beside its score; `UserError` as for `skipped`."""
        found = {row: words for row, kind, words in self._notes(total) if kind == REMARK}
        return dict(sorted(found.items()))

    def _notes(self, total: int) -> Iterator[tuple[int, str, str]]:
        for path in sorted(self.folder.glob("rank*.skipped")):
            for line in path.read_bytes().split(b"\n")[:-1]:
                try:
                    note = parse_json(line, SKIPPED)
                except Damaged as error:
                    raise self._damaged(path, f"a line of which {error}") from None
                if not (0 <= note["row"] < total and note["kind"] in NOTES):
                    raise self._damaged(path, "a row or a kind that there is not")
                yield note["row"], note["kind"], note["reason"]

    def results(self, total: int) -> tuple[np.ndarray, dict[int, tuple[str, str]]]:
        """Logits (total, 2), NaN where there are none, and row -> (kind, reason) of such rows."""
        logits = np.full((total, 2), np.nan, dtype=np.float32)
        for records in self.scores(total):
            logits[records["row"]] = records["logits"]
        notes = self.skipped(total)
        return logits, {row: notes[row] for row in sorted(notes) if np.isnan(logits[row, 0])}

    def done(self, total: int) -> np.ndarray:
        """Which of the `total` rows need no more work, (total,) bool."""
        mask = np.zeros(total, dtype=bool)
        for records in self.scores(total):
            mask[records["row"]] = np.isfinite(records["logits"]).all(1)
        mask[list(self.skipped(total))] = True
        return mask

    def to_be_continued(self, reason: str, total: int) -> Stopped:
        """What a run that ends early says of its scores; the main rank speaks for all."""
        if not self.world.is_main:
            return Stopped()
        count = int(self.done(total).sum())
        kept = f"{count} of {total} files are done and kept in {self.folder}"
        return Stopped(f"{reason}: {kept}, the same command goes on from there")

    def close(self) -> None:
        for stream in (self._scores, self._windows, self._skipped):
            stream.close()

    def remove(self) -> None:
        try:
            shutil.rmtree(self.folder)
        except OSError as error:  # a link or a file in its place, or a folder of somebody else's
            raise cannot_write(self.folder, error) from error


def _each_once(records: np.ndarray) -> Windows:
    """A row's windows by their starts; a killed run's are there twice once another has gone on."""
    _, first = np.unique(records["start"], return_index=True)
    return Windows(*(records[name][first] for name in WINDOW.names[1:]))

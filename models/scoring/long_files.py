"""Files too long to be scored whole: their windows, cut while they are decoded, and their fold.

Loader workers take whole files; each decodes, cuts and looks for speech ahead of the model. Neither
side's memory grows with a file's length but by some bytes a window.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from dataio.audio import stream_audio
from dataio.audio_file import AudioHeader, Faults, UnreadableAudio
from dataio.batching import rows_within
from dataio.dataset import SHORT, SILENT, BadFile, Item, WaveformBatch, collate, is_silent
from dataio.loading import in_worker, loaded
from dataio.probe import probe
from dataio.processes import usable_workers, worker_for_each_core
from dataio.protocol import ProtocolRow
from dataio.schema import SAMPLE_RATE
from dataio.windows import Spans, WindowCutter, Windowing, Windows, counted
from models.scoring.speech import SpeechFinder, can_find_speech

Remarks = Callable[[str, AudioHeader, Callable[[], bool]], list[str]]


@dataclass(frozen=True)
class End:
    """What is known of a file once all of it is read: its length in samples at 16 kHz, speech (None
    where nobody can tell), what was remarked, and why it has no score if it has none.
    """

    samples: int = 0
    speech: Spans | None = None
    remarks: tuple[str, ...] = ()
    bad: BadFile | None = None


@dataclass(frozen=True)
class Part:
    """Some windows of a row's file, and with its last ones the `end`. A batch's `rows` are the
    windows' first samples.
    """

    row: int
    batch: WaveformBatch
    end: End | None = None


class LongFiles(IterableDataset):
    """Rows as `Part`s, a file after the other; a worker takes every n-th row.

    `batch_seconds`: of windows in a part. `remarks(path, header, has_speech)` gives further remarks
    on a file; `heard` is called with the samples (T,) as they are decoded.
    """

    def __init__(
        self,
        table,
        rows: Sequence[int],
        windowing: Windowing,
        *,
        batch_seconds: float,
        min_duration: float | None = None,
        remarks: Remarks | None = None,
        heard: Callable[[np.ndarray], None] | None = None,
    ):
        self.table, self.rows, self.windowing = table, rows, windowing
        self.together = rows_within(windowing.window / SAMPLE_RATE, batch_seconds)
        self.min_duration, self.remarks, self.heard = min_duration, remarks, heard

    def __iter__(self) -> Iterator[Part]:
        worker = get_worker_info()
        for row in self.rows if worker is None else self.rows[worker.id :: worker.num_workers]:
            yield from self.parts(int(row))

    def parts(self, row: int) -> Iterator[Part]:
        """Of one row; whatever fails is the last part's `bad`."""
        fields = self.table.row(row)
        waiting: list[Item] = []
        try:
            reader = _Reader(fields, self.windowing, self.heard)
            for start, window in reader:
                if not is_silent(window):
                    waiting.append(Item(start, fields.id, fields.label, window))
                if len(waiting) == self.together:
                    yield Part(row, collate(waiting))
                    waiting = []
            end = self._end(row, fields, reader)
        except UnreadableAudio as error:
            end = End(bad=BadFile(row, fields.id, fields.path, error.reason))
        except Exception as error:  # scoring goes on past a file that a library trips over
            reason = f"it cannot be loaded ({type(error).__name__}: {error})".splitlines()[0]
            end = End(bad=BadFile(row, fields.id, fields.path, reason))
        yield Part(row, collate(waiting), end)

    def _end(self, row: int, fields: ProtocolRow, reader: _Reader) -> End:
        seconds, bad = reader.cutter.samples / SAMPLE_RATE, None
        if seconds < (self.min_duration or 0):
            reason = f"{seconds:.3f} s is shorter than min_duration {self.min_duration}"
            bad = BadFile(row, fields.id, fields.path, reason, SHORT)
        elif reader.is_silent:
            reason = "it is digital silence, on which there is no verdict"
            bad = BadFile(row, fields.id, fields.path, reason, SILENT)
        speech = None if reader.finder is None else reader.finder.spans()
        remarks = [str(fault) for fault in reader.faults.all()]
        if self.remarks is not None and bad is None:
            remarks += self.remarks(fields.path, reader.header, lambda: bool(speech))
        return End(reader.cutter.samples, speech, tuple(remarks), bad)


class _Reader:
    """The windows of a row's file in order, and then what was met on the way."""

    def __init__(self, fields: ProtocolRow, windowing: Windowing, heard=None):
        self.fields, self.header, self.faults = fields, probe(fields.path), Faults()
        self.cutter = WindowCutter(windowing.window, windowing.hop)
        self.finder = SpeechFinder() if can_find_speech() else None
        self.is_silent, self.heard = True, heard

    def __iter__(self) -> Iterator[tuple[int, np.ndarray]]:
        fields = self.fields
        for piece in stream_audio(
            fields.path, self.header, faults=self.faults, channel=fields.channel
        ):
            self.is_silent = self.is_silent and is_silent(piece)
            for listener in filter(None, (self.finder and self.finder.feed, self.heard)):
                listener(piece)
            yield from self.cutter.feed(piece)
        yield from self.cutter.finish()


def parts_of(files: LongFiles, *, num_workers: int, prefetch_factor: int) -> Iterator[Part]:
    """The parts of all files, loaded ahead by workers, each file's in order."""
    num_workers = min(usable_workers(worker_for_each_core(num_workers)), len(files.rows))
    loader = DataLoader(
        files,
        batch_size=None,
        collate_fn=_unchanged,
        num_workers=num_workers,
        prefetch_factor=prefetch_factor if num_workers else None,
        worker_init_fn=in_worker,
        generator=torch.Generator(),
    )
    return loaded(loader)


def _unchanged(part: Part) -> Part:
    return part


class Folded:
    """The results of one file's windows as they come: a sink for `begin_batch`, then one result."""

    def __init__(self):
        self.stops: dict[int, int] = {}
        self.results: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        self.failed: tuple[str, str] | None = None

    def expect(self, batch: WaveformBatch) -> None:
        """Take note of windows that are about to be scored."""
        starts = batch.rows.tolist()
        self.stops |= dict(zip(starts, (batch.rows + batch.lengths).tolist(), strict=True))

    def add_scores(self, rows: np.ndarray, logits: np.ndarray, embeddings: np.ndarray) -> None:
        for row, *result in zip(rows.tolist(), logits, embeddings, strict=True):
            self.results[row] = tuple(result)

    def add_skipped(self, row: int, kind: str, reason: str) -> None:
        place = f"{int(row) / SAMPLE_RATE:.2f} to {self.stops[int(row)] / SAMPLE_RATE:.2f} s"
        self.failed = self.failed or (kind, f"its window from {place}: {reason}")

    def windows(self, end: End) -> Windows:
        """In order, with what each counts for."""
        starts = sorted(self.results)
        logits = np.stack([self.results[start][0] for start in starts])
        return counted(starts, [self.stops[start] for start in starts], logits, end.speech)

    def embedding(self, windows: Windows) -> np.ndarray:
        """(D,) of the file."""
        return windows.mean(np.stack([self.results[int(start)][1] for start in windows.starts]))

    def finish(self, row: int, end: End, sink) -> None:
        """Hand the file's result, or why there is none, to the sink of the scoring."""
        if end.bad is not None:
            sink.add_skipped(row, end.bad.kind, end.bad.reason)
            return
        if self.failed is not None:
            sink.add_skipped(row, *self.failed)
            return
        if end.remarks:
            sink.add_remark(row, "; ".join(end.remarks))
        windows = self.windows(end)
        sink.add_windows(row, windows)
        mean = windows.mean(windows.logits).astype(np.float32)
        embedding = self.embedding(windows).astype(np.float32)
        sink.add_scores(np.array([row]), mean[None], embedding[None])

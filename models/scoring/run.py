"""`inference`, `analysis` and `score`: audio in, logits [fake, real] out, one row a file.

Batches are made by length and masked, so neither the batch limit nor the number of processes moves
a score by more than rounding. Nothing here imports SpeechBrain: the first score should come fast.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch

from dataio.batching import scoring_batches
from dataio.dataset import LONG, WaveformBatch, WaveformDataset
from dataio.loading import batch_loader
from dataio.locks import sole_writer
from dataio.output_paths import check_outputs
from dataio.processes import worker_for_each_core
from dataio.protocol import ProtocolTable
from dataio.schema import SAMPLE_RATE, UserError
from dataio.stopping import StopRequest
from dataio.windows import Windows, windowing_of
from dataio.words import tell
from models import TOOLKIT_VERSION
from models.checkpoints import CheckpointInfo, load_detector, sha256_of
from models.detector import Detector, detector_options
from models.distributed import World, barrier, choose_device, gather_objects, join_world
from models.heads.catalogue import DEFAULT
from models.in_flight import InFlight
from models.precision import as_computed, autocast, round_weights
from models.scoring.files import write_results
from models.scoring.journal import ScoreJournal
from models.scoring.long_files import Folded, LongFiles, parts_of
from models.scoring.remarks import Inspection
from models.scoring.screen import progress, tell_remarks, tell_skipped
from models.scoring.speech import can_find_speech

logger = logging.getLogger(__name__)
BESIDE = (
    ".meta.json",
    ".skipped.csv",
    ".remarks.csv",
    ".windows.csv",
    ".npz",
)  # what is written beside scores
CPU_BATCH_SECONDS = 16  # a CPU gains nothing from more and loses its caches (benchmarks/front_end)


class Sink(Protocol):
    """Where results go, in the order the batches come."""

    def add_scores(self, rows: np.ndarray, logits: np.ndarray, embeddings: np.ndarray) -> None: ...

    def add_skipped(self, row: int, kind: str, reason: str) -> None: ...

    def add_remark(self, row: int, words: str) -> None: ...

    def add_windows(self, row: int, windows: Windows) -> None: ...


@dataclass(frozen=True)
class Scorer:
    """A loaded detector and how to run it."""

    detector: Detector
    checkpoint: CheckpointInfo
    device: str
    world: World
    hparams: dict
    show_bar: bool = True

    def meta(self) -> dict:
        """What a score depends on, written beside the scores; of an exported file also the SHA-256
        of what it was made of.
        """
        made_of = self.checkpoint.made_of
        return ({"exported_from": list(made_of)} if made_of else {}) | {
            "model": self.hparams["model"],
            "checkpoint_sha256": self.checkpoint.sha256,
            "engine": self.hparams["ssl_engine"],
            "head": self.hparams["head"]["name"],
            **self.detector.described(),
            "precision": self.detector.precision
            or as_computed(self.hparams["eval_precision"], self.device),
            "sample_rate": SAMPLE_RATE,
            **window_meta(self.hparams),
            "toolkit_version": TOOLKIT_VERSION,
        }


def window_meta(hparams: dict) -> dict:
    """How files over `max_whole_seconds` are scored, for whoever reads a score."""
    keys = ("max_whole_seconds", "window_seconds", "hop_seconds")
    if windowing_of(hparams) is None:
        return dict.fromkeys(keys)
    weights = "seconds of speech (silero-vad)" if can_find_speech() else "seconds"
    return {key: hparams[key] for key in keys} | {"window_weights": weights}


def load_scorer(hparams: dict, run_options: dict, *, needs_head: bool = True) -> Scorer:
    """The detector of `ckpt_path` on its device; UserError where a head is needed and none is."""
    windowing_of(hparams)  # refused before anything is loaded
    if hparams["ssl_engine"] == "onnx" and hparams["eval_precision"] != "fp32":
        raise UserError(
            "eval_precision is for the other engines: an ONNX file has its own precision"
        )
    device = choose_device(run_options.get("device"))
    world = join_world(
        backend=run_options.get("distributed_backend"),
        device=device,
        timeout_seconds=hparams["distributed_timeout"],
    )
    detector, info = load_detector(
        hparams["model"], checkpoint_source(hparams), **detector_options(hparams)
    )
    learned = hparams["head"]["name"] != DEFAULT  # what else than a mean the embedding takes
    if (needs_head or learned) and not info.fills_head:
        raise UserError(
            f"{info.path} is a pre-training file, it has no detection head: give a detector"
            " checkpoint as --ckpt_path (`main.py analysis` writes this one's embeddings)"
        )
    detector.pad_to_frames = hparams["pad_to_frames"]
    round_weights(detector, hparams["eval_precision"])
    logger.info("%s from %s on %s", hparams["model"], info.path, device)
    show_bar = not run_options.get("noprogressbar", False)
    return Scorer(detector.to(device).eval(), info, device, world, hparams, show_bar)


def checkpoint_source(hparams: dict) -> str | Path:
    """`ckpt_path` if one is given, else the best checkpoint of the experiment's own folder."""
    source = hparams["ckpt_path"]
    if source not in (None, "pretrained"):
        return source
    save = Path(hparams["output_folder"]) / "save"
    if hparams["base_path"] is None and str(save).startswith("None/"):
        raise UserError("no --ckpt_path was given: name a detector checkpoint, folder or hub id")
    if not save.is_dir():
        raise UserError(
            f"no --ckpt_path was given and there is no training run in {save.parent}:"
            " name a detector checkpoint, or the --exp_name of a run"
        )
    return save.parent


def infer(hparams: dict, run_options: dict) -> int:
    """Scores of a protocol."""
    return score_protocol(hparams, run_options, with_embeddings=False)


def analyse(hparams: dict, run_options: dict) -> int:
    """Scores and embeddings of a protocol."""
    return score_protocol(hparams, run_options, with_embeddings=True)


def score_protocol(hparams: dict, run_options: dict, *, with_embeddings: bool) -> int:
    """Score every row of `test_csv` into `score_path`; 3 when files could not be read."""
    path = checked_score_path(hparams)
    table = ProtocolTable.open(
        hparams["test_csv"],
        data_folder=hparams["data_folder"],
        cache_folder=hparams["cache_folder"],
        require_labels=False,
    )
    table.check_paths()
    scorer = load_scorer(hparams, run_options, needs_head=not with_embeddings)
    if not scorer.checkpoint.fills_head and path.exists():
        raise UserError(
            f"{scorer.checkpoint.path} is a pre-training file and gives no scores, and {path} holds"
            " those of a detector: name another --score_path"
        )
    width = scorer.detector.classifier.embedding_width if with_embeddings else 0
    with open_journal(scorer, protocol_job(scorer, table), path, width) as journal:
        return score_into(journal, scorer, table, path, width)


def score_into(
    journal: ScoreJournal, scorer: Scorer, table: ProtocolTable, path: Path, width: int
) -> int:
    """Score what the journal lacks, and make the files of `path` from it; the exit status."""
    # Read by one rank for all, before any scores on: two that read at different moments would make
    # different lists of what is left, and shares of different lists leave rows to nobody.
    done = gather_objects(journal.done(len(table)) if scorer.world.is_main else None)[0]
    stopped_by = run_batches(scorer, table, journal, done=done)
    journal.close()
    if stopped_by:
        raise journal.to_be_continued(stopped_by, len(table))
    barrier()
    status = 0
    if scorer.world.is_main:
        remarks = [(table.ids(row), words) for row, words in journal.remarks(len(table)).items()]
        scored = scorer.checkpoint.fills_head
        options = {"meta": scorer.meta(), "width": width, "with_scores": scored}
        skipped = write_results(path, table, journal, **options)
        journal.remove()
        if not scored:
            tell(
                f"no scores were written: {scorer.checkpoint.path} is a pre-training file without"
                f" a detection head; its embeddings are in {path.with_suffix('.npz')}"
            )
        tell_remarks(remarks, path)
        status = tell_skipped(skipped, path, allowed=scorer.hparams["allow_skipped"])
    barrier()
    return status


def checked_score_path(hparams: dict) -> Path:
    """`score_path`, of which the neighbours' names are made; UserError where it cannot serve."""
    path = Path(hparams["score_path"])
    if path.suffix.lower() != ".csv":
        raise UserError(
            f"score_path {path} does not end in .csv: scores are a CSV, and embeddings go to the"
            " .npz beside it"
        )
    neighbours = [("the file beside score_path", path.with_suffix(end)) for end in BESIDE]
    given = [hparams["test_csv"], hparams["ckpt_path"]]
    check_outputs([("score_path", path), *neighbours], given)
    return path


def protocol_job(scorer: Scorer, table: ProtocolTable) -> dict:
    """Everything that decides which rows a journal is about, wherever the list lies by now."""
    return {
        "csv_sha256": sha256_of(scorer.hparams["test_csv"]) if scorer.world.is_main else None,
        "data_folder": os.path.realpath(scorer.hparams["data_folder"]),
        "rows": len(table),
    }


@contextlib.contextmanager
def open_journal(scorer: Scorer, job: dict, path: Path, width: int = 0) -> Iterator[ScoreJournal]:
    """The journal beside `path`, bound to the job and all else that decides a score.

    While it is open no other run writes to `path`.
    """
    minimum = scorer.hparams["min_duration"]
    job = {**scorer.meta(), **job, "min_duration": minimum, "embedding_width": width}
    folder = path.with_name(path.name + ".partial")
    with sole_writer(path) if scorer.world.is_main else contextlib.nullcontext():
        journal = ScoreJournal(folder, job, width=width, world=scorer.world)
        with contextlib.closing(journal):
            yield journal


def run_batches(
    scorer: Scorer, table, sink: Sink, *, done: np.ndarray, inspect: Inspection | None = None
) -> str | None:
    """Score this rank's share of what is not done, the longest files first; those that are scored
    in windows come last.

    Returns what asked the run to end before it was through, if anything did.
    """
    hparams = scorer.hparams
    limit = hparams["max_batch_length"]
    if scorer.device == "cpu":
        limit = min(limit, CPU_BATCH_SECONDS)
    batches = [
        rows
        for rows in scoring_batches(table.durations, max_batch_length=limit)
        if not done[rows].all()
    ][scorer.world.rank :: scorer.world.size]
    show = scorer.show_bar and scorer.world.is_main
    with (
        StopRequest(hparams["time_limit"]) as stop,
        progress(sum(map(len, batches)), show=show) as bar,
        torch.inference_mode(),
    ):
        long: list[int] = []
        whole = score_whole(scorer, table, batches, sink, bar, long=long, inspect=inspect)
        with contextlib.closing(whole):
            for _ in whole:
                if bar.left and stop.reason is not None:
                    return stop.reason
        for _ in score_long(scorer, table, long, sink, bar, limit=limit, inspect=inspect):
            if bar.left and stop.reason is not None:
                return stop.reason
    return None


def score_whole(
    scorer: Scorer,
    table,
    batches: list[np.ndarray],
    sink: Sink,
    bar: progress,
    *,
    long: list[int],
    inspect: Inspection | None,
) -> Iterator[None]:
    """Score batches of rows, one at each step; rows of files too long for that go to `long`."""
    hparams = scorer.hparams
    windowing = windowing_of(hparams)
    dataset = WaveformDataset(
        table,
        mode="score",
        min_duration=hparams["min_duration"],
        most_seconds=None if windowing is None else windowing.most_whole,
        inspect=inspect,
    )
    loader = batch_loader(
        dataset,
        ((0, rows) for rows in batches),
        num_workers=min(worker_for_each_core(hparams["num_workers"]), len(batches)),
        prefetch_factor=hparams["prefetch_factor"],
        pin_memory=scorer.device.startswith("cuda"),
    )
    keep = nothing  # the scores of the batch before, which come back while the next computes
    with contextlib.closing(loader), contextlib.ExitStack() as at_the_end:
        at_the_end.callback(lambda: keep())
        for batch in loader:
            bad = [file for file in batch.bad if file.kind != LONG]
            for file in bad:
                sink.add_skipped(file.row, file.kind, file.reason)
            long += [file.row for file in batch.bad if file.kind == LONG]
            for row, _, words in batch.remarks:
                sink.add_remark(row, words)
            former, keep = keep, begin_batch(scorer, batch, sink) if len(batch) else nothing
            former()
            bar.advance(len(batch) + len(bad), batch.seconds)
            yield


def score_long(
    scorer: Scorer,
    table,
    rows: list[int],
    sink: Sink,
    bar: progress,
    *,
    limit: float,
    inspect: Inspection | None,
) -> Iterator[None]:
    """Score rows of long files in windows, a batch of at most `limit` seconds at each step."""
    if not rows:
        return
    hparams = scorer.hparams
    files = LongFiles(
        table,
        rows,
        windowing_of(hparams),
        batch_seconds=limit,
        min_duration=hparams["min_duration"],
        remarks=inspect and inspect.of,
    )
    workers, prefetch = hparams["num_workers"], hparams["prefetch_factor"]
    folded: dict[int, Folded] = {}
    parts = parts_of(files, num_workers=workers, prefetch_factor=prefetch)
    with contextlib.closing(parts):
        for part in parts:
            file = folded.setdefault(part.row, Folded())
            file.expect(part.batch)
            if len(part.batch):
                begin_batch(scorer, part.batch, file)()
            if part.end is not None:
                folded.pop(part.row).finish(part.row, part.end, sink)
            bar.advance(int(part.end is not None), part.batch.seconds)
            yield


def nothing() -> None:
    """What there is to keep of no batch."""


def begin_batch(scorer: Scorer, batch: WaveformBatch, sink: Sink) -> Callable[[], None]:
    """Begin one forward, or do several where memory is short of it; call what is returned to wait
    for the scores and keep them.

    A row whose logits are not finite is reported, never written; so is a file that does not fit
    the memory by itself.
    """
    outputs = forward(scorer, batch)
    if outputs is None and len(batch) == 1:
        reason = f"no memory on {scorer.device} for its {batch.seconds:.0f} s: cut it into pieces"
        sink.add_skipped(int(batch.rows[0]), "error", reason)
        return nothing
    if outputs is None:
        middle = len(batch) // 2
        for part in (slice(middle), slice(middle, None)):
            begin_batch(scorer, batch.part(part), sink)()
        return nothing
    return functools.partial(keep_scores, batch.rows.numpy(), outputs, sink)


def keep_scores(rows: np.ndarray, outputs: InFlight, sink: Sink) -> None:
    logits, embeddings = (tensor.numpy() for tensor in outputs.read())
    finite = np.isfinite(logits).all(1)
    for row in rows[~finite]:
        sink.add_skipped(row, "error", "its score is not finite; try --eval_precision fp32")
    sink.add_scores(rows[finite], logits[finite], embeddings[finite])


def forward(scorer: Scorer, batch: WaveformBatch) -> InFlight | None:
    """Logits (B, 2) and embeddings (B, D) in float32; None where the memory does not suffice."""
    try:
        waveforms = batch.waveforms.to(scorer.device, non_blocking=True)
        with autocast(scorer.device.partition(":")[0], scorer.hparams["eval_precision"]):
            logits, embeddings = scorer.detector(waveforms, batch.lengths)
        return InFlight(logits.float(), embeddings.float())
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        return None


def is_out_of_memory(error: Exception) -> bool:
    """Whether memory ran out, for which PyTorch and CUDA's libraries have many words."""
    words = (
        "can't allocate memory",
        "not enough memory",
        "CUDA error: out of memory",
        "CUBLAS_STATUS_ALLOC_FAILED",
        "CUDNN_STATUS_ALLOC_FAILED",
    )
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or any(
        word in str(error) for word in words
    )

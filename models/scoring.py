"""`inference`, `analysis` and `score`: audio in, logits [fake, real] out, one row a file.

Batches are made by length and masked, so neither the batch limit nor the number of processes moves
a score by more than rounding. Nothing here imports SpeechBrain: the first score should come fast.
"""

from __future__ import annotations

import logging
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch

from dataio.batching import scoring_batches
from dataio.dataset import WaveformBatch, WaveformDataset, batch_loader
from dataio.protocol import ProtocolTable
from models import TOOLKIT_VERSION
from models.checkpoints import CheckpointInfo, load_detector
from models.detector import Detector
from models.distributed import World, barrier, choose_device, join_world
from models.precision import autocast
from models.score_files import write_results
from models.score_journal import ScoreJournal
from protocols.schema import SAMPLE_RATE, UserError

logger = logging.getLogger(__name__)
SKIPPED_STATUS = 3  # exit status when files could not be scored
CPU_BATCH_SECONDS = 16  # a CPU gains nothing from more and loses its caches (benchmarks/front_end)


class Sink(Protocol):
    """Where results go, in the order the batches come."""

    def add_scores(self, rows: np.ndarray, logits: np.ndarray, embeddings: np.ndarray) -> None: ...

    def add_skipped(self, row: int, kind: str, reason: str) -> None: ...


@dataclass(frozen=True)
class Scorer:
    """A loaded detector and how to run it."""

    detector: Detector
    checkpoint: CheckpointInfo
    device: str
    world: World
    hparams: dict

    def meta(self) -> dict:
        """What a score depends on, written beside the scores."""
        return {
            "model": self.hparams["model"],
            "checkpoint_sha256": self.checkpoint.sha256,
            "engine": self.hparams["ssl_engine"],
            "precision": self.hparams["eval_precision"],
            "sample_rate": SAMPLE_RATE,
            "toolkit_version": TOOLKIT_VERSION,
        }


def load_scorer(hparams: dict, run_options: dict) -> Scorer:
    device = choose_device(run_options.get("device"))
    world = join_world(
        backend=run_options.get("distributed_backend"),
        device=device,
        timeout_seconds=hparams["distributed_timeout"],
    )
    detector, info = load_detector(
        hparams["model"], checkpoint_source(hparams), engine=hparams["ssl_engine"]
    )
    if not info.fills_head:
        raise UserError(
            f"{info.path} is a pre-training file, it has no detection head:"
            " give a detector checkpoint as --ckpt_path"
        )
    logger.info("%s from %s on %s", hparams["model"], info.path, device)
    return Scorer(detector.to(device).eval(), info, device, world, hparams)


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


def score_protocol(hparams: dict, run_options: dict, *, with_embeddings: bool) -> int:
    """Score every row of `test_csv` into `score_path`; 3 when files could not be read."""
    table = ProtocolTable.open(
        hparams["test_csv"],
        data_folder=hparams["data_folder"],
        cache_folder=hparams["cache_folder"],
        require_labels=False,
    )
    table.check_paths()
    scorer = load_scorer(hparams, run_options)
    path = Path(hparams["score_path"])
    width = scorer.detector.config.embed_dim if with_embeddings else 0
    journal = open_journal(scorer, table, path, width)
    run_batches(scorer, table, journal, done=journal.done(len(table)))
    journal.close()
    barrier()
    status = 0
    if scorer.world.is_main:
        skipped = write_results(path, table, journal, meta=scorer.meta(), width=width)
        journal.remove()
        status = tell_skipped(skipped, path, allowed=hparams["allow_skipped"])
    barrier()
    return status


def open_journal(scorer: Scorer, table: ProtocolTable, path: Path, width: int) -> ScoreJournal:
    """The journal beside `path`, bound to everything that decides a score."""
    csv_path = Path(scorer.hparams["test_csv"]).resolve()
    csv = csv_path.stat()
    job = {
        **scorer.meta(),
        "test_csv": str(csv_path),
        "csv_bytes": csv.st_size,
        "csv_mtime_ns": csv.st_mtime_ns,
        "data_folder": scorer.hparams["data_folder"],
        "min_duration": scorer.hparams["min_duration"],
        "embedding_width": width,
        "rows": len(table),
    }
    folder = path.with_name(path.name + ".partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return ScoreJournal(folder, job, width=width, world=scorer.world)
    except OSError as error:
        raise UserError(f"cannot write scores to {path}: {error.strerror}") from None


def run_batches(scorer: Scorer, table, sink: Sink, *, done: np.ndarray) -> None:
    """Score this rank's share of what is not done, the longest files first."""
    hparams = scorer.hparams
    limit = hparams["max_batch_length"]
    if scorer.device == "cpu":
        limit = min(limit, CPU_BATCH_SECONDS)
    batches = [
        rows
        for rows in scoring_batches(table.durations, max_batch_length=limit)
        if not done[rows].all()
    ][scorer.world.rank :: scorer.world.size]
    dataset = WaveformDataset(table, mode="score", min_duration=hparams["min_duration"])
    loader = batch_loader(
        dataset,
        ((0, rows) for rows in batches),
        num_workers=min(hparams["num_workers"], len(batches)),
        prefetch_factor=hparams["prefetch_factor"],
        pin_memory=scorer.device.startswith("cuda"),
    )
    with progress(sum(map(len, batches)), show=scorer.world.is_main) as bar, torch.inference_mode():
        for batch in loader:
            for bad in batch.bad:
                sink.add_skipped(bad.row, "short" if bad.too_short else "error", bad.reason)
            if len(batch):
                score_batch(scorer, batch, sink)
            bar.advance(len(batch) + len(batch.bad), batch.seconds)


def score_batch(scorer: Scorer, batch: WaveformBatch, sink: Sink) -> None:
    """One forward; a row whose logits are not finite is reported, never written."""
    rows, lengths = batch.rows.numpy(), batch.lengths
    waveforms = batch.waveforms.to(scorer.device, non_blocking=True)
    try:
        with autocast(scorer.device.partition(":")[0], scorer.hparams["eval_precision"]):
            logits, embeddings = scorer.detector(waveforms, lengths)
    except torch.OutOfMemoryError:
        raise UserError(
            f"no memory on the device for {len(rows)} files of"
            f" {int(lengths.max()) / SAMPLE_RATE:.0f} s:"
            f" lower --max_batch_length (now {scorer.hparams['max_batch_length']} s)"
        ) from None
    logits, embeddings = logits.float().cpu().numpy(), embeddings.float().cpu().numpy()
    finite = np.isfinite(logits).all(1)
    for row in rows[~finite]:
        sink.add_skipped(row, "error", "its score is not finite; try --eval_precision fp32")
    sink.add_scores(rows[finite], logits[finite], embeddings[finite])


class progress:
    """A bar over files, with files/s and seconds of audio per second (x real time)."""

    def __init__(self, total: int, *, show: bool):
        self.total, self.show, self.audio = total, show, 0.0

    def __enter__(self) -> progress:
        from tqdm import tqdm

        self.bar = tqdm(total=self.total, unit="file", disable=not self.show, dynamic_ncols=True)
        return self

    def advance(self, files: int, seconds: float) -> None:
        self.audio += seconds
        elapsed = max(self.bar.format_dict["elapsed"], 1e-9)
        self.bar.set_postfix_str(f"{self.audio / elapsed:.0f} x real time", refresh=False)
        self.bar.update(files)

    def __exit__(self, *_) -> None:
        self.bar.close()


def tell_skipped(skipped: list[tuple[str, str, str]], path: Path | None, *, allowed: bool) -> int:
    """Name the files left out on screen; the exit status they call for."""
    errors = [(name, reason) for name, kind, reason in skipped if kind == "error"]
    short = len(skipped) - len(errors)
    for name, reason in errors[:10]:
        print(f"not scored: {name}: {reason}", file=sys.stderr)
    if len(errors) > 10:
        print(f"not scored: {len(errors) - 10} more", file=sys.stderr)
    if short:
        print(f"{short} files are shorter than min_duration and were not scored", file=sys.stderr)
    if skipped and path is not None:
        print(f"all of them are listed in {path.with_suffix('.skipped.csv')}", file=sys.stderr)
    return SKIPPED_STATUS if errors and not allowed else 0

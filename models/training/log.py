"""What a training run shows and leaves: progress bar, TensorBoard, exp_log.txt, run records."""

from __future__ import annotations

import json
import logging
import platform
import subprocess
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

from dataio.schema import UserError
from dataio.whole_files import append_file, write_text
from dataio.words import OneLine, tell

logger = logging.getLogger(__name__)
PACKAGES = (
    "torch",
    "torchaudio",
    "speechbrain",
    "numpy",
    "soundfile",
    "av",
    "fairseq",
    "fairseq-fixed",
)
TABLE = {  # column of exp_log.txt -> its format
    "validation": "d",
    "pass": "d",
    "optimizer_step": "d",
    "lr": ".3e",
    "train_loss": ".6f",
    "valid_loss": ".6f",
    "valid_eer": ".6f",
    "threshold": ".6f",
    "skipped_steps": "d",
    "bad_files": "d",
    "train_hours": ".4f",
}


class TrainLog:
    """The main rank's log of a run in `folder`; on other ranks (`active=False`) every call does
    nothing.

    exp_log.txt is written anew from the validation table of the state, and TensorBoard drops what a
    killed run wrote past its last checkpoint, so a resumed run shows neither gap nor repeat.
    """

    def __init__(self, folder: Path, *, active: bool, show_bar: bool, interval: int):
        self.folder, self.active, self.interval = folder, active, interval
        self.show_bar = show_bar and active
        self.bar = None
        self.writer = None
        self._last = (time.monotonic(), 0.0)
        self._audio_seconds = 0.0

    def open(self, step: int, *, again: dict[str, float] | None = None) -> None:
        """Start TensorBoard behind `step`, the last optimiser step of the checkpoint.

        With `again`, that step's scalars, its validation is yet to come: all that is shown of the
        step is dropped, since a killed run may have shown the validation, and `again` written anew.
        """
        if not self.active:
            return
        from torch.utils.tensorboard import SummaryWriter

        purge_step = step + 1 if again is None else step
        self.writer = SummaryWriter(str(self.folder / "train_steps_log"), purge_step=purge_step)
        if again:
            self._write(step, again)

    def start_bar(self, name: str, *, done: int, more: int) -> None:
        from tqdm import tqdm

        self.close_bar()
        self._last = (time.monotonic(), self._audio_seconds)
        self.bar = tqdm(
            desc=name,
            initial=done,
            total=done + more,
            disable=None if self.show_bar else True,  # None: unless this is a terminal
            dynamic_ncols=True,
        )

    def advance(self) -> None:
        self.bar.update()

    def close_bar(self) -> None:
        if self.bar is not None:
            self.bar.close()

    def step(self, step: int, *, audio_seconds: float, **scalars: float) -> dict[str, float]:
        """One optimiser step of all ranks: `loss`, `lr`, `grad_norm`, seconds of audio.

        Returns the scalars to show again should a resumed run have to (see `open`).
        """
        self._audio_seconds += audio_seconds
        shown = {**scalars, "audio_s_per_s": self._rate()}
        if not self.active:
            return shown
        self._write(step, shown)
        if self.bar is not None:
            self.bar.set_postfix(
                loss=f"{scalars['loss']:.4f}",
                lr=f"{scalars['lr']:.2e}",
                audio=f"{shown['audio_s_per_s']:.0f} s/s",
                refresh=False,
            )
        return shown

    def _write(self, step: int, scalars: dict[str, float]) -> None:
        if step % self.interval == 0:
            for name, value in scalars.items():
                self.writer.add_scalar(f"train/{name}", value, step)

    def _rate(self) -> float:
        """Seconds of audio trained on per second since this stretch began."""
        start, heard = self._last
        return (self._audio_seconds - heard) / max(time.monotonic() - start, 1e-9)

    def validation(self, table: list[dict], scores: np.ndarray, labels: np.ndarray) -> None:
        """Rewrite exp_log.txt from `table`; its last row and score histograms to TensorBoard."""
        if not self.active:
            return
        row = table[-1]
        write_text(self.folder / "exp_log.txt", format_table(table))
        step = row["optimizer_step"]
        self.writer.add_scalar("valid/loss", row["valid_loss"], step)
        self.writer.add_scalar("valid/eer", row["valid_eer"], step)
        finite = np.isfinite(scores)
        for name, label in (("real", 1), ("fake", 0)):
            shown = scores[finite & (labels == label)]
            if len(shown):
                self.writer.add_histogram(f"valid/score_{name}", shown, step)
        logger.info(
            "validation %d at step %d: loss %.4f, EER %.2f %%",
            row["validation"],
            step,
            row["valid_loss"],
            100 * row["valid_eer"],
        )

    def flush(self) -> None:
        if self.writer is not None:
            self.writer.flush()

    def close(self) -> None:
        self.close_bar()
        if self.writer is not None:
            self.writer.close()


def format_table(rows: list[dict]) -> str:
    """The validation table as text, a header and a line a validation."""
    lines = [" ".join(TABLE)]
    for row in rows:
        lines.append(" ".join(format(row[name], spec) for name, spec in TABLE.items()))
    return "\n".join(lines) + "\n"


def record_run(folder: Path, resolved_yaml: str, command: list[str]) -> None:
    """Leave in `folder` what made it: hyperparams.yaml, and a line a start in runs.jsonl."""
    write_text(folder / "hyperparams.yaml", resolved_yaml)
    run = {
        "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "command": command,
        "git_revision": git_revision(),
        "python": platform.python_version(),
        "packages": package_versions(),
    }
    with append_file(folder / "runs.jsonl") as stream:
        stream.write(json.dumps(run) + "\n")


def package_versions() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def git_revision() -> str:
    """The checkout's commit, with `+changes` when files differ from it; `unknown` outside git."""
    here = Path(__file__).parent
    try:
        revision = _git(here, "rev-parse", "HEAD")
        return revision + ("+changes" if _git(here, "status", "--porcelain", "-uno") else "")
    except (OSError, subprocess.SubprocessError):
        return "unknown"


def _git(folder: Path, *arguments: str) -> str:
    return subprocess.run(
        ["git", *arguments], cwd=folder, check=True, capture_output=True, text=True, timeout=10
    ).stdout.strip()


class LogFile(logging.StreamHandler):
    """A log on disk; of one that takes no more it says so once, and the screen has every line."""

    def handleError(self, record: logging.LogRecord) -> None:
        self._told(sys.exc_info()[1])

    def flush(self) -> None:
        try:
            super().flush()
        except UserError as error:
            self._told(error)

    def _told(self, error: BaseException | None) -> None:
        tell(f"warning: the log goes on here alone: {error}")
        self.emit = self.flush = lambda *_: None


def log_to(folder: Path, *, active: bool) -> None:
    """Messages to the screen and, appended, to log.txt; other ranks speak only of warnings."""
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stderr)]
    if active:
        handlers.append(LogFile(append_file(folder / "log.txt")))
    for handler in handlers:
        handler.setFormatter(OneLine("%(asctime)s %(message)s", "%H:%M:%S"))
    logging.basicConfig(
        level=logging.INFO if active else logging.WARNING,
        handlers=handlers,
        force=True,
    )
    for noisy in ("speechbrain", "torch.distributed", "matplotlib"):
        logging.getLogger(noisy).setLevel(logging.WARNING)

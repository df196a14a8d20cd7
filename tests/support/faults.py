"""What a test does to a run in a process of its own before it starts (`run_main(prepare=...)`)."""

from __future__ import annotations

import functools
import math
import os
import signal
from collections.abc import Callable
from pathlib import Path

import torch

from dataio.schema import UserError


def quick_scaler() -> None:
    """A loss scale that grows at every other step, so that a run of few steps shows its state."""
    torch.GradScaler = functools.partial(torch.GradScaler, growth_interval=2)


def spoil_loss(*, rank: int, step: int, weights: Path) -> None:
    """One rank's loss of one optimiser step is NaN; each rank leaves its last weights behind."""
    from models.training.brain import DetectorBrain

    objectives, fit = DetectorBrain.compute_objectives, DetectorBrain.fit_stream

    def spoilt(brain, predictions, batch, stage):
        loss = objectives(brain, predictions, batch, stage)
        here = (brain.world.rank, brain.optimizer_step, stage.name) == (rank, step, "TRAIN")
        return loss * math.nan if here else loss

    def fit_and_tell(brain, *streams):
        fit(brain, *streams)
        torch.save(brain.detector.state_dict(), weights / f"rank{os.environ.get('RANK', 0)}.pt")

    DetectorBrain.compute_objectives, DetectorBrain.fit_stream = spoilt, fit_and_tell


def at_step(step: int, rank: int, fault: Callable[[], None]) -> None:
    """`fault()` on one rank as its optimiser step number `step`, from 0, begins."""
    from models.training.brain import DetectorBrain

    original = DetectorBrain.optimizers_step

    def faulty(brain):
        if (brain.optimizer_step, brain.world.rank) == (step, rank):
            fault()
        original(brain)

    DetectorBrain.optimizers_step = faulty


def preempted() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def mistaken() -> None:
    raise UserError("of this rank alone")

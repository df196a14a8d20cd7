"""Validation: this rank's share of the set, its scores, and over all ranks the loss and the EER."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from dataio.batching import Batches, rank_share
from dataio.dataset import WaveformBatch, WaveformDataset
from dataio.loading import BatchLoader
from dataio.schema import FAKE, REAL, UserError
from metrics.rates import NOWHERE, ErrorRate, eer
from models.distributed import World, gather_objects

logger = logging.getLogger(__name__)


class ValidStream:
    """This rank's share of the validation batches; the ranks' shares cover every row once."""

    def __init__(
        self, dataset: WaveformDataset, batches: Batches, *, world: World, **loader_options
    ):
        self.loader = BatchLoader(dataset, **loader_options)
        self.batches, self.world = batches, world

    def __len__(self) -> int:
        return len(rank_share(len(self.batches), self.world.rank, self.world.size))

    def __iter__(self) -> Iterator[WaveformBatch]:
        share = rank_share(len(self.batches), self.world.rank, self.world.size)
        return self.loader.load((0, self.batches.batch(k)) for k in share)

    def close(self) -> None:
        self.loader.close()


@dataclass(frozen=True)
class ValidationResult:
    """Of the whole set in row order: scores (N,), labels (N,), their mean cross-entropy and EER."""

    scores: np.ndarray
    labels: np.ndarray
    loss: float
    error: ErrorRate


class Validation:
    """The logits of one pass over the validation set `csv`, batch by batch."""

    def __init__(self, csv: str):
        self.csv = csv
        self._share: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []

    def add(self, batch: WaveformBatch, logits: torch.Tensor) -> torch.Tensor:
        """Keep the logits (B, 2) of a batch of this rank; their mean cross-entropy."""
        logits = logits.cpu()
        self._share.append((batch.rows.numpy(), logits.numpy(), batch.labels.numpy()))
        return F.cross_entropy(logits, batch.labels)

    def result(self) -> ValidationResult:
        """The same on every rank; UserError where no file was read."""
        shares = [part for share in gather_objects(self._share) for part in share]
        if not shares:
            raise UserError(
                f"no file of {self.csv} can be read: run `python -m protocols check` on this CSV"
            )
        rows, logits, labels = (np.concatenate(column) for column in zip(*shares, strict=True))
        order = np.argsort(rows, kind="stable")
        logits, labels = logits[order], labels[order].astype(np.int64)
        scores = logits[:, REAL] - logits[:, FAKE]
        loss = F.cross_entropy(torch.from_numpy(logits).double(), torch.from_numpy(labels))
        return ValidationResult(scores, labels, float(loss), validation_eer(scores, labels))


def validation_eer(scores: np.ndarray, labels: np.ndarray) -> ErrorRate:
    """EER of scores (N,), labels (N,); NaN, with a warning, where there is none to compute."""
    missing = int((~np.isfinite(scores)).sum())
    error = NOWHERE if missing else eer(scores, labels)
    if missing:
        logger.warning("no validation EER: %d of %d scores are not finite", missing, len(scores))
    elif math.isnan(error.rate):
        absent = "real" if not (labels == REAL).any() else "fake"
        logger.warning("no validation EER: no %s file of the validation set was read", absent)
    return error

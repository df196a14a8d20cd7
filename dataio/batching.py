"""Which rows share a batch, for training and for scoring. Arrays in, arrays out: numpy alone.

A batch costs what the model computes: its longest row times its number of rows, padding included,
and that product stays within `max_batch_length` seconds. (SpeechBrain's DynamicBatchSampler, whose
keys these are, promises the same: rows to the bucket's right border within the limit.) A row longer
than the limit is a batch of its own.

Training draws each batch from one of `num_buckets` length buckets. SpeechBrain puts the borders at
the quantiles of a lognormal curve; here they are the ones that make the data's own padding least.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

_SHORTEST = 0.025  # seconds: what a shorter row is padded to before the model
_BINS = 400  # resolution of the bucket borders, as a part of the longest duration


@dataclass(frozen=True)
class Batches:
    """A sequence of batches: batch k holds the row numbers `rows[starts[k] : stops[k]]`."""

    rows: np.ndarray  # (N,) each row number once
    starts: np.ndarray  # (K,)
    stops: np.ndarray  # (K,)

    def __len__(self) -> int:
        return len(self.starts)

    def batch(self, k: int) -> np.ndarray:
        """The row numbers of batch `k`."""
        return self.rows[self.starts[k] : self.stops[k]]

    def __iter__(self) -> Iterator[np.ndarray]:
        return (self.batch(k) for k in range(len(self)))

    @property
    def sizes(self) -> np.ndarray:
        """(K,) rows in each batch."""
        return self.stops - self.starts


class BatchPlan:
    """Batches of every epoch as a pure function of (seed, epoch): a resume needs only a position.

    durations: (N,) seconds. clip_seconds: longer rows count as this long (training crops them).
    max_batch_length: seconds of padded audio a batch. Every epoch has each row exactly once.
    """

    def __init__(
        self,
        durations: np.ndarray,
        *,
        max_batch_length: float,
        seed: int,
        num_buckets: int = 20,
        shuffle: bool = True,
        max_batch_size: int | None = None,
        clip_seconds: float | None = None,
    ):
        durations = np.asarray(durations, dtype=np.float32)
        if clip_seconds is not None:
            durations = np.minimum(durations, np.float32(clip_seconds))
        if not len(durations) or not np.isfinite(durations).all():
            raise ValueError("a batch plan needs one or more rows, each of known duration")
        self.seed, self.shuffle = seed, shuffle
        borders = bucket_borders(durations[durations <= max_batch_length], num_buckets)
        # One bucket more than borders: the rows that are longer than a batch may be.
        self._bucket = np.searchsorted(borders, durations).astype(np.uint16)
        self._counts = np.bincount(self._bucket, minlength=len(borders) + 1)
        self._batch_sizes = np.ones(len(borders) + 1, dtype=np.int64)
        for bucket in np.flatnonzero(self._counts):
            longest = float(durations[self._bucket == bucket].max())
            self._batch_sizes[bucket] = rows_within(longest, max_batch_length, max_batch_size)

    def epoch(self, number: int) -> Batches:
        """The batches of one epoch; with `shuffle`, rows and batches in that epoch's own order."""
        rows = np.arange(len(self._bucket), dtype=np.int32)
        generator = np.random.Generator(np.random.PCG64([self.seed, number]))
        if self.shuffle:
            generator.shuffle(rows)
        rows = rows[np.argsort(self._bucket[rows], kind="stable")]
        starts, stops = self._cuts()
        if self.shuffle:
            drawn = generator.permutation(len(starts))
            starts, stops = starts[drawn], stops[drawn]
        return Batches(rows, starts, stops)

    def __len__(self) -> int:
        """Batches an epoch: the same number in every epoch."""
        return int(self._batches_of_bucket().sum())

    def _batches_of_bucket(self) -> np.ndarray:
        return -(-self._counts // self._batch_sizes)

    def _cuts(self) -> tuple[np.ndarray, np.ndarray]:
        """Where the batches begin and end among rows sorted by bucket; a bucket's last is short."""
        in_bucket = self._batches_of_bucket()
        ends = np.cumsum(self._counts)
        bucket = np.repeat(np.arange(len(in_bucket)), in_bucket)  # of each batch
        nth = np.arange(len(bucket)) - np.repeat(np.cumsum(in_bucket) - in_bucket, in_bucket)
        starts = (ends - self._counts)[bucket] + nth * self._batch_sizes[bucket]
        return starts, np.minimum(starts + self._batch_sizes[bucket], ends[bucket])


def rows_within(longest: float, max_batch_length: float, max_batch_size: int | None = None) -> int:
    """How many rows of `longest` seconds fit a batch; at least one."""
    count = max(1, int(max_batch_length / longest))
    return count if max_batch_size is None else min(count, max_batch_size)


def bucket_borders(durations: np.ndarray, num_buckets: int) -> np.ndarray:
    """Right borders (<= num_buckets,) in seconds for which padding to the border is least.

    Least by dynamic programming over a histogram: cost[m, j], the padded length of the rows up to
    bin j in m buckets, is min over i < j of cost[m - 1, i] + rows in (i, j] * j.
    """
    if not len(durations):
        return np.zeros(0, dtype=np.float32)
    longest = float(durations.max())
    bins = np.ceil(durations * np.float32(_BINS / longest)).astype(np.int64).clip(1, _BINS)
    upto = np.cumsum(np.bincount(bins, minlength=_BINS + 1))  # rows in bins <= j; bin 0 is empty
    edge = np.arange(_BINS + 1)
    step = (upto[None, :] - upto[:, None]) * edge[None, :]  # (i, j), whole numbers: exact
    never = np.iinfo(np.int64).max // 2
    step[edge[:, None] >= edge[None, :]] = never
    cost = np.where(edge == 0, 0, never)
    previous = []  # previous[m][j]: the border before j when m + 1 buckets reach to j
    for _ in range(min(num_buckets, _BINS)):
        total = np.minimum(cost[:, None] + step, never)
        previous.append(total.argmin(axis=0))
        cost = total.min(axis=0)
    borders = [_BINS]
    for came_from in reversed(previous):
        borders.append(int(came_from[borders[-1]]))
    borders = np.array(sorted({border for border in borders if border}), dtype=np.float64)
    borders = (borders * (longest / _BINS)).astype(np.float32)
    borders[-1] = np.float32(longest)  # no rounding may push the longest row over the last border
    return borders


def scoring_batches(
    durations: np.ndarray, *, max_batch_length: float, max_batch_size: int | None = None
) -> Batches:
    """Batches of rows of like length, the longest first, so that memory is at its peak at once.

    A row of unknown duration (NaN) is a batch of its own, ahead of all. Results go back to row
    order by `result[batches.batch(k)] = ...`.
    """
    lengths = np.where(np.isnan(durations), np.inf, durations).clip(_SHORTEST)
    rows = np.argsort(-lengths, kind="stable")
    counts = np.maximum(1, max_batch_length // lengths[rows])
    counts = np.minimum(counts, max_batch_size or len(rows)).astype(np.int64).tolist()
    starts = []
    at = 0
    while at < len(rows):
        starts.append(at)
        at += counts[at]
    starts = np.array(starts, dtype=np.int64)
    return Batches(rows, starts, np.append(starts[1:], len(rows)))


def rank_share(n_batches: int, rank: int, world: int) -> range:
    """The batches of one rank: rank, rank + world, ... Shares differ by one batch at most."""
    return range(rank, n_batches, world)


def n_steps(n_batches: int, *, world: int, accumulation: int = 1) -> int:
    """Optimiser steps an epoch: each takes `accumulation` batches from every rank."""
    return -(-n_batches // (world * accumulation))

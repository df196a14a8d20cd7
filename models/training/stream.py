"""The training data as one addressable stream of micro-batches.

A pass over the training set is a list of micro-batches fixed by (seed, pass). Micro-batch k goes to
rank k mod W; an optimiser step takes the next W x A of them (W ranks, A accumulated). So a
position is two numbers, resuming is arithmetic, and two processes see exactly what one process
with A = 2 sees.

SpeechBrain's `looped_nominal_epoch` cannot carry this: its checkpoint keeps counters but not the
place in the data, so a resumed run starts the data over (tests/models/test_train_stream.py shows
it).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from dataio.batching import Batches, BatchPlan, n_steps
from dataio.dataset import WaveformBatch, WaveformDataset
from dataio.loading import BatchLoader
from models.distributed import World


@dataclass(frozen=True)
class Position:
    """Where the next micro-batch lies: its pass over the data and its index in that pass."""

    pass_index: int = 0
    micro: int = 0


@dataclass
class MicroBatch:
    """One rank's share of an optimiser step.

    `step_rows` counts the rows of the whole step over all ranks and accumulated micro-batches: the
    loss is divided by it, so every row weighs the same however the step was dealt out. `draw`
    numbers the micro-batch for random draws (dropout); `after` is the position once the step is
    done.
    """

    data: WaveformBatch
    step_rows: int
    draw: tuple[int, int]
    after: Position


class TrainStream:
    """Micro-batches of this rank from a position on; `plan_segment` says how far.

    Iterating gives whole optimiser steps only: a rank whose share of the last step of a pass is
    empty gets a batch of no rows, so no rank waits for another and no row is dropped.
    """

    def __init__(
        self,
        dataset: WaveformDataset,
        plan: BatchPlan,
        *,
        world: World,
        accumulation: int,
        number_of_passes: int,
        **loader_options,
    ):
        self.plan, self.world = plan, world
        self.accumulation, self.number_of_passes = accumulation, number_of_passes
        self.loader = BatchLoader(dataset, **loader_options)
        self.position = Position()
        self.max_steps = 0
        self._pass: tuple[int, Batches] | None = None

    @property
    def micro_per_step(self) -> int:
        return self.world.size * self.accumulation

    @property
    def steps_a_pass(self) -> int:
        """Optimiser steps in a whole pass."""
        return self._steps_of(len(self.plan))

    def ended_at(self, position: Position) -> bool:
        """Whether no pass is left at `position`."""
        return position.pass_index >= self.number_of_passes

    def pass_batches(self, pass_index: int) -> Batches:
        """The batches of one pass; only the latest pass is kept."""
        if self._pass is None or self._pass[0] != pass_index:
            self._pass = (pass_index, self.plan.epoch(pass_index))
        return self._pass[1]

    def plan_segment(self, max_steps: int) -> None:
        """Let the next iteration end after `max_steps` optimiser steps, or with the last pass."""
        self.max_steps = max_steps

    def __len__(self) -> int:
        """Micro-batches of this rank in the planned segment."""
        if self.ended_at(self.position):
            return 0
        # The position may be no multiple of the step: another number of ranks may have left it.
        here = self._steps_of(len(self.plan) - self.position.micro)
        passes_to_come = self.number_of_passes - self.position.pass_index - 1
        left = here + passes_to_come * self.steps_a_pass
        return min(self.max_steps, left) * self.accumulation

    def _steps_of(self, batches: int) -> int:
        return n_steps(batches, world=self.world.size, accumulation=self.accumulation)

    def __iter__(self) -> Iterator[MicroBatch]:
        notes: list[
            tuple
        ] = []  # step_rows, draw, after: queued as the loader asks for batches ahead

        def requests() -> Iterator[tuple[int, np.ndarray]]:
            for pass_index, rows, note in self._addresses():
                notes.append(note)
                yield pass_index, rows

        for data in self.loader.load(requests()):
            yield MicroBatch(data, *notes.pop(0))

    def _addresses(self) -> Iterator[tuple[int, np.ndarray, tuple]]:
        position, steps = self.position, 0
        while steps < self.max_steps and not self.ended_at(position):
            batches = self.pass_batches(position.pass_index)
            count = len(batches)
            first = position.micro
            last = min(first + self.micro_per_step, count)
            after = Position(position.pass_index, last)
            if last == count:
                after = Position(position.pass_index + 1, 0)
            rows = [batches.batch(k) for k in range(first, last)]
            step_rows = sum(len(batch) for batch in rows)
            for turn in range(self.accumulation):
                share = turn * self.world.size + self.world.rank
                mine = rows[share] if share < len(rows) else np.empty(0, dtype=np.int64)
                yield (
                    position.pass_index,
                    mine,
                    (step_rows, (position.pass_index, first + share), after),
                )
            position, steps = after, steps + 1

    def fingerprint(self) -> str:
        """Names the order of the data: it changes when rows, lengths, batch limits or seed do."""
        first = self.plan.epoch(0)
        digest = hashlib.sha256()
        for part in (first.rows, first.starts, first.stops):
            digest.update(np.ascontiguousarray(part).tobytes())
        return digest.hexdigest()[:16]

    def close(self) -> None:
        self.loader.close()

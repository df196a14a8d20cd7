"""Batches loaded ahead of the model, in this process or in loader workers."""

from __future__ import annotations

import signal
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from dataio.dataset import WaveformBatch, WaveformDataset, collate
from dataio.processes import usable_workers
from dataio.schema import UserError

SECONDS_AFTER_SIGTERM = 30  # in which a worker's main process asks for its last batches
BatchKey = tuple[int, np.ndarray]  # epoch, row numbers


class LoaderError(UserError):
    """Loading broke down for a reason other than a bad file; one sentence says which."""


class BatchLoader:
    """Loads batches ahead of the model, in order, and keeps its workers from pass to pass.

    A batch reaches a worker as its key, when its turn comes; the list of all is never copied.
    Use as a context manager, or call `close`.
    """

    def __init__(
        self,
        dataset: WaveformDataset,
        *,
        num_workers: int = 0,
        pin_memory: bool = False,
        prefetch_factor: int = 4,
    ):
        self._keys = _Keys()
        num_workers = usable_workers(num_workers)
        self._loader = DataLoader(
            _Loading(dataset),
            sampler=self._keys,
            batch_size=None,  # a sample of this loader is a whole batch
            collate_fn=_unchanged,
            num_workers=num_workers,
            pin_memory=pin_memory,
            prefetch_factor=prefetch_factor if num_workers else None,
            persistent_workers=num_workers > 0,
            worker_init_fn=in_worker,
            generator=torch.Generator(),  # else every pass takes a number from the global one
        )

    def load(self, keys: Iterable[BatchKey]) -> Iterator[WaveformBatch]:
        """One batch a key, in order. A new call ends the one before, finished or not.

        Raises `LoaderError` where a worker fails or is killed.
        """
        self._keys.keys = keys
        for batch in loaded(self._loader):
            if isinstance(batch, _Failure):
                raise LoaderError(batch.sentence)
            yield batch

    def close(self) -> None:
        """Ends the workers."""
        iterator, self._loader._iterator = self._loader._iterator, None
        if iterator is not None:
            iterator._shutdown_workers()

    def __enter__(self) -> BatchLoader:
        return self

    def __exit__(self, *_) -> None:
        self.close()


def loaded(loader: DataLoader) -> Iterator:
    """What a loader gives, in order; `LoaderError` where a worker of it is gone."""
    batches = iter(loader)
    while True:
        try:
            batch = next(batches)
        except StopIteration:
            return
        except RuntimeError as error:  # torch's word for a worker that is gone
            raise LoaderError(_death_notice(error)) from error
        yield batch


def batch_loader(
    dataset: WaveformDataset,
    batches: Iterable[BatchKey],
    *,
    num_workers: int = 0,
    pin_memory: bool = False,
    prefetch_factor: int = 4,
) -> Iterator[WaveformBatch]:
    """A single pass of a `BatchLoader` over `batches`; its workers end with the pass."""
    loader = BatchLoader(
        dataset, num_workers=num_workers, pin_memory=pin_memory, prefetch_factor=prefetch_factor
    )
    with loader:
        yield from loader.load(batches)


@dataclass(frozen=True)
class _Failure:
    """An exception on its way out of a worker, as the sentence that the user will read."""

    sentence: str


class _Keys:
    """What the DataLoader takes for a sampler: today's keys."""

    keys: Iterable[BatchKey] = ()

    def __iter__(self) -> Iterator[BatchKey]:
        return iter(self.keys)


class _Loading(Dataset):
    """A dataset whose index is a batch key."""

    def __init__(self, dataset: WaveformDataset):
        self.dataset = dataset

    def __getitem__(self, key: BatchKey) -> WaveformBatch | _Failure:
        epoch, rows = key
        batch = []
        for row in rows:
            try:
                batch.append(self.dataset[epoch, int(row)])
            except Exception as error:  # whatever it is, it has to cross a process border
                reason = f"{type(error).__name__}: {error}".splitlines()[0]
                return _Failure(f"row {int(row)} of epoch {epoch} cannot be loaded ({reason})")
        return collate(batch)


def _unchanged(batch):
    return batch


def in_worker(_worker: int) -> None:
    """A scheduler signals all processes of a job; the main one still needs batches to end well.

    SIGTERM is also how torch ends a worker that hangs, so it is not ignored for ever.
    """
    for name in {"SIGINT", "SIGUSR1"} & set(dir(signal)):
        signal.signal(getattr(signal, name), signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: signal.alarm(SECONDS_AFTER_SIGTERM))


def _death_notice(error: RuntimeError) -> str:
    return (
        f"a loader worker died ({str(error).splitlines()[0]}): it was killed or ran out of memory, "
        "so try fewer num_workers or a smaller prefetch"
    )

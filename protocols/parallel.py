"""Parallel work in two shapes: a stream kept in order, and a column of a block of rows.

The stream is a process pool with a bounded number of jobs under way: memory does not grow with
the corpus, and what is finished is on disk when a run is killed. pandarallel, which wants all of
its input as a DataFrame and returns all of its output at once, takes the second shape: blocks of
rows whose audio is decoded or hashed (`check`, `leakage`). Figures: benchmarks/RESULTS.md.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, TypeVar

from dataio.processes import usable_workers
from dataio.schema import UserError

if TYPE_CHECKING:
    import pandas

Kept = TypeVar("Kept")
Job = TypeVar("Job")
Result = TypeVar("Result")
JOBS_UNDER_WAY = 4  # for each worker


def worker_count(asked: int | None = None) -> int:
    """The number of processes: as asked, or one for each core this process may run on."""
    if asked is not None and asked < 1:
        raise UserError(f"--workers {asked}: give a number above 0")
    if asked:
        return asked
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def map_in_order(
    function: Callable[[Job], Result], jobs: Iterable[tuple[Kept, Job]], *, workers: int
) -> Iterator[tuple[Kept, Result]]:
    """`(kept, function(job))` for each `(kept, job)`, in order; only `job` goes to the worker.

    `jobs` is read only as far as needed. A single job, or one worker, runs here. Raises
    `UserError` if a worker process dies.
    """
    jobs = iter(jobs)
    begin = list(islice(jobs, 2))
    jobs = chain(begin, jobs)
    if workers <= 1 or len(begin) < 2 or not usable_workers(workers):
        for kept, job in jobs:
            yield kept, function(job)
        return
    waiting: deque = deque()
    with ProcessPoolExecutor(workers, initializer=_end_with, initargs=(os.getpid(),)) as pool:
        try:
            for kept, job in jobs:
                waiting.append((kept, pool.submit(function, job)))
                if len(waiting) > JOBS_UNDER_WAY * workers:
                    yield _finished(*waiting.popleft())
            while waiting:
                yield _finished(*waiting.popleft())
        finally:
            for _, future in waiting:
                future.cancel()


def _end_with(parent: int) -> None:
    """Let this worker end when its parent is killed: the pool alone would leave it waiting."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _finished(kept, future):
    try:
        return kept, future.result()
    except BrokenProcessPool as error:
        raise UserError(
            "a worker process died (out of memory, or a file that crashes its reader): run again "
            "with --workers 1 to see where"
        ) from error


def apply_to_column(
    column: pandas.Series, function: Callable[[Any], Any], *, workers: int
) -> pandas.Series:
    """`column.apply(function)`, by pandarallel where there is enough of it to share out."""
    if workers <= 1 or len(column) < 4 * workers or not usable_workers(workers):
        return column.apply(function)
    from pandarallel import pandarallel

    pandarallel.initialize(nb_workers=workers, progress_bar=False, verbose=0, use_memory_fs=False)
    return column.parallel_apply(function)

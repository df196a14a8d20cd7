"""Whether this machine lets a command have worker processes."""

from __future__ import annotations

import functools
import logging
import multiprocessing
import os

logger = logging.getLogger(__name__)
_LOCKS = 8  # for each worker: more than the queues of a loader, a pool or pandarallel take


def usable_workers(asked: int) -> int:
    """`asked`, or 0 with a warning where the system has no semaphores for so many.

    They lie in /dev/shm, a page each; in a container that may be tiny, full, read-only or absent.
    What workers send back goes through pipes and needs none of it.
    """
    try:
        locks = [multiprocessing.Lock() for _ in range(_LOCKS * asked)]
    except (OSError, ImportError) as error:  # ImportError: no semaphores at all
        _warn(getattr(error, "strerror", None) or str(error).splitlines()[0])
        return 0
    return asked if locks else 0


def worker_for_each_core(asked: int) -> int:
    """`asked`, at most one for each core that this process may use: more only take turns."""
    allowed = getattr(os, "sched_getaffinity", None)
    cores = len(allowed(0)) if allowed else os.cpu_count() or 1
    return min(asked, cores)


@functools.cache
def _warn(reason: str) -> None:
    logger.warning(
        "no worker processes: /dev/shm cannot be used (%s), so one process does all the work; in a "
        "container, start it with --shm-size=1g or --ipc=host",
        reason,
    )

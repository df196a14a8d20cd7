"""Runs of `main.py` in processes of their own that can be killed at a chosen point.

The processes are forked from a server that has imported everything once: starting one takes tenths
of a second instead of ten.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(
    [
        "models.training.run",
        "models.scoring.run",
        "speechbrain.nnet.schedulers",
        "torch.utils.tensorboard",
        "support.runs",
        "support.faults",
    ]
)
TIMEOUT = 240  # s; a run that takes longer hangs


def run_main(
    arguments: list[str],
    *,
    ranks: int = 1,
    die: str = "",
    die_rank: int = 0,
    after: float = 0,
    late: float = 0,
    prepare: Callable[[], None] | None = None,
) -> int:
    """Run `main.py arguments` on `ranks` gloo processes; the exit status, -9 when killed.

    `die` = "what:n" kills rank `die_rank` at the n-th "step", "validation", "score" batch,
    "checkpoint" (half a file is written) or "rename"; `after` > 0 kills it after so many seconds.
    Its partners die with it, as under torchrun. `late` > 0: the last rank comes so many seconds
    later than the others to the batches it scores. `prepare` (support.faults) is called in every
    process first.
    """
    port = free_port()
    processes = [
        _CONTEXT.Process(
            target=_child,
            args=(arguments, rank, ranks, port),
            kwargs={
                "die": die if rank == die_rank else "",
                "late": late if rank == ranks - 1 else 0,
                "prepare": prepare,
            },
        )
        for rank in range(ranks)
    ]
    for process in processes:
        process.start()
    deadline = time.monotonic() + (after or TIMEOUT)
    while time.monotonic() < deadline and all(process.is_alive() for process in processes):
        time.sleep(0.02)
    died = any(process.exitcode not in (0, None) for process in processes)
    if not after and not (die and died):
        for process in processes:  # one has ended by itself: the others are to as well
            process.join(max(deadline - time.monotonic(), 1))
    hung = any(process.is_alive() for process in processes) and not (die or after)
    for process in processes:
        if process.is_alive():
            process.kill()
        process.join()
    assert not hung, f"the run hangs: {arguments}"
    return next((p.exitcode for p in processes if p.exitcode), 0)


def _child(
    arguments: list[str],
    rank: int,
    ranks: int,
    port: int,
    *,
    die: str,
    late: float,
    prepare: Callable[[], None] | None,
) -> None:
    import torch

    torch.set_num_threads(1)
    # As in a process of its own: loader workers forked from it notice when it dies.
    multiprocessing.set_start_method("fork", force=True)
    os.chdir(Path(__file__).parents[2])
    if ranks > 1:
        names = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": ranks}
        os.environ.update({name: str(value) for name, value in names.items()})
        os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    if prepare is not None:
        prepare()
    if die:
        what, count = die.split(":")
        _arm(what, int(count))
    if late:
        _delay(late)
    import main

    os._exit(main.main(arguments))


def _arm(what: str, count: int) -> None:
    """Let this process kill itself at the `count`-th occurrence of `what`."""
    import torch

    from models.scoring import run as scoring
    from models.training import whole_checkpoint
    from models.training.brain import DetectorBrain

    owner, name = {
        "step": (DetectorBrain, "optimizers_step"),
        "validation": (DetectorBrain, "evaluate_batch"),
        "checkpoint": (torch, "save"),
        "rename": (whole_checkpoint, "write_manifest"),
        "score": (scoring, "begin_batch"),
    }[what]
    original, seen = getattr(owner, name), [0]

    def counted(*args, **kwargs):
        seen[0] += 1
        if seen[0] < count:
            return original(*args, **kwargs)
        if what == "checkpoint":
            original(*args, **kwargs)
            os.truncate(args[1], os.path.getsize(args[1]) // 2)
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(owner, name, counted)


def _delay(seconds: float) -> None:
    """Let this process dawdle between opening the score journal and what it does with it."""
    from models.scoring import run as scoring

    opened = scoring.open_journal

    @contextlib.contextmanager
    def opened_late(*args):
        with opened(*args) as journal:
            time.sleep(seconds)
            yield journal

    scoring.open_journal = opened_late


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]

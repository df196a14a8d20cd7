"""Processes and devices: who I am among the ranks, what I run on, and a few collectives.

Every helper is the identity on one process, so nothing else asks whether the run is distributed.
"""

from __future__ import annotations

import atexit
import datetime
import gc
import logging
import os
import sys
import traceback
from dataclasses import dataclass

import torch
import torch.distributed as dist

# Imported before any group exists: its functions take the group as a default argument, which
# would otherwise keep the group, and its threads, alive past `leave_world`.
import torch.distributed.nn

from dataio.schema import UserError


@dataclass(frozen=True)
class World:
    """This process among all: `rank` of `size`, `local_rank` on its host."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0

    @property
    def is_main(self) -> bool:
        return self.rank == 0


def join_world(*, backend: str | None, device: str, timeout_seconds: float) -> World:
    """Take `device`, and join torchrun's process group when there is one.

    The backend is NCCL on GPUs and gloo on CPUs unless told otherwise.
    """
    on_gpu = device.startswith("cuda")
    if on_gpu:
        # Before any collective: NCCL moves objects and barriers through the current device, which
        # would be the first GPU for every rank of a host.
        torch.cuda.set_device(device)
    if "RANK" not in os.environ or "LOCAL_RANK" not in os.environ:
        return World()
    if not dist.is_initialized():
        backend = backend or ("nccl" if on_gpu else "gloo")
        dist.init_process_group(
            backend=backend,
            timeout=datetime.timedelta(seconds=timeout_seconds),
            device_id=torch.device(device) if backend == "nccl" else None,
        )
        atexit.register(leave_world)
    return World(dist.get_rank(), dist.get_world_size(), int(os.environ["LOCAL_RANK"]))


def leave_world() -> None:
    """End the process group and its threads while the interpreter still stands.

    A group thread that lets go of its last tensor after that asks a dying interpreter for its
    lock, and the finished run ends in an abort. For clean ends: see `leave_at_once`.
    """
    if dist.is_initialized():
        gc.collect()  # a DDP module waiting in a reference cycle keeps the group alive
        dist.destroy_process_group()


def leave_at_once(status: int, defect: Exception | None = None) -> None:
    """End this process of a group, without the others; does nothing where it is alone.

    Destroying the group would wait for peers that sit in a collective of their own, with NCCL for
    all of `distributed_timeout`; a process that is gone is seen by torchrun within a second.
    """
    if not dist.is_initialized():
        return
    if defect is not None and is_lost_peer(defect):
        rank = dist.get_rank()
        print(f"error: process {rank} lost another one, which says why itself", file=sys.stderr)
    elif defect is not None:
        traceback.print_exception(defect)
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def is_lost_peer(error: Exception) -> bool:
    """Whether a collective failed because another process has ended."""
    words = ("Connection closed by peer", "Connection reset by peer", "Broken pipe")
    return isinstance(error, RuntimeError) and any(word in str(error) for word in words)


def choose_device(wanted: str | None) -> str:
    """The device to run on: what was asked for, or this rank's GPU, or the CPU of a GPU-less
    machine.

    Raises UserError when the device asked for is not there, or is one GPU for all ranks of a
    host; nothing falls back silently.
    """
    local_rank = int(os.environ.get("LOCAL_RANK", 0))
    gpus = torch.cuda.device_count()
    if wanted is None:
        if gpus == 0:
            return "cpu"
        if local_rank >= gpus:
            raise UserError(
                f"process {local_rank} has no GPU of its own, this host has {gpus}:"
                f" start torchrun with --nproc-per-node={gpus}"
            )
        return f"cuda:{local_rank}"
    try:
        kind = torch.device(wanted)
    except RuntimeError:
        raise UserError(f"unknown device {wanted!r}: write cpu, cuda or cuda:N") from None
    if kind.type == "cuda":
        if kind.index is not None and int(os.environ.get("LOCAL_WORLD_SIZE", 1)) > 1:
            raise UserError(
                f"--device {wanted} would put every process of torchrun on one GPU: write"
                " --device cuda, each takes its own (CUDA_VISIBLE_DEVICES chooses among them)"
            )
        index = kind.index if kind.index is not None else local_rank
        if index >= gpus:
            raise UserError(
                f"device {wanted!r} is not available, this host has {gpus} CUDA devices:"
                " choose another --device, or --device cpu"
            )
        return f"cuda:{index}"
    if kind.type != "cpu":
        raise UserError(f"device {wanted!r} is not supported: write cpu, cuda or cuda:N")
    return "cpu"


def gather_objects(item: object) -> list:
    """The items of all ranks, in rank order, on every rank."""
    if not dist.is_initialized():
        return [item]
    items: list = [None] * dist.get_world_size()
    dist.all_gather_object(items, item)
    return items


def barrier() -> None:
    if dist.is_initialized():
        dist.barrier()

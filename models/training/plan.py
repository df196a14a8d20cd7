"""`--dry_run True`: what a training run would do, found out without writing anything."""

from __future__ import annotations

import shutil
import weakref
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from dataio.protocol import ProtocolTable
from dataio.schema import FAKE, REAL, UserError
from models.checkpoints import read_ckpt_meta
from models.distributed import World
from models.training.optimizer import kernels
from models.training.stream import TrainStream
from models.training.whole_checkpoint import age_of, manifest_fault

BYTES = 4  # weights, gradients and optimiser state are float32 under every precision


class Memory(NamedTuple):
    """Bytes of a model in training, activations left out: they depend on the batch.

    Under DDP the gradients are its buckets, of which there is no second copy. `temporaries` are
    what the optimiser holds during a step alone.
    """

    weights: int
    gradients: int
    optimiser: int
    temporaries: int = 0
    copies: int = 0

    def on_disk(self, hparams: dict) -> int:
        """What the checkpoints of a run take at most: those kept, and of each kind one more, which
        is being written; `best` ones hold the weights alone, and of LoRA what trains.
        """
        last, best = hparams["keep_last"] + 1, hparams["keep_best"] + 1
        held = self.weights if hparams["lora"] is None else self.gradients
        return (last + best) * held + last * (self.optimiser + self.copies)


def memory_of(
    parameters: Iterable[torch.nn.Parameter],
    opt_class: Callable,
    *,
    copies: int = 0,
    on_gpu: bool = False,
) -> Memory:
    """Of float32 weights under an optimiser, whose state and temporaries are counted on a few
    small weights: a GPU's steps take all of them at once, a CPU's one after the other.

    `copies` are kept of what trains, besides.
    """
    sizes = [(parameter.numel(), parameter.requires_grad) for parameter in parameters]
    every = sum(size for size, _ in sizes)
    trained = [size for size, trains in sizes if trains]
    probes = [torch.nn.Parameter(torch.zeros(2, 3)) for _ in range(8)]
    for probe in probes:
        probe.grad = torch.zeros_like(probe)
    optimiser = opt_class(probes, **(kernels(opt_class) if on_gpu else {}))
    optimiser.step()
    state = [item for item in optimiser.state[probes[0]].values() if torch.is_tensor(item)]
    moments = sum(item.shape == probes[0].shape for item in state)
    with _Alive(probes[0].shape) as alive:
        optimiser.step()
    at_once, of_largest = divmod(alive.most, len(probes))
    temporaries = at_once * sum(trained) + of_largest * max(trained, default=0)
    counts = (every, *(n * sum(trained) for n in (1, moments)), temporaries, copies * sum(trained))
    return Memory(*(BYTES * count for count in counts))


class _Alive(TorchDispatchMode):
    """Counts the tensors of a shape that operators make and that are there at the same time."""

    def __init__(self, shape: torch.Size) -> None:
        super().__init__()
        self.shape, self.most = shape, 0
        self._made: weakref.WeakValueDictionary[int, torch.Tensor] = weakref.WeakValueDictionary()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        given = {id(item) for item in tree_leaves((args, kwargs)) if torch.is_tensor(item)}
        for item in tree_leaves(result):
            if torch.is_tensor(item) and item.shape == self.shape and id(item) not in given:
                self._made[id(item)] = item
        self.most = max(self.most, len(self._made))
        return result


def newest_checkpoint(save: Path) -> tuple[Path | None, int]:
    """The checkpoint that a run would go on from, and its optimiser step; nothing is set aside."""
    found = [(age_of(read_ckpt_meta(path)), path) for path in save.glob("CKPT+last-*")]
    for (step, _), path in sorted(found, reverse=True):
        if manifest_fault(path) is None:
            return path, int(step)
    if found:
        raise UserError(
            f"no checkpoint in {save} is intact: start anew under another --exp_name, or remove"
            " them to start anew here"
        )
    return None, 0


def require_room(folder: Path, need: int) -> int:
    """Bytes free for the checkpoints of a run in `folder`; UserError where they do not suffice."""
    there = next(place for place in (folder, *folder.absolute().parents) if place.is_dir())
    free = shutil.disk_usage(there).free
    there_already = sum(path.stat().st_size for path in (folder / "save").rglob("*.ckpt"))
    if free + there_already < need:
        raise UserError(
            f"the checkpoints of this run take {size(need)}, and {there} has {size(free)} free:"
            " free some space there, or name another --output_folder"
        )
    return free


def plan(
    hparams: dict,
    *,
    folder: Path,
    parameters: list[torch.nn.Parameter],
    tables: tuple[ProtocolTable, ProtocolTable],
    stream: TrainStream,
    world: World,
    device: str,
) -> list[tuple[str, str]]:
    """What is planned, as (what, how much); UserError where the disk has no room for it."""
    checkpoint, done = newest_checkpoint(folder / "save")
    copies, on_gpu = int(hparams["ema_decay"] is not None), device.startswith("cuda")
    memory = memory_of(parameters, hparams["opt_class"], copies=copies, on_gpu=on_gpu)
    on_disk = memory.on_disk(hparams)
    free = require_room(folder, on_disk)
    each = stream.steps_a_pass
    steps = min(hparams["optimizer_step_limit"], each * hparams["number_of_epochs"])
    passes, validations = steps / each, -(-steps // hparams["valid_step"])
    trained, every = memory.gradients // BYTES, memory.weights // BYTES
    micro = f"{world.size} processes x {hparams['grad_accumulation_factor']} batches a step"
    start = f"{checkpoint.name}, at optimiser step {done}" if checkpoint else "the first weights"
    return [
        ("training set", contents(tables[0])),
        ("validation set", contents(tables[1])),
        ("a pass", f"{len(stream.plan)} batches, {each} optimiser steps ({micro})"),
        (
            "the run",
            f"{steps} optimiser steps, {passes:.1f} passes, {validations} validations",
        ),
        ("starts from", start),
        ("parameters trained", f"{trained:,} of {every:,}"),
        ("memory a process", sizes(memory._asdict())),
        ("", "and activations, which depend on max_batch_length and checkpoint_activations"),
        ("disk", f"{size(on_disk)} for checkpoints, {size(free)} free at {folder}"),
    ]


def contents(table: ProtocolTable) -> str:
    real, fake = (int((table.labels == label).sum()) for label in (REAL, FAKE))
    hours = float(table.durations.sum(dtype="float64")) / 3600
    return f"{len(table):,} rows ({real:,} real, {fake:,} fake), {hours:,.2f} hours"


def sizes(parts: dict[str, int]) -> str:
    named = ", ".join(f"{name} {size(count)}" for name, count in parts.items() if count)
    return f"{size(sum(parts.values()))}: {named}"


def size(count: int) -> str:
    """Bytes in the unit that leaves the number readable."""
    unit = next((u for u in (("GB", 1e9), ("MB", 1e6)) if count >= u[1]), ("kB", 1e3))
    return f"{count / unit[1]:.1f} {unit[0]}"


def show(rows: list[tuple[str, str]]) -> None:
    width = max(len(name) for name, _ in rows)
    for name, text in rows:
        print(f"{name:{width}}  {text}")
    print("nothing was written")

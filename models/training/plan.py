"""`--dry_run True`: what a training run would do, found out without writing anything."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import torch

from dataio.protocol import ProtocolTable
from dataio.schema import FAKE, REAL, UserError
from models.checkpoints import read_ckpt_meta
from models.distributed import World
from models.training.stream import TrainStream
from models.training.whole_checkpoint import age_of, manifest_fault

BYTES = 4  # weights, gradients and optimiser state are float32 under every precision


class Memory(NamedTuple):
    """Bytes of a model in training, activations left out: they depend on the batch."""

    weights: int
    gradients: int
    optimiser: int
    copies: int = 0

    def on_disk(self, hparams: dict) -> int:
        """What the checkpoints of a run take at most: those kept, and of each kind one more, which
        is being written; `best` ones hold the weights alone, and of LoRA what trains.
        """
        last, best = hparams["keep_last"] + 1, hparams["keep_best"] + 1
        held = self.weights if hparams["lora"] is None else self.gradients
        return (last + best) * held + last * (self.optimiser + self.copies)


def memory_of(
    parameters: Iterable[torch.nn.Parameter], opt_class: Callable, *, copies: int = 0
) -> Memory:
    """Of float32 weights under an optimiser, whose state is counted on one small weight.

    `copies` are kept of what trains, besides.
    """
    every = trained = 0
    for parameter in parameters:
        every += parameter.numel()
        trained += parameter.numel() * parameter.requires_grad
    probe = torch.nn.Parameter(torch.zeros(2, 3))
    probe.grad = torch.zeros_like(probe)
    optimiser = opt_class([probe])
    optimiser.step()
    state = [item for item in optimiser.state[probe].values() if torch.is_tensor(item)]
    moments = sum(item.shape == probe.shape for item in state)
    return Memory(*(BYTES * n for n in (every, trained, moments * trained, copies * trained)))


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
) -> list[tuple[str, str]]:
    """What is planned, as (what, how much); UserError where the disk has no room for it."""
    checkpoint, done = newest_checkpoint(folder / "save")
    copies = int(hparams["ema_decay"] is not None)
    memory = memory_of(parameters, hparams["opt_class"], copies=copies)
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

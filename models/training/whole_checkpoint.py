"""SpeechBrain checkpoints that appear whole, are checked before they are believed, and fall back.

A checkpoint is written to a folder of another name, each file synced, sizes and CRC-32 noted in
MANIFEST.json, and the folder renamed. `kill -9` or a full disk leaves the former checkpoint as it
was. A damaged one is set aside under a third name, so that it neither counts nor is lost.
"""

from __future__ import annotations

import json
import logging
import math
import os
import shutil
from collections.abc import Iterable
from pathlib import Path

import torch
from speechbrain import Brain
from speechbrain.utils.checkpoints import CKPT_PREFIX, Checkpoint, Checkpointer

from dataio.checked import NUMBER_OR_NAN, WHOLE, read_json, read_yaml
from dataio.checksum import crc32
from dataio.schema import UserError
from dataio.whole_files import write_text
from dataio.words import shown
from models.checkpoints import read_ckpt_meta
from models.distributed import World, barrier, gather_objects, is_lost_peer
from models.stored.plain_state import read_state
from models.training.optimizer import own_memory, refuse_foreign_state, regrouped

logger = logging.getLogger(__name__)
ANEW = "go on from another checkpoint, or start anew"
COUNTERS = {"step": WHOLE, "optimizer_step": WHOLE, "avg_train_loss": NUMBER_OR_NAN}
MANIFEST = "MANIFEST.json"
PARTIAL = "partial-"  # prefix of a checkpoint being written
DAMAGED = "damaged-"  # prefix of one whose files are no longer as written


class WholeCheckpointer(Checkpointer):
    """A Checkpointer of one kind of checkpoint (`last` or `best`), several of which share a folder.

    `num_to_keep` of its kind survive a save: the `best` by their EER, others by their age. The meta
    of each has `kind` beside SpeechBrain's keys.
    """

    def __init__(self, folder: Path, *, kind: str, num_to_keep: int, world: World, **options):
        super().__init__(folder, **options)
        self.kind, self.num_to_keep, self.world = kind, num_to_keep, world
        self._looked, self._newest = False, None

    def add_recoverable(self, name: str, obj: object, **options) -> None:
        """As SpeechBrain's; but its own hooks would give a stranger's folder to `torch.load`."""
        if hasattr(obj, "load_state_dict"):
            options.setdefault("custom_load_hook", load_state)
        elif isinstance(obj, Brain):
            options.setdefault("custom_load_hook", load_counters)
        super().add_recoverable(name, obj, **options)

    def save_whole(self, name: str, meta: dict) -> None:
        """Save under `CKPT+<kind>-<name>`; UserError when it could not be written (disk full)."""
        final = self.checkpoints_dir / f"{CKPT_PREFIX}+{self.kind}-{name}"
        try:
            self.save_checkpoint(
                meta={**meta, "kind": self.kind}, name=final.name, verbosity=logging.DEBUG
            )
            self._publish(final)
        except (OSError, RuntimeError, UserError) as error:
            if is_lost_peer(error):
                raise
            # torch.save reports a full disk as a RuntimeError of its own.
            shutil.rmtree(self._partial(final.name), ignore_errors=True)
            raise UserError(
                f"cannot write the checkpoint {final}: {error};"
                " free some space and start again, the checkpoint before it is intact"
            ) from error
        barrier()
        self._keep_so_many()

    def newest_intact(self) -> Checkpoint | None:
        """The newest checkpoint of this kind whose files are as written; None when there is none.

        Newer ones that are damaged are set aside, saying so; UserError when all are. The main rank
        reads the files, once; the others take its word.
        """
        if not self._looked:
            found = self._look() if self.world.is_main else None
            self._newest, faults = gather_objects(found)[0]
            if faults and self._newest is None:
                raise UserError(
                    f"no checkpoint in {self.checkpoints_dir} is intact ({'; '.join(faults)}):"
                    " start anew under another --exp_name, or remove them to start anew here"
                )
            self._looked = True
        mine = self.find_checkpoints(importance_key=age, ckpt_predicate=self._is_mine)
        return next((found for found in mine if found.path.name == self._newest), None)

    def _look(self) -> tuple[str | None, list[str]]:
        """Name of the newest intact checkpoint, and what is wrong with those after it."""
        damaged = []
        for checkpoint in self.find_checkpoints(importance_key=age, ckpt_predicate=self._is_mine):
            fault = manifest_fault(checkpoint.path)
            if fault is None:
                for path, fault in damaged:
                    logger.warning("checkpoint %s is damaged (%s): set aside", path, fault)
                    path.rename(free_name(path.with_name(DAMAGED + path.name)))
                return checkpoint.path.name, []
            damaged.append((checkpoint.path, fault))
        return None, [f"{path.name}: {fault}" for path, fault in damaged]

    @staticmethod
    def _construct_checkpoint_objects(checkpoint_dirs: Iterable[Path]) -> list[Checkpoint]:
        folders = list(checkpoint_dirs)
        for folder in folders:  # looked through before SpeechBrain's YAML reader sees them
            if not read_ckpt_meta(folder):
                raise UserError(f"{folder}/CKPT.yaml is empty: move that folder away")
        return Checkpointer._construct_checkpoint_objects(folders)

    def remove_partial(self) -> None:
        """Clear away what a killed run left half written."""
        if self.world.is_main:
            for folder in self.checkpoints_dir.glob(PARTIAL + "*"):
                shutil.rmtree(folder, ignore_errors=True)
        barrier()

    def _custom_checkpoint_dirpath(self, name: str) -> Path:
        return self._partial(name)

    def _partial(self, name: str) -> Path:
        return self.checkpoints_dir / (PARTIAL + name)

    def _is_mine(self, checkpoint: Checkpoint) -> bool:
        return checkpoint.meta.get("kind") == self.kind

    def _publish(self, final: Path) -> None:
        barrier()  # every rank has written its files
        if not self.world.is_main:
            return
        partial = self._partial(final.name)
        write_manifest(partial)
        published = free_name(final)
        os.rename(partial, published)
        _sync(self.checkpoints_dir)
        # The same moment, saved before a resume, goes only now: there is always one that is whole.
        for former in (final, *self.checkpoints_dir.glob(final.name + "+*")):
            if former != published:
                shutil.rmtree(former, ignore_errors=True)

    def _keep_so_many(self) -> None:
        self.delete_checkpoints(
            num_to_keep=self.num_to_keep,
            importance_keys=[merit if self.kind == "best" else age],
            ckpt_predicate=self._is_mine,
            verbosity=logging.DEBUG,
        )


def load_state(obj: object, path: Path, end_of_epoch: bool = True) -> None:
    """Fill a module, an optimiser or a loss scale; UserError when the file does not fit it.

    The file is mapped: what goes to a GPU takes no memory of the host, and what stays is copied
    once; the processes of a host share its pages.
    """
    try:
        state, is_optimizer = read_state(Path(path)), isinstance(obj, torch.optim.Optimizer)
        obj.load_state_dict(regrouped(obj, state) if is_optimizer else state)
        if is_optimizer:
            refuse_foreign_state(obj)
            own_memory(obj)
    # Each of torch's classes fails in its own way at what it did not expect.
    except (ValueError, LookupError, TypeError, AttributeError, RuntimeError) as error:
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise UserError(f"cannot go on from {path} ({shown(reason, 200)}): {ANEW}") from error


def load_counters(brain: Brain, path: Path, end_of_epoch: bool = True) -> None:
    """The Brain's own: its steps and the loss it shows."""
    saved = read_yaml(path, COUNTERS, ANEW)
    brain.step, brain.optimizer_step = saved["step"], saved["optimizer_step"]
    brain.avg_train_loss = saved["avg_train_loss"]


def age(checkpoint: Checkpoint) -> tuple[int, float]:
    """Sorts checkpoints from old to new by training progress; a clock set back does not matter."""
    return age_of(checkpoint.meta)


def merit(checkpoint: Checkpoint) -> tuple[float, float]:
    """Sorts `best` checkpoints from the highest validation EER to the lowest."""
    return merit_of(checkpoint.meta)


def merit_of(meta: dict) -> tuple[float, float]:
    """`merit` by what a checkpoint's CKPT.yaml says; of equals the first to come is the best."""
    return -meta.get("valid_eer", math.inf), -meta.get("optimizer_step", -1)


def age_of(meta: dict) -> tuple[int, float]:
    """`age` by what a checkpoint's CKPT.yaml says."""
    return meta.get("optimizer_step", -1), meta.get("unixtime", 0.0)


def free_name(path: Path) -> Path:
    """`path`, or where that is taken `path+2`, `path+3`, ..."""
    tries = (path, *(path.with_name(f"{path.name}+{n}") for n in range(2, 1000)))
    return next(candidate for candidate in tries if not candidate.exists())


def write_manifest(folder: Path) -> None:
    """Sync every file of `folder` to disk and note its size and CRC-32."""
    entries = {}
    for path in sorted(folder.iterdir()):
        _sync(path)
        entries[path.name] = {"bytes": path.stat().st_size, "crc32": crc32_of(path)}
    write_text(folder / MANIFEST, json.dumps(entries, indent=1))
    _sync(folder / MANIFEST)
    _sync(folder)


def manifest_fault(folder: Path) -> str | None:
    """What is wrong with a checkpoint folder, or None when every file is as written."""
    try:
        entries = read_json(folder / MANIFEST, {...: {"bytes": WHOLE, "crc32": WHOLE}}, "")
    except FileNotFoundError:
        return f"no {MANIFEST}"
    except UserError:
        return f"{MANIFEST} is not readable"
    for name, noted in entries.items():
        path = folder / name
        if Path(name).name != name or not path.is_file():
            return f"{name} is missing"
        if path.stat().st_size != noted["bytes"]:
            return f"{name} has {path.stat().st_size} bytes instead of {noted['bytes']}"
        if crc32_of(path) != noted["crc32"]:
            return f"the content of {name} has changed"
    return None


def crc32_of(path: Path, block: int = 1 << 24) -> int:
    value = 0
    with path.open("rb") as stream:
        while chunk := stream.read(block):
            value = crc32(chunk, value)
    return value


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

"""Which weights a run began with: told by their content, whatever path leads to them now."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

from dataio.schema import UserError
from dataio.whole_files import write_text
from models.checkpoints import CheckpointInfo, resolve_checkpoint, sha256_of
from models.front_ends.config import CONFIGS

RECORD = "first_weights.json"


def first_weights(hparams: dict) -> str | Path | None:
    """Where `ckpt_path` says that the first weights come from; None: random ones."""
    if hparams["ckpt_path"] != "pretrained":
        return hparams["ckpt_path"]
    found = pretraining(hparams)
    if found is None:
        raise UserError(
            f"{hparams['model']} has no pre-training file: --ckpt_path null starts it from random"
            " weights"
        )
    return found


def pretraining(hparams: dict) -> str | Path | None:
    """Where the front end's pre-training weights are looked for; None where it has none."""
    config = CONFIGS.get(hparams["model"])
    if source := hparams["front_end"].get("source"):
        return source
    if config is None or config.pretraining_file is None:
        return None
    return Path(hparams["ssl_weight_folder"]) / config.pretraining_file


def record_first_weights(folder: Path, hparams: dict, info: CheckpointInfo | None) -> None:
    """Leave in the run's folder what was loaded; the file is read once more for its SHA-256."""
    note = {"ckpt_path": hparams["ckpt_path"], "sha256": info and info.sha256}
    if info is not None:
        note |= {"stamp": _stamp(info.path)}
    write_text(folder / RECORD, json.dumps(note) + "\n")


def refuse_other_weights(folder: Path, hparams: dict, former: object) -> None:
    """UserError where the run in `folder` began with other weights than those asked for now.

    Compared by SHA-256 (0.6 s a GB where the processor knows it), which is computed unless file,
    size and time are as they were. Weights that are gone by now are taken for the same under the
    same name: they are not needed any more. `former` is that of a run without a record.
    """
    try:
        note = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    except FileNotFoundError:
        note = {"ckpt_path": former}
    name, now = note["ckpt_path"], hparams["ckpt_path"]
    is_same_name = str(name) == str(now)
    path = None
    if now is not None:
        with contextlib.suppress(UserError):  # they are gone by now
            path = resolve_checkpoint(first_weights(hparams)).path
    if path is None or note.get("sha256") is None:
        is_same = is_same_name
    else:
        is_same = note["stamp"] == _stamp(path) or note["sha256"] == sha256_of(path)
    if is_same:
        return
    other = f"the former content of ckpt_path {name}" if is_same_name else f"ckpt_path {name}"
    raise UserError(
        f"{folder} holds a run with {other}, not {now}:"
        " give this one another --exp_name or --output_folder"
    )


def _stamp(path: Path) -> list:
    state = path.stat()
    return [str(path.resolve()), state.st_size, state.st_mtime_ns]

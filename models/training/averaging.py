"""`python main.py average RUN --best 3`: one detector of several checkpoints of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from speechbrain.utils.checkpoints import CKPT_PREFIX
from torch import Tensor

from dataio.output_paths import check_outputs
from dataio.schema import UserError
from dataio.whole_files import whole_file
from models.checkpoints import EXPERIMENT_WEIGHTS, read_ckpt_meta, read_weights, sha256_of
from models.training.whole_checkpoint import age_of, manifest_fault, merit_of

USAGE = "python main.py average RUN --best 3, or --last 5"
ORDER = {"best": merit_of, "last": age_of}


def average(hparams: dict, run_options: dict, words: Sequence[str]) -> int:
    """Write the mean weights of checkpoints of the run folder in `words`; prints what of."""
    asked = {kind: hparams[kind] for kind in ORDER if hparams[kind] is not None}
    if len(words) != 1 or len(asked) != 1:
        raise UserError(f"one run's folder, and either --best or --last: {USAGE}")
    run, ((kind, count),) = Path(words[0]), asked.items()
    sources = choose(run, kind, count)
    files = [folder / EXPERIMENT_WEIGHTS for folder in sources]
    path = Path(hparams["output"] or run / f"averaged_{kind}{count}.ckpt")
    check_outputs([("output", path)], files)
    notes = [
        {"name": file.parent.name, "sha256": sha256_of(file), **_told(file.parent)}
        for file in files
    ]
    content = {"state_dict": mean_of([read_weights(file) for file in files]), "averaged": notes}
    with whole_file(path, binary=True) as stream:
        torch.save(content, stream)
    for note in notes:
        print("  ".join(str(value) for value in note.values()))
    print(f"the mean of these {count}: {path}")
    return 0


def choose(run: Path, kind: str, count: int) -> list[Path]:
    """The `count` newest `last`, or `best` by their validation EER, of a run's folder.

    UserError where there are fewer, or one of them is damaged.
    """
    save = run / "save" if (run / "save").is_dir() else run
    found = {
        path: meta
        for path in save.glob(f"{CKPT_PREFIX}+*")
        if (meta := read_ckpt_meta(path)).get("kind") == kind
    }
    if len(found) < count:
        raise UserError(
            f"{run} holds {len(found)} {kind!r} checkpoints, not {count}: ask for fewer, or train"
            f" with --keep_{kind} {count}"
        )
    chosen = sorted(found, key=lambda path: ORDER[kind](found[path]))[-count:]
    for path in chosen:
        if fault := manifest_fault(path):
            raise UserError(f"checkpoint {path} is damaged ({fault}): ask for fewer")
    return chosen


def mean_of(states: Sequence[Mapping[str, object]]) -> dict[str, Tensor]:
    """Of tensors not read yet, one name after the other, summed in double precision.

    Counts (how many batches a batch norm has seen) are the last one's. UserError for states that
    differ in names or shapes.
    """
    shapes = [{name: tuple(t.shape) for name, t in state.items()} for state in states]
    if any(other != shapes[0] for other in shapes):
        raise UserError("these checkpoints hold other tensors than each other: of one run only")
    mean = {}
    for name, last in states[-1].items():
        tensors = (state[name].read() for state in states)
        if last.dtype.is_floating_point:
            mean[name] = (sum(t.double() for t in tensors) / len(states)).to(last.dtype)
        else:
            mean[name] = last.read().clone()
    return mean


def _told(folder: Path) -> dict[str, object]:
    """What a reader of the average wants to know of a source."""
    meta = read_ckpt_meta(folder)
    return {key: meta[key] for key in ("model", "optimizer_step", "valid_eer") if key in meta}

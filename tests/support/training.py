"""A Brain with its streams on the toy corpus, in this process."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from hparams.load import load_hparams
from models.distributed import World
from models.training.run import build_brain, make_train_stream, make_valid_stream, open_protocols

QUICK = {
    "device": "cpu",
    "noprogressbar": True,
    "optimizer_step_limit": 4,
    "valid_step": 2,
    "max_batch_length": 6,
    "use_da": False,
    "warmup": 1,
    "log_interval": 1,
    "ckpt_interval_minutes": 0,
}


def toy_arguments(corpus: Path, base: Path, **options) -> list[str]:
    """`main.py` arguments of a short run on the toy corpus; `options` override `QUICK`."""
    settings = {
        "base_path": base,
        "data_folder": corpus / "Data",
        "protocol_folder": corpus / "protocols",
        **QUICK,
        **options,
    }
    return [f"--{key}={value}" for key, value in settings.items()]


def make_run(corpus: Path, base: Path, yaml: str = "hparams/w2v_tiny.yaml", **options):
    """(brain, train stream, valid stream), nothing trained yet."""
    hparams, run_options, _ = load_hparams(yaml, toy_arguments(corpus, base, **options))
    folder = Path(hparams["output_folder"])
    (folder / "save").mkdir(parents=True, exist_ok=True)
    world = World()
    train, valid = open_protocols(hparams)
    brain = build_brain(hparams, run_options, folder, world)
    return (
        brain,
        make_train_stream(hparams, train, world, "cpu"),
        make_valid_stream(hparams, valid, world, "cpu"),
    )


class Killed(BaseException):
    """What no handler takes for an error."""


def killed_run(brain, train, valid, at: str) -> None:
    """Train until `save_last(at)` has saved."""
    original = brain.save_last

    def saved(moment):
        original(moment)
        if moment == at:
            raise Killed

    brain.save_last = saved
    with pytest.raises(Killed):
        brain.fit_stream(train, valid)


def broken_corpus(corpus: Path, folder: Path, *, split: str = "train", rows=(3,)) -> Path:
    """A copy of the corpus in which files of `split` are no audio."""
    shutil.copytree(corpus, folder)
    for row in rows:
        (folder / f"Data/Toy/{split}/{row:03d}.wav").write_bytes(b"RIFF, but not for long")
    return folder

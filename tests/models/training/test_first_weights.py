"""A run goes on with the weights it began with, under any name, and with no others."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
import torch
from support.training import toy_arguments

import main
from dataio.schema import UserError
from models.checkpoints import CheckpointInfo
from models.detector import build_detector
from models.training import first_weights
from models.training.first_weights import record_first_weights, refuse_other_weights


def hparams(source: object) -> dict:
    return {"model": "w2v_tiny", "ckpt_path": source if source is None else str(source)}


@pytest.fixture
def begun(tmp_path) -> tuple[Path, Path]:
    """The folder of a run, and the file its first weights came from."""
    (tmp_path / "run").mkdir()
    weights = tmp_path / "weights.ckpt"
    weights.write_bytes(b"what a run began with")
    state = weights.stat()
    info = CheckpointInfo("detector", weights, (), (state.st_size, state.st_mtime_ns))
    record_first_weights(tmp_path / "run", hparams(weights), info)
    return tmp_path / "run", weights


def test_the_same_weights_under_another_name_go_on(begun, tmp_path, monkeypatch):
    folder, weights = begun
    copy = tmp_path / "mount/copy.ckpt"
    copy.parent.mkdir()
    shutil.copy(weights, copy)
    os.utime(copy, (1e9, 1e9))
    (tmp_path / "link.ckpt").symlink_to(weights)
    monkeypatch.chdir(tmp_path)
    for name in ("weights.ckpt", "./mount/../weights.ckpt", "link.ckpt", copy):
        refuse_other_weights(folder, hparams(name), None)


def test_a_file_that_is_as_it_was_is_not_read_again(begun, monkeypatch):
    folder, weights = begun
    monkeypatch.setattr(first_weights, "sha256_of", lambda _: pytest.fail("read again"))
    refuse_other_weights(folder, hparams(weights), None)


def test_other_content_under_the_same_name_is_refused(begun):
    folder, weights = begun
    weights.write_bytes(b"what came of it later")  # as long
    with pytest.raises(UserError, match="run with the former content of ckpt_path .*weights.ckpt"):
        refuse_other_weights(folder, hparams(weights), None)


def test_weights_that_are_gone_are_told_by_their_name(begun, tmp_path):
    folder, weights = begun
    weights.unlink()
    refuse_other_weights(folder, hparams(weights), None)
    with pytest.raises(UserError, match="a run with ckpt_path .*weights.ckpt, not .*other.ckpt"):
        refuse_other_weights(folder, hparams(tmp_path / "other.ckpt"), None)
    with pytest.raises(UserError, match="a run with ckpt_path .*weights.ckpt, not None"):
        refuse_other_weights(folder, hparams(None), None)


def test_a_run_from_random_weights_takes_no_others(begun, tmp_path):
    folder, weights = begun
    record_first_weights(folder, hparams(None), None)
    refuse_other_weights(folder, hparams(None), None)
    with pytest.raises(UserError, match="a run with ckpt_path None, not .*weights.ckpt"):
        refuse_other_weights(folder, hparams(weights), None)


def test_a_training_run_goes_on_from_a_checkpoint_spelled_otherwise(
    toy_corpus, tmp_path, monkeypatch, capfd
):
    torch.save(build_detector("w2v_tiny").state_dict(), tmp_path / "weights.ckpt")
    yaml = str(Path("hparams/w2v_tiny.yaml").resolve())

    def train(source: object, steps: int) -> int:
        options = {"ckpt_path": source, "optimizer_step_limit": steps}
        return main.main([yaml, *toy_arguments(toy_corpus, tmp_path, **options)])

    assert train(tmp_path / "weights.ckpt", 2) == 0
    monkeypatch.chdir(tmp_path)
    assert train("weights.ckpt", 3) == 0
    torch.save(build_detector("w2v_tiny").state_dict(), tmp_path / "weights.ckpt")
    assert train(tmp_path / "weights.ckpt", 4) == 2
    assert "the former content of ckpt_path" in capfd.readouterr().err

"""`kill -9` at any moment, then the same command: the run ends as if nothing had happened."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import torch
from support.runs import run_main
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

pytestmark = pytest.mark.slow

STEPS, VALID_STEP = 8, 4


def command(corpus: Path, base: Path, **options) -> list[str]:
    """A run of a few steps with dropout, random crops and RawBoost on."""
    settings = {
        "base_path": base,
        "data_folder": corpus / "Data",
        "protocol_folder": corpus / "protocols",
        "device": "cpu",
        "noprogressbar": True,
        "optimizer_step_limit": STEPS,
        "valid_step": VALID_STEP,
        "max_batch_length": 6,
        "train_crop_seconds": [0.5, 0.8],
        "use_da": True,
        "warmup": 2,
        "ckpt_interval_minutes": 0,
        "ckpt_interval_steps": 2,
        "log_interval": 1,
        **options,
    }
    words = [f"--{key}={value}" for key, value in settings.items()]
    return ["hparams/w2v_tiny.yaml", *words]


def outcome(base: Path) -> tuple[dict, str, list]:
    """Final weights, validation table, and the training losses as TensorBoard shows them."""
    folder = base / "Log/exps/exp_w2v_tiny_default"
    (last,) = (folder / "save").glob(f"CKPT+last-step{STEPS:08d}-validated*")
    events = EventAccumulator(str(folder / "train_steps_log")).Reload()
    losses = [(event.step, event.value) for event in events.Scalars("train/loss")]
    return torch.load(last / "ssl.ckpt"), (folder / "exp_log.txt").read_text(), losses


def assert_same(found: tuple, expected: tuple) -> None:
    assert found[1] == expected[1], "validation tables differ"
    assert found[2] == expected[2], "TensorBoard shows a gap, a repeat or another loss"
    assert found[0].keys() == expected[0].keys()
    for name, tensor in expected[0].items():
        assert torch.equal(found[0][name], tensor), f"{name} differs"


VARIANTS = {
    "plain": ({}, 1),
    "workers": ({"num_workers": 2}, 1),
    "accumulation, loss scaling": ({"grad_accumulation_factor": 2, "precision": "fp16"}, 1),
    "two processes": ({}, 2),
}
KILLS = ("step:3", "checkpoint:5", "rename:2", "validation:1", "step:1", "checkpoint:1")


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_run_killed_again_and_again_ends_bit_identical(variant, toy_corpus, tmp_path):
    options, ranks = VARIANTS[variant]
    assert run_main(command(toy_corpus, tmp_path / "whole", **options), ranks=ranks) == 0
    killed = command(toy_corpus, tmp_path / "killed", **options)
    for die in KILLS:
        assert run_main(killed, ranks=ranks, die=die) != 0, f"{die} did not kill the run"
    assert run_main(killed, ranks=ranks) == 0
    assert_same(outcome(tmp_path / "killed"), outcome(tmp_path / "whole"))


def test_kills_at_random_moments_change_nothing(toy_corpus, tmp_path):
    assert run_main(command(toy_corpus, tmp_path / "whole")) == 0
    killed, moments = command(toy_corpus, tmp_path / "killed"), random.Random(5)
    for _ in range(6):
        run_main(killed, after=moments.uniform(0.3, 4))
    assert run_main(killed) == 0
    assert_same(outcome(tmp_path / "killed"), outcome(tmp_path / "whole"))


def test_a_run_that_is_done_stays_done(toy_corpus, tmp_path):
    assert run_main(command(toy_corpus, tmp_path)) == 0
    before = outcome(tmp_path)
    assert run_main(command(toy_corpus, tmp_path)) == 0
    assert_same(outcome(tmp_path), before)


def test_a_damaged_last_checkpoint_falls_back_to_the_one_before(toy_corpus, tmp_path):
    assert run_main(command(toy_corpus, tmp_path / "whole")) == 0
    damaged = command(toy_corpus, tmp_path / "damaged")
    assert run_main(damaged, die="step:6") == -9
    save = tmp_path / "damaged/Log/exps/exp_w2v_tiny_default/save"
    newest = max(save.glob("CKPT+last*"), key=lambda path: path.stat().st_mtime_ns)
    weights = newest / "ssl.ckpt"
    content = bytearray(weights.read_bytes())
    content[len(content) // 2] ^= 1
    weights.write_bytes(content)
    assert run_main(damaged) == 0
    assert f"{newest.name} is damaged" in (save.parent / "log.txt").read_text()
    assert_same(outcome(tmp_path / "damaged"), outcome(tmp_path / "whole"))

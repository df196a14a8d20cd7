"""`kill -9` at any moment, then the same command: the run ends as if nothing had happened."""

from __future__ import annotations

import functools
import random
import time
from pathlib import Path

import pytest
import torch
from support.corpus import label_parts
from support.faults import at_step, mistaken, preempted, quick_scaler
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
        "valid_batch_length": 4,
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


def outcome(base: Path) -> tuple[dict, str, dict]:
    """Final weights, validation table, and what TensorBoard shows: (step, value) by tag."""
    folder = base / "Log/exps/exp_w2v_tiny_default"
    (last,) = (folder / "save").glob(f"CKPT+last-step{STEPS:08d}-validated*")
    events = EventAccumulator(str(folder / "train_steps_log")).Reload()
    shown = {
        **{tag: [(e.step, e.value) for e in events.Scalars(tag)] for tag in events.scalars.Keys()},
        **{tag: [e.step for e in events.Histograms(tag)] for tag in events.histograms.Keys()},
    }
    # A speed is another in each run.
    shown["train/audio_s_per_s"] = [step for step, _ in shown["train/audio_s_per_s"]]
    return torch.load(last / "ssl.ckpt"), (folder / "exp_log.txt").read_text(), shown


def assert_same(found: tuple, expected: tuple) -> None:
    assert found[1] == expected[1], "validation tables differ"
    assert found[2].keys() == expected[2].keys()
    for tag, points in expected[2].items():
        assert found[2][tag] == points, f"TensorBoard's {tag} has a gap, a repeat or another value"
    assert found[0].keys() == expected[0].keys()
    for name, tensor in expected[0].items():
        assert torch.equal(found[0][name], tensor), f"{name} differs"


VARIANTS = {
    "plain": ({}, 1),
    "workers": ({"num_workers": 2}, 1),
    "accumulation, loss scaling": ({"grad_accumulation_factor": 2, "precision": "fp16"}, 1),
    "an average of the weights": ({"ema_decay": 0.5}, 1),
    "two processes": ({}, 2),
}
# In turn, on one life after the other; where there are two ranks, the last one may be the victim.
KILLS = ("step:3", "checkpoint:5", "rename:2", "validation:1", "step:1", "checkpoint:1")
ON_THE_LAST_RANK = ("validation:1", "step:1")


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_run_killed_again_and_again_ends_bit_identical(variant, toy_corpus, tmp_path):
    options, ranks = VARIANTS[variant]
    how = {"ranks": ranks, "prepare": quick_scaler}
    assert run_main(command(toy_corpus, tmp_path / "whole", **options), **how) == 0
    killed = command(toy_corpus, tmp_path / "killed", **options)
    for die in KILLS:
        rank = ranks - 1 if die in ON_THE_LAST_RANK else 0
        status = run_main(killed, die=die, die_rank=rank, **how)
        assert status != 0, f"{die} did not kill the run"
    assert run_main(killed, **how) == 0
    whole = outcome(tmp_path / "whole")
    assert_same(outcome(tmp_path / "killed"), whole)
    if "precision" in options:
        assert len({scale for _, scale in whole[2]["train/loss_scale"]}) > 1, "nothing to resume"


def test_two_processes_end_together_though_one_alone_is_asked_to(toy_corpus, tmp_path):
    assert run_main(command(toy_corpus, tmp_path / "whole"), ranks=2) == 0
    asked = command(toy_corpus, tmp_path / "asked", ckpt_interval_steps=0)
    prepare = functools.partial(at_step, step=2, rank=1, fault=preempted)
    assert run_main(asked, ranks=2, prepare=prepare) == 75
    save = tmp_path / "asked/Log/exps/exp_w2v_tiny_default/save"
    assert [path.name for path in save.glob("CKPT+last*")] == ["CKPT+last-step00000003-training"]
    assert run_main(asked, ranks=2) == 0
    assert_same(outcome(tmp_path / "asked"), outcome(tmp_path / "whole"))


def test_a_mistake_of_one_rank_ends_the_other_in_seconds(toy_corpus, tmp_path):
    prepare = functools.partial(at_step, step=2, rank=1, fault=mistaken)
    start = time.monotonic()
    assert run_main(command(toy_corpus, tmp_path), ranks=2, prepare=prepare) == 1
    assert time.monotonic() - start < 120, "not distributed_timeout, two hours"


@pytest.mark.parametrize("loss", ["{name: cross_entropy}", "{frames: 1.0, resolution: 0.04}"])
def test_a_run_of_two_processes_goes_on_in_one_with_twice_the_accumulation(
    loss, toy_corpus, tmp_path
):
    """The steps are the same; the checkpoint's count of batches, 3, no multiple of the factor."""
    folder = label_parts(toy_corpus) / "parts"
    options = {"ckpt_interval_steps": 3, "loss": loss, "protocol_folder": folder}
    whole = command(toy_corpus, tmp_path / "whole", grad_accumulation_factor=2, **options)
    assert run_main(whole) == 0
    assert run_main(command(toy_corpus, tmp_path / "moved", **options), ranks=2, die="step:4") != 0
    moved = command(toy_corpus, tmp_path / "moved", grad_accumulation_factor=2, **options)
    assert run_main(moved) == 0
    (_, _, one), (_, _, two) = outcome(tmp_path / "whole"), outcome(tmp_path / "moved")
    assert [step for step, _ in two["train/loss"]] == [step for step, _ in one["train/loss"]]
    for tag, within in (("train/loss", 1e-5), ("valid/loss", 1e-5), ("train/grad_norm", 1e-3)):
        expected = [value for _, value in one[tag]]
        assert [value for _, value in two[tag]] == pytest.approx(expected, abs=within), tag


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

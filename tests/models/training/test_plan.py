"""`--dry_run True`: what it tells, what it refuses, and that it writes nothing."""

from __future__ import annotations

import functools
import re
import shutil
from pathlib import Path

import pytest
import torch
from support.training import make_run, toy_arguments

import main
from dataio.locks import sole_writer
from models.training import plan

EXPERIMENT = "Log/exps/exp_w2v_tiny_default"


def dry_run(corpus: Path, base: Path, **options) -> int:
    words = toy_arguments(corpus, base, dry_run=True, **options)
    return main.main(["hparams/w2v_tiny.yaml", *words])


def everything_in(folder: Path) -> set[tuple[str, int]]:
    return {(str(path), path.stat().st_mtime_ns) for path in folder.rglob("*")}


@pytest.fixture
def corpus(toy_corpus, tmp_path):
    """A copy without the tables that former runs have left beside its protocols."""
    ignored = shutil.ignore_patterns(".protocol_cache")
    return Path(shutil.copytree(toy_corpus, tmp_path / "corpus", ignore=ignored))


def test_the_plan_is_what_the_run_then_does_and_nothing_is_written(corpus, tmp_path, capfd):
    options = {"optimizer_step_limit": 100, "valid_step": 3, "number_of_epochs": 2}
    before = everything_in(tmp_path)
    assert dry_run(corpus, tmp_path / "base", **options) == 0
    assert everything_in(tmp_path) == before
    told = capfd.readouterr().out
    assert "18 rows (9 real, 9 fake)" in told and "10 rows (5 real, 5 fake)" in told
    assert "nothing was written" in told and "the first weights" in told
    brain, train, valid = make_run(corpus, tmp_path / "base", **options)
    brain.fit_stream(train, valid)
    steps, passes, validations = re.search(
        r"the run +(\d+) optimiser steps, ([\d.]+) passes, (\d+) validations", told
    ).groups()
    assert int(steps) == brain.optimizer_step and passes == "2.0"
    assert int(validations) == len(brain.state.validations)
    trained, every = re.search(r"parameters trained +([\d,]+) of ([\d,]+)", told).groups()
    parameters = brain.detector.parameters()
    assert int(every.replace(",", "")) == sum(p.numel() for p in parameters)
    counted = [p.numel() for group in brain.optimizer.param_groups for p in group["params"]]
    assert int(trained.replace(",", "")) == sum(counted)


def test_of_a_run_that_has_begun_the_plan_names_its_checkpoint(corpus, tmp_path, capfd):
    brain, *streams = make_run(corpus, tmp_path, optimizer_step_limit=2)
    brain.fit_stream(*streams)
    before = everything_in(tmp_path)
    assert dry_run(corpus, tmp_path) == 0
    assert "CKPT+last-step00000002-validated, at optimiser step 2" in capfd.readouterr().out
    damaged = next(Path(tmp_path / EXPERIMENT / "save").glob("CKPT+last*validated")) / "ssl.ckpt"
    damaged.write_bytes(b"")
    assert dry_run(corpus, tmp_path) == 0
    assert "CKPT+last-step00000002-trained, at optimiser step 2" in capfd.readouterr().out
    assert {name for name, _ in everything_in(tmp_path)} == {name for name, _ in before}


REFUSALS = {
    "a missing checkpoint": ({"ckpt_path": "gone.ckpt"}, "gone.ckpt does not exist"),
    "a missing list": ({"train_csv": "gone.csv"}, "gone.csv"),
    "a wrong setting": ({"freeze_front_end": "half"}, "freeze"),
    "a folder that cannot be": ({"output_folder": "/proc/run"}, "output_folder"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_what_the_run_would_refuse_is_refused(case, corpus, tmp_path, capfd):
    options, sentence = REFUSALS[case]
    before = everything_in(tmp_path)
    assert dry_run(corpus, tmp_path / "base", **options) == 2
    assert re.search(rf"^error: .*{sentence}", capfd.readouterr().err, re.M)
    assert everything_in(tmp_path) == before


def test_audio_that_is_not_there_is_refused(corpus, tmp_path, capfd):
    shutil.rmtree(corpus / "Data")
    assert dry_run(corpus, tmp_path / "base") == 2
    assert "error: " in capfd.readouterr().err


def test_a_folder_that_another_run_writes_to_is_refused(corpus, tmp_path, capfd):
    (tmp_path / EXPERIMENT).mkdir(parents=True)
    with sole_writer(tmp_path / EXPERIMENT):
        assert dry_run(corpus, tmp_path) == 2
    assert "is being written by process" in capfd.readouterr().err


def test_a_disk_without_room_for_the_checkpoints_is_refused(corpus, tmp_path, capfd, monkeypatch):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=10_000_000))
    assert dry_run(corpus, tmp_path / "base") == 2
    sentence = r"the checkpoints of this run take 4\d\.\d MB, and .* has 10.0 MB free"
    assert re.search(sentence, capfd.readouterr().err)


@pytest.mark.parametrize(
    "opt_class, copies",
    [
        (functools.partial(torch.optim.AdamW, lr=1), 2),
        (functools.partial(torch.optim.SGD, lr=1, momentum=0.9), 1),
        (functools.partial(torch.optim.SGD, lr=1), 0),
    ],
)
def test_memory_counts_weights_gradients_and_what_the_optimiser_keeps(opt_class, copies):
    frozen = torch.nn.Parameter(torch.zeros(10), requires_grad=False)
    memory = plan.memory_of([torch.nn.Parameter(torch.zeros(5)), frozen], opt_class)
    assert memory._replace(temporaries=0) == (60, 20, 20 * copies, 0, 0)


ADAMW = functools.partial(torch.optim.AdamW, lr=1)
DECAYED = functools.partial(torch.optim.RMSprop, lr=1, weight_decay=0.1)


@pytest.mark.parametrize(
    "opt_class, on_gpu, whole, largest",
    [
        (ADAMW, True, 0, 0),  # one kernel
        (functools.partial(ADAMW, fused=False, foreach=True), True, 1, 0),  # the square roots
        (ADAMW, False, 0, 3),  # of one weight, the last one's denominator among them
        (DECAYED, True, 2, 0),  # it has no such kernel: the decayed gradients, and the roots
    ],
)
def test_memory_counts_what_a_step_of_the_optimiser_holds(opt_class, on_gpu, whole, largest):
    sizes = (5, 7, 11)
    parameters = [torch.nn.Parameter(torch.zeros(size)) for size in sizes]
    memory = plan.memory_of(parameters, opt_class, on_gpu=on_gpu)
    assert memory.temporaries == 4 * (whole * sum(sizes) + largest * max(sizes))


@pytest.mark.parametrize("verb", ["inference", "analysis"])
def test_scoring_has_no_plan_to_show(verb, tmp_path, capfd):
    words = [verb, "hparams/w2v_tiny.yaml", f"--base_path={tmp_path}", "--dry_run=True"]
    assert main.main(words) == 2
    assert "dry_run is for training" in capfd.readouterr().err

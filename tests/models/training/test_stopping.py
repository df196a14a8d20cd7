"""A run that is asked to end: what is kept, and that it ends as if it had not been asked."""

from __future__ import annotations

import os
import signal
import time
from types import SimpleNamespace

import pytest
import torch
from support.training import make_run, toy_arguments

import main
from dataio import stopping
from dataio.stopping import Stopped
from models.training import step
from models.training.brain import DetectorBrain

OPTIONS = {"use_da": True, "train_crop_seconds": [0.5, 0.8]}


def asked_to_end(brain, request, at: str) -> None:
    """`request()` as the optimiser's second step, or the first batch of a validation, begins."""
    name = {"a step": "optimizers_step", "a validation": "evaluate_batch"}[at]
    original, seen = getattr(brain, name), []

    def asked(*args, **kwargs):
        seen.append(1)
        if len(seen) == {"a step": 2, "a validation": 1}[at]:
            request()
        return original(*args, **kwargs)

    setattr(brain, name, asked)


def by(name: str):
    return lambda: os.kill(os.getpid(), getattr(signal, name))


REQUESTS = {name: by(name) for name in ("SIGTERM", "SIGUSR1", "SIGINT")}


@pytest.mark.parametrize(
    "name, at, options",
    [
        ("SIGTERM", "a step", {}),
        ("SIGUSR1", "a step", {"grad_accumulation_factor": 2}),
        ("SIGINT", "a validation", {}),
    ],
)
def test_a_run_asked_to_end_keeps_its_state_and_goes_on_bit_identical(
    name, at, options, toy_corpus, tmp_path
):
    whole, *streams = make_run(toy_corpus, tmp_path / "whole", **OPTIONS, **options)
    whole.fit_stream(*streams)
    handlers = [signal.getsignal(number) for number in stopping.SIGNALS]
    brain, *streams = make_run(toy_corpus, tmp_path / "asked", **OPTIONS, **options)
    asked_to_end(brain, REQUESTS[name], at)
    with pytest.raises(Stopped, match=f"{name}: the run is kept at optimiser step 2 of .*save"):
        brain.fit_stream(*streams)
    assert [signal.getsignal(number) for number in stopping.SIGNALS] == handlers
    again, *streams = make_run(toy_corpus, tmp_path / "asked", **OPTIONS, **options)
    assert again.checkpointer.newest_intact().meta["optimizer_step"] == 2
    again.fit_stream(*streams)
    assert again.state.validations == whole.state.validations
    expected = whole.detector.state_dict()
    assert all(torch.equal(t, expected[n]) for n, t in again.detector.state_dict().items())


def test_a_time_limit_ends_a_run_that_the_next_command_continues(
    toy_corpus, tmp_path, capfd, monkeypatch
):
    words = ["hparams/w2v_tiny.yaml", *toy_arguments(toy_corpus, tmp_path)]
    monkeypatch.setattr(stopping, "STARTED", time.monotonic() - 3600)
    assert main.main([*words, "--time_limit=1:00:00"]) == 75
    assert (
        "stopped by its time limit: the run is kept at optimiser step 1 " in capfd.readouterr().err
    )
    assert main.main([*words, "--time_limit=120"]) == 0


def test_a_second_request_ends_at_once_and_one_passed_on_twice_does_not(monkeypatch):
    ends = []
    monkeypatch.setattr(os, "_exit", ends.append)
    with stopping.StopRequest() as stop:
        assert stop.reason is None
        os.kill(os.getpid(), signal.SIGUSR1)
        os.kill(os.getpid(), signal.SIGTERM)  # the launcher's copy of the scheduler's request
        assert stop.reason == "SIGUSR1" and ends == []
        monkeypatch.setattr(stopping, "ONE_REQUEST", 0)
        os.kill(os.getpid(), signal.SIGTERM)
        assert ends == [128 + signal.SIGTERM]


def test_one_step_takes_one_reduction_and_no_question_to_the_main_rank(
    toy_corpus, tmp_path, monkeypatch
):
    """The request to end and the checkpoint's clock travel with the sums of the step."""
    sums = []
    group = SimpleNamespace(is_initialized=lambda: True, all_reduce=sums.append)
    monkeypatch.setattr(step, "dist", group)
    asked = lambda *_, **__: pytest.fail("a broadcast a batch")  # noqa: E731
    monkeypatch.setattr(torch.distributed, "broadcast_object_list", asked)
    brain, *streams = make_run(toy_corpus, tmp_path, ckpt_interval_minutes=1e-9)
    saved = []
    monkeypatch.setattr(DetectorBrain, "save_last", lambda _, moment: saved.append(moment))
    brain.fit_stream(*streams)
    assert len(sums) == brain.optimizer_step == 4
    assert saved.count("training") == 4

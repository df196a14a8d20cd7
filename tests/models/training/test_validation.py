"""The loss and EER of a validation, and validation sets of which little or nothing can be read."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from support.runs import run_main
from support.training import broken_corpus, killed_run, make_run, toy_arguments

from dataio.schema import UserError
from metrics.rates import eer


def test_the_published_eer_picks_the_checkpoint_not_one_logit(toy_corpus, tmp_path):
    """EER on the logit difference, over the whole validation set, as evaluation.py computes it."""
    brain, train, valid = make_run(toy_corpus, tmp_path, optimizer_step_limit=2)
    brain.fit_stream(train, valid)
    brain.modules.eval()
    scores, labels = [], []
    with torch.no_grad():
        for batch in valid:
            logits = brain.detector(batch.waveforms, batch.lengths).logits
            scores.append((logits[:, 1] - logits[:, 0]).numpy())
            labels.append(batch.labels.numpy())
    expected = eer(np.concatenate(scores), np.concatenate(labels)).rate
    assert brain.state.validations[-1]["valid_eer"] == expected


LONG = {"optimizer_step_limit": 100, "valid_step": 100}  # neither is reached
# How a run with n optimiser steps a pass ends -> its options, and (pass, step) of its validations.
ENDS = {
    "by passes": (lambda n: {**LONG, "number_of_epochs": 2}, lambda n: [(2, 2 * n)]),
    "by steps": (lambda n: {**LONG, "optimizer_step_limit": n + 1}, lambda n: [(2, n + 1)]),
    "by passes, at a validation": (
        lambda n: {**LONG, "valid_step": n, "number_of_epochs": 2},
        lambda n: [(1, n), (2, 2 * n)],
    ),
    "by passes and steps at once": (
        lambda n: {"optimizer_step_limit": n, "valid_step": n, "number_of_epochs": 1},
        lambda n: [(1, n)],
    ),
}


def steps_in_a_pass(corpus, folder, **options) -> int:
    _, train, _ = make_run(corpus, folder, **LONG, **options)
    return len(train.plan)


def validations(brain) -> list[tuple[int, int]]:
    return [(row["pass"], row["optimizer_step"]) for row in brain.state.validations]


@pytest.mark.parametrize("end", ENDS)
def test_a_run_validates_once_where_it_ends(end, toy_corpus, tmp_path):
    options, expected = ENDS[end]
    steps = steps_in_a_pass(toy_corpus, tmp_path)
    brain, *streams = make_run(toy_corpus, tmp_path, **options(steps))
    brain.fit_stream(*streams)
    assert validations(brain) == expected(steps)
    again, *streams = make_run(toy_corpus, tmp_path, **options(steps))
    again.fit_stream(*streams)
    assert validations(again) == expected(steps), "a run that is done has nothing to validate"


@pytest.mark.parametrize("moment", ["trained", "validated"])
def test_a_run_resumed_at_its_end_validates_once(moment, toy_corpus, tmp_path):
    options = {**LONG, "number_of_epochs": 1}
    killed_run(*make_run(toy_corpus, tmp_path, **options), at=moment)
    brain, *streams = make_run(toy_corpus, tmp_path, **options)
    brain.fit_stream(*streams)
    assert validations(brain) == [(1, steps_in_a_pass(toy_corpus, tmp_path))]


@pytest.mark.slow
def test_two_processes_validate_once_where_they_end(toy_corpus, tmp_path):
    words = toy_arguments(toy_corpus, tmp_path, **LONG, number_of_epochs=2)
    assert run_main(["hparams/w2v_tiny.yaml", *words], ranks=2) == 0
    text = (tmp_path / "Log/exps/exp_w2v_tiny_default/exp_log.txt").read_text()
    (row,) = [line.split()[:2] for line in text.splitlines()[1:]]
    assert row == ["1", "2"]


def test_unreadable_validation_files_are_looked_for_in_the_validation_set(toy_corpus, tmp_path):
    corpus = broken_corpus(toy_corpus, tmp_path / "corpus", split="valid")
    brain, train, valid = make_run(corpus, tmp_path, max_bad_files=0)
    with pytest.raises(UserError, match="1 files of .*valid.csv cannot be read .* Toy-valid-003"):
        brain.fit_stream(train, valid)


def test_a_validation_set_of_which_nothing_can_be_read_is_named(toy_corpus, tmp_path, caplog):
    corpus = broken_corpus(toy_corpus, tmp_path / "corpus", split="valid", rows=range(10))
    brain, train, valid = make_run(corpus, tmp_path)
    with pytest.raises(UserError, match="no file of .*valid.csv can be read"):
        brain.fit_stream(train, valid)
    assert sum("is left out" in message for message in caplog.messages) == 10


def test_without_a_class_to_validate_on_training_goes_on_without_an_eer(
    toy_corpus, tmp_path, caplog
):
    corpus = broken_corpus(toy_corpus, tmp_path / "corpus", split="valid", rows=range(1, 10, 2))
    brain, train, valid = make_run(corpus, tmp_path)
    brain.fit_stream(train, valid)
    assert [math.isnan(row["valid_eer"]) for row in brain.state.validations] == [True, True]
    assert "no validation EER: no real file of the validation set was read" in caplog.messages
    assert brain.state.best_eer is None


def test_scores_that_are_not_finite_leave_the_validation_without_an_eer(
    toy_corpus, tmp_path, caplog
):
    brain, train, valid = make_run(toy_corpus, tmp_path, optimizer_step_limit=2)
    original = brain.on_stage_start

    def spoilt(stage, epoch=None):
        if stage.name == "VALID":
            brain.detector.proj_fc.weight.data.fill_(math.nan)
        original(stage, epoch)

    brain.on_stage_start = spoilt
    brain.fit_stream(train, valid)
    assert math.isnan(brain.state.validations[0]["valid_eer"])
    assert "no validation EER: 10 of 10 scores are not finite" in caplog.messages

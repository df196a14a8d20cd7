"""The loss and EER of a validation, and validation sets of which little or nothing can be read."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from support.training import broken_corpus, make_run

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

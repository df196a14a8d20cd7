import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from models.training.log import TrainLog


@pytest.mark.parametrize("checkpoint", [0, 1])
def test_what_a_killed_run_logged_past_its_checkpoint_is_not_shown_twice(tmp_path, checkpoint):
    """Also when it was killed before its first checkpoint, and starts over."""
    for start, steps in ((0, (1, 2)), (checkpoint, (1, 2, 3))):
        log = TrainLog(tmp_path, active=True, show_bar=False, interval=1)
        log.open(start)
        for step in steps:
            if step > start:
                log.step(step, audio_seconds=1.0, loss=0.5, lr=0.1)
        log.flush()
    events = EventAccumulator(str(tmp_path / "train_steps_log")).Reload()
    assert [event.step for event in events.Scalars("train/loss")] == [1, 2, 3]


ROW = {"validation": 1, "pass": 1, "optimizer_step": 2, "lr": 0.1, "train_loss": 0.5}
ROW |= {"valid_loss": 0.5, "valid_eer": 0.25, "threshold": 0.0, "skipped_steps": 0}
ROW |= {"bad_files": 0, "train_hours": 0.1}


def test_a_validation_shown_by_a_run_killed_before_its_checkpoint_is_shown_once(tmp_path):
    scores, labels = np.array([-1.0, 1.0]), np.array([0, 1])
    log = TrainLog(tmp_path, active=True, show_bar=False, interval=1)
    log.open(0)
    shown = {step: log.step(step, audio_seconds=1.0, loss=0.5, lr=0.1) for step in (1, 2)}
    log.validation([ROW], scores, labels)
    log.flush()
    resumed = TrainLog(tmp_path, active=True, show_bar=False, interval=1)
    resumed.open(2, again=shown[2])
    resumed.validation([ROW], scores, labels)
    resumed.flush()
    events = EventAccumulator(str(tmp_path / "train_steps_log")).Reload()
    assert [event.step for event in events.Scalars("train/loss")] == [1, 2]
    assert [event.step for event in events.Scalars("valid/eer")] == [2]
    assert [event.step for event in events.Histograms("valid/score_real")] == [2]


def test_a_class_without_a_finite_score_has_no_histogram(tmp_path):
    log = TrainLog(tmp_path, active=True, show_bar=False, interval=1)
    log.open(0)
    log.validation([ROW], np.array([-1.0, np.nan]), np.array([0, 1]))
    log.flush()
    events = EventAccumulator(str(tmp_path / "train_steps_log")).Reload()
    assert events.Tags()["histograms"] == ["valid/score_fake"]


def test_a_log_file_on_a_full_disk_says_so_once(tmp_path, monkeypatch, capsys):
    import errno
    import logging

    from dataio import whole_files
    from models.training.log import log_to

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    root = logging.getLogger()
    before = root.handlers[:], root.level
    try:
        log_to(tmp_path, active=True)
        monkeypatch.setattr(whole_files._Guarded, "_write", full)
        for word in ("one", "two"):
            logging.getLogger("x").info(word)
        told = capsys.readouterr().err
    finally:
        root.handlers[:], root.level = before
    assert "Traceback" not in told and told.count("log.txt (No space left") == 1
    assert " one\n" in told and " two\n" in told

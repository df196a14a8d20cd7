import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from models.train_log import TrainLog


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

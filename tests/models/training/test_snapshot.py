"""The average over the steps: what it is, what is kept of it, and that a run goes on exactly."""

import pytest
import torch
from support.training import killed_run, make_run

from models.checkpoints import load_detector
from models.training.snapshot import trained_tensors

RUN = {"lr": 1e-2, "warmup": 0, "head": "{name: sls, frames: 20, hidden: 8}"}  # with a batch norm


def floats(tensors: dict) -> dict[str, torch.Tensor]:
    return {name: t.detach().clone() for name, t in tensors.items() if t.is_floating_point()}


def watched_run(corpus, base, **options):
    """A run's brain, and the weights before the first step and after each."""
    brain, *streams = make_run(corpus, base, **RUN, **options)
    seen, step = [floats(trained_tensors(brain.detector))], brain.optimizers_step

    def watched():
        step()
        seen.append(floats(trained_tensors(brain.detector)))

    brain.optimizers_step = watched
    brain.fit_stream(*streams)
    return brain, seen


@pytest.mark.parametrize("decay", [0.15, 0.99])  # from the third step on, and never yet
def test_the_average_is_the_moving_average_of_the_weights_step_by_step(decay, toy_corpus, tmp_path):
    brain, (first, *steps) = watched_run(toy_corpus, tmp_path, ema_decay=decay)
    for name, expected in first.items():
        for number, weights in enumerate(steps, 1):
            d = min(decay, (1 + number) / (10 + number))
            expected = d * expected + (1 - d) * weights[name]
        torch.testing.assert_close(brain.copies["ema"].tensors[name], expected)
    assert len(steps) == 4


def test_best_is_the_average_and_last_holds_both(toy_corpus, tmp_path):
    brain, steps = watched_run(toy_corpus, tmp_path, ema_decay=0.5, valid_step=4)
    save = brain.checkpointer.checkpoints_dir
    (best,), (last,) = save.glob("CKPT+best*"), save.glob("CKPT+last*-validated")
    averaged, trained = torch.load(best / "ssl.ckpt"), torch.load(last / "ssl.ckpt")
    assert averaged.keys() == trained.keys() and not (best / "ema.ckpt").exists()
    for name, tensor in torch.load(last / "ema.ckpt").items():
        assert torch.equal(averaged[name], tensor)
    for name, tensor in steps[-1].items():
        assert torch.equal(trained[name], tensor)
        assert not (name.endswith("weight") and torch.equal(averaged[name], tensor))
    detector, info = load_detector(
        "w2v_tiny", best, head={"name": "sls", "frames": 20, "hidden": 8}
    )
    assert info.kind == "experiment"
    brain.detector.load_state_dict(detector.state_dict())
    assert valid_loss(brain, toy_corpus, tmp_path) == brain.state.validations[-1]["valid_loss"]


def valid_loss(brain, corpus, base) -> float:
    """Of the detector as it is, by a stream of its own."""
    _, _, valid = make_run(corpus, base / "again", **RUN)
    brain.detector.eval()
    from models.training.validation import Validation

    validation = Validation("valid")
    with torch.no_grad():
        for batch in valid:
            validation.add(batch, brain.detector(batch.waveforms, batch.lengths).logits.float())
    valid.close()
    return validation.result().loss


@pytest.mark.parametrize("moment", ["training", "trained", "validated"])
def test_a_run_with_an_average_goes_on_exactly(moment, toy_corpus, tmp_path):
    options = {"ema_decay": 0.5, "ckpt_interval_steps": 1, **RUN}
    whole, *streams = make_run(toy_corpus, tmp_path / "whole", **options)
    whole.fit_stream(*streams)
    killed_run(*make_run(toy_corpus, tmp_path / "killed", **options), at=moment)
    again, *streams = make_run(toy_corpus, tmp_path / "killed", **options)
    again.fit_stream(*streams)
    assert again.state.validations == whole.state.validations
    for one, two in ((whole.copies["ema"].tensors, again.copies["ema"].tensors),
                     (whole.detector.state_dict(), again.detector.state_dict())):  # fmt: skip
        assert all(torch.equal(two[name], tensor) for name, tensor in one.items())


def test_an_average_asked_for_later_begins_with_the_weights_of_then(toy_corpus, tmp_path):
    killed_run(*make_run(toy_corpus, tmp_path, **RUN), at="validated")
    (last,) = (tmp_path).rglob("CKPT+last*-validated")
    assert not (last / "ema.ckpt").exists()
    brain, *_ = make_run(toy_corpus, tmp_path, ema_decay=0.5, **RUN)
    brain.on_fit_start()
    brain.log.close()
    held = torch.load(last / "ssl.ckpt")
    for name, tensor in brain.copies["ema"].tensors.items():
        assert torch.equal(tensor, held[name])


def test_copies_of_other_tensors_are_refused(toy_corpus, tmp_path):
    brain, *_ = make_run(toy_corpus, tmp_path, ema_decay=0.5, **RUN)
    brain.copies.begin()
    good = dict(brain.copies["ema"].tensors)
    name, tensor = next(iter(good.items()))
    for bad in ({**good, "other": tensor}, {**good, name: tensor[None]}):
        with pytest.raises(ValueError, match="other tensors|another shape"):
            brain.copies["ema"].load_state_dict(bad)

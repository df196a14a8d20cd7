"""A learning rate and weight decay of the head's own."""

import numpy as np
import pytest
import torch
from support.training import killed_run, make_run

OWN = {"head_lr": 1e-2, "head_weight_decay": 0.5, "lr": 1e-4, "weight_decay": 0.1}


def groups(brain) -> list[tuple[int, float, float]]:
    """Of each parameter group: how many tensors, learning rate, weight decay."""
    return [(len(g["params"]), g["lr"], g["weight_decay"]) for g in brain.optimizer.param_groups]


def moments(brain) -> list[torch.Tensor]:
    """The optimiser's first moments, in the order of the parameters."""
    state = brain.optimizer.state_dict()["state"]
    return [state[number]["exp_avg"] for number in sorted(state)]


@pytest.mark.parametrize("vectors", [False, True])
def test_the_head_has_its_own_rate_and_decay_on_the_schedule_of_all(vectors, toy_corpus, tmp_path):
    options = {"remove_vector_weight_decay": vectors, "warmup": 0, **OWN}
    brain, *streams = make_run(toy_corpus, tmp_path, **options)
    brain.fit_stream(*streams)
    rate = 1e-4 * 0.01 ** (3 / 4)  # the last of four steps
    assert brain.state.validations[-1]["lr"] == pytest.approx(rate)
    every = len(brain.detector.detection_parameters())
    found = {(lr, decay): count for count, lr, decay in groups(brain)}
    if vectors:
        decays = {(rate, 0.0), (rate, 0.1), (100 * rate, 0.0), (100 * rate, 0.5)}
    else:
        decays = {(rate, 0.1), (100 * rate, 0.5)}
        assert found[max(found)] == len(list(brain.detector.classifier.parameters()))
    np.testing.assert_allclose(sorted(found), sorted(decays), rtol=1e-9)
    assert sum(found.values()) == every


@pytest.mark.parametrize("vectors", [False, True])
@pytest.mark.parametrize("former, now", [({}, OWN), (OWN, {})])
def test_a_run_goes_on_with_front_end_and_head_apart_or_together(
    former, now, vectors, toy_corpus, tmp_path
):
    """Each parameter keeps its own moments, whichever group it is in."""
    options = {"remove_vector_weight_decay": vectors}
    first = make_run(toy_corpus, tmp_path, **options, **former)
    killed_run(*first, at="validated")
    again = make_run(toy_corpus, tmp_path, **options, **now)[0]
    again.init_optimizers()
    again._resume(again.checkpointer.newest_intact())
    saved = moments(first[0])
    assert len(saved) > 2 and all(map(torch.equal, moments(again), saved))
    assert len(groups(again)) == (4 if now else 2) / (1 if vectors else 2)
    names = {id(p): name for name, p in again.detector.named_parameters()}
    for parameter, state in again.optimizer.state.items():
        assert state["exp_avg"].shape == parameter.shape, names[id(parameter)]


def test_a_rate_of_the_head_equal_to_the_others_changes_nothing(toy_corpus, tmp_path):
    ends = []
    for name, options in {"one": {}, "two": {"head_lr": 1e-3, "head_weight_decay": 0.01}}.items():
        brain, *streams = make_run(toy_corpus, tmp_path / name, lr=1e-3, **options)
        brain.fit_stream(*streams)
        ends.append(brain.detector.state_dict().values())
    assert all(map(torch.equal, *ends))

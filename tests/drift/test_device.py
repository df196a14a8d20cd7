"""`--device`: every distance is computed where it says, also where there is a GPU."""

import numpy as np
import pytest
import torch

from dataio.schema import UserError
from drift import joint, sweeps
from drift.device import choose_device, chosen_device


@pytest.fixture
def on_cpu(monkeypatch):
    """A host that says it has a GPU, on which nothing can be put, and `--device cpu`."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    choose_device("cpu")
    yield
    choose_device(None)


def test_a_gpu_is_taken_where_there_is_one_and_the_cpu_where_it_is_asked_for(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert chosen_device().type == "cuda"
    choose_device("cpu")
    try:
        assert chosen_device().type == "cpu"
        assert not torch.backends.cuda.matmul.allow_tf32
    finally:
        choose_device(None)


def test_neighbours_and_windows_are_measured_where_it_is_asked_for(on_cpu):
    rows = np.random.default_rng(0).standard_normal((40, 3)).astype(np.float32)
    assert sweeps.neighbour_distances(rows, rows[:4]).shape == (4,)
    arrangements = np.stack([np.arange(40), np.arange(40)[::-1]])
    windows = joint.mmd_of_windows(rows, arrangements, 20, [np.arange(20, 40)], 1.0)
    assert windows.shape == (1, 2) and np.allclose(*windows.T, atol=1e-6)


@pytest.mark.parametrize("wanted", ["tpu", "mps", "cuda:x", "cuda:7"])
def test_a_device_that_is_not_there_is_refused(wanted):
    with pytest.raises(UserError, match=f"--device {wanted}"):
        choose_device(wanted)

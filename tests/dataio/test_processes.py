"""With little or no /dev/shm, as in containers: the same results, by fewer processes or by one."""

import errno
import logging
import multiprocessing
import subprocess
import sys
from multiprocessing.reduction import ForkingPickler
from pathlib import Path

import numpy as np
import pandas
import pytest
import torch

from dataio import processes
from dataio.dataset import Item, collate
from dataio.loading import BatchLoader
from dataio.processes import usable_workers, worker_for_each_core
from protocols.making.workshop import map_parallel
from protocols.parallel import apply_to_column, map_in_order

ROOT = Path(__file__).parents[2]
TINY = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs -o "$0" tmpfs /dev/shm && exec "$@"']


class Tones:
    """Rows of 10 s, so that a batch of ten is 6.4 MB."""

    def __getitem__(self, key):
        _, row = key
        return Item(row, f"row {row}", row % 2, np.full(160_000, row, np.float32))


KEYS = [(0, np.arange(start, start + 10)) for start in range(0, 80, 10)]


def load(num_workers):
    with BatchLoader(Tones(), num_workers=num_workers) as loader:
        return [(b.rows.tolist(), float(b.waveforms.sum())) for b in loader.load(KEYS)]


@pytest.fixture
def no_semaphores(monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(multiprocessing, "Lock", full)
    processes._warn.cache_clear()


def test_a_batch_leaves_its_worker_by_value():
    """A tensor would leave as the name of a piece of shared memory, in a message of 1 kB."""
    batch = collate([Tones()[0, 3], Tones()[0, 4]])
    message = ForkingPickler.dumps(batch)
    assert len(message) > batch.waveforms.nbytes
    again = ForkingPickler.loads(message)
    assert torch.equal(again.waveforms, batch.waveforms) and again.ids == batch.ids
    again.waveforms.add_(1)  # it may be written to


def test_where_there_are_no_semaphores_one_process_does_it_all(no_semaphores, caplog):
    children = multiprocessing.active_children()
    with caplog.at_level(logging.WARNING), BatchLoader(Tones(), num_workers=2) as loader:
        assert len(list(loader.load(KEYS[:3]))) == 3
        assert multiprocessing.active_children() == children
    jobs = [(n, n) for n in range(20)]
    assert list(map_in_order(abs, jobs, workers=2)) == jobs
    column = pandas.Series(range(50))
    assert apply_to_column(column, abs, workers=2).equals(column)
    assert map_parallel(abs, [1, -2, 3], workers=2, title="t") == [1, 2, 3]
    (said,) = [record.getMessage() for record in caplog.records]  # once
    assert "/dev/shm cannot be used (No space left on device)" in said
    assert "--shm-size" in said and "\n" not in said


@pytest.mark.needs("workers")
def test_where_there_are_semaphores_the_workers_are_as_asked():
    assert [usable_workers(asked) for asked in (0, 1, 4)] == [0, 1, 4]


def test_there_are_no_more_workers_than_cores_that_may_be_used(monkeypatch):
    monkeypatch.setattr(processes.os, "sched_getaffinity", lambda _: {3, 5}, raising=False)
    assert [worker_for_each_core(asked) for asked in (0, 1, 2, 8)] == [0, 1, 2, 2]
    monkeypatch.delattr(processes.os, "sched_getaffinity")
    monkeypatch.setattr(processes.os, "cpu_count", lambda: 4)
    assert [worker_for_each_core(asked) for asked in (0, 8)] == [0, 4]


@pytest.mark.slow  # a new process imports torch
@pytest.mark.needs("namespaces", "workers")
@pytest.mark.parametrize("options", ["size=1m", "size=8k", "size=1m,ro"])
def test_a_container_with_little_shared_memory_loads_the_same(options):
    """Eight batches of 6.4 MB through 1 MB: by shared memory the loader hung for ever."""
    code = "from tests.dataio.test_processes import load; print(load(4))"
    command = [*TINY, options, sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(load(0))
    assert ("no worker processes" in done.stderr) == (options != "size=1m")


@pytest.mark.slow
@pytest.mark.needs("namespaces", "workers")
@pytest.mark.parametrize("options", ["size=1m", "size=1m,ro"])
def test_commands_work_with_little_shared_memory(options, toy_corpus, tmp_path):
    data, protocols = toy_corpus / "Data", toy_corpus / "protocols"
    own = ["--data_folder", data, "--workers", "2"]
    for words in (
        ["-m", "protocols", "check", protocols / "train.csv", *own],
        ["-m", "protocols", "leakage", "--train", protocols / "train.csv"]
        + ["--test", protocols / "test.csv", *own],
        ["-m", "protocols", "folders", "Calls", "--real", "Toy/train", "--fake", "Toy/test", *own]
        + ["--output", tmp_path / "calls.csv"],
        ["main.py", "hparams/w2v_tiny.yaml", "--base_path", tmp_path, "--data_folder", data]
        + ["--protocol_folder", protocols, "--device", "cpu", "--num_workers", "2"]
        + ["--optimizer_step_limit", "2", "--valid_step", "2", "--noprogressbar"],
    ):
        command = [*TINY, options, sys.executable, *map(str, words)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=200)
        assert done.returncode == 0, (words, done.stderr)
        assert "Traceback" not in done.stderr

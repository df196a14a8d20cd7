"""One writer at a time: who is refused, whose lock is taken over, and what a lock survives."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from dataio import locks
from dataio.locks import LOCK, sole_writer
from dataio.schema import UserError


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(locks, "BEAT", 0.05)
    monkeypatch.setattr(locks, "SILENCE", 0.5)


def lock_of(path: Path, **changes) -> Path:
    """The lock that this process would have made, with some of it changed."""
    lock = path.with_name(path.name + ".lock")
    lock.write_text(json.dumps(locks._this_process() | changes))
    return lock


def test_a_second_writer_is_refused_by_name_and_the_lock_goes_with_the_first(tmp_path):
    path = tmp_path / "scores.csv"
    refusal = rf"scores.csv is being written by process {os.getpid()} on"
    with sole_writer(path):
        with pytest.raises(UserError, match=refusal), sole_writer(path):
            pass
        with sole_writer(tmp_path / "other.csv"):
            pass
    with sole_writer(path):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_locked_inside_and_freed_after_a_failure(tmp_path):
    with pytest.raises(KeyError), sole_writer(tmp_path):
        assert [path.name for path in tmp_path.iterdir()] == [LOCK]
        raise KeyError
    assert list(tmp_path.iterdir()) == []


def test_a_writer_in_another_process_is_seen_and_a_killed_one_is_taken_over(tmp_path, capsys):
    path = tmp_path / "scores.csv"
    code = (
        "import sys, time\nfrom dataio.locks import sole_writer\n"
        "with sole_writer(sys.argv[1]): print('held', flush=True); time.sleep(60)"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code, str(path)],
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        text=True,
    )
    with child:
        assert child.stdout.readline() == "held\n"
        with pytest.raises(UserError, match=f"process {child.pid} on"), sole_writer(path):
            pass
        child.kill()
        # Not waited for: a dead process that nobody has buried holds nothing.
        end = time.monotonic() + 10
        while locks._started(child.pid) and time.monotonic() < end:
            time.sleep(0.01)
        with sole_writer(path):
            assert f"taken over from process {child.pid} on" in capsys.readouterr().err


def test_a_process_number_given_anew_is_not_the_dead_writer(tmp_path):
    path = tmp_path / "scores.csv"
    lock_of(path, started="1")
    with sole_writer(path):
        pass


def test_a_silent_writer_of_another_machine_is_taken_over(tmp_path, capsys):
    path = tmp_path / "scores.csv"
    lock_of(path, machine="another", host="node7", pid=12)
    with sole_writer(path):
        shown = capsys.readouterr().err
    assert "for a sign of life of process 12 on node7" in shown and "taken over" in shown


def test_a_writer_of_another_machine_that_gives_a_sign_of_life_is_not(tmp_path, monkeypatch):
    path = tmp_path / "scores.csv"
    monkeypatch.setattr(locks, "SILENCE", 30)
    lock = lock_of(path, machine="another", host="node7", pid=12)
    sign = threading.Timer(0.2, os.utime, [lock])
    sign.start()
    try:
        refusal = (
            r"process 12 on node7 \(.*last sign of life \d+ s ago\): .*remove .*scores.csv.lock"
        )
        with pytest.raises(UserError, match=refusal), sole_writer(path):
            pass
    finally:
        sign.join()


def test_a_sign_of_life_of_long_ago_is_not_waited_for(tmp_path, monkeypatch):
    path = tmp_path / "scores.csv"
    monkeypatch.setattr(locks, "SILENCE", 300)
    os.utime(lock_of(path, machine="another"), (1e9, 1e9))
    with sole_writer(path):
        pass


def test_a_lock_without_a_word_in_it_is_a_dead_ones(tmp_path):
    path = tmp_path / "scores.csv"
    path.with_name("scores.csv.lock").write_text("")
    with sole_writer(path):
        pass


def test_a_writer_gives_signs_of_life_and_ends_where_its_lock_is_anothers(
    tmp_path, monkeypatch, capsys
):
    path, ends = tmp_path / "scores.csv", []
    ended = threading.Event()
    monkeypatch.setattr(os, "_exit", lambda status: (ends.append(status), ended.wait(5)))
    with sole_writer(path):
        lock = path.with_name("scores.csv.lock")
        os.utime(lock, (1e9, 1e9))
        end = time.monotonic() + 10
        while lock.stat().st_mtime == 1e9 and time.monotonic() < end:
            time.sleep(0.01)
        assert lock.stat().st_mtime > 1e9
        lock_of(path, host="node7", pid=12)
        while not ends and time.monotonic() < end:
            time.sleep(0.01)
        ended.set()
    assert ends[0] == 2 and "process 12 on node7 took" in capsys.readouterr().err
    assert lock.exists(), "another's lock is not removed"


def test_of_many_that_find_a_dead_lock_one_takes_it(tmp_path):
    path = tmp_path / "scores.csv"
    lock_of(path, started="1")
    taken, refused = [], []
    done = threading.Event()

    def contend():
        try:
            with sole_writer(path):
                taken.append(1)
                done.wait(5)
        except UserError:
            refused.append(1)

    threads = [threading.Thread(target=contend) for _ in range(4)]
    for thread in threads:
        thread.start()
    end = time.monotonic() + 10
    while len(taken) + len(refused) < 4 and time.monotonic() < end:
        time.sleep(0.01)
    done.set()
    for thread in threads:
        thread.join()
    assert (len(taken), len(refused)) == (1, 3)

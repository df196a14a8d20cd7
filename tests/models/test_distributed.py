"""How a process of a group ends: with the others when all went well, at once when not."""

from __future__ import annotations

import os

import pytest
import torch.distributed as dist

import main
from dataio.schema import UserError
from dataio.stopping import Stopped
from models.distributed import choose_device
from models.training import run as training


@pytest.fixture
def calls(monkeypatch) -> list:
    """What a process that believes it is rank 1 of a group does to the group and itself."""
    made = []
    monkeypatch.setattr(dist, "is_initialized", lambda: True)
    monkeypatch.setattr(dist, "get_rank", lambda *_: 1)
    for name in ("destroy_process_group", "barrier", "all_reduce", "all_gather_object"):
        monkeypatch.setattr(dist, name, lambda *_, name=name, **__: made.append(name))
    monkeypatch.setattr(os, "_exit", lambda status: made.append(status))
    return made


def end_with(monkeypatch, outcome) -> None:
    def train(*_):
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    monkeypatch.setattr(training, "train", train)


FAILURES = {
    "a mistake": (UserError("no such file"), 2, "error: no such file"),
    "a defect": (RuntimeError("shapes do not fit"), 1, "RuntimeError: shapes do not fit"),
    "a peer that is gone": (
        RuntimeError("[gloo/transport/tcp/pair.cc:547] Connection closed by peer [127.0.0.1]"),
        1,
        "error: process 1 lost another one, which says why itself",
    ),
    "Ctrl-C": (KeyboardInterrupt(), 130, "stopped: nothing new was kept"),
    "a request to end": (Stopped("SIGTERM: all is kept"), 75, "stopped by SIGTERM: all is kept"),
}


@pytest.mark.parametrize("case", FAILURES)
def test_a_failing_rank_reports_and_leaves_without_a_word_to_the_group(
    case, calls, monkeypatch, tmp_path, capsys
):
    outcome, status, sentence = FAILURES[case]
    end_with(monkeypatch, outcome)
    shown = []
    monkeypatch.setattr(
        os, "_exit", lambda n: shown.append(capsys.readouterr().err) or calls.append(n)
    )
    try:
        main.main(["hparams/w2v_tiny.yaml", f"--base_path={tmp_path}"])
    except RuntimeError:
        assert case in ("a defect", "a peer that is gone")  # real `os._exit` does not come back
    assert calls == [status]
    assert sentence in shown[0], "it was told before the process ended"
    assert ("Traceback" in shown[0]) == (case == "a defect")


@pytest.mark.parametrize("status", [0, 3])
def test_a_clean_end_is_left_to_the_interpreter(status, calls, monkeypatch, tmp_path):
    end_with(monkeypatch, status)
    assert main.main(["hparams/w2v_tiny.yaml", f"--base_path={tmp_path}"]) == status
    assert calls == []


def test_alone_a_defect_is_raised(monkeypatch, tmp_path):
    end_with(monkeypatch, RuntimeError("shapes do not fit"))
    with pytest.raises(RuntimeError, match="shapes"):
        main.main(["hparams/w2v_tiny.yaml", f"--base_path={tmp_path}"])


@pytest.mark.parametrize("processes, refused", [("8", True), ("1", False)])
def test_one_gpu_for_all_processes_of_a_host_is_refused(processes, refused, monkeypatch):
    monkeypatch.setenv("LOCAL_WORLD_SIZE", processes)
    monkeypatch.setenv("LOCAL_RANK", "0")
    monkeypatch.setattr("torch.cuda.device_count", lambda: 8)
    assert choose_device("cuda") == "cuda:0"
    if not refused:
        assert choose_device("cuda:3") == "cuda:3"
        return
    with pytest.raises(UserError, match="every process of torchrun on one GPU: write --device cu"):
        choose_device("cuda:0")

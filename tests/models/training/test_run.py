"""`python main.py hparams/<model>.yaml` from the outside: two processes, logs, refusals."""

from __future__ import annotations

import csv
import errno
import functools
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from support.faults import spoil_loss
from support.runs import free_port, run_main
from support.training import make_run, toy_arguments
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import main
from dataio.locks import LOCK, sole_writer
from dataio.schema import UserError
from models.distributed import join_world
from models.training import log as train_log
from models.training import run as training

ROOT = Path(__file__).parents[3]
EXPERIMENT = "Log/exps/exp_w2v_tiny_default"


def losses(base: Path) -> list[float]:
    events = EventAccumulator(str(base / EXPERIMENT / "train_steps_log")).Reload()
    return [event.value for event in events.Scalars("train/loss")]


def table(base: Path, folder: Path = Path(EXPERIMENT)) -> list[dict]:
    lines = (base / folder / "exp_log.txt").read_text().splitlines()
    return [dict(zip(lines[0].split(), line.split(), strict=True)) for line in lines[1:]]


@pytest.mark.slow
def test_two_processes_equal_one_with_the_same_global_batches(corpus, tmp_path):
    """With dropout, random crops and RawBoost on; 18 rows leave the ranks uneven shares, of which
    one does not read; a few validation labels are turned, so that the EER is no trivial one."""
    (corpus / "Data/Toy/train/003.wav").write_bytes(b"RIFF, but not for long")
    rewrite(corpus, turn_labels(0, 1, 3), "valid")
    options = {"use_da": True, "train_crop_seconds": [0.5, 0.8], "optimizer_step_limit": 10}
    options["valid_batch_length"] = 4
    for name, ranks, accumulation in (("one", 1, 2), ("two", 2, 1)):
        words = toy_arguments(
            corpus, tmp_path / name, **options, grad_accumulation_factor=accumulation
        )
        assert run_main(["hparams/w2v_tiny.yaml", *words], ranks=ranks) == 0
    assert len(losses(tmp_path / "one")) == 10
    assert losses(tmp_path / "two") == pytest.approx(losses(tmp_path / "one"), abs=1e-5)
    for one, two in zip(table(tmp_path / "one"), table(tmp_path / "two"), strict=True):
        assert two["valid_eer"] == one["valid_eer"]
        assert two["bad_files"] == one["bad_files"] == "1"
        assert 0 < float(one["valid_eer"]) < 1
        assert float(two["valid_loss"]) == pytest.approx(float(one["valid_loss"]), abs=1e-5)


@pytest.mark.slow
def test_a_fault_of_one_rank_is_the_step_of_all(corpus, tmp_path):
    """A NaN loss and an unreadable file of one rank: both ranks skip, and end with one model."""
    (corpus / "Data/Toy/train/003.wav").write_bytes(b"RIFF, but not for long")
    words = toy_arguments(corpus, tmp_path, max_bad_files=1, number_of_epochs=2, lr=1e-3)
    spoil = functools.partial(spoil_loss, rank=1, step=1, weights=tmp_path)
    assert run_main(["hparams/w2v_tiny.yaml", *words], ranks=2, prepare=spoil) == 0
    assert [row["skipped_steps"] for row in table(tmp_path)] == ["1", "0"]
    assert table(tmp_path)[-1]["bad_files"] == "1"
    first, second = (torch.load(tmp_path / f"rank{rank}.pt") for rank in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.slow
def test_past_max_bad_files_both_ranks_stop(corpus, tmp_path):
    (corpus / "Data/Toy/train/003.wav").write_bytes(b"RIFF, but not for long")
    words = toy_arguments(corpus, tmp_path, max_bad_files=0, number_of_epochs=2)
    assert run_main(["hparams/w2v_tiny.yaml", *words], ranks=2) == 2


@pytest.mark.slow
def test_torchrun_over_two_nodes(toy_corpus, tmp_path):
    """Two hosts of one process each, here on one machine, through torchrun itself."""
    words = toy_arguments(toy_corpus, tmp_path, optimizer_step_limit=2)
    command = [sys.executable, "-m", "torch.distributed.run", "--nnodes=2", "--nproc-per-node=1"]
    command += ["--master-addr=127.0.0.1", f"--master-port={free_port()}"]
    nodes = [
        subprocess.Popen(
            [*command, f"--node-rank={node}", "main.py", "hparams/w2v_tiny.yaml", *words],
            cwd=ROOT,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            stderr=subprocess.PIPE,
            text=True,
        )
        for node in range(2)
    ]
    errors = [node.communicate(timeout=240)[1] for node in nodes]
    assert [node.returncode for node in nodes] == [0, 0], errors
    assert len(table(tmp_path)) == 1


@pytest.mark.slow
def test_two_torchrun_jobs_share_a_host(toy_corpus, tmp_path):
    """As the manual writes them; the second found its port taken."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=1"]
    jobs = []
    for name in ("one", "two"):
        words = toy_arguments(toy_corpus, tmp_path / name, optimizer_step_limit=2)
        jobs.append(
            subprocess.Popen(
                [*command, "main.py", "hparams/w2v_tiny.yaml", *words],
                cwd=ROOT,
                env={**os.environ, "OMP_NUM_THREADS": "1"},
                stderr=subprocess.PIPE,
                text=True,
            )
        )
    errors = [job.communicate(timeout=240)[1] for job in jobs]
    assert [job.returncode for job in jobs] == [0, 0], errors


COUNT_THREADS_AT_EXIT = """
import atexit, os, sys

def tell():
    names = [open(f"/proc/self/task/{task}/comm").read() for task in os.listdir("/proc/self/task")]
    print("gloo threads at exit:", sum("gloo" in name for name in names))

atexit.register(tell)  # before the program's own handlers, so it runs after them
import main
sys.exit(main.main(sys.argv[1:]))
"""


@pytest.mark.slow
@pytest.mark.needs("proc")  # where the names of threads are read
def test_a_distributed_run_ends_its_group_before_the_interpreter(toy_corpus, tmp_path):
    """A group thread outliving it now and then turns a finished run into an abort."""
    place = {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1"}
    place |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), "PYTHONPATH": "."}
    words = toy_arguments(toy_corpus, tmp_path, optimizer_step_limit=2)
    run = subprocess.run(
        [sys.executable, "-c", COUNT_THREADS_AT_EXIT, "hparams/w2v_tiny.yaml", *words],
        cwd=ROOT,
        env={**os.environ, **place},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert run.returncode == 0, run.stderr
    assert "gloo threads at exit: 0" in run.stdout


def test_a_run_leaves_what_made_it(toy_corpus, tmp_path, monkeypatch):
    words = ["hparams/w2v_tiny.yaml", *toy_arguments(toy_corpus, tmp_path)]
    monkeypatch.setattr(sys, "argv", ["main.py", *words])
    assert main.main(words) == 0
    folder = tmp_path / EXPERIMENT
    run = json.loads((folder / "runs.jsonl").read_text())
    assert run["command"] == ["main.py", *words]
    assert {"torch", "speechbrain", "numpy"} <= run["packages"].keys()
    assert run["git_revision"]
    assert "!ref" not in (folder / "hyperparams.yaml").read_text()
    events = EventAccumulator(str(folder / "train_steps_log")).Reload()
    assert set(events.Tags()["scalars"]) == {
        "train/loss",
        "train/lr",
        "train/grad_norm",
        "train/audio_s_per_s",
        "valid/loss",
        "valid/eer",
    }
    assert set(events.Tags()["histograms"]) == {"valid/score_real", "valid/score_fake"}
    assert [row["optimizer_step"] for row in table(tmp_path)] == ["2", "4"]


def test_the_bar_shows_loss_rate_and_speed(toy_corpus, tmp_path, capfd, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    words = toy_arguments(toy_corpus, tmp_path, noprogressbar=False)
    assert main.main(["hparams/w2v_tiny.yaml", *words]) == 0
    shown = capfd.readouterr().err
    assert "loss=" in shown and "lr=" in shown and "audio=" in shown and "train: 100%" in shown


def test_no_bar_goes_into_a_log_file(toy_corpus, tmp_path, capfd):
    words = toy_arguments(toy_corpus, tmp_path, noprogressbar=False)
    assert main.main(["hparams/w2v_tiny.yaml", *words]) == 0
    assert "train:" not in capfd.readouterr().err


@pytest.fixture
def corpus(toy_corpus, tmp_path):
    shutil.copytree(toy_corpus, tmp_path / "corpus")
    return tmp_path / "corpus"


def rewrite(corpus: Path, change, split: str = "train") -> None:
    """Apply `change(rows)` to a protocol."""
    path = corpus / f"protocols/{split}.csv"
    with path.open() as stream:
        rows = list(csv.DictReader(stream))
    change(rows)
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def set_all(column, value):
    return lambda rows: [row.update({column: value}) for row in rows]


def turn_labels(*numbers):
    other = {"real": "fake", "fake": "real"}
    return lambda rows: [rows[n].update(Label=other[rows[n]["Label"]]) for n in numbers]


BAD_TRAINING_DATA = {
    "one class": (set_all("Label", "real"), "no row labelled 'fake'"),
    "a label of another set": (lambda rows: rows[2].update(Label="spoof"), "line 4"),
    "a repeated ID": (lambda rows: rows[2].update(ID=rows[0]["ID"]), "Toy-train-000"),
    "paths that lead nowhere": (set_all("Path", "$ROOT/gone.wav"), "gone"),
    "no column of labels": (lambda rows: [row.pop("Label") for row in rows], "Label"),
    "no duration": (lambda rows: rows[5].update(Duration="soon"), "line 7"),
}


@pytest.mark.parametrize("case", BAD_TRAINING_DATA)
def test_bad_training_data_are_refused_before_anything_is_written(case, corpus, tmp_path, capfd):
    change, message = BAD_TRAINING_DATA[case]
    rewrite(corpus, change)
    words = toy_arguments(corpus, tmp_path / "base")
    assert main.main(["hparams/w2v_tiny.yaml", *words]) == 2
    assert message in the_error(capfd)
    assert not (tmp_path / "base").exists()


def test_a_root_that_is_nowhere_is_refused_before_anything_is_written(corpus, tmp_path, capfd):
    words = toy_arguments(corpus, tmp_path / "base", data_folder=tmp_path / "nowhere")
    assert main.main(["hparams/w2v_tiny.yaml", *words]) == 2
    assert "nowhere" in (error := the_error(capfd)) and "data_folder" in error
    assert not (tmp_path / "base").exists()


def the_error(capfd) -> str:
    lines = capfd.readouterr().err.splitlines()
    (error,) = [line for line in lines if line.startswith("error: ")]
    return error


def test_the_output_folder_of_another_model_is_left_alone(toy_corpus, tmp_path, capfd):
    folder = tmp_path / EXPERIMENT
    folder.mkdir(parents=True)
    (folder / "hyperparams.yaml").write_text("model: mms_300m\n")
    words = toy_arguments(toy_corpus, tmp_path)
    assert main.main(["hparams/w2v_tiny.yaml", *words]) == 2
    assert "holds a run with model mms_300m, not w2v_tiny" in capfd.readouterr().err
    assert sorted(path.name for path in folder.iterdir()) == ["hyperparams.yaml"]


def test_two_trainings_do_not_share_a_folder(toy_corpus, tmp_path, capfd):
    words = ["hparams/w2v_tiny.yaml", *toy_arguments(toy_corpus, tmp_path)]
    (tmp_path / EXPERIMENT).mkdir(parents=True)
    with sole_writer(tmp_path / EXPERIMENT):
        assert main.main(words) == 2
        assert f"is being written by process {os.getpid()} on" in the_error(capfd)
        assert [path.name for path in (tmp_path / EXPERIMENT).iterdir()] == [LOCK]
    assert main.main(words) == 0
    assert not (tmp_path / EXPERIMENT / LOCK).exists()


def test_a_missing_pretraining_file_says_where_to_get_it(toy_corpus, tmp_path, capfd):
    words = toy_arguments(toy_corpus, tmp_path)
    assert main.main(["hparams/w2v_small.yaml", *words]) == 2
    error = capfd.readouterr().err
    assert "wav2vec_small.pt" in error and "github.com/facebookresearch/fairseq" in error


@pytest.mark.parametrize(
    "options, message",
    [
        ({"train_crop_seconds": [3, 2]}, "train_crop_seconds"),
        ({"freeze_front_end": "half"}, "freeze"),
        ({"device": "cuda:77"}, "not available"),
    ],
)
def test_a_wrong_setting_is_one_sentence(options, message, toy_corpus, tmp_path, capfd):
    words = toy_arguments(toy_corpus, tmp_path, **options)
    assert main.main(["hparams/w2v_tiny.yaml", *words]) == 2
    assert message in the_error(capfd)


def test_fine_tuning_starts_from_a_detector_checkpoint(toy_corpus, tmp_path):
    from models.detector import build_detector

    state = build_detector("w2v_tiny").state_dict()
    torch.save(state, tmp_path / "detector.ckpt")
    brain, *_ = make_run(toy_corpus, tmp_path, ckpt_path=tmp_path / "detector.ckpt")
    assert all(torch.equal(brain.detector.state_dict()[name], state[name]) for name in state)


def test_post_training_starts_from_a_fairseq_file(toy_corpus, tmp_path):
    import argparse

    from models.detector import build_detector

    torch.manual_seed(99)
    state = build_detector("w2v_tiny").state_dict()
    prefix = "m_ssl.model."
    front_end = {n.removeprefix(prefix): t for n, t in state.items() if n.startswith(prefix)}
    pretrained = {"args": argparse.Namespace(arch="wav2vec2"), "model": front_end}
    torch.save(pretrained, tmp_path / "wav2vec_tiny.pt")
    brain, *_ = make_run(toy_corpus, tmp_path, ckpt_path=tmp_path / "wav2vec_tiny.pt")
    for name, tensor in brain.detector.state_dict().items():
        if name.startswith(prefix):
            assert torch.equal(tensor, state[name]), name
    assert brain.detector.proj_fc.weight.abs().sum() > 0


def test_a_debug_run_is_short_and_leaves_no_checkpoint(toy_corpus, tmp_path):
    words = toy_arguments(toy_corpus, tmp_path, optimizer_step_limit=100, valid_step=50)
    assert main.main(["hparams/w2v_tiny.yaml", *words, "--debug"]) == 0
    debug = tmp_path / EXPERIMENT / "debug"
    assert list((debug / "save").iterdir()) == []
    assert [row["optimizer_step"] for row in table(tmp_path, debug)] == ["2", "4"]


def test_a_large_model_is_not_trained_from_random_weights_unasked(toy_corpus, tmp_path, capfd):
    words = toy_arguments(toy_corpus, tmp_path, model="w2v_small")
    assert main.main(["hparams/deepfake_eval_2024.yaml", *words, *_csvs(toy_corpus)]) == 2
    assert "ckpt_path is null, and w2v_small" in capfd.readouterr().err


def _csvs(corpus: Path) -> list[str]:
    return [f"--{name}_csv={corpus / 'protocols' / name}.csv" for name in ("train", "valid")]


def test_a_gpu_is_taken_before_the_first_collective(monkeypatch):
    """NCCL sends objects and barriers through the current GPU: every rank's must be its own."""
    calls = []
    monkeypatch.setattr(torch.cuda, "set_device", lambda device: calls.append(("take", device)))
    monkeypatch.setattr(dist, "is_initialized", lambda: False)
    monkeypatch.setattr(dist, "get_rank", lambda: 3)
    monkeypatch.setattr(dist, "get_world_size", lambda: 4)
    monkeypatch.setattr(
        dist, "init_process_group", lambda **options: calls.append(("join", options))
    )
    for name in ("RANK", "LOCAL_RANK"):
        monkeypatch.setenv(name, "3")
    world = join_world(backend=None, device="cuda:3", timeout_seconds=60)
    assert (world.rank, world.size) == (3, 4)
    (first, device), (second, options) = calls
    assert (first, device, second) == ("take", "cuda:3", "join")
    assert options["backend"] == "nccl" and options["device_id"] == torch.device("cuda:3")


def test_other_first_weights_are_another_run_and_other_settings_are_told(
    toy_corpus, tmp_path, capsys
):
    assert main.main(["hparams/w2v_tiny.yaml", *toy_arguments(toy_corpus, tmp_path)]) == 0
    other = toy_arguments(toy_corpus, tmp_path, ckpt_path="somewhere.ckpt")
    assert main.main(["hparams/w2v_tiny.yaml", *other]) == 2
    assert "a run with ckpt_path None, not somewhere.ckpt" in capsys.readouterr().err
    longer = toy_arguments(toy_corpus, tmp_path, optimizer_step_limit=5, max_bad_files=7)
    assert main.main(["hparams/w2v_tiny.yaml", *longer]) == 0
    told = re.findall(r"since this run was last started: (.*)", capsys.readouterr().err)
    assert told == ["max_bad_files is 7, it was 100", "optimizer_step_limit is 5, it was 4"]


def test_a_debug_run_leaves_the_real_one_as_it_was(toy_corpus, tmp_path):
    words = ["hparams/w2v_tiny.yaml", *toy_arguments(toy_corpus, tmp_path)]
    assert main.main(words) == 0
    folder = tmp_path / EXPERIMENT
    before = (table(tmp_path), losses(tmp_path), (folder / "hyperparams.yaml").read_text())
    assert main.main([*words, "--debug"]) == 0
    assert main.main([*words, "--debug"]) == 0
    after = (table(tmp_path), losses(tmp_path), (folder / "hyperparams.yaml").read_text())
    assert after == before
    assert (folder / "debug/exp_log.txt").exists()


def test_a_disk_full_of_logs_is_one_sentence(toy_corpus, tmp_path, monkeypatch, capsys):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    words = ["hparams/w2v_tiny.yaml", *toy_arguments(toy_corpus, tmp_path)]
    monkeypatch.setattr(train_log, "write_text", full)
    assert main.main(words) == 2
    assert "cannot write" in capsys.readouterr().err
    monkeypatch.setattr(training, "record_run", lambda *_: None)
    assert main.main(words) == 2
    assert "no space is left for the logs" in capsys.readouterr().err


def test_a_tiny_model_has_no_pretraining_file(toy_corpus, tmp_path, capsys):
    words = toy_arguments(toy_corpus, tmp_path, ckpt_path="pretrained")
    assert main.main(["hparams/w2v_tiny.yaml", *words]) == 2
    assert "w2v_tiny has no pre-training file: --ckpt_path null" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words", [["score", "--help"], ["inference", "-h"], ["hparams/w2v_tiny.yaml", "--help"]]
)
def test_help_is_help_wherever_it_is_asked_for(words, capsys):
    assert main.main(words) == 0
    assert "python main.py" in capsys.readouterr().out


def test_hints_name_commands_that_exist(tmp_path, capsys):
    assert main.main(["--base_path", str(tmp_path), "hparams/w2v_tiny.yaml"]) == 2
    assert "no model given: python main.py MODEL" in capsys.readouterr().err
    (tmp_path / "a.wav").touch()
    assert main.main(["score", "hparams/w2v_tiny.yaml", str(tmp_path / "a.wav")]) == 2
    assert capsys.readouterr().err.startswith("error: no --ckpt_path was given: name a")


@pytest.mark.parametrize("value", [True, 0, [13, 10], "ten", [1, 2, 3]])
def test_a_crop_that_is_no_length_is_refused(value):
    with pytest.raises(UserError, match="expected a number of seconds or .shortest, longest."):
        training.crop_range(value)

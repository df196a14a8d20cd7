"""The day's tables: one that fails or does not end loses nothing, and on a CPU all run through."""

import argparse
import sys
import time

import pytest

from benchmarks import front_end, gpu_day, training_speed
from benchmarks.gpu_day import Table

ALONE = argparse.Namespace(short=True, limit=60.0, published=None, published_python=None)


@pytest.fixture
def no_device(monkeypatch):
    monkeypatch.setattr(gpu_day, "device", lambda: "no device")


def module(folder, name, code):
    (folder / f"{name}.py").write_text(code)
    return Table(name, "", name)


def test_a_table_that_fails_or_does_not_end_loses_no_other(tmp_path, no_device, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    slow = "import time; print('| begun |', flush=True); time.sleep(600)"
    tables = (
        module(tmp_path, "fails", "print('| half |'); raise SystemExit('no memory')"),
        module(tmp_path, "never_ends", slow),
        module(tmp_path, "ends", "print('| whole |')"),
    )
    output = tmp_path / "day.md"
    arguments = argparse.Namespace(**{**vars(ALONE), "limit": 3.0, "output": output})
    start = time.monotonic()
    assert gpu_day.measure(arguments, tables) == 1
    assert time.monotonic() - start < 60
    parts = output.read_text().split("## ")[1:]
    assert "| half |" in parts[0] and "**failed with status 1: no memory**" in parts[0]
    assert "| begun |" in parts[1] and "**stopped after 3 s" in parts[1]
    assert "| whole |" in parts[2] and "**" not in parts[2]


def test_after_each_table_the_file_holds_what_there_is(tmp_path, no_device, monkeypatch):
    output, seen = tmp_path / "day.md", []

    def run(command, limit):
        seen.append(output.read_text().count("| done |") if output.exists() else 0)
        return "| done |", ""

    monkeypatch.setattr(gpu_day, "run", run)
    arguments = argparse.Namespace(**{**vars(ALONE), "output": output})
    assert gpu_day.measure(arguments, gpu_day.TABLES) == 0
    assert seen == list(range(len(gpu_day.TABLES) - 1))  # the published loop is not at hand
    assert "not measured: it takes --published" in output.read_text()


def test_with_the_published_toolkit_every_comparison_is_given_it(tmp_path):
    arguments = argparse.Namespace(short=False, published=tmp_path, published_python="python3")
    given = [gpu_day.words_of(table, arguments) for table in gpu_day.TABLES]
    assert [("--published" in words) for words in given] == [t.against for t in gpu_day.TABLES]
    assert sum(table.against for table in gpu_day.TABLES) == 2


def test_batches_are_of_many_shapes_and_of_no_more_audio_than_asked():
    shapes = {
        (tuple(waveforms.shape), min(lengths).item())
        for waveforms, lengths in training_speed.batches(40.0, 12)
        if waveforms.numel() <= 40.0 * 16000 + 16 and max(lengths) == waveforms.shape[1]
    }
    assert len(shapes) == 12 and len({rows for (rows, _), _ in shapes}) > 1


def test_the_warm_up_hears_other_lengths_and_is_not_timed():
    heard = []
    runs = {"a": heard.append, "b": lambda files: None}
    seconds = front_end.paired(runs, 2, lambda number: [number], warmup=2)
    assert heard == [[-2], [-3], [0], [1]]
    assert {len(times) for times in seconds.values()} == {2}


@pytest.mark.slow
def test_on_a_cpu_the_short_form_runs_through(tmp_path, monkeypatch):
    output = tmp_path / "day.md"
    monkeypatch.setattr(sys, "argv", ["gpu_day", "--short", "--output", str(output)])
    with pytest.raises(SystemExit) as end:
        gpu_day.main()
    told = output.read_text()
    assert end.value.code in (0, None), told
    for cell in (
        "| w2v_tiny, bf16 | on, rounded | ", "| casts and copies | ", "| w2v_tiny | bf16 | recomp",
        "| native bf16, cuDNN attention, padded | ", "| inference, fp32 | ", "| 8 | 7 x 13 s | cpu",
        "| all | 60/60 | 4 | 40 |",
    ):  # fmt: skip
        assert cell in told, told

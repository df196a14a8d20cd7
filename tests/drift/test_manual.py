"""The commands of the manual's page on drift run as written, on real speech."""

from __future__ import annotations

import csv
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from support.pages import ROOT, commands, page

from drift.__main__ import DEFECT, DRIFTED, INSUFFICIENT, MISTAKE, OK, main

PAGE = page("drift")
COMMANDS = commands(PAGE, "python -m drift ")


def toolkit(*words) -> None:
    subprocess.run([sys.executable, *map(str, words)], cwd=ROOT, check=True, capture_output=True)


def embed(folder: Path, rows: list[dict], name: str) -> None:
    """name.csv (a protocol with dates) and name.npz (its embeddings) in `folder`."""
    for place, row in enumerate(rows):
        row["Date"] = str(np.datetime64("2026-11-01") + place * 14 // len(rows))
    with (folder / f"{name}.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    toolkit(
        "main.py", "analysis", "hparams/w2v_tiny.yaml", "--base_path", folder, "--exp_name", "t",
        "--test_csv", folder / f"{name}.csv", "--score_path", folder / f"{name}_scores.csv",
        "--device", "cpu",
    )  # fmt: skip
    os.replace(folder / f"{name}_scores.npz", folder / f"{name}.npz")


@pytest.fixture(scope="module")
def real_speech(tmp_path_factory):
    """reference and incoming of a hardly trained detector; flite readings arrive."""
    folder = tmp_path_factory.mktemp("real_speech")
    toolkit("-m", "protocols", "make", "asterisk_prompts", "--data_folder", folder / "Data",
            "--output_folder", folder, "--limit", "24")  # fmt: skip
    toolkit(
        "main.py", "hparams/w2v_tiny.yaml", "--base_path", folder, "--exp_name", "t",
        "--train_csv", folder / "train.csv", "--valid_csv", folder / "valid.csv",
        "--optimizer_step_limit", "10", "--valid_step", "10", "--device", "cpu",
    )  # fmt: skip
    rows = list(csv.DictReader((folder / "test.csv").open()))
    known = [row for row in rows if not row["Attack"].startswith("flite")]
    order = np.random.default_rng(0).permutation(len(known))
    cut = 2 * len(known) // 3
    embed(folder, [known[i] for i in order[:cut]], "reference")
    new = [row for row in rows if row["Attack"].startswith("flite")]
    embed(folder, [known[i] for i in order[cut:]] + new, "incoming")
    return folder


def test_the_page_shows_every_verb_and_exit_code():
    assert {words[0] for words in COMMANDS} == {"fit", "compare", "rank"}
    assert all(f"| {code} |" in PAGE for code in (OK, DRIFTED, MISTAKE, INSUFFICIENT, DEFECT))


def stand_in(path: Path, lines: str) -> None:
    path.write_text("#!/bin/sh\n" + lines)
    path.chmod(0o755)


@pytest.mark.parametrize("shell", ["sh", "bash"])
@pytest.mark.parametrize("status", [OK, DRIFTED, MISTAKE, INSUFFICIENT, DEFECT])
def test_the_cron_line_mails_what_this_very_run_said(tmp_path, shell, status):
    line = re.search(r"^0 6 \* \* \*  (.*)$", PAGE, re.M)[1]
    assert "%" not in line  # to cron, a new line
    (tmp_path / "antideepfake").mkdir()
    (tmp_path / "drift.txt").write_text("of yesterday")
    stand_in(tmp_path / "python", f"echo told {status}; echo error {status} >&2; exit {status}\n")
    stand_in(tmp_path / "mail", 'echo "$@" > mailed; cat >> mailed\n')
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    subprocess.run([shell, "-c", line], cwd=tmp_path, env={"PATH": path}, check=True)
    mailed = tmp_path / "mailed"
    if status == OK:
        assert not mailed.exists()
    else:
        said = f"-s drift: {status} ops\ntold {status}\nerror {status}\n"
        assert mailed.read_text() == said


@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_the_cron_line_mails_that_it_could_not_start(tmp_path, shell):
    line = re.search(r"^0 6 \* \* \*  (.*)$", PAGE, re.M)[1]
    stand_in(tmp_path / "mail", 'echo "$@" > mailed; cat >> mailed\n')
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    subprocess.run([shell, "-c", line], cwd=tmp_path, env={"PATH": path}, check=True)
    assert "antideepfake" in (tmp_path / "mailed").read_text()


@pytest.mark.slow
@pytest.mark.needs("speech", "pyworld")
def test_the_commands_run_on_real_speech(real_speech, monkeypatch, capsys):
    monkeypatch.chdir(real_speech)
    for words in COMMANDS:
        status = main(words)
        told = capsys.readouterr()
        # a drifted set is what they are run on; a mistake (2) or too little data (3) is not
        assert status in ((0, 1) if words[0] == "compare" else (0,)), (words, told.err)
        assert told.out and not told.err
    assert Path("drift.html").stat().st_size > 10_000 and Path("drift.json").is_file()

"""Every verb on a disk that takes no more: one sentence, status 2, and no part left behind."""

import errno
import os
import re
from pathlib import Path

import numpy as np
import pytest
from support.corpus import make_corpus
from support.drift_world import World
from support.evaluation import normals, write_scores

import evaluation
from augment.__main__ import main as augment
from dataio import whole_files
from drift.__main__ import main as drift
from protocols.__main__ import main as protocols

VERBS = {
    "evaluation --json": (evaluation.main, "a.csv --json out"),
    "evaluation --csv": (evaluation.main, "a.csv --csv out"),
    "evaluation --markdown": (evaluation.main, "a.csv --markdown out"),
    "evaluation --latex": (evaluation.main, "a.csv --latex out"),
    "evaluation --report": (evaluation.main, "a.csv --bootstrap 0 --report out"),
    "evaluation --plots": (evaluation.main, "a.csv --bootstrap 0 --plots outdir"),
    "evaluation --export": (evaluation.main, "a.csv --export speech_spoof_bench=out"),
    "calibrate": (evaluation.main, "calibrate a.csv --output out"),
    "fuse": (evaluation.main, "fuse a.csv b.csv --apply a.csv b.csv --output out.csv"),
    "drift fit": (drift, "fit e.npz --output out"),
    "drift compare --json": (drift, "compare ref.npz f.npz --json out"),
    "drift compare --report": (drift, "compare ref.npz f.npz --report out"),
    "drift rank": (drift, "rank ref.npz f.npz --output out"),
    "preview": (augment, "preview Data/Toy/train/001.wav --output outdir --seconds 0.2"),
    "protocols filelist": (
        protocols,
        "filelist Own --data_folder Data --list list.txt --output out.csv --no_cache --workers 1",
    ),
    "merge": (protocols, "merge --train protocols/train.csv --output_folder outdir"),
    "check --json": (
        protocols,
        "check protocols/test.csv --data_folder Data --headers_only --workers 1 --json out",
    ),
    "check --findings": (
        protocols,
        "check protocols/test.csv --data_folder Data --headers_only --workers 1 --findings out",
    ),
    "leakage": (
        protocols,
        "leakage --train protocols/train.csv --test protocols/test.csv --compare ids --json out",
    ),
}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = make_corpus(tmp_path_factory.mktemp("full"), train=6, valid=4, test=4)
    rng = np.random.default_rng(0)
    values, labels = normals(rng, 60)
    for name in ("a.csv", "b.csv"):
        write_scores(folder / name, values + rng.normal(size=60), labels)
    world = World(3)
    for name in ("e", "f"):
        sample = world.draw(90, rng, name=name)
        np.savez(
            folder / f"{name}.npz",
            ids=sample.ids,
            embeddings=sample.embeddings,
            logits=sample.logits,
        )
    files = sorted((folder / "Data").rglob("*.wav"))
    lines = [f"{p.relative_to(folder / 'Data')} {'real' if i % 2 else 'fake'}" for i, p in
             enumerate(files)]  # fmt: skip
    (folder / "list.txt").write_text("\n".join(lines) + "\n")
    assert drift(["fit", str(folder / "e.npz"), "--output", str(folder / "ref.npz")]) == 0
    return folder


@pytest.fixture
def full(monkeypatch):
    def write(self, data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(whole_files._Guarded, "_write", write)


def files_of(folder: Path) -> set[str]:
    return {str(path) for path in folder.rglob("*") if path.is_file()}


SLOW = {"evaluation --report", "evaluation --plots", "preview", "check --findings", "leakage"}


@pytest.mark.parametrize(
    "verb", [pytest.param(v, marks=pytest.mark.slow) if v in SLOW else v for v in VERBS]
)
def test_a_full_disk_is_one_sentence_and_leaves_no_part(place, full, verb, monkeypatch, capsys):
    command, words = VERBS[verb]
    monkeypatch.chdir(place)
    before = files_of(place)
    status = command(words.split())
    told = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error")]
    assert status == 2 and len(told) == 1
    assert re.fullmatch(
        r"error: cannot write \S+ \(No space left on device\): free some .*", told[0]
    )
    assert files_of(place) == before


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
def test_a_screen_that_goes_to_a_full_disk_is_one_sentence(place, capsys, monkeypatch):
    monkeypatch.chdir(place)
    with open("/dev/full", "w") as screen:
        monkeypatch.setattr("sys.stdout", screen)
        status = evaluation.main(["a.csv"])
        monkeypatch.undo()
    told = capsys.readouterr().err
    assert status == 2 and told.startswith("error: cannot write its output (No space left")

"""The score files of docs/evaluation.md: two made-up detectors, always the same.

    python -m tests.metrics.example_scores FOLDER

A.csv and B.csv are their scores of a test set, A_dev.csv and B_dev.csv of a development set, T.csv
is the protocol of the test set. B errs more; attack A06 is hard, ITW harder than ASV19LA.
"""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

import numpy as np

from dataio.schema import COLUMNS
from dataio.scores import HEADER, score_row

FILES = 2000
SHIFT = {"A01": 0.0, "A02": 0.3, "A03": 0.6, "A04": 1.0, "A05": 1.5, "A06": 2.5}
CHECKPOINTS = {"A": "5f0c" * 16, "B": "b27d" * 16}


def write_example(folder: Path) -> None:
    """All files of the example."""
    for number, part in enumerate(("", "_dev")):
        rng = np.random.default_rng(number)
        rows = [_draw(rng, i) for i in range(FILES)]
        for name, spread in (("A", 1.0), ("B", 1.6)):
            _write_scores(folder / f"{name}{part}.csv", rows, spread * rng.normal(size=FILES))
            meta = {"model": "example", "checkpoint_sha256": CHECKPOINTS[name]}
            (folder / f"{name}{part}.meta.json").write_text(json.dumps(meta))
        if not part:
            _write_protocol(folder / "T.csv", rows)


def _draw(rng: np.random.Generator, number: int) -> dict:
    subset = ("ASV19LA", "ITW")[number % 2]
    real = bool(rng.random() < 0.35)
    attack = "-" if real else str(rng.choice(list(SHIFT)))
    score = (3.0 if real else -3.0 + SHIFT[attack]) + 1.4 * rng.normal()
    return {
        "ID": f"{subset}-utt_{number:05d}",
        "Label": "real" if real else "fake",
        "Attack": attack,
        "Speaker": f"spk{rng.integers(20):02d}",
        "Language": str(rng.choice(["DE", "EN", "FR"])),
        "Path": f"$ROOT/{subset}/utt_{number:05d}.wav",
        "score": score - 0.6 * (subset == "ITW"),
    }


def _write_scores(path: Path, rows: list[dict], noise: np.ndarray) -> None:
    with open(path, "w", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(HEADER)
        for row, error in zip(rows, noise.tolist(), strict=True):
            half = round((row["score"] + error) / 2, 6)
            writer.writerow(score_row(row["ID"], (-half, half), int(row["Label"] == "real")))


def _write_protocol(path: Path, rows: list[dict]) -> None:
    fixed = {
        "Duration": "3.00", "SampleRate": 16000, "Proportion": "test",
        "AudioChannel": 1, "AudioEncoding": "PCM_S", "AudioBitSample": 16,
    }  # fmt: skip
    with open(path, "w", newline="") as stream:
        writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n", extrasaction="ignore")
        writer.writeheader()
        writer.writerows({**fixed, **row} for row in rows)


if __name__ == "__main__":
    write_example(Path(sys.argv[1]))

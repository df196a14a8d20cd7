"""A corpus of a few seconds that a tiny detector can learn: tones are real, noises are fake."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import soundfile

from dataio.schema import COLUMNS, SAMPLE_RATE, SEGMENTS, Row


def make_corpus(folder: Path, *, train: int = 18, valid: int = 10, test: int = 10) -> Path:
    """`folder`/Data with wavs of 0.6 to 2 s and `folder`/protocols/{train,valid,test}.csv."""
    rng = np.random.default_rng(7)
    (folder / "protocols").mkdir(parents=True)
    for split, count in (("train", train), ("valid", valid), ("test", test)):
        rows = [write_utterance(folder / "Data", split, i, rng) for i in range(count)]
        write_protocol(folder / "protocols" / f"{split}.csv", rows)
    return folder


def write_utterance(data: Path, split: str, number: int, rng: np.random.Generator) -> Row:
    label = "real" if number % 2 else "fake"
    seconds = rng.uniform(0.6, 2.0)
    time = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    if label == "real":
        waveform = 0.3 * np.sin(2 * np.pi * rng.uniform(100, 300) * time)
    else:
        waveform = 0.1 * rng.standard_normal(len(time))
    name = f"Toy/{split}/{number:03d}.wav"
    (data / name).parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(data / name, waveform.astype(np.float32), SAMPLE_RATE)
    path = f"$ROOT/{name}"
    return Row(f"Toy-{split}-{number:03d}", label, len(time) / SAMPLE_RATE, SAMPLE_RATE, path)


def label_parts(corpus: Path) -> Path:
    """The corpus with a `parts` folder of protocols: of each fake file the first half is spoof."""
    (corpus / "parts").mkdir(exist_ok=True)
    lines = []
    for split in ("train", "valid", "test"):
        with (corpus / "protocols" / f"{split}.csv").open(newline="") as stream:
            header, *rows = csv.reader(stream)
        for row in rows:
            half, end, fake = float(row[2]) / 2, float(row[2]), row[1] == "fake"
            first = f"0-{half:.3f}-F/{half:.3f}-{end:.3f}-T" if fake else f"0-{end:.3f}-T"
            lines.append(f"{row[0]} {first} {1 - fake}\n")
        with (corpus / "parts" / f"{split}.csv").open("w", newline="") as stream:
            named = [[*row, "$ROOT/parts.txt"] for row in rows]
            csv.writer(stream).writerows([[*header, SEGMENTS], *named])
    (corpus / "Data" / "parts.txt").write_text("".join(lines))
    return corpus


def write_protocol(path: Path, rows: list[Row]) -> None:
    with path.open("w", newline="") as stream:
        csv.writer(stream).writerows([COLUMNS, *(row.cells() for row in rows)])

"""Whole scoring commands, start-up included, against the published toolkit's own.

    python -m benchmarks.scoring_command [--published CHECKOUT --published_python PYTHON]
    python -m benchmarks.scoring_command --device cuda --precisions fp32 tf32 bf16 --files 2000

Files of 0.8 to 12 s (64: 212 s together), random weights; the published toolkit, always in
float32, is had and the commands take turns as benchmarks/published.py says. Start-up: `main.py
--help`, and one short file scored with w2v_tiny.
"""

from __future__ import annotations

import argparse
import csv
import json
import statistics
import tempfile
from pathlib import Path

import numpy as np

from benchmarks import published as toolkit
from benchmarks.published import Command


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="w2v_small")
    parser.add_argument("--files", type=int, default=64)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precisions", nargs="+", default=["fp32"])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    toolkit.add_options(parser)
    args = parser.parse_args()
    toolkit.heading("torch", "speechbrain")
    with tempfile.TemporaryDirectory() as folder:
        compare(Path(folder), args)
    print(f"\nat the end: {toolkit.load()}")


def compare(folder: Path, args: argparse.Namespace) -> None:
    test_csv, checkpoint = prepare(folder, args.model, args.files)
    words = ["main.py", "inference", f"hparams/{args.model}.yaml", f"--base_path={folder}"]
    words += [f"--test_csv={test_csv}", f"--ckpt_path={checkpoint}", f"--device={args.device}"]
    theirs = folder / "theirs.csv"
    scores = {f"inference, {word}": folder / f"{word}.csv" for word in args.precisions}
    commands = {
        name: Command([*words, f"--score_path={path}", f"--eval_precision={path.stem}"])
        for name, path in scores.items()
    }
    other = toolkit.published(args, *words, f"--score_path={theirs}")
    if other is not None:
        print(toolkit.describe_published(other))
        commands["published inference"] = other
    print(f"\n{args.model}, {args.files} files, {args.threads} threads, {args.rounds} rounds\n")
    toolkit.print_table(toolkit.in_turns(commands, args.rounds, threads=args.threads))
    first = "published" if other is not None else next(iter(scores))
    reference = logits(theirs if other is not None else scores[first])
    for name, path in scores.items():
        if name != first:
            difference = np.abs(logits(path) - reference).max()
            print(f"\nlargest difference of a logit, {name} to {first}: {difference:.1e}")
    one_file = ["main.py", "score", "hparams/w2v_tiny.yaml", str(folder / "Data/00.wav")]
    one_file += [f"--ckpt_path={weights(folder, 'w2v_tiny')}", f"--device={args.device}"]
    start = {
        "`main.py --help`": Command(["main.py", "--help"]),
        "one file, w2v_tiny": Command(one_file),
    }
    print("\n| start-up | seconds |\n|---|--:|")
    for name, runs in toolkit.in_turns(start, args.rounds, threads=args.threads).items():
        print(f"| {name} | {statistics.median(run.clock for run in runs):.2f} |")


def logits(path: Path) -> np.ndarray:
    """(N, 2) of a score file, in the order of its IDs."""
    with path.open(newline="") as stream:
        rows = {row["ID"]: json.loads(row["Score"]) for row in csv.DictReader(stream)}
    return np.array([rows[name] for name in sorted(rows)])


def prepare(folder: Path, model: str, files: int) -> tuple[Path, Path]:
    """Wavs, their protocol and a checkpoint of random weights."""
    import soundfile
    import torch

    from benchmarks.front_end import corpus
    from dataio.schema import SAMPLE_RATE

    (folder / "Data").mkdir()
    rows = []
    for number, waveform in enumerate(corpus(files, torch.Generator().manual_seed(1))):
        name = f"{number:02d}.wav"
        soundfile.write(folder / "Data" / name, waveform.numpy(), SAMPLE_RATE)
        rows.append((f"B-{number:02d}", len(waveform) / SAMPLE_RATE, f"$ROOT/{name}"))
    return protocol(folder / "test.csv", rows), weights(folder, model)


def protocol(path: Path, rows: list[tuple[str, float, str]]) -> Path:
    """A protocol of `(ID, seconds, path)`; every other row is real, as metrics want both."""
    from dataio.schema import COLUMNS, SAMPLE_RATE, Row

    with path.open("w", newline="") as stream:
        cells = [
            Row(name, ("fake", "real")[number % 2], seconds, SAMPLE_RATE, where).cells()
            for number, (name, seconds, where) in enumerate(rows)
        ]
        csv.writer(stream).writerows([COLUMNS, *cells])
    return path


def weights(folder: Path, model: str) -> Path:
    import torch

    from models.detector import build_detector

    torch.manual_seed(1)
    path = folder / f"{model}.ckpt"
    torch.save(build_detector(model).state_dict(), path)
    return path


if __name__ == "__main__":
    main()

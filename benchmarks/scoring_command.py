"""Whole scoring commands, start-up included, against what the published toolkit does.

    python -m benchmarks.scoring_command [--model w2v_small] [--rounds 3] [--threads 2]

64 files of 0.8 to 12 s (212 s together), random weights, CPU. "published" re-states its loop: its
imports (speechbrain, fairseq, pandas), fairseq's own classes, one file at a time, no masks. Both
commands run in turn, each in a process of its own; a ratio is of one pair. Start-up: `main.py
--help`, and one short file scored with w2v_tiny.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.machine import describe

ROOT = Path(__file__).parents[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="w2v_small")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--published", nargs=3, metavar=("CKPT", "CSV", "SCORES"))
    args = parser.parse_args()
    if args.published:
        published(args.model, args.threads, *args.published)
        return
    print(describe("torch", "speechbrain"))
    with tempfile.TemporaryDirectory() as folder:
        compare(Path(folder), args)


def compare(folder: Path, args: argparse.Namespace) -> None:
    csv, checkpoint = prepare(folder, args.model)
    tiny_checkpoint = weights(folder, "w2v_tiny")
    ours = [sys.executable, "main.py", "inference", f"hparams/{args.model}.yaml"]
    ours += [f"--base_path={folder}", f"--test_csv={csv}", f"--ckpt_path={checkpoint}"]
    ours += [f"--score_path={folder / 'ours.csv'}", "--device=cpu"]
    theirs = [sys.executable, "-m", "benchmarks.scoring_command", "--model", args.model]
    theirs += ["--threads", str(args.threads)]
    theirs += ["--published", str(checkpoint), str(csv), str(folder / "theirs.csv")]
    one_file = [sys.executable, "main.py", "score", "hparams/w2v_tiny.yaml"]
    one_file += [str(folder / "Data/00.wav"), f"--ckpt_path={tiny_checkpoint}", "--device=cpu"]
    commands = {
        "inference, 64 files": ours,
        "published, 64 files": theirs,
        "main.py --help": [sys.executable, "main.py", "--help"],
        "first file, w2v_tiny": one_file,
    }
    seconds = {name: [] for name in commands}
    for _ in range(args.rounds):
        for name, command in commands.items():
            seconds[name].append(timed(command, args.threads))
    for name, values in seconds.items():
        print(f"| {name} | {statistics.median(values):.2f} s | {min(values):.2f} s |")
    pairs = zip(seconds["published, 64 files"], seconds["inference, 64 files"], strict=True)
    ratios = sorted(theirs / ours for theirs, ours in pairs)
    print(f"| published / inference, median of pairs | {statistics.median(ratios):.2f} | |")


def timed(command: list[str], threads: int) -> float:
    start = time.perf_counter()
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=environment)
    if run.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{run.stderr[-2000:]}")
    return time.perf_counter() - start


def prepare(folder: Path, model: str) -> tuple[Path, Path]:
    """64 wavs, their protocol and a checkpoint of random weights."""
    import soundfile
    import torch

    from benchmarks.front_end import FILES, corpus
    from dataio.schema import SAMPLE_RATE

    (folder / "Data").mkdir()
    rows = []
    for number, waveform in enumerate(corpus(FILES, torch.Generator().manual_seed(1))):
        name = f"{number:02d}.wav"
        soundfile.write(folder / "Data" / name, waveform.numpy(), SAMPLE_RATE)
        rows.append((f"B-{number:02d}", len(waveform) / SAMPLE_RATE, f"$ROOT/{name}"))
    return protocol(folder, rows), weights(folder, model)


def protocol(folder: Path, rows: list[tuple[str, float, str]]) -> Path:
    import csv

    from dataio.schema import COLUMNS, SAMPLE_RATE, Row

    path = folder / "test.csv"
    with path.open("w", newline="") as stream:
        cells = [
            Row(name, "-", seconds, SAMPLE_RATE, where).cells() for name, seconds, where in rows
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


def published(model: str, threads: int, checkpoint: str, csv: str, scores: str) -> None:
    """The published loop: every import it makes, fairseq's classes, one file at a time."""
    import pandas
    import soundfile
    import speechbrain  # noqa: F401
    import torch
    import torch.nn.functional as F
    import torchaudio  # noqa: F401

    from models.detector import build_detector

    torch.set_num_threads(threads)
    detector = build_detector(model, engine="fairseq", mask_padding=False).eval()
    detector.load_state_dict(torch.load(checkpoint))
    table = pandas.read_csv(csv)
    lines = []
    root = str(Path(csv).parent / "Data")
    with torch.no_grad():
        for name, where in zip(table["ID"], table["Path"], strict=True):
            waveform, _ = soundfile.read(where.replace("$ROOT", root), dtype="float32")
            waveform = torch.from_numpy(waveform)
            logits = detector(F.layer_norm(waveform, waveform.shape)[None]).logits[0]
            lines.append((name, logits.tolist(), "-"))
    pandas.DataFrame(lines, columns=["ID", "Score", "Label"]).to_csv(scores, index=False)


if __name__ == "__main__":
    main()

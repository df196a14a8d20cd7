"""Training throughput and memory of every model on a GPU, and against the published loop.

    python -m benchmarks.training_speed              # all seven models, batches of 100 s, bf16
    python -m benchmarks.training_speed --published CHECKOUT --published_python PYTHON \
        --device cpu --models w2v_small --batch_seconds 16    # whole commands, against published
    python -m benchmarks.training_speed --device cpu --models w2v_tiny --batch_seconds 8

Random weights, synthetic audio in pieces of 10 to 13 s, AdamW, one process. How the published
toolkit is had: benchmarks/published.py. Without a CUDA device the first prints "not measured".
"""

from __future__ import annotations

import argparse
import csv
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
import torch.nn.functional as F

from benchmarks import published as toolkit
from benchmarks.front_end import noise, pad
from benchmarks.machine import describe
from models.detector import Detector, build_detector
from models.precision import autocast

SEVEN = ["w2v_small", "w2v_large", "mms_300m", "mms_1b", "xlsr_1b", "xlsr_2b", "hubert_xtralarge"]
CARDS = (24, 48, 80, 141)  # GB


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--models", nargs="+", default=SEVEN)
    parser.add_argument("--batch_seconds", type=float, default=100.0)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--files", type=int, default=24, help="of a pass, against published")
    parser.add_argument("--threads", type=int, default=2)
    toolkit.add_options(parser)
    args = parser.parse_args()
    print(describe("torch"))
    if args.device == "cuda" and not torch.cuda.is_available():
        print("not measured: no CUDA device at hand")
        return
    if args.published:
        against_published(args)
        return
    print("| model | precision | activations | audio-s/s | peak memory, GB | fits |")
    print("|---|---|---|--:|--:|---|")
    for model in args.models:
        for recompute in (False, True):
            print(row_of(model, recompute, args), flush=True)


def row_of(model: str, recompute: bool, args: argparse.Namespace) -> str:
    kept = "recomputed" if recompute else "kept"
    try:
        detector = build_detector(model).to(args.device)
        detector.set_activation_checkpointing(recompute)
        seconds, memory = measure(detector, "bf16", args)
    except torch.OutOfMemoryError:
        return f"| {model} | bf16 | {kept} | out of memory | | |"
    rate = args.batch_seconds / seconds
    if memory is None:
        return f"| {model} | bf16 | {kept} | {rate:.0f} | not measured | |"
    fits = ", ".join(str(card) for card in CARDS if memory < 0.95 * card)
    return f"| {model} | bf16 | {kept} | {rate:.0f} | {memory:.1f} | {fits} GB |"


def against_published(args: argparse.Namespace) -> None:
    """Training commands of both toolkits: the seconds between one pass over the data and two.

    Start-up, the loading of weights and what comes at a run's end fall out of the difference. Both
    train in float32 (the published "fp16" has no autocast), with RawBoost 5 and loader workers, and
    each cuts its own batches; seconds are the clock's on a GPU, those of all processors on a CPU.
    """
    model = args.models[0] if len(args.models) == 1 else "w2v_small"
    which = "processor" if args.device == "cpu" else "clock"
    with tempfile.TemporaryDirectory() as folder:
        words = training_words(Path(folder), model, args)
        other = toolkit.published(args)
        if other is None:
            return
        audio = sum(
            float(row["Duration"]) for row in csv.DictReader((Path(folder) / "train.csv").open())
        )
        print(toolkit.describe_published(other), f"\n\n{model}, {args.device}, {toolkit.load()}\n")
        ours = toolkit.Command([])
        passes: dict[str, list[float]] = {"training": [], "published training": []}
        for number in range(args.rounds):
            for name in list(passes)[:: -1 if number % 2 else 1]:
                who = ours if name == "training" else other
                one, two = (
                    toolkit.run(
                        replace(who, words=words(count, f"{name}{number}{count}")),
                        threads=args.threads,
                    )
                    for count in (1, 2)
                )
                passes[name].append(getattr(two, which) - getattr(one, which))
    print(f"| {model}, {audio:.0f} s of audio | {which} seconds a pass |\n|---|--:|")
    for name, values in passes.items():
        print(f"| {name} | {statistics.median(values):.1f} |")
    print(f"| ratio, median of pairs | {toolkit.ratio(*list(passes.values())[::-1]):.2f} |")


def training_words(folder: Path, model: str, args: argparse.Namespace) -> Callable:
    """`main.py` words that both toolkits take, for a run of so many passes into a folder.

    The published loop knows no end but its last pass: at its step limit it goes on through empty
    ones, saying so in each.
    """
    from benchmarks.scoring_command import prepare, protocol

    test_csv, checkpoint = prepare(folder, model, args.files)
    rows = list(csv.DictReader(test_csv.open()))
    short = [row for row in rows if float(row["Duration"]) < 2][:4]
    listed = {"train": rows, "valid": short}
    for name, chosen in listed.items():
        protocol(
            folder / f"{name}.csv",
            [(row["ID"], float(row["Duration"]), row["Path"]) for row in chosen],
        )

    def words(passes: int, name: str) -> list[str]:
        options = {
            "base_path": folder, "exp_name": name.replace(" ", "_"), "protocol_folder": folder,
            "ckpt_path": checkpoint, "device": args.device, "precision": "fp32", "num_workers": 2,
            "max_batch_length": args.batch_seconds, "number_of_epochs": passes,
            "valid_step": 1_000_000, "warmup": 1, "num_buckets": 3,
        }  # fmt: skip
        return [
            "main.py",
            f"hparams/{model}.yaml",
            *(f"--{key}={value}" for key, value in options.items()),
        ]

    return words


def measure(
    detector: Detector, precision: str, args: argparse.Namespace, rounds: int | None = None
) -> tuple[float, float | None]:
    """Median seconds of a step (forward, loss, backward, AdamW) and the peak memory in GB."""
    device = torch.device(args.device)
    detector.train()
    optimizer = torch.optim.AdamW(detector.detection_parameters(), lr=1e-7)
    waveforms, lengths = batch(args.batch_seconds)
    labels = (torch.arange(len(lengths)) % 2).to(device)
    waveforms = waveforms.to(device)
    cuda = device.type == "cuda"
    if cuda:
        torch.cuda.reset_peak_memory_stats()
    times = []
    for _ in range((rounds or args.rounds) + 1):  # the first warms up
        start = time.perf_counter()
        with autocast(device.type, precision):
            logits = detector(waveforms, lengths).logits
            loss = F.cross_entropy(logits, labels)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if cuda:
            torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    memory = torch.cuda.max_memory_allocated() / 1e9 if cuda else None
    return statistics.median(times[1:]), memory


def batch(total: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Pieces of 10 to 13 s (shorter when `total` is), `total` seconds together."""
    generator = torch.Generator().manual_seed(1)
    count = max(1, round(total / 11.5))
    lengths = torch.linspace(0.87, 1.13, count) * (total / count)
    return pad([noise(float(seconds), generator) for seconds in lengths])


if __name__ == "__main__":
    main()

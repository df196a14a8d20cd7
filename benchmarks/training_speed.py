"""Training throughput and memory of every model on a GPU, and against the published loop.

    python -m benchmarks.training_speed [--precisions bf16 fp16]    # seven models, batches of 100 s
    python -m benchmarks.training_speed --attention --models mms_300m --steps 500
    python -m benchmarks.training_speed --published CHECKOUT --published_python PYTHON \
        --device cpu --models w2v_small --batch_seconds 16    # whole commands, against published
    python -m benchmarks.training_speed --device cpu --models w2v_tiny --batch_seconds 8

Random weights, synthetic audio in pieces of 9 to 14 s, the toolkit's own step with AdamW, one
process. Every batch has a size and lengths of its own, as buckets of speech have, the `--warmup`
first ones too, which are not timed. `--attention` tells what a new (batch, frames) costs: cuDNN's
attention, off in the toolkit, plans each. The published toolkit: benchmarks/published.py. Without
a CUDA device the first two print "not measured".
"""

from __future__ import annotations

import argparse
import csv
import functools
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks import published as toolkit
from benchmarks.front_end import noise, pad
from benchmarks.machine import describe
from dataio.schema import SAMPLE_RATE
from models.detector import Detector, build_detector
from models.precision import autocast
from models.training.optimizer import make_optimizer
from models.training.step import Step, StepSums, read

SEVEN = ["w2v_small", "w2v_large", "mms_300m", "mms_1b", "xlsr_1b", "xlsr_2b", "hubert_xtralarge"]
CARDS = (24, 48, 80, 141)  # GB
ROUNDED = 16  # frames
# cuDNN's attention and `pad_to_frames`, the slowest last: it may meet its time limit.
ATTENTION = {"off": (False, 1), "off, rounded": (False, ROUNDED),
             "on, rounded": (True, ROUNDED), "on": (True, 1)}  # fmt: skip


class Steps(NamedTuple):
    """Steps after the warm-up: seconds and audio of each, their shapes, peak memory in GB."""

    seconds: list[float]
    audio: list[float]
    shapes: set[tuple[int, int]]
    memory: float | None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--models", nargs="+", default=SEVEN)
    parser.add_argument("--batch_seconds", type=float, default=100.0)
    parser.add_argument("--precisions", nargs="+", default=["bf16"])
    parser.add_argument("--steps", type=int, default=20, help="timed, for each row")
    parser.add_argument("--warmup", type=int, default=5, help="steps before, not timed")
    parser.add_argument("--pad_to_frames", type=int, default=1)
    parser.add_argument("--attention", action="store_true", help="cuDNN's: on, off, rounded")
    parser.add_argument("--rounds", type=int, default=5, help="pairs, against published")
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
    print(f"{args.steps} steps after {args.warmup} that warm up, each of a size of its own\n")
    (attention_table if args.attention else table)(args)


def table(args: argparse.Namespace) -> None:
    print("| model | precision | activations | audio-s/s | peak memory, GB | fits |")
    print("|---|---|---|--:|--:|---|")
    for model in args.models:
        for precision in args.precisions:
            for recompute in (False, True):
                print(row_of(model, precision, recompute, args), flush=True)


def row_of(model: str, precision: str, recompute: bool, args: argparse.Namespace) -> str:
    head = f"| {model} | {precision} | {'recomputed' if recompute else 'kept'} |"
    try:
        detector = build_detector(model).to(args.device)
        detector.set_activation_checkpointing(recompute)
        steps = measure(detector, precision, args, pad_to_frames=args.pad_to_frames)
    except torch.OutOfMemoryError:
        return f"{head} out of memory | | |"
    rate = sum(steps.audio) / sum(steps.seconds)
    if steps.memory is None:
        return f"{head} {rate:.0f} | not measured | |"
    fits = ", ".join(str(card) for card in CARDS if steps.memory < 0.95 * card)
    return f"{head} {rate:.0f} | {steps.memory:.1f} | {fits} GB |"


def attention_table(args: argparse.Namespace) -> None:
    print(
        "| model, precision | cuDNN attention | shapes | mean step, s | median | slowest |", end=""
    )
    print(" audio-s/s |\n|---|---|--:|--:|--:|--:|--:|")
    for model in args.models:
        for precision in args.precisions:
            detector = build_detector(model).to(args.device)
            for name, (cudnn, multiple) in ATTENTION.items():
                steps = measure(detector, precision, args, pad_to_frames=multiple, cudnn=cudnn)
                took = steps.seconds
                print(
                    f"| {model}, {precision} | {name} | {len(steps.shapes)}"
                    f" | {statistics.fmean(took):.3f} | {statistics.median(took):.3f}"
                    f" | {max(took):.3f} | {sum(steps.audio) / sum(took):.0f} |",
                    flush=True,
                )


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
    detector: Detector,
    precision: str,
    args: argparse.Namespace,
    *,
    pad_to_frames: int = 1,
    cudnn: bool = False,
) -> Steps:
    """Train on `args.warmup` batches, then on `args.steps` that are timed."""
    device = torch.device(args.device)
    detector.train()
    detector.pad_to_frames = pad_to_frames
    scaler = torch.GradScaler(device.type, enabled=precision == "fp16")
    opt_class = functools.partial(torch.optim.AdamW, lr=1e-7)
    optimizer = make_optimizer(detector, opt_class, remove_vector_weight_decay=False)
    step = Step(optimizer, scaler)
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    steps = Steps([], [], set(), None)
    for number, (waveforms, lengths) in enumerate(
        batches(args.batch_seconds, args.warmup + args.steps)
    ):
        waveforms = waveforms.to(device)
        start = time.perf_counter()
        with autocast(device.type, precision):
            torch.backends.cuda.enable_cudnn_sdp(cudnn)  # which autocast has switched off
            loss = loss_of(detector, waveforms, lengths)
        sums = StepSums(device)
        sums.add(loss, len(lengths), float(lengths.sum()) / SAMPLE_RATE)
        scaler.scale(loss / len(lengths)).backward()
        taken = step.take(sums.over_ranks(0, 0, 0), planned=len(lengths), max_norm=1.0)
        audio = read(taken).seconds  # waits for the device
        if number >= args.warmup:
            steps.seconds.append(time.perf_counter() - start)
            steps.audio.append(audio)
            frames = -(-int(detector.frame_lengths(lengths).max()) // pad_to_frames)
            steps.shapes.add((len(lengths), frames))
    if device.type != "cuda":
        return steps
    return steps._replace(memory=torch.cuda.max_memory_allocated() / 1e9)


def loss_of(detector: Detector, waveforms: Tensor, lengths: Tensor) -> Tensor:
    """Summed over the rows, whose labels take turns."""
    logits = detector(waveforms, lengths.tolist()).logits.float()
    labels = (torch.arange(len(lengths)) % 2).to(logits.device)
    return F.cross_entropy(logits, labels, reduction="sum")


def batches(total: float, count: int) -> Iterator[tuple[Tensor, Tensor]]:
    """`(B, T)` and lengths `(B,)` of batches as buckets make them: pieces of like length, 9 to
    14 s (shorter where `total` is), as many as `total` seconds of padded audio hold.
    """
    generator = torch.Generator().manual_seed(1)
    middle = total / max(1, round(total / 11.5))
    for _ in range(count):
        longest = middle * (0.8 + 0.4 * float(torch.rand((), generator=generator)))
        pieces = max(1, int(total / longest))
        seconds = longest * (0.95 + 0.05 * torch.rand(pieces, generator=generator))
        yield pad([noise(float(s), generator) for s in seconds])


if __name__ == "__main__":
    main()

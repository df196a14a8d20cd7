"""Training throughput and memory of every model on a GPU, and against the published loop.

    python -m benchmarks.training_speed              # all seven models, batches of 100 s, bf16
    python -m benchmarks.training_speed --published  # mms_300m against the published loop
    python -m benchmarks.training_speed --device cpu --models w2v_tiny --batch_seconds 8

Random weights, synthetic audio in pieces of 10 to 13 s, AdamW, one process. "published": fairseq's
classes, no masks, float32 with TF32. Without a CUDA device the first two print "not measured".
"""

from __future__ import annotations

import argparse
import statistics
import time

import torch
import torch.nn.functional as F

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
    parser.add_argument("--published", action="store_true")
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
    """Rounds in turn, ratios of pairs; the model is mms_300m unless one is named."""
    model = args.models[0] if len(args.models) == 1 else "mms_300m"
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    theirs = build_detector(model, engine="fairseq", mask_padding=False).to(args.device)
    ours = build_detector(model).to(args.device)
    pairs = [
        (measure(theirs, "fp32", args, rounds=1)[0], measure(ours, "bf16", args, rounds=1)[0])
        for _ in range(args.rounds)
    ]
    for name, column in (("published loop, fp32 with TF32", 0), ("native, bf16", 1)):
        rate = args.batch_seconds / statistics.median(pair[column] for pair in pairs)
        print(f"| {model} | {name} | {rate:.0f} audio-s/s |")
    ratio = statistics.median(theirs / ours for theirs, ours in pairs)
    print(f"| {model} | ratio, median of pairs | {ratio:.2f} |")


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

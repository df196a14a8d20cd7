"""The native front end against the fairseq engine: scoring and training speed, random weights.

    python -m benchmarks.front_end scoring  [--model w2v_small] [--threads 2] [--rounds 5]
    python -m benchmarks.front_end training [--model w2v_small] [--threads 2] [--rounds 5]
    python -m benchmarks.front_end gpu      [--model mms_300m] [--rounds 5]

Both engines hold the same weights and take turns in one process; a row gives medians over the
rounds and the median of the rounds' ratios, which a busy machine disturbs less than either time.
Scoring: 64 synthetic files of 0.8 to 12 s, 212 s together; fairseq one file at a time (as the
published toolkit does), native in batches of files of like length. Training: a step (forward,
loss, backward, AdamW) on one padded batch with the model's own random drops, masks in both.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.machine import describe
from models.detector import Detector, build_detector
from protocols.schema import SAMPLE_RATE

FILES = 64
SHORTEST, LONGEST = 0.8, 12.0  # seconds
SKEW = 3.46  # bends the quantiles so that the 64 files make 212 s
BATCH_SECONDS = {"cpu": 16.0, "cuda": 200.0}  # padded audio in one native batch
TRAINING_SECONDS = (6.0, 5.5, 5.0, 4.0, 3.5)


def corpus(generator: torch.Generator) -> list[Tensor]:
    """64 waveforms `(T,)` of noise with a slow envelope, in random order of length."""
    quantiles = torch.linspace(0, 1, FILES) ** SKEW
    seconds = SHORTEST + (LONGEST - SHORTEST) * quantiles
    order = torch.randperm(FILES, generator=generator)
    return [noise(float(s), generator) for s in seconds[order]]


def noise(seconds: float, generator: torch.Generator) -> Tensor:
    x = torch.randn(round(seconds * SAMPLE_RATE), generator=generator)
    return 0.1 * x * (1.2 + torch.sin(torch.arange(len(x)) / 900.0))


def pad(files: list[Tensor]) -> tuple[Tensor, Tensor]:
    """`(B, T)` and lengths `(B,)`."""
    lengths = torch.tensor([len(file) for file in files])
    return torch.nn.utils.rnn.pad_sequence(files, batch_first=True), lengths


def batches_by_length(files: list[Tensor], seconds: float) -> list[list[int]]:
    """Indices of files, longest first, in batches of at most `seconds` of padded audio."""
    batches: list[list[int]] = []
    for index in sorted(range(len(files)), key=lambda i: -len(files[i])):
        room = batches and (len(batches[-1]) + 1) * len(files[batches[-1][0]])
        if batches and room <= seconds * SAMPLE_RATE:
            batches[-1].append(index)
        else:
            batches.append([index])
    return batches


def engines(model: str) -> dict[str, Detector]:
    native = build_detector(model)
    fairseq = build_detector(model, engine="fairseq")
    fairseq.load_state_dict(native.state_dict())
    return {"fairseq": fairseq, "native": native}


@torch.inference_mode()
def score(detector: Detector, files: list[Tensor], batches: list[list[int]], device: str) -> Tensor:
    """Logits `(N, 2)` on the CPU, in the order of `files`."""
    logits = torch.empty(len(files), 2)
    for batch in batches:
        waveforms, lengths = pad([files[index] for index in batch])
        logits[batch] = detector(waveforms.to(device), lengths).logits.cpu()
    return logits


def paired(runs: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Seconds of each run in each round, the order turned about from one round to the next."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for name in runs:
        runs[name]()  # warm
    for number in range(rounds):
        for name in list(runs)[:: -1 if number % 2 else 1]:
            start = time.perf_counter()
            runs[name]()
            seconds[name].append(time.perf_counter() - start)
    return seconds


def report(seconds: dict[str, list[float]], per_second: float, unit: str) -> None:
    """A Markdown table: each run's median, its speed, and how much faster than the first it is."""
    reference = next(iter(seconds.values()))
    print(f"| engine | seconds | {unit} | speed-up |\n|---|--:|--:|--:|")
    for name, times in seconds.items():
        ratio = statistics.median(a / b for a, b in zip(reference, times, strict=True))
        middle = statistics.median(times)
        print(f"| {name} | {middle:.2f} | {per_second / middle:.2f} | {ratio:.2f} |", flush=True)


def scoring(args: argparse.Namespace) -> None:
    torch.set_num_threads(args.threads)
    files = corpus(torch.Generator().manual_seed(0))
    total = sum(map(len, files)) / SAMPLE_RATE
    print(f"{args.model}, {FILES} files, {total:.0f} s, {args.threads} threads, float32\n")
    detectors = {name: detector.eval() for name, detector in engines(args.model).items()}
    alone = [[index] for index in range(FILES)]
    batched = batches_by_length(files, args.batch_seconds or BATCH_SECONDS["cpu"])
    runs = {
        "fairseq, one by one": lambda: score(detectors["fairseq"], files, alone, "cpu"),
        "native, one by one": lambda: score(detectors["native"], files, alone, "cpu"),
        "native, by length": lambda: score(detectors["native"], files, batched, "cpu"),
    }
    report(paired(runs, args.rounds), FILES, "files/s")
    reference, ours = runs["fairseq, one by one"](), runs["native, by length"]()
    print(f"\nlargest difference of a logit: {(reference - ours).abs().max():.1e}")


def training(args: argparse.Namespace) -> None:
    torch.set_num_threads(args.threads)
    generator = torch.Generator().manual_seed(0)
    waveforms, lengths = pad([noise(seconds, generator) for seconds in TRAINING_SECONDS])
    labels = torch.arange(len(lengths)) % 2
    total = sum(TRAINING_SECONDS)
    print(f"{args.model}, a step on {len(lengths)} files, {total:.0f} s, {args.threads} threads\n")

    def stepper(detector: Detector) -> Callable[[], None]:
        optimizer = torch.optim.AdamW(detector.detection_parameters(), lr=1e-7, foreach=True)

        def step() -> None:
            optimizer.zero_grad()
            F.cross_entropy(detector(waveforms, lengths).logits, labels).backward()
            optimizer.step()

        return step

    runs = {name: stepper(detector.train()) for name, detector in engines(args.model).items()}
    report(paired(runs, args.rounds), total, "s of audio/s")


def gpu(args: argparse.Namespace) -> None:
    if not torch.cuda.is_available():
        print(f"{args.model} on a GPU: not measured (no CUDA device)")
        return
    files = corpus(torch.Generator().manual_seed(0))
    print(f"{args.model}, {FILES} files, {torch.cuda.get_device_name()}\n")
    detectors = {name: d.eval().cuda() for name, d in engines(args.model).items()}
    alone = [[index] for index in range(FILES)]
    batched = batches_by_length(files, args.batch_seconds or BATCH_SECONDS["cuda"])

    def native(dtype: torch.dtype | None) -> Tensor:
        with torch.autocast("cuda", dtype or torch.bfloat16, enabled=dtype is not None):
            return score(detectors["native"], files, batched, "cuda")

    runs = {
        "fairseq float32, one by one": lambda: score(detectors["fairseq"], files, alone, "cuda"),
        "native float32, by length": lambda: native(None),
        "native bf16, by length": lambda: native(torch.bfloat16),
    }
    report(paired(runs, args.rounds), FILES, "files/s")
    reference = runs["fairseq float32, one by one"]()
    for name in list(runs)[1:]:
        difference = (reference - runs[name]()).abs().max()
        print(f"\nlargest difference of a logit, {name}: {difference:.1e}")


TABLES = {"scoring": (scoring, "w2v_small"), "training": (training, "w2v_small"),
          "gpu": (gpu, "mms_300m")}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("table", choices=TABLES)
    parser.add_argument("--model", help="default: w2v_small, on a GPU mms_300m")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batch-seconds", type=float, help="padded audio in a native batch")
    args = parser.parse_args()
    table, model = TABLES[args.table]
    args.model = args.model or model
    print(describe("torch"), end="\n\n")
    table(args)


if __name__ == "__main__":
    main()

"""The native front end against the fairseq engine: scoring and training speed, random weights.

    python -m benchmarks.front_end scoring  [--model w2v_small] [--threads 2] [--rounds 5]
    python -m benchmarks.front_end training [--model w2v_small] [--threads 2] [--rounds 5]
    python -m benchmarks.front_end gpu      [--model mms_300m] [--rounds 5] [--warmup 1]

Both engines hold the same weights and take turns in one process; a row gives medians over the
rounds and the median of the rounds' ratios, which a busy machine disturbs less than either time.
Scoring: 64 synthetic files of 0.8 to 12 s, 212 s together, of other lengths in each round, as real
files have; fairseq one file at a time (as the published toolkit does), native in batches of files
of like length; on a GPU in every precision, and with cuDNN's attention, which plans each new
(batch, frames). Training: a step (forward, loss, backward, AdamW) on one padded batch with the
model's own random drops, masks in both. `--warmup` rounds of other lengths are not timed; without
them each engine warms up on two files.
"""

from __future__ import annotations

import argparse
import importlib.util
import statistics
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.machine import describe
from dataio.schema import SAMPLE_RATE
from models.detector import Detector, build_detector
from models.precision import autocast

FILES = 64
SHORTEST, LONGEST = 0.8, 12.0  # seconds
SKEW = 3.46  # bends the quantiles so that the 64 files make 212 s
BATCH_SECONDS = {"cpu": 16.0, "cuda": 200.0}  # padded audio in one native batch
TRAINING_SECONDS = (6.0, 5.5, 5.0, 4.0, 3.5)


def corpus(count: int, generator: torch.Generator) -> list[Tensor]:
    """Waveforms `(T,)` of noise with a slow envelope, in random order of length.

    Lengths are quantiles of one distribution, each moved by up to 1 % by the generator.
    """
    quantiles = torch.linspace(0, 1, count) ** SKEW
    seconds = SHORTEST + (LONGEST - SHORTEST) * quantiles
    seconds = seconds * (1 - 0.01 * torch.rand(count, generator=generator))
    order = torch.randperm(count, generator=generator)
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
def score(detector: Detector, files: list[Tensor], batches: list[list[int]]) -> Tensor:
    """Logits `(N, 2)` on the CPU, in the order of `files`."""
    logits = torch.empty(len(files), 2)
    device = detector.proj_fc.weight.device
    for batch in batches:
        waveforms, lengths = pad([files[index] for index in batch])
        logits[batch] = detector(waveforms.to(device), lengths).logits.cpu()
    return logits


def one_by_one(files: list[Tensor]) -> list[list[int]]:
    return [[index] for index in range(len(files))]


def paired(
    runs: dict[str, Callable[[list[Tensor]], object]],
    rounds: int,
    make_input: Callable[[int], list[Tensor]],
    warmup: int = 0,
) -> dict[str, list[float]]:
    """Seconds of each run in each round, the order turned about from one round to the next."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for name in runs:
        for files in [make_input(-2 - n) for n in range(warmup)] or [make_input(-1)[:2]]:
            runs[name](files)
    for number in range(rounds):
        files = make_input(number)
        for name in list(runs)[:: -1 if number % 2 else 1]:
            start = time.perf_counter()
            runs[name](files)
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


def compare_scoring(runs: dict[str, Callable], args: argparse.Namespace) -> None:
    """Times `runs` on the corpus; then how far their logits are from the first one's."""

    def make_files(number: int) -> list[Tensor]:
        return corpus(args.files, torch.Generator().manual_seed(10 + number))

    report(paired(runs, args.rounds, make_files, args.warmup), args.files, "files/s")
    files = make_files(0)[:8]
    reference, *others = (run(files) for run in runs.values())
    for name, logits in zip(list(runs)[1:], others, strict=True):
        print(f"\nlargest difference of a logit, {name}: {(reference - logits).abs().max():.1e}")


def scoring(args: argparse.Namespace) -> None:
    torch.set_num_threads(args.threads)
    print(f"{args.model}, {args.files} files, {args.threads} threads, float32\n")
    detectors = {name: detector.eval() for name, detector in engines(args.model).items()}
    fairseq, native = detectors["fairseq"], detectors["native"]
    seconds = args.batch_seconds or BATCH_SECONDS["cpu"]
    runs = {
        "fairseq, one by one": lambda files: score(fairseq, files, one_by_one(files)),
        "native, one by one": lambda files: score(native, files, one_by_one(files)),
        "native, by length": lambda f: score(native, f, batches_by_length(f, seconds)),
    }
    compare_scoring(runs, args)


def training(args: argparse.Namespace) -> None:
    torch.set_num_threads(args.threads)
    total = sum(TRAINING_SECONDS)
    count = len(TRAINING_SECONDS)
    print(
        f"{args.model}, a step on {count} files, {total:.0f} s, {args.threads} threads, float32\n"
    )

    def stepper(detector: Detector) -> Callable[[list[Tensor]], None]:
        optimizer = torch.optim.AdamW(detector.detection_parameters(), lr=1e-7, foreach=True)

        def step(files: list[Tensor]) -> None:
            optimizer.zero_grad()
            labels = torch.arange(len(files)) % 2
            F.cross_entropy(detector(*pad(files)).logits, labels).backward()
            optimizer.step()

        return step

    def make_files(number: int) -> list[Tensor]:
        generator = torch.Generator().manual_seed(10 + number)
        return [noise(seconds - 0.02 * number, generator) for seconds in TRAINING_SECONDS]

    runs = {name: stepper(detector.train()) for name, detector in engines(args.model).items()}
    report(paired(runs, args.rounds, make_files, args.warmup), total, "s of audio/s")


def gpu(args: argparse.Namespace) -> None:
    if args.device == "cuda" and not torch.cuda.is_available():
        print(f"{args.model} on a GPU: not measured (no CUDA device)")
        return
    name = torch.cuda.get_device_name() if args.device == "cuda" else args.device
    print(f"{args.model}, {args.files} files, {name}; {args.warmup} + {args.rounds} rounds\n")
    if importlib.util.find_spec("fairseq"):
        detectors = engines(args.model)
    else:
        print("fairseq is not installed: not measured\n")
        detectors = {"native": build_detector(args.model)}
    detectors = {name: each.eval().to(args.device) for name, each in detectors.items()}
    seconds = args.batch_seconds or BATCH_SECONDS[args.device]

    def native(precision: str, *, cudnn: bool = False, multiple: int = 1) -> Callable:
        def run(files: list[Tensor]) -> Tensor:
            detectors["native"].pad_to_frames = multiple
            with autocast(args.device, precision):
                torch.backends.cuda.enable_cudnn_sdp(cudnn)  # which autocast has switched off
                return score(detectors["native"], files, batches_by_length(files, seconds))

        return run

    def alone(engine: str) -> Callable:
        def run(files: list[Tensor]) -> Tensor:
            with autocast(args.device, "fp32"):
                return score(detectors[engine], files, one_by_one(files))

        return run

    runs = {f"{engine} fp32, one by one": alone(engine) for engine in detectors}
    runs |= {f"native {word}, by length": native(word) for word in ("fp32", "tf32", "bf16", "fp16")}
    runs |= {
        "native bf16, padded to 16 frames": native("bf16", multiple=16),
        "native bf16, cuDNN attention": native("bf16", cudnn=True),
        "native bf16, cuDNN attention, padded": native("bf16", cudnn=True, multiple=16),
    }
    compare_scoring(runs, args)


TABLES = {"scoring": (scoring, "w2v_small"), "training": (training, "w2v_small"),
          "gpu": (gpu, "mms_300m")}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("table", choices=TABLES)
    parser.add_argument("--model", help="default: w2v_small, on a GPU mms_300m")
    parser.add_argument("--files", type=int, default=FILES, help="of the scoring corpus")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--warmup", type=int, help="rounds before, not timed (on a GPU 1, else 0)")
    parser.add_argument("--device", choices=BATCH_SECONDS, default="cuda", help="of the table gpu")
    parser.add_argument("--batch-seconds", type=float, help="padded audio in a native batch")
    args = parser.parse_args()
    table, model = TABLES[args.table]
    args.model = args.model or model
    if args.warmup is None:
        args.warmup = int(args.table == "gpu")
    print(describe("torch"), end="\n\n")
    table(args)


if __name__ == "__main__":
    main()

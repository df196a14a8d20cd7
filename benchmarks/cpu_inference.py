"""Scoring on a CPU: PyTorch float32 and bf16, ONNX float32 and int8, on one and two threads.

    python -m benchmarks.cpu_inference --folder WORK [--model w2v_small] [--seconds 1 4 10 60]
    python -m benchmarks.cpu_inference --folder WORK --parity [--seconds 0.025 0.5 1 4 10.01 60]

Exports a detector of random weights (or `--ckpt_path`) below WORK, once, through the command a user
types. Speeds are x real time, all engines beside each other in every round, the order turned about;
start-up and memory are those of a process of its own that scores one file of 4 s.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.augmentation_eer import run
from benchmarks.machine import describe
from models.checkpoints import load_detector
from models.detector import build_detector
from models.export.folder import FILES, read_about
from models.export.sounds import sound
from models.precision import autocast

ENGINES = {  # name: engine, file of the exported folder, precision of its autocast
    "PyTorch float32": ("native", "native", "fp32"),
    "PyTorch bf16": ("native", "native", "bf16"),
    "ONNX float32": ("onnx", "onnx_fp32", "fp32"),
    "ONNX int8": ("onnx", "onnx_int8", "fp32"),
}
STARTUP_SECONDS = 4.0
SCORES_ONE = """
import sys, time
started = time.perf_counter()
from benchmarks.cpu_inference import peak_memory, scorer
scorer({name!r}, {folder!r}, {threads})({seconds})
print(time.perf_counter() - started, peak_memory())
"""


def exported(folder: Path, model: str, checkpoint: str | None) -> Path:
    """The exported folder, made if it is not there; random weights without a checkpoint."""
    output = folder / model
    if output.is_dir():
        return output
    if checkpoint is None:
        checkpoint = str(folder / f"{model}.ckpt")
        torch.manual_seed(0)
        torch.save(build_detector(model).state_dict(), checkpoint)
    run(
        "main.py", "export", model, "--ckpt_path", checkpoint, "--output_folder", str(output),
        "--license", "other", "--onnx", "fp32", "int8",
    )  # fmt: skip
    return output


def scorer(name: str, folder: str, threads: int) -> Callable[[float], Tensor]:
    """A function from the seconds of a file to its logits `(1, 2)`."""
    engine, file, precision = ENGINES[name]
    torch.set_num_threads(threads)
    detector, _ = load_detector(
        read_about(Path(folder)).model, Path(folder) / FILES[file], engine=engine
    )

    def score(seconds: float) -> Tensor:
        torch.set_num_threads(threads)
        waveform = torch.from_numpy(sound(seconds, round(1000 * seconds)))[None]
        with torch.inference_mode(), autocast("cpu", precision):
            return detector(waveform).logits.float()

    return score


def peak_memory() -> float:
    """MB of this process at their most (ru_maxrss would count what it was forked from)."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:"))


def start_up(name: str, folder: Path, threads: int) -> tuple[float, float]:
    """Seconds from a process's start to its first score, and MB at their most."""
    code = SCORES_ONE.format(
        name=name, folder=str(folder), threads=threads, seconds=STARTUP_SECONDS
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    seconds, memory = map(float, done.stdout.split())
    return seconds, memory


def speeds(
    scorers: dict[str, Callable[[float], Tensor]], seconds: float, rounds: int
) -> tuple[dict[str, float], dict[str, float], dict[str, float]]:
    """x real time of each, how many times as fast as the first (both medians), and how far its
    logits are from the first's, in parts of the largest of those.
    """
    taken: dict[str, list[float]] = {name: [] for name in scorers}
    logits = {name: score(seconds) for name, score in scorers.items()}  # warm
    for number in range(rounds):
        for name in list(scorers)[:: -1 if number % 2 else 1]:
            start = time.perf_counter()
            scorers[name](seconds)
            taken[name].append(time.perf_counter() - start)
    first = next(iter(scorers))
    real_time = {name: seconds / statistics.median(times) for name, times in taken.items()}
    ratios = {
        name: statistics.median(a / b for a, b in zip(taken[first], times, strict=True))
        for name, times in taken.items()
    }
    largest = logits[first].abs().max()
    changes = {
        n: float((found - logits[first]).abs().max() / largest) for n, found in logits.items()
    }
    return real_time, ratios, changes


def table(folder: Path, threads: int, options: argparse.Namespace) -> None:
    """A row an engine: x real time (and times the first's) by length, start-up, memory, change."""
    scorers = {name: scorer(name, str(folder), threads) for name in ENGINES}
    by_length = {s: speeds(scorers, s, options.rounds) for s in options.seconds}
    heads = " | ".join(f"{s:g} s" for s in options.seconds)
    print(f"\n{options.model}, threads: {threads}; x real time (times PyTorch float32)\n")
    print(f"| engine | {heads} | start to first score | peak memory | largest change of a logit |")
    print("|---|" + "--:|" * (len(options.seconds) + 3))
    for name in ENGINES:
        cells = [f"{speed[name]:.1f} ({ratio[name]:.2f})" for speed, ratio, _ in by_length.values()]
        change = max(changes[name] for *_, changes in by_length.values())
        seconds, memory = start_up(name, folder, threads)
        cells += [f"{seconds:.1f} s", f"{memory:.0f} MB", f"{100 * change:.4f} %"]
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


def parity(folder: Path, seconds: list[float]) -> None:
    """How far ONNX float32 is from PyTorch, each file alone and in padded batches."""
    model = read_about(folder).model
    detectors = [load_detector(model, folder / FILES[f], engine=e)[0]
                 for e, f in (("native", "native"), ("onnx", "onnx_fp32"))]  # fmt: skip
    ordered = sorted(seconds)
    batches = [[s] for s in ordered] + [ordered[:-1], [ordered[0], ordered[-1]]]
    print(f"\n{model}, ONNX float32 against PyTorch\n\n| files of, s | difference of a logit |")
    print("|---|--:|")
    for batch in batches:
        files = [torch.from_numpy(sound(s, round(1000 * s))) for s in batch]
        lengths = torch.tensor([len(file) for file in files])
        waveforms = torch.nn.utils.rnn.pad_sequence(files, batch_first=True)
        with torch.inference_mode():
            ours, theirs = (detector(waveforms, lengths).logits for detector in detectors)
        difference, largest = (ours - theirs).abs().max(), ours.abs().max()
        print(f"| {', '.join(f'{s:g}' for s in batch)} | {difference:.1e} of {largest:.2f} |")


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--folder", required=True, type=Path, help="exported detectors")
    parser.add_argument("--model", default="w2v_small")
    parser.add_argument("--ckpt_path", help="a detector; default: random weights")
    parser.add_argument("--seconds", type=float, nargs="+", default=[1, 4, 10, 60])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--parity", action="store_true", help="differences instead of speeds")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args(arguments)
    options.folder.mkdir(parents=True, exist_ok=True)
    folder = exported(options.folder, options.model, options.ckpt_path)
    print(describe("torch", "onnxruntime"))
    if options.parity:
        parity(folder, options.seconds)
        return
    for threads in options.threads:
        table(folder, threads, options)


if __name__ == "__main__":
    main()

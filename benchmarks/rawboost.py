"""RawBoost against its plain time-domain form, draws included, on one core.

    python -m benchmarks.rawboost [--repeats 30] [--device cuda]

Both forms draw and apply in turn in one process; medians over `repeats` pairs of the thread's CPU
time, and the median of the pairs' ratios. The plain form is that of
tests/augment/plain_rawboost.py: scalar draws, scipy.signal.firwin, lfilter. `--device` adds the
batched form there, in wall time: batches of up to 100 s, the draws' transfer included.
"""

from __future__ import annotations

import os

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import argparse
import time

import numpy as np

from augment.rawboost import RawBoost, apply
from benchmarks.machine import describe
from dataio.schema import SAMPLE_RATE
from tests.augment.plain_rawboost import PlainRawBoost

ALGORITHMS = range(1, 9)
SECONDS = (4, 13)
BATCH_SECONDS = 100


def speech_like(length: int, rng: np.random.Generator) -> np.ndarray:
    """Noise under a slow envelope, (length,) float32."""
    envelope = 0.55 + 0.45 * np.sin(np.arange(length) / 2000)
    return (0.2 * envelope * rng.standard_normal(length)).astype(np.float32)


def milliseconds(action, clock=time.thread_time) -> float:
    """CPU time of this thread, so that other processes on the core are not counted."""
    begin = clock()
    action()
    return 1000 * (clock() - begin)


def compare(algo: int, seconds: int, repeats: int) -> tuple[float, float, float, float]:
    """Medians of the plain form, ours, our draw alone (ms), and of the ratio of each pair."""
    rng = np.random.default_rng(1)
    waveform = speech_like(seconds * SAMPLE_RATE, rng)
    plain, ours = PlainRawBoost(algo, seed=1), RawBoost.from_yaml({"algo": algo})

    def run_ours():
        apply(waveform, ours.draw(waveform.size, rng))

    run_ours()
    timings = np.array(
        [
            (
                milliseconds(lambda: plain(waveform)),
                milliseconds(run_ours),
                milliseconds(lambda: ours.draw(waveform.size, rng)),
            )
            for _ in range(repeats)
        ]
    )
    return *np.median(timings, axis=0), float(np.median(timings[:, 0] / timings[:, 1]))


def time_batched(algo: int, seconds: int, device: str, repeats: int) -> float:
    """Median ms of the batched form, the draws' transfer included, the drawing not."""
    import torch

    from augment import batched

    torch.set_num_threads(1)
    rng = np.random.default_rng(1)
    rows, length = BATCH_SECONDS // seconds, seconds * SAMPLE_RATE
    waveforms = torch.from_numpy(np.stack([speech_like(length, rng) for _ in range(rows)]))
    waveforms = waveforms.to(device)
    rawboost = RawBoost.from_yaml({"algo": algo})
    draws = [rawboost.draw(length, rng) for _ in range(rows)]

    def run():
        batched.apply(waveforms, draws)
        if waveforms.is_cuda:
            torch.cuda.synchronize()

    run()
    return float(np.median([milliseconds(run, time.perf_counter) for _ in range(repeats)]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--repeats", type=int, default=30, help="pairs a row (default 30)")
    parser.add_argument("--device", help="also time the batched form on this device, e.g. cuda")
    options = parser.parse_args()
    print(describe("numpy", "scipy"), end="\n\n")
    print("| algorithm | audio (s) | plain (ms) | ours (ms) | of which draw (ms) | ratio |")
    print("|---|---|---|---|---|---|")
    for algo in ALGORITHMS:
        for seconds in SECONDS:
            plain, ours, draw, ratio = compare(algo, seconds, options.repeats)
            print(f"| {algo} | {seconds} | {plain:.1f} | {ours:.2f} | {draw:.2f} | {ratio:.1f} |")
    print(f"\n| algorithm | batch | device | batched form (ms per {BATCH_SECONDS} s of audio) |")
    print("|---|---|---|---|")
    if not options.device:
        print("| 1 to 8 | 25 x 4 s, 7 x 13 s | GPU | not measured |")
        return
    for algo in ALGORITHMS:
        for seconds in SECONDS:
            rows = BATCH_SECONDS // seconds
            taken = time_batched(algo, seconds, options.device, options.repeats)
            taken *= BATCH_SECONDS / (rows * seconds)
            print(f"| {algo} | {rows} x {seconds} s | {options.device} | {taken:.1f} |")


if __name__ == "__main__":
    main()

"""RawBoost against its plain time-domain form, draws included, on one core.

    python -m benchmarks.rawboost [--repeats 30] [--device cuda]
        [--published CHECKOUT --published_python PYTHON]

Both forms draw and apply in turn in one process; medians over `repeats` pairs of the thread's CPU
time, and the median of the pairs' ratios. The plain form is that of
tests/augment/plain_rawboost.py: scalar draws, scipy.signal.firwin, lfilter. `--device` adds the
batched form there, in wall time: batches of up to 100 s, the draws' transfer included.
`--published` (see benchmarks/published.py) times the published code itself on the same waveforms,
in a process of its own; its algorithms 3, 4, 6 and 7 with the `SNRmax` that its YAML lacks.
"""

from __future__ import annotations

import os

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import argparse
import json
import subprocess
import tempfile
import time

import numpy as np

from augment.rawboost import RawBoost, apply
from benchmarks.machine import describe
from benchmarks.published import add_options, published
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


PUBLISHED_CODE = """
import json, statistics, sys, time
import numpy as np, torch
from hyperpyyaml import load_hyperpyyaml
from dataio.rawboost import process_Rawboost_feature
torch.set_num_threads(1)
with open("hparams/w2v_small.yaml") as stream:
    text = stream.read()
    args = load_hyperpyyaml(text[text.index("rawboost:"):])["rawboost"]
args["SSI_additive_noise"].setdefault("SNRmax", 40)
repeats, (waveforms, taken) = int(sys.argv[1]), (np.load(sys.argv[2]), {})
for algo in range(1, 9):
    for seconds in waveforms:
        waveform, times = torch.from_numpy(waveforms[seconds]), []
        for _ in range(repeats):
            begin = time.thread_time()
            process_Rawboost_feature(waveform, sr=16000, args=args, algo=algo)
            times.append(1000 * (time.thread_time() - begin))
        taken[f"{algo} {seconds}"] = statistics.median(times)
print(json.dumps(taken))
"""


def time_published(args: argparse.Namespace) -> dict[str, float]:
    """Median ms of the published code for each "algorithm seconds"; nothing without a checkout."""
    other = published(args, "-c", PUBLISHED_CODE, str(args.repeats))
    if other is None:
        return {}
    rng = np.random.default_rng(1)
    with tempfile.NamedTemporaryFile(suffix=".npz") as file:
        np.savez(file, **{str(s): speech_like(s * SAMPLE_RATE, rng) for s in SECONDS})
        file.flush()
        told = subprocess.run(
            [other.python, *other.words, file.name],
            cwd=other.folder,
            capture_output=True,
            text=True,
        )
    if told.returncode:
        raise SystemExit(f"the published RawBoost failed:\n{told.stderr[-2000:]}")
    return json.loads(told.stdout.splitlines()[-1])


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
    add_options(parser)
    options = parser.parse_args()
    print(describe("numpy", "scipy"), end="\n\n")
    theirs = time_published(options)
    print("| algorithm | audio (s) | plain (ms) | ours (ms) | of which draw (ms) | ratio |", end="")
    print(" published (ms) | to ours |\n|---|---|---|---|---|---|---|---|")
    for algo in ALGORITHMS:
        for seconds in SECONDS:
            plain, ours, draw, ratio = compare(algo, seconds, options.repeats)
            row = f"| {algo} | {seconds} | {plain:.1f} | {ours:.2f} | {draw:.2f} | {ratio:.1f} |"
            there = theirs.get(f"{algo} {seconds}")
            print(row, f"{there:.1f} | {there / ours:.1f} |" if there else "not measured | |")
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

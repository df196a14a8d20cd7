"""What each augmentation costs: ms per second of audio on one core, and what it imitates.

    python -m benchmarks.augmentation_cost [--repeats 20]

Median CPU time of the thread over `repeats` draws on 4 s at 16 kHz; drawing, file reading and codec
set-up included.
The table is the one of docs/augmentation.md.
"""

from __future__ import annotations

import os

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import argparse
import tempfile
from pathlib import Path

import numpy as np

import augment
from augment.catalogue import EXAMPLES, synthetic_recordings
from benchmarks.machine import describe
from benchmarks.rawboost import milliseconds, speech_like
from dataio.schema import SAMPLE_RATE, UserError

SECONDS = 4


def cost(entry: dict, repeats: int) -> str:
    """Median ms per second of audio, or why there is none."""
    try:
        augmentation = augment.build(None, [entry])
    except UserError as error:
        return f"not measured: {error}"
    rng = np.random.default_rng(1)
    waveform = speech_like(SECONDS * SAMPLE_RATE, rng)
    augmentation(waveform, rng)
    timings = [milliseconds(lambda: augmentation(waveform, rng)) for _ in range(repeats)]
    return f"{np.median(timings) / SECONDS:.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--repeats", type=int, default=20, help="draws a row (default 20)")
    repeats = parser.parse_args().repeats

    import torch

    torch.set_num_threads(1)
    print(describe("numpy", "scipy", "av", "torch", "speechbrain"), end="\n\n")
    print("| name | imitates | ms per second of audio |")
    print("|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        settings = synthetic_recordings(Path(folder))
        for label, (entry, imitates) in EXAMPLES.items():
            entry = entry | settings.get(entry["name"], {})
            print(f"| {label} | {imitates} | {cost(entry, repeats)} |")


if __name__ == "__main__":
    main()

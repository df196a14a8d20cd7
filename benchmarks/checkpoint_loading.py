"""Checkpoints into a detector: our reader against `torch.load` and safetensors' `load_file`.

    python -m benchmarks.checkpoint_loading [--model w2v_large] [--rounds 5] [--kinds zip legacy]

A file of random weights is made on the spot (w2v_large: 1.2 GB; xlsr_2b: 8.6 GB) and loaded from
the page cache by both, in turns. The other loader is what this toolkit did before: `torch.load`
with `mmap` (zip) or without (legacy), then a copy into a detector laid out on the meta device. A
row gives medians and the median of the rounds' ratios; peak memory is that of a process that loads
once, as a multiple of the detector.
"""

from __future__ import annotations

import argparse
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import safetensors.torch
import torch

from benchmarks.machine import describe
from models import checkpoints
from models.detector import build_detector

KINDS = ("zip", "legacy", "safetensors")
PEAK = """
import sys
from benchmarks.checkpoint_loading import LOADERS, peak_bytes
before = peak_bytes()
detector = LOADERS[sys.argv[1]](*sys.argv[2:])
print((peak_bytes() - before) / sum(p.numel() * p.element_size() for p in detector.parameters()))
"""


def peak_bytes() -> int:
    """Of this process; `ru_maxrss` begins with that of the program which started it."""
    return 1024 * int(re.search(r"VmHWM:\s*(\d+)", Path("/proc/self/status").read_text())[1])


def write(path: Path, kind: str, model: str) -> None:
    weights = build_detector(model).state_dict()
    if kind == "safetensors":
        safetensors.torch.save_file(weights, path)
    else:
        torch.save(weights, path, _use_new_zipfile_serialization=kind == "zip")


def ours(path: str, kind: str, model: str) -> torch.nn.Module:
    return checkpoints.load_detector(model, path)[0]


def others(path: str, kind: str, model: str) -> torch.nn.Module:
    if kind == "safetensors":
        state = safetensors.torch.load_file(path)
    else:
        state = torch.load(path, map_location="cpu", mmap=kind == "zip", weights_only=True)
    with torch.device("meta"), checkpoints._WithoutDraws():
        detector = build_detector(model)
    detector = checkpoints._materialised(detector, None)
    own = detector.state_dict()
    with torch.no_grad():
        for name, tensor in state.items():
            own[name].copy_(tensor)
    return detector


LOADERS: dict[str, Callable[[str, str, str], torch.nn.Module]] = {"other": others, "ours": ours}


def seconds(loader: Callable, path: Path, kind: str, model: str) -> float:
    start = time.perf_counter()
    loader(str(path), kind, model)
    return time.perf_counter() - start


def peak(loader: str, path: Path, kind: str, model: str) -> float:
    command = [sys.executable, "-c", PEAK, loader, str(path), kind, model]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", default="w2v_large")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--folder", help="for the file; default: the temporary one")
    args = parser.parse_args()
    print(describe("torch", "safetensors"), end="\n\n")
    print("| file | GB | other, s | ours, s | ours / other | memory, other | memory, ours |")
    print("|---|--:|--:|--:|--:|--:|--:|")
    for kind in args.kinds:
        with tempfile.TemporaryDirectory(dir=args.folder) as folder:
            path = Path(folder, "detector.ckpt")
            write(path, kind, args.model)
            times: dict[str, list[float]] = {name: [] for name in LOADERS}
            for number in range(args.rounds + 1):  # the first is for the page cache
                for name in list(LOADERS)[:: -1 if number % 2 else 1]:
                    times[name].append(seconds(LOADERS[name], path, kind, args.model))
            rounds = [times[name][1:] for name in ("other", "ours")]
            ratio = statistics.median(b / a for a, b in zip(*rounds, strict=True))
            cells = [kind, f"{path.stat().st_size / 1e9:.2f}"]
            cells += [f"{statistics.median(values):.2f}" for values in rounds] + [f"{ratio:.2f}"]
            cells += [f"{peak(name, path, kind, args.model):.2f}" for name in LOADERS]
        print("| " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()

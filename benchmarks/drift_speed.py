"""Time and memory of the drift distances at N = M = 10,000 rows of 1,024 dimensions.

    python -m benchmarks.drift_speed [--rows 10000] [--dimensions 1024] [--draws 200] [--threads 2]

The reference file has a fifth more rows, which fix the scale, so that N rows are compared. The
distances of a set are measured together, as `python -m drift compare` does; each set runs in a
process of its own, so that its peak memory is its own. Prints a Markdown table.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SETS = {
    "w1 mmd score": ("w1", "mmd", "score"),
    "all": (),  # every one of drift.distances.DISTANCES
}


def measure_set(names: list[str], args: argparse.Namespace) -> dict:
    """Seconds to fit and to compare, and the peak memory of this process in GB."""
    import numpy as np
    import torch

    from drift.distances import DISTANCES, measure
    from drift.embeddings import embedding_set
    from drift.reference import SCALE_ROWS_MAX, fit_reference

    torch.set_num_threads(args.threads)
    rng = np.random.default_rng(0)
    mixing = rng.standard_normal((16, args.dimensions), dtype=np.float32)

    def draw(rows: int):
        rows_of_noise = rng.standard_normal((rows, args.dimensions), dtype=np.float32)
        rows_of_noise += rng.standard_normal((rows, 16), dtype=np.float32) @ mixing
        return embedding_set(rows_of_noise, logits=rng.standard_normal((rows, 2)))

    sample, incoming = draw(args.rows + min(SCALE_ROWS_MAX, args.rows // 2)), draw(args.rows)
    started = time.perf_counter()
    reference = fit_reference(sample)
    fitted, used = time.perf_counter(), time.process_time()
    results, _ = measure(
        [DISTANCES[name]() for name in names or DISTANCES],
        reference,
        incoming,
        draws=args.draws,
        seed=0,
        alpha=0.05,
    )
    return {
        "fit_seconds": fitted - started,
        "seconds": time.perf_counter() - fitted,
        "processor_seconds": time.process_time() - used,
        "gigabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
        "rows": [results[0].n, results[0].m],
        "torch": torch.__version__,
        "device": "cuda" if torch.cuda.is_available() else "cpu",
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--dimensions", type=int, default=1_024)
    parser.add_argument("--draws", type=int, default=200)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--one", nargs="*", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one is not None:
        print(json.dumps(measure_set(args.one, args)))
        return
    options = [
        f"--{key}={getattr(args, key)}" for key in ("rows", "dimensions", "draws", "threads")
    ]
    print("| distances | rows | D | draws | fit | compare | processor | peak memory | device |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name, names in SETS.items():
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.drift_speed", *options, "--one", *names],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
        found = json.loads(done.stdout)
        print(
            f"| {name} | {found['rows'][0]}/{found['rows'][1]} | {args.dimensions} | {args.draws} "
            f"| {found['fit_seconds']:.1f} s | {found['seconds']:.1f} s "
            f"| {found['processor_seconds']:.1f} s "
            f"| {found['gigabytes']:.2f} GB | {found['device']} |",
            flush=True,
        )
    print(f"{platform.machine()}, {args.threads} threads, torch {found['torch']}")


if __name__ == "__main__":
    main()

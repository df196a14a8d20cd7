"""Time and memory of the drift distances at N = M = 10,000 rows of 1,024 dimensions.

    python -m benchmarks.drift_speed [--rows 10000] [--dimensions 1024] [--draws 200] [--threads 2]
    python -m benchmarks.drift_speed --commands [--reference_rows 1000000] [--folder F]

The reference file has a fifth more rows, which fix the scale, so that N rows are compared. The
distances of a set are measured together, as `python -m drift compare` does; the windows are all
incoming rows, 500 by 500. Each set runs in a process of its own, so that its peak memory is its
own. Prints a Markdown table.

`--commands` measures `python -m drift fit` and `compare` as a user meets them: files read, null
table, classes, ranking and report included. A reference file above 12,000 rows is subsampled by
the command; 1,000,000 rows of 1,024 dimensions need 4 GB in the folder.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SETS = {
    "w1 mmd score": ("w1", "mmd", "score"),
    "all": (),  # every one of drift.distances.DISTANCES
    "windows of 500": ("windows",),  # w1, mmd and score
}
WINDOW_ROWS = 500


def measure_set(names: list[str], args: argparse.Namespace) -> dict:
    """Seconds to fit and to compare, and the peak memory of this process in GB."""
    import numpy as np
    import torch

    from drift.device import choose_device, chosen_device
    from drift.distances import DISTANCES, measure
    from drift.embeddings import embedding_set
    from drift.reference import SCALE_ROWS_MAX, fit_reference
    from drift.subsets import Plan
    from drift.windows import compare_windows, lay_windows

    torch.set_num_threads(args.threads)
    choose_device(args.device)
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
    if names == ["windows"]:
        plan = Plan(draws=args.draws)
        layout = lay_windows(incoming, size=str(WINDOW_ROWS))
        results = compare_windows(plan, reference, incoming, layout).parts[-1].results
    else:
        distances = [DISTANCES[name]() for name in names or DISTANCES]
        settings = {"draws": args.draws, "seed": 0, "alpha": 0.05}
        results, _ = measure(distances, reference, incoming, **settings)
    return {
        "fit_seconds": fitted - started,
        "seconds": time.perf_counter() - fitted,
        "processor_seconds": time.process_time() - used,
        "gigabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
        "rows": [results[0].n, results[0].m],
        "torch": torch.__version__,
        "device": str(chosen_device()),
    }


def write_embeddings(path: Path, rows: int, dimensions: int, seed: int) -> None:
    """An .npz of ids, logits and embeddings, written in blocks: it may be larger than memory."""
    import numpy as np

    rng = np.random.default_rng(seed)
    mixing = np.random.default_rng(0).standard_normal((16, dimensions), dtype=np.float32)
    known = {
        "ids": np.array([f"{path.stem}-{i}" for i in range(rows)]),
        "logits": rng.standard_normal((rows, 2), dtype=np.float32),
    }
    with zipfile.ZipFile(path, "w") as archive:
        for name, values in known.items():
            with archive.open(f"{name}.npy", "w") as stream:
                np.save(stream, values)
        with archive.open("embeddings.npy", "w", force_zip64=True) as stream:
            shape = {"descr": "<f4", "fortran_order": False, "shape": (rows, dimensions)}
            np.lib.format.write_array_header_1_0(stream, shape)
            for start in range(0, rows, 10_000):
                count = min(10_000, rows - start)
                block = rng.standard_normal((count, dimensions), dtype=np.float32)
                block += rng.standard_normal((count, 16), dtype=np.float32) @ mixing
                stream.write(block.tobytes())


def measure_command(words: list[str], threads: int) -> dict:
    """Seconds, processor seconds and peak memory in GB of one `python -m drift`."""
    command = [sys.executable, "-m", "drift", *words]
    started = time.perf_counter()
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, env=environment)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in (0, 1):  # one in twenty comparisons of equal samples alarms
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}")
    return {
        "seconds": time.perf_counter() - started,
        "processor_seconds": used.ru_utime + used.ru_stime,
        "gigabytes": used.ru_maxrss / 1e6,
    }


def print_commands(args: argparse.Namespace) -> None:
    """The table of the commands."""
    print("| command | reference rows | incoming rows | D | wall | processor | peak memory |")
    print("|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        reference, incoming, fitted = (
            Path(folder, name) for name in ("reference.npz", "incoming.npz", "ref.drift.npz")
        )
        write_embeddings(reference, args.reference_rows, args.dimensions, 1)
        write_embeddings(incoming, args.rows, args.dimensions, 2)
        report = ["--report", str(Path(folder, "r.html")), "--draws", str(args.draws)]
        both = [str(fitted), str(incoming)]
        for name, words in (
            ("fit", ["fit", str(reference), "--output", str(fitted)]),
            ("compare --report", ["compare", *both, *report]),
            ("compare --distances all", ["compare", *both, "--distances", "all", *report[2:]]),
        ):
            found = measure_command(words, args.threads)
            print(
                f"| {name} | {args.reference_rows} | {'-' if name == 'fit' else args.rows} "
                f"| {args.dimensions} | {found['seconds']:.1f} s "
                f"| {found['processor_seconds']:.1f} s | {found['gigabytes']:.2f} GB |",
                flush=True,
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--dimensions", type=int, default=1_024)
    parser.add_argument("--draws", type=int, default=200)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", help="cpu, cuda or cuda:N (a GPU where there is one)")
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--commands", action="store_true", help="measure the command line instead")
    parser.add_argument("--reference_rows", type=int, default=12_000, help="with --commands")
    parser.add_argument("--folder", help="where --commands writes its files (the system's)")
    parser.add_argument("--one", nargs="*", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one is not None:
        print(json.dumps(measure_set(args.one, args)))
        return
    if args.commands:
        print_commands(args)
        return
    options = [
        f"--{key}={getattr(args, key)}" for key in ("rows", "dimensions", "draws", "threads")
    ]
    if args.device:
        options.append(f"--device={args.device}")
    print("| distances | rows | D | draws | fit | compare | processor | peak memory | device |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name in args.sets:
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.drift_speed", *options, "--one", *SETS[name]],
            cwd=ROOT,
            stdout=subprocess.PIPE,
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

"""How long evaluation.py takes on a million files, and how much memory.

    python benchmarks/evaluation_speed.py [--rows 1000000] [--repeats 3]

Each row of the table is a whole command, start-up included, run in a process of its own: the
median of the repeats, and the largest resident memory among them.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
BOOTSTRAP = ["--bootstrap", "1000", "--metrics", "eer", "roc_auc", "min_dcf"]


def write_scores(path: Path, rows: int) -> None:
    """Two normals 2 apart, half real, in ten subsets: an EER near 16 %, so a long ROC."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, rows)
    scores = rng.normal(size=rows) + 2 * labels - 1
    with open(path, "w") as stream:
        stream.write("ID,Score,Label\n")
        for i, (score, label) in enumerate(zip(scores.tolist(), labels.tolist(), strict=True)):
            stream.write(
                f'DB{i % 10}-utterance_{i:07d},"[{-score / 2!r}, {score / 2!r}]",{label}\n'
            )


def without_subsets(path: Path) -> Path:
    """The same files without their subset prefixes, for which one row is computed."""
    single = path.with_name("single.csv")
    with open(path) as source, open(single, "w") as target:
        target.writelines(line.partition("-")[2] or line for line in source)
    return single


def measured(options: list[str], repeats: int) -> tuple[float, float, float]:
    """Median seconds, median seconds of processor time, and largest resident memory in GB."""
    seconds, processor, peaks = [], [], []
    for _ in range(repeats):
        start = time.perf_counter()
        command = [sys.executable, "evaluation.py", *options]
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        if status:
            raise RuntimeError(f"{' '.join(command)} failed with status {status}")
        seconds.append(time.perf_counter() - start)
        processor.append(usage.ru_utime + usage.ru_stime)
        peaks.append(usage.ru_maxrss / 1e6)
    return statistics.median(seconds), statistics.median(processor), max(peaks)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    print(f"{platform.machine()}, Python {platform.python_version()}, NumPy {np.__version__}")
    print(f"{os.cpu_count()} cores, {arguments.rows:,} files, median of {arguments.repeats} runs")
    print("| command | seconds | processor seconds | peak memory, GB |\n|---|--:|--:|--:|")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "S.csv"
        write_scores(path, arguments.rows)
        single = without_subsets(path)
        report = ["--bootstrap", "0", "--report", str(Path(folder) / "R.html")]
        for name, options in (
            ("`--help`", ["--help"]),
            ("nine columns, all and ten subsets", [str(path)]),
            ("1,000 bootstraps of EER, AUC, minDCF: all files", [str(single), *BOOTSTRAP]),
            ("the same: all files and ten subsets", [str(path), *BOOTSTRAP]),
            ("the report, without intervals", [str(path), *report]),
        ):
            seconds, processor, peak = measured(options, arguments.repeats)
            print(f"| {name} | {seconds:.2f} | {processor:.2f} | {peak:.2f} |", flush=True)


if __name__ == "__main__":
    main()

"""How long evaluation.py takes on a million files, and how much memory.

    python -m benchmarks.evaluation_speed [--rows 1000000] [--repeats 3]
        [--published CHECKOUT --published_python PYTHON]

Each row of the table is a whole command, start-up included, run in a process of its own: the
median of the repeats, and the largest resident memory among them. The published script prints the
pooled row and those of the subsets it is given; it is run on 200,000 rows.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
from pathlib import Path

import numpy as np

from benchmarks import published as toolkit

PUBLISHED_ROWS = 200_000
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=3)
    toolkit.add_options(parser)
    args = parser.parse_args()
    toolkit.heading("numpy")
    print(f"{args.rows:,} files, median of {args.repeats} runs\n")
    with tempfile.TemporaryDirectory() as folder:
        print_rows(Path(folder), args)
        against_published(Path(folder), args)


def print_rows(folder: Path, args: argparse.Namespace) -> None:
    path = folder / "S.csv"
    write_scores(path, args.rows)
    single = without_subsets(path)
    print("| command | seconds | processor seconds | peak memory, GB |\n|---|--:|--:|--:|")
    for name, options in (
        ("`--help`", ["--help"]),
        ("nine columns, all and ten subsets", [str(path)]),
        ("1,000 bootstraps of EER, AUC, minDCF: all files", [str(single), *BOOTSTRAP]),
        ("the same: all files and ten subsets", [str(path), *BOOTSTRAP]),
        (
            "the report, without intervals",
            [str(path), "--bootstrap", "0", "--report", str(folder / "R.html")],
        ),
    ):
        command = toolkit.Command(["evaluation.py", *options])
        runs = [toolkit.run(command, threads=os.cpu_count()) for _ in range(args.repeats)]
        clock, processor = (
            statistics.median(getattr(run, key) for run in runs) for key in ("clock", "processor")
        )
        memory = max(run.memory for run in runs)
        print(f"| {name} | {clock:.2f} | {processor:.2f} | {memory:.2f} |", flush=True)


def against_published(folder: Path, args: argparse.Namespace) -> None:
    """The table of all files and ten subsets, by both toolkits in turns."""
    print()
    path = folder / "P.csv"
    write_scores(path, PUBLISHED_ROWS)
    subsets = [f"DB{i}" for i in range(10)]
    other = toolkit.published(args, "evaluation.py", str(path), *subsets)
    if other is None:
        return
    print(toolkit.describe_published(other), f"\n\n{PUBLISHED_ROWS:,} files, {toolkit.load()}\n")
    commands = {
        "evaluation.py": toolkit.Command(["evaluation.py", str(path)]),
        "published evaluation.py": other,
    }
    toolkit.print_table(toolkit.in_turns(commands, args.repeats, threads=os.cpu_count()))


if __name__ == "__main__":
    main()

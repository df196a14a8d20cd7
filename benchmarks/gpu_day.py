"""Every table that waits for a GPU, in order; what there is is written after each.

    python -m benchmarks.gpu_day --output gpu.md [--published CHECKOUT --published_python PYTHON]
    python -m benchmarks.gpu_day --output short.md --short    # on a CPU: that all of it runs

A table is a benchmark of its own in a process of its own, with `--limit` seconds: one that fails
or does not end loses no other, and what it had printed is kept. Ends with 1 if one failed. How the
published toolkit is had: benchmarks/published.py.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from benchmarks import published as toolkit
from benchmarks.machine import describe
from dataio.whole_files import write_text

TINY = "--device cpu --batch_seconds 2 --warmup 1"


class Table(NamedTuple):
    """What is measured by which words after `python -m`; `short` on a CPU, in seconds.

    `against` the published toolkit: it is given that one too where it is at hand, or `needs` it.
    """

    title: str
    words: str
    short: str = ""
    against: bool = False
    needs: bool = False


TABLES = (
    Table(
        "Tests that need a CUDA device",
        "pytest -m gpu tests",
        "pytest -m gpu tests/augment/test_batched.py",
    ),
    Table(
        "A step over varied shapes, by cuDNN's attention",
        "benchmarks.training_speed --attention --models mms_300m --steps 500",
        f"benchmarks.training_speed --attention --models w2v_tiny --steps 1 {TINY}",
    ),
    Table(
        "Casts and the positional convolution",
        "benchmarks.forward_profile --model mms_300m",
        f"benchmarks.forward_profile --model w2v_tiny {TINY}",
    ),
    Table(
        "Training, throughput and memory",
        "benchmarks.training_speed --precisions bf16 fp16",
        f"benchmarks.training_speed --models w2v_tiny --steps 1 {TINY}",
    ),
    Table(
        "Training against the published loop",
        "benchmarks.training_speed --models mms_300m --files 500 --rounds 2",
        against=True,
        needs=True,
    ),
    Table(
        "Scoring by precision",
        "benchmarks.front_end gpu --files 512",
        "benchmarks.front_end gpu --device cpu --model w2v_tiny --files 1 --rounds 1 --threads 1",
    ),
    Table(
        "Scoring commands, against the published one",
        "benchmarks.scoring_command --device cuda --precisions fp32 tf32 bf16 --model mms_300m"
        " --files 2000 --rounds 2",
        "benchmarks.scoring_command --model w2v_tiny --files 1 --rounds 1 --threads 1",
        against=True,
    ),
    Table(
        "RawBoost on the device",
        "benchmarks.rawboost --device cuda",
        "benchmarks.rawboost --device cpu --repeats 1",
    ),
    Table(
        "Drift",
        "benchmarks.drift_speed --device cuda",
        "benchmarks.drift_speed --device cpu --rows 60 --dimensions 4 --draws 40 --sets all",
    ),
)
NEEDS = "not measured: it takes --published, and not --short"
NOT_HERE = "More than one GPU (NCCL training, one rank killed): not measured, no table for it yet."


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, required=True, help="a Markdown file")
    parser.add_argument("--short", action="store_true", help="tiny models, few steps, on a CPU")
    parser.add_argument("--limit", type=float, default=600, help="seconds a table may take")
    toolkit.add_options(parser)
    args = parser.parse_args()
    if args.short:
        os.environ["OMP_NUM_THREADS"] = "1"
    sys.exit(measure(args, TABLES))


def measure(args: argparse.Namespace, tables: tuple[Table, ...]) -> int:
    """Run `tables`, writing `args.output` after each; the exit status."""
    parts = [f"# GPU day\n\n{describe('torch')}; {device()}"]
    failed = []
    for table in tables:
        words = words_of(table, args)
        if words is None:
            parts.append(f"## {table.title}\n\n{NEEDS}")
        else:
            print(f"{table.title}: python -m {' '.join(words)}", flush=True)
            told, fault = run([sys.executable, "-m", *words], args.limit)
            if fault:
                failed.append(f"{table.title}: {fault}")
                told += f"\n\n**{fault}**"
                print(fault, flush=True)
            parts.append(f"## {table.title}\n\n`python -m {' '.join(words)}`\n\n{told.strip()}")
        write_text(args.output, "\n\n".join([*parts, NOT_HERE]) + "\n")
    return 1 if failed else 0


def words_of(table: Table, args: argparse.Namespace) -> list[str] | None:
    """After `python -m`; None for a comparison with a toolkit that is not there."""
    there = not args.short and None not in (args.published, args.published_python)
    if table.needs and not there:
        return None
    words = (table.short if args.short else table.words).split()
    if table.against and there:
        words += ["--published", str(args.published.resolve())]
        words += ["--published_python", args.published_python]
    return words


def run(command: list[str], limit: float) -> tuple[str, str]:
    """What a command printed, and why it is not all of it: empty where it ended well.

    Its whole group of processes ends at the limit.
    """
    start = time.monotonic()
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        process = subprocess.Popen(
            command, cwd=toolkit.ROOT, stdin=subprocess.DEVNULL, stdout=out, stderr=err,
            start_new_session=True,
        )  # fmt: skip
        fault = ""
        try:
            status = process.wait(limit)
        except subprocess.TimeoutExpired:
            fault = f"stopped after {time.monotonic() - start:.0f} s; what it had printed is above"
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        out.seek(0), err.seek(0)
        told, last = out.read(), err.read().strip().splitlines()[-3:]
    if not fault and status:
        fault = f"failed with status {status}: {' / '.join(last) or 'it said nothing of it'}"
    return told, fault


def device() -> str:
    """The GPUs' names, memory and driver; importing torch to ask would take seconds."""
    query = ["nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
    if shutil.which(query[0]) is None:
        return "no GPU"
    told, fault = run(query, 60)
    return "; ".join(told.splitlines()) or fault


if __name__ == "__main__":
    main()

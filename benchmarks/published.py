"""The published toolkit itself, in its own environment, for benchmarks to take turns with.

    --published CHECKOUT         a clone of github.com/nii-yamagishilab/AntiDeepfake
    --published_python PYTHON    of Python 3.10 with torch 2.6.0, torchaudio 2.6.0, fairseq 0.12.2
                                 (by pip below 24.1), speechbrain 1.0.2, numpy below 2, soundfile,
                                 tensorboard, tensorboardX, pandarallel, pandas, scikit-learn, scipy

Whole commands are compared, each in a process of its own, one after the other in every round; a
ratio is of one round's pair. Processor seconds suffer less from a busy machine than the clock.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.machine import describe

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Command:
    """Words after `python`, the interpreter and the folder they are run in."""

    words: list[str]
    python: str = sys.executable
    folder: Path = ROOT


@dataclass(frozen=True)
class Taken:
    """What a run took, in seconds: by the clock, and of all processors; its memory in GB."""

    clock: float
    processor: float
    memory: float


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--published", type=Path, metavar="CHECKOUT")
    parser.add_argument("--published_python", metavar="PYTHON")


def published(args: argparse.Namespace, *words: str) -> Command | None:
    """`python words...` in the published checkout; None, and a line that says so, without one."""
    if args.published is None or args.published_python is None:
        print("published: not measured (--published CHECKOUT --published_python PYTHON)\n")
        return None
    return Command(list(words), args.published_python, args.published.resolve())


def describe_published(command: Command) -> str:
    """Versions in the published environment."""
    code = (
        "import platform, torch, speechbrain, numpy; print('published: Python', "
        "platform.python_version() + ', torch', torch.__version__ + ', speechbrain', "
        "speechbrain.__version__ + ', numpy', numpy.__version__)"
    )
    told = subprocess.run([command.python, "-c", code], capture_output=True, text=True, check=True)
    git = ["git", "-C", str(command.folder), "rev-parse", "--short", "HEAD"]
    revision = subprocess.run(git, capture_output=True, text=True).stdout.strip() or "unknown"
    return f"{told.stdout.strip().splitlines()[-1]}, revision {revision}"


def run(command: Command, *, threads: int) -> Taken:
    """Run to the end; SystemExit with the end of what it said if it fails."""
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    environment.pop("PYTHONPATH", None)
    start = time.perf_counter()
    with tempfile.TemporaryFile("w+") as told:
        process = subprocess.Popen(
            [command.python, *command.words], cwd=command.folder, env=environment,
            stdin=subprocess.DEVNULL, stdout=told, stderr=subprocess.STDOUT,
        )  # fmt: skip
        _, status, usage = os.wait4(process.pid, 0)
        clock = time.perf_counter() - start
        if status:
            told.seek(0)
            raise SystemExit(f"{' '.join(command.words)} failed:\n{told.read()[-2000:]}")
    return Taken(clock, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1e6)


def in_turns(commands: dict[str, Command], rounds: int, *, threads: int) -> dict[str, list[Taken]]:
    """What each command took in each round, the order turned about from one to the next."""
    taken: dict[str, list[Taken]] = {name: [] for name in commands}
    for number in range(rounds):
        for name in list(commands)[:: -1 if number % 2 else 1]:
            taken[name].append(run(commands[name], threads=threads))
    return taken


def ratio(theirs: list[float], ours: list[float]) -> float:
    """Median of the rounds' ratios: above 1, ours is faster."""
    return statistics.median(a / b for a, b in zip(theirs, ours, strict=True))


def load() -> str:
    """The machine's load average, without which a time says little."""
    return f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"


def print_table(taken: dict[str, list[Taken]]) -> None:
    """Medians of every command; the first is ours, ratios are the others to it."""
    print("| command | seconds | processor seconds | ratio | of processor seconds |")
    print("|---|--:|--:|--:|--:|")
    ours = next(iter(taken.values()))
    for name, runs in taken.items():
        cells = [statistics.median(getattr(r, key) for r in runs) for key in ("clock", "processor")]
        ratios = [
            ratio([getattr(r, key) for r in runs], [getattr(r, key) for r in ours])
            for key in ("clock", "processor")
        ]
        print(f"| {name} | {cells[0]:.1f} | {cells[1]:.1f} | {ratios[0]:.2f} | {ratios[1]:.2f} |")


def heading(*packages: str) -> None:
    print(describe(*packages), load(), sep=", ")

"""How fast protocols are built and merged, and in how much memory.

    python -m benchmarks.protocol_build                      # 20,000 files, 2 million rows
    python -m benchmarks.protocol_build --files 20000 --many 1000000 --rows 20000000

Every figure is of a process of its own: medians of `--repeats` runs taken in turns, memory as the
process's largest resident set. Core time is that of all processes of a run: it says what two free
cores would do where the clock says what was left of busy ones. The files are hard links to one
2 s flac, 200 in a folder: what costs is opening them and reading headers, and all are warm.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from benchmarks.machine import describe

CHECKOUT = Path(__file__).resolve().parents[1]
PER_FOLDER, LINKS = 200, 50_000  # ext4 allows 65,000 links to a file


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--files", type=int, default=20_000, help="probed in each timed run")
    parser.add_argument("--many", type=int, default=0, help="files of the memory figure")
    parser.add_argument("--rows", type=int, default=2_000_000, help="merged")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--folder", help="where to work (default: the system's temporary folder)")
    parser.add_argument("--task", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.task:
        TASKS[args.task[0]](*args.task[1:])
        print(f"\n{largest_resident_set()}")
        return
    print(describe("soundfile", "pandas", "pandarallel"))
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        folder = Path(folder).resolve()
        if args.files:
            probing(folder, args)
        if args.many:
            memory(folder, args)
        if args.rows:
            merging(folder, args)


class Figures(NamedTuple):
    """What one task took: seconds by the clock, seconds of all its processes' cores, MiB."""

    clock: float
    cores: float
    mib: float


def child(*task: object) -> Figures:
    """Run one task in a process of its own; MiB is the largest resident set of its main process."""
    command = [sys.executable, "-m", "benchmarks.protocol_build", "--task", *map(str, task)]
    environment = os.environ | {"PYTHONPATH": str(CHECKOUT), "OMP_NUM_THREADS": "1"}
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(command, env=environment, cwd=CHECKOUT, capture_output=True, text=True)
    seconds = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise RuntimeError(f"{task} ended with status {done.returncode}: {done.stderr}")
    cores = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Figures(seconds, cores, float(done.stdout.split()[-1]))


def largest_resident_set() -> float:
    """MiB of this process so far (ru_maxrss would count what it was forked from)."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("no VmHWM in /proc/self/status: this benchmark needs Linux")


# ---------------------------------------------------------------------- what a child does


def task_nothing() -> None:
    """Start Python and import what a build imports: taken off the other figures."""
    import dataio.probe  # noqa: F401
    import protocols.build  # noqa: F401


def task_nothing_with_pandas() -> None:
    import pandarallel  # noqa: F401
    import pandas  # noqa: F401

    task_nothing()


def task_stream(data: str, workers: str) -> None:
    from protocols.headers import read_headers
    from protocols.source import Source

    paths = (path for path, _ in Source(data).files("Many", "{folder}/{stem}.flac"))
    found = read_headers(paths, str, data, workers=int(workers))
    sum(header.frames for _, header in found)


def task_pandarallel(data: str, workers: str) -> None:
    import pandas

    from protocols.parallel import apply_to_column
    from protocols.source import Source

    paths = [f"{data}/{path}" for path, _ in Source(data).files("Many", "{folder}/{stem}.flac")]
    sum(apply_to_column(pandas.Series(paths), frames_of, workers=int(workers)))


def frames_of(path: str) -> int:
    from dataio.probe import probe

    return probe(path).frames


def task_build(data: str, workers: str, output: str, *more: str) -> None:
    from protocols.__main__ import main as protocols

    declaration = Path(data, "many.py")
    protocols(["build", str(declaration), "--data_folder", data, "--output", output,
               "--workers", workers, *more])  # fmt: skip


def task_merge(folder: str) -> None:
    from protocols.__main__ import main as protocols

    inputs = sorted(map(str, Path(folder).glob("in*.csv")))
    protocols(["merge", "--train", *inputs, "--output_folder", f"{folder}/merged"])


TASKS = {
    name.removeprefix("task_"): task
    for name, task in list(globals().items())
    if name.startswith("task_")
}

# ---------------------------------------------------------------------- data

DECLARATION = """
from protocols.corpus import Corpus, Item

def items(source):
    for path, p in source.files("Many", "{folder}/{stem}.flac"):
        yield Item(path, f"{p.folder}-{p.stem}", "real", speaker=p.folder)

CORPUS = Corpus("Many", items, prefix="Many-", contents="real", folder="Many", link="benchmark")
"""


def make_files(data: Path, count: int) -> None:
    """`count` files below `data/Many`, 200 a folder; those there are kept."""
    import numpy
    import soundfile

    data.mkdir(parents=True, exist_ok=True)
    (data / "many.py").write_text(DECLARATION)
    speech_like = numpy.random.default_rng(0).normal(0, 0.1, 32_000)
    original = data
    for number in range(count):
        folder = data / "Many" / f"{number // PER_FOLDER:06d}"
        if number % LINKS == 0:
            original = data / f"original{number // LINKS}.flac"
            if not original.exists():
                soundfile.write(original, speech_like, 16_000)
        if number % PER_FOLDER == 0:
            folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{number % PER_FOLDER:03d}.flac"
        if not path.exists():
            os.link(original, path)


def make_csvs(folder: Path, rows: int) -> int:
    """Four protocols with `rows` rows in all; their size in bytes."""
    from dataio.schema import COLUMNS

    draw = random.Random(0)
    kinds = [
        ("MLS-EN-", "real", "-"),
        ("ASV5-A01-", "fake", "A01"),
        ("SpoofCeleb-a07/", "fake", "a07"),
        ("LibriTTS-Vo-hifigan-", "fake", "hifigan"),
    ]
    for name, (prefix, label, attack) in enumerate(kinds):
        with open(folder / f"in{name}.csv", "w") as file:
            file.write(",".join(COLUMNS) + "\n")
            for number in range(rows // len(kinds)):
                split = "valid" if number % 50 == 0 else "train"
                utterance = f"{prefix}9904_{number:08d}_000327"
                file.write(
                    f"{utterance},{label},{draw.random() * 20 + 0.5:.2f},16000,$ROOT/MLS/"
                    f"mls_english/{split}/audio/9904/1004/{utterance}.flac,{attack},"
                    f"{number % 5000},{split},1,FLAC,16,EN\n"
                )
    return sum(path.stat().st_size for path in folder.glob("in*.csv"))


# ---------------------------------------------------------------------- tables


def probing(folder: Path, args: argparse.Namespace) -> None:
    data = folder / "data"
    make_files(data, args.files)
    output = folder / "out.csv"
    child("stream", data, args.workers)  # warm
    figures: dict[str, list[Figures]] = {}
    for _ in range(args.repeats):
        runs = {
            "start": ("nothing",),
            "start with pandas": ("nothing_with_pandas",),
            "headers, streaming pool": ("stream", data, args.workers),
            "headers, pandarallel": ("pandarallel", data, args.workers),
            "headers, one process": ("stream", data, 1),
            "build, first run": ("build", data, args.workers, output),
            "build, second run": ("build", data, args.workers, output),
        }
        for name, task in runs.items():
            figures.setdefault(name, []).append(child(*task))
        for path in folder.glob("out.*"):
            path.unlink()
    medians = {
        name: Figures(*map(statistics.median, zip(*runs, strict=True)))
        for name, runs in figures.items()
    }
    print(f"\n{args.files} flac files of 2 s, {args.workers} processes, warm; start of Python off")
    print("\n| | files/s by the clock | core us a file | MiB of the main process |")
    print("|---|---|---|---|")
    for name, (clock, cores, mib) in medians.items():
        if name.startswith("start"):
            continue
        start = medians["start with pandas" if "pandarallel" in name else "start"]
        rate = args.files / (clock - start.clock)
        micros = (cores - start.cores) / args.files * 1e6
        print(f"| {name} | {rate:,.0f} | {micros:.0f} | {mib:.0f} |")
    added = args.files // 100
    child("build", data, args.workers, output)
    make_files(data, args.files + added)
    summary = folder / "summary.json"
    child("build", data, args.workers, output, "--json", summary)
    print(f"\n{added} files added: {json.loads(summary.read_text())['headers_read']} headers read")


def memory(folder: Path, args: argparse.Namespace) -> None:
    print("\n| build of | files/s | MiB of the main process |\n|---|---|---|")
    for count in (args.many // 10, args.many):
        data = folder / f"many{count}"
        make_files(data, count)
        seconds, _, mib = child("build", data, args.workers, folder / "many.csv")
        print(f"| {count:,} files | {count / seconds:,.0f} | {mib:.0f} |", flush=True)
        shutil.rmtree(data)
        for path in folder.glob("many.*"):
            path.unlink()


def merging(folder: Path, args: argparse.Namespace) -> None:
    print("\n| merge of | input GiB | s by the clock | core s | MiB, mapped file included |")
    print("|---|---|---|---|---|")
    for rows in (args.rows // 10, args.rows):
        place = folder / "merge"
        place.mkdir()
        size = make_csvs(place, rows)
        seconds, cores, mib = child("merge", place)
        print(
            f"| {rows:,} rows | {size / (1 << 30):.2f} | {seconds:.0f} | {cores:.0f} | {mib:.0f} |",
            flush=True,
        )
        shutil.rmtree(place)


if __name__ == "__main__":
    main()

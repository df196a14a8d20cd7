"""What a protocol of 0.1, 1 and 10 million rows costs: time to the first batch, memory, a row.

    python -m benchmarks.protocol_scale [--millions 0.1 1 10] [--folder F]

Writes a CSV of each size to a temporary folder (below F; 10 million rows: 1.3 GB and as much again
for the cache) and measures in fresh processes, after imports: cold (no cache yet; the CSV itself is
in the page cache), warm, and SpeechBrain's CSV dataset with its dynamic sampler at the first size.
Peak memory is all of the process's, libraries and pages of the map included (those are shared
by the processes of a host); own memory is what came on top of the imports and is no such page.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.machine import describe
from dataio.schema import COLUMNS

MAX_BATCH_LENGTH, CLIP_SECONDS, NUM_BUCKETS = 100, 13, 20
FETCHED = 20_000  # rows looked up for the median
_HEADER = "| rows | reader | first batch (s) | new epoch (s) | a row (us) | peak (MB) | own (MB) |"


def write_csv(path: Path, rows: int) -> None:
    """A protocol like the released ones: long IDs and paths, durations around 5 s."""
    rng = np.random.default_rng(0)
    durations = np.minimum(60, rng.lognormal(1.6, 0.6, rows) + 0.3).round(2).tolist()
    labels = np.where(rng.random(rows) < 0.3, "real", "fake").tolist()
    with open(path, "w", encoding="utf-8") as file:
        file.write(",".join(COLUMNS) + "\n")
        for i, (label, duration) in enumerate(zip(labels, durations, strict=True)):
            speaker = f"speaker{i % 9973:05d}"
            path_cell = f"$ROOT/Corpus/{speaker}/utt{i:09d}.flac"
            file.write(
                f"Corpus-{speaker}_utt{i:09d},{label},{duration},16000,{path_cell},"
                f"A{i % 20:02d},{speaker},train,1,FLAC,16,EN\n"
            )


def measure_ours(csv_path: str) -> dict[str, float]:
    """Opens the table, plans an epoch, takes its first batch's rows; then a new epoch and rows."""
    import models.training.run  # noqa: F401 (the memory is that of a training process)
    from dataio.batching import BatchPlan
    from dataio.protocol import ProtocolTable

    own_before, begin = own_mb(), time.perf_counter()
    table = ProtocolTable.open(csv_path, data_folder="/corpora")
    plan = BatchPlan(
        table.durations,
        max_batch_length=MAX_BATCH_LENGTH,
        num_buckets=NUM_BUCKETS,
        seed=1,
        clip_seconds=CLIP_SECONDS,
    )
    first = plan.epoch(0).batch(0)
    for row in first:
        table.row(row)
    ready = time.perf_counter() - begin
    return {"ready": ready, **_running(lambda: plan.epoch(1), table.row, len(table), own_before)}


def measure_speechbrain(csv_path: str) -> dict[str, float]:
    """The same with what the published toolkit uses; durations clipped by its length function."""
    from speechbrain.dataio.dataset import DynamicItemDataset
    from speechbrain.dataio.sampler import DynamicBatchSampler

    own_before, begin = own_mb(), time.perf_counter()
    dataset = DynamicItemDataset.from_csv(csv_path, replacements={"ROOT": "/corpora"})
    dataset.set_output_keys(["id", "Label", "Duration", "Path"])
    sampler = DynamicBatchSampler(
        dataset,
        MAX_BATCH_LENGTH,
        NUM_BUCKETS,
        length_func=lambda row: min(float(row["Duration"]), CLIP_SECONDS),
    )
    for row in next(iter(sampler)):
        dataset[row]
    ready = time.perf_counter() - begin
    new_epoch, fetch = (lambda: sampler.set_epoch(1)), dataset.__getitem__
    return {"ready": ready, **_running(new_epoch, fetch, len(dataset), own_before)}


def _running(new_epoch, fetch, rows: int, own_before: float) -> dict[str, float]:
    """A new epoch (s), the median of one random row (us), peak and own memory after that (MB)."""
    epoch = _seconds(new_epoch)
    picked = np.random.default_rng(0).integers(0, rows, FETCHED).tolist()
    row = float(np.median([_seconds(lambda i=i: fetch(i)) for i in picked]) * 1e6)
    status = Path("/proc/self/status").read_text().split()
    peak = int(status[status.index("VmHWM:") + 1]) / 1024
    return {"epoch": epoch, "row": row, "peak": peak, "own": own_mb() - own_before}


def _seconds(call) -> float:
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


def own_mb() -> float:
    """Megabytes of this process that are no pages of a file: what each further one costs."""
    parts = Path("/proc/self/smaps_rollup").read_text().split()
    return int(parts[parts.index("Anonymous:") + 1]) / 1024


_MEASURES = {"ours": measure_ours, "speechbrain": measure_speechbrain}


def _row_of(rows: int, reader: str, measure: str, csv_path: Path) -> str:
    command = [sys.executable, "-m", "benchmarks.protocol_scale", "--measure", measure, csv_path]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found = json.loads(done.stdout.splitlines()[-1])
    return (
        f"| {rows:,} | {reader} | {found['ready']:.2f} | {found['epoch']:.2f} "
        f"| {found['row']:.1f} | {found['peak']:.0f} | {found['own']:.0f} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--millions", type=float, nargs="+", default=[0.1, 1, 10])
    parser.add_argument("--folder", help="where the CSVs are written (default: temporary files)")
    parser.add_argument("--measure", nargs=2, metavar=("READER", "CSV"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        measure, csv_path = options.measure
        print(json.dumps(_MEASURES[measure](csv_path)))
        return
    print(describe("numpy", "pyarrow", "speechbrain"), end="\n\n")
    print(_HEADER)
    print("|---:|---|---:|---:|---:|---:|---:|")
    for millions in options.millions:
        rows = round(millions * 1e6)
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            csv_path = Path(folder) / "protocol.csv"
            write_csv(csv_path, rows)
            print(_row_of(rows, "table, cold", "ours", csv_path), flush=True)
            print(_row_of(rows, "table, warm", "ours", csv_path), flush=True)
            if millions == options.millions[0]:
                print(_row_of(rows, "SpeechBrain", "speechbrain", csv_path), flush=True)


if __name__ == "__main__":
    main()

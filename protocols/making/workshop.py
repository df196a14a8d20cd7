"""What these corpora share: seeded randomness by name, whole files, a manifest, parallel work."""

from __future__ import annotations

import csv
import json
import os
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from dataio.probe import probe
from dataio.processes import usable_workers
from dataio.schema import COLUMNS, SAMPLE_RATE, Row, UserError
from dataio.whole_files import whole_file, write_sound, write_text
from protocols.corpus import Corpus, row_of
from protocols.source import Source

SPLITS = ("train", "valid", "test")


def seeded(seed: int, *names: str) -> np.random.Generator:
    """A generator that depends on the seed and the names alone, not on order or process."""
    return np.random.default_rng([seed, *(zlib.crc32(name.encode()) for name in names)])


def write_flac(path: Path, waveform: np.ndarray) -> None:
    """`waveform` (T,), within 1 in magnitude, as 16-bit FLAC at 16 kHz; the file appears whole."""
    samples = np.round(np.clip(waveform, -1, 32767 / 32768) * 32768).astype(np.int16)
    write_sound(path, samples, SAMPLE_RATE, "PCM_16")


def check_manifest(folder: Path, recipe: dict[str, object]) -> None:
    """Remember in `folder` how its files are made; refuse to mix two recipes in one folder."""
    path = folder / "recipe.json"
    text = json.dumps(recipe, indent=1, sort_keys=True) + "\n"
    if path.exists() and path.read_text() != text:
        raise UserError(
            f"{folder} holds a corpus made with other settings (see {path.name} there): "
            "delete the folder or give another --data_folder"
        )
    write_text(path, text)


def map_parallel(
    work: Callable[[object], object], jobs: Sequence, *, workers: int, title: str
) -> list:
    """`[work(job) for job in jobs]` over processes with a progress bar; `work` must pickle."""
    bar = {"total": len(jobs), "desc": title, "unit": "job", "leave": False, "disable": None}
    if not jobs:
        return []
    workers = min(workers, len(jobs))
    if workers <= 1 or not usable_workers(workers):
        return [work(job) for job in tqdm(jobs, **bar)]
    # Fresh processes: a fork of a parent with running threads (torch's, say) may hang.
    with ProcessPoolExecutor(
        workers, mp_context=get_context("spawn"), initializer=threadpool_limits, initargs=(1,)
    ) as pool:
        return list(tqdm(pool.map(work, jobs, chunksize=4), **bar))


def usable_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def corpus_rows(corpus: Corpus, data_folder: Path) -> Iterator[Row]:
    """The rows of a corpus as it lies on disk, each file's header read."""
    for item in corpus.items(Source(data_folder)):
        header = probe(data_folder / item.path)
        yield row_of(corpus, item, header)


def write_protocols(
    rows: Iterable[Row], output_folder: Path, columns: tuple[str, ...] = COLUMNS
) -> dict[str, int]:
    """`train.csv`, `valid.csv` and `test.csv` in `output_folder`; the number of rows of each."""
    rows = list(rows)
    counts = {}
    for split in SPLITS:
        chosen = [row for row in rows if row.proportion == split]
        counts[split] = len(chosen)
        with whole_file(output_folder / f"{split}.csv") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(columns)
            writer.writerows(row.cells(columns) for row in chosen)
    return counts

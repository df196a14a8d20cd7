"""What one loader worker delivers: headers/s, files/s and seconds of audio/s, by kind of file.

    python -m benchmarks.loader [--files 100] [--repeats 3] [--folder F]

Files of 2 to 12 s (about 5 s on average) are probed, and read whole through WaveformDataset, on one
thread, at 16 kHz and with resampling from 44.1 kHz stereo; then a 12 s piece of a 10 minute file by
seeking against decoding all of it. These are per second of processor time, the files being in the
page cache. Last, batches through a BatchLoader per second of wall clock, hand-over included.
"""

from __future__ import annotations

import os

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import argparse
import csv
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile

from benchmarks.machine import describe
from dataio.schema import COLUMNS, SAMPLE_RATE

LONG_SECONDS, PIECE_SECONDS = 600, 12
_HEADER = "| files | headers/s | files/s | audio-s/s | seek 12 s of 600 (ms) | all (ms) | ratio |"
FORMATS = ("wav", "flac", "mp3")
RATES = {"16 kHz mono": (SAMPLE_RATE, 1), "44.1 kHz stereo": (44_100, 2)}


def voice_like(seconds: float, sample_rate: int, channels: int, seed: int) -> np.ndarray:
    """(T, C) float32: harmonics and noise under a syllable's rise and fall, so codecs have work."""
    time_axis = np.arange(round(seconds * sample_rate)) / sample_rate
    rng = np.random.default_rng(seed)
    pitch = 2 * np.pi * (120 + 20 * np.sin(time_axis)) * time_axis
    tone = sum(np.sin(k * pitch) / k for k in range(1, 12))
    loudness = 0.2 * np.clip(np.sin(2 * np.pi * 1.5 * time_axis), 0.02, 1)
    noise = rng.standard_normal((len(time_axis), channels)) * 0.1
    return ((tone[:, None] + noise) * loudness[:, None]).astype(np.float32)


def write_files(folder: Path, suffix: str, rate: int, channels: int, files: int) -> Path:
    """Writes audio files below `folder` and their protocol, whose path it returns."""
    rng = np.random.default_rng(0)
    with open(folder / "protocol.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for number in range(files):
            seconds = round(float(np.clip(rng.lognormal(1.5, 0.5), 2, 12)), 2)
            audio = voice_like(seconds, rate, channels, number)
            soundfile.write(folder / f"{number}.{suffix}", audio, rate)
            label = ("real", "fake")[number % 2]
            cells = [f"Set-{number}", label, seconds, rate, f"$ROOT/{number}.{suffix}"]
            writer.writerow(cells + ["-"] * (len(COLUMNS) - len(cells)))
    return folder / "protocol.csv"


def median_seconds(call: Callable[[], object], repeats: int, clock=time.process_time) -> float:
    """Processor seconds by default: one thread on cached files waits for nothing but its turn."""
    call()  # kernels are computed, files come into the cache
    timings = []
    for _ in range(repeats):
        begin = clock()
        call()
        timings.append(clock() - begin)
    return statistics.median(timings)


def whole_files(csv_path: Path, repeats: int) -> tuple[float, float, float]:
    """(headers/s, files/s, audio-s/s) of one thread that probes, or reads, a protocol's files."""
    from dataio.dataset import WaveformDataset
    from dataio.probe import probe
    from dataio.protocol import ProtocolTable

    table = ProtocolTable.open(csv_path, data_folder=csv_path.parent)
    dataset = WaveformDataset(table, mode="score")
    probing = median_seconds(lambda: [probe(table.path(i)) for i in range(len(table))], repeats)
    reading = median_seconds(lambda: [dataset[0, i] for i in range(len(table))], repeats)
    audio = float(table.durations.sum())
    return len(table) / probing, len(table) / reading, audio / reading


def batches(csv_path: Path, num_workers: int, repeats: int) -> float:
    """audio-s/s of 100 s batches out of a BatchLoader, workers already running."""
    from dataio.batching import BatchPlan
    from dataio.dataset import WaveformDataset
    from dataio.loading import BatchLoader
    from dataio.protocol import ProtocolTable

    table = ProtocolTable.open(csv_path, data_folder=csv_path.parent)
    plan = BatchPlan(table.durations, max_batch_length=100, seed=0)
    keys = [(epoch, rows) for epoch in range(3) for rows in plan.epoch(epoch)]
    with BatchLoader(WaveformDataset(table, mode="score"), num_workers=num_workers) as loader:

        def run() -> None:
            for _ in loader.load(keys):
                pass

        return 3 * float(table.durations.sum()) / median_seconds(run, repeats, time.perf_counter)


def piece_and_whole(path: Path, repeats: int) -> tuple[float, float]:
    """Milliseconds for a piece of a long file's middle: by seeking, and cut from all of it."""
    from dataio.audio import load_waveform

    start = LONG_SECONDS / 2

    def seek() -> np.ndarray:
        return load_waveform(path, start_seconds=start, max_seconds=PIECE_SECONDS)

    def cut() -> np.ndarray:
        first = round(start * SAMPLE_RATE)
        return load_waveform(path)[first : first + PIECE_SECONDS * SAMPLE_RATE]

    np.testing.assert_allclose(seek(), cut(), atol=1e-5)
    return 1e3 * median_seconds(seek, repeats), 1e3 * median_seconds(cut, repeats)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--files", type=int, default=100, help="files a row (default 100)")
    parser.add_argument("--repeats", type=int, default=3, help="runs a median (default 3)")
    parser.add_argument("--folder", help="where the audio is written (default: temporary files)")
    options = parser.parse_args()

    import torch

    torch.set_num_threads(1)
    print(describe("soundfile", "av", "torch", "torchaudio"), end="\n\n")
    print(_HEADER)
    print("|---|---:|---:|---:|---:|---:|---:|")
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        for words, (rate, channels) in RATES.items():
            for suffix in FORMATS:
                place = Path(folder) / f"{suffix}_{rate}"
                place.mkdir()
                csv_path = write_files(place, suffix, rate, channels, options.files)
                speeds = whole_files(csv_path, options.repeats)
                long_file = place / f"long.{suffix}"
                _write_long(long_file, rate, channels)
                piece, whole = piece_and_whole(long_file, options.repeats)
                print(
                    f"| {suffix}, {words} | {' | '.join(f'{speed:,.0f}' for speed in speeds)} "
                    f"| {piece:.1f} | {whole:.0f} | {whole / piece:.0f} |",
                    flush=True,
                )
        print("\n| 100 s batches of flac, 44.1 kHz stereo | audio-s/s |\n|---|---:|")
        for num_workers in (0, 1, 2):
            speed = batches(Path(folder) / "flac_44100" / "protocol.csv", num_workers, 3)
            print(f"| {num_workers} workers | {speed:,.0f} |", flush=True)


def _write_long(path: Path, rate: int, channels: int) -> None:
    tenth = voice_like(LONG_SECONDS / 10, rate, channels, 0)
    with soundfile.SoundFile(path, "w", rate, channels) as sound:
        for _ in range(10):
            sound.write(tenth)


if __name__ == "__main__":
    main()

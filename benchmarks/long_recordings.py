"""Memory and speed of recordings of hours, and of files scored whole by their length.

python -m benchmarks.long_recordings memory --folder F --minutes 20 180 --formats wav m4a mp3 opus
python -m benchmarks.long_recordings length --folder F --model w2v_small
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from benchmarks.machine import describe
from dataio.schema import SAMPLE_RATE

CODECS = {"wav": "pcm_s16le", "m4a": "aac", "mp3": "libmp3lame", "opus": "libopus", "mp4": "aac"}
CHILD = """
import json, resource, sys, time
import torch
torch.set_num_threads(1)
from models import score_files
from models.detector import build_detector
torch.manual_seed(0)
detector, before = build_detector("w2v_tiny"), None
paths = sys.argv[2:]
score_files(detector, [sys.argv[1]])  # all that is imported and allocated once
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
start = time.perf_counter()
found = score_files(detector, paths)
seconds = time.perf_counter() - start
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps({"mb": (after - before) / 1024, "seconds": seconds,
                  "audio": sum(file.seconds for file in found)}))
"""


def measured(first: Path, *paths: Path, model: str = "w2v_tiny", whole: bool = False) -> dict:
    """Peak memory (MB) above that of one short file, and seconds, of scoring files in a process."""
    child = CHILD.replace("w2v_tiny", model)
    if whole:
        child = child.replace("detector, paths)", "detector, paths, max_whole_seconds=None)")
    command = [sys.executable, "-c", child, str(first), *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def make_recording(path: Path, seconds: float, *, rate: int = SAMPLE_RATE) -> Path:
    """Noise that changes its level each second, in the codec of the file's ending."""
    import av

    rate = 48_000 if path.suffix == ".opus" else rate
    rng = np.random.default_rng(0)
    with av.open(str(path), "w", format="ogg" if path.suffix == ".opus" else None) as container:
        stream = container.add_stream(CODECS[path.suffix[1:]], rate=rate, layout="mono")
        for _ in range(round(seconds)):
            samples = rng.uniform(500, 8000) * rng.standard_normal((1, rate))
            samples = samples.clip(-32768, 32767).astype(np.int16)
            frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
            frame.rate = rate
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def memory(options: argparse.Namespace) -> None:
    """A row a format and length: peak above the model, times real time against short files."""
    folder = options.folder
    short = [make_recording(folder / f"short{n}.wav", 10) for n in range(30)]
    base = measured(short[0], *short)
    print("| format | minutes | MB above the model | x real time | against files of 10 s |")
    print("|---|---|---|---|---|")
    for ending in options.formats:
        for minutes in options.minutes:
            path = make_recording(folder / f"long.{ending}", 60 * minutes, rate=options.rate)
            found = measured(short[0], path)
            path.unlink()
            speed = found["audio"] / found["seconds"]
            ratio = speed / (base["audio"] / base["seconds"])
            print(f"| {ending} | {minutes} | {found['mb']:.0f} | {speed:.0f} | {ratio:.2f} |")


def length(options: argparse.Namespace) -> None:
    """Peak memory and seconds of one file scored whole, by its length."""
    print("| seconds, whole | MB above a file of 10 s | s |")
    print("|---|---|---|")
    short = make_recording(options.folder / "short.wav", 10)
    for seconds in (15, 30, 60, 120, 240):
        path = make_recording(options.folder / "whole.wav", seconds)
        found = measured(short, path, model=options.model, whole=True)
        print(f"| {seconds} | {found['mb']:.0f} | {found['seconds']:.2f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("what", choices=["memory", "length"])
    parser.add_argument("--folder", type=Path, required=True, help="for the recordings")
    parser.add_argument("--minutes", type=float, nargs="+", default=[20, 180])
    parser.add_argument("--formats", nargs="+", choices=sorted(CODECS), default=sorted(CODECS))
    parser.add_argument("--rate", type=int, default=44_100, help="Hz of the long recordings")
    parser.add_argument("--model", default="w2v_tiny", help="of `length`")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    start = time.perf_counter()
    print(describe("torch", "av"))
    {"memory": memory, "length": length}[options.what](options)
    print(f"\n{time.perf_counter() - start:.0f} s in all")


if __name__ == "__main__":
    main()

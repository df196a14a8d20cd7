"""The service under load and under malformed uploads.

    python -m benchmarks.serving [--model w2v_small] [--clients 1 8 32] [--requests 300]
    python -m benchmarks.serving --fuzz 500

Starts `main.py serve` (random weights, or `--ckpt_path`) in a process of its own and asks it from
threads of this one, each with a connection that stays. Every answer is held against the score of
its own file, computed beforehand file by file: one that is missing, or another's, ends the run.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile
import torch

from benchmarks.machine import describe
from models.detector import build_detector
from models.scoring.python import score_files

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))
FILES, RATE = 40, 16000  # whose lengths are drawn from 1 to `--longest` seconds
TOLERANCE = 1e-4


def make_files(folder: Path, longest: float) -> list[Path]:
    """Noise under a slow swell, no two alike."""
    rng = np.random.default_rng(0)
    paths = []
    for number in range(FILES):
        count = round(rng.uniform(1, longest) * RATE)
        swell = 0.1 * (1 + np.sin(np.arange(count) / 900))
        paths.append(folder / f"{number:02d}.wav")
        soundfile.write(paths[-1], swell * rng.standard_normal(count).clip(-4, 4), RATE)
    return paths


@contextlib.contextmanager
def served(model: str, checkpoint: Path) -> Iterator[int]:
    """The port of a service, ended by SIGTERM."""
    words = ["serve", model, f"--ckpt_path={checkpoint}", "--port=0", "--device=cpu"]
    words += ["--max_waiting=64"]
    process = subprocess.Popen(
        [sys.executable, "main.py", *words], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    try:
        yield int(re.search(r":(\d+) ", process.stdout.readline())[1])
        process.terminate()
        if process.wait(120):
            raise SystemExit(f"the service ended with {process.returncode}")
    finally:
        process.kill()


def load(port: int, clients: int, requests: int, files: list[tuple[bytes, str]]) -> np.ndarray:
    """Seconds (requests,) that `requests` took from so many clients, each answer checked."""
    from support.serving import form, request

    seconds, faults = np.zeros(requests), []
    forms = [form(Path(name).read_bytes(), name) for _, name in files]
    turn, lock = iter(range(requests)), threading.Lock()

    def client() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
        while not faults:
            with lock:
                number = next(turn, None)
            if number is None:
                break
            wanted, name = files[number % len(files)]
            body, kind = forms[number % len(files)]
            begun = time.perf_counter()
            try:
                reply = request(connection, "POST", "/v1/score", body, {"Content-Type": kind})
                (found,) = reply.json["verdicts"]
                difference = found["real_logit"] - found["fake_logit"]
                if reply.json["name"] != name or abs(difference - wanted) > TOLERANCE:
                    faults.append(f"request {number}: {reply.json} is not {name}'s {wanted}")
            except (OSError, http.client.HTTPException, KeyError, ValueError) as error:
                faults.append(f"request {number}: {error!r}")
            seconds[number] = time.perf_counter() - begun
        connection.close()

    threads = [threading.Thread(target=client) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if faults:
        raise SystemExit(faults[0])
    return seconds


def measure(model: str, checkpoint: Path | None, options, folder: Path) -> None:
    """A row for each number of clients."""
    checkpoint, detector = weights(model, checkpoint, folder)
    paths = make_files(folder, options.longest)
    rows = score_files(detector, paths)
    files = [
        (row.real_logit - row.fake_logit, str(path)) for row, path in zip(rows, paths, strict=True)
    ]
    audio = statistics.mean(row.seconds for row in rows)
    with served(model, checkpoint) as port:
        load(port, 4, 40, files)  # warm
        for clients in options.clients:
            begun = time.perf_counter()
            seconds = load(port, clients, options.requests, files)
            rate = options.requests / (time.perf_counter() - begun)
            p50, p95, p99 = (
                f"{1000 * value:.0f}" for value in np.quantile(seconds, [0.5, 0.95, 0.99])
            )
            figures = f"{rate:.1f} | {rate * audio:.0f} | {p50} | {p95} | {p99}"
            print(f"| {model} | {clients} | {options.requests} | {figures} |", flush=True)


def weights(model: str, checkpoint: Path | None, folder: Path):
    """A checkpoint's path, random weights where none was given, and its detector."""
    torch.manual_seed(0)
    detector = build_detector(model).eval()
    if checkpoint is None:
        with torch.no_grad():
            detector.proj_fc.weight.mul_(20)
        checkpoint = folder / "weights.ckpt"
        torch.save(detector.state_dict(), checkpoint)
    else:
        detector.load_state_dict(torch.load(checkpoint, weights_only=True))
    return checkpoint, detector


def fuzz_count(count: int, folder: Path) -> int:
    """Malformed uploads to w2v_tiny in this process."""
    from support.hostile_uploads import fuzz
    from support.serving import Running

    service = Running(weights("w2v_tiny", None, folder)[0], min_duration="null")
    faults, statuses, gained = fuzz(service, count, seed=0)
    service.stop()
    print(f"{count} malformed uploads: {statuses}, {len(faults)} faults, {gained:+.0f} MB")
    print("\n".join(faults[:20]))
    return 1 if faults else 0


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", default="w2v_tiny")
    parser.add_argument("--ckpt_path", type=Path, help="of that model (random weights)")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8, 32])
    parser.add_argument("--requests", type=int, default=300, help="a row (300)")
    parser.add_argument("--longest", type=float, default=4.0, help="seconds of a file (4)")
    parser.add_argument("--fuzz", type=int, help="so many malformed uploads instead")
    options = parser.parse_args(argv)
    print(describe("torch", "fastapi", "uvicorn"))
    with tempfile.TemporaryDirectory() as folder:
        if options.fuzz:
            return fuzz_count(options.fuzz, Path(folder))
        measure(options.model, options.ckpt_path, options, Path(folder))
    return 0


if __name__ == "__main__":
    sys.exit(main())

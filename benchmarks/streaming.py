"""`main.py stream`: latency, error against seconds heard, and the error rates of its verdicts.

    python -m benchmarks.streaming [--models w2v_tiny w2v_small] [--threads 1 2] [--seconds 30]
    python -m benchmarks.streaming --protocol T.csv --data_folder D --model w2v_tiny --ckpt_path C

Latency is from the last sample of a window until its line: what was waited for after the window's
end, and computing; the window itself comes on top. Random weights, noise at its own pace. With a
protocol: the EER of the mean of windows after 1, 2, 4, 8 and 16 s, of recordings put together from
the files of one `Speaker` and `Attack`. The rates of verdicts are those of simulated streams whose
calibrated ratios are correlated from window to window.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import math
import time
from collections.abc import Iterator

import numpy as np

from benchmarks.machine import describe
from dataio.schema import FAKE, REAL, SAMPLE_RATE

HEARD = (1, 2, 4, 8, 16)  # s
WINDOW, HOP = 4.0, 1.0
SECOND = SAMPLE_RATE


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", default=["w2v_tiny", "w2v_small"])
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--protocol")
    parser.add_argument("--data_folder", default="Data")
    parser.add_argument("--model", default="w2v_tiny")
    parser.add_argument("--ckpt_path")
    args = parser.parse_args()
    print(describe("torch"))
    if args.protocol:
        print_lines(by_seconds_heard(args))
        return
    print_lines(latencies(args))
    print()
    print_lines(error_rates())


def print_lines(lines: Iterator[str]) -> None:
    for line in lines:
        print(line, flush=True)


def latencies(args: argparse.Namespace) -> Iterator[str]:
    import torch

    columns = "threads | lines | dropped | behind p50 | p95 | p99 (ms) | computed p50"
    yield f"| window {WINDOW:g} s, hop {HOP:g} s | {columns} |"
    yield "|---|--:|--:|--:|--:|--:|--:|--:|"
    for model, threads in itertools.product(args.models, args.threads):
        torch.set_num_threads(threads)
        lines, dropped = listened(model, args.seconds)
        behind = np.percentile([1000 * line.behind for line in lines], [50, 95, 99])
        computed = np.median([1000 * line.computed for line in lines])
        cells = [model, threads, len(lines), dropped, *(f"{x:.0f}" for x in (*behind, computed))]
        yield "| " + " | ".join(map(str, cells)) + " |"


def listened(model: str, seconds: float) -> tuple[list, int]:
    """The lines of a stream of noise, and how many windows were dropped."""
    from dataio.live import Paced
    from metrics.rates import expit
    from models.detector import build_detector
    from models.distributed import World
    from models.scoring.live import Listener, live_windowing
    from models.scoring.run import Scorer

    options = {"window_seconds": WINDOW, "hop_seconds": HOP, "pace": 1.0, "min_duration": 0.5,
               "eval_precision": "fp32", "max_far": 0.05, "max_frr": 0.05}  # fmt: skip
    scorer = Scorer(build_detector(model).eval(), None, "cpu", World(), options, show_bar=False)
    listener = Listener(scorer, live_windowing(options), expit, None)
    noise = np.random.default_rng(0).normal(0, 0.1, round(seconds * SECOND)).astype(np.float32)
    blocks = iter(np.array_split(noise, round(10 * seconds)))
    return list(listener.listen(Paced(blocks, 1.0), lambda: None)), listener.dropped


def by_seconds_heard(args: argparse.Namespace) -> Iterator[str]:
    """EER of streams of one speaker and attack, after so many seconds."""
    import torch

    from dataio.audio import load_waveform
    from metrics.rates import eer
    from metrics.sweep import sweep
    from models.checkpoints import load_detector

    detector, _ = load_detector(args.model, args.ckpt_path)
    detector.eval()
    with open(args.protocol, encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    groups: dict[tuple, list] = {}
    for row in rows:
        groups.setdefault((row["Speaker"], row["Attack"], row["Label"]), []).append(row)
    scores: dict[int, list[float]] = {seconds: [] for seconds in HEARD}
    labels = []
    for (_, _, label), files in sorted(groups.items()):
        sound = np.concatenate(
            [load_waveform(row["Path"].replace("$ROOT", args.data_folder)) for row in files]
        )
        for part in range(len(sound) // (HEARD[-1] * SECOND)):
            piece = sound[part * HEARD[-1] * SECOND :][: HEARD[-1] * SECOND]
            labels.append(REAL if label == "real" else FAKE)
            with torch.inference_mode():
                for seconds in HEARD:
                    scores[seconds].append(mean_score(detector, piece[: seconds * SECOND]))
    yield f"{labels.count(REAL)} real and {labels.count(FAKE)} fake streams"
    yield "| seconds heard | " + " | ".join(map(str, HEARD)) + " |"
    yield "|---" + "|--:" * len(HEARD) + "|"
    rates = [eer(sweep(np.array(scores[s]), np.array(labels))).rate for s in HEARD]
    yield "| EER | " + " | ".join(f"{100 * rate:.1f} %" for rate in rates) + " |"


def mean_score(detector, sound: np.ndarray) -> float:
    """Mean of real - fake over the windows of what was heard, as `stream` takes them."""
    import torch

    from dataio.windows import WindowCutter

    cutter = WindowCutter(round(WINDOW * SECOND), round(HOP * SECOND))
    windows = [window for _, window in [*cutter.feed(sound), *cutter.finish()]]
    logits = [detector(torch.from_numpy(window[None])).logits[0] for window in windows]
    return float(np.mean([float(pair[REAL] - pair[FAKE]) for pair in logits]))


def error_rates(streams: int = 4000, windows: int = 200) -> Iterator[str]:
    """Of verdicts at 5 and 5 %, where neighbouring ratios are correlated (and calibrated)."""
    from metrics.sequential import NOT_YET, SequentialTest

    columns = "fake called real | real called fake | not yet | median windows"
    yield f"| correlation of neighbours | {columns} |"
    yield "|--:|--:|--:|--:|--:|"
    deviations = 1.5  # between the two normal laws of a window's score
    for correlation in (0.0, 0.3, 0.6, 0.9):
        rng, found = np.random.default_rng(int(10 * correlation)), {}
        for sign in (1, -1):
            noise = rng.normal(size=(streams, windows))
            for k in range(1, windows):
                noise[:, k] = (
                    correlation * noise[:, k - 1] + math.sqrt(1 - correlation**2) * noise[:, k]
                )
            ratios = sign * deviations**2 / 2 + deviations * noise
            found[sign] = []
            for row in ratios:
                test = SequentialTest(0.05, 0.05)
                for place, ratio in enumerate(row):
                    if test.take(place, place + 1, ratio) != NOT_YET:
                        break
                found[sign].append((test.verdict, test.decided_at or windows))
        share = [
            np.mean([verdict == wrong for verdict, _ in found[sign]])
            for sign, wrong in ((-1, "real"), (1, "fake"))
        ]
        both = found[1] + found[-1]
        open_ = np.mean([verdict == NOT_YET for verdict, _ in both])
        median = np.median([decided for _, decided in both])
        cells = [f"{correlation:g}", *(f"{100 * x:.1f} %" for x in (*share, open_)), f"{median:g}"]
        yield "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    start = time.perf_counter()
    main()
    print(f"\n{time.perf_counter() - start:.0f} s")

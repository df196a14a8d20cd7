"""Where the fake words are: shares of an untrained localiser, its windows, and a trained localiser.

    python -m protocols make spliced --data_folder real_run/Data --output_folder real_run/protocols
    python -m benchmarks.localisation --base_path real_run --steps 300 --seeds 1 2 3

Trains w2v_tiny on the files' labels alone and with the loss of frames, as in
hparams/localiser_tiny.yaml, then measures both on the test set of `spliced`. `--speed` times
RangeEER of 12 million frames.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

from benchmarks.machine import describe
from dataio.audio import read_audio
from dataio.frame_labels import labelled
from dataio.protocol import ProtocolTable
from dataio.rows import ATTACK, LANGUAGE, read_rows
from dataio.schema import FAKE, REAL, SAMPLE_RATE
from metrics.localisation import frames, precision_recall_f1, range_eer, seconds_found, segment_eer

# from YAMLs without it: a --loss is merged into that of the YAML, frames would stay
FILES, FRAMES = "hparams/w2v_tiny.yaml", "hparams/localiser_tiny.yaml"
FRAME_SECONDS, WINDOW_SECONDS, HOP_SECONDS = 0.02, 1.0, 0.25
UNSEEN = ("flite-", "griffin-lim")


def trained(base: Path, name: str, yaml: str, seed: int, steps: int):
    """The best detector of a run of `steps` steps, trained unless it is there."""
    import main
    from models.checkpoints import load_detector

    experiment = f"{name}_{seed}_{steps}"
    words = {"base_path": base, "protocol_folder": base / "protocols", "exp_name": experiment,
             "train_crop_seconds": "[3, 4]", "max_batch_length": 32, "seed": seed,
             "optimizer_step_limit": steps,
             "valid_step": max(1, steps // 3), "device": "cpu",
             "noprogressbar": True}  # fmt: skip
    status = main.main([yaml, *(f"--{key}={value}" for key, value in words.items())])
    if status:
        raise SystemExit(status)
    (folder,) = base.glob(f"Log/exps/*{experiment}/save")
    (best,) = folder.glob("CKPT+best*")
    return load_detector("w2v_tiny", best / "ssl.ckpt")[0].eval()


def difference(logits) -> np.ndarray:
    return (logits[..., REAL] - logits[..., FAKE]).double().numpy()


def shares(detector, waveform: np.ndarray) -> np.ndarray:
    """(N,) scores of frames of 0.02 s: each one's share of the file's logits."""
    import torch

    found = detector(torch.from_numpy(waveform)[None], with_frames=True)
    return difference(found.frame_logits[0])


def windows(detector, waveform: np.ndarray) -> np.ndarray:
    """(N,) scores of steps of 0.25 s: the mean of the windows of 1 s around each."""
    import torch

    size, hop = (int(seconds * SAMPLE_RATE) for seconds in (WINDOW_SECONDS, HOP_SECONDS))
    count = max(1, -(-(len(waveform) - size) // hop) + 1)
    padded = np.pad(waveform, (0, max(0, (count - 1) * hop + size - len(waveform))))
    parts = np.stack([padded[k * hop : k * hop + size] for k in range(count)])
    scores = difference(detector(torch.from_numpy(parts)).logits)
    behind = np.arange(-(-len(waveform) // hop))[:, None] - np.arange(count)
    covering = (behind >= 0) & (behind < size // hop)
    return (covering * scores).sum(axis=1) / covering.sum(axis=1)


WAYS = {"shares": (shares, FRAME_SECONDS), "windows": (windows, HOP_SECONDS)}


def measured(detector, way: str, table: ProtocolTable, unseen: np.ndarray) -> dict[str, float]:
    """RangeEER of all files, of those fakes the training set had or had not, and companions."""
    import torch

    score, step = WAYS[way]
    rows = [table.row(i) for i in range(len(table))]
    scores, durations = [], []
    with torch.inference_mode():
        for row in rows:
            waveform = read_audio(row.path).waveform
            scores.append(score(detector, waveform))
            durations.append(len(waveform) / SAMPLE_RATE)
    spoof = [labelled(row).spoof for row in rows]
    steps = [step] * len(rows)

    def of(chosen: np.ndarray) -> tuple:
        return tuple([part[i] for i in chosen] for part in (scores, steps, spoof, durations))

    real = table.labels == REAL
    everything = of(np.arange(len(rows)))
    found = seconds_found(frames(*everything), range_eer(*everything).threshold).sum(axis=0)
    return {
        "RangeEER": range_eer(*everything).rate,
        "seen": range_eer(*of(np.flatnonzero(real | ~unseen))).rate,
        "unseen": range_eer(*of(np.flatnonzero(real | unseen))).rate,
        "segment EER 0.16 s": segment_eer(*everything, step=0.16).rate,
        "segment EER 0.64 s": segment_eer(*everything, step=0.64).rate,
        "F1 of seconds": float(precision_recall_f1(found)[2]),
    }


def table_of(base: Path, seeds: list[int], steps: int) -> None:
    csv = base / "protocols/test.csv"
    table = ProtocolTable.open(csv, data_folder=base / "Data")
    cells = [row for _, row, _ in read_rows(csv)]
    unseen = np.array([c[LANGUAGE] == "RU" or c[ATTACK].startswith(UNSEEN) for c in cells])
    systems = {
        "files alone: shares": ("files", FILES, "shares"),
        "files alone: windows of 1 s": ("files", FILES, "windows"),
        "frames too: shares": ("frames", FRAMES, "shares"),
        "frames too: windows of 1 s": ("frames", FRAMES, "windows"),
    }
    heads = None
    for title, (name, yaml, way) in systems.items():
        found = []
        for seed in seeds:
            detector = trained(base, name, yaml, seed, steps)
            found.append(measured(detector, way, table, unseen))
        if heads is None:
            heads = list(found[0])
            print(f"| {steps} steps, {len(seeds)} seeds | {' | '.join(heads)} |")
            print("|---" * (len(heads) + 1) + "|")
        values = 100 * np.array([[row[head] for head in heads] for row in found])
        texts = [f"{v.mean():.1f} ({v.min():.1f} to {v.max():.1f})" for v in values.T]
        print(f"| {title} | {' | '.join(texts)} |", flush=True)


def speed(files: int = 70_000, each: int = 172) -> None:
    """12 million frames of as many files as the evaluation set of PartialSpoof has."""
    rng = np.random.default_rng(0)
    scores = [rng.normal(size=each) for _ in range(files)]
    spoof = [[(0.5, 1.2)] if i % 2 else [] for i in range(files)]
    start = time.perf_counter()
    range_eer(scores, FRAME_SECONDS, spoof, [each * FRAME_SECONDS] * files)
    seconds = time.perf_counter() - start
    print(f"RangeEER of {files * each / 1e6:.0f} million frames: {seconds:.1f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base_path", type=Path, help="its Data and protocols are of `spliced`")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--speed", action="store_true")
    arguments = parser.parse_args()
    print(describe("numpy", "torch"))
    if arguments.speed:
        speed()
    if arguments.base_path:
        table_of(arguments.base_path, arguments.seeds, arguments.steps)


if __name__ == "__main__":
    main()

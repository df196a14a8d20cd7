"""What RawBoost, codecs and neither do to the EER on clean and on codec-treated files.

    python -m benchmarks.augmentation_eer --folder WORK [--limit 60] [--steps 300] [--seeds 1 2 3]

Makes the real-speech corpus below WORK, writes two codec-treated copies of its test files (codecs
heard in training, codecs never heard), trains w2v_tiny once for each system and seed by the
commands a user types, scores the three test sets and prints one table. What is there already is
kept, so a stopped run goes on.
"""

from __future__ import annotations

import argparse
import csv
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import soundfile

from augment.codecs import round_trip
from benchmarks.machine import describe
from dataio.audio import load_waveform
from dataio.schema import SAMPLE_RATE, resolve_path

HEARD = ("mp3", "opus", "g711_alaw")
UNHEARD = ("aac", "gsm", "g722")
CODEC_LIST = f"[{{name: codec, codec: [{', '.join(HEARD)}], probability: 0.8}}]"
SYSTEMS = {
    "neither": ["--use_da", "False"],
    "RawBoost 5": ["--use_da", "True"],
    "codecs": ["--use_da", "False", "--augmentations", CODEC_LIST],
}
TEST_SETS = {"clean": (), "heard": HEARD, "unheard": UNHEARD}


def run(*words: str) -> str:
    """Standard output of a command of this toolkit; its last lines and an exit when it fails."""
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(words)}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
    return done.stdout


def make_corpus(folder: Path, limit: int) -> None:
    if not (folder / "protocols" / "test.csv").exists():
        words = ["--data_folder", f"{folder}/Data", "--output_folder", f"{folder}/protocols"]
        run("-m", "protocols", "make", "asterisk_prompts", *words, "--limit", str(limit))


def treat(folder: Path, name: str, codecs: tuple[str, ...]) -> None:
    """Test files through a codec each, drawn by a fixed seed; `test_<name>.csv` lists the copies.

    IDs begin with the codec's name, so that evaluation.py tells the codecs apart.
    """
    table = folder / "protocols" / f"test_{name}.csv"
    if table.exists():
        return
    data = folder / "Data"
    (data / name).mkdir(parents=True, exist_ok=True)
    with open(folder / "protocols" / "test.csv", newline="", encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    drawn = np.random.default_rng(0).integers(len(codecs), size=len(rows))
    for index, (row, codec) in enumerate(zip(rows, drawn, strict=True)):
        waveform = load_waveform(resolve_path(row["Path"], str(data)))
        coded = round_trip(waveform, codecs[codec], sample_rate=SAMPLE_RATE)
        soundfile.write(data / name / f"{index:05d}.flac", coded, SAMPLE_RATE, "PCM_16")
        row["Path"] = f"$ROOT/{name}/{index:05d}.flac"
        row["ID"] = f"{codecs[codec]}-{row['ID']}"
    aside = table.with_suffix(".part")
    with open(aside, "w", newline="", encoding="utf-8") as lines:
        writer = csv.DictWriter(lines, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    os.replace(aside, table)


def train(folder: Path, system: str, seed: int, steps: int) -> list[str]:
    """Train unless done; returns the options that name the experiment."""
    name = f"{system.replace(' ', '_').lower()}_{seed}_{steps}"
    options = ["hparams/w2v_tiny.yaml", "--base_path", str(folder), "--exp_name", name]
    options += ["--protocol_folder", str(folder / "protocols")]
    done = folder / f"trained_{name}"
    if not done.exists():
        shutil.rmtree(folder / "Log" / "exps" / f"exp_w2v_tiny_{name}", ignore_errors=True)
        schedule = ["--optimizer_step_limit", str(steps), "--valid_step", str(max(1, steps // 6))]
        schedule += ["--number_of_epochs", "1000", "--seed", str(seed)]
        run("main.py", *options, *schedule, *SYSTEMS[system], "--noprogressbar")
        done.touch()
    return options


def eer(folder: Path, options: list[str], test_set: str) -> float:
    """Per cent, over the whole test set: the cell of evaluation.py's table."""
    scores = folder / f"scores_{options[4]}_{test_set}.csv"
    suffix = "" if test_set == "clean" else f"_{test_set}"
    table = folder / "protocols" / f"test{suffix}.csv"
    run("main.py", "inference", *options, "--test_csv", str(table), "--score_path", str(scores))
    lines = run("evaluation.py", str(scores)).splitlines()
    header = next(line.split() for line in lines if line.split()[:1] == ["roc_auc"])
    overall = next(line.split() for line in lines if line.split()[:1] == ["all"])
    return 100 * float(overall[1 + header.index("eer")])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--folder", required=True, type=Path, help="corpus, runs and scores")
    parser.add_argument("--limit", type=int, default=60, help="prompts a language (default 60)")
    parser.add_argument("--steps", type=int, default=300, help="optimiser steps (default 300)")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3], help="default 1 2 3")
    options = parser.parse_args()
    folder = options.folder.resolve()
    make_corpus(folder, options.limit)
    for name, codecs in TEST_SETS.items():
        if codecs:
            treat(folder, name, codecs)
    print(describe("torch", "av"))
    seeds = " ".join(map(str, options.seeds))
    print(f"\nEER in %, mean (least-most) over seeds {seeds}; {options.steps} steps of w2v_tiny")
    print(f"heard codecs: {', '.join(HEARD)}; unheard: {', '.join(UNHEARD)}\n")
    print("| trained with | clean | heard codecs | unheard codecs |")
    print("|---|---|---|---|")
    for system in SYSTEMS:
        rates = np.array([
            [eer(folder, experiment, test_set) for test_set in TEST_SETS]
            for experiment in (
                train(folder, system, seed, options.steps) for seed in options.seeds
            )
        ])  # fmt: skip
        cells = [f"{r.mean():.1f} ({r.min():.1f}-{r.max():.1f})" for r in rates.T]
        print(f"| {system} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()

"""The adaptation loop: a new TTS engine arrives, drift alarms, fine-tuning on some of it helps.

    python -m benchmarks.adaptation --folder F [--seeds 1 2 3] [--steps 600] [--adapt_steps 200]

Real speech (docs/real-speech.md): telephone prompts, espeak-ng and copy-synthesis train a small
detector that never saw the TTS engine flite. Then, for each seed:

1. known test utterances are dealt in a reference and a control; `arrival` is the control with
   flite readings added;
2. `drift compare` of control (should be quiet) and of arrival (should alarm) against the reference;
3. the detector is fine-tuned on the flite readings of a third of the sentences, with as many
   known fakes and twice as many real prompts from its training data, and the best of four
   checkpoints is chosen on the validation set and the readings of another third;
4. everything is embedded again by the adapted detector, a new reference is fitted (embeddings of
   different checkpoints are never compared: `drift` refuses them by their hash), once of the same
   utterances and once with the readings of the second third added; drift and EER are measured
   again on the last third, whose sentences no step has used.

The commands are those of the manual, each in a process of its own. Prints one table.
"""

from __future__ import annotations

import argparse
import csv
import json
import platform
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
YAML = "hparams/w2v_tiny.yaml"
NEW_ENGINE = "flite"
# Not part of the story: a language and a vocoder that the corpus keeps for other tests.
LEFT_OUT = {"Language": "RU", "Attack": "griffin-lim"}


@dataclass(frozen=True)
class Settings:
    folder: Path
    steps: int
    adapt_steps: int
    draws: int


def run(*command: str, expect: tuple[int, ...] = (0,)) -> int:
    """One command of the toolkit, its output kept out of sight unless it fails."""
    done = subprocess.run(
        [sys.executable, *command], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode not in expect:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr}")
    return done.returncode


def read_rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def write_rows(path: Path, rows: list[dict[str, str]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0].keys(), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return path


def sentence(row: dict[str, str]) -> str:
    """The text a reading is of: the end of its ID, the same for every voice."""
    return row["ID"].rpartition("-")[2]


def some_of(rows: list[dict[str, str]], label: str, count: int, rng: np.random.Generator):
    """Indices of at most `count` rows of a label, drawn by `rng`."""
    places = [i for i, row in enumerate(rows) if row["Label"] == label]
    return sorted(rng.choice(places, min(count, len(places)), replace=False))


def as_options(options: dict) -> list[str]:
    """`--key value` of every entry."""
    return [str(word) for key, value in options.items() for word in (f"--{key}", value)]


def deal(corpus: Path, folder: Path, seed: int) -> dict[str, Path]:
    """The protocols of one seed.

    Known test rows are dealt 60 : 40 in reference and control; flite sentences in thirds: to
    fine-tune on, to add to the reference afterwards, and to arrive: half of what arrives is flite,
    the other half rows of the control.
    """
    rng = np.random.default_rng(seed)
    test = read_rows(corpus / "test.csv")
    new = [row for row in test if row["Attack"].startswith(NEW_ENGINE)]
    known = [
        row
        for row in test
        if row not in new and all(row[column] != value for column, value in LEFT_OUT.items())
    ]
    order = rng.permutation(len(known))
    cut = round(0.6 * len(known))
    reference = [known[i] for i in sorted(order[:cut])]
    control = [known[i] for i in sorted(order[cut:])]
    sentences = rng.permutation(sorted({sentence(row) for row in new}))
    third = {text: 3 * place // len(sentences) for place, text in enumerate(sentences)}
    learned, added, arriving = (
        [row for row in new if third[sentence(row)] == part] for part in range(3)
    )
    mix = np.random.default_rng([seed, 1]).permutation(len(control))[: len(arriving)]
    old = [control[i] for i in sorted(mix)]
    train, valid = read_rows(corpus / "train.csv"), read_rows(corpus / "valid.csv")
    replayed = [
        train[i]
        for label, share in (("fake", 1), ("real", 2))
        for i in some_of(train, label, share * len(learned), rng)
    ]
    parts = {
        "train": train,
        "valid": valid,
        "adapt": replayed + learned,
        "valid_adapted": valid + added,
        "reference": reference,
        "reference_adapted": reference + added,
        "control": control,
        "arrival": arriving + old,
    }
    return {name: write_rows(folder / f"{name}.csv", rows) for name, rows in parts.items()}


def train(
    settings: Settings, parts: dict[str, Path], *, seed: int, name: str, start: Path | None
) -> Path:
    """Train (from random weights, or go on from `start`); the experiment's folder."""
    steps = settings.steps if start is None else settings.adapt_steps
    options = {
        "base_path": settings.folder,
        "exp_name": f"{name}_{seed}",
        "train_csv": parts["train" if start is None else "adapt"],
        "valid_csv": parts["valid" if start is None else "valid_adapted"],
        "seed": seed,
        "optimizer_step_limit": steps,
        "number_of_epochs": 10_000,
        "valid_step": max(1, steps // 4),
        "lr": 0.001 if start is None else 0.0005,
        "device": "cpu",
    }
    if start is not None:
        options["ckpt_path"] = start
        options["warmup"] = 20
    run("main.py", YAML, *as_options(options))
    return settings.folder / "Log/exps" / f"exp_w2v_tiny_{name}_{seed}"


def embed(settings: Settings, experiment: Path, protocol: Path) -> Path:
    """Scores and embeddings of a protocol by the experiment's best checkpoint; the .npz."""
    score = experiment / f"{protocol.stem}.csv"
    options = {
        "base_path": settings.folder,
        "output_folder": experiment,
        "test_csv": protocol,
        "score_path": score,
        "device": "cpu",
    }
    run("main.py", "analysis", YAML, *as_options(options))
    return score.with_suffix(".npz")


def drift(settings: Settings, parts, experiment: Path, incoming: str, reference: str) -> dict:
    """The JSON of `drift compare` of one protocol against a reference of the same checkpoint."""
    fitted = experiment / f"{reference}.drift.npz"
    if not fitted.is_file():
        run("-m", "drift", "fit", str(embed(settings, experiment, parts[reference])),
            "--output", str(fitted), "--protocol", str(parts[reference]))  # fmt: skip
    embeddings = experiment / f"{incoming}.npz"
    if not embeddings.is_file():
        embed(settings, experiment, parts[incoming])
    told = experiment / f"{incoming}_against_{reference}.json"
    run("-m", "drift", "compare", str(fitted), str(embeddings), "--protocol", str(parts[incoming]),
        "--draws", str(settings.draws), "--json", str(told), "--fail-on", "never")  # fmt: skip
    run("evaluation.py", str(experiment / f"{incoming}.csv"))
    return json.loads(told.read_text())


def one_seed(settings: Settings, corpus: Path, seed: int) -> list[dict]:
    parts = deal(corpus, settings.folder / "protocols" / f"seed_{seed}", seed)
    base = train(settings, parts, seed=seed, name="base", start=None)
    adapted = train(settings, parts, seed=seed, name="adapted", start=best_checkpoint(base))
    asked = (
        ("base", base, "control", "reference"),
        ("base", base, "arrival", "reference"),
        ("adapted", adapted, "arrival", "reference"),
        ("adapted", adapted, "arrival", "reference_adapted"),
    )
    rows = []
    for detector, experiment, incoming, reference in asked:
        found = drift(settings, parts, experiment, incoming, reference)
        by_name = {entry["name"]: entry for entry in found["distances"]}
        rows.append(
            {
                "seed": seed, "detector": detector, "incoming": incoming, "reference": reference,
                "status": found["status"], "p": found["p"], "w1": by_name["w1"]["effect"],
                "mmd": by_name["mmd"]["effect"], "eer": found["incoming"]["eer"],
                "n": by_name["w1"]["n"], "m": by_name["w1"]["m"],
            }
        )  # fmt: skip
    return rows


def best_checkpoint(experiment: Path) -> Path:
    """The newest of the best-validation checkpoints."""
    return sorted((experiment / "save").glob("CKPT+best-step*"))[-1]


def show(rows: list[dict]) -> None:
    """The table, as Markdown."""
    print("| seed | detector | incoming | reference | rows | status | p | w1 effect | mmd effect "
          "| EER |\n|---|---|---|---|---|---|---|---|---|---|")  # fmt: skip
    for r in rows:
        print(
            f"| {r['seed']} | {r['detector']} | {r['incoming']} | {r['reference']} "
            f"| {r['n']}/{r['m']} | {r['status']} | {r['p']:.3f} | {r['w1']:.4f} "
            f"| {r['mmd']:.4f} | {100 * r['eer']:.2f} % |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--folder", required=True, type=Path, help="work folder")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--steps", type=int, default=600, help="optimiser steps of the base")
    parser.add_argument("--adapt_steps", type=int, default=200, help="of the fine-tuning")
    parser.add_argument("--draws", type=int, default=999, help="relabellings")
    parser.add_argument("--limit", type=int, help="prompts and sentences a language")
    args = parser.parse_args()
    folder = args.folder.resolve()
    corpus = folder / "protocols"
    if not (corpus / "test.csv").is_file():
        limit = ["--limit", str(args.limit)] if args.limit else []
        run("-m", "protocols", "make", "asterisk_prompts", "--data_folder", str(folder / "Data"),
            "--output_folder", str(corpus), *limit)  # fmt: skip
    settings = Settings(folder, args.steps, args.adapt_steps, args.draws)
    import torch

    print(f"{platform.machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}")
    rows = [row for seed in args.seeds for row in one_seed(settings, corpus, seed)]
    show(rows)
    (folder / "adaptation.json").write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()

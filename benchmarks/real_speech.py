"""EER of w2v_tiny on real speech, by seen and unseen attack and language, over several seeds.

    python -m benchmarks.real_speech --folder WORK [--seeds 1 2 3] [--steps 200] [--quick]

Makes the asterisk_prompts corpus below WORK, trains w2v_tiny from random weights once for each
seed, scores the test set and prints two Markdown tables, all through the commands a user types.
`--quick` (CI) is one seed on a small corpus. What is there already is kept, so a stopped run goes
on.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.augmentation_eer import run
from benchmarks.machine import describe
from dataio.scores import read_scores
from metrics.rates import eer

# One 2 s piece of each file an epoch is what a network this small learns fastest from.
TRAINING = {
    "number_of_epochs": 1000,
    "train_crop_seconds": "[2, 2]",
    "max_batch_length": 24,
    "warmup": 30,
    "lr": 0.001,
    "num_workers": 0,
}
ALL = "all"


@dataclass(frozen=True)
class Trials:
    """The test set, an entry a file: who speaks how, and whether training heard the like."""

    attacks: np.ndarray  # "-" for human speech
    languages: np.ndarray
    seen_attacks: frozenset[str]
    seen_languages: frozenset[str]


def read_trials(protocols: Path) -> tuple[list[str], Trials]:
    """IDs of the test protocol in order, and what is known of them."""
    train, test = (_rows(protocols / f"{split}.csv") for split in ("train", "test"))
    trials = Trials(
        attacks=np.array([row["Attack"] for row in test]),
        languages=np.array([row["Language"] for row in test]),
        seen_attacks=frozenset(row["Attack"] for row in train) - {"-"},
        seen_languages=frozenset(row["Language"] for row in train),
    )
    return [row["ID"] for row in test], trials


def _rows(path: Path) -> list[dict[str, str]]:
    with open(path, newline="", encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


def slice_eer(trials: Trials, scores: np.ndarray, attacks: set[str], languages: set[str]) -> float:
    """EER in % of the fakes of `attacks` against human speech, both in `languages`.

    NaN where the test set has no such fake.
    """
    spoken = np.isin(trials.languages, list(languages))
    real = scores[spoken & (trials.attacks == "-")]
    fake = scores[spoken & np.isin(trials.attacks, list(attacks))]
    if not (len(real) and len(fake)):
        return float("nan")
    labels = np.r_[np.ones(len(real), int), np.zeros(len(fake), int)]
    return 100 * eer(np.r_[real, fake], labels).rate


def attack_table(trials: Trials, runs: Sequence[np.ndarray]) -> str:
    """Rows: each attack, the seen, the unseen and all; columns: seen and unseen languages, all."""
    attacks = set(trials.attacks.tolist()) - {"-"}
    seen, unseen = attacks & trials.seen_attacks, attacks - trials.seen_attacks
    languages = set(trials.languages.tolist())
    columns = (languages & trials.seen_languages, languages - trials.seen_languages, languages)
    rows = {attack: {attack} for attack in [*sorted(seen), *sorted(unseen)]}
    rows |= {"**seen attacks**": seen, "**unseen attacks**": unseen, "**all**": attacks}
    heads = [f"{'un' * i}seen languages ({' '.join(sorted(columns[i]))})" for i in (0, 1)]
    lines = [f"| fake | in training | {' | '.join(heads)} | all languages |", "|---|" + 4 * "---|"]
    for name, chosen in rows.items():
        heard = "yes" if chosen <= seen else "no" if chosen <= unseen else "some"
        cells = [_cell(trials, runs, chosen, column) for column in columns]
        lines.append(f"| {name} | {heard} | {' | '.join(cells)} |")
    return "\n".join(lines)


def language_table(trials: Trials, runs: Sequence[np.ndarray]) -> str:
    """EER within each language, its human speech against its seen, unseen and all fakes."""
    attacks = set(trials.attacks.tolist()) - {"-"}
    groups = (attacks & trials.seen_attacks, attacks - trials.seen_attacks, attacks)
    heads = "| language | in training | seen attacks | unseen attacks | all attacks |"
    lines = [heads, "|---|" + 4 * "---|"]
    for language in sorted(set(trials.languages.tolist())):
        heard = "yes" if language in trials.seen_languages else "no"
        cells = [_cell(trials, runs, group, {language}) for group in groups]
        lines.append(f"| {language} | {heard} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(trials: Trials, runs: Sequence[np.ndarray], attacks: set, languages: set) -> str:
    """Mean and, of several seeds, standard deviation, in %."""
    rates = [slice_eer(trials, scores, attacks, languages) for scores in runs]
    if np.isnan(rates).any():
        return "-"
    spread = f" ± {np.std(rates, ddof=1):.1f}" if len(rates) > 1 else ""
    return f"{np.mean(rates):.1f}{spread}"


def score_seed(folder: Path, seed: int, steps: int, ids: list[str]) -> np.ndarray:
    """Train with a seed and score the test set (both resume): real minus fake logit, (N,)."""
    experiment = ["hparams/w2v_tiny.yaml", "--base_path", str(folder)]
    experiment += ["--exp_name", f"real_speech_{seed}_{steps}"]
    experiment += ["--protocol_folder", str(folder / "protocols")]
    path = folder / f"scores_{seed}_{steps}.csv"
    if not path.exists():
        options = TRAINING | {"seed": seed, "optimizer_step_limit": steps, "valid_step": steps // 4}
        words = [word for key, value in options.items() for word in (f"--{key}", str(value))]
        run("main.py", *experiment, *words)
        run("main.py", "inference", *experiment, "--score_path", str(path))
    scores = read_scores(path)
    if scores.ids.tolist() != ids:
        raise SystemExit(f"{path} scores another test set: delete it or give another --folder")
    return scores.difference


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--folder", required=True, type=Path, help="corpus, runs and scores")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3], help="default 1 2 3")
    parser.add_argument("--steps", type=int, default=200, help="optimiser steps (default 200)")
    parser.add_argument("--quick", action="store_true", help="one seed, 100 steps, small corpus")
    options = parser.parse_args()
    seeds, steps = (options.seeds[:1], 100) if options.quick else (options.seeds, options.steps)
    folder = options.folder.resolve()
    protocols = folder / "protocols"
    run(
        "-m", "protocols", "make", "asterisk_prompts", "--data_folder", str(folder / "Data"),
        "--output_folder", str(protocols), *(["--limit", "30"] if options.quick else []),
    )  # fmt: skip
    ids, trials = read_trials(protocols)
    runs = [score_seed(folder, seed, steps, ids) for seed in seeds]
    print(describe("torch", "speechbrain"))
    shown = " ".join(map(str, seeds))
    print(f"\nEER in %, seeds {shown}, {steps} steps of w2v_tiny, {len(ids)} test files\n")
    print(attack_table(trials, runs))
    print()
    print(language_table(trials, runs))


if __name__ == "__main__":
    main()

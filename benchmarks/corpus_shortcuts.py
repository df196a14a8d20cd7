"""How hard a corpus is without a network: what level, silence and length tell, and what LFCC tell.

    python -m benchmarks.corpus_shortcuts --data_folder D --protocol_folder P

Two logistic regressions are trained on train.csv and tried on test.csv: one on statistics of the
file that no detector should live from, one on means and deviations of LFCC. Prints EER by attack.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy.fft import dct

from benchmarks.machine import describe
from dataio.audio import load_waveform
from dataio.schema import REAL, label_to_int, resolve_path
from metrics.rates import eer

WINDOW, HOP, BANDS, COEFFICIENTS = 512, 160, 60, 30
SILENCE_DB = -35.0  # below the loudest 10 ms block: not speech


def file_statistics(waveform: np.ndarray) -> np.ndarray:
    """(11,): log length, RMS and peak, offset, silence and level at both ends, level quantiles."""
    power = np.mean(_blocks(waveform, 2 * HOP) ** 2, axis=1)
    level_db = 10 * np.log10(power + 1e-10)
    active = np.flatnonzero(level_db > level_db.max() + SILENCE_DB)
    ends = [active[0], len(level_db) - active[-1], level_db[:5].mean(), level_db[-5:].mean()]
    whole = [np.log(len(waveform)), np.log(np.std(waveform)), waveform.mean(), np.ptp(waveform)]
    return np.array([*whole, *ends, *np.percentile(level_db, [5, 50, 100])])


def lfcc_statistics(waveform: np.ndarray) -> np.ndarray:
    """(90,): mean and deviation of 30 LFCC, and deviation of their steps from frame to frame."""
    spectrum = np.abs(np.fft.rfft(_blocks(waveform, WINDOW) * np.hanning(WINDOW))) ** 2
    edges = np.linspace(0, WINDOW // 2, BANDS + 2)
    bins = np.arange(WINDOW // 2 + 1)
    bank = np.array([np.interp(bins, edges[i : i + 3], [0, 1, 0]) for i in range(BANDS)])
    log_energy = np.log(spectrum @ (bank / bank.sum(axis=1, keepdims=True)).T + 1e-9)
    lfcc = dct(log_energy, norm="ortho")[:, :COEFFICIENTS]
    return np.concatenate([lfcc.mean(0), lfcc.std(0), np.diff(lfcc, axis=0).std(0)])


def _blocks(waveform: np.ndarray, size: int) -> np.ndarray:
    padded = np.pad(waveform, (0, max(0, size - len(waveform))))
    return np.lib.stride_tricks.sliding_window_view(padded, size)[::HOP]


FEATURES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "file statistics": file_statistics,
    "LFCC": lfcc_statistics,
}


def fit_and_score(train: np.ndarray, labels: np.ndarray, test: np.ndarray) -> np.ndarray:
    """Log odds of `real` for the rows of `test`, by a logistic regression on balanced classes."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    classifier = LogisticRegression(C=0.1, max_iter=3000, class_weight="balanced")
    return make_pipeline(StandardScaler(), classifier).fit(train, labels).decision_function(test)


def rates_by_attack(scores: np.ndarray, attacks: np.ndarray) -> dict[str, float]:
    """EER in % of each attack's files, and of all, against every real one (attack `-`)."""
    labels = (attacks == "-").astype(int)
    rates = {"all": 100 * eer(scores, labels).rate}
    for attack in sorted(set(attacks.tolist()) - {"-"}):
        chosen = (attacks == attack) | (labels == REAL)
        rates[attack] = 100 * eer(scores[chosen], labels[chosen]).rate
    return rates


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data_folder", required=True, help="what $ROOT stands for")
    parser.add_argument("--protocol_folder", required=True, type=Path, help="train.csv, test.csv")
    options = parser.parse_args()
    rows, waveforms = {}, {}
    for split in ("train", "test"):
        with open(options.protocol_folder / f"{split}.csv", newline="", encoding="utf-8") as lines:
            rows[split] = list(csv.DictReader(lines))
        paths = [resolve_path(row["Path"], options.data_folder) for row in rows[split]]
        waveforms[split] = [load_waveform(path) for path in paths]
    labels = np.array([label_to_int(row["Label"], "train.csv") for row in rows["train"]])
    attacks = np.array([row["Attack"] for row in rows["test"]])
    print(describe("numpy", "scikit-learn"), end="\n\n")
    for number, (name, extract) in enumerate(FEATURES.items()):
        train, test = (np.array([extract(w) for w in waveforms[s]]) for s in ("train", "test"))
        rates = rates_by_attack(fit_and_score(train, labels, test), attacks)
        if number == 0:
            print(f"| EER in % | {' | '.join(rates)} |\n|{'---|' * (len(rates) + 1)}")
        print(f"| {name} | {' | '.join(f'{rate:.1f}' for rate in rates.values())} |", flush=True)


if __name__ == "__main__":
    main()

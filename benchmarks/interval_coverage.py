"""How often the 95 % intervals of every figure hold its true value, on simulated sets.

    python -m benchmarks.interval_coverage [--sets 1000] [--replicates 39] [--only files]

Coverage does not depend on the number of replicates, only the spread of an interval's ends does
(the k-th of R stands for k / (R + 1), and 39 is the least R that has a 2.5 % end). Truths are those
of 200,000 quantiles of each class. Each line is printed as soon as it is known.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from benchmarks.machine import describe
from metrics.bootstrap import Plan, intervals, paired_intervals
from metrics.calibration import fit_affine
from metrics.measures import MEASURES, Setting, measure
from metrics.rates import confusion_rates
from metrics.results import PAIRED
from metrics.sweep import sweep

SETTING = Setting(threshold=0.0)
QUANTILES = 200_000
AT_THRESHOLD = ("accuracy", "precision", "recall", "f1", "fpr", "fnr", "hter")
OPERATING = ("frr_at_far_1", "frr_at_far_0.1", "far_at_frr_1", "far_at_frr_0.1")
COLUMNS = {
    "EER": ("eer", "eer_interpolated", "eer_rocch"),
    "its threshold": ("eer_threshold", "eer_threshold_score"),
    "AUC": ("roc_auc",),
    "at the threshold": AT_THRESHOLD,
    "operating points": OPERATING,
    **{name: (name,) for name in ("min_dcf", "act_dcf", "min_cllr", "cllr")},
}
# (law, real files, fake files, EER)
FILES = (
    ("normal", 20, 20, 0.02), ("normal", 20, 400, 0.02), ("heavy", 20, 1000, 0.05),
    ("normal", 30, 300, 0.02), ("short", 30, 300, 0.1), ("tied", 100, 100, 0.1),
    ("normal", 100, 800, 0.01), ("heavy", 100, 1000, 0.005), ("wide real", 100, 800, 0.02),
    ("skewed", 800, 100, 0.02), ("tied", 300, 300, 0.05), ("short", 300, 300, 0.2),
    ("wide fake", 100, 5000, 0.1), ("heavy", 1000, 1000, 0.002), ("normal", 1000, 1000, 0.2),
    ("skewed", 500, 5000, 0.01), ("normal", 5000, 5000, 0.05),
    ("coarse", 100, 1000, 0.02), ("coarse", 300, 300, 0.1), ("coarse", 2000, 2000, 0.05),
)  # fmt: skip
STEPS = {"tied": 10, "coarse": 1}  # of scores that are rounded
HARD = 0.05  # of the speakers: they have all of that share of files that scores worst
# (speakers a class, whether they have files of both classes, share of a speaker's own shift in the
# variance or "hard", whether they have unequal numbers of files, EER, real and fake files of each)
GROUPS = (
    (2, False, 0.5, False, 0.1, 20, 20), (5, False, 0.5, False, 0.1, 20, 20),
    (5, False, 0.2, True, 0.01, 20, 20), (10, True, 0.2, True, 0.05, 20, 20),
    (20, True, 0.5, False, 0.02, 20, 20), (20, False, 0.5, True, 0.1, 20, 20),
    (40, False, 0.2, True, 0.2, 20, 20), (10, False, "hard", False, 0.02, 20, 20),
    (20, False, "hard", False, 0.1, 20, 20), (10, True, 0.2, False, 0.05, 4, 200),
    (20, False, 0.5, True, 0.1, 5, 50), (40, True, 0.2, True, 0.02, 5, 100),
)  # fmt: skip
# (real files, fake files, EER of A, EER of B, correlation of their scores, speakers of both classes
# whose shift is half of the variance; 0: each file is drawn by itself)
PAIRS = (
    (20, 20, 0.02, 0.2, 0.8, 0), (30, 300, 0.02, 0.02, 0.8, 0), (100, 1000, 0.002, 0.005, 0.8, 0),
    (300, 300, 0.1, 0.12, 0.95, 0), (1000, 1000, 0.2, 0.05, 0.5, 0), (200, 200, 0.1, 0.12, 0.8, 10),
    (100, 1000, 0.02, 0.05, 0.8, 20), (800, 800, 0.1, 0.1, 0.5, 40),
)  # fmt: skip
OWN_SHARE = 0.5  # of a speaker's shift in the variance of a pair's scores


@dataclass(frozen=True)
class Law:
    """Laws of both classes with FRR = FAR = `eer` at score 0, near to log likelihood ratios."""

    name: str
    eer: float

    def __hash__(self):
        return hash((self.name, self.eer))

    @property
    def classes(self):
        from scipy import stats

        return {
            "normal": (stats.norm(), stats.norm()),
            "tied": (stats.norm(), stats.norm()),
            "coarse": (stats.norm(), stats.norm()),
            "wide fake": (stats.norm(), stats.norm(scale=3)),
            "wide real": (stats.norm(scale=3), stats.norm()),
            "heavy": (stats.t(3), stats.t(3)),
            "skewed": (stats.gumbel_l(), stats.gumbel_r()),  # long tails into the other class
            "short": (stats.gumbel_r(), stats.gumbel_l()),
        }[self.name]

    def scores(self, real: np.ndarray, fake: np.ndarray) -> np.ndarray:
        """Scores of quantiles (n_real,) and (n_fake,), real first."""
        return self._scaled(self._raw(real, fake))

    def _raw(self, real, fake):
        of_real, of_fake = self.classes
        shifted = (
            of_real.ppf(real) - of_real.ppf(self.eer),
            of_fake.ppf(fake) - of_fake.isf(self.eer),
        )
        return np.concatenate(shifted)

    def _scaled(self, raw):
        if steps := STEPS.get(self.name):  # in a standard deviation, none at the threshold
            raw = (np.floor(steps * raw) + 0.5) / steps
        return raw * _scale(self)

    def population(self, count: int = QUANTILES) -> tuple[np.ndarray, np.ndarray]:
        quantiles = (np.arange(count) + 0.5) / count
        return self.scores(quantiles, quantiles), np.repeat([1, 0], count)


@cache
def _scale(law: Law) -> float:
    quantiles = (np.arange(2000) + 0.5) / 2000
    return fit_affine(law._raw(quantiles, quantiles), np.repeat([1, 0], 2000)).scale


@cache
def _of_population(law: Law) -> dict[str, float]:
    return measure(sweep(*law.population()), MEASURES, SETTING)


def truth(law: Law, real: int, fake: int) -> dict[str, float]:
    """Every figure of the population, at the set's proportion of the classes."""
    found = dict(_of_population(law))
    missed, accepted = real * found["fnr"], fake * found["fpr"]
    rates = confusion_rates(real=real, fake=fake, missed=missed, false_accepts=accepted)
    return found | rates


def of_files(rng, case) -> tuple[Law, np.ndarray, np.ndarray, None]:
    name, real, fake, eer = case
    law = Law(name, eer)
    return (
        law,
        law.scores(rng.random(real), rng.random(fake)),
        np.repeat([1, 0], [real, fake]),
        None,
    )


def of_groups(rng, case) -> tuple[Law, np.ndarray, np.ndarray, np.ndarray]:
    speakers, both, share, unequal, eer, real_each, fake_each = case
    law = Law("normal", eer)
    sizes = rng.lognormal(size=speakers) if unequal else np.ones(speakers)
    real, fake = (
        np.repeat(
            np.arange(speakers), np.maximum(1, np.round(each * sizes / sizes.mean())).astype(int)
        )
        for each in (real_each, fake_each)
    )
    speaker = np.concatenate([real, fake if both else fake + speakers])
    labels = np.repeat([1, 0], [len(real), len(fake)])
    if share == "hard":
        hard = (rng.random(2 * speakers) < HARD)[speaker]
        worst_first = rng.random(len(speaker)) * np.where(hard, HARD, 1 - HARD)
        worst_first[~hard] += HARD
        quantiles = np.where(labels == 1, worst_first, 1 - worst_first)
    else:
        quantiles = quantiles_of(rng, speaker, share)
    return law, law.scores(quantiles[labels == 1], quantiles[labels == 0]), labels, speaker


def quantiles_of(rng, speaker: np.ndarray, share: float) -> np.ndarray:
    """Uniform (N,), a `share` of whose normal deviate's variance is each speaker's own."""
    from scipy.stats import norm

    own = np.sqrt(share) * rng.normal(size=int(speaker.max()) + 1)[speaker]
    return norm.cdf(own + np.sqrt(1 - share) * rng.normal(size=len(speaker)))


def of_pairs(rng, case) -> tuple[tuple[Law, Law], list[np.ndarray], np.ndarray, np.ndarray | None]:
    from scipy.stats import norm

    real, fake, *eers, correlation, speakers = case
    each = np.arange(real + fake)
    speaker = np.concatenate([each[:real], each[:fake]]) % speakers if speakers else each
    share = OWN_SHARE if speakers else 0.0

    def deviates():
        return norm.ppf(quantiles_of(rng, speaker, share))

    shared = np.sqrt(correlation) * deviates()
    laws, scores = [Law("normal", eer) for eer in eers], []
    for law in laws:
        quantiles = norm.cdf(shared + np.sqrt(1 - correlation) * deviates())
        scores.append(law.scores(quantiles[:real], quantiles[real:]))
    return laws, scores, np.repeat([1, 0], [real, fake]), speaker if speakers else None


def trial(kind: str, case, number: int, replicates: int) -> tuple[dict, dict]:
    """Intervals and truths of one simulated set."""
    rng = np.random.default_rng(
        [11, number, *(int(1e4 * x) for x in case if not isinstance(x, str))]
    )
    options = {"setting": SETTING, "plan": Plan(replicates, seed=number)}
    if kind == "pairs":
        (a, b), scores, labels, clusters = of_pairs(rng, case)
        true_a, true_b = truth(a, *case[:2]), truth(b, *case[:2])
        found = paired_intervals(scores, labels, PAIRED, clusters=clusters, **options)
        return found, {name: true_a[name] - true_b[name] for name in PAIRED}
    law, scores, labels, clusters = (of_files if kind == "files" else of_groups)(rng, case)
    real = int(labels.sum())
    found = intervals(scores, labels, list(MEASURES), clusters=clusters, **options)
    return found, truth(law, real, len(labels) - real)


def coverage(kind: str, case, sets: int, replicates: int) -> dict[str, float]:
    """Share of the sets whose interval holds the truth, by figure; of those that are printed."""
    held, printed = {}, {}
    for number in range(sets):
        found, true = trial(kind, case, number, replicates)
        for name, (low, high) in found.items():
            given = not np.isnan(low)
            printed[name] = printed.get(name, 0) + given
            inside = low - 1e-12 <= true[name] <= high + 1e-12
            held[name] = held.get(name, 0) + inside
    return {name: held[name] / printed[name] if printed[name] else float("nan") for name in held}


def rows(kind: str, sets: int, replicates: int) -> Iterator[str]:
    columns = {name: (name,) for name in PAIRED} if kind == "pairs" else COLUMNS
    titles = {
        "files": ("law", "real", "fake", "true EER"),
        "groups": (
            "speakers a class",
            "of both",
            "own share",
            "unequal",
            "true EER",
            "real",
            "fake a speaker",
        ),
        "pairs": ("real", "fake", "EER of A", "EER of B", "correlation", "speakers"),
    }[kind]
    yield "| " + " | ".join([*titles, *columns]) + " |"
    yield "|---" + "|--:" * (len(titles) + len(columns) - 1) + "|"
    for case in {"files": FILES, "groups": GROUPS, "pairs": PAIRS}[kind]:
        found = coverage(kind, case, sets, replicates)
        least = [min(found[name] for name in names) for names in columns.values()]
        yield "| " + " | ".join([*map(cell, case), *(f"{100 * x:.1f}" for x in least)]) + " |"


def cell(value) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sets", type=int, default=1000)
    parser.add_argument("--replicates", type=int, default=39)
    parser.add_argument("--only", nargs="+", default=("files", "groups", "pairs"))
    arguments = parser.parse_args(argv)
    print(describe("numpy", "scipy"))
    error = 196 * (0.95 * 0.05 / arguments.sets) ** 0.5
    print(f"{arguments.sets} sets a line: 95 % is uncertain by {error:.1f} points", flush=True)
    for kind in arguments.only:
        print()
        for row in rows(kind, arguments.sets, arguments.replicates):
            print(row, flush=True)


if __name__ == "__main__":
    main()

"""A small part of the grid of benchmarks/RESULTS.md; the percentile bootstrap fails each line."""

from itertools import islice
from math import sqrt

import numpy as np
import pytest

from benchmarks.interval_coverage import FILES, GROUPS, PAIRS, Law, coverage, of_files, rows, truth
from metrics.rates import eer
from metrics.sweep import sweep

SETS = 100


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind, case",
    [
        ("files", ("normal", 20, 400, 0.02)),
        ("files", ("short", 300, 300, 0.2)),
        ("groups", (5, False, 0.5, False, 0.1, 20, 20)),
        ("pairs", (100, 1000, 0.002, 0.005, 0.8, 0)),
        ("pairs", (200, 200, 0.1, 0.12, 0.8, 10)),
    ],
)
def test_every_printed_interval_covers_the_truth(kind, case):
    assert case in {"files": FILES, "groups": GROUPS, "pairs": PAIRS}[kind]
    found = coverage(kind, case, SETS, replicates=39)
    least = 0.95 - 3.3 * sqrt(0.95 * 0.05 / SETS)  # one in 2,000, for the least of 20 figures
    assert {name: share for name, share in found.items() if not share >= least} == {}


@pytest.mark.parametrize("name", sorted({case[0] for case in FILES}))
def test_both_errors_of_every_law_are_its_eer_at_the_threshold(name):
    true = truth(Law(name, 0.05), 100, 300)
    assert [true[each] for each in ("fpr", "fnr", "eer")] == pytest.approx([0.05] * 3, abs=2e-3)
    assert true["accuracy"] == pytest.approx(0.95, abs=1e-3)
    _, scores, labels, _ = of_files(np.random.default_rng(0), (name, 20_000, 20_000, 0.05))
    assert eer(sweep(scores, labels)).rate == pytest.approx(true["eer"], abs=0.006)


def test_tables_have_a_share_for_every_column():
    (title, rule, first) = islice(rows("pairs", 2, 39), 3)
    assert title.count("|") == rule.count("|") == first.count("|") == 11
    assert "nan" not in first and first.endswith("0 |")

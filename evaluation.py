"""Evaluate a score file.

    python evaluation.py S.csv [threshold] [PREFIX ...]

`threshold` is on P(real), default 0.5; each PREFIX names a subset (IDs that start with it).
"""

from __future__ import annotations

import argparse
import sys

from protocols.schema import UNKNOWN, UserError

DEFAULT_THRESHOLD = 0.5


def main(argv: list[str] | None = None) -> int:
    arguments = parse_arguments(sys.argv[1:] if argv is None else argv)
    try:
        return evaluate(arguments)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def parse_arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="evaluation.py", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("scores", help="score CSV: ID,Score,Label")
    parser.add_argument("rest", nargs="*", metavar="threshold PREFIX", help="see above")
    arguments = parser.parse_intermixed_args(argv)
    arguments.threshold, arguments.prefixes = split_threshold(arguments.rest)
    return arguments


def split_threshold(words: list[str]) -> tuple[float, list[str]]:
    """The published order: a number first is the threshold, everything else is an ID prefix."""
    try:
        threshold, prefixes = float(words[0]), words[1:]
    except (ValueError, IndexError):
        threshold, prefixes = DEFAULT_THRESHOLD, words
    return threshold, prefixes


def evaluate(arguments: argparse.Namespace) -> int:
    from dataio.scores import read_scores
    from metrics.measures import PUBLISHED, Setting, measure, measure_subsets
    from metrics.rates import logit
    from metrics.tables import screen

    if not 0 <= arguments.threshold <= 1:
        raise UserError(f"threshold {arguments.threshold} is not in [0, 1]: give a P(real)")
    scores = read_scores(arguments.scores)
    known = scores.labels != UNKNOWN
    if not known.all():
        print(f"note: {(~known).sum()} rows without a label are left out")
        scores = scores.take(known)
    members = members_of(scores.ids, arguments.prefixes)
    setting = Setting(threshold=logit(arguments.threshold))
    sweeps = measure_subsets(scores.difference, scores.labels, members)
    rows = {name: measure(points, PUBLISHED, setting) for name, points in sweeps.items()}
    print(f"Threshold on P(real) for accuracy to fnr: {arguments.threshold:g}")
    print(screen(rows))
    return 0


def members_of(ids, prefixes: list[str]):
    """Row selections by subset name: `all`, then every subset found, or the prefixes named."""
    import numpy as np

    from dataio.scores import subset_index

    names, index = subset_index(ids)
    members = {"all": slice(None)}
    if not prefixes:
        order = np.argsort(index, kind="stable")
        bounds = np.searchsorted(index[order], np.arange(len(names) + 1))
        return members | {name: order[bounds[i] : bounds[i + 1]] for i, name in enumerate(names)}
    for prefix in prefixes:
        rows = np.flatnonzero([key.startswith(prefix) for key in ids])
        if not len(rows):
            raise UserError(f"no ID starts with {prefix!r}: the subsets are {', '.join(names)}")
        members[prefix] = rows
    return members


if __name__ == "__main__":
    sys.exit(main())

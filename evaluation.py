"""Evaluate score files of speech-deepfake detectors.

    python evaluation.py S.csv [threshold] [PREFIX ...]        the metrics table
    python evaluation.py S.csv --report R.html                 everything, on one page
    python evaluation.py A.csv --against B.csv                 two systems on the same files
    python evaluation.py calibrate DEV.csv --output cal.json   scores to log likelihood ratios
    python evaluation.py fuse DEV_A.csv DEV_B.csv --apply A.csv B.csv --output FUSED.csv
    python evaluation.py localisation TIMELINES --labels L     where in the recordings, RangeEER

`threshold` is on P(real), default 0.5. Each PREFIX names a subset, the text before the first hyphen
of an ID; one with a hyphen, such as LA-E_1, selects within its subset the IDs that begin with it.
Score files of ASVspoof 2019, 2021 and 5, Speech-DF-Arena and speech-spoof-bench are read as well.
"""

from __future__ import annotations

import argparse
import sys
from importlib import import_module

from dataio.command import run_command

DEFAULT_THRESHOLD = 0.5
DEFAULT_REPLICATES = 1000
PHASES = ("progress", "eval", "hidden", "hidden1_PA", "hidden2_PA")
EXPORTS = ("asvspoof5", "asvspoof2021", "asvspoof2019", "speech_df_arena", "speech_spoof_bench")


def main(argv: list[str] | None = None) -> int:
    argv = sys.argv[1:] if argv is None else argv
    verb = argv[0] if argv and argv[0] in VERBS else "evaluate"
    parse, runs = VERBS.get(verb, (None, "metrics.session:evaluate"))
    arguments = parse(argv[1:]) if parse else evaluate_arguments(argv)
    arguments.command = ["python", "evaluation.py", *argv]

    def command() -> int:
        module, _, name = runs.partition(":")
        return getattr(import_module(module), name)(arguments)

    return run_command(command)


def evaluate_arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="evaluation.py", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("scores", help="score CSV (ID,Score,Label) or a foreign score file")
    parser.add_argument("rest", nargs="*", metavar="threshold PREFIX", help="see above")
    what = parser.add_argument_group("what is computed")
    what.add_argument("--metrics", nargs="+", metavar="NAME", help="figures by name, or all")
    what.add_argument(
        "--bootstrap",
        nargs="?",
        type=int,
        const=DEFAULT_REPLICATES,
        metavar="N",
        help=f"intervals from N reweightings (default {DEFAULT_REPLICATES}; 0: none)",
    )
    what.add_argument("--seed", type=int, default=0, help="of the weights, default 0")
    what.add_argument("--confidence", type=float, default=0.95, help="default 0.95")
    what.add_argument("--cluster", metavar="COLUMN", help="reweight groups, such as Speaker")
    what.add_argument("--protocol", metavar="T.csv", help="protocol of these scores")
    what.add_argument("--by", nargs="+", metavar="COLUMN", help="slices, such as Attack Language")
    what.add_argument("--against", metavar="B.csv", help="a second system's scores, same files")
    what.add_argument("--threshold_from", metavar="DEV.csv", help="carry a threshold over")
    what.add_argument("--threshold_rule", choices=("eer", "min_dcf"), help="default eer")
    what.add_argument("--calibration", metavar="cal.json", help="apply it, and say what it gave")
    what.add_argument("--against_calibration", metavar="cal_b.json", help="applied to B.csv")
    add_key_options(what)
    for name, value in (("p_spoof", 0.05), ("c_miss", 1.0), ("c_fa", 10.0)):
        what.add_argument(f"--{name}", type=float, default=value, help=f"costs, default {value}")
    where = parser.add_argument_group("where it goes, besides the screen")
    where.add_argument("--json", metavar="R.json", help="every figure")
    where.add_argument("--csv", metavar="R.csv", help="the table with intervals")
    where.add_argument("--markdown", metavar="R.md")
    where.add_argument("--latex", metavar="R.tex")
    where.add_argument("--report", metavar="R.html", help="one self-contained page")
    where.add_argument("--plots", metavar="DIR", help="the page's figures as SVG and PDF")
    where.add_argument(
        "--export",
        nargs="+",
        default=[],
        metavar="FORMAT=PATH",
        help="scores for others: " + ", ".join(EXPORTS),
    )
    where.add_argument("--data_folder", help="the protocol's $ROOT, for exported file names")
    arguments = parser.parse_intermixed_args(argv)
    arguments.threshold, arguments.prefixes = split_threshold(arguments.rest)
    return arguments


def calibrate_arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="evaluation.py calibrate",
        description="Fit a map from scores to log likelihood ratios on a development set.",
    )
    parser.add_argument("scores", metavar="DEV.csv")
    parser.add_argument("--output", required=True, metavar="cal.json")
    parser.add_argument("--method", choices=("affine", "isotonic"), default="affine")
    parser.add_argument(
        "--prior", type=float, help="P(real) an affine map is fitted for, default 0.5"
    )
    add_key_options(parser)
    return parser.parse_args(argv)


def fuse_arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="evaluation.py fuse",
        description="Weigh several systems by logistic regression on a development set.",
    )
    parser.add_argument("scores", nargs="+", metavar="DEV.csv", help="one file a system")
    parser.add_argument("--apply", nargs="+", required=True, metavar="S.csv", help="same systems")
    parser.add_argument("--output", required=True, metavar="FUSED.csv")
    parser.add_argument("--prior", type=float, help="P(real) to fit for, default 0.5")
    add_key_options(parser)
    return parser.parse_args(argv)


def localisation_arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="evaluation.py localisation",
        description="Measure where timelines call recordings spoof, against labels of their parts.",
    )
    parser.add_argument("timelines", nargs="+", metavar="TIMELINE", help="JSON files or folders")
    parser.add_argument("--labels", nargs="+", required=True, metavar="L", help="files or folders")
    parser.add_argument(
        "--threshold", type=float, default=0.0, help="spoof where real - fake <= it, default 0"
    )
    parser.add_argument(
        "--absent_is_bona_fide", action="store_true", help="of labels that list spoof alone"
    )
    parser.add_argument(
        "--allow_missing", action="store_true", help="measure although labels lack a timeline"
    )
    parser.add_argument(
        "--bootstrap", type=int, default=DEFAULT_REPLICATES, metavar="N", help="0: no intervals"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the weights, default 0")
    parser.add_argument("--confidence", type=float, default=0.95, help="default 0.95")
    parser.add_argument("--json", metavar="R.json", help="every figure")
    parser.add_argument("--report", metavar="R.html", help="one self-contained page")
    return parser.parse_intermixed_args(argv)


def add_key_options(parser) -> None:
    parser.add_argument(
        "--key",
        nargs="+",
        action="extend",
        default=[],
        metavar="KEY",
        help="labels of score files that hold none; several keys are taken together",
    )
    parser.add_argument("--phase", choices=PHASES, help="of an ASVspoof 2021 key, default eval")
    parser.add_argument(
        "--allow_missing",
        action="store_true",
        help="measure although trials of the key have no score",
    )


def split_threshold(words: list[str]) -> tuple[float, list[str]]:
    """The published order: a number first is the threshold, everything else is an ID prefix."""
    try:
        return float(words[0]), words[1:]
    except (ValueError, IndexError):
        return DEFAULT_THRESHOLD, words


VERBS = {  # without one: evaluate
    "calibrate": (calibrate_arguments, "metrics.fitting:calibrate"),
    "fuse": (fuse_arguments, "metrics.fitting:fuse"),
    "localisation": (localisation_arguments, "metrics.timelines:evaluate_localisation"),
}


if __name__ == "__main__":
    sys.exit(main())

"""python -m drift fit | compare | rank: the shell around the package.

Exit codes: 0 no drift, 1 drift (see --fail-on), 2 a mistake in usage or input, 3 too little data,
70 a defect of the toolkit (its traceback is for the bug report, and it says nothing about drift).
"""

from __future__ import annotations

import argparse
import sys
import traceback
from collections.abc import Sequence

from dataio.command import run_command
from dataio.locks import sole_writer
from dataio.output_paths import check_outputs
from dataio.schema import UserError
from dataio.words import tell
from drift.device import choose_device

OK, DRIFTED, MISTAKE, INSUFFICIENT, DEFECT = 0, 1, 2, 3, 70  # 70: EX_SOFTWARE of sysexits.h
LEAST = {"seed": 0, "max_rows": 0, "top": 1, "draws": 1}
OF_WINDOWS = ("step", "time", "k_of_n")
FAIL_ON = {"never": (), "warn": ("warn", "alarm"), "alarm": ("alarm",)}


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m drift", description=__doc__.split("\n")[0])
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="fit|compare|rank")

    fit = verbs.add_parser("fit", help="keep what later comparisons need in one file")
    fit.add_argument("embeddings", help=".npz of main.py analysis, .npz/.npy/.parquet, score .csv")
    fit.add_argument("--output", required=True, help="the reference to write, e.g. ref.drift.npz")
    _add_common(fit)
    fit.add_argument("--group", help="column whose rows belong together (Speaker): moved as one")
    fit.set_defaults(run=run_fit)

    compare = verbs.add_parser("compare", help="distances, p-values and one status")
    compare.add_argument("reference", help="a file of python -m drift fit")
    compare.add_argument("embeddings", help="what arrived")
    _add_common(compare)
    compare.add_argument(
        "--distances", nargs="+", help="'all' or names (default: w1 mmd score)", metavar="NAME"
    )
    compare.add_argument("--alpha", type=float, default=0.05, help="false-alarm rate (0.05)")
    compare.add_argument("--draws", type=int, default=200, help="relabellings (200)")
    compare.add_argument("--window", help="rows (500) or time (7d, 12h) in a window")
    compare.add_argument("--step", help="from window to window (default: no overlap)")
    compare.add_argument("--time", help="column with the time of each row (ISO dates; UTC)")
    compare.add_argument("--k_of_n", type=int, nargs=2, metavar=("K", "N"),
                         help="windows that must alarm among how many (2 3)")  # fmt: skip
    compare.add_argument("--fail-on", choices=FAIL_ON, default="alarm", help="exit 1 from (alarm)")
    compare.add_argument("--json", help="write everything as JSON")
    compare.add_argument("--report", help="write a self-contained HTML page")
    for verb in (fit, compare):
        verb.add_argument("--device", help="cpu, cuda or cuda:N (a GPU where there is one)")
    compare.set_defaults(run=run_compare)

    rank = verbs.add_parser("rank", help="which files drifted most")
    rank.add_argument("reference", help="a file of python -m drift fit")
    rank.add_argument("embeddings", help="what arrived")
    rank.add_argument("--top", type=int, default=50, help="files to print (50)")
    rank.add_argument("--output", help="also write them as CSV")
    rank.add_argument("--seed", type=int, default=0, help="of a subsample (0)")
    rank.add_argument("--max_rows", type=int, default=0, help="incoming rows read; 0: all (0)")
    rank.set_defaults(run=run_rank, protocol=(), by=(), group=None, data_folder=None, device=None)
    return parser


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--protocol", nargs="+", default=(), help="CSVs joined by ID")
    parser.add_argument("--by", nargs="+", default=(), metavar="COLUMN", help="slice by these")
    parser.add_argument("--data_folder", help="$ROOT of the protocol: measures loudness too")
    parser.add_argument("--seed", type=int, default=0, help="of every random draw (0)")
    parser.add_argument(
        "--max_rows", type=int, default=12_000, help="a larger file is subsampled; 0: never (12000)"
    )


def check_values(args: argparse.Namespace) -> None:
    """Refuse numbers without meaning, and options that would change nothing."""
    for name, least in LEAST.items():
        value = getattr(args, name, least)
        if value < least:
            raise UserError(f"--{name} {value} has no meaning: give {least} or more")
    if getattr(args, "window", "") is None:
        for name in OF_WINDOWS:
            if getattr(args, name) is not None:
                raise UserError(f"--{name} is about windows: give their size with --window")


def check_paths(args: argparse.Namespace) -> None:
    """Refuse outputs that would destroy what is read, or each other."""
    named = ("output", "json", "report")
    outputs = [(f"--{name}", getattr(args, name, None)) for name in named]
    check_outputs(outputs, [args.embeddings, getattr(args, "reference", None), *args.protocol])


def read_sample(args: argparse.Namespace, columns: Sequence[str]):
    """The embeddings with the protocol's columns, subsampled by the seed where there are more."""
    import numpy as np

    from drift.columns import with_columns
    from drift.conditions import with_loudness
    from drift.embedding_files import read_embeddings

    rng = np.random.default_rng([args.seed, 10])
    sample = read_embeddings(args.embeddings, max_rows=args.max_rows or None, rng=rng)
    if args.group is not None and sample.total_rows and sample.total_rows > len(sample):
        raise UserError(
            f"{args.embeddings} has {sample.total_rows} rows: dropping single rows would thin the "
            f"groups of {args.group}; raise --max_rows or give a file with fewer whole groups"
        )
    sample = with_columns(sample, args.protocol, [name for name in columns if name])
    for name in columns:
        if name:
            sample.column(name)
    if args.data_folder is not None:
        sample = with_loudness(sample, args.data_folder, rng)
    return sample


def run_fit(args: argparse.Namespace) -> int:
    from drift.fitting import fit_with_null
    from drift.outputs import null_table, number, table
    from drift.reference import save_reference

    sample = read_sample(args, [*args.by, args.group])
    with sole_writer(args.output):
        reference = fit_with_null(sample, seed=args.seed, group=args.group)
        save_reference(reference, args.output)
    total = sample.total_rows or len(sample)
    drawn = f" (drawn from {total} with seed {args.seed})" if total > len(sample) else ""
    print(
        f"{args.output}: {len(sample)} rows{drawn} of {sample.dimensions} dimensions; "
        f"{reference.scale.rows} fixed the scale, {len(reference.sample)} are compared"
    )
    rows = [
        [str(e["rows"]), str(e["against"]), e["distance"],
         *(number(q) for q in e["quantiles"].values())]
        for e in null_table(reference)
    ]  # fmt: skip
    if rows:
        print("when nothing has changed, this many rows show:")
        print(table(["rows", "against", "distance", "5%", "50%", "95%", "99%"], rows))
    return OK


def run_compare(args: argparse.Namespace) -> int:
    from drift.comparison import Request, compare
    from drift.distances import DEFAULT_DISTANCES, DISTANCES
    from drift.outputs import describe, write_json
    from drift.reference import load_reference
    from drift.windows import K_OF_N

    chosen = args.distances or DEFAULT_DISTANCES
    request = Request(
        distances=tuple(DISTANCES) if list(chosen) == ["all"] else tuple(chosen),
        draws=args.draws,
        seed=args.seed,
        alpha=args.alpha,
        by=tuple(args.by),
        window=args.window,
        step=args.step,
        time=args.time,
        rule=tuple(args.k_of_n or K_OF_N),
    )
    reference = load_reference(args.reference)
    args.group = reference.group
    incoming = read_sample(args, [*args.by, args.time, reference.group])
    comparison = compare(reference, incoming, request)
    print(describe(comparison))
    if args.json:
        write_json(args.json, comparison)
    if args.report:
        from drift.report import write_report

        write_report(args.report, comparison)
    if comparison.status == "insufficient":
        return INSUFFICIENT
    return DRIFTED if comparison.status in FAIL_ON[args.fail_on] else OK


def run_rank(args: argparse.Namespace) -> int:
    from drift.outputs import describe_files, write_ranking
    from drift.ranking import rank_files
    from drift.reference import load_reference

    reference = load_reference(args.reference)
    incoming = read_sample(args, [])
    for note in reference.check(incoming):
        tell(f"note: {note}")
    files = rank_files(reference, incoming, args.top)
    if not files:
        print(f"{incoming.name} holds no row: there is nothing to rank")
        return INSUFFICIENT
    print(describe_files(files))
    if args.output:
        write_ranking(args.output, files)
    return OK


def main(argv: Sequence[str] | None = None) -> int:
    args = build_parser().parse_args(argv)

    def command() -> int:
        check_values(args)
        check_paths(args)
        choose_device(args.device)
        return args.run(args)

    try:
        return run_command(command)
    except Exception as error:
        # Python itself would exit with 1, which says "drift".
        traceback.print_exc()
        tell(f"error: a defect of the toolkit ({error!r}): please report it")
        return DEFECT


if __name__ == "__main__":
    sys.exit(main())

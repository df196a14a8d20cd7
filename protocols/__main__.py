"""`python -m protocols VERB ...`: one verb a module, imported only when it is asked for.

A verb's module has `add_arguments(parser)` and `run(args) -> int` (the exit status: 0 fine,
1 something was found by `check` or `leakage`, 2 the user's mistake).
"""

from __future__ import annotations

import argparse
import importlib
import sys

from dataio.command import run_command

VERBS = {
    "list": ("protocols.listing", "the databases: contents, expected folder, source, role"),
    "build": ("protocols.build", "write the protocol CSV of a database"),
    "merge": ("protocols.merge", "join protocol CSVs into train.csv, valid.csv and test.csv"),
    "split": ("protocols.split", "one protocol into training, validation and test data"),
    "check": ("protocols.check", "compare a protocol CSV with the audio on disk"),
    "leakage": ("protocols.leakage", "find what training and test data share"),
    "folders": ("protocols.own.folders", "protocol of your own data: one folder a class"),
    "filelist": ("protocols.own.filelist", "protocol of your own data: a list of files and labels"),
    "filename": ("protocols.own.filename", "protocol of your own data: the class is in the name"),
    "deepfake_eval_2024": (
        "protocols.deepfake_eval_2024",
        "sort Deepfake-Eval-2024 by split and label, and cut it into segments",
    ),
    "deepvoice_segments": (
        "protocols.deepvoice_segments",
        "cut the DEEP-VOICE recordings into the published segments",
    ),
    "make": ("protocols.make", "make a corpus from what is installed on this machine"),
}


def main(argv: list[str] | None = None) -> int:
    """Run one verb; returns the exit status."""
    argv = sys.argv[1:] if argv is None else argv
    parser = argparse.ArgumentParser(prog="python -m protocols")
    parser.description = "Protocol CSVs: build, merge, check; see `python -m protocols VERB --help`"
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    chosen = None
    for verb, (module_name, summary) in VERBS.items():
        verb_parser = verbs.add_parser(verb, help=summary, description=summary)
        if argv[:1] == [verb]:
            chosen = importlib.import_module(module_name)
            chosen.add_arguments(verb_parser)
    args = parser.parse_args(argv)
    return run_command(
        lambda: chosen.run(args), stopped="stopped; the same command goes on where it can"
    )


if __name__ == "__main__":
    sys.exit(main())

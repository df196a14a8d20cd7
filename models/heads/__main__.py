"""python -m models.heads check FILE.json ...: known answers of heads and losses, computed again."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from dataio.command import run_command

BOUND = 1e-5  # relative to the largest number of an answer; float32 against float32


def main(arguments: list[str] | None = None) -> int:
    """0 where every answer is met, 1 where one differs by more than the bound, 2 for a mistake."""
    parser = argparse.ArgumentParser(prog="python -m models.heads", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    check = verbs.add_parser("check", help="compute the known answers of these files again")
    check.add_argument("files", nargs="+", type=Path, metavar="FILE.json")
    check.add_argument("--bound", type=float, default=BOUND, help="relative (default 1e-5)")
    options = parser.parse_args(arguments)
    return run_command(lambda: computed_again(options.files, options.bound))


def computed_again(files: list[Path], bound: float) -> int:
    from models.heads.known_answers import compare  # loads torch

    worst = 0.0
    for path in files:
        for case, relative in compare(path):
            print(f"{path.name}: {case}: {relative:.1e}")
            worst = max(worst, relative)
    return int(not worst <= bound)


if __name__ == "__main__":
    sys.exit(main())

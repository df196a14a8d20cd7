"""Hostile files by the thousand, each read by a watched child (tests/support/hostile.py).

    python -m benchmarks.hostile_files --kinds npz calibration --count 10000 --seed 5

Prints what did not hold and files a second; the status is 1 if anything did not. Files that did
not hold are kept in --folder.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))


def main(argv: list[str] | None = None) -> int:
    from support.hostile import KINDS, run

    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--count", type=int, default=100_000, help="files in all (100000)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", help="where files that did not hold are kept")
    options = parser.parse_args(argv)
    folder = Path(options.folder or tempfile.mkdtemp(prefix="hostile-"))
    faults = []
    for kind in options.kinds:
        start, count = time.monotonic(), -(-options.count // len(options.kinds))
        found = run({kind: count}, seed=options.seed, folder=folder)
        rate = count / (time.monotonic() - start)
        print(
            f"{kind:12} {count} files, {len(found)} did not hold, {rate:.0f} a second", flush=True
        )
        faults += found
    print("\n".join(faults[:20]))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())

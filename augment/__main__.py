"""python -m augment preview FILE --output DIR"""

from __future__ import annotations

import argparse
import sys

from augment import preview
from dataio.command import run_command


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m augment")
    verbs = parser.add_subparsers(dest="verb", required=True)
    text = "a file under every augmentation, as wavs and one picture of spectrograms"
    preview.add_arguments(verbs.add_parser("preview", help=text, description=text))
    options = parser.parse_args(arguments)
    return run_command(lambda: preview.run(options))


if __name__ == "__main__":
    sys.exit(main())

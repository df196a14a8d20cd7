"""python -m augment preview FILE --output DIR"""

from __future__ import annotations

import argparse
import sys

from dataio.command import run_command


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m augment")
    verbs = parser.add_subparsers(dest="verb", required=True)
    text = "a file under every augmentation, as wavs and one picture of spectrograms"
    add_arguments(verbs.add_parser("preview", help=text, description=text))
    options = parser.parse_args(arguments)

    def preview() -> int:
        from augment.preview import run

        return run(options)

    return run_command(preview)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="any audio file")
    parser.add_argument(
        "--output", required=True, metavar="DIR", help="folder for wavs and picture"
    )
    parser.add_argument("--seconds", type=float, default=5, help="of the beginning (default 5)")
    parser.add_argument("--seed", type=int, default=0, help="of the draws (default 0)")
    parser.add_argument("--noise", metavar="DIR", help="recordings to add (default: pink noise)")
    parser.add_argument(
        "--rooms", metavar="DIR", help="impulse responses (default: a synthetic one)"
    )


if __name__ == "__main__":
    sys.exit(main())

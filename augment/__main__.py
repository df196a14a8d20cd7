"""python -m augment preview FILE --output DIR"""

from __future__ import annotations

import argparse
import sys

from augment import preview
from dataio.schema import UserError


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m augment")
    verbs = parser.add_subparsers(dest="verb", required=True)
    text = "a file under every augmentation, as wavs and one picture of spectrograms"
    preview.add_arguments(verbs.add_parser("preview", help=text, description=text))
    options = parser.parse_args(arguments)
    try:
        return preview.run(options)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        if error.filename is None:  # no mistake of the user's: let it be seen whole
            raise
        print(f"error: {error.filename}: {error.strerror}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())

"""The ground: the words all rooms share, files, audio, batches, score files; nothing of ours below.

What needs no torch imports none; `audio` and `dataset` do.
"""

import sys

if sys.version_info < (3, 10):  # noqa: UP036  a system's own Python meets this before all else
    print(
        f"error: this is Python {sys.version_info[0]}.{sys.version_info[1]}, and 3.10 or newer is"
        " needed: activate the environment (source .venv/bin/activate), or make it with"
        " `bash install.sh`",
        file=sys.stderr,
    )
    sys.exit(2)

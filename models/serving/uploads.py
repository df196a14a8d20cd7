"""An uploaded file to verdicts, by the scoring of `main.py score`; nothing of it stays."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from dataio.files import AUDIO_SUFFIXES, FileTable
from models.scoring.audio import Memory, Verdict, judge
from models.scoring.run import Scorer
from models.serving.guard import Refused


class Judged(NamedTuple):
    """Verdicts of a file or its channels, and (channel, reason) of those without one."""

    verdicts: list[Verdict]
    left_out: list[tuple[str, str]]


def judge_upload(
    scorer: Scorer,
    source: BinaryIO,
    name: str,
    *,
    most_seconds: float,
    convert: Callable[[float], float],
) -> Judged:
    """What is found of `source`, a file of the system's, which is closed.

    `name`, a stranger's, tells by its end what has no header to tell it. Raises `Refused` (422) for
    audio of more than `most_seconds`, and where there is no verdict.
    """
    with source, readable(source, name) as path:
        table = FileTable([path], scorer.hparams["channels"])
        seconds = float(table.durations.max())
        if seconds > most_seconds:
            words = f"it is {seconds:.1f} s long, and {most_seconds:g} s is the most (max_seconds)"
            raise Refused(422, words)
        _, verdicts, notes = judge(Memory(len(table)), scorer, table, convert)
        left_out = [
            (table.channels[row], reason.replace(path, "it")) for row, (_, reason) in notes.items()
        ]
    if not verdicts:
        raise Refused(422, left_out[0][1])
    return Judged(verdicts, left_out)


@contextlib.contextmanager
def readable(source: BinaryIO, name: str) -> Iterator[str]:
    """A path that leads to an open file without a name, for as long as it is wanted.

    A link to the descriptor; where the system has none (no /proc), a copy in a folder of its own.
    """
    suffix = Path(name.replace("\0", "")).suffix.lower()
    suffix = suffix if suffix in AUDIO_SUFFIXES else ""
    number = Path(f"/proc/self/fd/{source.fileno()}")
    with tempfile.TemporaryDirectory(prefix="upload-") as folder:
        path = os.path.join(folder, f"upload{suffix}")
        if number.exists():
            os.symlink(number, path)
        else:
            source.seek(0)
            with open(path, "wb") as copy:
                shutil.copyfileobj(source, copy)
        yield path

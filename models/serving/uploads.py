"""An uploaded file to verdicts or a timeline, as `main.py score` and `timeline` make them.

Nothing of it stays.
"""

from __future__ import annotations

import base64
import contextlib
import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, NamedTuple

from dataio.audio_file import UnreadableAudio
from dataio.files import AUDIO_SUFFIXES, FileTable
from dataio.probe import probe
from dataio.words import shown
from models.scoring.audio import Memory, Verdict, judge
from models.scoring.run import Scorer
from models.scoring.timeline import Rule, audacity, timeline_of
from models.scoring.timeline_files import threshold_score
from models.scoring.timeline_picture import Overview, picture
from models.serving.guard import Refused

LONGEST_NAME = 200  # characters of a file's name in an answer
_DRAWING = threading.Lock()


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
        _refuse_long(float(table.durations.max()), most_seconds)
        _, verdicts, notes = judge(Memory(len(table)), scorer, table, convert)
        left_out = [
            (table.channels[row], reason.replace(path, "it")) for row, (_, reason) in notes.items()
        ]
    if not verdicts:
        raise Refused(422, left_out[0][1])
    return Judged(verdicts, left_out)


def timeline_of_upload(
    scorer: Scorer, source: BinaryIO, name: str, *, most_seconds: float, rule: Rule, meta: dict
) -> dict:
    """The timeline's JSON, with `labels` for Audacity and `picture`, a PNG in base 64."""
    with source, readable(source, name) as path:
        try:
            header = probe(path)
            _refuse_long(header.seconds, most_seconds)
            overview = Overview(header)
            timeline = timeline_of(scorer, path, rule, heard=overview.feed)
        except UnreadableAudio as error:
            raise Refused(422, error.reason) from None
    timeline = replace(timeline, path=shown(name, LONGEST_NAME))
    with _DRAWING:  # matplotlib is not made for threads
        png = picture(timeline, overview, threshold_score(rule))
    extra = {"labels": audacity(timeline), "picture": base64.b64encode(png).decode()}
    return timeline.as_json(meta) | extra


def _refuse_long(seconds: float, most: float) -> None:
    if seconds > most:
        words = f"it is {seconds:.1f} s long, and {most:g} s is the most (max_seconds)"
        raise Refused(422, words)


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

"""Audio files without a protocol: what a user names on the command line, folders walked."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import soundfile

from dataio.probe import UnreadableAudio, probe
from dataio.protocol import ProtocolRow
from dataio.schema import UNKNOWN, UserError

logger = logging.getLogger(__name__)

# What a walked folder is searched for; a file named outright is tried whatever it is called.
# libsndfile's containers go by their own names (a .raw has no header to read), or by:
_SOUNDFILE_SUFFIXES = {f".{name.lower()}" for name in soundfile.available_formats()} - {".raw"} | {
    ".aif", ".aifc", ".bwf", ".wave", ".oga", ".opus", ".mp1", ".mp2", ".mpga", ".snd", ".sf",
    ".sph", ".iff", ".8svx", ".16sv", ".fap", ".mpc",
}  # fmt: skip
_FFMPEG_SUFFIXES = {
    ".m4a", ".m4b", ".m4r", ".aac", ".adts", ".mp4", ".m4v", ".mov", ".qt", ".3gp", ".3g2", ".mkv",
    ".mka", ".webm", ".weba", ".wma", ".wmv", ".asf", ".avi", ".flv", ".mpg", ".mpeg",
    ".m2ts", ".vob", ".ogv", ".ogx", ".spx", ".amr", ".ac3", ".eac3", ".ape", ".wv", ".tta", ".ra",
    ".rm", ".g722",
}  # fmt: skip
AUDIO_SUFFIXES = frozenset(_SOUNDFILE_SUFFIXES | _FFMPEG_SUFFIXES)


def find_audio(names: Iterable[str | os.PathLike]) -> list[str]:
    """The files named, and sorted the audio files below folders named; UserError if absent.

    What lies in the folders under other names is counted and said in a warning.
    """
    paths: list[str] = []
    passed_over: Counter[str] = Counter()
    for name in names:
        path = Path(name)
        if path.is_dir():
            found = sorted(_walk(path, passed_over))
            if not found:
                raise UserError(
                    f"no audio file below the folder {name}: name files or another folder"
                )
            paths += found
        elif path.exists():
            paths.append(os.fspath(name))
        else:
            raise UserError(f"{name} does not exist: name an audio file or a folder of them")
    if passed_over:
        kinds = ", ".join(f"{suffix} {count}" for suffix, count in passed_over.most_common(5))
        logger.warning(
            "passed over %d files not named like audio (%s%s); one named outright is tried",
            passed_over.total(),
            kinds,
            ", ..." if len(passed_over) > 5 else "",
        )
    return list(dict.fromkeys(paths))


def _walk(folder: Path, passed_over: Counter[str]) -> Iterator[str]:
    """The audio files below a folder, each folder once however many links lead to it.

    Counts the suffixes of other files in `passed_over`; hidden names are left out of everything.
    """
    seen: set[tuple[int, int]] = set()
    for parent, folders, files in os.walk(folder, followlinks=True):
        status = os.stat(parent)
        if (status.st_dev, status.st_ino) in seen:
            folders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        # Links last, so that a folder keeps its own name where a link leads to it as well.
        folders[:] = [name for name in folders if not name.startswith(".")]
        folders.sort(key=lambda name: (os.path.islink(os.path.join(parent, name)), name))
        for name in files:
            suffix = Path(name).suffix.lower()
            if name.startswith("."):
                continue
            if suffix in AUDIO_SUFFIXES:
                yield os.path.join(parent, name)
            else:
                passed_over[suffix or "no suffix"] += 1


MIX, EACH = "mix", "each"
SIDES = {"left": 0, "right": 1}


class FileTable:
    """Files as unlabelled rows; `durations` (N,) s, 0 where unreadable.

    channels: "mix" makes a row of a file, of all its channels' mean; "left" and "right" too, of
    one channel (of a mono file its only one); "each" makes a row of each channel, whose name
    stands behind the path in its ID.
    """

    def __init__(self, paths: list[str], channels: str = MIX):
        self.rows: list[ProtocolRow] = []
        self.channels: list[str] = []  # a row's: "mix", "left", "right", "channel 3" ...
        for path in paths:
            seconds, count = _length_of(path)
            names = _channel_names(count) if channels == EACH and count > 1 else [channels]
            for number, name in enumerate(names):
                name = MIX if name == EACH else name  # of a mono file, or one that does not read
                one = number if channels == EACH and count > 1 else SIDES.get(name)
                row_id = f"{path} [{name}]" if len(names) > 1 else path
                self.rows.append(ProtocolRow(row_id, UNKNOWN, seconds, path, one))
                self.channels.append(name)
        self.durations = np.array([row.duration for row in self.rows], dtype=np.float32)
        self.labels = np.full(len(self.rows), UNKNOWN, dtype=np.int8)

    def __len__(self) -> int:
        return len(self.rows)

    def ids(self, i: int) -> str:
        return self.rows[int(i)].id

    def path(self, i: int) -> str:
        return self.rows[int(i)].path

    def row(self, i: int) -> ProtocolRow:
        return self.rows[int(i)]


def _channel_names(count: int) -> list[str]:
    return list(SIDES) if count == 2 else [f"channel {number}" for number in range(1, count + 1)]


def _length_of(path: str) -> tuple[float, int]:
    """Seconds and channels of a file; (0, 1) for one that does not read, which is told then."""
    try:
        header = probe(path)
    except UnreadableAudio:
        return 0.0, 1
    return header.seconds, header.channels

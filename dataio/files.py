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


class FileTable:
    """Files as unlabelled rows, each its own ID; `durations` (N,) s, 0 where unreadable."""

    def __init__(self, paths: list[str]):
        self.paths = paths
        self.durations = np.array([_seconds(path) for path in paths], dtype=np.float32)
        self.labels = np.full(len(paths), UNKNOWN, dtype=np.int8)

    def __len__(self) -> int:
        return len(self.paths)

    def ids(self, i: int) -> str:
        return self.paths[i]

    def path(self, i: int) -> str:
        return self.paths[i]

    def row(self, i: int) -> ProtocolRow:
        path = self.paths[int(i)]
        return ProtocolRow(path, UNKNOWN, float(self.durations[int(i)]), path)


def _seconds(path: str) -> float:
    try:
        return probe(path).seconds
    except UnreadableAudio:
        return 0.0  # reported when it is read

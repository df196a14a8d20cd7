"""Audio files without a protocol: what a user names on the command line, folders walked."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from dataio.probe import UnreadableAudio, probe
from dataio.protocol import ProtocolRow
from protocols.schema import UNKNOWN, UserError

# What a walked folder is searched for; a file named outright is tried whatever it is called.
AUDIO_SUFFIXES = frozenset({
    ".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".aifc", ".au", ".caf",
    ".w64", ".rf64", ".sph", ".nist", ".voc", ".avr", ".m4a", ".m4b", ".aac", ".mp4", ".m4v",
    ".mov", ".mkv", ".webm", ".weba", ".wma", ".amr", ".3gp", ".g722",
})  # fmt: skip


def find_audio(names: Iterable[str | os.PathLike]) -> list[str]:
    """The files named, and sorted the audio files below folders named; UserError if absent."""
    paths: list[str] = []
    for name in names:
        path = Path(name)
        if path.is_dir():
            found = sorted(_walk(path))
            if not found:
                raise UserError(
                    f"no audio file below the folder {name}: name files or another folder"
                )
            paths += found
        elif path.exists():
            paths.append(os.fspath(name))
        else:
            raise UserError(f"{name} does not exist: name an audio file or a folder of them")
    return list(dict.fromkeys(paths))


def _walk(folder: Path) -> Iterator[str]:
    for parent, folders, files in os.walk(folder, followlinks=True):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in files:
            if Path(name).suffix.lower() in AUDIO_SUFFIXES and not name.startswith("."):
                yield os.path.join(parent, name)


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

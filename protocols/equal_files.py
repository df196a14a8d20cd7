"""Which test files are a training file's equal, in bytes or in decoded audio.

Files are hashed only where they can be equal: content where sizes agree, audio where length and
rate agree.
"""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache

TRAINING, TEST = "training", "test"


@dataclass(frozen=True, slots=True)
class ListedFile:
    """The file of a row: its `place` (CSV and line), its `path`, and where that leads (`real`)."""

    place: str
    path: str
    real: str


def real_path(path: str) -> str:
    """The path with links and `..` resolved: the same text for the same file."""
    folder, name = os.path.split(path)
    if name in ("", ".", ".."):
        return os.path.realpath(path)
    real = os.path.join(_real_folder(folder), name)
    if os.path.islink(real):
        real = os.path.realpath(real)
    return path if real == path else real  # one text in memory, not two


@lru_cache(maxsize=1 << 14)
def _real_folder(folder: str) -> str:
    return os.path.realpath(folder)


@dataclass
class Reading:
    """How many files of each side were asked for, how many could not be read, and the first."""

    asked: Counter = field(default_factory=Counter)
    failed: Counter = field(default_factory=Counter)
    first: dict[str, str] = field(default_factory=dict)

    def note(self, side: str, paths: list[str], answers: list[str]) -> None:
        """Count files of a side and those whose answer is empty."""
        self.asked[side] += len(paths)
        self.note_failed(side, paths, answers)

    def note_failed(self, side: str, paths: list[str], answers: list[str]) -> None:
        """Count those whose answer is empty, of files that were counted before."""
        for path, answer in zip(paths, answers, strict=True):
            if not answer:
                self.failed[side] += 1
                self.first.setdefault(side, path)


class FileMatcher:
    """Finds the test files that are a training file's equal; `readings` says what was read."""

    def __init__(self, test: list[ListedFile], kinds: list[str], workers: int):
        from protocols.hashes import audio_hash, content_hash

        self.test, self.workers = test, workers
        ways = {"content": (file_size, content_hash), "audio": (audio_shape, audio_hash)}
        self._levels = [_Level(kind, *ways[kind], self) for kind in ways if kind in kinds]
        self._found: set[int] = set()

    @property
    def readings(self) -> dict[str, Reading]:
        """By kind of comparison."""
        return {level.kind: level.reading for level in self._levels}

    def apply(self, function: Callable[[str], str], paths: list[str]) -> list[str]:
        """`function` of each path, in parallel."""
        import pandas

        from protocols.parallel import apply_to_column

        column = pandas.Series(paths, dtype=object)
        return apply_to_column(column, function, workers=self.workers).tolist()

    def compare(self, block: list[ListedFile]) -> Iterator[tuple[str, ListedFile, ListedFile]]:
        """`(kind, test file, training file)` of equal files, each test file once.

        One file listed on both sides is no pair of equal files: it is found by its path.
        """
        for level in self._levels:
            for number, training in level.matches(block):
                if number not in self._found:
                    self._found.add(number)
                    yield level.kind, self.test[number], training


class _Level:
    """One way of being equal: a cheap key first, a hash of the files whose keys agree then."""

    def __init__(self, kind: str, key: Callable, hash_of: Callable, matcher: FileMatcher):
        self.kind, self._key, self._hash_of, self._matcher = kind, key, hash_of, matcher
        self._by_key: dict[str, list[int]] = {}
        self._hashed: set[str] = set()  # keys whose test files are in `_by_hash`
        self._by_hash: dict[str, list[int]] = {}
        self.reading = Reading()
        paths = [file.path for file in matcher.test]
        keys = matcher.apply(key, paths)
        self.reading.note(TEST, paths, keys)
        for number, text in enumerate(keys):
            if text:
                self._by_key.setdefault(text, []).append(number)

    def matches(self, block: list[ListedFile]) -> Iterator[tuple[int, ListedFile]]:
        """`(number of the test file, training file)` of equal files."""
        paths = [file.path for file in block]
        keys = self._matcher.apply(self._key, paths)
        self.reading.note(TRAINING, paths, keys)
        pairs = [
            (file, key)
            for file, key in zip(block, keys, strict=True)
            if any(self._is_other(number, file) for number in self._by_key.get(key, ()))
        ]
        self._hash_test_files({key for _, key in pairs})
        paths = [file.path for file, _ in pairs]
        hashes = self._matcher.apply(self._hash_of, paths)
        self.reading.note_failed(TRAINING, paths, hashes)
        for (file, _), digest in zip(pairs, hashes, strict=True):
            alike = self._by_hash.get(digest, [])
            # Found once is enough: what stays for later training rows is this very file.
            self._by_hash[digest] = [n for n in alike if not self._is_other(n, file)]
            for number in alike:
                if self._is_other(number, file):
                    yield number, file

    def _is_other(self, number: int, file: ListedFile) -> bool:
        return self._matcher.test[number].real != file.real

    def _hash_test_files(self, keys: set[str]) -> None:
        """Hash the test files with these keys; each file once in a run."""
        numbers = [n for key in sorted(keys - self._hashed) for n in self._by_key[key]]
        self._hashed |= keys
        paths = [self._matcher.test[number].path for number in numbers]
        digests = self._matcher.apply(self._hash_of, paths)
        self.reading.note_failed(TEST, paths, digests)
        for number, digest in zip(numbers, digests, strict=True):
            if digest:
                self._by_hash.setdefault(digest, []).append(number)


def file_size(path: str) -> str:
    """The size in bytes, as text; nothing for what is no file or not there."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):  # ValueError: a name no file can have
        return ""
    return str(status.st_size) if stat.S_ISREG(status.st_mode) else ""


def audio_shape(path: str) -> str:
    """Length in samples, rate and channels, as text; nothing for a file that does not open."""
    from dataio.probe import UnreadableAudio, probe

    try:
        header = probe(path)
    except (UnreadableAudio, OSError, ValueError):
        return ""
    return f"{header.frames} {header.sample_rate} {header.channels}"

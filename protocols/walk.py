"""Walking millions of files in sorted order without holding them, and reading path layouts."""

from __future__ import annotations

import heapq
import os
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace

from dataio.whole_files import new_file

SORTED_IN_MEMORY = 500_000  # names; a longer folder or list is sorted in runs on disk


def walk(
    top: str,
    suffixes: tuple[str, ...],
    *,
    any_case: bool = False,
    passed_over: Callable[[str], object] | None = None,
) -> Iterator[str]:
    """Paths of the files below `top` with one of the suffixes, in the order of `sorted(paths)`.

    Names that begin with a dot are left out and linked folders are followed (a link back to a
    folder it lies in is not). One folder's names are held at a time, at most `SORTED_IN_MEMORY`.
    `passed_over` is told of the files with a suffix in capitals that are not asked for.
    """

    def entries(folder: str) -> Iterator[str]:
        return _entries(folder, suffixes, any_case, passed_over)

    yield from _walk(top, entries, (_identity(top),))


def _walk(top: str, entries: Callable, ancestors: tuple) -> Iterator[str]:
    for name in sort_texts(entries(top)):
        path = os.path.join(top, name)
        if not name.endswith("/"):
            yield path
            continue
        path = path[:-1]
        identity = _identity(path) if os.path.islink(path) else None
        if identity is None or identity not in ancestors:
            below = identity or _identity(path)
            yield from _walk(path, entries, (*ancestors, below))


def _identity(folder: str) -> tuple[int, int]:
    status = os.stat(folder)
    return status.st_dev, status.st_ino


def _entries(folder: str, suffixes, any_case: bool, passed_over) -> Iterator[str]:
    """Names in a folder; a folder's name ends in `/`, which puts it where its files sort."""
    with os.scandir(folder) as entries:
        for entry in entries:
            name = entry.name
            if name.startswith("."):
                continue
            if _is_folder(entry):
                yield name + "/"
            elif (name.lower() if any_case else name).endswith(suffixes):
                yield name
            elif passed_over and name.lower().endswith(suffixes):
                passed_over(os.path.join(folder, name))


def _is_folder(entry: os.DirEntry) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself: left to the reader of its header
        return False


def sort_texts(texts: Iterable[str]) -> Iterator[str]:
    """The texts in order; more than `SORTED_IN_MEMORY` of them pass through sorted runs on disk."""
    run: list[str] = []
    with tempfile.TemporaryDirectory(prefix="protocols-sort-") as folder:
        runs: list[Path] = []
        for text in texts:
            run.append(text)
            if len(run) >= SORTED_IN_MEMORY:
                runs.append(_write_run(Path(folder, str(len(runs))), run))
                run = []
        run.sort()
        if not runs:
            yield from run
            return
        yield from heapq.merge(run, *map(_read_run, runs))


def _write_run(path: Path, run: list[str]) -> Path:
    run.sort()
    with new_file(path) as file:
        file.writelines(text + "\0" for text in run)
    return path


def _read_run(path: Path) -> Iterator[str]:
    """Texts of a run; NUL ends each, the one character that a file name cannot hold."""
    with open(path, encoding="utf-8", errors="surrogateescape", newline="") as file:
        rest = ""
        while block := file.read(1 << 16):
            *whole, rest = (rest + block).split("\0")
            yield from whole


class PathTemplate:
    """A layout such as `{subset}/wav/{speaker}/{stem}.wav`, matched against a path.

    `{name}` is one component or a part of one, `{name*}` any number of components.
    """

    def __init__(self, template: str):
        self.template = template
        pattern = re.escape(template).replace(r"\{", "{").replace(r"\}", "}").replace(r"\*", "*")
        pattern = re.sub(r"\{(\w+)\*\}", r"(?P<\1>.+)", pattern)
        pattern = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", pattern)
        self._pattern = re.compile(pattern, re.DOTALL)

    def match(self, path: str) -> SimpleNamespace | None:
        """The fields of a path as attributes, or None if the path has another shape."""
        found = self._pattern.fullmatch(path)
        return SimpleNamespace(**found.groupdict()) if found else None

    @property
    def suffix(self) -> str:
        """The extension the template ends in, with its dot: `.wav`."""
        return os.path.splitext(self.template)[1]

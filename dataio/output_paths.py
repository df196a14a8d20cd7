"""Where a command may write: checked before its work, so that nothing given is lost and no work is
done for a file that cannot be written."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from dataio.schema import UserError

Named = Iterable[tuple[str, str | os.PathLike | None]]  # what the user calls it, and its path


def check_outputs(outputs: Named, inputs: Iterable[str | os.PathLike | None]) -> None:
    """`UserError` if a file to be written is one that is read, another output, or a folder.

    Links and spellings are seen through (`./A.csv` is `A.csv`). Also refused is a place that
    cannot be written to. Paths of None are left out; `outputs` come with their options' names.
    """
    read = [path for path in inputs if path is not None]
    written: list[tuple[str, str | os.PathLike]] = []
    for name, path in outputs:
        if path is None:
            continue
        if Path(path).is_dir():
            raise UserError(f"{name} {path} is a folder: name a file")
        for other in read:
            if is_same_file(path, other):
                raise UserError(f"{name} {path} would overwrite {other}, which is read: rename it")
        for other_name, other in written:
            if is_same_file(path, other):
                raise UserError(f"{other_name} {other} and {name} {path} are one file: name two")
        check_writable(name, path)
        written.append((name, path))


def is_same_file(one: str | os.PathLike, other: str | os.PathLike) -> bool:
    """Whether two paths lead to one file, be it there or not."""
    if os.path.realpath(one) == os.path.realpath(other):
        return True
    try:
        return os.path.samefile(one, other)  # hard links; disks that pass over capitals
    except (OSError, ValueError):
        return False


def check_writable(name: str, path: str | os.PathLike) -> None:
    """`UserError` if nothing can be written at `path`; missing folders are no hindrance."""
    if Path(path).exists() and not Path(path).is_file():
        return  # a device or a pipe of the shell, which no folder's rights are about
    folder = Path(path).absolute().parent
    there = next(place for place in (folder, *folder.parents) if os.path.lexists(place))
    if not there.is_dir():
        raise UserError(f"cannot write {name} {path}: {there} is no folder")
    if not os.access(there, os.W_OK | os.X_OK):
        raise UserError(f"cannot write {name} {path}: {there} may not be written to")

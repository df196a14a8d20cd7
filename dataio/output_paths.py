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
    written = [(name, path) for name, path in outputs if path is not None]
    read: dict[tuple[int, int], str | os.PathLike] = {}
    if any(os.path.exists(path) for _, path in written):  # else none is there to be overwritten
        read = {_identity(path): path for path in inputs if path is not None and _identity(path)}
    seen: dict[object, tuple[str, str | os.PathLike]] = {}
    for name, path in written:
        if Path(path).is_dir():
            raise UserError(f"{name} {path} is a folder: name a file")
        there = _identity(path)
        if there in read:
            raise UserError(
                f"{name} {path} would overwrite {read[there]}, which is read: name another file"
            )
        for key in filter(None, {there, os.path.realpath(path)}):
            if key in seen:
                other = " ".join(map(str, seen[key]))
                raise UserError(f"{other} and {name} {path} are one file: name two")
        seen |= dict.fromkeys((there, os.path.realpath(path)), (name, path))
        check_writable(name, path)


def _identity(path: str | os.PathLike) -> tuple[int, int] | None:
    """Device and number of a file: the same by every link and spelling; None if it is not there."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    return status.st_dev, status.st_ino


def check_writable(name: str, path: str | os.PathLike) -> None:
    """`UserError` if nothing can be written at `path`; missing folders are no hindrance."""
    if Path(path).exists() and not Path(path).is_file():
        return  # a device or a pipe of the shell, which no folder's rights are about
    there = next(place for place in Path(path).parents if os.path.lexists(place))
    if not there.is_dir():
        raise UserError(f"cannot write {path} ({there} is no folder): name another {name}")
    if not os.access(there, os.W_OK | os.X_OK):
        raise UserError(f"cannot write {path} ({there} may not be written to): name another {name}")

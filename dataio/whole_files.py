"""Files that appear whole: written under another name first, then renamed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO

from dataio.schema import UserError


class whole_file:
    """`with whole_file(path) as stream:` text that appears under `path` only when complete.

    Names that are not UTF-8 pass through unchanged; UserError where nothing can be written.
    """

    def __init__(self, path: str | os.PathLike):
        self.path = Path(path)
        self.temporary = self.path.parent / f".{self.path.name}.{os.getpid()}.part"

    def __enter__(self):
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.stream = open(  # noqa: SIM115
                self.temporary, "w", encoding="utf-8", errors="surrogateescape", newline=""
            )
        except OSError as error:
            raise UserError(f"cannot write {self.path}: {error.strerror}") from error
        return self.stream

    def __exit__(self, kind, value, traceback):
        self.stream.close()
        try:
            if kind is None:
                os.replace(self.temporary, self.path)
        except OSError as error:
            raise UserError(f"cannot write {self.path}: {error.strerror}") from error
        finally:
            self.temporary.unlink(missing_ok=True)


def refuse_folder(option: str, path: str | os.PathLike | None) -> None:
    """`UserError` if what `option` names to be written is a folder: before the work, not after."""
    if path and Path(path).is_dir():
        raise UserError(f"{option} {path} is a folder: name a file")


def write_text(path: str | os.PathLike, text: str) -> None:
    """Write a small text file."""
    with whole_file(path) as stream:
        stream.write(text)


def create_text(path: str | os.PathLike) -> IO[str]:
    """Open a CSV for writing; file names that are not UTF-8 pass through unchanged."""
    return open(path, "w", encoding="utf-8", errors="surrogateescape", newline="")


def write_sound(path: Path, samples, rate: int, subtype: str) -> None:
    """Write a wav, flac or mp3 file from samples (T,) or (T, C)."""
    import soundfile

    partial = path.with_name(f".{path.name}.partial")
    container = path.suffix[1:].upper()
    soundfile.write(partial, samples, rate, subtype=subtype, format=container)
    partial.replace(path)

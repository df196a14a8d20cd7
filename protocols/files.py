"""Files that appear whole: written under another name first, then renamed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO


def write_text(path: str | os.PathLike, text: str) -> None:
    """Write a small text file."""
    partial = Path(f"{os.fspath(path)}.partial")
    partial.write_text(text, encoding="utf-8", errors="surrogateescape")
    partial.replace(path)


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

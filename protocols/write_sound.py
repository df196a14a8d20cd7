"""Writing audio files that appear whole."""

from __future__ import annotations

from pathlib import Path


def write_sound(path: Path, samples, rate: int, subtype: str) -> None:
    """Write a wav or flac file that is never seen half written."""
    import soundfile

    partial = path.with_name(f".{path.name}.partial")
    container = path.suffix[1:].upper()
    soundfile.write(partial, samples, rate, subtype=subtype, format=container)
    partial.replace(path)

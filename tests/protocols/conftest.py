"""Tiny audio files and the command line, for the tests of the protocols."""

from pathlib import Path

import numpy
import pytest
import soundfile

from protocols.__main__ import main


@pytest.fixture
def write_audio(tmp_path):
    """Write a short tone below a folder (default: `tmp_path / "data"`); returns the file."""

    def write(name, *, seconds=0.25, rate=16000, channels=1, folder=None, seed=None, **options):
        path = Path(folder or tmp_path / "data", name)
        path.parent.mkdir(parents=True, exist_ok=True)
        time = numpy.arange(round(seconds * rate)) / rate
        tone = 0.1 * numpy.sin(2 * numpy.pi * 220 * time)
        if seed is not None:
            tone = numpy.random.default_rng(seed).normal(0, 0.1, len(time))
        soundfile.write(path, numpy.tile(tone[:, None], (1, channels)), rate, **options)
        return path

    return write


@pytest.fixture
def write_text(tmp_path):
    """Write a text file below `tmp_path / "data"`."""

    def write(name, text, folder=None):
        path = Path(folder or tmp_path / "data", name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    return write


@pytest.fixture
def protocols(tmp_path, monkeypatch, capsys):
    """Run `python -m protocols ...` in `tmp_path`; returns (exit status, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        status = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run

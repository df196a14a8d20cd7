"""Audio files of many kinds, and protocols, made where a test needs them."""

import csv

import pytest
import soundfile
from support.sounds import encode, make_signal

from dataio.schema import COLUMNS


@pytest.fixture
def signal():
    return make_signal


@pytest.fixture
def write_audio(tmp_path):
    """write_audio(name, seconds, sample_rate, channels, codec=None, **encode's) -> path."""

    def write(name, seconds=2.0, sample_rate=16_000, channels=1, codec=None, seed=0, **options):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        samples = make_signal(seconds, sample_rate, channels, seed)
        if codec is None:
            soundfile.write(path, samples, sample_rate)
        else:
            encode(path, samples, sample_rate, codec, **options)
        return path

    return write


@pytest.fixture
def write_protocol(tmp_path):
    """write_protocol(rows, columns=COLUMNS) -> path; a row is a dict of the cells that matter."""

    def write(rows, columns=COLUMNS, name="p.csv"):
        defaults = {"Label": "real", "Duration": "2.0", "SampleRate": "16000"}
        with open(tmp_path / name, "w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, columns, restval="-", extrasaction="ignore")
            writer.writeheader()
            for number, row in enumerate(rows):
                identity = {"ID": f"Set-{number}", "Path": f"$ROOT/a/{number}.wav"}
                writer.writerow({**defaults, **identity, **row})
        return tmp_path / name

    return write

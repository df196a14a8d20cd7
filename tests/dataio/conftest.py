"""Audio files of many kinds, and protocols, made where a test needs them."""

import csv

import av
import numpy as np
import pytest
import soundfile

from dataio.schema import COLUMNS


def make_signal(seconds, sample_rate, channels=1, seed=0):
    """(T, C) float32: a swept tone and noise with loud and quiet stretches, so bit rates vary."""
    time = np.arange(round(seconds * sample_rate)) / sample_rate
    rng = np.random.default_rng(seed)
    loudness = np.where(np.sin(2 * np.pi * time / 3) > -0.2, 0.9, 0.002)
    sides = [
        0.3 * np.sin(2 * np.pi * (200 + 60 * side) * time * (1 + 0.02 * np.sin(time)))
        + 0.05 * rng.standard_normal(len(time))
        for side in range(channels)
    ]
    return (np.stack(sides, axis=1) * loudness[:, None]).astype(np.float32)


def encode(path, signal, sample_rate, codec, *, options=None, container_options=None, video=False):
    """Writes (T, C) float32 through FFmpeg's `codec` into the container of the file's suffix."""
    layout = {1: "mono", 2: "stereo"}[signal.shape[1]]
    with av.open(str(path), "w", container_options=container_options or {}) as container:
        stream = container.add_stream(codec, rate=sample_rate, layout=layout, options=options or {})
        if video:
            pictures = container.add_stream("mpeg4", rate=5)
            pictures.width = pictures.height = 64
            for _ in range(2 * len(signal) // sample_rate * 5):  # twice as long as the sound
                picture = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8))
                container.mux(pictures.encode(picture))
            container.mux(pictures.encode())
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(signal.T), format="fltp", layout=layout
        )
        frame.sample_rate = sample_rate
        container.mux(stream.encode(frame))
        container.mux(stream.encode())


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

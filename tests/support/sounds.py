"""Sound files of many containers and codecs, made on the spot by libsndfile and FFmpeg."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path

import av
import numpy as np
import soundfile

FRONT = {"container_options": {"movflags": "faststart"}}  # the index before the sound
BARE = {"container_options": {"write_xing": "0"}}
# name -> how it is written: soundfile's `format` and `subtype`, or what `encode` takes
KINDS = {
    "a.wav": {}, "a.flac": {}, "a.ogg": {}, "a.aiff": {}, "a.au": {}, "a.caf": {}, "a.w64": {},
    "a.rf64": {"format": "RF64"}, "a.opus": {"format": "OGG", "subtype": "OPUS"},
    "gsm.wav": {"format": "WAV", "subtype": "GSM610"}, "a.nist": {"format": "NIST"},
    "a.mp3": {"codec": "libmp3lame"}, "bare.mp3": {"codec": "libmp3lame", **BARE},
    "a.m4a": {"codec": "aac", **FRONT}, "lossless.m4a": {"codec": "alac", **FRONT},
    "a.aac": {"codec": "aac"}, "a.webm": {"codec": "libopus"}, "a.mka": {"codec": "libmp3lame"},
    "a.flv": {"codec": "aac"}, "a.tta": {"codec": "tta"},
    "a.wv": {"codec": "wavpack"}, "a.avi": {"codec": "pcm_s16le"}, "a.ac3": {"codec": "ac3"},
    "a.ts": {"codec": "aac"}, "a.mpg": {"codec": "mp2"},
}  # fmt: skip


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


def sample_rate(name: str) -> int:
    """The rate in Hz that a kind is written at where nothing else is asked for."""
    return {"gsm.wav": 8000, "a.opus": 48_000, "a.webm": 48_000}.get(name, 44_100)


def write_kind(path: Path, name: str, signal: np.ndarray, rate: int) -> Path:
    """Writes (T, C) float32 as one of `KINDS`; its codec draws no noise of its own."""
    kind = dict(KINDS[name])
    if "codec" not in kind:
        soundfile.write(path, signal, rate, **kind)
        return path
    options = {"aac_pns": "0"} if kind["codec"] == "aac" else {}
    encode(path, signal, rate, options=options, **kind)
    return path


@functools.cache
def small_sound(name: str) -> bytes:
    """A third of a second of one of `KINDS`, as the bytes of its file."""
    with tempfile.TemporaryDirectory() as folder:
        rate = sample_rate(name)
        path = write_kind(Path(folder, name), name, make_signal(0.3, rate), rate)
        return path.read_bytes()

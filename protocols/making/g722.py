"""G.722 (ITU-T, 64 kbit/s, two sub-bands at 16 kHz) through PyAV: files, and round trips."""

from __future__ import annotations

import os

import av
import numpy as np

from dataio.schema import SAMPLE_RATE, UserError

DELAY = 22  # samples: the quadrature-mirror filters of coder and decoder together
_BLOCK = 320  # samples a packet: 20 ms


def read_g722(path: str | os.PathLike) -> np.ndarray:
    """A raw G.722 file as float64 (T,) at 16 kHz, within 1 in magnitude."""
    try:
        with av.open(os.fspath(path), format="g722") as container:
            blocks = [frame.to_ndarray()[0] for frame in container.decode(audio=0)]
    except av.FFmpegError as error:
        raise UserError(f"{path} cannot be decoded as G.722: {error}") from error
    if not blocks:
        raise UserError(f"{path} holds no audio: reinstall its Debian package")
    return np.concatenate(blocks) / 32768


def through_g722(waveform: np.ndarray) -> np.ndarray:
    """`waveform` (T,) coded and decoded, same length, the codec's delay removed."""
    padded = np.pad(waveform, (0, DELAY + -(len(waveform) + DELAY) % _BLOCK))
    samples = np.round(np.clip(padded, -1, 32767 / 32768) * 32768).astype(np.int16)
    encoder, decoder = (av.CodecContext.create("g722", mode) for mode in "wr")
    for codec in (encoder, decoder):
        codec.sample_rate, codec.layout, codec.format = SAMPLE_RATE, "mono", "s16"
    decoded = []
    for start in range(0, len(samples), _BLOCK):
        frame = av.AudioFrame.from_ndarray(samples[None, start : start + _BLOCK], "s16", "mono")
        frame.sample_rate, frame.pts = SAMPLE_RATE, start
        decoded += [out for packet in encoder.encode(frame) for out in decoder.decode(packet)]
    decoded += [out for packet in encoder.encode(None) for out in decoder.decode(packet)]
    rebuilt = np.concatenate([frame.to_ndarray()[0] for frame in decoded]) / 32768
    return rebuilt[DELAY : DELAY + len(waveform)]

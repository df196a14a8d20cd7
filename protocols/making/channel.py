"""What a recording goes through on its way to a file: room, band, silence, noise and level.

Real and fake pass the same functions with draws from the same distributions, so that none of
level, DC, noise floor or quantisation tells the classes apart.
"""

from __future__ import annotations

import numpy as np
from scipy.signal import butter, fftconvolve, lfilter, sosfilt

from dataio.schema import SAMPLE_RATE

LEVEL_DBFS = (-30.0, -22.0)  # RMS over the file, uniform
SILENCE_SECONDS = (0.05, 0.25)


def draw_room(rng: np.random.Generator) -> np.ndarray:
    """Impulse response of a small room: the direct sound, a few reflections, a decaying tail."""
    reverberation_seconds = rng.uniform(0.12, 0.35)
    time = np.arange(int(reverberation_seconds * SAMPLE_RATE)) / SAMPLE_RATE
    tail = rng.standard_normal(len(time)) * 10 ** (-3 * time / reverberation_seconds)
    tail[: int(0.004 * SAMPLE_RATE)] = 0  # no wall is nearer than 0.7 m
    tail *= 10 ** (rng.uniform(-16, -8) / 20) / np.linalg.norm(tail)
    response = tail
    response[0] = 1.0
    for delay in rng.integers(int(0.003 * SAMPLE_RATE), int(0.02 * SAMPLE_RATE), 4):
        response[delay] += rng.uniform(-0.25, 0.25)
    return response


def reverberate(waveform: np.ndarray, response: np.ndarray) -> np.ndarray:
    """`waveform` (T,) in the room, same length."""
    return fftconvolve(waveform, response)[: len(waveform)]


def draw_background(length: int, rng: np.random.Generator) -> np.ndarray:
    """Stationary noise (length,) of unit RMS whose spectrum falls at a drawn rate, hum to hiss."""
    pole = rng.uniform(0.3, 0.95)
    noise = lfilter([1.0], [1.0, -pole], rng.standard_normal(length))
    return noise / np.sqrt(np.mean(noise**2))


def band_limit(waveform: np.ndarray) -> np.ndarray:
    """`waveform` (T,) between 90 and 7000 Hz, the band that all sources share."""
    high_pass = butter(4, 90, "highpass", fs=SAMPLE_RATE, output="sos")
    low_pass = butter(12, 7000, "lowpass", fs=SAMPLE_RATE, output="sos")
    return sosfilt(low_pass, sosfilt(high_pass, waveform))


def trim(waveform: np.ndarray) -> np.ndarray:
    """`waveform` from its first to its last 10 ms block within 35 dB of the loudest."""
    block = SAMPLE_RATE // 100
    blocks = waveform[: len(waveform) // block * block].reshape(-1, block)
    power = np.mean(blocks**2, axis=1)
    active = np.flatnonzero(power > power.max() * 10**-3.5)
    if not len(active):
        return waveform[:0]
    return waveform[active[0] * block : (active[-1] + 1) * block]


def between_silences(waveform: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """`waveform` faded over 5 ms at both ends, after and before a drawn stretch of zeros."""
    return surrounded(waveform, *draw_silences(rng))


def draw_silences(rng: np.random.Generator) -> tuple[int, int]:
    """Samples of silence before and after."""
    before, after = (int(seconds * SAMPLE_RATE) for seconds in rng.uniform(*SILENCE_SECONDS, 2))
    return before, after


def surrounded(waveform: np.ndarray, before: int, after: int) -> np.ndarray:
    """`waveform` faded over 5 ms at both ends, between so many zeros."""
    fade = SAMPLE_RATE // 200
    ramp = np.linspace(0, 1, fade)
    waveform = waveform.copy()
    waveform[:fade] *= ramp
    waveform[-fade:] *= ramp[::-1]
    return np.pad(waveform, (before, after))


def finish(
    waveform: np.ndarray, rng: np.random.Generator, *, snr_db: tuple[float, float]
) -> np.ndarray:
    """Zero mean, background noise and a level, all drawn without regard to the class; (T,).

    `snr_db` are the bounds between which the noise's distance is drawn, uniformly.
    """
    waveform = waveform - waveform.mean()
    waveform = waveform / max(float(np.sqrt(np.mean(waveform**2))), 1e-9)
    gain = 10 ** (-rng.uniform(*snr_db) / 20)
    noisy = waveform + gain * draw_background(len(waveform), rng)
    return to_level(noisy, rng.uniform(*LEVEL_DBFS))


def to_level(waveform: np.ndarray, level_dbfs: float) -> np.ndarray:
    """`waveform` scaled to an RMS in dB below full scale, less where its peak would clip."""
    waveform = waveform * (10 ** (level_dbfs / 20) / max(np.sqrt(np.mean(waveform**2)), 1e-9))
    return waveform * min(1.0, 0.98 / max(np.abs(waveform).max(), 1e-9))

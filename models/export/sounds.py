"""Generated sounds that an exported detector is checked with: nobody's voice, the same each time.

Something like voices (harmonics that glide and come in syllables) in noise: broad in spectrum and
level, so that an engine that computes otherwise shows.
"""

from __future__ import annotations

import numpy as np

from dataio.schema import SAMPLE_RATE

SELFTEST_SECONDS = (0.7, 1.9, 3.1)


def selftest_sounds() -> list[np.ndarray]:
    """Three waveforms `(T,)` float32, of 16-bit values."""
    return [sound(seconds, seed) for seed, seconds in enumerate(SELFTEST_SECONDS)]


def sound(seconds: float, seed: int) -> np.ndarray:
    """`(T,)` float32 at 16 kHz within +-0.5, rounded to 16 bits."""
    random = np.random.default_rng(seed)
    t = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    pitch = random.uniform(90, 220) * (1 + 0.1 * np.sin(2 * np.pi * random.uniform(0.5, 2) * t))
    phase = 2 * np.pi * np.cumsum(pitch) / SAMPLE_RATE
    tilt = random.uniform(0.8, 1.6)
    voice = sum(np.sin(n * phase + random.uniform(0, 6)) / n**tilt for n in range(1, 30))
    syllables = np.clip(np.sin(2 * np.pi * random.uniform(2, 5) * t + random.uniform(0, 6)), 0, 1)
    noise = random.standard_normal(len(t)) * random.uniform(0.02, 0.2)
    x = voice * syllables + noise
    x *= random.uniform(0.1, 0.5) / np.abs(x).max()
    return (np.round(x * 32767) / 32768).astype(np.float32)

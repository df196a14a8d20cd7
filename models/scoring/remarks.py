"""What is said of a file beside its score: channels that differ strongly, and no speech in it."""

from __future__ import annotations

from functools import lru_cache
from importlib.util import find_spec

import numpy as np

from dataio.audio_file import AudioHeader, Faults
from dataio.reading import blocks
from dataio.schema import SAMPLE_RATE

NO_SPEECH = "no speech was found in it"
UNCHECKED = "whether there is speech was not checked: bash install.sh --with speech"
LEAST_CORRELATION = 0.5  # of two channels of one voice; two voices' is near 0
LEAST_LEVEL = 1e-4  # of a channel's energy in the other's; below it is silent (40 dB)


def can_find_speech() -> bool:
    """Whether silero-vad, an optional package with its weights, is installed."""
    return find_spec("silero_vad") is not None


def inspect_mix(path: str, header: AudioHeader, waveform: np.ndarray) -> list[str]:
    """Remarks on a file whose channels are mixed; the waveform (T,) at 16 kHz is the mix."""
    differing = [] if header.channels < 2 else differing_channels(path, header)
    return differing + inspect_channel(path, header, waveform)


def inspect_channel(path: str, header: AudioHeader, waveform: np.ndarray) -> list[str]:
    """Remarks on a waveform (T,) at 16 kHz."""
    return [] if not can_find_speech() or has_speech(waveform) else [NO_SPEECH]


def differing_channels(path: str, header: AudioHeader) -> list[str]:
    """A remark where the first two channels are not of one sound; they are read anew for it."""
    products = np.zeros((2, 2))
    for block in blocks(path, header, faults=Faults()):
        if len(block) > 1:
            products += np.inner(block[:2], block[:2])
    left, right = products[0, 0], products[1, 1]
    if not min(left, right) > LEAST_LEVEL * max(left, right):
        return []
    correlation = products[0, 1] / np.sqrt(left * right)
    if correlation > LEAST_CORRELATION:
        return []
    what = "cancel each other" if correlation < -LEAST_CORRELATION else "hold different sounds"
    return [f"its channels {what} (correlation {correlation:.2f}): try --channels each"]


def has_speech(waveform: np.ndarray) -> bool:
    """Whether silero-vad finds a quarter of a second of speech in (T,) at 16 kHz."""
    import torch

    model = _vad()
    from silero_vad import get_speech_timestamps

    found = get_speech_timestamps(torch.from_numpy(waveform), model, sampling_rate=SAMPLE_RATE)
    return bool(found)


@lru_cache(maxsize=1)
def _vad():
    import torch

    threads = torch.get_num_threads()
    from silero_vad import load_silero_vad

    torch.set_num_threads(threads)  # which the package sets to one for the whole process
    return load_silero_vad()

"""What is said of a file beside its score: channels that differ strongly, and no speech in it."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from dataio.audio_file import AudioHeader, Faults
from dataio.reading import blocks
from models.scoring.speech import can_find_speech, has_speech

NO_SPEECH = "no speech was found in it"
UNCHECKED = "whether there is speech was not checked: bash install.sh --with speech"
LEAST_CORRELATION = 0.5  # of two channels of one voice; two voices' is near 0
LEAST_LEVEL = 1e-4  # of a channel's energy in the other's; below it is silent (40 dB)


class Inspection(NamedTuple):
    """Remarks on a file; `mixes`: its channels are mixed, so that they ought to be of one sound."""

    mixes: bool

    def __call__(self, path: str, header: AudioHeader, waveform: np.ndarray) -> list[str]:
        """On one with its waveform (T,) at 16 kHz at hand."""
        return self.of(path, header, lambda: has_speech(waveform))

    def of(self, path: str, header: AudioHeader, finds: Callable[[], bool]) -> list[str]:
        """On one in which `finds()` tells whether there is speech."""
        differing = self.mixes and header.channels > 1
        found = differing_channels(path, header) if differing else []
        return found if not can_find_speech() or finds() else [*found, NO_SPEECH]


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

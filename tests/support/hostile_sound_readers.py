"""What reads strangers' sounds, as a watched child calls it: one path in.

Everything is imported here, before the child's memory is bounded.
"""

from __future__ import annotations

import math

import av  # noqa: F401
import torchaudio  # noqa: F401

from dataio.audio import read_audio
from dataio.audio_file import UnreadableAudio
from dataio.probe import probe
from dataio.schema import SAMPLE_RATE, UserError
from dataio.words import printable
from protocols.measure import measure


def audio(path: str) -> None:
    """Read whole, in a piece, and measured: by the three that read audio."""
    try:
        header = probe(path)
        reading = read_audio(path, header=header)
        assert reading.waveform.ndim == 1 and reading.waveform.dtype == "float32"
        assert len(reading.waveform) <= math.ceil(header.seconds * SAMPLE_RATE) + 1
        assert all(fault.words.isprintable() for fault in reading.faults)
        middle = header.seconds / 2
        read_audio(path, start_seconds=middle, max_seconds=0.05, header=header)
    except UnreadableAudio as error:
        raise UserError(printable(error.reason)) from error
    finally:
        measure(path)

"""What one audio file is like: level, clipping, offset, silence at its beginning."""

from __future__ import annotations

import os
from dataclasses import dataclass

from dataio.probe import UnreadableAudio, probe

SILENT_PEAK = 1e-3  # -60 dB of full scale
FULL_SCALE = 0.9995  # a sample this near to 1 is taken as clipped
SILENCE_DB = 40  # below the loudest 10 ms
FRAME_SECONDS = 0.01


@dataclass(frozen=True, slots=True)
class Measured:
    """A file's header and, unless only that was asked for, what its samples are like.

    `problem` is `missing`, `unreadable`, or nothing; the other fields hold only for nothing.
    `seconds` is the header's length, `decoded_seconds` what came out of the decoder (NaN where
    it was not asked); `peak` and `offset` are in parts of full scale, `clipped` in parts of all
    samples, `leading_silence` in seconds (NaN for a silent file).
    """

    problem: str = ""
    reason: str = ""
    sample_rate: int = 0
    channels: int = 0
    seconds: float = 0.0
    decoded_seconds: float = float("nan")
    peak: float = float("nan")
    offset: float = 0.0
    clipped: float = 0.0
    leading_silence: float = float("nan")
    finite: bool = True


def measure_header(path: str) -> Measured:
    """The header alone."""
    try:
        os.stat(path)
        header = probe(path)
    except (FileNotFoundError, NotADirectoryError):
        return Measured("missing", "there is no such file")
    except (UnreadableAudio, OSError, UnicodeEncodeError) as error:
        return Measured("unreadable", getattr(error, "reason", str(error)))
    return Measured("", "", header.sample_rate, header.channels, header.seconds)


def measure(path: str) -> Measured:
    """Header and samples, decoded block by block."""
    import numpy

    from protocols.decode import audio_blocks

    first = measure_header(path)
    if first.problem:
        return first
    rate = first.sample_rate
    frame = max(1, round(FRAME_SECONDS * rate))
    count, total, peak, full, finite = 0, 0.0, 0.0, 0, True
    energies, rest = [], numpy.zeros(0, numpy.float32)
    try:
        for block in audio_blocks(path, probe(path)):
            finite = finite and bool(numpy.isfinite(block).all())
            block = numpy.nan_to_num(block, posinf=0.0, neginf=0.0)
            level = numpy.abs(block)
            count += len(block)
            total += float(block.sum(dtype=numpy.float64)) / block.shape[1]
            peak = max(peak, float(level.max(initial=0.0)))
            full += int((level >= FULL_SCALE).any(axis=1).sum())
            mono = numpy.concatenate([rest, block.mean(axis=1)])
            whole = len(mono) // frame * frame
            energies.append((mono[:whole].reshape(-1, frame) ** 2).mean(axis=1))
            rest = mono[whole:]
    except UnreadableAudio as error:
        return Measured("unreadable", error.reason)
    return Measured(
        sample_rate=rate,
        channels=first.channels,
        seconds=first.seconds,
        decoded_seconds=count / rate,
        peak=peak,
        offset=total / max(1, count),
        clipped=full / max(1, count),
        leading_silence=_leading_silence(energies, peak),
        finite=finite,
    )


def _leading_silence(energies: list, peak: float) -> float:
    """Seconds before the first 10 ms that come within `SILENCE_DB` of the loudest."""
    import numpy

    energy = numpy.concatenate(energies) if energies else numpy.zeros(0)
    if peak < SILENT_PEAK or not len(energy) or energy.max() == 0:
        return float("nan")
    loud = energy >= energy.max() * 10 ** (-SILENCE_DB / 10)
    return float(numpy.argmax(loud)) * FRAME_SECONDS

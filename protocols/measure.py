"""What one audio file is like: level, clipping, offset, silence at its beginning."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace

from dataio.audio_file import AudioHeader, Fault, Faults, UnreadableAudio
from dataio.probe import probe

SILENT_PEAK = 1e-3  # -60 dB of full scale
FULL_SCALE = 0.9995  # a sample this near to 1 is taken as clipped
SILENCE_DB = 40  # below the loudest 10 ms
FRAME_SECONDS = 0.01


@dataclass(frozen=True, slots=True)
class Measured:
    """A file's header and, unless only that was asked for, what its samples are like.

    `problem` is `missing`, `unreadable`, or nothing; the other fields hold only for nothing.
    `seconds` is the header's length, `decoded_seconds` what came out of the decoder (NaN where
    it was not asked); `peak` is that of the channels, `mono_peak` that of their mean, which is
    what is scored; these and `offset` are in parts of full scale, `clipped` in parts of all
    samples, `leading_silence` in seconds (NaN for a silent file). `faults`: what breaks off or
    does not decode, and where.
    """

    problem: str = ""
    reason: str = ""
    sample_rate: int = 0
    channels: int = 0
    seconds: float = 0.0
    decoded_seconds: float = float("nan")
    peak: float = float("nan")
    mono_peak: float = float("nan")
    offset: float = 0.0
    clipped: float = 0.0
    leading_silence: float = float("nan")
    finite: bool = True
    faults: tuple[Fault, ...] = ()


def measure_header(path: str) -> Measured:
    """The header alone."""
    try:
        return _of_header(_header(path))
    except _Problem as problem:
        return Measured(*problem.args)


class _Problem(Exception):
    """`problem` and `reason` of a file without a header."""


def _header(path: str) -> AudioHeader:
    try:
        os.stat(path)
        return probe(path)
    except (FileNotFoundError, NotADirectoryError):
        raise _Problem("missing", "there is no such file") from None
    except (UnreadableAudio, OSError, UnicodeEncodeError) as error:
        raise _Problem("unreadable", getattr(error, "reason", str(error))) from error


def _of_header(header: AudioHeader) -> Measured:
    return Measured(
        sample_rate=header.sample_rate,
        channels=header.channels,
        seconds=header.seconds,
        faults=header.faults,
    )


def measure(path: str) -> Measured:
    """Header and samples, decoded block by block."""
    import numpy

    from dataio.reading import blocks, channel_mean

    try:
        header = _header(path)
    except _Problem as problem:
        return Measured(*problem.args)
    rate, faults = header.sample_rate, Faults()
    frame = max(1, round(FRAME_SECONDS * rate))
    count, total, full, finite = 0, 0.0, 0, True
    peak = mono_peak = 0.0
    energies, rest = [], numpy.zeros(0, numpy.float32)
    try:
        for block in blocks(path, header, faults=faults):  # (C, T)
            finite = finite and bool(numpy.isfinite(block).all())
            block = numpy.nan_to_num(block, posinf=0.0, neginf=0.0)
            level = numpy.abs(block)
            count += block.shape[1]
            total += float(block.sum(dtype=numpy.float64)) / len(block)
            peak = max(peak, float(level.max(initial=0.0)))
            full += int((level >= FULL_SCALE).any(axis=0).sum())
            mono = channel_mean(block)
            mono_peak = max(mono_peak, float(numpy.abs(mono).max(initial=0.0)))
            mono = numpy.concatenate([rest, mono])
            whole = len(mono) // frame * frame
            energies.append((mono[:whole].reshape(-1, frame) ** 2).mean(axis=1))
            rest = mono[whole:]
    except UnreadableAudio as error:
        return Measured("unreadable", error.reason)
    return replace(
        _of_header(header),
        decoded_seconds=count / rate,
        peak=peak,
        mono_peak=mono_peak,
        offset=total / max(1, count),
        clipped=full / max(1, count),
        leading_silence=_leading_silence(energies, mono_peak),
        finite=finite,
        faults=faults.all(),
    )


def _leading_silence(energies: list, peak: float) -> float:
    """Seconds before the first 10 ms that come within `SILENCE_DB` of the loudest."""
    import numpy

    energy = numpy.concatenate(energies) if energies else numpy.zeros(0)
    if peak < SILENT_PEAK or not len(energy) or energy.max() == 0:
        return float("nan")
    loud = energy >= energy.max() * 10 ** (-SILENCE_DB / 10)
    return float(numpy.argmax(loud)) * FRAME_SECONDS

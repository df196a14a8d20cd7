"""What one audio file is like: level, clipping, offset, bandwidth, silence at its ends."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, replace

from dataio.audio_file import AudioHeader, Fault, Faults, UnreadableAudio
from dataio.probe import probe

SILENT_PEAK = 1e-3  # -60 dB of full scale
FULL_SCALE = 0.9995  # a sample this near to 1 is taken as clipped
SILENCE_DB = 40  # below the loudest 10 ms
FRAME_SECONDS = 0.01
PAUSES = 5  # % of the 10 ms frames, the quietest: their level is that of the pauses
FLOOR_DB = -120.0  # said of digital silence
SPECTRUM = 1024  # samples of the short-time spectra that the bandwidth is read from
BAND_DB = 60  # below the strongest frequency of the mean spectrum: no longer in the band
HEARD_HZ = 8000.0  # what is left of a wider band at 16 kHz


@dataclass(frozen=True, slots=True)
class Measured:
    """A file's header and, unless only that was asked for, what its samples are like.

    `problem` is `missing`, `unreadable`, or nothing; the other fields hold only for nothing.
    `seconds` is the header's length, `decoded_seconds` what came out of the decoder (NaN where
    it was not asked); `peak` is that of the channels, `mono_peak` that of their mean, which is
    what is scored; these and `offset` are in parts of full scale, `clipped` in parts of all
    samples, `leading_silence` and `trailing_silence` in seconds (NaN for a silent file).
    `level_db` and `pause_db` are the mean power of the mono mix and that of its quietest frames,
    in dB of full scale; `bandwidth` is the highest frequency in it, in Hz up to 8000 (all NaN
    where they were not measured). `faults`: what breaks off or does not decode, and where.
    """

    problem: str = ""
    reason: str = ""
    sample_rate: int = 0
    channels: int = 0
    encoding: str = ""
    bits: int = 0
    seconds: float = 0.0
    decoded_seconds: float = float("nan")
    peak: float = float("nan")
    mono_peak: float = float("nan")
    offset: float = float("nan")
    clipped: float = float("nan")
    leading_silence: float = float("nan")
    trailing_silence: float = float("nan")
    level_db: float = float("nan")
    pause_db: float = float("nan")
    bandwidth: float = float("nan")
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
        encoding=header.encoding,
        bits=header.bits,
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
    energies, rest, band = [], numpy.zeros(0, numpy.float32), _Band(rate)
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
            band.add(mono)
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
        bandwidth=band.hertz(),
        finite=finite,
        faults=faults.all(),
        **_levels(energies, mono_peak),
    )


def _levels(energies: list, peak: float) -> dict[str, float]:
    """Silence at both ends, what is `SILENCE_DB` below the loudest 10 ms, and the levels."""
    import numpy

    energy = numpy.concatenate(energies) if energies else numpy.zeros(0)
    if peak < SILENT_PEAK or not len(energy) or energy.max() == 0:
        return {}
    loud = energy >= energy.max() * 10 ** (-SILENCE_DB / 10)
    return {
        "leading_silence": float(numpy.argmax(loud)) * FRAME_SECONDS,
        "trailing_silence": float(numpy.argmax(loud[::-1])) * FRAME_SECONDS,
        "level_db": _decibel(float(energy.mean(dtype=numpy.float64))),
        "pause_db": _decibel(float(numpy.percentile(energy, PAUSES))),
    }


def _decibel(power: float) -> float:
    return max(FLOOR_DB, 10 * math.log10(power)) if power > 0 else FLOOR_DB


class _Band:
    """The mean short-time power spectrum of mono samples that come in blocks."""

    def __init__(self, rate: int):
        import numpy

        self.rate, self.total, self.rest = rate, 0.0, numpy.zeros(0, numpy.float32)

    def add(self, mono) -> None:
        """Add a block (T,); what is left at the end is too short for a spectrum of its own."""
        import numpy

        mono = numpy.concatenate([self.rest, mono])
        whole = len(mono) // SPECTRUM * SPECTRUM
        self.rest = mono[whole:]
        frames = mono[:whole].reshape(-1, SPECTRUM) * numpy.hanning(SPECTRUM)
        self.total = self.total + (numpy.abs(numpy.fft.rfft(frames, axis=1)) ** 2).sum(axis=0)

    def hertz(self) -> float:
        """The highest frequency within `BAND_DB` of the strongest, NaN without any power."""
        import numpy

        power = numpy.atleast_1d(self.total)
        if not power.max() > 0:
            return float("nan")
        highest = numpy.flatnonzero(power >= power.max() * 10 ** (-BAND_DB / 10))[-1]
        return min(HEARD_HZ, float(highest) * self.rate / SPECTRUM)

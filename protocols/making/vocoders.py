"""Copy-synthesis: speech analysed into a few parameters and rebuilt, as vocoders do.

Each takes a waveform (T,) at 16 kHz and gives one of the same length; what it loses on the way
(phase, fine structure of the spectrum, irregular cycles) is what a detector has to hear.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from types import ModuleType

import numpy as np
from scipy.signal import medfilt

from dataio.schema import SAMPLE_RATE, UserError

FFT, HOP = 512, 128  # Griffin-Lim: 32 ms windows
ENVELOPE_FFT, ENVELOPE_HOP = 1024, 80  # parametric vocoders: 64 ms transforms, 5 ms steps
MEL_BANDS = 80
F0_RANGE_HZ = (65.0, 420.0)


def griffin_lim(waveform: np.ndarray, rng: np.random.Generator, *, steps: int = 24) -> np.ndarray:
    """From an 80-band mel spectrogram, phase by the fast Griffin-Lim of Perraudin et al. (2013)."""
    bank, inverse = _mel_bank()
    mel = np.abs(_stft(waveform, FFT, HOP)) @ bank.T
    magnitude = np.maximum(mel @ inverse.T, 0.0)  # (F, bins)
    momentum = 0.99
    phase = np.exp(2j * np.pi * rng.random(magnitude.shape))
    previous = np.zeros_like(phase)
    for _ in range(steps):
        rebuilt = _stft(_istft(magnitude * phase, len(waveform), FFT, HOP), FFT, HOP)
        accelerated = rebuilt + momentum * (rebuilt - previous)
        phase = accelerated / np.maximum(np.abs(accelerated), 1e-12)
        previous = rebuilt
    return _istft(magnitude * phase, len(waveform), FFT, HOP)


def pitch_envelope(waveform: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A pulse a period (voiced) or noise (unvoiced) under a smooth minimum-phase envelope."""
    f0_hz, envelope = track_pitch(waveform), cepstral_envelope(waveform)
    noise = rng.standard_normal(len(waveform))
    excitation = np.where(_to_samples(f0_hz > 0, len(waveform)), _pulses(f0_hz, waveform), noise)
    excitation = excitation + 0.05 * noise
    return _match_energy(_shape(excitation, _minimum_phase(envelope)), waveform)


def sinusoidal(waveform: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A sum of harmonics with phases that start at zero; noise where there is no pitch."""
    f0_hz, envelope = track_pitch(waveform), cepstral_envelope(waveform)
    length = len(waveform)
    voiced = _to_samples(f0_hz > 0, length)
    pitch = _continuous(f0_hz, length)
    cycles = np.cumsum(pitch) / SAMPLE_RATE
    frame = np.minimum(np.arange(length) // ENVELOPE_HOP, len(envelope) - 1)
    harmonics = np.zeros(length)
    for order in range(1, int(0.95 * SAMPLE_RATE / 2 / pitch.min()) + 1):
        bins = np.minimum(order * pitch * ENVELOPE_FFT / SAMPLE_RATE, ENVELOPE_FFT / 2)
        audible = order * pitch < 0.95 * SAMPLE_RATE / 2
        amplitude = envelope[frame, bins.astype(int)] * audible
        harmonics += amplitude * np.cos(2 * np.pi * order * cycles)
    harmonics *= np.sqrt(2 * pitch / SAMPLE_RATE)  # the power of unit noise through that envelope
    noise = _shape(rng.standard_normal(length), envelope)
    return _match_energy(np.where(voiced, harmonics, noise), waveform)


def require_world() -> ModuleType:
    """The module pyworld, or the reason why it cannot be had."""
    try:
        import pyworld
    except ImportError as error:
        raise UserError(
            f"WORLD copy-synthesis needs the Python package pyworld ({error}): install it with"
            " 'bash install.sh --with corpora'"
        ) from None
    return pyworld


def world(waveform: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """WORLD (Morise et al. 2016): F0 by DIO and StoneMask, then CheapTrick and D4C."""
    del rng  # WORLD draws nothing we could seed
    pyworld = require_world()
    signal = np.ascontiguousarray(waveform, dtype=np.float64)
    f0_hz, times = pyworld.dio(signal, SAMPLE_RATE)
    f0_hz = pyworld.stonemask(signal, f0_hz, times, SAMPLE_RATE)
    spectrum = pyworld.cheaptrick(signal, f0_hz, times, SAMPLE_RATE)
    aperiodicity = pyworld.d4c(signal, f0_hz, times, SAMPLE_RATE)
    rebuilt = pyworld.synthesize(f0_hz, spectrum, aperiodicity, SAMPLE_RATE)
    return np.pad(rebuilt, (0, max(0, len(signal) - len(rebuilt))))[: len(signal)]


VOCODERS: dict[str, Callable[[np.ndarray, np.random.Generator], np.ndarray]] = {
    "griffin-lim": griffin_lim,
    "pitch-envelope": pitch_envelope,
    "sinusoidal": sinusoidal,
    "world": world,
}


def track_pitch(waveform: np.ndarray) -> np.ndarray:
    """F0 in Hz each 5 ms, 0 where unvoiced, (F,): the peak of the normalised autocorrelation.

    As in Boersma (1993) the window's own autocorrelation is divided out; shorter lags win ties.
    """
    size, transform = 768, 2048  # 48 ms hold three periods of 65 Hz
    window = np.hanning(size)
    frames = _frames(waveform, size, ENVELOPE_HOP)
    energy = np.sqrt(np.mean(frames**2, axis=1))
    frames = (frames - frames.mean(axis=1, keepdims=True)) * window

    def autocorrelation(x: np.ndarray) -> np.ndarray:
        r = np.fft.irfft(np.abs(np.fft.rfft(x, transform)) ** 2)
        return r / np.maximum(r[..., :1], 1e-12)

    shortest, longest = (int(SAMPLE_RATE / hz) for hz in F0_RANGE_HZ[::-1])
    lags = np.arange(shortest, longest + 1)
    r = (autocorrelation(frames) / np.maximum(autocorrelation(window), 1e-3))[:, : longest + 2]
    best = shortest + np.argmax(r[:, lags] - 0.03 * np.log2(lags / shortest), axis=1)
    rows = np.arange(len(best))
    left, peak, right = r[rows, best - 1], r[rows, best], r[rows, best + 1]
    curve = np.minimum(left - 2 * peak + right, -1e-6)
    shift = np.clip(0.5 * (left - right) / curve, -0.5, 0.5)
    voiced = (peak > 0.5) & (energy > 0.02 * energy.max())
    return medfilt(np.where(voiced, SAMPLE_RATE / (best + shift), 0.0), 5)


def cepstral_envelope(waveform: np.ndarray, *, order: int = 36) -> np.ndarray:
    """Smooth magnitude spectrum each 5 ms, (F, 513): `order` quefrencies of the log spectrum."""
    log_spectrum = np.log(np.abs(_stft(waveform, ENVELOPE_FFT, ENVELOPE_HOP)) + 1e-7)
    cepstrum = np.fft.irfft(log_spectrum)
    cepstrum[:, order : ENVELOPE_FFT - order + 1] = 0
    return np.exp(np.fft.rfft(cepstrum).real)


def _minimum_phase(envelope: np.ndarray) -> np.ndarray:
    """The complex response whose magnitude is `envelope` and whose energy comes first (F, 513)."""
    cepstrum = np.fft.irfft(np.log(envelope))
    cepstrum[:, 1 : ENVELOPE_FFT // 2] *= 2
    cepstrum[:, ENVELOPE_FFT // 2 + 1 :] = 0
    return np.exp(np.fft.rfft(cepstrum))


def _pulses(f0_hz: np.ndarray, waveform: np.ndarray) -> np.ndarray:
    """A pulse a period, of unit power; (T,). A pulse between two samples is shared by both."""
    pitch = _continuous(f0_hz, len(waveform))
    phase = np.cumsum(pitch) / SAMPLE_RATE
    after = np.flatnonzero(np.diff(np.floor(phase)) > 0) + 1
    late = (phase[after] % 1.0) / (pitch[after] / SAMPLE_RATE)  # samples since the pulse
    height = np.sqrt(SAMPLE_RATE / pitch[after])
    pulses = np.zeros(len(waveform))
    pulses[after] += height * (1 - np.clip(late, 0, 1))
    pulses[after - 1] += height * np.clip(late, 0, 1)
    return pulses


def _shape(excitation: np.ndarray, response: np.ndarray) -> np.ndarray:
    spectrum = _stft(excitation, ENVELOPE_FFT, ENVELOPE_HOP)
    return _istft(spectrum * response, len(excitation), ENVELOPE_FFT, ENVELOPE_HOP)


def _match_energy(waveform: np.ndarray, like: np.ndarray) -> np.ndarray:
    """`waveform` with the loudness contour of `like`, in 20 ms windows."""

    def contour(x: np.ndarray) -> np.ndarray:
        return np.sqrt(np.mean(_frames(x, 320, ENVELOPE_HOP) ** 2, axis=1) + 1e-12)

    gain = np.minimum(contour(like) / contour(waveform), 1e4)
    centres = np.arange(len(gain)) * ENVELOPE_HOP
    return waveform * np.interp(np.arange(len(waveform)), centres, gain)


def _to_samples(track: np.ndarray, length: int) -> np.ndarray:
    return track[
        np.minimum((np.arange(length) + ENVELOPE_HOP // 2) // ENVELOPE_HOP, len(track) - 1)
    ]


def _continuous(f0_hz: np.ndarray, length: int) -> np.ndarray:
    """F0 at every sample, bridged over unvoiced stretches; 120 Hz if nothing is voiced."""
    voiced = np.flatnonzero(f0_hz)
    if not len(voiced):
        return np.full(length, 120.0)
    return np.interp(np.arange(length) / ENVELOPE_HOP, voiced, f0_hz[voiced])


def _frames(waveform: np.ndarray, size: int, hop: int) -> np.ndarray:
    """Windows centred on multiples of `hop`, (1 + T // hop, size), zeros beyond the ends."""
    padded = np.pad(waveform, (size // 2, size // 2))
    return np.lib.stride_tricks.sliding_window_view(padded, size)[::hop]


def _stft(waveform: np.ndarray, size: int, hop: int) -> np.ndarray:
    return np.fft.rfft(_frames(waveform, size, hop) * np.hanning(size + 1)[:-1])


def _istft(spectrum: np.ndarray, length: int, size: int, hop: int) -> np.ndarray:
    """Least-squares inverse of `_stft` (Griffin and Lim 1984, eq. 6), (length,)."""
    window = np.hanning(size + 1)[:-1]
    frames = np.fft.irfft(spectrum, size) * window
    total = (len(frames) - 1) * hop + size
    output, weight = np.zeros(total), np.full(total, 1e-8)
    for index, frame in enumerate(frames):
        output[index * hop : index * hop + size] += frame
        weight[index * hop : index * hop + size] += window**2
    return (output / weight)[size // 2 : size // 2 + length]


@lru_cache(maxsize=1)
def _mel_bank() -> tuple[np.ndarray, np.ndarray]:
    """Triangular filters on the mel scale (80, 257) and their pseudo-inverse (257, 80)."""
    top = 2595 * np.log10(1 + SAMPLE_RATE / 2 / 700)
    edges = 700 * (10 ** (np.linspace(0, top, MEL_BANDS + 2) / 2595) - 1)
    bins = np.fft.rfftfreq(FFT, 1 / SAMPLE_RATE)
    rising = (bins - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - bins) / (edges[2:] - edges[1:-1])[:, None]
    bank = np.maximum(0, np.minimum(rising, falling))
    return bank, np.linalg.pinv(bank)

"""RawBoost the plain way: an independent statement of Tak et al. 2022, slow and obvious.

Scalar draws in the order they are needed, `scipy.signal` designs, `lfilter` in the time domain. It
shares no code with `augment`. `apply_plain` takes the fields of an `augment.rawboost.Draw`;
`PlainRawBoost` draws for itself, and is what benchmarks/rawboost.py times.
"""

from __future__ import annotations

import numpy as np
from scipy import signal

SAMPLE_RATE = 16_000


def notch_cascade(bands, gain_db, sample_rate=SAMPLE_RATE):
    """FIR of band-stops in series; `bands` are (centre Hz, width Hz, taps); peak gain in dB."""
    coefficients = np.ones(1)
    for centre, width, taps in bands:
        low, high = centre - width / 2, centre + width / 2
        if low <= 0:
            low = 0.001
        if high >= sample_rate / 2:
            high = sample_rate / 2 - 0.001
        band_stop = signal.firwin(int(taps), [low, high], window="hamming", fs=sample_rate)
        coefficients = np.convolve(band_stop, coefficients)
    _, response = signal.freqz(coefficients, 1, fs=sample_rate)
    return 10 ** (gain_db / 20) * coefficients / np.max(np.abs(response))


def filter_and_cut(waveform, coefficients):
    """`lfilter` on the signal padded by N = taps + 1 zeros, N / 2 samples cut from each end."""
    n = coefficients.size + 1
    filtered = signal.lfilter(coefficients, 1, np.concatenate([waveform, np.zeros(n)]))
    return filtered[n // 2 : filtered.size - n // 2]


def limit_peak(waveform):
    peak = np.max(np.abs(waveform))
    return waveform / peak if peak > 1 else waveform


def convolutive(waveform, cascades):
    """`cascades`: one FIR for each power of the waveform, the first power first."""
    total = np.zeros(waveform.size)
    for order, coefficients in enumerate(cascades, start=1):
        total = total + filter_and_cut(np.power(waveform, order), coefficients)
    return limit_peak(total - np.mean(total))


def impulsive(waveform, positions, gains):
    noisy = waveform.copy()
    for position, gain in zip(positions, gains, strict=True):
        noisy[position] = waveform[position] + gain * waveform[position]
    return limit_peak(noisy)


def stationary(waveform, noise, coefficients, snr_db):
    noise = filter_and_cut(noise, coefficients)
    noise = noise / np.max(np.abs(noise))
    scale = np.linalg.norm(waveform) / np.linalg.norm(noise) / 10 ** (0.05 * snr_db)
    return waveform + noise * scale


def in_order(algo, waveform, lnl, isd, ssi):
    """The algorithms as published, written out; each argument is a function of a waveform."""
    if algo == 0:
        return waveform
    if algo == 1:
        return lnl(waveform)
    if algo == 2:
        return isd(waveform)
    if algo == 3:
        return ssi(waveform)
    if algo == 4:
        return ssi(isd(lnl(waveform)))
    if algo == 5:
        return isd(lnl(waveform))
    if algo == 6:
        return ssi(lnl(waveform))
    if algo == 7:
        return ssi(isd(waveform))
    return limit_peak(lnl(waveform) + isd(waveform))


def apply_plain(waveform, draw):
    """The plain form with the parameters of an `augment.rawboost.Draw`; float64 out."""
    stages = {type(stage).__name__: stage for stage in draw.stages}

    def cascades(notches):
        rows = zip(notches.centre_hz, notches.width_hz, notches.taps, strict=True)
        bands = [list(zip(*row, strict=True)) for row in rows]
        return [
            notch_cascade(row, gain, notches.sample_rate)
            for row, gain in zip(bands, notches.gain_db, strict=True)
        ]

    def lnl(x):
        return convolutive(x, cascades(stages["ConvolutiveDraw"].notches))

    def isd(x):
        return impulsive(x, stages["ImpulsiveDraw"].positions, stages["ImpulsiveDraw"].gains)

    def ssi(x):
        drawn = stages["StationaryDraw"]
        noise = drawn.noise.astype(np.float64)
        return stationary(x, noise, cascades(drawn.notches)[0], drawn.snr_db)

    return in_order(draw.algo, waveform.astype(np.float64), lnl, isd, ssi)


class PlainRawBoost:
    """Draws with the legacy generator, one scalar at a time, with the published defaults."""

    def __init__(self, algo, seed):
        self.algo = algo
        self.random = np.random.RandomState(seed)

    def between(self, low, high):
        return self.random.uniform(low, high)

    def bands(self):
        drawn = []
        for _ in range(5):
            centre, width = self.between(20, 8000), self.between(100, 1000)
            taps = int(self.between(10, 100))
            drawn.append((centre, width, taps + 1 if taps % 2 == 0 else taps))
        return drawn

    def gain_db(self, order):
        return self.between(0, 0) if order == 0 else self.between(-5, -20)

    def cascade(self, order=0):
        bands = self.bands()
        return notch_cascade(bands, self.gain_db(order))

    def impulses(self, length):
        count = int(length * (self.between(0, 10) / 100))
        positions = self.random.permutation(length)[:count]
        factors = (2 * self.random.rand(count) - 1) * (2 * self.random.rand(count) - 1)
        return positions, 2 * factors

    def lnl(self, waveform):
        return convolutive(waveform, [self.cascade(order) for order in range(5)])

    def isd(self, waveform):
        positions, gains = self.impulses(waveform.size)
        noisy = waveform.copy()
        noisy[positions] = waveform[positions] + gains * waveform[positions]
        return limit_peak(noisy)

    def ssi(self, waveform):
        noise = self.random.normal(0, 1, waveform.size)
        return stationary(waveform, noise, self.cascade(), self.between(10, 40))

    def __call__(self, waveform):
        return in_order(self.algo, waveform, self.lnl, self.isd, self.ssi)

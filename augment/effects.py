"""Effects that need no files: telephone band, speed, gain, clipping, and masks in time and band.

Each is a dataclass of its YAML keys with `draw(length, rng)` and `apply(waveform, drawn)`; applied
with the same draw it gives the same output. Waveforms are (T,) floating point, and stay so.

Speed resamples as SpeechBrain's `SpeedPerturb` does, and reverberation (in `augment.mixing`) is its
`reverberate`. Its other augmentations draw inside from torch's global state, which a loader's row
cannot seed alone; they are a line or two each and are written here.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from augment.codecs import Codec
from augment.mixing import Noise, Reverberation
from augment.settings import Interval, count, span
from dataio.schema import UserError

TAPS = 255  # of the band filters: 16 ms, edges 200 Hz wide at 16 kHz
AUDIBLE = (0, 192_000)  # Hz


def representable(sample_rate: int) -> tuple[float, float]:
    """The least and the most that the edge of a band can be, in Hz."""
    return 1.0, sample_rate / 2 - 1


def filter_band(
    waveform: np.ndarray, low_hz: float, high_hz: float, *, sample_rate: int, keep: bool
) -> np.ndarray:
    """The band alone (`keep`), or all but the band, by a symmetric FIR without delay.

    Edges beyond what is representable move to it; scipy's Hamming-window design.
    """
    from scipy.signal import firwin, oaconvolve

    low, high = np.clip([low_hz, high_hz], *representable(sample_rate))
    if high <= low:
        return waveform
    # Unscaled: scipy would scale a band-stop to gain 1 at 0 Hz even where its band lies there.
    taps = firwin(TAPS, [low, high], pass_zero=False, fs=sample_rate, scale=False)
    band = oaconvolve(waveform, taps.astype(waveform.dtype))[TAPS // 2 :][: waveform.size]
    return band if keep else waveform - band


def fit(waveform: np.ndarray, length: int) -> np.ndarray:
    """Cut, or filled up with zeros, at the end."""
    return np.pad(waveform[:length], (0, max(0, length - waveform.size)))


@dataclass(frozen=True, slots=True)
class TelephoneBand:
    """Only what passes an analogue line: from `low_hz` to `high_hz`."""

    low_hz: Interval = span(300, 300, AUDIBLE)
    high_hz: Interval = span(3400, 3400, AUDIBLE)
    sample_rate: int = 0

    def __post_init__(self) -> None:
        if self.low_hz.high >= self.high_hz.low:
            raise UserError(
                f"telephone: low_hz reaches {self.low_hz.high}, high_hz begins at "
                f"{self.high_hz.low}; keep them apart"
            )
        least, most = representable(self.sample_rate)
        if self.low_hz.high >= most or self.high_hz.low <= least:
            raise UserError(
                f"telephone: low_hz {self.low_hz.high} to high_hz {self.high_hz.low} is no band of "
                f"{self.sample_rate} Hz audio; low_hz must be below {most:g}, high_hz above "
                f"{least:g}"
            )

    def draw(self, _length: int, rng: np.random.Generator) -> tuple[float, float]:
        return self.low_hz.draw(rng), self.high_hz.draw(rng)

    def apply(self, waveform: np.ndarray, drawn: tuple[float, float]) -> np.ndarray:
        return filter_band(waveform, *drawn, sample_rate=self.sample_rate, keep=True)


@dataclass(frozen=True, slots=True)
class BandMask:
    """Up to `bands` (at least one) stretches of the spectrum removed, each `width_hz` wide."""

    bands: int = count(2, (1, 100))
    width_hz: Interval = span(100, 1000, AUDIBLE)
    sample_rate: int = 0

    def draw(self, _length: int, rng: np.random.Generator) -> list[tuple[float, float]]:
        """Edges in Hz; a mask may lie partly outside the spectrum, so its ends are masked too."""
        centres = Interval(0, self.sample_rate / 2)
        masks = []
        for _ in range(rng.integers(1, self.bands, endpoint=True)):
            centre, width = centres.draw(rng), self.width_hz.draw(rng)
            masks.append((centre - width / 2, centre + width / 2))
        return masks

    def apply(self, waveform: np.ndarray, drawn: list[tuple[float, float]]) -> np.ndarray:
        for low, high in drawn:
            waveform = filter_band(waveform, low, high, sample_rate=self.sample_rate, keep=False)
        return waveform


@dataclass(frozen=True, slots=True)
class TimeMask:
    """Up to `masks` (at least one) stretches of `seconds` set to zero, as lost packets are."""

    masks: int = count(2, (1, 1000))
    seconds: Interval = span(0.02, 0.1, (0, 60))
    sample_rate: int = 0

    def draw(self, length: int, rng: np.random.Generator) -> list[slice]:
        """Stretches that lie inside the waveform; one longer than half of it is cut to half."""
        stretches = []
        for _ in range(rng.integers(1, self.masks, endpoint=True)):
            size = min(round(self.seconds.draw(rng) * self.sample_rate), length // 2)
            start = int(rng.integers(0, length - size, endpoint=True))
            stretches.append(slice(start, start + size))
        return stretches

    def apply(self, waveform: np.ndarray, drawn: list[slice]) -> np.ndarray:
        masked = waveform.copy()
        for stretch in drawn:
            masked[stretch] = 0
        return masked


@dataclass(frozen=True, slots=True)
class Gain:
    """Louder or softer by `gain_db`; what goes beyond +-1 is left there."""

    gain_db: Interval = span(-10, 10, (-200, 200))
    sample_rate: int = 0

    def draw(self, _length: int, rng: np.random.Generator) -> float:
        return self.gain_db.draw(rng)

    def apply(self, waveform: np.ndarray, drawn: float) -> np.ndarray:
        return waveform * waveform.dtype.type(10 ** (drawn / 20))


@dataclass(frozen=True, slots=True)
class Clipping:
    """Limited to the level that `percent` of the samples exceed, as an overdriven input is."""

    percent: Interval = span(0.1, 5, (0, 100))
    sample_rate: int = 0

    def draw(self, _length: int, rng: np.random.Generator) -> float:
        return self.percent.draw(rng)

    def apply(self, waveform: np.ndarray, drawn: float) -> np.ndarray:
        kept = int((waveform.size - 1) * (1 - drawn / 100))  # rank of the loudest sample kept
        level = np.partition(np.abs(waveform), kept)[kept]
        return waveform.clip(-level, level)


@dataclass(frozen=True, slots=True)
class Speed:
    """Tempo and pitch together times `factor`, to the hundredth; end cut or filled with zeros."""

    factor: Interval = span(0.9, 1.1, (0.25, 4))
    sample_rate: int = 0

    def draw(self, _length: int, rng: np.random.Generator) -> int:
        """Percent of the original speed."""
        return round(100 * self.factor.draw(rng))

    def apply(self, waveform: np.ndarray, drawn: int) -> np.ndarray:
        if drawn == 100:
            return waveform
        import torch

        perturbed = _resampler(drawn)(torch.from_numpy(waveform.astype(np.float32))[None])[0]
        return fit(perturbed.numpy(), waveform.size).astype(waveform.dtype)


@lru_cache(maxsize=64)
def _resampler(percent: int):
    """What SpeechBrain's `SpeedPerturb` does at one speed: from `percent` to 100 Hz, so to say.

    `SpeedPerturb` itself would choose among its one speed with torch's global generator.
    """
    from speechbrain.augment.time_domain import Resample

    return Resample(orig_freq=percent, new_freq=100)


EFFECTS: dict[str, type] = {
    "codec": Codec,
    "telephone": TelephoneBand,
    "noise": Noise,
    "reverberation": Reverberation,
    "speed": Speed,
    "gain": Gain,
    "clipping": Clipping,
    "time_mask": TimeMask,
    "band_mask": BandMask,
}

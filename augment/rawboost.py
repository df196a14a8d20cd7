"""RawBoost (Tak et al., ICASSP 2022): draws and their application, algorithms 0 to 8.

    rawboost = RawBoost.from_yaml({"algo": 5})
    draw = rawboost.draw(waveform.size, rng)  # parameters only
    augmented = apply(waveform, draw)  # the same draw gives the same output

The published code filters in the time domain; `apply` gives the same numbers by FFT.
`augment.batched` applies the same draws to a padded batch on a device.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from augment.notches import Notches, filter_powers
from augment.settings import ANY, Interval, check_keys, number, ordered, whole
from dataio.schema import SAMPLE_RATE, UserError

CONVOLUTIVE, IMPULSIVE, STATIONARY = (
    "LnL_convolutive_noise",
    "ISD_additive_noise",
    "SSI_additive_noise",
)
# The stages of each algorithm, one after the other; 8 adds its two side by side.
SERIES = {
    0: (),
    1: (CONVOLUTIVE,),
    2: (IMPULSIVE,),
    3: (STATIONARY,),
    4: (CONVOLUTIVE, IMPULSIVE, STATIONARY),
    5: (CONVOLUTIVE, IMPULSIVE),
    6: (CONVOLUTIVE, STATIONARY),
    7: (IMPULSIVE, STATIONARY),
    8: (CONVOLUTIVE, IMPULSIVE),
}
PARALLEL = 8

# The published YAML block. SNRmax is missing from every published one; 40 is the paper's code.
DEFAULTS = {
    CONVOLUTIVE: {
        "nBands": 5,
        "minF": 20,
        "maxF": 8000,
        "minBW": 100,
        "maxBW": 1000,
        "minCoeff": 10,
        "maxCoeff": 100,
        "minG": 0,
        "maxG": 0,
        "minBiasLinNonLin": 5,
        "maxBiasLinNonLin": 20,
        "N_f": 5,
    },
    IMPULSIVE: {"P": 10, "g_sd": 2},
    STATIONARY: {"SNRmin": 10, "SNRmax": 40},
}
OPTIONAL = {"SNRmax"}
WHOLE = {"nBands", "N_f"}
POSITIVE, NOT_NEGATIVE = (1, math.inf), (0, math.inf)
BOUNDS = {
    **dict.fromkeys(("nBands", "N_f", "minCoeff"), POSITIVE),
    **dict.fromkeys(("minF", "minBW"), NOT_NEGATIVE),
    "P": (0, 100),
}


@dataclass(frozen=True, slots=True)
class ConvolutiveDraw:
    """One notch cascade for each power of the signal, the first power first."""

    notches: Notches


@dataclass(frozen=True, slots=True)
class ImpulsiveDraw:
    """Sample `positions` (n,), all different, and the share of itself each one gains (n,)."""

    positions: np.ndarray
    gains: np.ndarray


@dataclass(frozen=True, slots=True)
class StationaryDraw:
    """White `noise` (T,), the one cascade that colours it, and the SNR in dB it is added at."""

    noise: np.ndarray
    notches: Notches
    snr_db: float


@dataclass(frozen=True, slots=True)
class Draw:
    """What `apply` needs beside the waveform of `length` samples: algorithm, one draw a stage."""

    algo: int
    length: int
    stages: tuple[ConvolutiveDraw | ImpulsiveDraw | StationaryDraw, ...]


@dataclass(frozen=True, slots=True)
class NotchRanges:
    """Uniform ranges that notch cascades are drawn from; frequencies in Hz, `gain_db` in dB."""

    bands: int
    centre_hz: Interval
    width_hz: Interval
    taps: Interval
    gain_db: Interval

    def draw(self, gains: list[Interval], sample_rate: int, rng: np.random.Generator) -> Notches:
        """One cascade for each range in `gains`; centres above the Nyquist frequency are not drawn.

        The tap count is truncated, and an even one is raised by one: both as published.
        """
        shape = (len(gains), self.bands)
        centres = Interval(self.centre_hz.low, min(self.centre_hz.high, sample_rate / 2))
        taps = self.taps.draw(rng, shape).astype(int)
        return Notches(
            centre_hz=centres.draw(rng, shape),
            width_hz=self.width_hz.draw(rng, shape),
            taps=taps + (taps % 2 == 0),
            gain_db=np.array([gain.draw(rng) for gain in gains]),
            sample_rate=sample_rate,
        )


@dataclass(frozen=True, slots=True)
class RawBoost:
    """The distributions of one YAML block; `draw` takes a realisation of them."""

    algo: int
    notches: NotchRanges
    bias_db: Interval  # what powers of the signal above the first lose
    orders: int
    impulse_percent: float
    impulse_gain: float
    snr_db: Interval
    sample_rate: int = SAMPLE_RATE

    @classmethod
    def from_yaml(cls, block: dict, sample_rate: int = SAMPLE_RATE) -> RawBoost:
        """Read a `rawboost:` block; a section left out has the published values.

        Raises UserError for an unknown or missing key and for an impossible value.
        """
        check_keys(block, {"algo", *DEFAULTS}, required={"algo"}, where="rawboost")
        algo = block["algo"]
        if isinstance(algo, bool) or not isinstance(algo, int | float) or algo not in SERIES:
            raise UserError(f"rawboost: algo is {algo!r}; give a whole number 0 to 8")
        lnl, isd, ssi = (_section(block, name) for name in DEFAULTS)
        centre = _ordered(lnl, "minF", "maxF")
        if centre.low > sample_rate / 2:
            raise UserError(
                f"rawboost: {CONVOLUTIVE}: minF {centre.low} Hz is above the Nyquist frequency of "
                f"{sample_rate} Hz audio; lower it"
            )
        return cls(
            algo=int(algo),
            notches=NotchRanges(
                bands=lnl["nBands"],
                centre_hz=centre,
                width_hz=_ordered(lnl, "minBW", "maxBW"),
                taps=_ordered(lnl, "minCoeff", "maxCoeff"),
                gain_db=Interval(lnl["minG"], lnl["maxG"]),
            ),
            bias_db=Interval(lnl["minBiasLinNonLin"], lnl["maxBiasLinNonLin"]),
            orders=lnl["N_f"],
            impulse_percent=isd["P"],
            impulse_gain=isd["g_sd"],
            snr_db=_ordered(ssi, "SNRmin", "SNRmax"),
            sample_rate=sample_rate,
        )

    def draw(self, length: int, rng: np.random.Generator) -> Draw:
        """Everything random about one utterance of `length` samples."""
        stages = tuple(DRAWERS[name](self, length, rng) for name in SERIES[self.algo])
        return Draw(self.algo, length, stages)

    def apply(self, waveform: np.ndarray, draw: Draw) -> np.ndarray:
        """See `apply`; here so that RawBoost can stand in a list of effects."""
        return apply(waveform, draw)


def _section(block: dict, name: str) -> dict:
    """The checked values of one section of the block, complete."""
    where, defaults = f"rawboost: {name}", DEFAULTS[name]
    section = block.get(name)
    if section is None:
        return defaults
    check_keys(section, defaults, required=set(defaults) - OPTIONAL, where=where)
    for key, value in section.items():
        read = whole if key in WHOLE else number
        read(value, f"{where}: {key}", BOUNDS.get(key, ANY))
    return {**defaults, **section}


def _ordered(section: dict, low: str, high: str) -> Interval:
    return ordered(section[low], section[high], f"rawboost: {low} and {high}")


def draw_convolutive(rawboost: RawBoost, _length: int, rng: np.random.Generator) -> ConvolutiveDraw:
    """Section 3.1: powers above the first are lowered by the bias, the same range for all."""
    gain, bias = rawboost.notches.gain_db, rawboost.bias_db
    lowered = Interval(gain.low - bias.low, gain.high - bias.high)
    gains = [gain] + [lowered] * (rawboost.orders - 1)
    return ConvolutiveDraw(rawboost.notches.draw(gains, rawboost.sample_rate, rng))


def draw_impulsive(rawboost: RawBoost, length: int, rng: np.random.Generator) -> ImpulsiveDraw:
    """Section 3.2: up to P % of the samples; each gain is g_sd times a product of two uniforms."""
    count = int(length * (rng.uniform(0, rawboost.impulse_percent) / 100))
    signs = rng.uniform(-1, 1, (2, count))
    return ImpulsiveDraw(
        positions=rng.choice(length, count, replace=False, shuffle=False),
        gains=rawboost.impulse_gain * signs[0] * signs[1],
    )


def white_noise(length: int, rng: np.random.Generator) -> np.ndarray:
    """Standard normal (length,) float32 by Box and Muller: a third of NumPy's ziggurat's time."""
    uniform, angle = rng.random((2, -(-length // 2)), dtype=np.float32)
    radius = np.sqrt(-2 * np.log(1 - uniform))  # 1 - u is in (0, 1]
    angle *= np.float32(2 * np.pi)
    noise = np.empty((2, angle.size), np.float32)
    np.cos(angle, out=noise[0])
    np.sin(angle, out=noise[1])
    noise *= radius
    return noise.reshape(-1)[:length]


def draw_stationary(rawboost: RawBoost, length: int, rng: np.random.Generator) -> StationaryDraw:
    """Section 3.3: the notch ranges are those of the convolutive noise."""
    return StationaryDraw(
        noise=white_noise(length, rng),
        notches=rawboost.notches.draw([rawboost.notches.gain_db], rawboost.sample_rate, rng),
        snr_db=rawboost.snr_db.draw(rng),
    )


DRAWERS = {CONVOLUTIVE: draw_convolutive, IMPULSIVE: draw_impulsive, STATIONARY: draw_stationary}


def peak_limited(waveform: np.ndarray) -> np.ndarray:
    """The waveform divided by its peak where that is above 1."""
    peak = max(waveform.max(), -waveform.min())
    return waveform / peak if peak > 1 else waveform


def add_convolutive(waveform: np.ndarray, draw: ConvolutiveDraw) -> np.ndarray:
    """Eq. 1 of Tak et al. 2022: a Hammerstein system, its mean removed, peak limited to 1."""
    filtered = filter_powers(waveform, draw.notches)
    filtered -= filtered.mean()
    return peak_limited(filtered)


def add_impulsive(waveform: np.ndarray, draw: ImpulsiveDraw) -> np.ndarray:
    """Eq. 3 of Tak et al. 2022: impulses in proportion to the sample they hit; peak limited."""
    impulsive = waveform.copy()
    impulsive[draw.positions] *= (1 + draw.gains).astype(waveform.dtype)
    return peak_limited(impulsive)


def add_stationary(waveform: np.ndarray, draw: StationaryDraw) -> np.ndarray:
    """Eq. 5 of Tak et al. 2022: coloured noise at an SNR over the utterance; no peak limit."""
    noise = filter_powers(draw.noise.astype(waveform.dtype, copy=False), draw.notches)
    noise_norm = np.sqrt(noise @ noise)
    if noise_norm == 0:  # an empty band, or a filter of one tap on one sample
        return waveform
    return waveform + noise * (np.sqrt(waveform @ waveform) / noise_norm / 10 ** (draw.snr_db / 20))


APPLIERS = {
    ConvolutiveDraw: add_convolutive,
    ImpulsiveDraw: add_impulsive,
    StationaryDraw: add_stationary,
}


def apply(waveform: np.ndarray, draw: Draw) -> np.ndarray:
    """RawBoost with a given draw: (T,) floating point in, same length and dtype out.

    The arithmetic has the waveform's precision. Raises ValueError for another length or integers.
    """
    if waveform.shape != (draw.length,) or waveform.dtype.kind != "f":
        raise ValueError(
            f"this draw is for a floating-point waveform ({draw.length},), not {waveform.dtype} "
            f"{waveform.shape}"
        )
    if not draw.stages or not waveform.size:
        return waveform
    if draw.algo == PARALLEL:
        return peak_limited(sum(APPLIERS[type(stage)](waveform, stage) for stage in draw.stages))
    for stage in draw.stages:
        waveform = APPLIERS[type(stage)](waveform, stage)
    return waveform

"""A voice made of formulas: glottal pulses through moving formants, for the embedded demo.

Source and filter after Klatt, "Software for a cascade/parallel formant synthesizer" (JASA 1980),
with the polynomial glottal pulse of Rosenberg (JASA 1971) as Klatt and Klatt (JASA 1990) use it.
Vowel formants are the male averages of Peterson and Barney (JASA 1952), scaled per speaker.
Drawing (`draw_speaker`, `draw_tracks`) is apart from applying (`synthesise`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.signal import lfilter, resample_poly, sosfilt

from dataio.schema import SAMPLE_RATE

FRAME = 80  # samples between two values of a track: 5 ms
FRAME_SECONDS = FRAME / SAMPLE_RATE
OVERSAMPLING = 4  # the pulse's sharp closure would alias at 16 kHz
UPPER_FORMANTS = np.array([3500.0, 4500.0, 5500.0, 6500.0])  # Hz, of a 17.5 cm tract
BANDWIDTHS = np.array([60.0, 90.0, 140.0, 220.0, 280.0, 350.0, 420.0])  # Hz

VOWELS = np.array(
    [
        [270, 2290, 3010], [390, 1990, 2550], [530, 1840, 2480], [660, 1720, 2410],
        [730, 1090, 2440], [570, 840, 2410], [440, 1020, 2240], [300, 870, 2240],
        [640, 1190, 2390], [490, 1350, 1690],
    ],
    dtype=float,
)  # fmt: skip


@dataclass(frozen=True)
class Piece:
    """A stretch of steady targets: formants in Hz, three amplitudes, and its usual length."""

    formants_hz: tuple[float, float, float]
    voicing: float
    aspiration: float
    frication: float
    frication_hz: float
    milliseconds: float


_NEUTRAL = (500.0, 1500.0, 2500.0)
CONSONANTS = (
    (Piece((250, 1100, 2200), 0.35, 0, 0, 4000, 70),),  # m
    (Piece((250, 1500, 2500), 0.35, 0, 0, 4000, 65),),  # n
    (Piece((360, 1100, 2600), 0.60, 0, 0, 4000, 60),),  # l
    (Piece((300, 700, 2200), 0.60, 0, 0, 4000, 60),),  # w
    (Piece((280, 2200, 2900), 0.60, 0, 0, 4000, 60),),  # y
    (Piece((310, 1500, 2500), 0.00, 0, 0.50, 6200, 110),),  # s
    (Piece((310, 1800, 2500), 0.00, 0, 0.55, 3300, 110),),  # sh
    (Piece((310, 1100, 2400), 0.00, 0, 0.20, 5000, 90),),  # f
    (Piece((310, 1500, 2500), 0.40, 0, 0.25, 6000, 80),),  # z
    (Piece(_NEUTRAL, 0.00, 0.35, 0.00, 4000, 70),),  # h
    (Piece((250, 900, 2300), 0, 0, 0, 1000, 60), Piece((300, 900, 2300), 0, 0.2, 0.3, 900, 18)),
    (Piece((250, 1700, 2600), 0, 0, 0, 4500, 55), Piece((300, 1700, 2600), 0, 0.2, 0.6, 4500, 22)),
    (Piece((250, 2000, 2600), 0, 0, 0, 1900, 60), Piece((300, 2000, 2600), 0, 0.3, 0.5, 1900, 28)),
    (Piece((220, 900, 2300), 0.15, 0, 0, 1000, 50), Piece((300, 900, 2300), 0.5, 0, 0.2, 900, 10)),
    (Piece((220, 1700, 2600), 0.15, 0, 0, 4e3, 45), Piece((300, 1700, 2600), 0.5, 0, 0.3, 4e3, 10)),
)


@dataclass(frozen=True)
class Speaker:
    """What stays the same from one utterance of a speaker to the next."""

    f0_hz: float
    melody_semitones: float  # size of accents
    tract_scale: float  # formants times this; 1 = adult male average
    open_quotient: float  # share of a cycle in which the glottis is open
    tilt_hz: float  # corner of the source's extra one-pole low-pass
    jitter: float  # relative deviation of a cycle's length
    shimmer: float  # relative deviation of a cycle's amplitude
    breath: float  # aspiration noise beside voicing, linear
    rate: float  # tempo, 1 = average
    bandwidth_scale: float


@dataclass(frozen=True)
class Tracks:
    """Targets of one utterance, one row each 5 ms: `formants_hz` is (F, 3), the others (F,)."""

    f0_hz: np.ndarray
    formants_hz: np.ndarray
    voicing: np.ndarray
    aspiration: np.ndarray
    frication: np.ndarray
    frication_hz: np.ndarray


def draw_speaker(rng: np.random.Generator) -> Speaker:
    """A random voice; the vocal tract shortens as the pitch rises, as it does in people."""
    f0_hz = float(np.exp(rng.uniform(np.log(90), np.log(240))))
    size = np.log(f0_hz / 120) / np.log(2)  # octaves above an average male voice
    return Speaker(
        f0_hz=f0_hz,
        melody_semitones=rng.uniform(1.5, 4.0),
        tract_scale=float(np.clip(1 + 0.17 * size + rng.normal(0, 0.04), 0.88, 1.25)),
        open_quotient=rng.uniform(0.5, 0.75),
        tilt_hz=rng.uniform(1500, 4000),
        jitter=rng.uniform(0.003, 0.012),
        shimmer=rng.uniform(0.02, 0.07),
        breath=10 ** (rng.uniform(-32, -18) / 20),
        rate=rng.uniform(0.85, 1.2),
        bandwidth_scale=rng.uniform(0.8, 1.3),
    )


def draw_tracks(speaker: Speaker, seconds: float, rng: np.random.Generator) -> Tracks:
    """Targets of an utterance of about `seconds`: syllables in phrases, with pauses and breaths."""
    pieces: list[Piece] = []
    semitones: list[np.ndarray] = []

    def pause(shortest: float, longest: float) -> None:
        breath = rng.uniform(0.01, 0.04) if rng.random() < 0.5 else 0.0
        pieces.append(Piece(_NEUTRAL, 0, breath, 0, 4000, rng.uniform(shortest, longest)))
        semitones.append(np.zeros(_frames(pieces[-1])))

    pause(80, 200)
    while sum(map(len, semitones)) * FRAME_SECONDS < seconds:
        phrase = _draw_phrase(speaker, rng)
        frames = sum(_frames(piece) for piece in phrase)
        pieces += phrase
        semitones.append(_draw_melody(frames, speaker, rng))
        pause(120, 350)

    counts = [_frames(piece) for piece in pieces]
    f0_hz = speaker.f0_hz * 2 ** (np.concatenate(semitones) / 12)

    def track(values: list, smoothing: int) -> np.ndarray:
        return _smooth(np.repeat(np.array(values, dtype=float), counts, axis=0), smoothing)

    return Tracks(
        f0_hz=_smooth(f0_hz, 9),
        formants_hz=track([piece.formants_hz for piece in pieces], 13) * speaker.tract_scale,
        voicing=track([piece.voicing for piece in pieces], 7),
        aspiration=track([piece.aspiration for piece in pieces], 5),
        frication=track([piece.frication for piece in pieces], 5),
        frication_hz=track([piece.frication_hz for piece in pieces], 5),
    )


def _draw_phrase(speaker: Speaker, rng: np.random.Generator) -> list[Piece]:
    """Three to seven syllables, consonant and vowel, sometimes closed; the last one lengthened."""
    pieces: list[Piece] = []
    syllables = int(rng.integers(3, 8))
    for syllable in range(syllables):
        last = syllable == syllables - 1
        onset = CONSONANTS[rng.integers(len(CONSONANTS))]
        coda = CONSONANTS[rng.integers(10)] if rng.random() < 0.25 else ()
        stretch = np.exp(rng.normal(0, 0.15)) / speaker.rate
        vowel_ms = rng.uniform(70, 150) * (1.5 if last else 1.0)
        formants = VOWELS[rng.integers(len(VOWELS))] * np.exp(rng.normal(0, 0.03, 3))
        vowel = Piece(tuple(formants), rng.uniform(0.75, 1.0), 0, 0, 4000, vowel_ms * stretch)
        pieces += [*onset, vowel, *coda]
    return pieces


def _draw_melody(frames: int, speaker: Speaker, rng: np.random.Generator) -> np.ndarray:
    """Semitones about the speaker's pitch, (frames,): declination, accents, and a slow drift."""
    position = np.linspace(0, 1, frames)
    melody = rng.uniform(0, 2) - rng.uniform(2, 4) * position
    for _ in range(int(rng.integers(1, 4))):
        centre, width = rng.uniform(0, 0.9), rng.uniform(0.06, 0.15)
        accent = rng.uniform(0.3, 1) * speaker.melody_semitones
        melody = melody + accent * np.exp(-0.5 * ((position - centre) / width) ** 2)
    return melody + _smooth(rng.normal(0, 1.0, frames), 25)


def synthesise(speaker: Speaker, tracks: Tracks, rng: np.random.Generator) -> np.ndarray:
    """The waveform (F * 80,) float64 at 16 kHz; `rng` draws its noise, jitter and shimmer."""
    length = len(tracks.f0_hz) * FRAME
    pulses, opening = glottal_pulses(tracks.f0_hz, speaker, rng)
    voicing = _to_samples(tracks.voicing, length)
    aspiration = _to_samples(tracks.aspiration, length) + speaker.breath * voicing * opening
    source = pulses * voicing + 0.3 * aspiration * rng.standard_normal(length)

    upper = np.broadcast_to(
        UPPER_FORMANTS * speaker.tract_scale, (len(tracks.formants_hz), len(UPPER_FORMANTS))
    )
    formants = np.minimum(np.hstack([tracks.formants_hz, upper]), 7600.0)
    bandwidths = np.broadcast_to(BANDWIDTHS * speaker.bandwidth_scale, formants.shape)
    voice = _unit_rms(resonate(source, formants, bandwidths), voicing > 0.5)

    centres = tracks.frication_hz[:, None]
    hiss = resonate(rng.standard_normal(length), centres, 0.35 * centres)
    hiss = _unit_rms(np.diff(hiss, prepend=0.0), slice(None))  # the difference takes the lows away
    return voice + _to_samples(tracks.frication, length) * hiss


def glottal_pulses(
    f0_hz: np.ndarray, speaker: Speaker, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Flow derivative and glottal opening (0 to 1), both (F * 80,) at 16 kHz.

    In the open phase, x from 0 to 1, the flow is x^2 - x^3 and its derivative 2x - 3x^2 ends in
    the jump from -1 to 0 that excites the tract.
    """
    seconds = len(f0_hz) * FRAME_SECONDS
    starts = [0.0]
    while starts[-1] < seconds:
        frame = min(int(starts[-1] / FRAME_SECONDS), len(f0_hz) - 1)
        wobble = 1 + speaker.jitter * np.clip(rng.standard_normal(), -3, 3)
        starts.append(starts[-1] + wobble / f0_hz[frame])
    amplitudes = 1 + speaker.shimmer * rng.standard_normal(len(starts))

    time = np.arange(len(f0_hz) * FRAME * OVERSAMPLING) / (SAMPLE_RATE * OVERSAMPLING)
    phase = np.interp(time, starts, np.arange(len(starts)))
    x = np.minimum((phase % 1.0) / speaker.open_quotient, 1.0)
    flow = np.where(x < 1, x**2 * (1 - x), 0.0) * 6.75  # 6.75 brings its peak to 1
    pulses = np.where(x < 1, 2 * x - 3 * x**2, 0.0) * amplitudes[phase.astype(int)]
    pole = np.exp(-2 * np.pi * speaker.tilt_hz / (SAMPLE_RATE * OVERSAMPLING))
    pulses = lfilter([1 - pole], [1, -pole], pulses)
    return resample_poly(pulses, 1, OVERSAMPLING), flow[::OVERSAMPLING]


def resonate(signal: np.ndarray, centres: np.ndarray, bandwidths: np.ndarray) -> np.ndarray:
    """`signal` (F * 80,) through resonators in cascade whose (F, K) targets, in Hz, move each 5 ms.

    Each is Klatt's two-pole resonator with unit gain at 0 Hz; the state is carried from one frame
    to the next.
    """
    c = -np.exp(-2 * np.pi * bandwidths / SAMPLE_RATE)
    b = 2 * np.exp(-np.pi * bandwidths / SAMPLE_RATE) * np.cos(2 * np.pi * centres / SAMPLE_RATE)
    zero, one = np.zeros_like(b), np.ones_like(b)
    sections = np.stack([1 - b - c, zero, zero, one, -b, -c], axis=-1)  # (F, K, 6)
    state = np.zeros((centres.shape[1], 2))
    output = np.empty_like(signal)
    for frame, section in enumerate(sections):
        piece = slice(frame * FRAME, (frame + 1) * FRAME)
        output[piece], state = sosfilt(section, signal[piece], zi=state)
    return output


def _frames(piece: Piece) -> int:
    return max(1, round(piece.milliseconds / 1000 / FRAME_SECONDS))


def _smooth(track: np.ndarray, width: int) -> np.ndarray:
    """A running Hann average over time (axis 0), the ends held."""
    window = np.hanning(width + 2)[1:-1]
    padded = np.pad(track, [(width // 2, width // 2)] + [(0, 0)] * (track.ndim - 1), mode="edge")
    view = np.lib.stride_tricks.sliding_window_view(padded, width, axis=0)
    return view @ (window / window.sum())


def _to_samples(track: np.ndarray, length: int) -> np.ndarray:
    return np.interp(np.arange(length), (np.arange(len(track)) + 0.5) * FRAME, track)


def _unit_rms(signal: np.ndarray, where: np.ndarray | slice) -> np.ndarray:
    """`signal` scaled to a root mean square of 1 over `where`; as it is if nothing is there."""
    power = float(np.sum(signal[where] ** 2)) / max(signal[where].size, 1)
    return signal / np.sqrt(power) if power > 0 else signal

"""Lossy codec round trips: encode and decode in memory, length kept and codec delay removed.

FFmpeg's encoders and decoders are reached through PyAV. GSM 06.10 goes through libsndfile, which
carries an encoder where FFmpeg builds mostly do not.
"""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from augment.settings import choice
from dataio.schema import UserError

FULL_SCALE = 32_767  # 16-bit encoders; what lies beyond +-1 is clipped, as in a 16-bit file


@dataclass(frozen=True, slots=True)
class CodecFacts:
    """What a round trip needs to know of a codec.

    `sample_rate` in Hz at which it runs; `delay` in samples at that rate, what the decoder's output
    still lags once it has dropped what the stream tells it to; `bit_rates` in bit/s: the default,
    the accepted values (a tuple) or the accepted range (a range); empty where there is no choice.
    """

    encoder: str
    decoder: str
    sample_rate: int
    delay: int
    default: int | None = None
    bit_rates: tuple[int, ...] | range = ()


MPEG2_BIT_RATES = tuple(
    1000 * kilobits for kilobits in (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
)  # layer III at 16 kHz
AMR_MODES = (4750, 5150, 5900, 6700, 7400, 7950, 10200, 12200)
SNDFILE = "libsndfile"

CODECS = {
    # the first packets of these two say how many samples to skip, and the decoder does
    "mp3": CodecFacts("libmp3lame", "mp3float", 16_000, 0, 32_000, MPEG2_BIT_RATES),
    "opus": CodecFacts("libopus", "opus", 16_000, 0, 16_000, range(6_000, 256_001)),
    "aac": CodecFacts("aac", "aac", 16_000, 1024, 24_000, range(8_000, 192_001)),  # one MDCT frame
    # 5 ms look-ahead
    "amr_nb": CodecFacts("libopencore_amrnb", "amrnb", 8_000, 40, 12_200, AMR_MODES),
    "g711_alaw": CodecFacts("pcm_alaw", "pcm_alaw", 8_000, 0),
    "g711_mulaw": CodecFacts("pcm_mulaw", "pcm_mulaw", 8_000, 0),
    "g722": CodecFacts("g722", "g722", 16_000, 22),  # two 24-tap quadrature mirror filters
    "gsm": CodecFacts(SNDFILE, SNDFILE, 8_000, 0),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Codec:
    """Encode and decode with one of `codec` at one of `bit_rate` (bit/s; default: the codec's)."""

    codec: tuple[str, ...] = choice(known=tuple(CODECS))
    bit_rate: tuple[int, ...] = choice(None)
    sample_rate: int

    def __post_init__(self) -> None:
        for name in self.codec:
            require(name)
            for bit_rate in self.bit_rate:
                check_bit_rate(name, bit_rate)

    def draw(self, _length: int, rng: np.random.Generator) -> tuple[str, int | None]:
        name = self.codec[rng.integers(len(self.codec))]
        bit_rate = self.bit_rate[rng.integers(len(self.bit_rate))]
        return name, bit_rate or CODECS[name].default

    def apply(self, waveform: np.ndarray, drawn: tuple[str, int | None]) -> np.ndarray:
        return round_trip(waveform, *drawn, sample_rate=self.sample_rate)


def require(name: str) -> None:
    """Raise UserError unless this machine can encode and decode `name`."""
    facts = CODECS[name]
    if facts.encoder == SNDFILE:
        import soundfile

        if "GSM610" not in soundfile.available_subtypes("WAV"):
            raise UserError(f"codec {name!r}: this libsndfile has no GSM 06.10; leave it out")
        return
    import av

    for part, mode in ((facts.encoder, "w"), (facts.decoder, "r")):
        try:
            av.codec.Codec(part, mode)
        except av.codec.codec.UnknownCodecError:
            raise UserError(
                f"codec {name!r}: the FFmpeg inside PyAV {av.__version__} has no {part!r}; leave "
                "it out, or install a PyAV built with it"
            ) from None


def check_bit_rate(name: str, bit_rate: int | None) -> None:
    """Raise UserError for a bit rate that codec `name` does not have."""
    allowed = CODECS[name].bit_rates
    if bit_rate is None or bit_rate in allowed:
        return
    if not allowed:
        raise UserError(f"codec {name!r} has one bit rate; leave bit_rate {bit_rate!r} out")
    if isinstance(allowed, range):
        remedy = f"from {allowed.start} to {allowed.stop - 1}"
    else:
        remedy = "of " + ", ".join(map(str, allowed))
    raise UserError(f"codec {name!r}: bit_rate {bit_rate!r}; give a number {remedy} bit/s")


def round_trip(
    waveform: np.ndarray, name: str, bit_rate: int | None = None, *, sample_rate: int
) -> np.ndarray:
    """(T,) at `sample_rate` Hz through codec `name` and back; same length, dtype and alignment."""
    facts = CODECS[name]
    coded_rate = resample(waveform.clip(-1, 1), sample_rate, facts.sample_rate)
    code = _through_sndfile if facts.encoder == SNDFILE else _through_ffmpeg
    decoded, decoded_rate = code(coded_rate, facts, bit_rate or facts.default)
    lag = facts.delay * decoded_rate // facts.sample_rate
    restored = resample(decoded[lag:], decoded_rate, sample_rate)[: waveform.size]
    restored = np.pad(restored, (0, waveform.size - restored.size))
    return restored.astype(waveform.dtype)


def resample(waveform: np.ndarray, source: int, target: int) -> np.ndarray:
    """Polyphase, without delay; (T,) -> (ceil(T target / source),)."""
    if source == target or not waveform.size:
        return waveform
    from scipy.signal import resample_poly

    common = math.gcd(source, target)
    return resample_poly(waveform, target // common, source // common)


def _through_sndfile(waveform: np.ndarray, facts: CodecFacts, _bit_rate) -> tuple[np.ndarray, int]:
    import soundfile

    stream = io.BytesIO()
    soundfile.write(stream, waveform, facts.sample_rate, format="WAV", subtype="GSM610")
    stream.seek(0)
    return soundfile.read(stream, dtype="float32")


def _through_ffmpeg(
    waveform: np.ndarray, facts: CodecFacts, bit_rate: int | None
) -> tuple[np.ndarray, int]:
    """Encode to packets and decode them, no container between; samples and their rate."""
    import av

    encoder = av.CodecContext.create(facts.encoder, "w")
    encoder.sample_rate, encoder.layout = facts.sample_rate, "mono"
    encoder.time_base = Fraction(1, facts.sample_rate)
    formats = [format.name for format in encoder.codec.audio_formats]
    encoder.format = "fltp" if "fltp" in formats else "s16"
    encoder.thread_count = 1  # a loader worker has one core
    if bit_rate is not None:
        encoder.bit_rate = bit_rate
    encoder.open()
    packets = [
        packet
        for frame in _frames(waveform, encoder, facts.delay)
        for packet in encoder.encode(frame)
    ]
    packets += encoder.encode(None)
    decoder = av.CodecContext.create(facts.decoder, "r")
    decoder.sample_rate, decoder.layout = facts.sample_rate, "mono"
    decoder.thread_count = 1
    if encoder.extradata:
        decoder.extradata = encoder.extradata
    decoded = [frame for packet in packets for frame in decoder.decode(packet)]
    decoded += decoder.decode(None)
    samples = np.concatenate([frame.to_ndarray()[0] for frame in decoded])
    if samples.dtype == np.int16:
        samples = samples.astype(np.float32) / (FULL_SCALE + 1)
    return samples, decoded[0].sample_rate


def _frames(waveform: np.ndarray, encoder, delay: int):
    """Whole encoder frames of the waveform, zeros appended for the delay and one frame more."""
    import av

    size = encoder.frame_size or waveform.size
    count = -(-(waveform.size + delay) // size) + 1
    padded = np.pad(waveform, (0, count * size - waveform.size))
    if encoder.format.name == "s16":
        padded = np.rint(padded * FULL_SCALE).astype(np.int16)
    else:
        padded = padded.astype(np.float32)
    for index, samples in enumerate(padded.reshape(count, 1, size)):
        frame = av.AudioFrame.from_ndarray(samples, format=encoder.format.name, layout="mono")
        frame.sample_rate, frame.time_base = encoder.sample_rate, encoder.time_base
        frame.pts = index * size
        yield frame

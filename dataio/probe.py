"""What an audio file is, from its header: length, rate, channels, coding. No torch.

libsndfile is asked first (fast, exact for wav, flac, ogg); FFmpeg, through PyAV, takes what it
lacks: m4a, aac, opus in webm, the sound of mp4, raw G.722. Where a header does not know the
length (mp3 without a Xing header, a flac written to a pipe), the audio is counted instead.
"""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass

import soundfile

from dataio.mpeg_audio import Mp3Layout, looks_like_mp3, mp3_layout
from dataio.schema import SAMPLE_RATE

# AudioHeader.reader: what reads the file exactly
SOUNDFILE = "soundfile"
MP3, MP3_FROM_START = "mp3", "mp3_from_start"
FFMPEG_SEEK, FFMPEG = "ffmpeg_seek", "ffmpeg"  # the latter from the start, too
G722_SUFFIX = ".g722"

# libsndfile subtype -> (AudioEncoding, AudioBitSample), torchaudio's words; see also _sound_words
_SUBTYPES = {
    "PCM_S8": ("PCM_S", 8), "PCM_16": ("PCM_S", 16), "PCM_24": ("PCM_S", 24),
    "PCM_32": ("PCM_S", 32), "PCM_U8": ("PCM_U", 8), "FLOAT": ("PCM_F", 32),
    "DOUBLE": ("PCM_F", 64), "ULAW": ("ULAW", 8), "ALAW": ("ALAW", 8), "VORBIS": ("VORBIS", 0),
    "OPUS": ("OPUS", 0), "MPEG_LAYER_I": ("MP1", 0), "MPEG_LAYER_II": ("MP2", 0),
    "MPEG_LAYER_III": ("MP3", 0), "GSM610": ("GSM", 0), "ALAC_16": ("ALAC", 16),
    "ALAC_20": ("ALAC", 20), "ALAC_24": ("ALAC", 24), "ALAC_32": ("ALAC", 32),
}  # fmt: skip
_CODECS = {"mp3float": ("MP3", 0), "pcm_mulaw": ("ULAW", 8), "pcm_alaw": ("ALAW", 8)}
_ALAC_DEPTH_AT = 17  # byte of its "magic cookie": the samples' own depth
_LOSSLESS_CODECS = {"flac", "wavpack", "ape", "tta"}  # FFmpeg names with a bit depth
_LOWEST_RATE = 1000  # Hz; at a damaged header's few Hz a short file would be hours to resample
_UNKNOWN_FRAMES = 1 << 62  # libsndfile says SF_COUNT_MAX for a flac whose header has no length


class UnreadableAudio(Exception):
    """A file that gives no usable audio; `.path` and `.reason` (half a sentence) say which, why."""

    def __init__(self, path: str | os.PathLike, reason: str):
        super().__init__(f"{os.fspath(path)}: {reason}")
        self.path = os.fspath(path)
        self.reason = reason

    def __reduce__(self):  # crosses from a worker process
        return type(self), (self.path, self.reason)


@dataclass(frozen=True, slots=True)
class AudioHeader:
    """Length in samples a channel, rate in Hz, and the words of the protocol's audio columns.

    `reader` is the way in which `dataio.audio` reads it exactly.
    """

    frames: int
    sample_rate: int
    channels: int
    encoding: str
    bits: int
    reader: str = SOUNDFILE

    @property
    def seconds(self) -> float:
        return self.frames / self.sample_rate


def probe(path: str | os.PathLike) -> AudioHeader:
    """The header of an audio file.

    Raises `UnreadableAudio` for a file that is missing, empty, damaged or of no known format, and
    for what is no file: a pipe would be waited for.
    """
    path = os.fspath(path)
    try:
        _refuse_absent(path)
        header = _probe_by_kind(path)
    except OSError as error:
        raise UnreadableAudio(path, f"it cannot be opened ({error.strerror})") from error
    if header.frames <= 0:
        raise UnreadableAudio(path, "it holds no audio")
    if header.sample_rate < _LOWEST_RATE:
        reason = f"its header is damaged, it states {header.sample_rate} samples a second"
        raise UnreadableAudio(path, reason)
    return header


def _probe_by_kind(path: str) -> AudioHeader:
    if path.lower().endswith(G722_SUFFIX):
        return _probe_g722(path)
    if looks_like_mp3(path) and (layout := mp3_layout(path)):
        return _mp3_header(layout)
    try:
        with open_soundfile(path) as sound:
            return _sound_header(path, sound)
    except (soundfile.LibsndfileError, TypeError):  # TypeError: a .raw name
        return _probe_ffmpeg(path)


def open_soundfile(path: str) -> soundfile.SoundFile:
    """The file open in libsndfile, under a name of any bytes, UTF-8 or not."""
    return soundfile.SoundFile(os.fsencode(path))


def _mp3_header(layout: Mp3Layout) -> AudioHeader:
    reader = MP3 if layout.is_unbroken else MP3_FROM_START
    return AudioHeader(layout.length, layout.sample_rate, layout.channels, "MP3", 0, reader)


def _refuse_absent(path: str) -> None:
    try:
        status = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        raise UnreadableAudio(path, "there is no such file") from None
    if stat.S_ISDIR(status.st_mode):
        raise UnreadableAudio(path, "it is a folder")
    if not stat.S_ISREG(status.st_mode):
        raise UnreadableAudio(path, "it is no regular file")
    if status.st_size == 0:
        raise UnreadableAudio(path, "the file is empty")


def _sound_header(path: str, sound: soundfile.SoundFile) -> AudioHeader:
    frames, reader = sound.frames, SOUNDFILE
    if sound.format == "MP3" and (layout := mp3_layout(path)):
        return _mp3_header(layout)
    if sound.subtype == "MPEG_LAYER_III" or frames >= _UNKNOWN_FRAMES:
        frames, reader = _probe_ffmpeg(path, count=True).frames, FFMPEG
    encoding, bits = _sound_words(sound.format, sound.subtype)
    return AudioHeader(frames, sound.samplerate, sound.channels, encoding, bits, reader)


def _sound_words(container: str, subtype: str) -> tuple[str, int]:
    encoding, bits = _SUBTYPES.get(subtype, (subtype, 0))
    return ("FLAC", bits) if container == "FLAC" else (encoding, bits)


def _probe_g722(path: str) -> AudioHeader:
    """Raw G.722 has no header: 16 kHz, one channel, two samples a byte."""
    return AudioHeader(2 * os.path.getsize(path), SAMPLE_RATE, 1, "G722", 4, FFMPEG)


def open_ffmpeg(path: str, first_byte: int = 0):
    """`(container, audio stream)` of PyAV; the caller closes the container.

    With `first_byte` the file is taken for a bare mp3 stream that begins there.
    Raises `UnreadableAudio` where FFmpeg finds no audio, or none that it can decode.
    """
    import av

    # Absolute, as FFmpeg takes what stands before a colon (12:30.m4a) for a protocol.
    source, container_format = os.path.abspath(path), None
    if first_byte:
        source, container_format = f"subfile,,start,{first_byte},end,0,,:{source}", "mp3"
    elif path.lower().endswith(G722_SUFFIX):
        container_format = "g722"
    try:
        container = av.open(source, format=container_format)
    except (av.error.FFmpegError, ValueError) as error:
        words = getattr(error, "strerror", None) or error
        reason = f"neither libsndfile nor FFmpeg reads it ({words})"
        raise UnreadableAudio(path, reason) from error
    if not container.streams.audio:
        container.close()
        raise UnreadableAudio(path, "it has no sound track")
    stream = container.streams.audio[0]
    if stream.codec_context is None:
        container.close()
        raise UnreadableAudio(path, "neither libsndfile nor FFmpeg knows its codec")
    return container, stream


def _probe_ffmpeg(path: str, *, count: bool = False) -> AudioHeader:
    """FFmpeg's view of a file; with `count` its length is counted whatever the container says."""
    container, stream = open_ffmpeg(path)
    with container:
        codec = stream.codec_context
        is_indexed = "mp4" in container.format.name.split(",")
        # What the container presents: its edit list takes the encoder's delay off, the sample
        # table the padding. Decoders leave the padding on, up to 0.13 s of AAC at 8 kHz.
        if is_indexed and stream.duration and not count:
            frames = round(stream.duration * stream.time_base * codec.sample_rate)
        else:
            frames = _count_decoded(path, container, stream)
        encoding, bits = _codec_words(codec)
        reader = FFMPEG_SEEK if is_indexed else FFMPEG
        return AudioHeader(frames, codec.sample_rate, codec.channels, encoding, bits, reader)


def _codec_words(codec) -> tuple[str, int]:
    """AudioEncoding and AudioBitSample of an FFmpeg codec context."""
    if codec.name in _CODECS:
        return _CODECS[codec.name]
    if linear := re.match(r"pcm_([suf])(\d+)", codec.name):
        return f"PCM_{linear[1].upper()}", int(linear[2])
    if codec.name == "alac" and codec.extradata:
        return "ALAC", codec.extradata[_ALAC_DEPTH_AT]
    bits = codec.format.bytes * 8 if codec.format and codec.name in _LOSSLESS_CODECS else 0
    return codec.name.upper(), bits


def _count_decoded(path: str, container, stream) -> int:
    import av

    try:
        return sum(frame.samples for frame in decoded_frames(container, stream))
    except av.error.FFmpegError as error:
        raise UnreadableAudio(path, f"it does not decode ({error.strerror})") from error


def decoded_frames(container, stream):
    """Yields the PyAV frames of a stream from where its container stands.

    In mp3 what is no frame is passed over, as decoders do: joined files have tags in their middle.
    """
    import av

    passes_over = stream.codec_context.name.startswith("mp3")
    for packet in container.demux(stream):
        try:
            yield from packet.decode()
        except av.error.InvalidDataError:
            if not passes_over:
                raise

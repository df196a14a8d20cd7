"""What an audio file is, from its header: length, rate, channels, coding. No torch.

libsndfile is asked first (fast, exact for wav, flac, ogg); FFmpeg, through PyAV, takes what it
lacks: m4a, aac, opus in webm, the sound of mp4, raw G.722. Where a header does not know the
length (mp3 without a Xing header, a flac written to a pipe), the audio is counted instead.
What a header promises and is not there, and files joined to one, are seen here as far as that
needs no decoding; `dataio.reading` sees the rest.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from dataclasses import replace
from mmap import ACCESS_READ, mmap

import soundfile

from dataio import ogg
from dataio.audio_file import (
    AudioHeader,
    Faults,
    Part,
    PartOfFile,
    UnreadableAudio,
    cut_off,
    joined_words,
    rate_change,
    refuse_dense,
    truncated,
    unfinished,
)  # fmt: skip
from dataio.chunks import Layout, chunk_layout, mp4_fault
from dataio.ffmpeg import (
    G722_SUFFIX,
    decoded,
    open_ffmpeg,
    refuse_playlist,
    refuse_second,
    stated_seconds,
)  # fmt: skip
from dataio.mpeg_audio import Mp3Layout, looks_like_mp3, mp3_layout
from dataio.schema import SAMPLE_RATE

# AudioHeader.reader: what reads the file exactly
SOUNDFILE, OGG = "soundfile", "ogg"
MP3, MP3_FROM_START = "mp3", "mp3_from_start"
FFMPEG_SEEK, FFMPEG = "ffmpeg_seek", "ffmpeg"  # the latter from the start, too

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
_HEAD_BYTES = 256  # that most headers end within
_NO_WAIT = getattr(os, "O_NONBLOCK", 0)  # for the writer of a pipe
_FARTHEST = 1 << 62  # bytes: a place that the system would not take for a number
_LOWEST_RATE = 1000  # Hz; at a damaged header's few Hz a short file would be hours to resample
_UNKNOWN_FRAMES = 1 << 62  # libsndfile says SF_COUNT_MAX for a flac whose header has no length
SLACK_SECONDS = 0.05  # a decoded length may differ from the stated one by this much


def probe(path: str | os.PathLike) -> AudioHeader:
    """The header of an audio file.

    Raises `UnreadableAudio` for a file that is missing, empty, damaged or of no known format, for
    files joined to one that are not read as one, for more audio than so many bytes may hold, and
    for what is no file: a pipe would be waited for.
    """
    path = os.fspath(path)
    file = _open(path)
    try:
        size = _size_of(path, file)
        header = _probe_by_kind(path, file, size)
    except OSError as error:
        raise UnreadableAudio(path, f"it cannot be opened ({error.strerror})") from error
    finally:
        os.close(file)
    if header.frames <= 0:
        raise UnreadableAudio(path, "it holds no audio")
    if header.sample_rate < _LOWEST_RATE:
        reason = f"its header is damaged, it states {header.sample_rate} samples a second"
        raise UnreadableAudio(path, reason)
    refuse_dense(path, header.seconds, size)
    return header


def _open(path: str) -> int:
    try:
        return os.open(path, os.O_RDONLY | _NO_WAIT)
    except (FileNotFoundError, NotADirectoryError):
        raise UnreadableAudio(path, "there is no such file") from None
    except OSError as error:
        if error.errno == errno.ENXIO:  # a socket
            raise UnreadableAudio(path, "it is no regular file") from error
        raise UnreadableAudio(path, f"it cannot be opened ({error.strerror})") from error


def _size_of(path: str, file: int) -> int:
    status = os.fstat(file)
    if stat.S_ISDIR(status.st_mode):
        raise UnreadableAudio(path, "it is a folder")
    if not stat.S_ISREG(status.st_mode):
        raise UnreadableAudio(path, "it is no regular file")
    if status.st_size == 0:
        raise UnreadableAudio(path, "the file is empty")
    return status.st_size


def _probe_by_kind(path: str, file: int, size: int) -> AudioHeader:
    head = os.pread(file, _HEAD_BYTES, 0)
    if path.lower().endswith(G722_SUFFIX):
        return _probe_g722(size)
    if looks_like_mp3(path, head) and (layout := mp3_layout(path)):
        return _mp3_header(path, layout)
    if head[:4] == b"OggS":
        return _probe_ogg(path)

    def read(place: int, count: int) -> bytes:
        if place + count <= len(head):
            return head[place : place + count]
        return os.pread(file, count, place) if place < _FARTHEST else b""

    if head[4:8] == b"ftyp":
        if fault := mp4_fault(read, size):
            raise UnreadableAudio(path, fault)
        return _probe_ffmpeg(path)
    layout = chunk_layout(read, size)
    if layout is not None:
        return _probe_chunks(path, layout, size, file)
    header = _probe_any(path, open_as=file if head[:4] == b"fLaC" else None)
    if head[:4] == b"RIFF" and int.from_bytes(head[4:8], "little") > size:  # an avi
        return replace(header, faults=(*header.faults, cut_off(header.seconds)))
    return header


def open_soundfile(
    path: str, part: Part | None = None, *, by_number: bool = False
) -> soundfile.SoundFile:
    """The file, or a part of it, open in libsndfile, under a name of any bytes, UTF-8 or not.

    by_number: through a descriptor, the object's `name`, that is closed with it.
    """
    if by_number:
        return soundfile.SoundFile(os.open(path, os.O_RDONLY), closefd=True)
    return soundfile.SoundFile(os.fsencode(path) if part is None else PartOfFile(path, part))


def _probe_any(path: str, part: Part | None = None, open_as: int | None = None) -> AudioHeader:
    """libsndfile's view of a file or a part of it, else FFmpeg's; `open_as`: the file's
    descriptor, where its content tells its kind and not its name.
    """
    try:
        if open_as is not None:
            with soundfile.SoundFile(open_as, closefd=False) as sound:
                return _sound_header(path, sound)
        with open_soundfile(path, part) as sound:
            return _sound_header(path, sound)
    except (soundfile.LibsndfileError, TypeError):  # TypeError: a .raw name
        return _probe_ffmpeg(path)


def _sound_header(path: str, sound: soundfile.SoundFile) -> AudioHeader:
    frames, reader = sound.frames, SOUNDFILE
    if sound.format == "MP3":
        if layout := mp3_layout(path):
            return _mp3_header(path, layout)
        open_ffmpeg(path)[0].close()  # libsndfile finds frames of layer I in any bytes
    if sound.format == "RAW":  # taken by its name alone; .vox and .gsm have no header
        refuse_playlist(path)
        if sound.subtype == "ULAW":
            raise UnreadableAudio(path, "it has no header, and would be noise")
    encoding, bits = _sound_words(sound.format, sound.subtype)
    if sound.subtype == "MPEG_LAYER_III" or frames >= _UNKNOWN_FRAMES:
        counted = _probe_ffmpeg(path, count=True)
        return replace(counted, encoding=encoding, bits=bits, reader=FFMPEG)
    return AudioHeader(frames, sound.samplerate, sound.channels, encoding, bits, reader)


def _sound_words(container: str, subtype: str) -> tuple[str, int]:
    encoding, bits = _SUBTYPES.get(subtype, (subtype, 0))
    return ("FLAC", bits) if container == "FLAC" else (encoding, bits)


def _probe_chunks(path: str, layout: Layout, size: int, file: int) -> AudioHeader:
    """wav and its like: what the header states of its bytes against what is there."""
    if layout.joined_at is not None:
        raise UnreadableAudio(path, joined_words(layout.joined_at))
    is_whole = layout.stated is not None and layout.stated <= layout.there
    if is_whole or layout.there <= 0:
        return _probe_any(path, open_as=file)
    part = Part(0, size, patches=layout.patches)
    header = _probe_any(path, part)
    if header.reader == SOUNDFILE and layout.patches:
        header = replace(header, parts=(part._replace(frames=header.frames),))
    if layout.stated is None:
        fault = unfinished(header.seconds, "its header states no length")
    else:
        stated = header.seconds * layout.stated / layout.there
        if stated - header.seconds < SLACK_SECONDS:
            return header
        fault = truncated(header.seconds, stated)
    return replace(header, faults=(fault,))


def _probe_ogg(path: str) -> AudioHeader:
    """Streams that follow one another are read as one if they are of one rate."""
    with open(path, "rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as data:
        links = ogg.links(data)
    header = _probe_any(path) if len(links) < 2 else _chained(path, links)
    if header.reader == SOUNDFILE:
        header = replace(header, reader=OGG)
    if links and links[-1].is_torn:
        return replace(header, faults=(*header.faults, cut_off(header.seconds)))
    if links and not links[-1].is_ended:
        fault = unfinished(header.seconds, "its last page is not marked as the last")
        return replace(header, faults=(*header.faults, fault))
    return header


def _chained(path: str, links: list[ogg.Link]) -> AudioHeader:
    parts, first, frames = [], None, 0
    for link in links:
        part = Part(link.start, link.stop)
        try:
            with open_soundfile(path, part) as sound:
                header = _sound_header(path, sound)
        except soundfile.LibsndfileError as error:
            reason = f"of the streams joined in it the one at byte {link.start} does not open"
            raise UnreadableAudio(path, reason) from error
        first = first or header
        if header.sample_rate != first.sample_rate:
            raise UnreadableAudio(path, rate_change(first.sample_rate, header.sample_rate, frames))
        frames += header.frames
        parts.append(part._replace(frames=header.frames))
    return replace(first, frames=frames, parts=tuple(parts))


def _mp3_header(path: str, layout: Mp3Layout) -> AudioHeader:
    reader = MP3 if layout.is_unbroken else MP3_FROM_START
    audio = layout.length, layout.sample_rate, layout.channels
    header = AudioHeader(*audio, "MP3", 0, reader)
    if layout.new_rate is not None:
        raise UnreadableAudio(path, rate_change(layout.sample_rate, layout.new_rate, layout.length))
    if layout.length == layout.stated:
        return header
    faults = Faults()
    for sample in layout.damaged_at:
        faults.damage(sample / header.sample_rate, sample / header.sample_rate)
    if layout.stated - layout.length > SLACK_SECONDS * header.sample_rate:
        faults.add(truncated(header.seconds, layout.stated / header.sample_rate))
    elif layout.is_torn:
        faults.add(cut_off(header.seconds))
    return replace(header, faults=faults.all())


def _probe_g722(size: int) -> AudioHeader:
    """Raw G.722 has no header: 16 kHz, one channel, two samples a byte."""
    return AudioHeader(2 * size, SAMPLE_RATE, 1, "G722", 4, FFMPEG)


def _probe_ffmpeg(path: str, *, count: bool = False) -> AudioHeader:
    """FFmpeg's view of a file; with `count` its length is counted whatever the container says."""
    container, stream = open_ffmpeg(path)
    with container:
        codec, faults = stream.codec_context, Faults()
        is_indexed = "mp4" in container.format.name.split(",")
        # What the container presents: its edit list takes the encoder's delay off, the sample
        # table the padding. Decoders leave the padding on, up to 0.13 s of AAC at 8 kHz.
        if is_indexed and stream.duration and not count:
            frames = round(stream.duration * stream.time_base * codec.sample_rate)
        else:
            refuse_second(path, container)
            frames = sum(s.shape[1] for _, s in decoded(path, (container, stream), None, faults))
            stated = stated_seconds(container)
            seconds = frames / (codec.sample_rate or 1)  # 0: nothing was decoded
            if stated and stated - seconds > 2 * SLACK_SECONDS:
                faults.add(truncated(seconds, stated))
        encoding, bits = _codec_words(codec)
        reader = FFMPEG_SEEK if is_indexed else FFMPEG
        audio = frames, codec.sample_rate, codec.channels
        return AudioHeader(*audio, encoding, bits, reader, faults=faults.all())


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

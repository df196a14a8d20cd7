"""Sound by FFmpeg, through PyAV: what libsndfile lacks, and what it cannot read past.

A stranger's file decides neither which of FFmpeg's readers takes it (a playlist would name other
files) nor how much comes out of it. What does not decode is left silent, so that what is behind it
keeps its place, and is named with its second.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from mmap import ACCESS_READ, mmap

import numpy as np

from dataio.audio_file import (
    Faults,
    UnreadableAudio,
    cut_off,
    joined_words,
    rate_change,
    refuse_dense,
)

G722_SUFFIX = ".g722"
# Containers that hold sound, by FFmpeg's names; none of them opens another file or an address.
_FORMATS = (
    "aac,ac3,aiff,amr,amrnb,amrwb,ape,asf,au,avi,caf,dsf,dts,dtshd,eac3,flac,flv,g722,iff,ircam,"
    "loas,matroska,mov,mp3,mpc,mpc8,mpeg,mpegts,nistsphere,ogg,oma,qcp,rm,shn,sox,tak,truehd,tta,"
    "voc,w64,wav,wv,xwma"
)
_OPEN_OPTIONS = {"format_whitelist": _FORMATS, "protocol_whitelist": "file,subfile"}
_PLAYLISTS = {
    b"ffconcat": "an FFmpeg list of files", b"#EXTM3U": "an M3U playlist",
    b"[playlist]": "a PLS playlist", b"v=0": "a session description (SDP)", b"<MPD": "a DASH list",
    b"<?xml": "an XML text", b"<ASX": "an ASX playlist",
}  # fmt: skip
# Containers whose header states the length of the sound; elsewhere FFmpeg makes a guess at it.
_STATES_LENGTH = {"matroska", "asf", "flv", "tta", "wv", "ape", "tak", "mpc", "mpc8"}
# Containers of which FFmpeg reads the first of several joined: so many bytes tell a beginning.
_BEGINNINGS = {"flv": 9, "tta": 6, "asf": 16, "ape": 6, "tak": 4}
# Codecs whose packets carry a check sum that FFmpeg looks at only when asked to.
_CHECKED = {"flac", "wavpack", "tta", "ape", "tak", "alac", "ac3", "eac3", "truehd"}
# Streams of bare frames: a packet that does not decode holds all bytes up to the next that does.
_BARE = {"mp3", "aac", "ac3", "eac3"}
_TAGS = (b"TAG", b"ID3", b"APETAGEX")  # behind the sound of many a file
_MOST_PLANES = 8  # PyAV takes those of a frame beyond from memory that is none of it, and dies
_CHECK_EVERY = 1 << 20  # samples: whether there are too many of them
_SLACK_SECONDS, _ROUNDING = 0.1, 0.002  # by which time stamps may jump, and lengths be rounded


def open_ffmpeg(path: str, first_byte: int = 0, *, source=None):
    """`(container, audio stream)` of PyAV; the caller closes the container.

    With `first_byte` the file is taken for a bare mp3 stream that begins there; `source`: a file
    object that is read in the path's place. Raises `UnreadableAudio` for a playlist, and where
    FFmpeg finds no audio, or none that it can decode.
    """
    import av

    refuse_playlist(path)
    # Absolute, as FFmpeg takes what stands before a colon (12:30.m4a) for a protocol.
    container_format = None
    if source is None:
        source = os.path.abspath(path)
        if first_byte:
            source, container_format = f"subfile,,start,{first_byte},end,0,,:{source}", "mp3"
    if path.lower().endswith(G722_SUFFIX):
        container_format = "g722"
    try:
        container = av.open(
            source,
            format=container_format,
            container_options=_OPEN_OPTIONS,
            metadata_errors="replace",
        )
    except (av.error.FFmpegError, ValueError) as error:
        reason = f"neither libsndfile nor FFmpeg reads it ({_words(error)})"
        raise UnreadableAudio(path, reason) from error
    if not container.streams.audio:
        container.close()
        raise UnreadableAudio(path, "it has no sound track")
    stream = container.streams.audio[0]
    if stream.codec_context is None:
        container.close()
        raise UnreadableAudio(path, "neither libsndfile nor FFmpeg knows its codec")
    if stream.codec_context.name in _CHECKED:
        stream.codec_context.options = {"err_detect": "crccheck+explode"}
    return container, stream


def refuse_playlist(path: str) -> None:
    """Raises `UnreadableAudio` for a text that names other files, whatever it is called."""
    with open(path, "rb") as file:
        start = file.read(64).lstrip(b"\xef\xbb\xbf \r\n\t")
    for words, kind in _PLAYLISTS.items():
        if start.lower().startswith(words.lower()):
            raise UnreadableAudio(path, f"it is {kind}, no sound: name the files themselves")


def decoded(
    path: str,
    opened: tuple,
    rate: int | None,
    faults: Faults,
    *,
    position: int | None = 0,
    since: int = 0,
    fills: bool = True,
    by_time: bool = False,
) -> Iterator[tuple[int, np.ndarray]]:
    """Yields (position in samples, samples (C, T) float32) from where an open container stands.

    Positions are counted on from `position` (None: the first frame's time stamp tells), as
    containers may round time stamps; `by_time`: a gap between time stamps is a gap in the sound.
    What does not decode is silence, as long as its packet says, and noted from sample `since` on;
    without `fills` it is passed over, as decoders do with the tags inside joined mp3 files.
    Raises `UnreadableAudio` where the rate is, or becomes, another than `rate` Hz (None: the first
    frame's; `by_time`: it is converted), and for more audio than so many bytes may hold.
    """
    container, stream = opened
    by_time = by_time or container.format.name == "flac"  # whose damaged frames just are not there
    first, size = position or 0, container.size
    lost, usual, channels, total, most = 0, 0, 1, 0, _CHECK_EVERY
    for frame in _frames(path, container, stream, convert_to=rate if by_time else None):
        if isinstance(frame, float):  # seconds of a packet that does not decode
            if fills and position is not None:
                stated = frame * (rate or stream.codec_context.sample_rate)
                # A container may round it to milliseconds; packets are of one length, as a rule.
                whole = round(stated / usual) * usual if usual else 0
                lost += whole if abs(whole - stated) < _ROUNDING * (rate or 0) else round(stated)
            continue
        samples = samples_of(path, frame)
        rate = rate or frame.sample_rate
        if frame.sample_rate != rate:
            raise UnreadableAudio(path, rate_change(rate, frame.sample_rate, position or 0))
        if (position is None or by_time) and frame.pts is not None:
            since_start = frame.pts * frame.time_base - (stream.start_time or 0) * stream.time_base
            here = first + round(since_start * rate)
            position = here if position is None else position
            lost = here - position if here - position > _SLACK_SECONDS * rate else lost
        position = position or 0
        if lost:
            if position + lost > since:
                faults.damage(position / rate, (position + lost) / rate)
            yield position, np.zeros((channels, lost), np.float32)
            position += lost
        lost, usual, channels = 0, samples.shape[1], len(samples)
        yield position, samples
        position += samples.shape[1]
        total += samples.shape[1]
        if total > most:
            refuse_dense(path, total / rate, size)
            most += _CHECK_EVERY
    if lost and position:
        faults.add(cut_off(position / rate))


def _frames(path: str, container, stream, *, convert_to: int | None = None) -> Iterator:
    """The decoded frames; for a packet that does not decode its length in seconds."""
    import av

    packets, last_error, count, size = container.demux(stream), None, 0, 0
    is_bare = container.format.name in _BARE
    resampler = av.AudioResampler(format="fltp", rate=convert_to) if convert_to else None
    while True:
        try:
            packet = next(packets)
        except StopIteration:
            break
        except av.error.FFmpegError as error:  # the file ends, or is broken, below the packets
            last_error = error
            break
        try:
            for frame in packet.decode():
                if resampler and frame.sample_rate != convert_to:
                    yield from resampler.resample(frame)
                else:
                    yield frame
            count, size = count + 1, size + packet.size
        except av.error.FFmpegError as error:
            last_error = error
            if packet.duration and not bytes(packet)[:8].startswith(_TAGS):
                several = round(packet.size * count / size) if is_bare and size else 1
                yield float(packet.duration * packet.time_base * max(1, several))
    if not count and last_error is not None:
        reason = f"it does not decode ({_words(last_error)})"
        raise UnreadableAudio(path, reason) from last_error


def _words(error) -> str:
    """FFmpeg's words for an error; it has none for some, and gives their number."""
    words = getattr(error, "strerror", None) or str(error)
    return "damaged data" if words.startswith("Error number") else words


def samples_of(path: str, frame) -> np.ndarray:
    """A decoded PyAV frame as (C, T) float32, integers scaled to [-1, 1)."""
    if frame.format.is_planar and frame.layout.nb_channels > _MOST_PLANES:
        reason = f"it has {frame.layout.nb_channels} channels, of its format 8 at most are read"
        raise UnreadableAudio(path, reason)
    try:
        samples = frame.to_ndarray()  # (C, T) planar, (1, T * C) packed
    except ValueError as error:  # 64-bit integers
        raise UnreadableAudio(path, f"it does not decode ({error})") from error
    if not frame.format.is_planar:
        samples = samples.reshape(-1, frame.layout.nb_channels).T
    if samples.dtype == np.uint8:
        samples = (samples.astype(np.float32) - 128) / 128
    elif samples.dtype.kind == "i":
        samples = samples.astype(np.float32) / -float(np.iinfo(samples.dtype).min)
    return samples.astype(np.float32, copy=False)


def stated_seconds(container) -> float | None:
    """The length that the container's header states; None where it states none."""
    names = set(container.format.name.split(","))
    if names & _STATES_LENGTH and len(container.streams) == 1 and container.duration:
        return container.duration / 1e6
    return None


def refuse_second(path: str, container) -> None:
    """Raises `UnreadableAudio` for joined files of which FFmpeg would read the first alone."""
    names = container.format.name.split(",")
    counts = [_BEGINNINGS[name] for name in names if name in _BEGINNINGS]
    if not counts and "wv" not in names:
        return
    with open(path, "rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as data:
        at = data.find(data[: counts[0]], 1) if counts else _second_wavpack(data)
    if at > 0:
        raise UnreadableAudio(path, joined_words(at))


def _second_wavpack(data: mmap) -> int:
    """The byte of the second block that begins at sample 0 and at the first channel; else 0."""
    firsts = (
        m.start() for m in re.finditer(rb"wvpk.{12}\0{4}.{5}[\x08-\x0f\x18-\x1f]", data, re.S)
    )
    return next((at for at in firsts if at), 0)

"""What the rooms that read audio share: a header, faults, the refusal, a file seen in part."""

from __future__ import annotations

import io
import os
from dataclasses import dataclass
from typing import NamedTuple

# What a file may hold: so many seconds, and one more for so many bytes. Speech in the thriftiest
# codecs takes 90 bytes a second; digital silence takes next to none: 10 hours are 1.9 MB of FLAC.
MOST_SECONDS, BYTES_A_SECOND = 600, 100

# Fault.kind
TRUNCATED = "truncated"  # it breaks off
UNFINISHED = (
    "unfinished"  # its header or its last page was never written; all that is there is read
)
DAMAGED = "damaged"  # a stretch does not decode; silence stands in its place


class UnreadableAudio(Exception):
    """A file that gives no usable audio; `.path` and `.reason` (half a sentence) say which, why."""

    def __init__(self, path: str | os.PathLike, reason: str):
        super().__init__(f"{os.fspath(path)}: {reason}")
        self.path = os.fspath(path)
        self.reason = reason

    def __reduce__(self):  # crosses from a worker process
        return type(self), (self.path, self.reason)


class Fault(NamedTuple):
    """What is wrong with a file that gives audio all the same: from which second on, in words."""

    kind: str
    seconds: float
    words: str

    def __str__(self) -> str:
        return self.words


def truncated(seconds: float, stated: float) -> Fault:
    """Of a file that ends before the length in its header."""
    words = f"it breaks off at {seconds:.2f} s, its header states {stated:.2f} s"
    return Fault(TRUNCATED, seconds, words)


def cut_off(seconds: float) -> Fault:
    """Of a file without a stated length whose last packet or page is not all there."""
    return Fault(TRUNCATED, seconds, f"it breaks off at {seconds:.2f} s, within a packet")


def unfinished(seconds: float, what: str) -> Fault:
    """Of a file of which all is read though `what` was never written."""
    return Fault(UNFINISHED, seconds, f"{what}: it is read to its end at {seconds:.2f} s")


def damaged(start: float, stop: float) -> Fault:
    """Of a stretch between two seconds that does not decode, or of none: foreign bytes."""
    if stop == start:
        return Fault(DAMAGED, start, f"it holds bytes that are no sound at {start:.2f} s")
    words = f"it does not decode from {start:.2f} to {stop:.2f} s, which is left silent"
    return Fault(DAMAGED, start, words)


class Faults:
    """What is found to be wrong while a file is read; stretches that nearly touch are one."""

    _TOUCHING_SECONDS, _MOST = 0.25, 20

    def __init__(self):
        self._found: list[Fault] = []
        self._stretches: list[list[float]] = []

    def add(self, fault: Fault) -> None:
        """Notes a fault; a file breaks off once, and the last to say so knows most."""
        if fault.kind == TRUNCATED:
            self._found = [former for former in self._found if former.kind != TRUNCATED]
        self._found.append(fault)

    def damage(self, start: float, stop: float) -> None:
        """Notes a stretch between two seconds that does not decode."""
        last = self._stretches[-1] if self._stretches else None
        if last and (start - last[1] < self._TOUCHING_SECONDS or len(self._stretches) > self._MOST):
            last[1] = max(last[1], stop)
        else:
            self._stretches.append([start, stop])

    @property
    def damaged_seconds(self) -> float:
        return sum(stop - start for start, stop in self._stretches)

    def all(self) -> tuple[Fault, ...]:
        """In the order of their seconds."""
        found = self._found + [damaged(*stretch) for stretch in self._stretches]
        return tuple(sorted(dict.fromkeys(found), key=lambda fault: fault.seconds))


class Part(NamedTuple):
    """Bytes [start, stop) of a file that hold `frames` samples; `patches` (place, bytes) mend its
    header. What libsndfile is shown of a file that it does not understand as it is.
    """

    start: int
    stop: int
    frames: int = 0
    patches: tuple[tuple[int, bytes], ...] = ()


@dataclass(frozen=True, slots=True)
class AudioHeader:
    """Length in samples a channel, rate in Hz, and the words of the protocol's audio columns.

    `reader` is the way in which `dataio.reading` reads it exactly, `parts` what of it is read one
    after another (none: the file as it is), `faults` what the header alone tells to be wrong.
    """

    frames: int
    sample_rate: int
    channels: int
    encoding: str
    bits: int
    reader: str = "soundfile"
    parts: tuple[Part, ...] = ()
    faults: tuple[Fault, ...] = ()

    @property
    def seconds(self) -> float:
        return self.frames / self.sample_rate if self.sample_rate else 0.0


class PartOfFile(io.RawIOBase):
    """A `Part` as a file of its own, for libraries that take one."""

    def __init__(self, path: str, part: Part):
        super().__init__()
        self._file = open(path, "rb", buffering=0)  # noqa: SIM115
        self._part, self._size, self._at = part, part.stop - part.start, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def readinto(self, buffer) -> int:
        view = memoryview(buffer).cast("B")[: max(0, self._size - self._at)]
        self._file.seek(self._part.start + self._at)
        count = self._file.readinto(view) if len(view) else 0
        for place, data in self._part.patches:  # places are counted from the part's start
            low, high = max(place, self._at), min(place + len(data), self._at + count)
            if low < high:
                view[low - self._at : high - self._at] = data[low - place : high - place]
        self._at += count
        return count

    def close(self) -> None:
        self._file.close()
        super().close()


def refuse_dense(path: str, seconds: float, size: int) -> None:
    """Raises `UnreadableAudio` for more seconds than `size` bytes of speech can be."""
    most = MOST_SECONDS + size / BYTES_A_SECOND
    if seconds > most:
        reason = f"{size} bytes may hold {most:.0f} s of audio, and it unpacks to more: cut it"
        raise UnreadableAudio(path, reason)


def joined_words(at: int) -> str:
    """Why a file is refused behind whose end, at byte `at`, another begins."""
    return f"another file is joined to it at byte {at}, which would not be read: part them"


def rate_change(rate: int, new_rate: int, sample: int) -> str:
    """Why a file is refused whose sample rate is another from a sample on."""
    where = sample / rate
    return f"its sample rate changes from {rate} to {new_rate} Hz at {where:.2f} s: cut it there"

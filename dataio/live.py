"""Sound as it comes: PCM from a pipe, a microphone, or a file at its own pace.

Blocks are mono float32 at 16 kHz, of at most 0.1 s where the source allows.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np

from dataio.audio import stream_audio
from dataio.audio_file import Faults
from dataio.probe import probe
from dataio.resampling import resample_blocks
from dataio.schema import SAMPLE_RATE, UserError

BLOCKS_A_SECOND = 10


def pcm(stream: BinaryIO, rate: int) -> Iterator[np.ndarray]:
    """16-bit little-endian mono PCM at `rate` Hz, as soon as it is there; half a sample is cut."""
    read = getattr(stream, "read1", stream.read)  # what has come, not as much as was asked for

    def native() -> Iterator[np.ndarray]:
        held = b""
        while came := read(2 * max(1, rate // BLOCKS_A_SECOND)):
            held += came
            whole = len(held) // 2 * 2
            yield np.frombuffer(held[:whole], "<i2").astype(np.float32) / 32768
            held = held[whole:]

    return _at_16_khz(native(), rate)


def microphone(rate: int) -> Iterator[np.ndarray]:
    """The system's microphone until the reader stops; UserError where there is none."""
    try:
        import sounddevice
    except (ImportError, OSError) as error:
        raise UserError(
            f"no microphone can be read ({error}): bash install.sh --with microphone, or name a"
            " file, or - for 16-bit mono PCM on standard input"
        ) from None

    def native() -> Iterator[np.ndarray]:
        try:
            with sounddevice.RawInputStream(samplerate=rate, channels=1, dtype="int16") as device:
                while True:
                    came, _ = device.read(rate // BLOCKS_A_SECOND)
                    yield np.frombuffer(bytes(came), "<i2").astype(np.float32) / 32768
        except sounddevice.PortAudioError as error:
            raise UserError(
                f"the microphone cannot be read: {error}; name a file, or - for 16-bit mono PCM on"
                " standard input"
            ) from None

    return _at_16_khz(native(), rate)


def file(path: str, faults: Faults) -> Iterator[np.ndarray]:
    """A file as it is decoded; `UnreadableAudio` where it cannot be read."""
    step = SAMPLE_RATE // BLOCKS_A_SECOND
    for piece in stream_audio(path, probe(path), faults=faults):
        for start in range(0, len(piece), step):
            yield piece[start : start + step]


def _at_16_khz(blocks: Iterator[np.ndarray], rate: int) -> Iterator[np.ndarray]:
    if rate == SAMPLE_RATE:
        return blocks
    return resample_blocks(blocks, rate, at_once=max(1, rate // BLOCKS_A_SECOND))


class Paced:
    """Reads blocks in a thread, at most `pace` times as fast as they are spoken (None: as fast as
    they are taken).

    So a source that could run ahead, a file or a pipe from one, is held back, and what has gathered
    when `take` is called is what came in the meantime.
    """

    def __init__(self, blocks: Iterator[np.ndarray], pace: float | None):
        self._blocks, self._pace = blocks, pace
        self._came: queue.Queue = queue.Queue(maxsize=4 if pace is None else 0)
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        begun, heard = time.monotonic(), 0
        try:
            for block in self._blocks:
                heard += len(block)
                if self._pace is not None:
                    spoken = begun + heard / SAMPLE_RATE / self._pace
                    time.sleep(max(0.0, spoken - time.monotonic()))
                self._came.put((time.monotonic(), block))
            self._came.put(None)
        except BaseException as error:  # raised where the blocks are taken
            self._came.put(error)

    def take(self, patience: float) -> list[tuple[float, np.ndarray]] | None:
        """(`time.monotonic()` of its coming, block) of what has come since, after at most so many
        seconds; None at the end of the source.
        """
        taken = []
        try:
            taken.append(self._came.get(timeout=patience))
            while self._pace is not None and taken[-1] is not None:
                taken.append(self._came.get_nowait())
        except queue.Empty:
            pass
        if taken and isinstance(taken[-1], BaseException):
            if len(taken) == 1:
                raise taken[0]
            self._came.put(taken.pop())
        if taken and taken[-1] is None:
            if len(taken) == 1:
                return None
            self._came.put(taken.pop())
        return taken

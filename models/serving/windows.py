"""Sound that is still coming: a verdict on the last seconds at every step, and their mean."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from dataio.dataset import RECEPTIVE_FIELD, Item, collate, is_silent, pad_to
from dataio.resampling import resample
from dataio.schema import FAKE, REAL, UNKNOWN
from models.scoring.audio import NO_SPEECH_VERDICT, Memory
from models.scoring.run import Scorer, begin_batch
from models.scoring.speech import can_find_speech, has_speech

SAMPLE_BYTES = 2  # signed, 16 bits, little end first


class PcmWindows:
    """One channel of 16 bit samples at `rate` Hz, cut into the last `window` seconds every `hop`.

    A window is shorter only at the start. Holds no more than a window and a hop.
    """

    def __init__(self, rate: int, window: float, hop: float):
        self.rate, self.window, self.hop = rate, round(window * rate), max(1, round(hop * rate))
        self._held, self._rest = np.zeros(0, np.float32), b""
        self._samples = 0  # that have come
        self._next = self.hop

    def feed(self, data: bytes) -> Iterator[tuple[float, float, np.ndarray]]:
        """(start, stop) in seconds and samples (T,) in [-1, 1] of the windows that `data` ends."""
        data = self._rest + data
        whole = len(data) // SAMPLE_BYTES * SAMPLE_BYTES
        self._rest = data[whole:]
        samples = np.frombuffer(data[:whole], "<i2").astype(np.float32) / 32768
        while self._samples + len(samples) >= self._next:
            count = self._next - self._samples
            self._take(samples[:count])
            samples = samples[count:]
            self._next += self.hop
            stop = self._samples / self.rate
            yield stop - len(self._held) / self.rate, stop, self._held
        self._take(samples)

    def _take(self, samples: np.ndarray) -> None:
        self._held = np.concatenate([self._held, samples])[-self.window :]
        self._samples += len(samples)


def difference_of(scorer: Scorer, samples: np.ndarray, rate: int) -> tuple[float | None, str]:
    """Real minus fake logit of samples (T,), or None and the word for why there is none."""
    waveform = resample(samples, rate)
    if is_silent(waveform) or (can_find_speech() and not has_speech(waveform)):
        return None, NO_SPEECH_VERDICT
    memory = Memory(1)
    item = Item(0, "", UNKNOWN, pad_to(waveform, RECEPTIVE_FIELD))
    begin_batch(scorer, collate([item]), memory)()
    if 0 in memory.notes:
        return None, memory.notes[0][1]
    return float(memory.logits[0, REAL]) - float(memory.logits[0, FAKE]), ""


class RunningMean:
    """What is said of a stream so far: `add` a window's difference, read the words.

    The place for a rule that stops when it knows enough: it takes the same differences.
    """

    def __init__(self, convert: Callable[[float], float], threshold: float):
        self._convert, self._threshold = convert, threshold
        self._sum, self._count = 0.0, 0

    def add(self, difference: float | None, reason: str) -> dict:
        """The window's own P(real) and verdict (None and the reason where it has none)."""
        if difference is None:
            return {"p_real": None, "verdict": reason}
        self._sum, self._count = self._sum + difference, self._count + 1
        return self._said(difference)

    def mean(self) -> dict:
        """P(real) and verdict of the mean difference of the windows with speech so far."""
        if not self._count:
            return {"p_real": None, "verdict": NO_SPEECH_VERDICT}
        return self._said(self._sum / self._count)

    def _said(self, difference: float) -> dict:
        p_real = float(self._convert(difference))
        return {"p_real": p_real, "verdict": "real" if p_real >= self._threshold else "fake"}

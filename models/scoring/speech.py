"""Where there is speech, by silero-vad (an optional package with its weights), sample by sample."""

from __future__ import annotations

import threading
from functools import lru_cache
from importlib.util import find_spec

import numpy as np

from dataio.schema import SAMPLE_RATE

_LOCK = threading.Lock()
CHUNK = 512  # samples the model takes at a time, 32 ms


def can_find_speech() -> bool:
    """Whether silero-vad is installed."""
    return find_spec("silero_vad") is not None


def has_speech(waveform: np.ndarray) -> bool:
    """Whether there is a quarter of a second of speech in (T,) at 16 kHz."""
    with _LOCK:  # the model has a state, and a service asks from many threads
        finder = SpeechFinder(_shared_vad())
        finder.feed(waveform)
        return bool(finder.spans())


class SpeechFinder:
    """`feed` samples at 16 kHz as they come; `spans` are then the package's own for all of them.

    It keeps a number for each 32 ms. Two that are fed by turns need a model each.
    """

    def __init__(self, model=None):
        self._model = load_vad() if model is None else model
        self._model.reset_states()
        self._chances: list[float] = []  # of speech, a number a chunk
        self._rest = np.zeros(0, np.float32)

    def feed(self, samples: np.ndarray) -> None:
        """(T,) more samples."""
        held = np.concatenate([self._rest, samples])
        whole = len(held) // CHUNK * CHUNK
        self._chances += self._of(held[:whole])
        self._rest = held[whole:].copy()

    def spans(self) -> list[tuple[float, float]]:
        """(start, stop) in seconds of the speech in all that was fed; nothing may follow."""
        from silero_vad.utils_vad import get_speech_timestamps_from_probs

        samples = len(self._chances) * CHUNK + len(self._rest)
        if len(self._rest):
            self._chances += self._of(np.pad(self._rest, (0, CHUNK - len(self._rest))))
        found = get_speech_timestamps_from_probs(
            self._chances, sampling_rate=SAMPLE_RATE, audio_length_samples=samples
        )
        return [(span["start"] / SAMPLE_RATE, span["end"] / SAMPLE_RATE) for span in found]

    def _of(self, samples: np.ndarray) -> list[float]:
        import torch

        with torch.inference_mode():
            chunks = torch.from_numpy(samples).split(CHUNK) if len(samples) else ()
            return [self._model(chunk, SAMPLE_RATE).item() for chunk in chunks]


def load_vad():
    """A model of its own, as it has a state."""
    import torch

    threads = torch.get_num_threads()
    from silero_vad import load_silero_vad

    torch.set_num_threads(threads)  # which the package sets to one for the whole process
    return load_silero_vad()


_shared_vad = lru_cache(maxsize=1)(load_vad)

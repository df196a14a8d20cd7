"""`python main.py stream`: scores while one listens, a line of JSON each hop.

A window is scored as soon as it is complete. Where computing falls behind the sound, all but the
newest complete window are dropped and counted, so that a line is never older than one computation.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch

from dataio.audio_file import Faults
from dataio.dataset import Item, collate
from dataio.live import Paced, file, microphone, pcm
from dataio.schema import FAKE, REAL, SAMPLE_RATE, UserError
from dataio.stopping import StopRequest
from dataio.windows import WindowCutter, Windowing, windowing_of
from dataio.words import tell
from metrics.sequential import SequentialTest
from models.scoring.audio import check_calibration, probability
from models.scoring.run import Scorer, forward, load_scorer
from models.scoring.speech import CHUNK, can_find_speech, load_vad

HOP_SECONDS = 1.0  # where the YAML says none: a verdict should not wait for a whole window
LEAST_SPEECH = 0.25  # s in a window that counts: silero-vad's least speech
PATIENCE = 0.2  # s until a signal is looked for where no sound comes


class Line(NamedTuple):
    """What is said each hop. Times in seconds of the sound heard so far.

    `start`, `stop`, `logits`, `p_real`: the window's (None of digital silence); `speech`: in it,
    None where nobody can tell; `running_p_real`: of the mean of the windows that count, each
    weighing its new seconds of speech; `evidence`: the sum of log likelihood ratios of the test,
    `verdict`: "real", "fake" or "not yet", both None without a calibration; `dropped`: windows not
    scored so far; `computed`, `behind`: seconds of computing, and from the window's end until this
    line.
    """

    heard: float
    heard_speech: float | None
    start: float
    stop: float
    speech: float | None
    logits: list[float] | None
    p_real: float | None
    running_p_real: float | None
    evidence: float | None
    verdict: str | None
    dropped: int
    computed: float
    behind: float


def stream_audio(hparams: dict, run_options: dict, names: list[str]) -> int:
    """Listen to a file, standard input (`-`) or the microphone, and print a `Line` each hop."""
    if len(names) > 1:
        raise UserError(f"{len(names)} sources are named: stream listens to one")
    if int(os.environ.get("WORLD_SIZE", 1)) > 1:
        raise UserError("stream runs in one process: start it without torchrun")
    faults = Faults()
    windowing, source = live_windowing(hparams), source_of(names, hparams, faults)
    convert, basis = probability(hparams)
    scorer = load_scorer(hparams, run_options)
    check_calibration(hparams, scorer)
    if hparams["calibration"] is None:
        tell("no verdict is given without --calibration: its error rates would mean nothing")
    tell(f"P(real): {basis}")
    listener = Listener(scorer, windowing, convert, log_ratio_of(hparams))
    with StopRequest(hparams["time_limit"]) as stop:
        for line in listener.listen(Paced(source, hparams["pace"]), lambda: stop.reason):
            print(json.dumps(line._asdict()), flush=True)
        end = stop.reason or "end of input"
    for fault in faults.all():
        tell(f"warning: {fault}")
    print(json.dumps({"ended": end, **listener.summary()}), flush=True)
    return 0


def live_windowing(hparams: dict) -> Windowing:
    """The YAML's windows, with a hop of a second where it has none."""
    hop = hparams["hop_seconds"]
    window = hparams["window_seconds"]
    if window is None:
        raise UserError("window_seconds is null: a stream has no end to wait for, give seconds")
    hop = min(HOP_SECONDS, window) if hop is None else hop
    return windowing_of({"window_seconds": window, "hop_seconds": hop, "max_whole_seconds": 0.0})


def source_of(names: list[str], hparams: dict, faults: Faults) -> Iterator[np.ndarray]:
    """Blocks (T,) at 16 kHz of what is named: nothing (the microphone), `-`, or a file."""
    rate = hparams["rate"]
    if not names:
        return microphone(rate)
    if names[0] == "-":
        if sys.stdin.isatty():
            raise UserError("standard input is a terminal: pipe 16-bit mono PCM into it")
        return pcm(sys.stdin.buffer, rate)
    if not os.path.isfile(names[0]):
        raise UserError(f"there is no file {names[0]}: name one, or - for standard input")
    return file(names[0], faults)


def log_ratio_of(hparams: dict) -> Callable[[float], float] | None:
    """From s = real - fake logit to the calibrated log likelihood ratio; None without one."""
    if hparams["calibration"] is None:
        return None
    from metrics.calibration import load_calibration

    return load_calibration(hparams["calibration"]).log_likelihood_ratio


class Listener:
    """The state of one stream: windows, speech, the running mean and the sequential test."""

    def __init__(
        self,
        scorer: Scorer,
        windowing: Windowing,
        convert: Callable[[float], float],
        log_ratio: Callable[[float], float] | None,
    ):
        self.scorer, self.convert, self.log_ratio = scorer, convert, log_ratio
        self.cutter = WindowCutter(windowing.window, windowing.hop)
        self.speech = LiveSpeech(windowing.window) if can_find_speech() else None
        hparams = scorer.hparams
        self.test = SequentialTest(hparams["max_far"], hparams["max_frr"])
        self.lines = self.dropped = 0
        self._sum = self._weight = 0.0
        self._counted_until = 0.0

    def listen(self, source: Paced, stopped: Callable[[], str | None]) -> Iterator[Line]:
        """A line for each window scored, until the source ends or `stopped()` says why to."""
        live = self.scorer.hparams["pace"] is not None
        while not stopped():
            came = source.take(PATIENCE)
            if came is None:
                yield from self._finish()
                return
            complete = [(at, *window) for at, block in came for window in self.feed(block)]
            if live and len(complete) > 1:
                self.dropped += len(complete) - 1
                complete = complete[-1:]
            for at, first, window in complete:
                yield self._line(first, window, at)

    def _finish(self) -> Iterator[Line]:
        """The last window, if it is no shorter than what is scored at all."""
        least = self.scorer.hparams["min_duration"] or 0.0
        for first, window in self.cutter.finish():
            if len(window) >= least * SAMPLE_RATE:
                yield self._line(first, window, time.monotonic())

    def feed(self, samples: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
        """(first sample, window (T,)) of the windows that (T,) more samples complete."""
        if self.speech is not None:
            self.speech.feed(samples)
        return self.cutter.feed(samples)

    def _logits(self, window: np.ndarray) -> np.ndarray | None:
        if not window.any():
            return None  # digital silence: there is nothing to judge
        with torch.inference_mode():
            outputs = forward(self.scorer, collate([Item(0, "", FAKE, window)]))
        if outputs is None:
            raise UserError("no memory for a window: give a shorter --window_seconds")
        return outputs.read()[0][0].numpy().astype(np.float64)

    def _line(self, first: int, window: np.ndarray, at: float) -> Line:
        start, stop = first / SAMPLE_RATE, (first + len(window)) / SAMPLE_RATE
        begun = time.monotonic()
        logits = self._logits(window)
        computed = time.monotonic() - begun
        speech = None if self.speech is None else self.speech.within(start, stop)
        difference = None if logits is None else float(logits[REAL] - logits[FAKE])
        if difference is not None and (speech is None or speech >= LEAST_SPEECH):
            self._count(start, stop, difference)
        self.lines += 1
        return Line(
            heard=self.cutter.samples / SAMPLE_RATE,
            heard_speech=None if self.speech is None else self.speech.seconds,
            start=start,
            stop=stop,
            speech=speech,
            logits=None if logits is None else logits.tolist(),
            p_real=None if difference is None else float(self.convert(difference)),
            running_p_real=self.running(),
            evidence=None if self.log_ratio is None else self.test.evidence,
            verdict=None if self.log_ratio is None else self.test.verdict,
            dropped=self.dropped,
            computed=round(computed, 4),
            behind=round(time.monotonic() - at, 4),
        )

    def _count(self, start: float, stop: float, difference: float) -> None:
        new = (max(start, self._counted_until), stop)
        weight = stop - new[0] if self.speech is None else self.speech.within(*new)
        self._counted_until = stop
        self._sum += weight * difference
        self._weight += weight
        if self.log_ratio is not None:
            self.test.take(start, stop, float(self.log_ratio(difference)))

    def running(self) -> float | None:
        """P(real) of the mean so far; None before anything counted."""
        return float(self.convert(self._sum / self._weight)) if self._weight else None

    def summary(self) -> dict:
        """What is known at the end."""
        return {
            "heard": self.cutter.samples / SAMPLE_RATE,
            "heard_speech": None if self.speech is None else self.speech.seconds,
            "windows": self.lines,
            "dropped": self.dropped,
            "running_p_real": self.running(),
            "verdict": None if self.log_ratio is None else self.test.verdict,
            "decided_at": self.test.decided_at,
        }


class LiveSpeech:
    """Seconds of speech in what was fed, by silero-vad's iterator; of the last `window` samples
    (and a hop more) it also knows where.
    """

    def __init__(self, window: int):
        from silero_vad import VADIterator

        self._iterator = VADIterator(load_vad(), sampling_rate=SAMPLE_RATE)
        self._recent: deque[bool] = deque(maxlen=2 * window // CHUNK + 2)
        self._chunks = self._spoken = 0
        self._rest = np.zeros(0, np.float32)

    @property
    def seconds(self) -> float:
        return self._spoken * CHUNK / SAMPLE_RATE

    def feed(self, samples: np.ndarray) -> None:
        held = np.concatenate([self._rest, samples])
        whole = len(held) // CHUNK * CHUNK
        with torch.inference_mode():
            for chunk in torch.from_numpy(held[:whole]).split(CHUNK) if whole else ():
                self._iterator(chunk)
                self._recent.append(self._iterator.triggered)
                self._spoken += self._iterator.triggered
                self._chunks += 1
        self._rest = held[whole:].copy()

    def within(self, start: float, stop: float) -> float:
        """Seconds of speech in [start, stop), of the chunks that begin there."""
        first, last = (int(np.ceil(second * SAMPLE_RATE / CHUNK)) for second in (start, stop))
        oldest = self._chunks - len(self._recent)
        chosen = list(self._recent)[max(0, first - oldest) : max(0, last - oldest)]
        return sum(chosen) * CHUNK / SAMPLE_RATE

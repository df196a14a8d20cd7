"""One detector that many threads call, and whose calls share batches.

Each request runs the house's own scoring in a thread of its own, with a `SharedDetector` in the
detector's place. What it calls waits in one queue; the engine's thread takes calls of like length
together, pads them to one batch and gives each its own rows back. Padding is masked, so an answer
does not depend on its company.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from dataio.schema import SAMPLE_RATE
from models.precision import autocast
from models.scoring.run import CPU_BATCH_SECONDS, Scorer, is_out_of_memory


class Abandoned(Exception):
    """Nobody waits for the answer any more, or the engine has ended."""


class Ticket:
    """One request: `given_up` is set where its answer is no longer waited for."""

    def __init__(self):
        self.given_up = threading.Event()


@dataclass(eq=False)
class Call:
    """waveforms (B, T) on the device and lengths (B,) of one request, and where its rows go."""

    ticket: Ticket
    waveforms: Tensor
    lengths: Tensor
    options: dict
    answer: Future = field(default_factory=Future)

    @property
    def samples(self) -> int:
        return self.waveforms.shape[1]


class Engine:
    """The thread that computes; `close` lets it finish what is queued and ends it.

    `on_batch(files, seconds)` hears of every batch computed: its rows and its padded seconds.
    """

    def __init__(self, scorer: Scorer, on_batch: Callable[[int, float], None] = lambda *_: None):
        self._scorer, self._on_batch = scorer, on_batch
        limit = scorer.hparams["max_batch_length"]
        self._limit = min(limit, CPU_BATCH_SECONDS) if scorer.device == "cpu" else limit
        self._threads = torch.get_num_threads()
        self._waiting: list[Call] = []
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
        self._thread.start()

    def scorer(self, ticket: Ticket) -> Scorer:
        """The scorer of one request's thread; nothing but its detector is another."""
        hparams = {**self._scorer.hparams, "num_workers": 0, "time_limit": None}
        detector = SharedDetector(self, self._scorer.detector, ticket)
        return replace(self._scorer, detector=detector, hparams=hparams, show_bar=False)

    def submit(self, call: Call) -> None:
        with self._changed:
            if self._closed:
                raise Abandoned
            self._waiting.append(call)
            self._changed.notify()

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        with torch.inference_mode():
            while calls := self._next():
                torch.set_num_threads(self._threads)  # a resampler elsewhere has set it to one
                self._compute(calls)

    def _next(self) -> list[Call]:
        """The call that has waited longest, and those of like length that fit its batch."""
        with self._changed:
            while True:
                for call in [call for call in self._waiting if call.ticket.given_up.is_set()]:
                    self._waiting.remove(call)
                    call.answer.set_exception(Abandoned())
                if self._waiting:
                    break
                if self._closed:
                    return []
                self._changed.wait()
            chosen = together(self._waiting, round(self._limit * SAMPLE_RATE))
            self._waiting = [call for call in self._waiting if call not in chosen]
        return chosen

    def _compute(self, calls: list[Call]) -> None:
        """Answer some calls from one batch; where that lacks memory, one after the other."""
        try:
            parts = self._forward(calls)
        except Exception as error:  # whatever it is, those who wait have to hear of it
            if len(calls) > 1 and is_out_of_memory(error):
                for call in calls:
                    self._compute([call])
                return
            for call in calls:
                call.answer.set_exception(error)
            return
        for call, part in zip(calls, parts, strict=True):
            call.answer.set_result(part)

    def _forward(self, calls: list[Call]) -> list:
        longest = max(call.samples for call in calls)
        waveforms = [
            torch.nn.functional.pad(call.waveforms, (0, longest - call.samples)) for call in calls
        ]
        waveforms = torch.cat(waveforms) if len(calls) > 1 else waveforms[0]
        lengths = torch.cat([call.lengths for call in calls])
        kind, precision = self._scorer.device.partition(":")[0], "eval_precision"
        with autocast(kind, self._scorer.hparams[precision]):
            output = self._scorer.detector(waveforms, lengths, **calls[0].options)
        self._on_batch(len(lengths), len(lengths) * longest / SAMPLE_RATE)
        sizes = [len(call.lengths) for call in calls]
        absent = [None] * len(sizes)  # frame shares of a head without
        parts = [absent if tensor is None else tensor.split(sizes) for tensor in output]
        split = zip(*parts, strict=True)
        return [type(output)(*rows) if hasattr(output, "_fields") else rows for rows in split]


def together(waiting: list[Call], limit: int) -> list[Call]:
    """The first call and, nearest in length first, others that with it stay within `limit` padded
    samples.
    """
    first, *others = waiting
    chosen, rows, longest = [first], len(first.lengths), first.samples
    for call in sorted(others, key=lambda call: abs(call.samples - first.samples)):
        padded = (rows + len(call.lengths)) * max(longest, call.samples)
        if padded <= limit and call.options == first.options:
            chosen.append(call)
            rows, longest = rows + len(call.lengths), max(longest, call.samples)
    return chosen


class SharedDetector:
    """Called like the detector, whose attributes it has; waits until the engine has the answer."""

    def __init__(self, engine: Engine, detector, ticket: Ticket):
        self._engine, self._detector, self._ticket = engine, detector, ticket

    def __call__(self, waveforms: Tensor, lengths: Tensor, **options):
        """As `Detector.forward`; raises `Abandoned` where nobody waits any more."""
        if self._ticket.given_up.is_set():
            raise Abandoned
        call = Call(self._ticket, waveforms, lengths, options)
        self._engine.submit(call)
        return call.answer.result()

    def __getattr__(self, name: str):
        return getattr(self._detector, name)

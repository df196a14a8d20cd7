"""A run that is asked to end: by a signal (preemption, Ctrl-C), or by its own time limit.

The signal only leaves a note; the run reads it between two steps, keeps what it has, and raises
`Stopped`. A second signal ends the process where it stands.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time

STARTED = time.monotonic()  # about when the process did: what runs for long imports this first
# A launcher and a scheduler may both pass on the same request: signals so close are one (s).
ONE_REQUEST = 2.0
SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGTERM", "SIGINT", "SIGUSR1") if hasattr(signal, name)
)


class Stopped(Exception):
    """The run was asked to end; the sentence says by what, what is kept and how to go on."""


class StopRequest:
    """`with StopRequest(minutes) as stop:` takes the signals; `stop.reason` says whether to end."""

    def __init__(self, minutes: float | None = None):
        self.deadline = None if minutes is None else STARTED + 60 * minutes
        self._signal: str | None = None
        self._since = 0.0

    @property
    def reason(self) -> str | None:
        """What asks the run to end (`SIGTERM`, `its time limit`), or None."""
        if self._signal is None and self.deadline is not None and time.monotonic() > self.deadline:
            return "its time limit"
        return self._signal

    def __enter__(self) -> StopRequest:
        self._former = {}
        if threading.current_thread() is threading.main_thread():  # no other may take signals
            self._former = {number: signal.signal(number, self._note) for number in SIGNALS}
        return self

    def __exit__(self, *_) -> None:
        for number, handler in self._former.items():
            signal.signal(number, handler)

    def _note(self, number: int, _frame: object) -> None:
        name, now = signal.Signals(number).name, time.monotonic()
        if self._signal is None:
            self._signal, self._since = name, now
            _say(f"{name}: ending after this step (once more: at once)")
        elif now - self._since > ONE_REQUEST:
            _say(f"{name}: ended at once")
            os._exit(128 + number)


def _say(sentence: str) -> None:
    """Past Python's streams, which the signal may have interrupted in the middle of a line."""
    with contextlib.suppress(OSError):
        os.write(2, f"{sentence}\n".encode())

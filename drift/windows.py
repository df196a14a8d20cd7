"""Sliding windows over what arrives, and the k-of-n rule that turns them into one alarm.

A single window over its threshold is expected now and then. The rule asks for k of n consecutive
windows, and the threshold of each is chosen so that the whole run of windows raises a false alarm
with probability alpha, not each window.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone

import numpy as np

from drift.embeddings import EmbeddingSet
from drift.null import draws_for
from drift.reference import Reference
from drift.subsets import Part, Plan, equal_error_rate, run_plan, thin_reference
from protocols.schema import UserError

K_OF_N = (2, 3)
_SPAN = re.compile(r"(\d+)(d|h|m)?")
_DATE = re.compile(r"(\d{4})(-?)(\d{2})\2(\d{2})(?:[T ](\S+))?")
_YEARS = range(1900, 2201)  # outside, a number was taken for a date
_SECONDS = {"d": 86_400, "h": 3_600, "m": 60}


@dataclass(frozen=True)
class Windows:
    """The windows in order of time, the p each is held to, and where the rule raised the alarm.

    `raised[i]` says that k of the n windows up to and with i are at or below `level`.
    """

    parts: list[Part]
    level: float
    k: int
    n: int
    raised: list[bool]
    status: str


def parse_times(cells: np.ndarray, column: str, ids: np.ndarray) -> np.ndarray:
    """(N,) datetime64[s] in UTC of ISO dates or times; refused by ID.

    A time without an offset is taken as UTC, so that a file need not say which clock it uses.
    """
    times = np.empty(len(cells), dtype="datetime64[s]")
    for row, cell in enumerate(cells):
        text = str(cell).strip()
        if text in ("", "-"):
            raise UserError(f"{column} of ID {str(ids[row])!r} is empty: every row needs a date")
        try:
            times[row] = _parse_time(text)
        except ValueError as error:
            raise UserError(
                f"{column} {text!r} of ID {str(ids[row])!r} is not a date: "
                "write it as 2026-11-22 or 2026-11-22T09:30"
            ) from error
    return times


def _parse_time(text: str) -> datetime:
    matched = _DATE.fullmatch(text)
    if matched is None or int(matched[1]) not in _YEARS:
        raise ValueError(text)
    year, _, month, day, clock = matched.groups(default="00:00")
    # Python 3.10 knows neither Z nor fractions of any length; windows are counted in seconds.
    clock = re.sub(r"[.,]\d+", "", clock.removesuffix("Z"))
    time = datetime.fromisoformat(f"{year}-{month}-{day}T{clock}")
    return time.astimezone(timezone.utc).replace(tzinfo=None) if time.tzinfo else time


def window_rows(
    order: np.ndarray, times: np.ndarray | None, *, size: str, step: str | None
) -> list[np.ndarray]:
    """Rows of each window, oldest first.

    `size` and `step` are counts (`500`) or spans of time (`7d`, `12h`, `30m`). Windows are laid
    from the newest row backwards, so the newest is whole; what is left at the old end is a short
    window of its own. Empty spans of time give no window.
    """
    length, unit = _parse_span(size)
    stride, stride_unit = _parse_span(step or size)
    if (unit is None) != (stride_unit is None):
        raise UserError(f"--window {size} and --step {step} must both be counts or both be times")
    if stride > length:
        raise UserError(f"--step {step} is longer than --window {size}: rows would be skipped")
    if unit is None:
        ends = range(len(order), 0, -stride)
        spans = ((max(0, end - length), end) for end in ends)
    else:
        if times is None:
            raise UserError(f"--window {size} is a span of time: name its column with --time")
        spans = _spans_of_time(times[order].astype(np.int64), length, stride)
    kept = []
    for start, end in spans:
        kept.append(order[start:end])
        if start == 0:
            break  # an older window would only repeat a part of this one
    return kept[::-1]


def _spans_of_time(clock: np.ndarray, length: int, stride: int) -> Iterator[tuple[int, int]]:
    """(start, end) in `clock`, ascending seconds, of each window that holds rows, newest first."""
    back, end = 0, len(clock)
    while end:
        latest = clock[-1] - back
        start = int(np.searchsorted(clock, latest - length, side="right"))
        yield start, end
        # the next window that is not empty: one stride on, or where the next older row appears
        back += stride
        end = int(np.searchsorted(clock, clock[-1] - back, side="right"))
        if end and clock[end - 1] <= clock[-1] - back - length:
            age = int(clock[-1] - clock[end - 1])
            back = ((age - length) // stride + 1) * stride
            end = int(np.searchsorted(clock, clock[-1] - back, side="right"))


def _parse_span(text: str) -> tuple[int, str | None]:
    matched = _SPAN.fullmatch(str(text))
    if matched is None or int(matched[1]) == 0:
        raise UserError(f"{text!r} is no window: give a count (500) or a time (7d, 12h, 30m)")
    return int(matched[1]) * _SECONDS.get(matched[2], 1), matched[2]


def false_alarm_rate(level: float, count: int, k: int, n: int) -> float:
    """P(k of some n consecutive windows alarm) for `count` independent windows alarming at `level`.

    Exact: a chain over the alarms of the last n - 1 windows.
    """
    state = {(): 1.0}
    raised = 0.0
    for _ in range(count):
        following: dict[tuple[int, ...], float] = {}
        for (recent, mass), alarm in itertools.product(state.items(), (0, 1)):
            mass = mass * (level if alarm else 1 - level)
            if sum(recent) + alarm >= k:
                raised += mass
                continue
            kept = (*recent, alarm)[-(n - 1) :] if n > 1 else ()
            following[kept] = following.get(kept, 0.0) + mass
        state = following
    return raised


def window_level(alpha: float, count: int, k: int, n: int, *, overlapping: bool) -> float:
    """The p each window is held to, so that the rule raises a false alarm with probability alpha.

    Overlapping windows depend on each other; for them alpha / count holds however they do.
    """
    if overlapping:
        return alpha / max(count, 1)
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (
            (low, middle) if false_alarm_rate(middle, count, k, n) > alpha else (middle, high)
        )
    return low


def k_of_n(alarms: Sequence[bool], k: int, n: int) -> list[bool]:
    """For each window, whether k of the n up to and with it alarm."""
    return [sum(alarms[max(0, i - n + 1) : i + 1]) >= k for i in range(len(alarms))]


def compare_windows(
    plan: Plan,
    reference: Reference,
    incoming: EmbeddingSet,
    *,
    size: str,
    step: str | None = None,
    time: str | None = None,
    rule: tuple[int, int] = K_OF_N,
) -> Windows:
    """Compare each window and apply the rule; rows go by the time column, else as in the file."""
    k, n = rule
    if not 1 <= k <= n:
        raise UserError(f"--k_of_n {k} {n} is no rule: k is from 1 to n")
    times = None
    order = np.arange(len(incoming))
    if time is not None:
        times = parse_times(incoming.column(time), time, incoming.ids)
        order = np.argsort(times, kind="stable")
    found = window_rows(order, times, size=size, step=step)
    overlapping = step is not None and step != size
    level = window_level(plan.alpha, len(found), k, n, overlapping=overlapping)
    warn_level = window_level(2 * plan.alpha, len(found), k, n, overlapping=overlapping)
    plan = plan.for_parts(draws=draws_for(1, plan.draws, level))
    if plan.draws * level < 1:
        raise UserError(
            f"{len(found)} windows leave each a threshold of {level:.1g}, below what "
            f"{plan.draws} relabellings resolve: use fewer windows or less overlap (--step)"
        )
    parts = []
    for rows in found:
        mine = incoming.take(rows)
        results, p = run_plan(plan, thin_reference(reference, len(mine)), mine)
        name = _name(rows, times)
        parts.append(
            Part(
                name=name,
                rows=len(mine),
                against="all of the reference",
                results=results,
                p=p,
                status=_status(p, level, warn_level),
                eer=equal_error_rate(mine),
            )
        )
    raised = k_of_n([part.status == "alarm" for part in parts], k, n)
    warned = k_of_n([part.status in ("alarm", "warn") for part in parts], k, n)
    status = "alarm" if any(raised) else "warn" if any(warned) else "ok"
    if all(part.status == "insufficient" for part in parts):
        status = "insufficient"
    return Windows(parts, level, k, n, raised, status)


def _status(p: float, level: float, warn_level: float) -> str:
    """Of one window; the warning is the rule's alarm at twice alpha."""
    if np.isnan(p):
        return "insufficient"
    if p <= level:
        return "alarm"
    return "warn" if p <= warn_level else "ok"


def _name(rows: np.ndarray, times: np.ndarray | None) -> str:
    if times is None:
        return f"rows {rows[0] + 1} to {rows[-1] + 1}"
    first, last = (str(times[row]).removesuffix("T00:00:00") for row in rows[[0, -1]])
    return f"{first} to {last}"

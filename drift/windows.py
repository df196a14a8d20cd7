"""Sliding windows over what arrives, and the k-of-n rule that turns them into one alarm.

A single window over its threshold is expected now and then. The rule asks for k of n consecutive
windows. All windows are held against one reference, and may share rows, so they are not
independent: the rule is calibrated on relabellings of the reference and the whole run together
(`drift.joint`). Each window's p ranks its distances among its own joint draws; the run is judged by
its smallest p that k of some n windows reach, and where that stands among the same draws is the
p-value of the run. It keeps alpha exactly, whatever the reference's size and the windows' overlap.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone

import numpy as np

from dataio.schema import UserError
from drift.distances import DISTANCES, Measurement, Result, conclude, empty_result, missing_data
from drift.embeddings import EmbeddingSet
from drift.groups import groups_of, like_groups, thinning_note, too_few
from drift.joint import values_of_windows
from drift.null import DRAWS_MAX, MINIMUM_ROWS, combined_ranks, draws_for, status_of
from drift.reference import Reference
from drift.subsets import Part, Plan, equal_error_rate, thin_reference

K_OF_N = (2, 3)
_SPAN = re.compile(r"(\d{1,9})(d|h|m)?")
_DATE = re.compile(r"(\d{4})(-?)(\d{2})\2(\d{2})(?:[T ](\S+))?")
_YEARS = range(1900, 2201)  # outside, a number was taken for a date
_SECONDS = {"d": 86_400, "h": 3_600, "m": 60}


@dataclass(frozen=True)
class Layout:
    """The rows of each window, oldest first, with the times of all rows (None: by count)."""

    rows: list[np.ndarray]
    times: np.ndarray | None
    overlapping: bool

    @property
    def judged(self) -> list[int]:
        """The windows with enough rows for a statement; the rule runs over these alone."""
        return [i for i, rows in enumerate(self.rows) if len(rows) >= MINIMUM_ROWS]


@dataclass(frozen=True)
class Windows:
    """The windows in order of time, the p each is held to, and where the rule raised the alarm.

    `raised[i]` says that k of the n judged windows up to and with i are at or below `level`; `p`
    is that of the whole run. `note` says why it is `insufficient`.
    """

    parts: list[Part]
    level: float
    k: int
    n: int
    raised: list[bool]
    status: str
    p: float = float("nan")
    note: str = ""


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


def run_statistic(p: np.ndarray, k: int, n: int) -> np.ndarray:
    """(B + 1,): the smallest p that k of some n consecutive windows reach; `p` (windows, B + 1)."""
    spans = np.lib.stride_tricks.sliding_window_view(p, min(n, len(p)), axis=0)
    return np.sort(spans, axis=-1)[..., k - 1].min(axis=0)


def level_of(statistic: np.ndarray, alpha: float) -> float:
    """The largest p that at most a share alpha of the labellings reach; 0 where none is so rare."""
    reached, counts = np.unique(statistic, return_counts=True)
    rare = np.cumsum(counts) <= alpha * counts.sum() + 1e-9
    return float(reached[rare].max(initial=0.0))


def k_of_n(alarms: Sequence[bool], k: int, n: int) -> list[bool]:
    """For each window, whether k of the n up to and with it alarm."""
    return [sum(alarms[max(0, i - n + 1) : i + 1]) >= k for i in range(len(alarms))]


def lay_windows(
    incoming: EmbeddingSet,
    *,
    size: str,
    step: str | None = None,
    time: str | None = None,
    rule: tuple[int, int] = K_OF_N,
) -> Layout:
    """Where the windows lie; rows go by the time column, else as in the file."""
    k, n = rule
    if not 1 <= k <= n:
        raise UserError(f"--k_of_n {k} {n} is no rule: k is from 1 to n")
    times = None
    order = np.arange(len(incoming))
    if time is not None:
        times = parse_times(incoming.column(time), time, incoming.ids)
        order = np.argsort(times, kind="stable")
    found = window_rows(order, times, size=size, step=step)
    return Layout(found, times, step is not None and step != size)


def compare_windows(
    plan: Plan,
    reference: Reference,
    incoming: EmbeddingSet,
    layout: Layout,
    rule: tuple[int, int] = K_OF_N,
) -> Windows:
    """Compare all windows under joint relabellings and apply the rule to those with enough rows.

    Of the distances asked for, w1, mmd and score are taken, or all three where none of them was.
    """
    k, n = rule
    plan = plan.for_windows(draws=_draws(plan, layout, k))
    results, p, compared = _measure(plan, reference, incoming, layout)
    judged = sorted(p)
    level, warn_level, run_p, note = 0.0, 0.0, float("nan"), ""
    if len(judged) < k:
        note = f"{len(judged)} of {len(layout.rows)} windows have enough rows to be judged, {k} of "
        note += f"{n} must alarm: use smaller windows or gather more rows"
        statuses = {i: status_of(p[i][0], plan.alpha) for i in judged}
    else:
        statistic = run_statistic(np.stack([p[i] for i in judged]), k, n)
        run_p = float((statistic <= statistic[0]).mean())
        level, warn_level = (level_of(statistic, share * plan.alpha) for share in (1, 2))
        statuses = {i: _status(p[i][0], level, warn_level) for i in judged}
        if level == 0.0:
            note = f"{plan.draws} relabellings do not resolve alpha over {len(judged)} windows: "
            note += "use more --draws, fewer windows or less overlap (--step)"
    parts = [
        Part(
            name=_name(rows, layout.times),
            rows=len(rows),
            against=compared[i],
            results=results[i],
            p=float(p[i][0]) if i in p else float("nan"),
            status=statuses.get(i, "insufficient"),
            eer=equal_error_rate(incoming.take(rows)),
        )
        for i, rows in enumerate(layout.rows)
    ]
    raised = [False] * len(parts)
    if not note:
        alarms = k_of_n([statuses[i] == "alarm" for i in judged], k, n)
        for i, alarm in zip(judged, alarms, strict=True):
            raised[i] = alarm
    status = "insufficient" if note else status_of(run_p, plan.alpha)
    return Windows(parts, level, k, n, raised, status, run_p, note)


def _draws(plan: Plan, layout: Layout, k: int) -> int:
    """Enough relabellings that a rule over all windows can be resolved.

    Every window has one labelling that is its most extreme, so at most windows / k labellings are
    at the floor of the rule. Windows apart share it rarely: two of three need no more draws.
    """
    count = len(layout.judged)
    tests = -(-count // k) if layout.overlapping or k == 1 else 1
    if tests > DRAWS_MAX * plan.alpha:
        raise UserError(
            f"{count} windows share a false-alarm rate of {plan.alpha:.2g}, more than "
            f"{DRAWS_MAX} relabellings resolve: use fewer windows or less overlap (--step)"
        )
    return draws_for(tests, plan.draws, plan.alpha)


def _measure(
    plan: Plan, reference: Reference, incoming: EmbeddingSet, layout: Layout
) -> tuple[list[tuple[Result, ...]], dict[int, np.ndarray], list[str]]:
    """Results of every window; p under all labellings of those judged; what each is held against.

    Groups are thinned over the whole run: one that reaches over several windows moves whole.
    """
    longest = max(len(rows) for rows in layout.rows)
    given = thin_reference(reference, incoming, longest), incoming
    reference, incoming_kept = like_groups(*given, plan.seed)
    note = thinning_note(given, (reference, incoming_kept))
    place = np.full(len(incoming), -1)
    place[np.flatnonzero(np.isin(incoming.ids, incoming_kept.ids))] = np.arange(len(incoming_kept))
    windows = [place[rows][place[rows] >= 0] for rows in layout.rows]
    n, groups = len(reference.sample), groups_of(reference, incoming_kept)
    distances = [DISTANCES[name]() for name in plan.distances]
    missing = {d.name: missing_data(d, reference, incoming) for d in distances}
    measured = [d.name for d in distances if not missing[d.name]]
    little = [too_few(n, len(rows), *groups) for rows in windows]
    judged = [i for i, why in enumerate(little) if not why and measured]
    values = {}
    if judged:
        kept = [windows[i] for i in judged]
        values = values_of_windows(
            measured, reference, incoming_kept, kept, draws=plan.draws, seed=plan.seed
        )
    results, p = [], {}
    for i, rows in enumerate(windows):
        empty = [
            empty_result(d, n=n, m=len(rows), seed=plan.seed, note=missing[d.name] or little[i])
            for d in distances
        ]
        if i in judged:
            row = judged.index(i)
            empty = [
                conclude(result, Measurement(values[result.name][row], note=note), plan.alpha)
                if result.name in measured
                else result
                for result in empty
            ]
            p[i] = combined_ranks(np.stack([values[name][row] for name in measured]))
        results.append(tuple(empty))
    return results, p, [why or "all of the reference" for why in little]


def _status(p: float, level: float, warn_level: float) -> str:
    """Of one window; the warning is the rule's alarm at twice alpha."""
    if p <= level:
        return "alarm"
    return "warn" if p <= warn_level else "ok"


def _name(rows: np.ndarray, times: np.ndarray | None) -> str:
    if times is None:
        return f"rows {rows[0] + 1} to {rows[-1] + 1}"
    first, last = (str(times[row]).removesuffix("T00:00:00") for row in rows[[0, -1]])
    return f"{first} to {last}"

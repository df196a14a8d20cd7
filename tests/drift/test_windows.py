"""Windows by count and by time, and the k-of-n rule."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest
from support.drift_world import World

from drift.reference import fit_reference
from drift.subsets import Plan
from drift.windows import (
    compare_windows,
    false_alarm_rate,
    k_of_n,
    parse_times,
    window_level,
    window_rows,
)
from protocols.schema import UserError

WORLD = World(12)


def spans(found):
    return [(rows[0], rows[-1]) for rows in found]


@pytest.mark.parametrize(
    ("size", "step", "expected"),
    [
        ("4", None, [(0, 1), (2, 5), (6, 9)]),  # the newest window is whole
        ("5", None, [(0, 4), (5, 9)]),
        ("4", "3", [(0, 3), (3, 6), (6, 9)]),
        ("20", None, [(0, 9)]),
    ],
)
def test_windows_by_count_are_laid_from_the_newest_row(size, step, expected):
    assert spans(window_rows(np.arange(10), None, size=size, step=step)) == expected


def test_windows_by_time_hold_the_rows_of_their_span():
    days = np.array(["2026-11-01", "2026-11-02", "2026-11-02", "2026-11-05", "2026-11-06"])
    times = parse_times(days, "Date", np.arange(5))
    found = window_rows(np.arange(5), times, size="2d", step=None)
    assert [rows.tolist() for rows in found] == [[0, 1, 2], [3, 4]]


def test_rows_go_by_the_time_column_and_not_by_the_file():
    times = parse_times(np.array(["2026-11-03", "2026-11-01"]), "Date", np.arange(2))
    found = window_rows(np.argsort(times), times, size="1d", step=None)
    assert [rows.tolist() for rows in found] == [[1], [0]]


@pytest.mark.parametrize(
    ("cell", "utc"),
    [
        ("2026-11-01", "2026-11-01T00:00:00"),
        ("20261101", "2026-11-01T00:00:00"),
        ("2026-11-01 09:30", "2026-11-01T09:30:00"),
        ("2026-11-01T09:30:15Z", "2026-11-01T09:30:15"),
        ("2026-11-01T00:30:00+01:00", "2026-10-31T23:30:00"),
        ("2026-11-01T09:30:00.123456789", "2026-11-01T09:30:00"),
        ("2026-11-01T09:30:00.5-02:00", "2026-11-01T11:30:00"),
    ],
)
def test_iso_dates_and_times_are_read_in_utc(cell, utc):
    assert str(parse_times(np.array([cell]), "Date", np.array(["a"]))[0]) == utc


@pytest.mark.parametrize(
    ("size", "step"), [("1d", None), ("1d", "6h"), ("36h", "5h"), ("30m", None), ("7d", "1d")]
)
def test_windows_by_time_are_those_of_a_walk_over_every_span(size, step):
    seconds = {"d": 86_400, "h": 3_600, "m": 60}
    length, stride = (int(t[:-1]) * seconds[t[-1]] for t in (size, step or size))
    rng = np.random.default_rng(4)
    clock = np.sort(rng.integers(0, 40 * 86_400, 60) // 7_200 * 7_200)  # ties and gaps
    walked = []
    for back in range(0, int(clock[-1] - clock[0]) + 1, stride):
        inside = (clock <= clock[-1] - back) & (clock > clock[-1] - back - length)
        if inside.any():
            walked.append(np.flatnonzero(inside).tolist())
            if inside[0]:
                break
    found = window_rows(np.arange(60), clock.astype("datetime64[s]"), size=size, step=step)
    assert [rows.tolist() for rows in found] == walked[::-1]


def test_a_row_decades_apart_costs_no_walk_over_the_years_between():
    times = parse_times(np.array(["1970-01-01", "2026-11-01"]), "Date", np.arange(2))
    started = time.process_time()
    found = window_rows(np.arange(2), times, size="1m", step=None)
    assert [rows.tolist() for rows in found] == [[0], [1]]
    assert time.process_time() - started < 0.1


@pytest.mark.parametrize(
    ("cell", "named"),
    [
        ("yesterday", "'yesterday' of ID 'a'"),
        ("", "of ID 'a' is empty"),
        ("now", "'now' of ID 'a' is not a date"),
        ("1763800000", "'1763800000' of ID 'a' is not a date"),
        ("1763800000000", "is not a date"),
        ("17638000", "is not a date"),
        ("2026", "is not a date"),
        ("0026-11-01", "is not a date"),
        ("01/11/2026", "is not a date"),
        ("2026-02-30", "is not a date"),
    ],
)
def test_what_is_no_date_is_refused_by_id(cell, named):
    with pytest.raises(UserError, match=named):
        parse_times(np.array([cell]), "Date", np.array(["a"]))


@pytest.mark.parametrize(
    ("size", "step", "named"),
    [
        ("0", None, "'0' is no window"),
        ("fast", None, "'fast' is no window"),
        ("7d", None, "name its column with --time"),
        ("7d", "3", "both be counts or both be times"),
        ("3", "5", "rows would be skipped"),
    ],
)
def test_an_impossible_window_is_refused(size, step, named):
    with pytest.raises(UserError, match=named):
        window_rows(np.arange(10), None, size=size, step=step)


def test_k_of_n_looks_back_over_n_windows():
    assert k_of_n([True, False, True, False, False, True], 2, 3) == [
        False, False, True, False, False, False,
    ]  # fmt: skip
    assert k_of_n([True, True], 1, 1) == [True, True]


def test_false_alarm_rate_equals_a_simulation_and_its_closed_forms():
    assert false_alarm_rate(0.1, 7, 1, 1) == pytest.approx(1 - 0.9**7)
    assert false_alarm_rate(0.1, 2, 2, 2) == pytest.approx(0.01)
    assert false_alarm_rate(0.2, 1, 2, 3) == 0.0
    alarms = np.random.default_rng(0).random((5_000, 12)) < 0.08
    simulated = np.mean([any(k_of_n(row, 2, 3)) for row in alarms])
    assert false_alarm_rate(0.08, 12, 2, 3) == pytest.approx(simulated, abs=0.015)


def test_the_level_of_a_window_makes_the_rule_keep_alpha():
    level = window_level(0.05, 20, 2, 3, overlapping=False)
    assert 0.02 < level < 0.06
    assert false_alarm_rate(level, 20, 2, 3) == pytest.approx(0.05, abs=1e-6)
    assert window_level(0.05, 20, 2, 3, overlapping=True) == 0.0025


def stream(drift_from: int):
    """300 rows in shuffled order, one an hour; from a row on they are drifted."""
    rng = np.random.default_rng(3)
    old = WORLD.draw(300, rng, name="i")
    embeddings = old.embeddings.copy()
    embeddings[drift_from:] += WORLD.scales
    hours = np.datetime64("2026-11-01T00", "h") + np.arange(300)
    sample = replace(old, embeddings=embeddings, columns={"Date": hours.astype(str)})
    return sample.take(rng.permutation(300))


def test_the_alarm_is_raised_when_drift_lasts_and_not_before():
    reference = fit_reference(WORLD.draw(600, np.random.default_rng(0), name="r"))
    plan = Plan(draws=99)
    found = compare_windows(plan, reference, stream(150), size="50", time="Date")
    assert [part.rows for part in found.parts] == [50] * 6
    assert [part.status == "alarm" for part in found.parts] == [False] * 3 + [True] * 3
    assert found.raised == [False] * 4 + [True] * 2 and found.status == "alarm"
    assert found.parts[0].name == "2026-11-01 to 2026-11-03T01:00:00"
    quiet = compare_windows(plan, reference, stream(300), size="2d", time="Date")
    assert not any(quiet.raised) and quiet.status in ("ok", "warn")
    late = compare_windows(plan, reference, stream(270), size="30", rule=(1, 1), time="Date")
    assert late.raised == [False] * 9 + [True]


def test_a_short_window_is_insufficient_and_all_short_ones_say_nothing():
    reference = fit_reference(WORLD.draw(600, np.random.default_rng(0), name="r"))
    incoming = WORLD.draw(65, np.random.default_rng(1), name="i")
    found = compare_windows(Plan(draws=59), reference, incoming, size="30")
    assert [part.status == "insufficient" for part in found.parts] == [True, False, False]
    assert found.parts[0].name == "rows 1 to 5"
    assert compare_windows(Plan(draws=59), reference, incoming, size="10").status == "insufficient"


def test_more_overlapping_windows_than_relabellings_resolve_are_refused():
    reference = fit_reference(WORLD.draw(600, np.random.default_rng(0), name="r"))
    incoming = WORLD.draw(3_000, np.random.default_rng(1), name="i")
    with pytest.raises(UserError, match="use fewer windows"):
        compare_windows(Plan(), reference, incoming, size="30", step="1")
    with pytest.raises(UserError, match="k is from 1 to n"):
        compare_windows(Plan(), reference, incoming, size="300", rule=(4, 3))

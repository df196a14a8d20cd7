"""Windows by count and by time, and the k-of-n rule."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binom, wasserstein_distance
from support.drift_world import World

from dataio.schema import UserError
from drift.comparison import Request, compare
from drift.joint import draw_arrangements, quantile_steps
from drift.reference import fit_reference
from drift.subsets import Plan, run_plan
from drift.windows import (
    compare_windows,
    k_of_n,
    lay_windows,
    level_of,
    parse_times,
    run_statistic,
    window_rows,
)

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


def test_the_run_is_judged_by_what_k_of_n_windows_reach():
    p = np.array([[0.01, 0.5], [0.9, 0.02], [0.2, 0.3], [0.03, 0.4]])
    assert run_statistic(p, 1, 1).tolist() == [0.01, 0.02]
    assert run_statistic(p, 2, 2).tolist() == [0.2, 0.3]
    assert run_statistic(p, 2, 3).tolist() == [0.2, 0.3]
    assert run_statistic(p, 2, 9).tolist() == [0.03, 0.3]  # fewer windows than n: all of them


def test_the_level_is_reached_by_at_most_alpha_of_the_labellings():
    statistic = np.array([0.1, 0.2, 0.2, 0.3, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0])
    assert level_of(statistic, 0.1) == level_of(statistic, 0.25) == 0.1
    assert level_of(statistic, 0.3) == 0.2
    assert level_of(statistic, 0.05) == 0.0  # not resolved


def stream(drift_from: int):
    """300 rows in shuffled order, one an hour; from a row on they are drifted."""
    rng = np.random.default_rng(3)
    old = WORLD.draw(300, rng, name="i")
    embeddings = old.embeddings.copy()
    embeddings[drift_from:] += WORLD.scales
    hours = np.datetime64("2026-11-01T00", "h") + np.arange(300)
    sample = replace(old, embeddings=embeddings, columns={"Date": hours.astype(str)})
    return sample.take(rng.permutation(300))


def windows_of(reference, incoming, *, plan=None, rule=(2, 3), **layout):
    laid = lay_windows(incoming, rule=rule, **layout)
    return compare_windows(plan or Plan(draws=99), reference, incoming, laid, rule)


@pytest.fixture(scope="module")
def reference():
    return fit_reference(WORLD.draw(600, np.random.default_rng(0), name="r"))


def test_the_alarm_is_raised_when_drift_lasts_and_not_before(reference):
    found = windows_of(reference, stream(150), size="50", time="Date")
    assert [part.rows for part in found.parts] == [50] * 6
    assert [part.status == "alarm" for part in found.parts] == [False] * 3 + [True] * 3
    assert found.raised == [False] * 4 + [True] * 2 and found.status == "alarm"
    assert found.p == 0.01 and 0 < found.level < 0.2
    assert found.parts[0].name == "2026-11-01 to 2026-11-03T01:00:00"
    quiet = windows_of(reference, stream(300), size="2d", time="Date")
    assert not any(quiet.raised) and quiet.status in ("ok", "warn")
    late = windows_of(reference, stream(270), size="30", rule=(1, 1), time="Date")
    assert late.raised == [False] * 9 + [True]


def test_short_windows_are_passed_over_by_the_rule(reference):
    sample = stream(100)
    times = np.sort(sample.columns["Date"])
    # the drifted days 5 and 9 stand with a day of 5 rows between them
    kept = sample.take(
        (sample.columns["Date"] <= times[124]) | (sample.columns["Date"] > times[270])
    )
    few = sample.take(np.isin(sample.columns["Date"], times[200:205]))
    joined = sample.take(np.isin(sample.ids, [*kept.ids, *few.ids]))
    found = windows_of(reference, joined, size="1d", time="Date", rule=(2, 2))
    statuses = [part.status for part in found.parts]
    assert statuses.count("insufficient") >= 1 and found.status == "alarm"
    assert all(raised <= (status == "alarm") for raised, status in
               zip(found.raised, statuses, strict=True))  # fmt: skip


def test_a_short_window_is_insufficient_and_says_why(reference):
    incoming = WORLD.draw(65, np.random.default_rng(1), name="i")
    found = windows_of(reference, incoming, size="30")
    assert [part.status == "insufficient" for part in found.parts] == [True, False, False]
    assert found.parts[0].name == "rows 1 to 5" and found.parts[0].against == "fewer than 20 rows"


def test_fewer_windows_than_the_rule_asks_for_cannot_alarm_and_cost_no_alpha(reference):
    incoming = WORLD.draw(65, np.random.default_rng(1), name="i", shift=0.5)
    found = windows_of(reference, incoming, size="50")
    assert [part.status for part in found.parts] == ["insufficient", "alarm"]
    assert found.status == "insufficient" and not any(found.raised)
    assert found.note.startswith("1 of 2 windows have enough rows to be judged, 2 of 3 must alarm")
    quiet = windows_of(reference, WORLD.draw(65, np.random.default_rng(2), name="i"), size="50")
    assert quiet.parts[1].p > 0.1 and quiet.parts[1].status == "ok"
    assert windows_of(reference, incoming, size="10").status == "insufficient"
    whole = compare(reference, incoming, Request(window="50"))
    assert whole.request.families == 1 and whole.windows.status == "insufficient"
    assert compare(reference, incoming, Request(window="30")).request.families == 2


def test_more_overlapping_windows_than_relabellings_resolve_are_refused(reference):
    incoming = WORLD.draw(3_000, np.random.default_rng(1), name="i")
    with pytest.raises(UserError, match="use fewer windows"):
        windows_of(reference, incoming, size="30", step="1")
    with pytest.raises(UserError, match="k is from 1 to n"):
        windows_of(reference, incoming, size="300", rule=(4, 3))


def test_windows_are_judged_by_w1_mmd_and_score_where_others_are_asked_for(reference):
    incoming = WORLD.draw(90, np.random.default_rng(1), name="i")
    for asked, taken in ((("frechet",), ["w1", "mmd", "score"]), (("mmd", "ks"), ["mmd"])):
        found = windows_of(reference, incoming, size="30", plan=Plan(distances=asked, draws=59))
        assert [result.name for result in found.parts[0].results] == taken


def test_one_window_alone_equals_the_two_sample_distances(reference):
    incoming = WORLD.draw(70, np.random.default_rng(4), name="i")
    found = windows_of(reference, incoming, size="70", rule=(1, 1), plan=Plan(draws=999))
    results, p = run_plan(Plan(draws=999), reference, incoming)
    for ours, theirs in zip(found.parts[0].results, results, strict=True):
        assert ours.value == pytest.approx(theirs.value, rel=1e-4, abs=1e-6)
        assert ours.null[0.95] == pytest.approx(theirs.null[0.95], rel=0.1, abs=1e-4)
        assert ours.p == pytest.approx(theirs.p, abs=0.06)


def test_w1_of_quantile_steps_equals_scipy():
    rng = np.random.default_rng(0)
    for n, m in ((5, 5), (6, 3), (7, 4), (20, 33)):
        first, second = np.sort(rng.standard_normal(n)), np.sort(rng.standard_normal(m))
        ours, theirs, share = quantile_steps(n, m)
        found = np.abs(first[ours] - second[theirs]) @ share
        assert found == pytest.approx(wasserstein_distance(first, second), rel=1e-5)


def test_arrangements_keep_blocks_whole():
    blocks = np.array([0, 0, 1, 2, 2, 3, 4, 4, 4])
    drawn = draw_arrangements(blocks, 60, np.random.default_rng(0))
    assert drawn[0].tolist() == list(range(9))
    assert all(sorted(row) == list(range(9)) for row in drawn.tolist())
    assert {tuple(row[:2]) for row in drawn.tolist()} == {(0, 1), (3, 4)}
    assert (drawn[:, 6:] == [6, 7, 8]).all()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rows", "size", "step", "rule"),
    [(2_400, "200", None, (4, 4)), (320, "40", None, (1, 1)), (320, "40", "20", (2, 3))],
)
def test_a_small_reference_that_all_windows_share_does_not_raise_the_alarm_at_nothing(
    rows, size, step, rule
):
    """30 rows of the reference are compared. Were the windows taken as independent, the first case
    would alarm in a fifth of the runs: all windows are far from one unlucky reference together."""
    world, alarms, count = World(4), 0, 150
    for trial in range(count):
        rng = np.random.default_rng([13, trial])
        small = fit_reference(world.draw(45, rng, name="r"), seed=trial)
        incoming = world.draw(rows, rng, name="i")
        plan = Plan(distances=("w1",), draws=59, seed=trial)
        found = windows_of(small, incoming, plan=plan, size=size, step=step, rule=rule)
        alarms += found.status == "alarm"
    low, high = binom.ppf([0.0005, 0.9995], count, 0.05)
    assert low <= alarms <= high

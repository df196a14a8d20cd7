"""Groups of unequal size: thinned to like sizes, refused without a name, 5 % of false alarms."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binom
from support.drift_world import World

from dataio.schema import UserError
from drift.classes import compare_classes
from drift.conditions import compare_conditions
from drift.distances import DISTANCES, measure
from drift.groups import count_relabellings, like_rows
from drift.null import combined_p
from drift.reference import fit_reference
from drift.subsets import Plan, jackknife_interval
from drift.windows import compare_windows, lay_windows

WORLD = World(16)


def speakers(rng, name, sizes, *, voice=0.3, **drift):
    """Rows of speakers with a voice each, in shuffled order; `sizes` are the rows of each."""
    who = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    sample = WORLD.draw(len(who), rng, name=name, **drift)
    voices = voice * rng.standard_normal((len(sizes), 16)).astype(np.float32) * WORLD.scales
    return replace(
        sample,
        embeddings=sample.embeddings + voices[who],
        columns={"Speaker": np.array([f"{name}{speaker}" for speaker in who])},
    )


def sizes_of(groups):
    return sorted(np.unique(groups, return_counts=True)[1].tolist())


@pytest.mark.parametrize(
    ("first", "second", "left"),
    [
        ([3, 1, 2], [2, 3, 1], ([1, 2, 3], [1, 2, 3])),  # alike already: nothing is lost
        ([9] * 4, [2] * 3, ([2] * 4, [2] * 3)),
        ([1, 8], [4, 4], ([1, 4], [1, 4])),
        ([1, 5, 5, 9], [3, 7], ([1, 1, 5, 5], [1, 5])),  # two against one in each cell
        ([4], [], ([], [])),
    ],
)
def test_groups_are_thinned_to_sizes_that_both_sides_have(first, second, left):
    sides = [np.repeat(np.arange(len(sizes)), sizes) for sizes in (first, second)]
    kept = like_rows(*sides, np.random.default_rng(0))
    assert tuple(sizes_of(side[rows]) for side, rows in zip(sides, kept, strict=True)) == left
    assert all((np.diff(rows) > 0).all() for rows in kept)


def test_the_result_says_how_many_rows_were_compared_and_why():
    rng = np.random.default_rng(0)
    reference = fit_reference(speakers(rng, "r", [10] * 60), group="Speaker")
    result = DISTANCES["w1"]().fit(reference).compare(speakers(rng, "i", [1] * 50), draws=59)
    assert (result.n, result.m) == (40, 50)
    assert (
        result.note == "40 of 400 and 50 of 50 rows: each Speaker thinned to sizes both sides have"
    )
    short = DISTANCES["w1"]().fit(reference).compare(speakers(rng, "i", [40, 1, 1]), draws=59)
    assert short.status == "insufficient" and short.note.startswith("fewer than 20 rows; ")
    alike = DISTANCES["w1"]().fit(reference).compare(speakers(rng, "i", [10] * 30), draws=59)
    assert (alike.n, alike.m, alike.note) == (400, 300, "")
    # few groups can be dealt in few ways, however many rows they have
    sides = np.repeat(["a", "b", "c"], 40), np.repeat(["x", "y"], 40)
    assert count_relabellings(*sides) == 10
    few = fit_reference(speakers(rng, "r", [40] * 5), group="Speaker")
    told = DISTANCES["w1"]().fit(few).compare(speakers(rng, "i", [40] * 2), draws=59)
    assert told.status == "insufficient" and "too few to deal anew" in told.note


def test_a_reference_with_groups_is_not_compared_row_by_row():
    rng = np.random.default_rng(1)
    reference = fit_reference(speakers(rng, "r", [8] * 30, voice=1.0), group="Speaker")
    incoming = speakers(rng, "i", [8] * 30, voice=1.0)
    mmd = DISTANCES["mmd"]().fit(reference)
    with pytest.raises(UserError, match="no column 'Speaker'"):
        mmd.compare(replace(incoming, columns={}))
    # with a voice each, rows taken singly are all but certain to alarm at nothing
    alone = DISTANCES["mmd"]().fit(replace(reference, group=None)).compare(incoming, draws=99)
    assert alone.p <= 0.02 < mmd.compare(incoming, draws=99).p


@pytest.mark.slow
@pytest.mark.parametrize(
    ("ours", "theirs", "count"),
    [([10] * 60, [1] * 60, 150), ([2] * 60, [6] * 60, 150), ([1] * 60, [10] * 30, 150)],
)
def test_groups_of_unequal_sizes_keep_the_level_and_drift_is_found(ours, theirs, count):
    names = ("w1", "frechet", "mmd")

    def p_values(trial, **drift):
        rng = np.random.default_rng([17, trial])
        reference = fit_reference(speakers(rng, "r", ours), seed=trial, group="Speaker")
        incoming = speakers(rng, "i", theirs, **drift)
        distances = [DISTANCES[name]() for name in names]
        settings = {"draws": 19, "seed": trial, "alpha": 0.05}
        results, values = measure(distances, reference, incoming, **settings)
        return [result.p for result in results] + [combined_p(values)]

    alarms = (np.array([p_values(trial) for trial in range(count)]) <= 0.05).sum(axis=0)
    low, high = binom.ppf([0.0005, 0.9995], count, 0.05)
    assert (alarms >= low).all() and (alarms <= high).all(), alarms
    found = (np.array([p_values(trial, shift=0.6) for trial in range(20)]) <= 0.05).mean(axis=0)
    assert found[-1] >= 0.8, found


def test_windows_that_share_speakers_keep_them_whole():
    """Ten rows of each incoming speaker, spread over all windows, against one row each."""
    rng = np.random.default_rng(3)
    reference = fit_reference(speakers(rng, "r", [5] * 90), group="Speaker")
    incoming = speakers(rng, "i", [5] * 60)
    layout = lay_windows(incoming, size="100")
    found = compare_windows(Plan(draws=59), reference, incoming, layout)
    assert [part.results[0].m for part in found.parts] == [100, 100, 100]
    assert found.status in ("ok", "warn")
    thinned = speakers(rng, "i", [10] * 60)
    found = compare_windows(Plan(draws=59), reference, thinned, lay_windows(thinned, size="200"))
    assert sum(part.results[0].m for part in found.parts) == 300
    assert "300 of 600 rows" in found.parts[0].results[0].note


def test_signal_conditions_and_mix_move_groups_whole():
    """A speaker keeps to one length, codec and class: row by row any two sets would differ."""

    def signal(sample):
        voice = np.unique(sample.columns["Speaker"], return_inverse=True)[1]
        rng = np.random.default_rng(int(voice.sum()))
        length, codec = rng.gamma(4, 1, voice.max() + 1), rng.integers(0, 2, voice.max() + 1)
        score = np.where(codec == 1, 2.0, -2.0)[voice]
        columns = {
            "Duration": length[voice].astype(str),
            "AudioEncoding": np.array(["MP3", "PCM_S"])[codec[voice]],
        }
        return replace(
            sample,
            columns={**sample.columns, **columns},
            logits=np.stack([-score / 2, score / 2], axis=1),
        )

    naive = np.zeros(3, dtype=int)
    grouped = np.zeros(3, dtype=int)
    for trial in range(20):
        rng = np.random.default_rng([19, trial])
        reference = fit_reference(
            signal(speakers(rng, "r", [20] * 24)), seed=trial, group="Speaker"
        )
        incoming = signal(speakers(rng, "i", [10] * 24))
        for which, alarms in ((reference, grouped), (replace(reference, group=None), naive)):
            found = compare_conditions(which, incoming, draws=19, seed=trial)
            mix = compare_classes(Plan(("score",), draws=19, seed=trial), which, incoming).mix_p
            alarms += np.array([*(c.p for c in found), mix]) <= 0.05
    assert (grouped <= 5).all() and (naive >= 8).all(), (grouped, naive)


def test_the_interval_is_of_the_rows_that_are_compared():
    """Nine of ten rows of a speaker are left out, and do not make the interval narrower."""
    rng = np.random.default_rng(4)
    reference = fit_reference(speakers(rng, "r", [1] * 300), group="Speaker")
    one = speakers(rng, "i", [1] * 60)
    ten = replace(
        one.take(np.repeat(np.arange(60), 10)), ids=np.array([f"i-{k:04d}" for k in range(600)])
    )
    low, high = (
        np.diff(jackknife_interval(Plan(), reference, sample, 0.0))[0] for sample in (one, ten)
    )
    assert high == pytest.approx(low, rel=0.35)

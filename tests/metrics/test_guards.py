"""The sentences beside the figures."""

import numpy as np

from metrics import guards
from metrics.sweep import sweep


def test_sound_scores_bring_no_notes(rng):
    labels = rng.integers(0, 2, 20_000)
    assert guards.notes("all", sweep(rng.normal(size=20_000) + 1.5 * labels, labels)) == []


def test_polarity_is_not_doubted_for_want_of_a_crossing_in_a_small_set():
    """One fake among 8 real files, 4 on either side: a coin toss, though the ASVspoof rule's
    first nearest point says 0.75."""
    scores, labels = np.append(np.arange(8.0), 3.5), np.append(np.ones(8, int), 0)
    assert guards.notes("all", sweep(scores, labels)) == []


def test_reversed_scores_doubt_the_polarity_and_reversed_slices_do_not(rng):
    labels = rng.integers(0, 2, 200)
    points = sweep(rng.normal(size=200) - 2 * labels, labels)
    assert "the polarity may be swapped" in guards.notes("all", points)[0]
    (note,) = guards.notes("Attack A1 of X", points, part=True)
    assert note.startswith("Attack A1 of X: the EER is") and "real files score below" in note


def test_a_class_of_one_file_or_group_is_named():
    points = sweep(np.array([0.0, 1, 2]), np.array([0, 1, 1]))
    (note,) = guards.group_notes("all", points, {"real": 2, "fake": 1}, "file")
    assert note == "all: one file holds all fake files, so no interval can be drawn over it"
    (note,) = guards.group_notes("all", points, {"real": 1, "fake": 1}, "group")
    assert "one group holds all real and fake files" in note


def test_notes_of_slices_are_told_up_to_a_few():
    slices = {"Attack": {"rows": [{"notes": [f"note {i}"]} for i in range(8)] + [{"notes": []}]}}
    found = guards.gathered([{"notes": ["of all"]}], slices)
    assert found[:2] == ["of all", "note 0"] and len(found) == 1 + guards.SLICES_NOTED + 1
    assert found[-1].startswith("3 more slices have such notes")

"""Recordings of two files are matched by ID, else by the name without its subset."""

import pytest

from dataio.matching import matched_rows
from dataio.schema import UserError


def matched(ids, known):
    notes = []
    rows = matched_rows(ids, known, paths=("A.csv", "B.csv"), notes=notes)
    return rows.tolist(), len(notes)


@pytest.mark.parametrize(
    "ids, known, rows, notes",
    [
        (["S-a", "S-b"], ["S-b", "S-a"], [1, 0], 0),
        (["S-a", "S-b"], ["S-b", "b", "a"], [-1, 0], 0),  # one ID fits as it stands
        (["S-a", "S-b"], ["b", "a"], [1, 0], 1),
        (["b", "a"], ["S-a", "T-b"], [1, 0], 1),
        (["S-a-1", "S-a-2"], ["a-2", "a-1"], [1, 0], 1),  # names may have hyphens of their own
        (["S-a"], ["T-a"], [-1], 0),  # two subsets are two recordings
        (["S-a"], ["x"], [-1], 0),
        (["a.flac", "b.wav"], ["b", "a"], [1, 0], 1),  # names with an extension, a key without
        (["S-a", "S-b"], ["b.flac", "a.flac"], [1, 0], 1),
        (["/x-y/b.wav", "/x-y/a.wav"], ["a", "b"], [1, 0], 1),  # what `score` writes
        (["/x/b.wav", "/x/a.wav"], ["S-a", "S-b"], [1, 0], 1),
        (["a.1", "a.2"], ["S-a.2", "S-a.1"], [1, 0], 1),  # a number is no extension
        (["ASV5-A17-E_02", "ASV5-bonafide-E_01"], ["E_01", "E_02"], [1, 0], 1),
        ([], ["x"], [], 0),
    ],
)
def test_rows_are_found_as_they_stand_or_by_their_names(ids, known, rows, notes):
    assert matched(ids, known) == (rows, notes)


@pytest.mark.parametrize(
    "ids, known, culprit",
    [
        (["S-a", "T-a"], ["a"], "A.csv"),
        (["a", "b"], ["S-a", "T-a", "T-b"], "B.csv"),
        (["one/a.wav", "two/a.wav"], ["a"], "A.csv"),
    ],
)
def test_a_name_that_fits_two_recordings_is_refused(ids, known, culprit):
    with pytest.raises(UserError, match=f"^{culprit} holds several IDs with the name 'a'"):
        matched(ids, known)


def test_a_repeated_name_that_nobody_asks_for_does_not_matter():
    assert matched(["b"], ["S-a", "T-a", "T-b"]) == ([2], 1)

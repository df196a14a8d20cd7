"""Groups of files: numbering and counting."""

import numpy as np

from metrics.groups import group_counts, members


def test_a_negative_code_is_a_group_of_its_own():
    assert members(np.array([7, -1, 7, 3, -1])).tolist() == [1, 2, 1, 0, 3]
    assert members(np.array([-1, -1])).tolist() == [0, 1]
    assert members(np.array([], int)).tolist() == []


def test_groups_are_counted_for_each_class_that_they_hold():
    labels = np.array([1, 1, 0, 0, 0, 1])
    assert group_counts(labels, np.array([0, 0, 0, 1, -1, 2])) == {"real": 2, "fake": 3}
    assert group_counts(labels, None) == {"real": 3, "fake": 3}
    assert group_counts(np.ones(2, int), np.array([4, 4])) == {"real": 1, "fake": 0}

"""Slices: who is measured against whom."""

import numpy as np

from metrics.slices import ALL, OWN, slices

#                  0    1    2      3      4      5    6      7
LABELS = np.array([1, 1, 0, 0, 0, 1, 0, 0])
ATTACK = np.array(["-", "-", "A1", "A2", "A1", "-", "A1", "-"], object)
LANGUAGE = np.array(["EN", "FR", "EN", "DE", "FR", "EN", "EN", "-"], object)
SUBSETS = {"X": np.arange(5), "Y": np.arange(5, 8)}


def found(values):
    parts = slices(SUBSETS, LABELS, values)
    return {(p.subset, p.value): (sorted(p.rows.tolist()), p.real_from, p.fake_from) for p in parts}


def test_an_attack_is_measured_against_all_real_of_its_subset():
    assert found(ATTACK) == {
        ("X", "A1"): ([0, 1, 2, 4], ALL, OWN),
        ("X", "A2"): ([0, 1, 3], ALL, OWN),
        ("Y", "A1"): ([5, 6], ALL, OWN),
        ("Y", "-"): ([5, 7], ALL, OWN),  # fakes of no known attack are still measured
    }


def test_a_language_is_measured_within_itself_where_it_has_both_classes():
    assert found(LANGUAGE) == {
        ("X", "EN"): ([0, 2], OWN, OWN),
        ("X", "FR"): ([1, 4], OWN, OWN),
        ("X", "DE"): ([0, 1, 3], ALL, OWN),
        ("Y", "EN"): ([5, 6], OWN, OWN),
        ("Y", "-"): ([5, 7], ALL, OWN),
    }


def test_a_value_of_real_files_only_is_measured_against_all_fakes():
    values = np.array(["s1", "s2", "-", "-", "-"], object)
    parts = list(slices({"X": np.arange(5)}, LABELS[:5], values))
    assert [(p.value, p.real_from, p.fake_from) for p in parts][1:] == [
        ("s1", OWN, ALL),
        ("s2", OWN, ALL),
    ]
    assert sorted(parts[1].rows.tolist()) == [0, 2, 3, 4]

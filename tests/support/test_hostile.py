"""Some hundreds of seeded hostile files; `python -m benchmarks.hostile_files` reads more."""

import pytest

from support.hostile import KINDS, run


@pytest.mark.parametrize("kind", KINDS)
def test_hostile_files_are_read_or_refused_in_one_sentence(kind, tmp_path):
    assert run({kind: 40}, seed=1, folder=tmp_path) == []


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_more_of_them(kind, tmp_path):
    assert run({kind: 300}, seed=2, folder=tmp_path) == []

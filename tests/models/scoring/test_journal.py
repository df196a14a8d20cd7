"""A journal holds scores of its own rows, or says that it is damaged."""

import json

import numpy as np
import pytest

from dataio.schema import UserError
from models.distributed import World
from models.scoring.journal import ScoreJournal

ROWS = 4


@pytest.fixture
def journal(tmp_path):
    def make(job=None):
        return ScoreJournal(tmp_path / "s.partial", job or {"rows": ROWS}, width=0, world=World())

    return make


def add(journal, row, logits=(0.5, -0.5)):
    journal.add_scores(np.array([row]), np.array([logits]), np.empty((1, 0)))


@pytest.mark.parametrize("row", [-1, ROWS, 2**62])
def test_a_row_that_is_none_of_the_list_forges_no_score(journal, row):
    kept = journal()
    add(kept, 0)
    add(kept, row, (9.0, -9.0))
    with pytest.raises(UserError, match="is damaged .* remove .* and score anew"):
        kept.done(ROWS)
    with pytest.raises(UserError, match="is damaged"):
        kept.results(ROWS)


def test_a_row_whose_logits_are_none_is_scored_again(journal):
    kept = journal()
    add(kept, 1, (np.nan, 0.0))
    add(kept, 2)
    assert kept.done(ROWS).tolist() == [False, False, True, False]


@pytest.mark.parametrize(
    "line",
    [b"[]", b"{}", b"\xff", b"[" * 10_000, b'{"row": -1, "kind": "error", "reason": ""}',
     b'{"row": 1e9, "kind": "error", "reason": ""}', b'{"row": true, "kind": "x", "reason": ""}',
     b'{"row": 1, "kind": "fine", "reason": ""}', b'{"row": 1, "kind": "error", "reason": [1]}'],
)  # fmt: skip
def test_a_line_that_no_run_writes_is_damage(journal, tmp_path, line):
    kept = journal()
    (tmp_path / "s.partial" / "rank0.skipped").write_bytes(line + b"\n")
    with pytest.raises(UserError, match="rank0.skipped is damaged"):
        kept.done(ROWS)


@pytest.mark.parametrize(
    "note", [b"", b"\xff", b"[1]", b"[" * 10**5, b'{"rows": ' + b"9" * 5000 + b"}"]
)
def test_a_journal_whose_job_cannot_be_read_is_begun_anew(journal, tmp_path, note):
    add(journal(), 1)
    (tmp_path / "s.partial" / "job.json").write_bytes(note)
    assert not journal().done(ROWS).any()
    assert json.loads((tmp_path / "s.partial" / "job.json").read_text()) == {"rows": ROWS}


def test_a_link_in_the_place_of_the_journal_is_refused(journal, tmp_path):
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "kept").write_text("")
    (tmp_path / "s.partial").symlink_to(tmp_path / "theirs")
    with pytest.raises(UserError, match="cannot write"):
        journal()
    assert (tmp_path / "theirs" / "kept").exists()

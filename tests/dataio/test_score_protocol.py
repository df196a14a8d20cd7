"""Protocol columns for scored files: in their order, and refused by line where they do not fit."""

import numpy as np
import pytest

from dataio.schema import UserError
from dataio.score_protocol import protocol_columns
from dataio.scores import Scores

PROTOCOL = "ID,Label,Attack", "A-0,real,-", "A-1,real,-", "A-2,fake,A07", "A-3,fake,A08"


def protocol(folder, *lines):
    path = folder / "t.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def some_scores(folder, ids=("A-2", "A-1", "A-3"), labels=(0, 1, -1)):
    path = folder / "s.csv"
    path.write_text("Score,ID,Label\n" + "".join(f'"[0, 1]",{key},-\n' for key in ids))
    logits = np.tile([0.0, 1.0], (len(ids), 1))
    return Scores(np.array(ids, object), logits, np.array(labels, np.int8), str(path))


def test_columns_come_in_the_scores_order(tmp_path):
    found = protocol_columns(protocol(tmp_path, *PROTOCOL), some_scores(tmp_path), ["Attack"], [])
    assert found["Attack"].tolist() == ["A07", "-", "A08"]


def test_names_without_their_subset_are_matched_and_it_is_said(tmp_path):
    scores, notes = some_scores(tmp_path, ids=("2", "1", "3")), []
    found = protocol_columns(protocol(tmp_path, *PROTOCOL), scores, ["Attack"], notes)
    assert found["Attack"].tolist() == ["A07", "-", "A08"]
    assert len(notes) == 1 and "by file name, without the subset prefix" in notes[0]


@pytest.mark.parametrize(
    "lines, message",
    [
        (["A-1,real,-", "A-0,real,-", "A-1,real,-"], r"ID in line 4 \('A-1', first in line 2\)"),
        (["A-1,real,-", ",real,-"], "an empty ID in line 3"),
        (["A-1,real,-", "A-3,fake,x"], r"'A-2' \(line 2\) not in"),
        (["A-1,fake,-", "A-2,fake,x", "A-3,fake,x"], r"disagree on the Label of 'A-1' \(line 3\)"),
        (["A-1,real,-", "A-2,spoof,x"], "an unknown Label 'spoof' .* in line 3"),
        (["A-1,real,-", "A-2,fake", "A-3,fake,x"], "not the header's 3 cells in line 3"),
        ([], "holds no rows"),
    ],
)
def test_a_protocol_that_does_not_fit_the_scores_is_refused_by_line(tmp_path, lines, message):
    path = protocol(tmp_path, PROTOCOL[0], *lines)
    with pytest.raises(UserError, match=message) as refusal:
        protocol_columns(path, some_scores(tmp_path), ["Attack"], [])
    assert str(path) in str(refusal.value)


def test_a_protocol_without_the_column_is_refused(tmp_path):
    with pytest.raises(UserError, match="no column Codec"):
        protocol_columns(protocol(tmp_path, *PROTOCOL), some_scores(tmp_path), ["Codec"], [])

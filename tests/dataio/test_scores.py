"""The score file: exact text out, the same numbers in, and refusals that name the line."""

import csv

import numpy as np
import pytest

from dataio.schema import UserError
from dataio.scores import (
    HEADER,
    Scores,
    read_meta,
    read_scores,
    score_row,
    subset_index,
    write_scores,
)

CONTRACT_LINE = 'ASV19LAdemo-LA_E_7583177,"[3.4324636459350586, -3.5558271408081055]",0'


def write(path, *lines):
    path.write_text("\n".join(["ID,Score,Label", *lines]) + "\n", encoding="utf-8")
    return path


def test_row_is_written_as_the_contract_shows(tmp_path):
    logits = np.array([3.4324636459350586, -3.5558271408081055], dtype=np.float32)
    with open(tmp_path / "s.csv", "w", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(HEADER)
        writer.writerow(score_row("ASV19LAdemo-LA_E_7583177", logits, 0))
    assert (tmp_path / "s.csv").read_text() == f"ID,Score,Label\n{CONTRACT_LINE}\n"


def test_contract_line_is_read_back_exactly(tmp_path):
    scores = read_scores(write(tmp_path / "s.csv", CONTRACT_LINE))
    assert scores.ids.tolist() == ["ASV19LAdemo-LA_E_7583177"]
    assert scores.logits.tolist() == [[3.4324636459350586, -3.5558271408081055]]
    assert scores.labels.tolist() == [0] and scores.labels.dtype == np.int8
    assert scores.difference[0] < 0


def test_written_scores_come_back_bit_for_bit(tmp_path):
    rng = np.random.default_rng(3)
    logits = np.concatenate([rng.normal(size=(50, 2)), [[1e-30, -1e30], [0.0, -0.0]]])
    ids = np.array([f'A-{i}, with "quotes" and ünïcode' for i in range(52)], dtype=object)
    labels = rng.integers(-1, 2, size=52).astype(np.int8)
    write_scores(tmp_path / "s.csv", Scores(ids, logits, labels))
    back = read_scores(tmp_path / "s.csv")
    assert back.ids.tolist() == ids.tolist()
    assert np.array_equal(back.logits, logits) and np.array_equal(back.labels, labels)
    assert list(tmp_path.iterdir()) == [tmp_path / "s.csv"]


@pytest.mark.parametrize("label", ["", "-", -1, None])
def test_unknown_label_is_written_as_a_dash_and_read_as_minus_one(tmp_path, label):
    row = score_row("A-1", (0.0, 1.0), label)
    assert row[2] == "-"
    assert read_scores(write(tmp_path / "s.csv", 'A-1,"[0.0, 1.0]",-')).labels.tolist() == [-1]
    assert read_scores(write(tmp_path / "s.csv", 'A-1,"[0.0, 1.0]",')).labels.tolist() == [-1]


@pytest.mark.parametrize("logits", [(float("nan"), 0.0), (0.0, float("inf"))])
def test_a_score_that_is_no_number_is_never_written(logits):
    with pytest.raises(ValueError, match="'A-1' is not finite"):
        score_row("A-1", logits, 1)


def test_an_impossible_label_is_not_written():
    with pytest.raises(ValueError, match="label of 'A-1' is 2"):
        score_row("A-1", (0.0, 1.0), 2)


@pytest.mark.parametrize(
    "line, fault",
    [
        ('A-3,"[nan, 1.0]",1', "a Score that is NaN or infinite in line 4"),
        ('A-3,"[0.0, inf]",1', "a Score that is NaN or infinite in line 4"),
        ('A-3,"[1.0]",1', "not the list [fake_logit, real_logit] in line 4"),
        ('A-3,"[1.0, 2.0, 3.0]",1', "not the list [fake_logit, real_logit] in line 4"),
        ("A-3,0.7,1", "not the list [fake_logit, real_logit] in line 4"),
        ('A-3,"[a, b]",1', "not the list [fake_logit, real_logit] in line 4"),
        ('A-3,"[1.0, 2.0]",2', "an unknown Label '2' (expected 1, 0 or '-') in line 4"),
        ('A-3,"[1.0, 2.0]",real', "an unknown Label 'real'"),
        ('A-3,"[1.0, 2.0]"', "not the header's 3 cells in line 4"),
        ('A-1,"[1.0, 2.0]",1', "duplicate ID in line 4 ('A-1', first in line 2)"),
        (',"[1.0, 2.0]",1', "an empty ID in line 4"),
        ('A-3,"[-1.7e308, 1.7e308]",1', "differ by more than a number can hold in line 4"),
    ],
)
def test_a_faulty_row_is_refused_by_line(tmp_path, line, fault):
    good = ('A-1,"[0.5, 1.0]",1', 'A-2,"[1.0, 0.5]",0')
    path = write(tmp_path / "s.csv", *good, line, 'A-9,"[1.0, 0.5]",0')
    with pytest.raises(UserError) as refusal:
        read_scores(path)
    assert fault in str(refusal.value) and str(path) in str(refusal.value)


@pytest.mark.parametrize("start, end", [("", "\r\n"), ("\ufeff", "\n")])
def test_windows_line_ends_and_byte_order_marks_are_read(tmp_path, start, end):
    text = start + end.join(["ID,Score,Label", 'A-1,"[0.0, 1.5]",1', 'A-2,"[2.0, 0.0]",0', ""])
    (tmp_path / "s.csv").write_bytes(text.encode())
    assert read_scores(tmp_path / "s.csv").difference.tolist() == [1.5, -2.0]


def test_columns_are_found_by_name_in_any_order(tmp_path):
    path = tmp_path / "s.csv"
    path.write_text('Label,Path,ID,Score\n1,x.wav,A-1,"[0.0, 1.0]"\n0,y.wav,A-2,"[1.0, 0.0]"\n')
    assert read_scores(path).labels.tolist() == [1, 0]
    path.write_text('Label,Path,ID,Score\n1,x.wav,A-1,"[0.0, 1.0]"\n7,y.wav,A-2,"[1.0, 0.0]"\n')
    with pytest.raises(UserError, match="unknown Label '7' .* in line 3:"):
        read_scores(path)


def test_text_that_is_not_utf8_is_refused(tmp_path):
    (tmp_path / "s.csv").write_bytes(b'ID,Score,Label\n\xe9-1,"[0.0, 1.0]",1\n')
    with pytest.raises(UserError, match="UTF-8"):
        read_scores(tmp_path / "s.csv")


def test_many_faulty_rows_are_counted(tmp_path):
    path = write(tmp_path / "s.csv", *(f'A-{i},"[nan, 0.0]",1' for i in range(30)))
    with pytest.raises(UserError, match=r"lines 2, 3, .*, 11 and 20 more"):
        read_scores(path)


def test_lines_are_counted_in_the_file_not_in_the_table(tmp_path):
    path = write(tmp_path / "s.csv", 'A-1,"[0.0, 1.0]",1', "", 'A-2,"[nan, 1.0]",1')
    with pytest.raises(UserError, match="line 4"):
        read_scores(path)


@pytest.mark.parametrize(
    "text, message",
    [
        ("ID,Score,Label\n", "holds no rows"),
        ("", "no column ID, Score, Label"),
        ('ID,Score\nA-1,"[0, 1]"\n', "no column Label"),
    ],
)
def test_a_file_without_rows_or_columns_is_refused(tmp_path, text, message):
    (tmp_path / "s.csv").write_text(text)
    with pytest.raises(UserError, match=message):
        read_scores(tmp_path / "s.csv")


def test_a_missing_file_is_refused_by_name(tmp_path):
    with pytest.raises(UserError, match="nowhere.csv does not exist"):
        read_scores(tmp_path / "nowhere.csv")


def test_subsets_are_the_text_before_the_first_hyphen():
    ids = np.array(["b-1", "a-x-2", "whole", "b-3", "ü-1"], dtype=object)
    names, index = subset_index(ids)
    assert names == ["a", "b", "ü"] and index.tolist() == [1, 0, -1, 1, 2]
    assert subset_index(ids[2:3])[1].tolist() == [-1]


def test_meta_file_beside_the_scores_is_read_and_may_be_absent(tmp_path):
    path = write(tmp_path / "s.csv", CONTRACT_LINE)
    assert read_scores(path).meta == {}
    (tmp_path / "s.meta.json").write_text('{"checkpoint_sha256": "ab"}')
    assert read_scores(path).meta == {"checkpoint_sha256": "ab"}
    (tmp_path / "s.meta.json").write_text("{")
    with pytest.raises(UserError, match="is not JSON"):
        read_meta(path)

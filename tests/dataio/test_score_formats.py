"""Other toolkits' score and key files: read with the right polarity, refused by line."""

import numpy as np
import pytest

from dataio.score_formats import WRITERS, own_names, read_any, read_key
from dataio.scores import Scores
from metrics import rates
from protocols.schema import UserError

ASV2019 = """\
LA_E_2834763 A11 spoof -2.5
LA_E_8877452 A14 spoof -0.5
LA_E_5849185 - bonafide 1.25
"""
ASV2021 = "LA_E_2834763 -2.5\nLA_E_8877452 -0.5\nLA_E_5849185 1.25\n"
KEY2021 = """\
LA_0009 LA_E_2834763 alaw ita_tx A07 spoof notrim eval
LA_0020 LA_E_8877452 g722 loc_tx A08 spoof notrim eval
LA_0039 LA_E_5849185 none none bonafide bonafide notrim eval
LA_0040 LA_E_0000000 none none A01 spoof notrim eval
"""
KEY2019 = """\
LA_0039 LA_E_2834763 - A11 spoof
LA_0014 LA_E_8877452 - A14 spoof
LA_0040 LA_E_5849185 - - bonafide
"""
ASV5 = "filename\tcm-score\nLA_E_2834763\t-2.5\nLA_E_8877452\t-0.5\nLA_E_5849185\t1.25\n"
KEY5 = "filename\tcm-label\nLA_E_2834763\tspoof\nLA_E_8877452\tspoof\nLA_E_5849185\tbonafide\n"
ARENA_KEY = "file_name,label\nLA_E_2834763,spoof\nLA_E_8877452,spoof\nLA_E_5849185,bonafide\n"
IDS = ["LA_E_2834763", "LA_E_8877452", "LA_E_5849185"]


def write(path, text):
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    "scores, key",
    [
        (ASV2019, None),
        (ASV2021, KEY2021),
        (ASV2021, KEY2019),
        (ASV5, KEY5),
        (ASV2021, ARENA_KEY),
        (ASV2019, KEY2019),
    ],
)
def test_each_format_gives_the_same_scores_and_labels(tmp_path, scores, key):
    path = write(tmp_path / "scores.txt", scores)
    found = read_any(path, key and write(tmp_path / "key.csv", key))
    assert found.ids.tolist() == IDS
    assert found.difference.tolist() == [-2.5, -0.5, 1.25]
    assert found.labels.tolist() == [0, 0, 1]
    assert rates.auc(found.difference, found.labels) == 1.0


def test_speech_spoof_bench_counts_bonafide_as_0(tmp_path):
    import pyarrow as pa
    from pyarrow import parquet

    path = tmp_path / "labels.parquet"
    labels = pa.array([1, 1, 0], pa.int8())
    parquet.write_table(pa.table({"utterance_id": IDS, "label": labels}), path)
    assert list(read_key(path).values()) == [0, 0, 1]
    found = read_any(write(tmp_path / "scores.txt", ASV2021), path)
    assert found.labels.tolist() == [0, 0, 1]


def test_own_score_files_pass_through_and_take_a_key(tmp_path):
    text = "ID,Score,Label\n" + "".join(f'{name},"[0.0, 1.0]",-\n' for name in IDS)
    path = write(tmp_path / "s.csv", text)
    assert read_any(path).labels.tolist() == [-1, -1, -1]
    assert read_any(path, write(tmp_path / "key.txt", KEY2021)).labels.tolist() == [0, 0, 1]


@pytest.mark.parametrize(
    "text, message",
    [
        ("a 1\nb one\n", "line 2: 'one' is not a number"),
        ("a 1\nb nan\n", "line 2: the score is nan"),
        ("a 1\n\nb\n", "line 3: 1 cells, but 2 in the first line"),
        ("a 1\nb 2\na 3\n", "line 3: 'a' again, first in line 1"),
        ("a A01 fake 1\n", "line 1: label 'fake': expected bonafide or spoof"),
        ("one\n", "begins no score file known here"),
        ("", "begins no score file known here"),
        ("filename\tcm-score\n", "holds no scores"),
    ],
)
def test_faulty_foreign_scores_are_refused_by_line(tmp_path, text, message):
    with pytest.raises(UserError, match=message):
        read_any(write(tmp_path / "scores.txt", text))


@pytest.mark.parametrize(
    "text, message",
    [
        ("file_name,label\na,real\n", "line 2: label 'real': expected bonafide or spoof"),
        ("a bonafide\na spoof\n", "line 2: 'a' for the second time"),
        ("", "holds no key"),
        ("file_name,label\nLA_E_2834763,spoof\n", "no label for 'LA_E_8877452' and 1 more"),
    ],
)
def test_faulty_keys_are_refused_by_line(tmp_path, text, message):
    with pytest.raises(UserError, match=message):
        read_any(write(tmp_path / "s.txt", ASV2021), write(tmp_path / "key.txt", text))


def some_scores(ids):
    logits = np.column_stack([np.zeros(len(ids)), np.arange(len(ids)) + 0.1])
    return Scores(np.array(ids, object), logits, np.array([1, 0, -1][: len(ids)], np.int8), "s.csv")


@pytest.mark.parametrize(
    "kind, expected",
    [
        ("asvspoof5", "filename\tcm-score\nx-1\t0.1\nx-2\t1.1\nx-3\t2.1\n"),
        ("speech_df_arena", "x-1 0.1\nx-2 1.1\nx-3 2.1\n"),
        ("speech_spoof_bench", "x-1 0.1\nx-2 1.1\nx-3 2.1\n"),
    ],
)
def test_exports_are_written_to_the_letter(tmp_path, kind, expected):
    scores = some_scores(["SET-x-1", "SET-x-2", "SET-x-3"])
    WRITERS[kind](tmp_path / "out.txt", own_names(scores), scores)
    assert (tmp_path / "out.txt").read_text() == expected
    if kind == "speech_df_arena":  # the unlabelled file is in no key
        assert (tmp_path / "out.csv").read_text() == "file_name,label\nx-1,bonafide\nx-2,spoof\n"


def test_names_that_repeat_without_their_subset_are_refused():
    with pytest.raises(UserError, match="export one subset"):
        own_names(some_scores(["A-1", "B-1"]))


def test_names_with_spaces_are_refused(tmp_path):
    scores = some_scores(["A-one two"])
    with pytest.raises(UserError, match="'one two' has a space"):
        WRITERS["speech_spoof_bench"](tmp_path / "out.txt", own_names(scores), scores)
    assert list(tmp_path.iterdir()) == []

"""Other toolkits' score and key files: read with the right polarity, refused by line."""

import numpy as np
import pytest

from dataio.schema import UserError
from dataio.score_formats import WRITERS, own_names, read_any
from dataio.score_keys import read_key, read_keys, with_labels
from dataio.scores import Scores
from metrics import rates

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


def read(path, *keys):
    """The scores labelled by the keys, as evaluation.py reads them."""
    scores = read_any(path)
    return with_labels(scores, read_keys(keys), []) if keys else scores


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
    found = read(path, *([write(tmp_path / "key.csv", key)] if key else []))
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
    assert list(read_key(path).values()) == [(0, ""), (0, ""), (1, "")]
    found = read(write(tmp_path / "scores.txt", ASV2021), path)
    assert found.labels.tolist() == [0, 0, 1]


def test_own_score_files_pass_through_and_take_a_key(tmp_path):
    text = "ID,Score,Label\n" + "".join(f'{name},"[0.0, 1.0]",-\n' for name in IDS)
    path = write(tmp_path / "s.csv", text)
    assert read(path).labels.tolist() == [-1, -1, -1]
    assert read(path, write(tmp_path / "key.txt", KEY2021)).labels.tolist() == [0, 0, 1]


@pytest.mark.parametrize(
    "text, message",
    [
        ("a 1\nb one\n", "line 2: 'one' is not a number"),
        ("a 1\nb nan\n", "line 2: the score is nan"),
        ("a 1\n\nb\n", "line 3: 1 cells, but 2 in the first line"),
        ("a 1\nb 2\na 3\n", "line 3: 'a' again, first in line 1"),
        ("a A01 fak 1\n", "line 1: label 'fak': expected bonafide, bona-fide"),
        ("a A01 1 1\n", "line 1: label '1' .0 and 1 mean opposite things in different toolkits"),
        ("a 1_0\n", "line 1: 'a 1_0' begins no score file"),
        ("a 1\nb \u0663\n", "line 2: '\u0663' is not a number"),
        ("utt value\na 1\n", "line 1: 'utt value' begins no score file known here"),
        ("utt\tlabel\tattack\tscore\na\tspoof\tA1\t1\n", "line 1: 'utt.* begins no score file"),
        ("one\n", "begins no score file known here"),
        ("", "begins no score file known here"),
        ("filename\tcm-score\n", "holds no scores"),
    ],
)
def test_faulty_foreign_scores_are_refused_by_line(tmp_path, text, message):
    with pytest.raises(UserError, match=message):
        read_any(write(tmp_path / "scores.txt", text))


def test_a_label_column_of_the_scores_is_read(tmp_path):
    text = "file_name,score,label\na,1,bonafide\nb,2,spoof\nc,3,-\n"
    assert read(write(tmp_path / "s.csv", text)).labels.tolist() == [1, 0, -1]


HEADERED = {
    "file_name,score": "file_name,score\n{0},-2.5\n{1},-0.5\n{2},1.25\n",
    "score,file_name": "score,x,file_name\n-2.5,a,{0}\n-0.5,b,{1}\n1.25,c,{2}\n",
    "quoted": '"file_name","score"\n"{0}",-2.5\n"{1}",-0.5\n"{2}",1.25\n',
    "byte order mark": "\ufefffile_name,score\n{0},-2.5\n{1},-0.5\n{2},1.25\n",
    "own, other order": 'Score,ID,Label\n"[0, -2.5]",{0},-\n"[0, -0.5]",{1},-\n"[0, 1.25]",{2},-\n',
    "own, quoted": (
        '"ID","Score","Label"\n{0},"[0, -2.5]",-\n{1},"[0, -0.5]",-\n{2},"[0, 1.25]",-\n'
    ),
}


@pytest.mark.parametrize("text", HEADERED.values(), ids=HEADERED)
def test_columns_are_known_by_their_headers(tmp_path, text):
    found = read(write(tmp_path / "s.csv", text.format(*IDS)))
    assert found.ids.tolist() == IDS and found.difference.tolist() == [-2.5, -0.5, 1.25]


def some_scores(ids):
    logits = np.column_stack([np.zeros(len(ids)), np.arange(len(ids)) + 0.1])
    return Scores(np.array(ids, object), logits, np.array([1, 0, -1][: len(ids)], np.int8), "s.csv")


@pytest.mark.parametrize(
    "kind, expected",
    [
        ("asvspoof5", "filename\tcm-score\nx-1\t0.1\nx-2\t1.1\nx-3\t2.1\n"),
        ("speech_df_arena", "x-1 0.1\nx-2 1.1\nx-3 2.1\n"),
        ("speech_spoof_bench", "x-1 0.1\nx-2 1.1\nx-3 2.1\n"),
        ("asvspoof2021", "x-1 0.1\nx-2 1.1\nx-3 2.1\n"),
    ],
)
def test_exports_are_written_to_the_letter(tmp_path, kind, expected):
    scores = some_scores(["SET-x-1", "SET-x-2", "SET-x-3"])
    WRITERS[kind](tmp_path / "out.txt", own_names(scores, kind), scores)
    assert (tmp_path / "out.txt").read_text() == expected
    if kind == "speech_df_arena":  # the unlabelled file is in no key
        assert (tmp_path / "out.csv").read_text() == "file_name,label\nx-1,bonafide\nx-2,spoof\n"


def test_names_that_repeat_without_their_subset_are_refused():
    with pytest.raises(UserError, match="export one subset"):
        own_names(some_scores(["A-1", "B-1"]), "asvspoof5")


def test_names_with_spaces_are_refused(tmp_path):
    scores = some_scores(["A-one two"])
    with pytest.raises(UserError, match="'one two' has a space"):
        WRITERS["speech_spoof_bench"](tmp_path / "out.txt", own_names(scores, "asvspoof5"), scores)
    assert list(tmp_path.iterdir()) == []


def test_lines_of_2019_hold_attack_and_label(tmp_path):
    scores = some_scores(["LA-E_1", "LA-E_2"])
    WRITERS["asvspoof2019"](tmp_path / "o.txt", ["E_1", "E_2"], scores, attacks=["-", "A07"])
    assert (tmp_path / "o.txt").read_text() == "E_1 - bonafide 0.1\nE_2 A07 spoof 1.1\n"
    assert read(tmp_path / "o.txt").labels.tolist() == [1, 0]
    with pytest.raises(UserError, match="rows without a label"):
        unlabelled = some_scores(["a", "b", "c"])
        WRITERS["asvspoof2019"](tmp_path / "p.txt", ["a", "b", "c"], unlabelled, attacks="---")


@pytest.mark.parametrize("kind", WRITERS)
def test_names_are_the_trials_and_tell_no_label(kind):
    """An ID of ASVspoof 5 has the attack in it; its package knows the trial alone."""
    scores = some_scores(["ASV5-A17-E_0000000001", "ASV5-bonafide-E_0000000002"])
    assert own_names(scores, kind) == ["E_0000000001", "E_0000000002"]


@pytest.mark.parametrize("name", ["real-a", "CN-bonafide-a", "x-Fake-a", "spoof-a"])
def test_ids_that_tell_the_label_are_not_exported(name):
    with pytest.raises(UserError, match="tells the label, .*: name the protocol"):
        own_names(some_scores([f"HABLA-{name}"]), "speech_spoof_bench")


def test_arena_names_with_hyphens_in_their_folders_are_exported_as_they_came(tmp_path):
    path = write(tmp_path / "in.txt", "in-the-wild/a-1.wav 0.5\nin-the-wild/b.wav 1.5\n")
    scores = read_any(path)
    WRITERS["speech_df_arena"](tmp_path / "out.txt", own_names(scores, "speech_df_arena"), scores)
    assert (tmp_path / "out.txt").read_text() == path.read_text()
    assert own_names(scores, "asvspoof5") == ["a-1", "b"]


@pytest.mark.parametrize(
    "real, fake", [("bona-fide", "spoof"), ("genuine", "deepfake"), ("real", "fake")]
)
def test_other_words_for_the_classes_are_understood(tmp_path, real, fake):
    path = write(tmp_path / "s.csv", f"file_name,score,label\na,1,{real}\nb,2,{fake}\n")
    assert read(path).labels.tolist() == [1, 0]
    for key in (f"file_name,label\na,{real}\nb,{fake}\n", f"a {real}\nb {fake}\n"):
        assert list(read_key(write(tmp_path / "k", key)).values()) == [(1, ""), (0, "")]

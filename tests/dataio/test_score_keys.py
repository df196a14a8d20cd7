"""Key files: labels by name, one phase of ASVspoof 2021, several keys together, refusals."""

import numpy as np
import pytest

from dataio.schema import UserError
from dataio.score_keys import check_scored, read_key, read_keys, with_labels
from dataio.scores import Scores

LA = """\
LA_0009 LA_E_1 alaw ita_tx A07 spoof notrim progress
LA_0009 LA_E_2 alaw ita_tx A07 spoof notrim eval
LA_0020 LA_E_3 none none bonafide bonafide notrim eval
LA_0020 LA_E_4 none none - bonafide trim hidden
LA_0020 LA_E_5 g722 loc_tx A08 spoof notrim eval
"""
DF = """\
LA_0023 DF_E_1 nocodec asvspoof A14 spoof notrim progress traditional_vocoder - - - -
LA_0023 DF_E_2 nocodec asvspoof - bonafide notrim eval bonafide - - - -
"""
PA = """\
PA_0010 PA_E_1 R3 M3 d4 r1 m1 s4 c4 spoof notrim eval
PA_0010 PA_E_2 R3 M3 d4 - - - - bonafide notrim hidden
PA_0010 PA_E_3 R3 M3 d4 - - - - bonafide trim hidden
"""
NUMBERS = ["LA_E_1", "LA_E_2", "LA_E_3", "LA_E_4", "LA_E_5"]


def write(path, text):
    path.write_text(text, encoding="utf-8")
    return path


def scores(folder, ids=NUMBERS, labels=None):
    path = write(folder / "s.txt", "".join(f"{key} 0.5\n" for key in ids))
    logits = np.column_stack([np.zeros(len(ids)), np.arange(len(ids))])
    labels = np.full(len(ids), -1) if labels is None else np.array(labels)
    return Scores(np.array(ids, object), logits, labels.astype(np.int8), str(path))


@pytest.mark.parametrize(
    "text, phases",
    [
        (LA, "progress eval eval hidden eval"),
        (DF, "progress eval"),
        (PA, "eval hidden1_PA hidden2_PA"),
    ],
)
def test_the_phase_is_read_from_the_key_of_every_track(tmp_path, text, phases):
    found = read_key(write(tmp_path / "trial_metadata.txt", text)).values()
    assert [phase for _, phase in found] == phases.split()
    words = [("spoof", "bonafide")[label] for label, _ in found]
    assert all(word in line for word, line in zip(words, text.splitlines(), strict=True))


@pytest.mark.parametrize(
    "phase, kept, left_out",
    [
        (None, [2, 3, 5], "2 rows of .* not of phase eval .*progress 1, hidden 1;"),
        ("progress", [1], "4 rows of .* not of phase progress .*hidden 1, eval 3;"),
        ("hidden", [4], "4 rows of .* not of phase hidden"),
    ],
)
def test_one_phase_is_kept_and_the_rest_counted(tmp_path, phase, kept, left_out):
    key, notes = read_keys([write(tmp_path / "key.txt", LA)], phase), []
    found = with_labels(scores(tmp_path), key, notes)
    assert found.ids.tolist() == [f"LA_E_{number}" for number in kept]
    assert len(notes) == 1
    with pytest.raises(UserError, match=left_out):
        raise UserError(notes[0])


def test_a_key_of_one_phase_goes_with_a_whole_submission(tmp_path):
    rows = "".join(line + "\n" for line in LA.splitlines() if line.endswith(" eval"))
    notes = []
    found = with_labels(scores(tmp_path), read_keys([write(tmp_path / "k.txt", rows)]), notes)
    assert found.ids.tolist() == ["LA_E_2", "LA_E_3", "LA_E_5"]
    assert found.labels.tolist() == [0, 1, 0] and "not in the key 2" in notes[0]


def test_trials_that_a_whole_key_lacks_are_named_with_their_lines(tmp_path):
    rows = "".join(line + "\n" for line in LA.splitlines() if "LA_E_5" not in line)
    key = read_keys([write(tmp_path / "k.txt", rows)])
    with pytest.raises(UserError, match=r"no label for 'LA_E_5' \(line 5\) of"):
        with_labels(scores(tmp_path), key, [])


def test_the_two_hidden_sets_of_pa_are_kept_apart(tmp_path):
    """As in the official package: `subset == "hidden"` and untrimmed, or trimmed."""
    path = write(tmp_path / "k.txt", PA)
    for phase, kept in (("hidden1_PA", "PA_E_2"), ("hidden2_PA", "PA_E_3")):
        found = with_labels(scores(tmp_path, ["PA_E_2", "PA_E_3"]), read_keys([path], phase), [])
        assert found.ids.tolist() == [kept]
    with pytest.raises(UserError, match="of phase hidden, only eval, hidden1_PA, hidden2_PA"):
        read_keys([path], "hidden")


def test_trials_of_the_phase_without_a_score_are_refused_or_counted(tmp_path):
    """The official packages refuse as well."""
    key, notes = read_keys([write(tmp_path / "k.txt", LA)]), []
    with_labels(scores(tmp_path, NUMBERS[:4]), key, notes)
    before = len(notes)
    with pytest.raises(UserError, match="^1 trials of phase eval in .* such as 'LA_E_5': score"):
        check_scored(key, notes, allow_missing=False)
    check_scored(key, notes, allow_missing=True)
    assert len(notes) == before + 1 and "1 trials of phase eval" in notes[-1]
    with_labels(scores(tmp_path, NUMBERS[4:]), key, notes)  # a second file has the rest
    check_scored(key, notes, allow_missing=False)


@pytest.mark.parametrize(
    "text, phase, message",
    [
        (
            DF.splitlines()[0],
            None,
            "no trial of phase eval, only progress: choose one with --phase",
        ),
        (LA, "other", "no trial of phase other, only eval, hidden, progress"),
        ("a bonafide\nb spoof\n", "eval", "names no phases"),
    ],
)
def test_a_phase_that_the_key_lacks_is_refused(tmp_path, text, phase, message):
    with pytest.raises(UserError, match=message):
        read_keys([write(tmp_path / "k.txt", text)], phase)


def test_scores_of_another_phase_only_are_refused(tmp_path):
    key = read_keys([write(tmp_path / "k.txt", LA)])
    with pytest.raises(UserError, match=r"no trial of phase eval \(progress 1, hidden 1\)"):
        with_labels(scores(tmp_path, ["LA_E_1", "LA_E_4"]), key, [])


def test_several_keys_are_taken_together(tmp_path):
    key = read_keys([write(tmp_path / "la.txt", LA), write(tmp_path / "df.txt", DF)])
    assert with_labels(scores(tmp_path, ["DF_E_2"]), key, []).labels.tolist() == [1]
    assert with_labels(scores(tmp_path, ["LA_E_2", "LA_E_3"]), key, []).labels.tolist() == [0, 1]


@pytest.mark.parametrize(
    "change", [("A07 spoof", "A07 bonafide"), ("notrim eval", "notrim hidden")]
)
def test_keys_that_contradict_each_other_are_refused(tmp_path, change):
    keys = write(tmp_path / "a.txt", LA), write(tmp_path / "b.txt", LA.replace(*change))
    with pytest.raises(UserError, match="b.txt contradicts another --key about 'LA_E_"):
        read_keys(keys)


def test_labels_that_a_file_already_has_are_checked_not_replaced(tmp_path):
    key = read_keys([write(tmp_path / "k.txt", LA)])
    assert with_labels(scores(tmp_path, NUMBERS[1:3], [0, -1]), key, []).labels.tolist() == [0, 1]
    with pytest.raises(UserError, match=r"disagree on the Label of 'LA_E_3' \(line 2\)"):
        with_labels(scores(tmp_path, NUMBERS[1:3], [0, 0]), key, [])


def test_a_labelled_file_may_stand_beside_the_key_of_another(tmp_path):
    key, notes = read_keys([write(tmp_path / "k.txt", LA)], "progress"), []
    found = with_labels(scores(tmp_path, ["x", "y"], [1, 0]), key, notes)
    assert found.labels.tolist() == [1, 0]
    with pytest.raises(UserError, match="holds none of the files of .*give the key of this very"):
        check_scored(key, notes, allow_missing=True)
    with_labels(scores(tmp_path, NUMBERS[:1]), key, notes)
    check_scored(key, notes, allow_missing=False)


@pytest.mark.parametrize("text", ["utt class\na bonafide\n", "file,key\na,spoof\n", "a 1\n"])
def test_a_header_that_is_not_known_is_no_row(tmp_path, text):
    with pytest.raises(UserError, match="line 1: .* is neither a header known here .*nor a row"):
        read_key(write(tmp_path / "k.txt", text))


def test_own_ids_are_found_by_the_name_without_the_subset(tmp_path):
    key, notes = read_keys([write(tmp_path / "k.txt", LA)]), []
    found = with_labels(scores(tmp_path, ["ASV21LA-LA_E_2", "ASV21LA-LA_E_3"]), key, notes)
    assert found.labels.tolist() == [0, 1] and "without the subset prefix" in notes[0]


def test_labels_are_left_unknown_where_they_are_not_required(tmp_path):
    key = read_keys([write(tmp_path / "k.txt", "LA_E_1 spoof\n")])
    assert with_labels(scores(tmp_path), key, [], required=False).labels.tolist() == [0] + [-1] * 4


@pytest.mark.parametrize(
    "text, message",
    [
        ("file_name,label\na,1\n", "line 2: label '1' .0 and 1 mean opposite things"),
        ("file_name,label\na,rael\n", "line 2: label 'rael': expected bonafide, bona-fide,"),
        ("file_name,label\na\n", "line 2: 1 cells, too few"),
        ("a bonafide\na spoof\n", "line 2: 'a' for the second time"),
        ("", "holds no key"),
    ],
)
def test_faulty_keys_are_refused_by_line(tmp_path, text, message):
    with pytest.raises(UserError, match=message):
        read_key(write(tmp_path / "key.txt", text))


@pytest.mark.parametrize(
    "columns, message",
    [
        ({"utterance_id": ["a", "b", "a"], "label": [0, 1, 1]}, "row 3: 'a' for the second time"),
        (
            {"utterance_id": ["a", "b"], "label": [0, 2]},
            "row 2: label 2: expected 0 .bonafide. or 1",
        ),
        ({"name": ["a"], "label": [0]}, "no column utterance_id .found: name, label."),
        (None, "not readable as Parquet"),
    ],
)
def test_faulty_parquet_keys_are_refused_in_one_sentence(tmp_path, columns, message):
    import pyarrow as pa
    from pyarrow import parquet

    path = write(tmp_path / "key.parquet", "no table")
    if columns:
        parquet.write_table(pa.table(columns), path)
    with pytest.raises(UserError, match=message) as refusal:
        read_key(path)
    assert "\n" not in str(refusal.value)

"""Merging: the published rules, the published shuffle, and what became of their faults."""

import csv
import json
from pathlib import Path

import pytest

from dataio.locks import LOCK, sole_writer
from dataio.schema import COLUMNS

HEADER = ",".join(COLUMNS)


def row(utterance, label="real", seconds="1.0", path=None, proportion="-", speaker="-", **more):
    cells = {
        "ID": utterance, "Label": label, "Duration": seconds, "SampleRate": "16000",
        "Path": f"$ROOT/{utterance}.wav" if path is None else path, "Attack": "-",
        "Speaker": speaker, "Proportion": proportion, "AudioChannel": "1",
        "AudioEncoding": "PCM_S", "AudioBitSample": "16", "Language": "EN",
    } | more  # fmt: skip
    return [cells[column] for column in COLUMNS]


VALID = row("V-1", proportion="valid")  # without one, merge ends with 1


def write(name, *rows, header=COLUMNS):
    with open(name, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def ids(name):
    with open(Path("merged", name), newline="", encoding="utf-8") as file:
        return [line["ID"] for line in csv.DictReader(file)]


def merge(protocols, *arguments):
    status, out, err = protocols("merge", *arguments, "--output_folder", "merged")
    summary = Path("merged/merge.json")
    return status, out, err, json.loads(summary.read_text()) if summary.exists() else {}


def test_the_training_order_is_the_published_one(protocols):
    write("A.csv", *(row(f"A-{n}") for n in range(6)))
    write("B.csv", *(row(f"B-{n}") for n in range(4)), VALID)
    status, *_ = merge(protocols, "--train", "A.csv", "B.csv")
    assert status == 0
    # numpy.random.RandomState(42).permutation(10), numpy 1.26: 8 1 5 0 7 2 9 4 3 6
    joined = [f"A-{n}" for n in range(6)] + [f"B-{n}" for n in range(4)]
    assert ids("train.csv") == [joined[n] for n in (8, 1, 5, 0, 7, 2, 9, 4, 3, 6)]


def test_the_order_is_that_of_pandas_sample(protocols):
    import pandas

    write("A.csv", *(row(f"A-{n}") for n in range(100)))
    merge(protocols, "--train", "A.csv")
    frame = pandas.read_csv("A.csv", dtype=str)
    assert ids("train.csv") == list(frame.sample(frac=1, random_state=42)["ID"])


def test_valid_rows_validate_all_others_train_and_test_files_test(protocols):
    proportions = ("train", "valid", "test", "-", "")
    write("A.csv", *(row(f"A-{p}", proportion=p) for p in proportions))
    write("T.csv", *(row(f"T-{p}", proportion=p) for p in proportions))
    merge(protocols, "--train", "A.csv", "--test", "T.csv")
    assert sorted(ids("train.csv")) == ["A-", "A--", "A-test", "A-train"]
    assert ids("valid.csv") == ["A-valid"]
    assert ids("test.csv") == ["T-train", "T-valid", "T-test", "T--", "T-"]


def test_an_empty_validation_set_is_written_and_an_empty_test_set_is_not(protocols):
    write("A.csv", row("A-1"))
    merge(protocols, "--train", "A.csv")
    assert Path("merged/valid.csv").read_text() == HEADER + "\n"
    assert not Path("merged/test.csv").exists()


def test_all_cells_stay_text(protocols):
    path = '$ROOT/a b,c\n"d.wav'
    kept = row("A-00012", speaker="00012", Attack="None", Language="NA", path=path)
    write("A.csv", row("A-1", speaker="-"), kept)
    merge(protocols, "--train", "A.csv")
    with open("merged/train.csv", newline="") as file:
        assert kept in list(csv.reader(file))


def test_rows_without_audio_are_dropped_and_counted(protocols):
    write("A.csv", row("A-1", seconds="7200.0"), row("A-2", seconds="-1", path=""),
          row("A-3", seconds="0.0"), row("A-4", path=""), row("A-5", seconds="nan"),
          VALID)  # fmt: skip
    status, out, _, summary = merge(protocols, "--train", "A.csv")
    assert status == 0
    assert ids("train.csv") == ["A-1"]
    assert summary["train"]["hours"] == 2.0
    assert "4 rows have no audio" in out


def test_a_file_listed_twice_is_kept_once_across_files_too(protocols):
    write("A.csv", row("A-1"), row("A-1"), row("A-2"))
    write("B.csv", row("A-2", path="$ROOT//A-2.wav"), row("B-1"), VALID)
    status, out, _, summary = merge(protocols, "--train", "A.csv", "B.csv")
    assert status == 0
    assert sorted(ids("train.csv")) == ["A-1", "A-2", "B-1"]
    assert summary["kept_once"] == 2
    assert not Path("merged/duplicates.csv").exists()


def test_two_files_under_one_id_are_left_out_and_reported(protocols):
    write("A.csv", row("A-1"), row("A-2"))
    write("B.csv", row("A-1", path="$ROOT/other.wav"))
    status, out, _, summary = merge(protocols, "--train", "A.csv", "B.csv")
    assert status == 1
    assert ids("train.csv") == ["A-2"]
    assert summary["conflicts"] == 2
    assert "2 rows share an ID" in out
    with open("merged/duplicates.csv", newline="") as file:
        listed = list(csv.DictReader(file))
    assert [line["Path"] for line in listed] == ["$ROOT/A-1.wav", "$ROOT/other.wav"]


def test_one_file_under_two_labels_is_a_conflict(protocols):
    write("A.csv", row("A-1", label="real"), row("A-1", label="fake"))
    status, *_, summary = merge(protocols, "--train", "A.csv")
    assert (status, summary["conflicts"], ids("train.csv")) == (1, 2, [])


def test_a_file_that_is_real_and_fake_is_left_out_whatever_its_ids(protocols):
    write("A.csv", row("A-1", "real", path="$ROOT/x.wav"), row("A-2"), row("A-3", "-"))
    write("B.csv", row("B-1", "fake", path="$ROOT//x.wav"), row("B-2", path="$ROOT/A-2.wav"),
          row("B-3", "fake", path="$ROOT/A-3.wav"))  # fmt: skip
    status, out, _, summary = merge(protocols, "--train", "A.csv", "B.csv")
    assert (status, summary["contradictions"], summary["conflicts"]) == (1, 2, 0)
    assert sorted(ids("train.csv")) == ["A-2", "A-3", "B-2", "B-3"]
    assert "2 rows have a file that is real in one row and fake in another" in out
    with open("merged/duplicates.csv", newline="") as file:
        listed = [(line["Why"], line["ID"], line["Label"]) for line in csv.DictReader(file)]
    assert listed == [("real and fake", "A-1", "real"), ("real and fake", "B-1", "fake")]


def test_a_file_that_is_trained_as_real_and_tested_as_fake_is_in_no_output(protocols):
    write("A.csv", row("A-1", path="$ROOT/x.wav"), row("A-1", path="$ROOT/x.wav"), row("A-2"))
    write("T.csv", row("T-1", "fake", path="$ROOT/x.wav"), row("T-2"))
    status, *_, summary = merge(protocols, "--train", "A.csv", "--test", "T.csv")
    assert (status, summary["kept_once"], summary["contradictions"]) == (1, 1, 2)
    assert (ids("train.csv"), ids("test.csv")) == (["A-2"], ["T-2"])


def test_an_id_in_training_and_test_is_reported(protocols):
    write("A.csv", row("A-1"))
    write("T.csv", row("A-1"))
    status, out, _, summary = merge(protocols, "--train", "A.csv", "--test", "T.csv")
    assert (status, summary["in_two_outputs"]) == (1, 1)
    assert ids("train.csv") == ids("test.csv") == ["A-1"]


def test_hours_and_counts_by_database_language_and_attack(protocols):
    write("A.csv", row("MLS-IT-1", seconds="3600"),
          row("ASV5-A11-x", "fake", seconds="1800", Attack="A11"),
          row("ASV5-A11-y", "fake", seconds="1800", Attack="A11", Language="ZH"))  # fmt: skip
    _, out, _, summary = merge(protocols, "--train", "A.csv")
    train = summary["train"]
    assert (train["rows"], train["real"], train["fake"], train["hours"]) == (3, 1, 2, 2.0)
    assert train["by_database"]["ASVspoof5"] == {
        "rows": 2, "real": 0, "fake": 2, "hours": 1.0, "hours_real": 0.0, "hours_fake": 1.0
    }  # fmt: skip
    assert {name: facts["rows"] for name, facts in train["by_language"].items()} == {
        "EN": 2,
        "ZH": 1,
    }
    assert {name: facts["rows"] for name, facts in train["by_attack"].items()} == {"-": 1, "A11": 2}
    assert "train by database" in out


def test_a_balanced_subset_has_as_many_of_each_class(protocols):
    write("A.csv", *(row(f"A-{n}", "fake") for n in range(20)), *(row(f"A-r{n}") for n in range(5)))
    *_, summary = merge(protocols, "--train", "A.csv", "--balance")
    assert (summary["train"]["real"], summary["train"]["fake"]) == (5, 5)


def test_the_hours_are_limited_and_the_seed_changes_which(protocols):
    write("A.csv", *(row(f"A-{n}", seconds="36") for n in range(50)))
    *_, summary = merge(protocols, "--train", "A.csv", "--limit_hours", "0.1")
    first = ids("train.csv")
    assert (len(first), summary["train"]["hours"]) == (10, 0.1)
    merge(protocols, "--train", "A.csv", "--limit_hours", "0.1")
    assert ids("train.csv") == first
    merge(protocols, "--train", "A.csv", "--limit_hours", "0.1", "--seed", "1")
    assert ids("train.csv") != first


def test_balance_and_limit_together(protocols):
    write("A.csv", *(row(f"A-{n}", "fake", seconds="10") for n in range(40)),
          *(row(f"A-r{n}", seconds="26") for n in range(9)))  # fmt: skip
    *_, summary = merge(protocols, "--train", "A.csv", "--balance", "--limit_hours", "0.05")
    assert (summary["train"]["real"], summary["train"]["fake"]) == (5, 5)  # 5 x 36 s = 0.05 h


def test_with_no_lists_the_published_ones_are_taken(protocols):
    write("LJSpeech.csv", row("LJ-1"), VALID)
    write("MLAAD_v5.csv", row("MLAAD-1", "fake"))
    write("In-the-Wild.csv", row("ItW-1"))
    write("WildSVDD.csv", row("WildSVDD-1"))  # in neither list
    status, _, err, _ = merge(protocols)
    assert status == 0
    assert sorted(ids("train.csv")) == ["LJ-1", "MLAAD-1"]
    assert ids("test.csv") == ["ItW-1"]
    assert "no AIShell3.csv" in err
    assert err.count("warning") == 29 + 5 - 3


def test_other_columns_are_put_in_order_and_absent_ones_filled(protocols):
    header = ["Label", "ID", "Path", "Duration", "SampleRate", "AudioChannel", "Mine"]
    write("A.csv", ["real", "A-1", "$ROOT/a.wav", "1.0", "16000", "1", "x"], header=header)
    merge(protocols, "--train", "A.csv")
    assert Path("merged/train.csv").read_text().splitlines()[1] == (
        "A-1,real,1.0,16000,$ROOT/a.wav,-,-,-,1,-,-,-"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ID,Label\nA,real\n", "no column 'Duration'"),
        (HEADER + "\nA,real\n", "2 cells in A.csv, line 2"),
        (
            HEADER + "\n" + ",".join(row("A", "reel")) + "\n",
            "unknown label 'reel' in A.csv, line 2",
        ),
        (HEADER + "\n" + ",".join(row("A", seconds="x")) + "\n", "Duration 'x' in A.csv, line 2"),
        (HEADER + "\n" + ",".join(row("A", proportion="dev")) + "\n", "unknown proportion 'dev'"),
    ],
)
def test_what_is_no_protocol_is_refused_with_its_place(text, message, protocols):
    Path("A.csv").write_text(text)
    status, _, err, _ = merge(protocols, "--train", "A.csv")
    assert status == 2
    assert message in err
    assert not Path("merged/train.csv").exists()


def test_nothing_to_merge_is_refused(protocols):
    assert merge(protocols)[0] == 2
    assert merge(protocols, "--train", "nowhere.csv")[0] == 2
    write("A.csv", row("A-1"))
    assert merge(protocols, "--train", "A.csv", "--balance")[0] == 2


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--limit_hours", "0.0"),
        ("--limit_hours", "nan"),
        ("--limit_hours", "inf"),
        ("--limit_hours", "0.0001"),  # the one row is longer
        ("--seed", "-1"),
        ("--seed", "4294967296"),
    ],
)
def test_a_subset_that_cannot_be_drawn_is_refused(option, value, protocols):
    write("A.csv", row("A-1"))
    status, _, err, _ = merge(protocols, "--train", "A.csv", option, value)
    assert (status, f"{option} {value}" in err) == (2, True)
    assert not Path("merged/train.csv").exists()


def test_an_empty_validation_set_is_said(protocols):
    write("A.csv", row("A-1"), row("A-2", "fake"))
    status, out, *_ = merge(protocols, "--train", "A.csv")
    assert (status, "valid.csv holds no row" in out) == (1, True)
    write("B.csv", row("B-1", proportion="valid"))
    status, out, *_ = merge(protocols, "--train", "A.csv", "B.csv")
    assert (status, "holds no row" in out) == (0, False)


def test_two_merges_do_not_write_into_one_folder(protocols):
    write("A.csv", row("a"), row("b", "fake"), VALID)
    Path("merged").mkdir()
    with sole_writer("merged"):
        status, _, err, _ = merge(protocols, "--train", "A.csv")
        assert status == 2 and "merged is being written by process" in err
        assert [path.name for path in Path("merged").iterdir()] == [LOCK]
    assert merge(protocols, "--train", "A.csv")[0] == 0
    assert not Path("merged", LOCK).exists()

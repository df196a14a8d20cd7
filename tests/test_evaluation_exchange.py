"""evaluation.py with others: their score files and keys, one's own beside theirs, exports."""

import csv
from pathlib import Path

import numpy as np
import pytest
from support.evaluation import normals, run, table, write_scores

from metrics import rates

NAMES = [f"LA_E_{i:04d}" for i in range(300)]


def write_foreign(path, names, values):
    rows = zip(names, values, strict=True)
    path.write_text("".join(f"{name} {float(value)!r}\n" for name, value in rows))


def write_key(path, names, labels, phases):
    words = ["spoof", "bonafide"]
    rows = zip(names, labels, phases, strict=True)
    path.write_text(
        "".join(f"LA_1 {name} - - - {words[int(label)]} notrim {ph}\n" for name, label, ph in rows)
    )


@pytest.fixture
def system(tmp_path, monkeypatch):
    """One system's scores of LA 2021 trials: own file, foreign file and official key, by phase."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(11)
    values, labels = normals(rng)
    phases = np.array(["progress", "eval", "eval", "hidden"])[np.arange(300) % 4]
    write_scores("own.csv", values, labels, [f"ASV21LA-{name}" for name in NAMES])
    write_foreign(Path("theirs.txt"), NAMES, values)
    write_key(Path("key.txt"), NAMES, labels, phases)
    return values, labels, phases


@pytest.mark.parametrize("phase", ["progress", "eval", "hidden"])
def test_a_phase_of_asvspoof_2021_gives_the_packages_eer(system, capsys, phase):
    """The official package joins scores and `key[column 8 == phase]` before the EER; restated."""
    values, labels, phases = system
    status, out, _ = run(capsys, "theirs.txt", "--key", "key.txt", "--phase", phase)
    part = phases == phase
    assert status == 0
    assert table(out)["all"]["eer"] == round(rates.eer(values[part], labels[part]).rate, 4)
    assert f"{(~part).sum()} rows of theirs.txt are not of phase {phase}" in out
    default = run(capsys, "theirs.txt", "--key", "key.txt")[1]
    assert (default == out) == (phase == "eval")


def test_a_key_of_the_phase_alone_gives_the_same_table(system, capsys):
    _, labels, phases = system
    part = np.flatnonzero(phases == "eval")
    write_key(Path("eval.txt"), [NAMES[i] for i in part], labels[part], phases[part])
    _, whole, _ = run(capsys, "theirs.txt", "--key", "key.txt")
    status, out, _ = run(capsys, "theirs.txt", "--key", "eval.txt")
    assert status == 0 and table(out) == table(whole) and "not in the key 150" in out


def test_own_and_foreign_file_of_one_system_give_the_same_figures(system, capsys):
    names = ["--metrics", "all"]
    _, theirs, _ = run(capsys, "theirs.txt", "--key", "key.txt", *names)
    _, own, _ = run(capsys, "own.csv", "--key", "key.txt", *names)
    assert table(own)["all"] == table(theirs)["all"]


def test_own_system_is_compared_with_anothers_by_file_name(system, capsys):
    options = "--bootstrap", 40
    status, out, _ = run(capsys, "own.csv", "--against", "theirs.txt", *options)
    assert status == 0 and "own.csv are matched by file name" in out.split("note: ")[1]
    compared = out.split("A = own.csv, B = theirs.txt")[1]
    assert next(line for line in compared.splitlines() if line[:3] == "all").count("+0.0000") == 4
    other = run(capsys, "theirs.txt", "--key", "key.txt", "--against", "own.csv", *options)
    assert other[0] == 0 and "by file name" in other[1]


def test_foreign_scores_are_sliced_by_an_own_protocol(system, capsys):
    labels = system[1]
    with open("t.csv", "w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["ID", "Label", "Attack"])
        for name, label in zip(NAMES, labels, strict=True):
            writer.writerow([f"ASV21LA-{name}", ["fake", "real"][label], "-" if label else "A07"])
    options = ["--key", "key.txt", "--protocol", "t.csv", "--by", "Attack", "--bootstrap", 0]
    status, out, _ = run(capsys, "theirs.txt", *options)
    assert status == 0 and "A07" in out and out.count("matched by file name") == 1


def test_every_file_may_have_a_key_of_its_own(system, capsys):
    values, labels, _ = system
    names = [name.replace("E", "D") for name in NAMES]
    write_foreign(Path("dev.txt"), names, values)
    words = [["spoof", "bonafide"][label] for label in labels]
    rows = "".join(f"{name},{word}\n" for name, word in zip(names, words, strict=True))
    Path("dev_key.csv").write_text("file_name,label\n" + rows)
    keys = ["--key", "key.txt", "dev_key.csv"]
    status, out, _ = run(capsys, "theirs.txt", *keys, "--threshold_from", "dev.txt")
    assert status == 0 and "Threshold from dev.txt (eer)" in out
    argv = ["fuse", "dev.txt", "dev.txt", "--apply", "theirs.txt", "theirs.txt"]
    assert run(capsys, *argv, "--output", "f.csv", *keys)[0] == 0
    assert run(capsys, *argv, "--output", "g.csv", "--key", "dev_key.csv")[0] == 0  # unlabelled
    status, _, err = run(capsys, "theirs.txt", "--threshold_from", "dev.txt", *keys[:2])
    assert status == 2 and "key.txt holds none of the files of dev.txt" in err


def test_a_key_does_not_override_the_labels_of_a_file(system, capsys):
    text = Path("key.txt").read_text().splitlines()
    swapped = {"spoof": "bonafide", "bonafide": "spoof"}
    text[1] = " ".join(swapped.get(word, word) for word in text[1].split())
    Path("wrong.txt").write_text("\n".join(text) + "\n")
    status, _, err = run(capsys, "own.csv", "--key", "wrong.txt")
    assert status == 2
    assert "own.csv and wrong.txt disagree on the Label of 'ASV21LA-LA_E_0001' (line 3)" in err


def unlabelled(source, target, every=1):
    """A copy of a score file with the labels of every n-th row taken out."""
    lines = Path(source).read_text().splitlines()
    for i in range(1, len(lines), every):
        lines[i] = lines[i].rpartition(",")[0] + ",-"
    Path(target).write_text("\n".join(lines) + "\n")


def test_a_system_without_labels_is_compared_by_the_labels_of_the_other(system, capsys):
    unlabelled("own.csv", "u.csv")
    plain = run(capsys, "own.csv", "--against", "own.csv", "--bootstrap", 40)
    found = run(capsys, "own.csv", "--against", "u.csv", "--bootstrap", 40)
    assert found[0] == 0 and found[1] == plain[1].replace("B = own.csv", "B = u.csv")


def test_rows_without_a_label_do_not_stop_a_comparison(system, capsys):
    unlabelled("own.csv", "u.csv", every=10)
    for other in ("own.csv", "u.csv"):
        status, out, _ = run(capsys, "u.csv", "--against", other, "--bootstrap", 40)
        assert status == 0 and "30 rows of u.csv have no label and are left out" in out


def exported(path):
    return [line.split() for line in Path(path).read_text().splitlines()]


def test_scores_without_any_label_are_exported(system, capsys):
    unlabelled("own.csv", "u.csv")
    run(capsys, "own.csv", "--export", "asvspoof5=a.tsv")
    status, out, _ = run(capsys, "u.csv", "--export", "asvspoof5=u.tsv")
    assert status == 0 and "u.csv holds no labels: nothing is measured" in out
    assert exported("u.tsv") == exported("a.tsv") and len(exported("u.tsv")) == 301
    status, _, err = run(capsys, "u.csv", "0.5", "DF", "--export", "asvspoof5=u.tsv")
    assert status == 2 and "no ID is of subset 'DF': the subsets are ASV21LA" in err
    for asked in (["--json", "r.json"], ["--metrics", "eer"], ["--bootstrap"]):
        status, _, err = run(capsys, "u.csv", "--export", "asvspoof5=u.tsv", *asked)
        assert status == 2 and "holds no labels" in err


def test_rows_without_a_label_are_exported_too(system, capsys):
    unlabelled("own.csv", "u.csv", every=10)
    status, out, _ = run(capsys, "u.csv", "--export", "speech_df_arena=x.txt")
    assert status == 0 and "30 rows of u.csv have no label" in out
    assert len(exported("x.txt")) == 300 and len(exported("x.csv")) == 1 + 270


def test_export_holds_the_rows_of_the_prefixes(tmp_path, capsys):
    values, labels = normals(np.random.default_rng(2))
    ids = [f"{'XYZ'[i % 3]}-{i // 3}" for i in range(300)]
    path = write_scores(tmp_path / "s.csv", values, labels, ids)
    target = tmp_path / "x.txt"
    status, _, err = run(capsys, path, "--export", f"speech_spoof_bench={target}")
    assert status == 2 and "export one subset by its PREFIX" in err
    status, _, _ = run(capsys, path, "0.5", "Y", "--export", f"speech_spoof_bench={target}")
    expected = [[str(i // 3), repr(float(values[i]))] for i in range(300) if i % 3 == 1]
    assert status == 0 and exported(target) == expected


def test_export_holds_the_calibrated_scores(system, capsys):
    run(capsys, "calibrate", "own.csv", "--output", "cal.json")
    run(capsys, "own.csv", "--calibration", "cal.json", "--export", "asvspoof5=c.tsv")
    names = ["--metrics", "eer", "cllr"]
    _, here, _ = run(capsys, "own.csv", "--calibration", "cal.json", *names)
    run(capsys, "own.csv", "--export", "speech_df_arena=a.txt")
    _, there, _ = run(capsys, "c.tsv", "--key", "a.csv", *names)
    _, raw, _ = run(capsys, "own.csv", *names)
    assert table(there)["all"] == table(here)["all"] != table(raw)["all"]


def asvspoof5(folder, labels):
    """Scores under this toolkit's IDs, which hold the attack, and their protocol."""
    trials = [f"E_{i:010d}" for i in range(len(labels))]
    ids = [
        f"ASV5-{'bonafide' if label else 'A17'}-{trial}"
        for trial, label in zip(trials, labels, strict=True)
    ]
    with open(folder / "t.csv", "w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["ID", "Label", "Path"])
        for key, trial, label in zip(ids, trials, labels, strict=True):
            writer.writerow([key, ["fake", "real"][label], f"$ROOT/flac_E_eval/{trial}.flac"])
    return ids, trials


def package_asvspoof5(scores, key):
    """`load_cm_scores_keys` of the official package, restated: the two have the same trials."""
    tables = []
    for path in (scores, key):
        with open(path, newline="") as stream:
            tables.append(
                {row.pop("filename"): row for row in csv.DictReader(stream, delimiter="\t")}
            )
    assert set(tables[0]) == set(tables[1]), "Error: CM score and key incompatible"
    values = np.array([float(tables[0][name]["cm-score"]) for name in tables[1]])
    return values, np.array([row["cm-label"] == "bonafide" for row in tables[1].values()])


@pytest.mark.parametrize("options", [[], ["--protocol", "t.csv"]])
def test_an_export_is_what_the_official_package_takes(tmp_path, capsys, monkeypatch, options):
    monkeypatch.chdir(tmp_path)
    values, labels = normals(np.random.default_rng(7))
    ids, trials = asvspoof5(tmp_path, labels)
    write_scores("s.csv", values, labels, ids)
    words = [["spoof", "bonafide"][label] for label in labels]
    rows = "".join(f"{t}\t{w}\n" for t, w in zip(trials, words, strict=True))
    Path("key.tsv").write_text("filename\tcm-label\n" + rows)
    formats = ["asvspoof5=a.tsv", "asvspoof2021=b.txt", "speech_spoof_bench=c.txt"]
    assert run(capsys, "s.csv", "--export", *formats, *options)[0] == 0
    theirs, real = package_asvspoof5("a.tsv", "key.tsv")
    assert rates.eer(theirs, real).rate == rates.eer(values, labels).rate
    assert [row[0] for row in exported("b.txt")] == trials
    assert Path("b.txt").read_text() == Path("c.txt").read_text()
    assert run(capsys, "s.csv", "--key", "key.tsv")[0] == 0  # and its key labels our IDs


def test_ids_that_tell_the_label_are_exported_by_their_path_only(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_scores("s.csv", [1.0, 2.0], [0, 1], ["HABLA-fake-x", "HABLA-real-y"])
    Path("t.csv").write_text("ID,Label,Path\nHABLA-fake-x,fake,$ROOT/a/x.wav\n"
                             "HABLA-real-y,real,$ROOT/b/y.wav\n")  # fmt: skip
    status, _, err = run(capsys, "s.csv", "--export", "asvspoof5=a.tsv")
    assert status == 2 and "tells the label" in err and not Path("a.tsv").exists()
    assert run(capsys, "s.csv", "--export", "asvspoof5=a.tsv", "--protocol", "t.csv")[0] == 0
    assert [row[0] for row in exported("a.tsv")[1:]] == ["x", "y"]


def test_arena_scores_come_back_as_they_went(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = "in-the-wild/a-1.wav 0.5\nin-the-wild/b-2.wav 1.5\n"
    Path("arena.txt").write_text(text)
    assert run(capsys, "arena.txt", "--export", "speech_df_arena=again.txt")[0] == 0
    assert Path("again.txt").read_text() == text


def test_trials_of_the_key_without_a_score_stop_the_evaluation(system, capsys):
    lines = Path("theirs.txt").read_text().splitlines(keepends=True)
    Path("part.txt").write_text("".join(lines[:200]))
    status, _, err = run(capsys, "part.txt", "--key", "key.txt")
    assert status == 2 and "50 trials of phase eval in key.txt have no score" in err
    status, out, _ = run(capsys, "part.txt", "--key", "key.txt", "--allow_missing")
    assert status == 0 and "50 trials of phase eval in key.txt have no score" in out
    for verb in (["calibrate", "part.txt"], ["fuse", "part.txt", "--apply", "part.txt"]):
        asked = [*verb, "--key", "key.txt", "--output", "o.csv"]
        assert run(capsys, *asked)[0] == 2 and not Path("o.csv").exists()
        assert run(capsys, *asked, "--allow_missing")[0] == 0
        Path("o.csv").unlink()
    assert run(capsys, "own.csv", "--allow_missing")[0] == 2


def test_a_key_that_holds_none_of_the_files_stops_even_labelled_scores(system, capsys):
    Path("other.txt").write_text("x bonafide\ny spoof\n")
    status, out, err = run(capsys, "own.csv", "--key", "other.txt", "--json", "r.json")
    assert status == 2 and "other.txt holds none of the files of own.csv" in err
    assert not out and not Path("r.json").exists()


def test_lines_of_asvspoof_2019_take_the_attack_from_the_protocol(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_scores("s.csv", [1.0, 2.0], [0, 1], ["ASV19LA-LA_E_1", "ASV19LA-LA_E_2"])
    rows = [
        "ASV19LA-LA_E_1,fake,$ROOT/f/LA_E_1.flac,A07",
        "ASV19LA-LA_E_2,real,$ROOT/LA_E_2.flac,-",
    ]
    Path("t.csv").write_text("\n".join(["ID,Label,Path,Attack", *rows]) + "\n")
    status, _, err = run(capsys, "s.csv", "--export", "asvspoof2019=o.txt")
    assert status == 2 and "hold the attack: add --protocol" in err
    assert run(capsys, "s.csv", "--export", "asvspoof2019=o.txt", "--protocol", "t.csv")[0] == 0
    assert Path("o.txt").read_text() == "LA_E_1 A07 spoof 1.0\nLA_E_2 - bonafide 2.0\n"

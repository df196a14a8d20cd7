"""evaluation.py from the outside: the published table, every option, refusals, guards."""

import csv
import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from support.evaluation import normals, run, table, write_scores

from metrics import rates

ROOT = Path(__file__).resolve().parent.parent
PUBLISHED_TABLE = """\
        roc_auc  accuracy  precision  recall      f1     fpr     fnr     eer  eer_threshold
subset
all      0.9935    0.9467     0.6818  0.9375  0.7895  0.0522  0.0625  0.0611         0.2111
"""


@pytest.fixture
def rng():
    return np.random.default_rng(5)


@pytest.fixture
def world(tmp_path, rng, monkeypatch):
    """Evaluation and development scores of systems A and B over two subsets, with a protocol."""
    monkeypatch.chdir(tmp_path)
    for part in ("dev", "eval"):
        values, labels = normals(rng, 400)
        ids = [f"{'XYZ'[i % 2]}-{part}_{i:04d}" for i in range(400)]
        values = 2.5 * values + 1  # so that calibration has something to mend
        write_scores(tmp_path / f"A_{part}.csv", values, labels, ids)
        write_scores(tmp_path / f"B_{part}.csv", values + 2.5 * rng.normal(size=400), labels, ids)
        with open(tmp_path / f"{part}.csv", "w", newline="") as stream:
            writer = csv.writer(stream, lineterminator="\n")
            writer.writerow(["ID", "Label", "Path", "Attack", "Speaker", "Language"])
            for i, (key, label) in enumerate(zip(ids, labels, strict=True)):
                attack = "-" if label else f"A{i % 3:02d}"
                word = "real" if label else "fake"
                path = f"$ROOT/{key}.wav"
                writer.writerow([key, word, path, attack, f"s{i % 12}", ["EN", "FR"][i % 3 == 0]])
    (tmp_path / "A_dev.meta.json").write_text(json.dumps({"checkpoint_sha256": "ab" * 32}))
    return tmp_path


def published_scores():
    """16 real and 134 fake files with the published example's counts: at P(real) >= 0.5, 15 real
    and 7 fake are accepted; at 0.2111 (the EER's threshold) 1 real is missed and 8 fakes are
    accepted; 2130 of the 2144 pairs are in order, the only count whose AUC reads 0.9935."""
    at = rates.logit(0.2111)
    # the missed real lies below 8 fakes (8 pairs out of order), one fake above 6 real files (6)
    real = [at, *np.linspace(4, 6, 9), *np.linspace(0.6, 1.0, 6)]
    fake = [*np.linspace(-6, -2, 126), -0.5, *np.linspace(0.1, 0.5, 6), 3.0]
    return np.array(real + fake), np.repeat([1, 0], [16, 134])


def test_published_example_is_printed_to_the_digit(tmp_path, capsys):
    """The counts are fixed by the published row; a file that has them must print that row."""
    values, labels = published_scores()
    ids = [f"ASV-{i}" for i in range(150)]
    status, out, _ = run(
        capsys, write_scores(tmp_path / "s.csv", values, labels, ids), "0.5", "ASV"
    )
    header, printed = out.split("\n", 1)
    assert status == 0 and "0.5" in header
    assert printed.splitlines()[:2] == PUBLISHED_TABLE.splitlines()[:2]
    assert set(table(out)) == {"all", "ASV"}
    assert printed.splitlines()[2] == PUBLISHED_TABLE.splitlines()[2]


def test_default_prints_all_then_every_subset(tmp_path, capsys, rng):
    values, labels = normals(rng)
    ids = [f"{['b', 'a', 'c'][i % 3]}-x-{i}" for i in range(300)]
    status, out, _ = run(capsys, write_scores(tmp_path / "s.csv", values, labels, ids))
    assert status == 0 and list(table(out)) == ["all", "a", "b", "c"]
    part = np.arange(300) % 3 == 2
    assert table(out)["c"]["eer"] == round(rates.eer(values[part], labels[part]).rate, 4)
    assert len(out.splitlines()) == 1 + 2 + 4


def test_threshold_and_prefixes_are_positional(tmp_path, capsys, rng):
    values, labels = normals(rng)
    path = write_scores(tmp_path / "s.csv", values, labels, [f"{i % 2}x-{i}" for i in range(300)])
    _, out, _ = run(capsys, path, "0.9", "1x")
    assert out.startswith("Threshold on P(real)") and out.split("\n")[0].endswith(": 0.9")
    assert list(table(out)) == ["all", "1x"]
    expected = rates.confusion(values, labels, threshold=rates.logit(0.9))
    assert table(out)["all"]["accuracy"] == round(expected["accuracy"], 4)
    _, without, _ = run(capsys, path, "1x")
    assert ": 0.5" in without.split("\n")[0] and list(table(without)) == ["all", "1x"]


def test_a_prefix_is_a_subsets_name_and_may_go_on_selecting_within_it(tmp_path, capsys, rng):
    """As in the published script and the table without PREFIX; `Libri` is no part of LibriTTS."""
    values, labels = normals(rng)
    names = ["Libri-a", "LibriTTS-a", "LibriTTS-b"]
    ids = [f"{names[i % 3]}_{i}" for i in range(300)]
    path = write_scores(tmp_path / "s.csv", values, labels, ids)
    _, out, _ = run(capsys, path, "Libri", "LibriTTS", "LibriTTS-b")
    _, every, _ = run(capsys, path)
    assert list(table(out)) == ["all", "Libri", "LibriTTS", "LibriTTS-b"]
    assert [table(out)[name] for name in ("Libri", "LibriTTS")] == [
        table(every)[name] for name in ("Libri", "LibriTTS")
    ]
    part = np.arange(300) % 3 == 2
    assert table(out)["LibriTTS-b"]["eer"] == round(rates.eer(values[part], labels[part]).rate, 4)
    for absent in ("Lib", "LibriTT", "Libri-b", ""):
        status, _, err = run(capsys, path, absent)
        assert status == 2 and f"no ID is of subset {absent!r}" in err


@pytest.mark.parametrize(
    "argv, message",
    [
        (["s.csv", "2"], "probability threshold lies in [0, 1]"),
        (["s.csv", "nan"], "probability threshold lies in [0, 1]"),
        (["s.csv", "0.5", "nowhere"], "no ID is of subset 'nowhere': the subsets are SET"),
        (["none.csv"], "none.csv"),
        (["s.csv", "--metrics", "eer", "luck"], "no metric is called 'luck'"),
        (["s.csv", "--by", "Attack"], "give the file with --protocol"),
        (["s.csv", "--p_spoof", "2"], "costs must be positive"),
        (["s.csv", "--c_miss", "inf"], "costs must be positive, finite numbers"),
        (["s.csv", "--bootstrap", "-3"], "-3 reweightings are too few"),
        (["s.csv", "--export", "arena"], "expected FORMAT=PATH"),
        (["s.csv", "--export", "speech_df_arena=s.txt"], "would overwrite s.csv"),
        (["s.csv", "--export", "asvspoof5=s.csv"], "would overwrite s.csv"),
        (["s.csv", "--export", "speech_df_arena=x.csv"], "x.csv are one file"),
        (["s.csv", "--json", "."], "--json . is a folder"),
        (["s.csv", "--csv", "s.csv/r.csv"], "cannot write s.csv/r.csv (s.csv is no folder)"),
        (
            ["s.csv", "--bootstrap", "40", "--plots", "s.csv"],
            "cannot write s.csv/det.svg (s.csv is no folder)",
        ),
        (["s.csv", "--calibration", "s.csv"], "is not JSON"),
        (["s.csv", "--threshold_from", "one.csv"], "one class only"),
        (
            ["fuse", "s.csv", "s.csv", "--apply", "s.csv", "--output", "f.csv"],
            "2 development files",
        ),
        (["calibrate", "one.csv", "--output", "c.json"], "needs both classes"),
        (["calibrate", "s.csv", "--output", "c.json", "--prior", "1"], "--prior 1.0"),
        (
            ["calibrate", "s.csv", "--output", "c", "--method", "isotonic", "--prior", "0.1"],
            "--prior is for --method affine",
        ),
        (["s.csv", "--against_calibration", "c.json"], "changes nothing without --against:"),
        (["s.csv", "--threshold_rule", "eer"], "changes nothing without --threshold_from:"),
        (["s.csv", "--data_folder", "D"], "--data_folder is for"),
        (["s.csv", "--phase", "eval"], "--phase eval chooses among the trials of a --key"),
        (["s.csv", "--seed", "-1", "--bootstrap"], "--seed -1 is negative"),
    ],
)
def test_mistakes_are_one_sentence_and_status_2(tmp_path, capsys, rng, monkeypatch, argv, message):
    monkeypatch.chdir(tmp_path)
    write_scores("s.csv", *normals(rng))
    write_scores("one.csv", [0.0, 1.0], [1, 1])
    status, _, err = run(capsys, *argv)
    assert status == 2 and err.startswith("error: ") and message in err
    assert err.count("\n") == 1 and "Traceback" not in err


def test_swapped_polarity_is_pointed_out(tmp_path, capsys, rng):
    values, labels = normals(rng)
    status, out, _ = run(capsys, write_scores(tmp_path / "s.csv", -values, labels))
    assert status == 0 and "above 50 %: the polarity may be swapped" in out


def test_ties_at_the_crossing_are_pointed_out(tmp_path, capsys):
    path = write_scores(tmp_path / "s.csv", [0, 1, 1, 1, 2, 2], [0, 0, 0, 1, 1, 1])
    _, out, _ = run(capsys, path)
    assert "1 real and 2 fake files share the score" in out


@pytest.mark.parametrize("label, given", [(1, "recall"), (0, "fpr")])
def test_one_class_is_evaluated_as_far_as_it_goes(tmp_path, capsys, label, given):
    path = write_scores(tmp_path / "s.csv", [-1.0, 1.0, 2.0], [label] * 3)
    status, out, _ = run(capsys, path, "--json", tmp_path / "r.json")
    assert status == 0 and "NaN" in out and "need both classes are NaN" in out
    figures = json.loads((tmp_path / "r.json").read_text())["subsets"][0]["figures"]
    assert figures["eer"] is None and figures[given] == pytest.approx(2 / 3)


def test_an_interval_without_an_error_to_draw_is_explained(tmp_path, capsys):
    path = write_scores(tmp_path / "s.csv", np.arange(40.0), np.repeat([0, 1], [10, 30]))
    _, out, _ = run(capsys, path, "--bootstrap", 40, "--metrics", "eer")
    assert "[0.0000, 0.0000]" not in out
    assert "where 10 files of the smaller class without an error are still likely" in out
    assert "no error was seen" not in run(capsys, path)[1]


def test_unlabelled_rows_are_left_out_and_counted(tmp_path, capsys, rng):
    values, labels = normals(rng)
    plain = run(capsys, write_scores(tmp_path / "s.csv", values, labels))[1]
    mixed = [*labels, "-", ""]
    path = write_scores(tmp_path / "t.csv", [*values, 9.0, 9.0], mixed)
    _, out, _ = run(capsys, path)
    assert table(out)["all"] == table(plain)["all"] and "2 rows of" in out


def test_every_figure_goes_into_the_json(world, capsys):
    status, out, _ = run(
        capsys, "A_eval.csv", "--bootstrap", 40, "--metrics", "all", "--json", "r.json"
    )
    found = json.loads(Path("r.json").read_text())
    assert status == 0 and found["format"] == "antideepfake-evaluation-1"
    assert found["command"].startswith("python evaluation.py A_eval.csv")
    assert found["setting"]["bootstrap"] == {
        "replicates": 40, "seed": 0, "confidence": 0.95, "cluster": None,
    }  # fmt: skip
    row = found["subsets"][0]
    assert set(row["intervals"]) == set(row["figures"])
    assert row["intervals"]["eer"][0] <= row["figures"]["eer"] <= row["intervals"]["eer"][1]
    assert len(found["worst"]["real"]) == len(found["worst"]["fake"]) == 20
    assert found["averages"]["macro"]["eer"] == pytest.approx(
        np.mean([each["figures"]["eer"] for each in found["subsets"][1:]])
    )
    assert found["averages"]["pooled"]["eer"] == row["figures"]["eer"]


def test_same_seed_prints_the_same(world, capsys):
    first = run(capsys, "A_eval.csv", "--bootstrap", 40, "--seed", 3)[1]
    assert first == run(capsys, "A_eval.csv", "--bootstrap", 40, "--seed", 3)[1]
    assert first != run(capsys, "A_eval.csv", "--bootstrap", 40, "--seed", 4)[1]


def test_slices_measure_each_attack_against_all_real_of_its_subset(world, capsys):
    options = ["--protocol", "eval.csv", "--by", "Attack", "Language", "--bootstrap", 40]
    status, out, _ = run(capsys, "A_eval.csv", *options, "--json", "r.json")
    slices = json.loads(Path("r.json").read_text())["slices"]
    rows = slices["Attack"]["rows"]
    assert status == 0 and len(rows) == 6 and "worst EER first" in out
    eers = [row["figures"]["eer"] for row in rows]
    assert eers == sorted(eers, reverse=True)
    reals = {row["subset"]: row["real"] for row in rows}
    with open("A_eval.csv") as stream:
        labels = [(key[0], label) for key, _, label in list(csv.reader(stream))[1:]]
    assert reals == {name: labels.count((name, "1")) for name in "XY"}
    assert {row["real_from"] for row in rows} == {"all of subset"}
    assert {row["real_from"] for row in slices["Language"]["rows"]} == {"own"}
    assert slices["Attack"]["averages"]["macro"]["eer"] == pytest.approx(np.mean(eers))
    assert "pooled" in out and "macro" in out


def test_ids_missing_in_the_protocol_are_named_with_their_lines(world, capsys):
    lines = Path("eval.csv").read_text().splitlines()
    Path("short.csv").write_text("\n".join(lines[:5] + lines[7:]) + "\n")
    status, _, err = run(capsys, "A_eval.csv", "--protocol", "short.csv", "--by", "Attack")
    assert status == 2 and "'X-eval_0004' (line 6), 'Y-eval_0005' (line 7) not in short.csv" in err


def test_protocol_that_disagrees_on_labels_is_refused(world, capsys):
    text = Path("eval.csv").read_text()
    line = text.splitlines()[3]
    other = line.replace("real", "?").replace("fake", "real").replace("?", "fake")
    Path("wrong.csv").write_text(text.replace(line, other))
    status, _, err = run(capsys, "A_eval.csv", "--protocol", "wrong.csv", "--by", "Attack")
    assert status == 2 and "disagree on the Label of 'X-eval_0002' (line 4)" in err


def test_clusters_come_from_the_protocol(world, capsys):
    options = ["--protocol", "eval.csv", "--bootstrap", 40, "--metrics", "eer"]
    clustered = run(capsys, "A_eval.csv", *options, "--cluster", "Speaker")[1]
    assert "whole groups by Speaker" in clustered
    assert clustered != run(capsys, "A_eval.csv", *options)[1]


def test_two_systems_are_compared_in_pairs(world, capsys):
    status, out, _ = run(
        capsys, "A_eval.csv", "--against", "B_eval.csv", "--bootstrap", 200, "--json", "r.json"
    )
    rows = json.loads(Path("r.json").read_text())["against"]["subsets"]
    everything = rows[0]["differences"]["eer"]
    assert status == 0 and everything["difference"] < 0  # B is A with noise
    assert everything["difference"] == pytest.approx(everything["a"] - everything["b"])
    assert everything["interval"][0] < everything["difference"] < everything["interval"][1]
    assert rows[0]["delong"]["p_value"] < 0.01 and "p_holm" not in rows[0]["delong"]
    assert all(row["delong"]["p_holm"] >= row["delong"]["p_value"] for row in rows[1:])
    assert "holm_mcnemar" in out


def test_systems_over_different_files_are_refused(world, capsys):
    text = Path("B_eval.csv").read_text().splitlines()
    Path("B_short.csv").write_text("\n".join(text[:-1]) + "\n")
    status, _, err = run(capsys, "A_eval.csv", "--against", "B_short.csv")
    assert status == 2 and "A_eval.csv holds 'Y-eval_0399', which B_short.csv does not" in err


@pytest.mark.parametrize("rule", ["eer", "min_dcf"])
def test_a_carried_over_threshold_makes_there_the_errors_it_was_chosen_for(world, capsys, rule):
    options = ["--threshold_rule", rule, "--json", "r.json"]
    run(capsys, "A_dev.csv", "--threshold_from", "A_dev.csv", *options)
    found = json.loads(Path("r.json").read_text())
    here = found["threshold_transfer"]["subsets"][0]["figures"]
    own = found["subsets"][0]["figures"]
    if rule == "eer":
        assert here["hter"] == pytest.approx(own["eer"])
    else:
        assert here["dcf"] == pytest.approx(own["min_dcf"])
    run(capsys, "A_eval.csv", "--threshold_from", "A_dev.csv", *options)
    there = json.loads(Path("r.json").read_text())["threshold_transfer"]
    assert there["threshold"] == found["threshold_transfer"]["threshold"]
    assert there["subsets"][0]["figures"] != here


@pytest.mark.parametrize("method", ["affine", "isotonic"])
def test_calibration_is_fitted_on_one_set_and_applied_to_another(world, capsys, method):
    status, out, _ = run(
        capsys, "calibrate", "A_dev.csv", "--output", "cal.json", "--method", method
    )
    assert status == 0 and "Cllr" in out
    saved = json.loads(Path("cal.json").read_text())
    assert saved["checkpoint_sha256"] == "ab" * 32
    assert saved["meta"]["cllr_after"] < saved["meta"]["cllr_before"]
    _, out, _ = run(capsys, "A_eval.csv", "--calibration", "cal.json", "--json", "r.json")
    found = json.loads(Path("r.json").read_text())
    assert found["calibration"]["cllr_after"] < found["calibration"]["cllr_before"]
    assert found["subsets"][0]["figures"]["cllr"] == found["calibration"]["cllr_after"]
    assert "at prior 0.5" in out


def test_calibration_of_another_checkpoint_is_refused(world, capsys):
    run(capsys, "calibrate", "A_dev.csv", "--output", "cal.json")
    Path("A_eval.meta.json").write_text(json.dumps({"checkpoint_sha256": "cd" * 32}))
    status, _, err = run(capsys, "A_eval.csv", "--calibration", "cal.json")
    assert status == 2 and "same checkpoint" in err


def test_each_system_has_its_own_calibration(world, capsys):
    run(capsys, "calibrate", "A_dev.csv", "--output", "a.json")
    run(capsys, "calibrate", "B_dev.csv", "--output", "b.json")
    options = ["--against", "B_eval.csv", "--bootstrap", 40, "--calibration", "a.json"]
    _, plain, _ = run(capsys, "A_eval.csv", *options)
    assert "B's scores are taken as they are" in plain
    _, both, _ = run(capsys, "A_eval.csv", *options, "--against_calibration", "b.json")
    assert "B's scores" not in both and both != plain


def test_a_subset_called_all_does_not_hide_the_row_of_all_files(tmp_path, capsys, rng):
    ids = [f"{['all', 'other'][i % 2]}-{i}" for i in range(300)]
    _, out, _ = run(capsys, write_scores(tmp_path / "s.csv", *normals(rng), ids))
    first = [line.split("  ")[0] for line in out.splitlines()[3:]]
    assert first == ["all", "all (subset)", "other"]


def test_a_prefix_called_all_does_not_hide_the_row_of_all_files(tmp_path, capsys, rng):
    values, labels = normals(rng)
    ids = [f"{['all', 'other'][i % 2]}-{i}" for i in range(300)]
    path = write_scores(tmp_path / "s.csv", values, labels, ids)
    found = run(capsys, path, "all", "--bootstrap", 0, "--json", tmp_path / "r.json")
    rows = json.loads((tmp_path / "r.json").read_text())["subsets"]
    assert found[0] == 0 and [row["subset"] for row in rows] == ["all", "all (subset)"]
    assert [row["files"] for row in rows] == [300, 150]


def test_ids_without_a_hyphen_form_no_subsets(tmp_path, capsys, rng):
    values, labels = normals(rng, 12)
    path = write_scores(tmp_path / "s.csv", values, labels, [f"LA_E_{i}" for i in range(12)])
    _, out, _ = run(capsys, path)
    assert list(table(out)) == ["all"] and out.count("note: ") == 1
    assert "IDs have no subset prefix (text before a hyphen)" in out
    ids = [f"{'XY'[i % 2]}-{i}" for i in range(9)] + ["one", "two", "three"]
    _, out, _ = run(capsys, write_scores(tmp_path / "s.csv", values, labels, ids))
    assert list(table(out)) == ["all", "X", "Y"]
    assert "3 IDs have no subset prefix" in out


def test_averages_count_what_they_are_means_of(tmp_path, capsys, rng):
    values, labels = normals(rng)
    ids = [f"{'XYZ'[i % 3]}-{i}" for i in range(300)]
    labels[2::3] = 1  # no fake in Z: no EER there, but a recall
    path = write_scores(tmp_path / "s.csv", values, labels, ids)
    outputs = ["--json", tmp_path / "r.json", "--report", tmp_path / "r.html"]
    run(capsys, path, "--bootstrap", 0, *outputs)
    found = json.loads((tmp_path / "r.json").read_text())
    rows = found["averages"]["rows"], found["averages"]["left_out"]
    assert [part["eer"] for part in rows] == [2, 1] and [part["recall"] for part in rows] == [3, 0]
    page = (tmp_path / "r.html").read_text()
    assert "subsets, " in page and "without an EER left out" in page


def test_pooled_and_macro_are_over_the_same_files(tmp_path, capsys, rng):
    values, labels = normals(rng)
    ids = [f"{'XYZ'[i % 3]}-{i}" for i in range(300)]
    protocol = ["ID,Label,Attack"]
    protocol += [f"{key},{['fake', 'real'][k]},A1" for key, k in zip(ids, labels, strict=True)]
    (tmp_path / "t.csv").write_text("\n".join(protocol) + "\n")
    options = ["--protocol", tmp_path / "t.csv", "--by", "Attack", "--json", tmp_path / "r.json"]
    path = write_scores(tmp_path / "s.csv", values, labels, ids)
    status, out, _ = run(capsys, path, "0.5", "X", "Y", "--bootstrap", 0, *options)
    part = np.arange(300) % 3 < 2
    expected = rates.eer(values[part], labels[part]).rate
    found = json.loads((tmp_path / "r.json").read_text())
    assert found["averages"]["pooled"]["eer"] == pytest.approx(expected)
    assert found["slices"]["Attack"]["averages"]["pooled"]["eer"] == pytest.approx(expected)
    assert status == 0 and found["subsets"][0]["figures"]["eer"] != pytest.approx(expected)


def test_slices_without_an_eer_are_said_to_be_left_out_of_the_mean(tmp_path, capsys, rng):
    values, labels = normals(rng)
    labels[2::3] = 1
    ids = [f"{'XYZ'[i % 3]}-{i}" for i in range(300)]
    protocol = ["ID,Label,Attack"]
    protocol += [f"{key},{['fake', 'real'][k]},A1" for key, k in zip(ids, labels, strict=True)]
    (tmp_path / "t.csv").write_text("\n".join(protocol) + "\n")
    path = write_scores(tmp_path / "s.csv", values, labels, ids)
    options = ["--protocol", tmp_path / "t.csv", "--by", "Attack", "--bootstrap", 0]
    _, out, _ = run(capsys, path, *options)
    assert "(mean of the 2 slices, 1 without an EER left out)" in out


def test_a_closed_screen_ends_the_command_quietly_with_its_files_written(tmp_path, rng):
    path = write_scores(tmp_path / "s.csv", *normals(rng))
    argv = [sys.executable, "evaluation.py", path, "--csv", str(tmp_path / "r.csv")]
    argv += ["--bootstrap", "0"]
    process = subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.close()
    assert process.stderr.read() == b"" and process.wait() == 141
    process.stderr.close()
    assert (tmp_path / "r.csv").exists()


def test_unknown_checkpoint_is_said(world, capsys):
    _, out, _ = run(capsys, "calibrate", "B_dev.csv", "--output", "cal.json")
    assert "no B_dev.meta.json: the checkpoint is not recorded" in out
    assert json.loads(Path("cal.json").read_text())["checkpoint_sha256"] is None


def test_separable_development_set_is_pointed_out(tmp_path, capsys):
    path = write_scores(tmp_path / "s.csv", np.arange(20.0), np.repeat([0, 1], 10))
    _, out, _ = run(capsys, "calibrate", path, "--output", tmp_path / "c.json")
    assert "how steep the map is, is a convention" in out


def test_tables_hold_the_same_figures(world, capsys):
    names = ["--csv", "r.csv", "--markdown", "r.md", "--latex", "r.tex", "--json", "r.json"]
    run(capsys, "A_eval.csv", "--bootstrap", 40, "--metrics", "eer", "roc_auc", *names)
    row = json.loads(Path("r.json").read_text())["subsets"][1]
    eer, (low, high) = row["figures"]["eer"], row["intervals"]["eer"]
    with open("r.csv", newline="") as stream:
        cells = list(csv.DictReader(stream))[1]
    assert cells["subset"] == "X" and float(cells["eer"]) == eer
    assert float(cells["eer_low"]) == low and float(cells["eer_high"]) == high
    cell = f"{eer:.4f} [{low:.4f}, {high:.4f}]"
    markdown = Path("r.md").read_text().splitlines()
    assert markdown[0].startswith("| subset | files | real | fake | eer |") and cell in markdown[3]
    latex = Path("r.tex").read_text()
    assert cell in latex and r"roc\_auc" in latex and r"\midrule" in latex


def test_report_of_one_class_is_made_without_curves(tmp_path, capsys):
    path = write_scores(tmp_path / "s.csv", [-1.0, 1.0, 2.0], [1, 1, 1])
    status, _, _ = run(capsys, path, "--bootstrap", 40, "--report", tmp_path / "r.html")
    page = (tmp_path / "r.html").read_text()
    assert status == 0 and "need both classes" in page and "NaN" in page


def test_markup_in_an_id_stays_text(tmp_path, capsys):
    ids = ["<script>alert(1)</script>-1", "</script>-2", "a-3", "a-4"]
    path = write_scores(tmp_path / "s.csv", [-1.0, 1.0, 2.0, 0.0], [1, 0, 1, 0], ids)
    run(capsys, path, "--bootstrap", 40, "--report", tmp_path / "r.html")
    page = (tmp_path / "r.html").read_text()
    assert "<script>alert" not in page and page.count("</script>") == 1


def test_plots_are_written_as_svg_and_pdf(world, capsys):
    run(capsys, "A_eval.csv", "--bootstrap", 40, "--plots", "plots")
    names = {path.name for path in Path("plots").iterdir()}
    kinds = ("det", "roc", "histogram", "reliability", "cost", "subsets")
    assert names == {f"{kind}.{end}" for kind in kinds for end in ("svg", "pdf")}
    assert Path("plots/det.pdf").read_bytes().startswith(b"%PDF")
    assert "var(--" not in Path("plots/det.svg").read_text()


def test_exports_are_read_back_to_the_same_figures(world, capsys):
    _, plain, _ = run(capsys, "A_eval.csv", "--metrics", "eer", "roc_auc", "cllr")
    exports = ["asvspoof5=a5.tsv", "speech_df_arena=arena.txt", "speech_spoof_bench=scores.txt"]
    run(capsys, "A_eval.csv", "--export", *exports)
    assert Path("a5.tsv").read_text().startswith("filename\tcm-score\neval_0000\t")
    for name in ("a5.tsv", "arena.txt", "scores.txt"):
        _, out, _ = run(capsys, name, "--key", "arena.csv", "--metrics", "eer", "roc_auc", "cllr")
        assert table(out)["all"] == table(plain)["all"]


def test_arena_export_uses_the_protocols_paths(world, capsys):
    run(
        capsys, "A_eval.csv", "--protocol", "eval.csv", "--data_folder", "/data",
        "--export", "speech_df_arena=arena.txt",
    )  # fmt: skip
    assert Path("arena.txt").read_text().startswith("/data/X-eval_0000.wav ")
    assert Path("arena.csv").read_text().startswith("file_name,label\n/data/X-eval_0000.wav,")


def test_help_is_quick_and_imports_nothing_heavy():
    code = (
        "import sys, evaluation\n"
        "try: evaluation.main(['--help'])\n"
        "except SystemExit: pass\n"
        "print(sorted({'numpy', 'pandas', 'matplotlib', 'sklearn', 'torch'} & set(sys.modules)))"
    )
    start = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert time.perf_counter() - start < 5  # under 1 s on an idle machine: see benchmarks
    assert done.stdout.strip().endswith("[]") and "--report" in done.stdout


def test_default_table_needs_neither_pandas_nor_matplotlib_nor_scipy(tmp_path, rng):
    path = write_scores(tmp_path / "s.csv", *normals(rng))
    heavy = ["pandas", "matplotlib", "sklearn", "torch", "scipy"]
    code = (
        f"import sys, evaluation; evaluation.main([{path!r}])\n"
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.strip().endswith("[]"), done.stderr

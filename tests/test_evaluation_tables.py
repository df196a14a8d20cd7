"""Slices and a second system go into every file; what is left out is said; odd names and scores."""

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest
from support.evaluation import normals, run, table, write_scores

from dataio.scores import read_scores
from metrics import plots, rates
from metrics.report import page
from tests.metrics.example_scores import write_example


@pytest.fixture
def world(tmp_path, monkeypatch):
    """A and B over two subsets, 3 attacks, a protocol."""
    monkeypatch.chdir(tmp_path)
    values, labels = normals(np.random.default_rng(5), 240)
    ids = [f"{'XY'[i % 2]}-{i}" for i in range(240)]
    write_scores("A.csv", values, labels, ids)
    write_scores("B.csv", values + np.random.default_rng(6).normal(size=240), labels, ids)
    write_protocol(ids, labels, lambda i: f"A{i % 3}")
    return values, labels


def write_protocol(ids, labels, attack):
    with open("t.csv", "w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["ID", "Label", "Attack"])
        for i, (key, label) in enumerate(zip(ids, labels, strict=True)):
            writer.writerow([key, ["fake", "real"][label], "-" if label else attack(i)])


FILES = ["--json", "r.json", "--csv", "r.csv", "--markdown", "r.md", "--latex", "r.tex"]
ASKED = ["--protocol", "t.csv", "--by", "Attack", "--against", "B.csv", "--bootstrap", "40"]


def test_slices_and_the_comparison_are_in_every_file(world, capsys):
    assert run(capsys, "A.csv", *ASKED, *FILES)[0] == 0
    found = json.loads(Path("r.json").read_text())
    with open("r.csv", newline="") as stream:
        rows = list(csv.DictReader(stream))
    slices = found["slices"]["Attack"]["rows"]
    subsets, parts = [r for r in rows if not r["column"]], [r for r in rows if r["column"]]
    assert [(r["subset"], r["value"]) for r in parts] == [(s["subset"], s["value"]) for s in slices]
    for row, part in zip(parts, slices, strict=True):
        assert float(row["eer"]) == part["figures"]["eer"] and row["column"] == "Attack"
        assert float(row["eer_high"]) == part["intervals"]["eer"][1] and row["min_dcf"] == ""
    for row, other in zip(subsets, found["against"]["subsets"], strict=True):
        assert row["subset"] == other["subset"]
        eer = other["differences"]["eer"]
        assert float(row["eer_difference"]) == eer["difference"]
        assert float(row["eer_difference_low"]) == eer["interval"][0]
        assert float(row["p_delong"]) == other["delong"]["p_value"]
    for text in (Path("r.md").read_text(), Path("r.tex").read_text()):
        assert "By Attack, worst EER first" in text and "A = A.csv, B = B.csv" in text
        assert f"{slices[0]['figures']['eer']:.4f} [" in text
        eer = found["against"]["subsets"][0]["differences"]["eer"]
        assert f"{eer['difference']:+.4f} [" in text
    assert Path("r.tex").read_text().count(r"\begin{tabular}") == 3


def test_a_csv_without_slices_is_what_it_was(world, capsys):
    assert run(capsys, "A.csv", "--csv", "r.csv")[0] == 0
    header = Path("r.csv").read_text().splitlines()[0]
    assert header.startswith("subset,files,real,fake,roc_auc,accuracy") and "value" not in header


def test_slices_that_are_not_shown_are_counted(world, capsys):
    _, labels = world
    write_protocol([f"{'XY'[i % 2]}-{i}" for i in range(240)], labels, lambda i: f"attack{i}")
    options = ["--protocol", "t.csv", "--by", "Attack", "--bootstrap", "0", "--json", "r.json"]
    _, out, _ = run(capsys, "A.csv", *options)
    count = int((labels == 0).sum())
    assert f"... and {count - 40} more: --csv and --json have them all" in out
    found = json.loads(Path("r.json").read_text())
    text = page(found)
    assert f"EER (%), 40 of {count}" in text
    assert f"the worst 60 of {count} slices" in re.sub("<[^>]*>", "", text)


def test_bars_of_names_alike_at_the_head_are_told_apart():
    names = [f"tts_models_multilingual_multi-dataset_{tail}" for tail in ("bark", "xtts_v2")]
    rows = [{"subset": name, "figures": {"eer": 0.1}} for name in names]
    text = plots.svg(plots._bars(rows), "subsets")
    assert "bark</text>" in text and "xtts_v2</text>" in text


def test_both_systems_curves_are_drawn(world, capsys):
    assert run(capsys, "A.csv", *ASKED, "--json", "r.json")[0] == 0
    found = json.loads(Path("r.json").read_text())
    alone = {**found, "against": {**found["against"], "error": None}}
    for name in ("det", "roc"):
        both, one = (plots.svg(plots.drawable(part)[name], name) for part in (found, alone))
        assert ">B</text>" in both and ">B</text>" not in one
        assert both.count("<path") > one.count("<path")


def test_the_threshold_of_large_logits_is_given_as_a_score(world, capsys):
    values, labels = world
    write_scores("big.csv", 60 * values + 400, labels)
    _, out, _ = run(capsys, "big.csv", "--metrics", "eer_threshold", "eer_threshold_score")
    row = table(out)["all"]
    expected = rates.eer(60 * values + 400, labels).threshold
    assert row["eer_threshold"] == 1.0 and row["eer_threshold_score"] == round(expected, 4)
    run(capsys, "big.csv", "--json", "r.json")
    figures = json.loads(Path("r.json").read_text())["subsets"][0]["figures"]
    assert figures["eer_threshold_score"] == pytest.approx(expected)


@pytest.mark.parametrize("asked", [["1"], ["38"], ["200", "--confidence", "0.995"]])
def test_too_few_reweightings_for_an_interval_are_refused(world, capsys, asked):
    status, _, err = run(capsys, "A.csv", "--bootstrap", *asked)
    assert status == 2 and f"{asked[0]} reweightings are too few for an interval" in err
    assert "give 1000, or 0 for none" in err


def test_a_newline_in_an_id_is_read_and_breaks_no_table(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    values, labels = normals(np.random.default_rng(1), 60)
    ids = [f"S\nT-{i}\nx" for i in range(60)]
    write_scores("s.csv", values, labels, ids)
    assert read_scores("s.csv").ids.tolist() == ids
    status, out, _ = run(capsys, "s.csv", *FILES, "--report", "r.html")
    assert status == 0 and out.splitlines()[4].startswith("S")
    assert len(Path("r.md").read_text().splitlines()) == 4
    assert "S T &" in Path("r.tex").read_text()
    lines = Path("s.csv").read_text().replace('"S\nT-30\nx"', '"S\nT-31\nx"')
    Path("twice.csv").write_text(lines)
    status, _, err = run(capsys, "twice.csv")
    assert status == 2 and "duplicate ID in line " in err and err.count("\n") == 1
    status, _, err = run(capsys, "s.csv", "--export", "asvspoof5=x.tsv")
    assert status == 2 and "has a space" in err and err.count("\n") == 1


def test_the_example_systems_come_from_two_checkpoints(tmp_path):
    write_example(tmp_path)
    hashes = {
        name: json.loads((tmp_path / f"{name}.meta.json").read_text())["checkpoint_sha256"]
        for name in ("A", "A_dev", "B", "B_dev")
    }
    assert hashes["A"] == hashes["A_dev"] != hashes["B"] == hashes["B_dev"]

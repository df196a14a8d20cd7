"""evaluation.py on the manual's example: groups, slices with little data, awkward names."""

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest

import evaluation
from tests.metrics.example_scores import write_example
from tests.test_evaluation import write_scores


@pytest.fixture(scope="module")
def example(tmp_path_factory):
    folder = tmp_path_factory.mktemp("example")
    write_example(folder)
    return folder


@pytest.fixture
def run(example, tmp_path, monkeypatch, capsys):
    """Runs evaluation.py on A.csv, with its protocol; gives the screen and the JSON."""
    monkeypatch.chdir(example)

    def run(*words):
        command = ["A.csv", "--protocol", "T.csv", *words, "--json", str(tmp_path / "r.json")]
        assert evaluation.main(command) == 0
        return capsys.readouterr().out, json.loads((tmp_path / "r.json").read_text())

    return run


def protocol_with(example, target, **columns):
    """T.csv with columns made from its rows; a name may be anything."""
    with open(example / "T.csv", newline="") as stream:
        rows = list(csv.DictReader(stream))
    for row in rows:
        row |= {name: of(row) for name, of in columns.items()}
    with open(target, "w", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return str(target)


def test_numbers_of_groups_are_shown(run):
    out, found = run("--bootstrap", "40", "--cluster", "Speaker", "--metrics", "eer")
    assert found["subsets"][0]["groups"] == {"real": 20, "fake": 20}
    assert re.search(r"real_groups +fake_groups\n", out) and re.search(r"\] +20 +20\n", out)


def test_one_group_has_no_interval_and_says_so(run, example, tmp_path):
    one = protocol_with(example, tmp_path / "one.csv", One=lambda row: "x")
    options = ["--cluster", "One", "--bootstrap", "40", "--metrics", "eer", "--protocol", one]
    out, found = run(*options)
    assert "[NaN, NaN]" in out and found["subsets"][0]["intervals"]["eer"] == [None, None]
    assert "note: all: one group holds all real and fake files" in out


def test_slices_by_what_is_drawn_have_no_interval(run):
    out, found = run("--by", "Attack", "--cluster", "Attack", "--bootstrap", "40")
    rows = found["slices"]["Attack"]["rows"]
    assert all(row["groups"]["fake"] == 1 for row in rows)
    assert all(row["intervals"]["eer"] == [None, None] for row in rows)
    assert all("one group holds all fake files" in row["notes"][-1] for row in rows)
    assert out.count("one group holds all fake files") == 5 and "7 more slices have such" in out


def test_tests_of_two_systems_follow_the_groups(run):
    alone = run("--against", "B.csv", "--bootstrap", "0")[1]["against"]
    out, found = run("--against", "B.csv", "--bootstrap", "0", "--cluster", "Speaker")
    grouped = found["against"]
    assert "DeLong's and McNemar's tests over whole groups by Speaker" in out
    assert alone["cluster"] is None and grouped["cluster"] == "Speaker"
    for test in ("delong", "mcnemar"):
        pair = [each["subsets"][0][test] for each in (alone, grouped)]
        assert pair[0]["difference"] == pair[1]["difference"]
        assert pair[0]["p_value"] != pair[1]["p_value"]


def test_intervals_of_a_comparison_are_those_that_were_asked_for(run):
    out, found = run("--against", "B.csv", "--bootstrap", "0")
    assert found["setting"]["bootstrap"] is None and "paired intervals" not in out
    assert "interval" not in found["against"]["subsets"][0]["differences"]["eer"]
    plan = ["--bootstrap", "50", "--against", "B.csv"]
    drawn = [
        run(*plan, *more)[1]["against"]["subsets"][0]["differences"]["eer"]["interval"]
        for more in ([], ["--seed", "1"], ["--confidence", "0.5"])
    ]
    assert drawn[0] != drawn[1] and drawn[2][1] - drawn[2][0] < drawn[0][1] - drawn[0][0]


def test_slices_without_errors_and_in_the_wrong_order_are_pointed_out(tmp_path, capsys):
    """Attack A1 lies below all real files, A2 above all but one, and A3 is a single file."""
    values = [*np.linspace(1, 2, 20), *np.linspace(-2, -1, 15), *np.linspace(1.96, 3, 24), 1.5]
    labels = np.repeat([1, 0], [20, 40])
    path = write_scores(tmp_path / "s.csv", values, labels)
    attacks = ["-"] * 20 + ["A1"] * 15 + ["A2"] * 24 + ["A3"]
    lines = [f"SET-{i:04d},{'fake' if a != '-' else 'real'},{a}" for i, a in enumerate(attacks)]
    (tmp_path / "p.csv").write_text("\n".join(["ID,Label,Attack", *lines]) + "\n")
    options = ["--protocol", str(tmp_path / "p.csv"), "--by", "Attack", "--bootstrap", "40"]
    report = ["--report", str(tmp_path / "r.html")]
    assert evaluation.main([path, *options, *report]) == 0
    out, page = capsys.readouterr().out, (tmp_path / "r.html").read_text()
    assert "[0.0000, 0.0000]" not in out
    for text in (out, page):
        assert "Attack A1 of SET: one threshold parts the classes" in text
        assert re.search(r"A2 of SET: the EER is 9\d\.\d%, above 50 %: real files score", text)
        assert "Attack A3 of SET: one file holds all fake files" in text


def test_bars_have_the_intervals_there_are():
    from matplotlib.figure import Figure

    from metrics.plots import eer_bars

    rows = [{"figures": {"eer": 0.1}, "intervals": {"eer": [0.05, 0.2]}}]
    rows += [
        {"figures": {"eer": 0.3}, "intervals": {"eer": [None, None]}},
        {"figures": {"eer": 0.2}},
    ]
    axes = Figure().add_subplot()
    eer_bars(axes, rows, ["a", "b", "c"])
    drawn = [line for line in axes.collections[0].get_segments() if len(line)]
    assert len(drawn) == 1 and drawn[0][:, 0] == pytest.approx([5, 20])


def test_columns_and_names_may_hold_any_sign(run, example, tmp_path):
    signs = {"A01": "a$b$_{^c}", "A02": "$x", "A03": "<b>&amp;|", "A04": "100 % #1"}
    awkward = protocol_with(
        example, tmp_path / "p.csv",
        **{"x/y": lambda row: signs.get(row["Attack"], row["Attack"]), "~1": lambda row: "one"},
    )  # fmt: skip
    report, plots = tmp_path / "r.html", tmp_path / "plots"
    options = ["--protocol", awkward, "--by", "x/y", "~1", "--bootstrap", "40"]
    _, found = run(*options, "--report", str(report), "--plots", str(plots))
    assert {"by_x%2Fy.svg", "by_x%2Fy.pdf", "by_~1.svg"} <= {p.name for p in plots.iterdir()}
    page = report.read_text()
    assert 'data-field="slices/x~1y/rows/0/figures/eer"' in page
    assert 'data-field="slices/~01/rows/0/figures/eer"' in page
    assert "<b>&" not in page.split('<script type="application/json"')[0]
    drawn = (plots / "by_x%2Fy.svg").read_text()
    assert "a$b$_{^c}" in drawn and "&lt;b&gt;&amp;amp;|" in drawn
    assert Path(report).stat().st_size > 100_000 and len(found["slices"]["x/y"]["rows"]) == 12

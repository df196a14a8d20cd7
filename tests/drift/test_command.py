"""python -m drift from outside: exit codes, outputs, refusals; and its report in a browser."""

from __future__ import annotations

import csv
import html
import json
import re
import resource
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from support.drift_world import META, World
from support.needs import find_chromium

from dataio.locks import sole_writer
from dataio.schema import COLUMNS
from drift.__main__ import main

WORLD = World(12)


def write(folder, sample, name):
    """The .npz that main.py analysis would write, and its protocol with a Date column."""
    np.savez(
        folder / f"{name}.npz",
        ids=sample.ids,
        labels=sample.labels.astype(np.int64),
        logits=sample.logits.astype(np.float32),
        embeddings=sample.embeddings,
        meta=np.array(json.dumps(sample.meta)),
    )
    days = np.datetime64("2026-11-01") + np.arange(len(sample)) // 40
    with (folder / f"{name}.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow([*COLUMNS, "Date"])
        for row, identifier in enumerate(sample.ids):
            attack = sample.columns["Attack"][row]
            label = "real" if sample.labels[row] == 1 else "fake"
            writer.writerow(
                [identifier, label, 2.5 + row % 7, 16000, "$ROOT/a.wav", attack, f"s{row % 25}",
                 "-", 1, "PCM_S", 16, "EN" if row % 2 else "FR", days[row]]
            )  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("drift")
    rng = np.random.default_rng(2)
    write(folder, WORLD.draw(600, rng, name="ref"), "ref")
    write(folder, WORLD.draw(240, rng, name="same"), "same")
    write(folder, WORLD.draw(240, rng, name="new", new_share=0.4, shift=0.5), "new")
    write(folder, WORLD.draw(12, rng, name="few"), "few")
    other = replace(WORLD.draw(60, rng, name="other"), meta={**META, "checkpoint_sha256": "00"})
    write(folder, other, "other")
    columns = ["--protocol", str(folder / "ref.csv"), "--by", "Attack", "Language"]
    assert run(folder, "fit", "ref.npz", "--output", folder / "ref.drift.npz", *columns) == 0
    return folder


def run(folder, verb, first, *rest):
    words = [verb, str(folder / first), *map(str, rest)]
    return main(words)


def compare(folder, name, *rest):
    return run(folder, "compare", "ref.drift.npz", folder / f"{name}.npz", *rest)


def test_two_fits_do_not_write_one_reference(folder, capsys):
    output = folder / "locked.drift.npz"
    with sole_writer(output):
        assert run(folder, "fit", "ref.npz", "--output", output) == 2
    assert "locked.drift.npz is being written by process" in capsys.readouterr().err
    assert not output.exists() and not list(folder.glob("*.lock"))


def test_fit_prints_what_windows_show_by_chance(folder, capsys):
    run(folder, "fit", "ref.npz", "--output", folder / "again.drift.npz")
    told = capsys.readouterr().out
    assert "600 rows of 12 dimensions; 200 fixed the scale, 400 are compared" in told
    assert re.search(r"^100\s+300\s+w1\s", told, re.M)


def test_unchanged_embeddings_exit_0_and_drifted_ones_1(folder, capsys):
    assert compare(folder, "same") == 0
    assert capsys.readouterr().out.startswith("OK: p = ")
    assert compare(folder, "new") == 1
    told = capsys.readouterr().out
    assert told.startswith("ALARM: p = 0.004975 over w1, mmd, score")
    assert re.search(r"^w1 +alarm ", told, re.M)


def test_fail_on_never_exits_0_and_too_little_data_3(folder):
    assert compare(folder, "new", "--fail-on", "never") == 0
    assert compare(folder, "few") == 3


def test_fail_on_warn_counts_a_warning(folder, monkeypatch):
    from drift import comparison

    monkeypatch.setattr(comparison, "status_of", lambda p, alpha: "warn")
    assert compare(folder, "same", "--fail-on", "warn") == 1
    assert compare(folder, "same", "--fail-on", "alarm") == 0


def test_json_is_strict_and_carries_schema_seeds_and_sizes(folder):
    path = folder / "out.json"
    assert compare(folder, "new", "--protocol", folder / "new.csv", "--by", "Attack", "Language",
                   "--window", "80", "--time", "Date", "--distances", "all", "--seed", "3",
                   "--json", path) == 1  # fmt: skip
    found = json.loads(path.read_text(), parse_constant=lambda word: pytest.fail(word))
    assert (found["schema_version"], found["seed"], found["status"]) == (1, 3, "alarm")
    assert found["reference"]["rows_compared"] == 400 and found["incoming"]["rows_compared"] == 240
    assert len(found["distances"]) == 11
    assert {entry["name"] for entry in found["slices"]["Attack"]} == {"-", "A01", "new_tts"}
    assert len(found["windows"]["windows"]) == 3 and found["windows"]["status"] == "alarm"
    assert found["incoming"]["eer"] > found["reference"]["eer"] >= 0
    assert {c["name"] for c in found["conditions"]} == {"duration", "sampling rate", "codec"}
    assert len(found["most_drifted"]) == 20


def test_rank_prints_and_writes_the_farthest_files(folder, capsys):
    path = folder / "rank.csv"
    assert (
        run(folder, "rank", "ref.drift.npz", folder / "new.npz", "--top", 7, "--output", path) == 0
    )
    assert len(capsys.readouterr().out.splitlines()) == 8
    rows = list(csv.DictReader(path.open()))
    distances = [float(row["distance"]) for row in rows]
    assert len(rows) == 7 and distances == sorted(distances, reverse=True)


def test_groups_are_stored_and_asked_for(folder, capsys):
    protocol = ["--protocol", folder / "ref.csv", "--group", "Speaker"]
    assert run(folder, "fit", "ref.npz", "--output", folder / "g.drift.npz", *protocol) == 0
    assert run(folder, "compare", "g.drift.npz", folder / "same.npz") == 2
    assert "no column 'Speaker'" in capsys.readouterr().err
    incoming = ["--protocol", folder / "same.csv"]
    assert run(folder, "compare", "g.drift.npz", folder / "same.npz", *incoming) == 0


def test_a_subsample_is_stated(folder, capsys):
    assert compare(folder, "same", "--max_rows", 100) in (0, 1)
    assert "incoming: 100 of 240 rows, drawn with seed 0" in capsys.readouterr().out
    words = ["--max_rows", 100, "--seed", 4, "--window"]
    compare(folder, "same", *words, 50)
    told = capsys.readouterr().out
    assert "incoming: 100 of 240 rows, drawn with seed 4" in told
    assert re.search(r"^windows: .*; 50 of the 100 rows drawn from 240 with seed 4\)$", told, re.M)
    compare(folder, "same", *words, "7d", "--time", "Date", "--protocol", folder / "same.csv")
    assert "of the 100 rows" not in capsys.readouterr().out
    run(folder, "fit", "ref.npz", "--output", folder / "s.drift.npz", "--max_rows", 300)
    assert "300 rows (drawn from 600 with seed 0)" in capsys.readouterr().out
    told = run(folder, "fit", "ref.npz", "--output", folder / "s.drift.npz", "--max_rows", 300,
               "--protocol", folder / "ref.csv", "--group", "Speaker")  # fmt: skip
    assert told == 2 and "would thin the groups" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("compare", "ref.drift.npz", "other.npz"), "checkpoint_sha256 '00'"),
        (("compare", "ref.npz", "same.npz"), "is not a drift reference"),
        (("compare", "ref.drift.npz", "absent.npz"), "does not exist"),
        (("compare", "ref.drift.npz", "same.npz", "--by", "Attack"), "no column 'Attack'"),
        (("compare", "ref.drift.npz", "same.npz", "--distances", "cosine"), "'cosine'"),
        (("compare", "ref.drift.npz", "same.npz", "--window", "7d"), "--time"),
        (("fit", "same.npz", "--output", "r.npz", "--seed", "-1"), "--seed -1"),
        (("compare", "ref.drift.npz", "same.npz", "--max_rows", "-1"), "--max_rows -1"),
        (("compare", "ref.drift.npz", "same.npz", "--draws", "0"), "--draws 0"),
        (("rank", "ref.drift.npz", "same.npz", "--top", "0"), "--top 0"),
        (("rank", "ref.drift.npz", "same.npz", "--top", "-230"), "--top -230"),
        (("compare", "ref.drift.npz", "same.npz", "--time", "Date"), "--time is about windows"),
        (("compare", "ref.drift.npz", "same.npz", "--step", "5"), "--step is about windows"),
        (("compare", "ref.drift.npz", "same.npz", "--k_of_n", "9", "2"), "--k_of_n is about"),
        (
            (
                "compare",
                "ref.drift.npz",
                "same.npz",
                "--protocol",
                "same.csv",
                "--by",
                "Attack",
                "Language",
                "Attack",
            ),
            "--by names 'Attack' twice",
        ),
        (("compare", "ref.drift.npz", "same.npz", "--distances", "w1", "w1"), "'w1' twice"),
    ],
)
def test_a_mistake_is_one_line_and_exit_2(folder, monkeypatch, capsys, words, named):
    monkeypatch.chdir(folder)
    assert main(list(words)) == 2
    told = capsys.readouterr().err
    assert told.startswith("error: ") and told.count("\n") == 1 and named in told


@pytest.mark.parametrize("asked", [(), ("--by", "Attack", "--window", "80", "--time", "Date")])
def test_a_day_without_traffic_is_too_little_data(folder, tmp_path, capsys, asked):
    write(tmp_path, WORLD.draw(0, np.random.default_rng(0), name="none"), "none")
    joined = ("--protocol", tmp_path / "none.csv") if asked else ()
    outputs = ("--json", tmp_path / "none.json", "--report", tmp_path / "none.html")
    incoming = tmp_path / "none.npz"
    assert run(folder, "compare", "ref.drift.npz", incoming, *asked, *joined, *outputs) == 3
    told = capsys.readouterr().out
    assert told.startswith("INSUFFICIENT") and "none.npz holds no row" in told
    assert json.loads((tmp_path / "none.json").read_text())["status"] == "insufficient"
    assert "INSUFFICIENT" in (tmp_path / "none.html").read_text()
    assert run(folder, "rank", "ref.drift.npz", incoming) == 3
    assert "none.npz holds no row" in capsys.readouterr().out


def test_a_defect_is_neither_drift_nor_a_mistake_and_keeps_its_traceback(
    folder, monkeypatch, capsys
):
    from drift import comparison

    def broken(*_):
        raise ZeroDivisionError("as a test")

    monkeypatch.setattr(comparison, "_drifted", broken)
    assert compare(folder, "same") == 70
    told = capsys.readouterr().err
    assert "Traceback" in told and "ZeroDivisionError" in told.splitlines()[-1]


def test_scores_of_another_checkpoint_are_refused(tmp_path, capsys):
    rng = np.random.default_rng(6)
    for name, sha256 in (("a", "00"), ("b", "00"), ("c", "11")):
        rows = (f'{name}-{i},"[0.0, {s}]",-' for i, s in enumerate(rng.standard_normal(60)))
        (tmp_path / f"{name}.csv").write_text("\n".join(["ID,Score,Label", *rows]) + "\n")
        (tmp_path / f"{name}.meta.json").write_text(json.dumps({"checkpoint_sha256": sha256}))
    fitted = tmp_path / "a.drift.npz"
    assert run(tmp_path, "fit", "a.csv", "--output", fitted) == 0
    assert main(["compare", str(fitted), str(tmp_path / "b.csv")]) in (0, 1)
    assert "neither side says" not in capsys.readouterr().out
    assert main(["compare", str(fitted), str(tmp_path / "c.csv")]) == 2
    assert "checkpoint_sha256 '11'" in capsys.readouterr().err
    for sidecar in tmp_path.glob("*.meta.json"):
        sidecar.unlink()
    assert run(tmp_path, "fit", "a.csv", "--output", fitted) == 0
    main(["compare", str(fitted), str(tmp_path / "c.csv")])
    assert "note: neither side says which checkpoint" in capsys.readouterr().out


def test_scores_alone_can_be_watched(folder, tmp_path):
    rng = np.random.default_rng(6)
    for name, shift in (("a", 0.0), ("b", 0.0), ("c", 2.0)):
        lines = ["ID,Score,Label"]
        for row, s in enumerate(rng.standard_normal(120) + shift):
            lines.append(f'{name}-{row},"[0.0, {s}]",{row % 2}')
        (tmp_path / f"{name}.csv").write_text("\n".join(lines) + "\n")
    fitted = tmp_path / "a.drift.npz"
    assert run(tmp_path, "fit", "a.csv", "--output", fitted) == 0
    assert main(["compare", str(fitted), str(tmp_path / "b.csv")]) == 0
    assert main(["compare", str(fitted), str(tmp_path / "c.csv")]) == 1


def test_help_takes_under_a_second_and_loads_nothing_heavy():
    code = "import sys, drift.__main__ as m; m.build_parser(); print('torch' in sys.modules)"

    def processor_seconds() -> float:
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime

    before = processor_seconds()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False" and processor_seconds() - before < 1


def test_usage_errors_exit_2():
    with pytest.raises(SystemExit) as stop:
        main(["compare"])
    assert stop.value.code == 2


@pytest.fixture(scope="module")
def report(folder):
    path = folder / "report.html"
    compare(folder, "new", "--protocol", folder / "new.csv", "--by", "Attack", "--window", "80",
            "--time", "Date", "--report", path)  # fmt: skip
    return path


def test_report_is_one_file_with_every_part(report):
    text = report.read_text()
    for part in (
        "Distances",
        "Over time",
        "By Attack",
        "Map",
        "Top dimensions",
        "Within the predicted classes",
        "The signal itself",
        "Most drifted files",
    ):
        assert part in text, part
    assert text.count("<svg") == 5 and "prefers-color-scheme: dark" in text
    assert not re.search(r"(src|href)=|https?://|<script|@import|url\(", text)


def test_report_escapes_what_comes_from_files(folder, tmp_path):
    sample = WORLD.draw(60, np.random.default_rng(0), name="<b>x&")
    np.savez(tmp_path / "i.npz", ids=sample.ids, embeddings=sample.embeddings,
             meta=np.array(json.dumps(META)), Attack=np.full(60, '<script>"'))  # fmt: skip
    path = tmp_path / "r.html"
    run(folder, "compare", "ref.drift.npz", tmp_path / "i.npz", "--by", "Attack", "--report", path)
    text = path.read_text()
    assert "<script" not in text and "&lt;script&gt;" in text and "&lt;b&gt;x&amp;-000" in text


# What a reader sees of each table: heads whose right end lies within the table's own frame.
PROBE = """<script>
const page = document.documentElement;
const tables = [...document.querySelectorAll(".table")].map(frame => {
  const edge = frame.getBoundingClientRect().right + 0.5;
  const heads = [...frame.querySelectorAll("th")];
  return {
    heads: heads.map(head => head.textContent),
    seen: heads.filter(head => head.getBoundingClientRect().right <= edge).length,
    scrolls: getComputedStyle(frame).overflowX === "auto",
  };
});
document.title = JSON.stringify({page: page.scrollWidth, tables});
</script></body>"""


@pytest.mark.slow
@pytest.mark.needs("chromium")
@pytest.mark.parametrize("width", [1280, 400])
def test_report_and_its_tables_fit_the_browser_window(report, tmp_path, width):
    text = re.sub("<meta http-equiv[^>]*>", "", report.read_text())  # which forbids the probe
    (tmp_path / "page.html").write_text(text.replace("</body>", PROBE))
    # a window narrower than 500 is not given, a frame is
    (tmp_path / "frame.html").write_text(
        f"<iframe src=page.html width={width} height=900></iframe><script>onload = () => "
        "document.title = frames[0].document.title</script>"
    )
    done = subprocess.run(
        [find_chromium(), "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
         "--disable-background-networking", f"--user-data-dir={tmp_path / 'profile'}",
         "--allow-file-access-from-files", "--window-size=1400,1000", "--dump-dom",
         (tmp_path / "frame.html").as_uri()],
        capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    found = json.loads(html.unescape(re.search(r"<title>(.*?)</title>", done.stdout)[1]))
    assert found["page"] <= width and len(found["tables"]) == 6
    for table in found["tables"]:
        assert table["scrolls"]
        decisive = [name for name in ("status", "adjusted p", "p") if name in table["heads"]]
        assert set(decisive) <= set(table["heads"][: table["seen"]])
        assert width == 400 or table["seen"] == len(table["heads"])

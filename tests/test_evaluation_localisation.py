"""evaluation.py localisation: timelines and labels in, RangeEER and its companions out."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from support.evaluation import run

KNOWN = json.loads(
    Path(__file__).with_name("metrics").joinpath("data", "range_eer.json").read_text()
)


@pytest.fixture
def known(tmp_path, monkeypatch):
    """The known answer as timelines in a folder and labels of one format."""
    monkeypatch.chdir(tmp_path)
    Path("timelines").mkdir()
    for file in KNOWN["files"]:
        timeline(file["id"], file["bona_fide_scores"], file["step"], file["duration"])
    lines = []
    for file in KNOWN["files"]:
        spoof = file["spoof_segments"]
        label = "spoof" if spoof else "bonafide"
        pieces = [f"{a}-{b}-spoof" for a, b in spoof] or [f"0-{file['duration']}-bonafide"]
        lines.append(f"{file['id']} {file['duration']} {label} {' '.join(pieces)}\n")
    Path("labels.txt").write_text("".join(lines))


def timeline(name, scores, step=0.02, duration=None, **more):
    content = {
        "file": f"audio/{name}.wav",
        "duration": duration or len(scores) * step,
        "frame_seconds": step,
        "frame_scores": list(scores),
        **more,
    }
    Path("timelines", f"{name}.json").write_text(json.dumps(content))


def localise(capsys, *more):
    return run(capsys, "localisation", "timelines", "--labels", "labels.txt", *more)


def test_the_known_answer_comes_out_on_the_screen_in_json_and_on_the_page(known, capsys):
    status, out, err = localise(capsys, "--json", "r.json", "--report", "r.html")
    assert (status, err) == (0, "")
    assert re.search(r"range_eer +0\.2738", out) and "segment_eer_0.64" in out
    found = json.loads(Path("r.json").read_text())
    assert found["rates"][0]["figures"]["eer"] == pytest.approx(KNOWN["range_eer"], abs=1e-9)
    low, high = found["rates"][0]["intervals"]["eer"]
    assert low < KNOWN["range_eer"] < high
    page = Path("r.html").read_text()
    assert 'data-field="rates/0/figures/eer"' in page and ">0.2738<" in page


def test_labels_of_another_format_say_the_same(known, capsys):
    lines = [
        f"SPEAKER {file['id']} 1 {a} {b - a:.6f} <NA> <NA> spoof <NA> <NA>\n"
        for file in KNOWN["files"]
        for a, b in file["spoof_segments"]
    ]
    Path("labels.txt").write_text("".join(lines))
    status, _, err = localise(capsys)
    assert status == 2 and "1 timelines have no label (audio/f1.wav)" in err
    status, out, _ = localise(capsys, "--absent_is_bona_fide", "--bootstrap", "0")
    assert status == 0 and re.search(r"range_eer +0\.2738", out) and "wholly bona fide" in out


def test_a_labelled_recording_without_timeline_is_asked_about(known, capsys):
    Path("timelines", "f0.json").unlink()
    status, _, err = localise(capsys)
    assert status == 2 and "1 labelled recordings have no timeline (f0)" in err
    status, out, _ = localise(capsys, "--allow_missing")
    assert status == 0 and "3 recordings" in out and "left out" in out


def test_labels_of_single_recordings_go_by_the_name_of_their_file(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("timelines").mkdir()
    Path("labels").mkdir()
    for name, sign in (("a", 1), ("b", -1)):
        timeline(name, [sign * 1.0, None, sign * -1.0, sign * -1.0], 0.5)
        Path("labels", f"{name}.txt").write_text(
            f"{1.0:g}\t2.0\t{'fake' if sign > 0 else 'real'}\n"
        )
    status, out, err = run(capsys, "localisation", "timelines", "--labels", "labels")
    assert (status, err) == (0, "")
    assert re.search(r"range_eer +0\.0833 .* 0\.0000 +0\.1667", out)  # b: 0.5 of 3 s


def test_one_label_is_not_taken_for_two_recordings(known, capsys):
    timeline("f1", np.zeros(118).tolist())
    other = json.loads(Path("timelines/f1.json").read_text()) | {"file": "elsewhere/f1.wav"}
    Path("timelines/g.json").write_text(json.dumps(other))
    status, _, err = localise(capsys)
    assert status == 2 and "are those of another timeline too" in err


BAD = [
    ({"frame_scores": "x"}, "frame_scores"),
    ({"frame_scores": [1.0, "x"]}, r"frame_scores\[1\]"),
    ({"frame_seconds": 0}, "seconds that cannot be"),
    ({"duration": 0.5}, "has frames for 2.61 s|frames for 2.60 s"),
    ({"file": 3}, "file"),
]


@pytest.mark.parametrize(("change", "word"), BAD)
def test_what_is_no_timeline_is_refused_in_one_sentence(known, capsys, change, word):
    path = Path("timelines", "f0.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    status, _, err = localise(capsys)
    assert status == 2 and re.search(word, err) and "f0.json" in err
    assert len(err.strip().splitlines()) == 1


def test_labels_of_a_longer_recording_are_refused(known, capsys):
    text = Path("labels.txt").read_text()
    Path("labels.txt").write_text(text.replace("f1 2.361", "f1 23.61"))
    status, _, err = localise(capsys)
    assert status == 2 and "audio/f1.wav go on until 23.61 s" in err


def test_nothing_that_is_read_is_overwritten(known, capsys):
    status, _, err = localise(capsys, "--json", "labels.txt")
    assert status == 2 and "would overwrite" in err


def test_a_timeline_without_spoof_has_no_rate_and_says_so(known, capsys):
    for path in Path("timelines").glob("*.json"):
        path.unlink()
    timeline("f1", np.zeros(100).tolist())
    Path("labels.txt").write_text("f1 2.0 bonafide 0-2.0-bonafide\n")
    status, out, _ = localise(capsys)
    assert status == 0 and "no equal error rate" in out

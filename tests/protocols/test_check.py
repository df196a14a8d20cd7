"""Checking: each kind of fault is found, in a protocol that is otherwise right."""

import csv
import json
import re
from pathlib import Path

import numpy
import pytest
import soundfile

from dataio.schema import COLUMNS
from protocols.check import ERRORS, WARNINGS, _sample
from protocols.measure import measure

RATE = 16000


@pytest.fixture
def protocol(write_audio):
    """A right protocol of one second of speech-like noise a row; edit `rows`, then `save`."""
    rows = []
    for number in range(4):
        write_audio(f"x/{number}.wav", seconds=1, seed=number)
        label = ("real", "fake")[number % 2]
        rows.append([f"X-{number}", label, "1.0", str(RATE), f"$ROOT/x/{number}.wav", "-", "-",
                     "test", "1", "PCM_S", "16", "EN"])  # fmt: skip

    def save():
        with open("p.csv", "w", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows([COLUMNS, *rows])

    return rows, save


def check(protocols, save, *arguments):
    save()
    status, out, err = protocols(
        "check", "p.csv", "--data_folder", "data", "--json", "check.json", *arguments
    )
    report = json.loads(Path("check.json").read_text())
    found = {
        kind: facts["count"]
        for kind, facts in (report["errors"] | report["warnings"]).items()
        if facts["count"]
    }
    return status, found, out


def test_a_right_protocol_has_no_faults(protocol, protocols):
    rows, save = protocol
    status, found, out = check(protocols, save)
    assert (status, found) == (0, {})
    assert "4 rows, 4 files opened" in out


def set_cell(column, text, row=0):
    def change(rows):
        rows[row][COLUMNS.index(column)] = text

    return change


def repeat(rows):
    rows.append(list(rows[0]))


def relabel_again(rows):
    rows.append(["X-9", "fake", *rows[0][2:]])


def repeat_path(rows):
    rows.append(["X-9", *rows[0][1:]])


def one_class(rows):
    rows[:] = rows[::2]


def no_rows(rows):
    rows.clear()


@pytest.mark.parametrize(
    ("change", "found", "status"),
    [
        (set_cell("Label", "Real"), {"label": 1}, 1),
        (set_cell("Label", "-"), {"unlabelled": 1}, 0),
        (set_cell("Proportion", "dev"), {"proportion": 1}, 1),
        (set_cell("Duration", "-1"), {"number": 1}, 1),
        (set_cell("SampleRate", "8000"), {"sample_rate": 1}, 1),
        (set_cell("AudioChannel", "2"), {"channels": 1}, 1),
        (set_cell("Duration", "1.1"), {"duration": 1}, 1),
        (set_cell("Duration", "1.04"), {}, 0),
        (set_cell("Path", "x/0.wav"), {"path": 1, "missing": 1}, 1),
        (set_cell("Path", "$ROOT//x/0.wav"), {}, 0),
        (set_cell("Path", "$ROOT/x/none.wav"), {"missing": 1}, 1),
        (set_cell("ID", ""), {"no_id": 1}, 1),
        (repeat, {"repeated_id": 1, "repeated_path": 1}, 1),
        (repeat_path, {"repeated_path": 1}, 0),
        (relabel_again, {"contradiction": 1}, 1),
        (one_class, {"one_class": 1}, 0),
        (no_rows, {"no_rows": 1}, 0),
    ],
)
def test_each_fault_of_a_row_is_found_and_no_other(change, found, status, protocol, protocols):
    rows, save = protocol
    change(rows)
    got = check(protocols, save)
    assert (got[0], got[1]) == (status, found)


def noise(seconds=1.0, level=0.1):
    return numpy.random.default_rng(0).normal(0, level, round(RATE * seconds))


@pytest.mark.parametrize(
    ("samples", "seconds", "found", "status"),
    [
        (noise() * 1e-4, "1.0", {"silent": 1}, 0),
        (numpy.clip(noise(level=0.9), -1, 1), "1.0", {"clipped": 1}, 0),
        (noise() + 0.05, "1.0", {"offset": 1}, 0),
        (noise(0.25), "0.25", {"short": 1}, 0),
        (noise(61), "61.0", {"long": 1}, 0),
        (numpy.where(numpy.arange(RATE) == 99, numpy.nan, noise()), "1.0", {"not_finite": 1}, 1),
    ],
)
def test_each_fault_of_the_audio_is_found(
    samples, seconds, found, status, protocol, protocols, tmp_path
):
    rows, save = protocol
    soundfile.write(tmp_path / "data/x/0.wav", samples, RATE, subtype="FLOAT")
    set_cell("Duration", seconds)(rows)
    got = check(protocols, save)
    assert (got[0], got[1]) == (status, found)


def test_unreadable_and_truncated_files_are_errors(protocol, protocols, tmp_path):
    rows, save = protocol
    (tmp_path / "data/x/0.wav").write_text("no audio at all")
    (tmp_path / "data/x/1.wav").write_bytes(b"")
    status, found, out = check(protocols, save)
    assert (status, found) == (1, {"unreadable": 2})
    assert "line 2, X-0" in out


def test_a_flac_that_breaks_off_is_found_with_its_second(protocol, protocols, tmp_path):
    rows, save = protocol
    whole = tmp_path / "data/x/0.flac"
    soundfile.write(whole, noise(), RATE)
    whole.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    set_cell("Path", "$ROOT/x/0.flac")(rows)
    status, found, out = check(protocols, save)
    assert (status, found) == (1, {"truncated": 1})
    assert re.search(r"it breaks off at 0\.[2-6]\d s, its header states 1\.00 s", out)
    status, found, _ = check(protocols, save, "--headers_only")
    assert (status, found) == (0, {})


def test_a_wav_that_breaks_off_is_found_by_its_header_alone(protocol, protocols, tmp_path):
    rows, save = protocol
    path = tmp_path / "data/x/0.wav"
    soundfile.write(path, noise(4.0), RATE)
    path.write_bytes(path.read_bytes()[: 44 + 2 * RATE])
    set_cell("Duration", "1.0")(rows)
    for options in ([], ["--headers_only"]):
        status, found, out = check(protocols, save, *options)
        assert (status, found) == (1, {"truncated": 1})
        assert "it breaks off at 1.00 s, its header states 4.00 s" in out


def test_damage_is_found_with_its_second_and_an_unfinished_file_is_a_warning(
    protocol, protocols, tmp_path
):
    rows, save = protocol
    damaged, unfinished = tmp_path / "data/x/0.flac", tmp_path / "data/x/1.wav"
    soundfile.write(damaged, noise(4.0), RATE)
    data = bytearray(damaged.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 20] = bytes(20)
    damaged.write_bytes(data)
    data = bytearray(unfinished.read_bytes())
    data[40:44] = bytes(4)
    unfinished.write_bytes(data)
    set_cell("Path", "$ROOT/x/0.flac")(rows)
    set_cell("Duration", "4.0")(rows)
    status, found, out = check(protocols, save)
    assert (status, found) == (1, {"damaged": 1, "unfinished": 1})
    assert re.search(r"it does not decode from [12]\.\d\d to 2\.\d\d s", out)
    assert "its header states no length: it is read to its end at" in out


def test_channels_that_cancel_are_silent_as_they_are_when_scored(protocol, protocols, tmp_path):
    rows, save = protocol
    stereo = numpy.stack([noise(), -noise()], axis=1)
    soundfile.write(tmp_path / "data/x/0.wav", stereo, RATE)
    set_cell("Duration", "1.0")(rows)
    set_cell("AudioChannel", "2")(rows)
    status, found, out = check(protocols, save)
    assert (status, found) == (0, {"silent": 1})
    assert re.search(r"peak 0\.0000\d, of its channels 0\.[3-5]", out)


def test_leading_silence_that_tells_the_classes_apart_is_a_warning(protocols, tmp_path):
    rows = []
    (tmp_path / "data").mkdir()
    for number in range(40):
        label = ("real", "fake")[number % 2]
        silence = 0.3 if label == "real" else 0.02
        samples = numpy.concatenate([numpy.zeros(round(RATE * silence)), noise()])
        soundfile.write(tmp_path / f"data/{number}.wav", samples, RATE)
        rows.append([f"X-{number}", label, f"{len(samples) / RATE:.2f}", str(RATE),
                     f"$ROOT/{number}.wav", "-", "-", "-", "1", "PCM_S", "16", "-"])  # fmt: skip

    def save():
        with open("p.csv", "w", newline="") as file:
            csv.writer(file).writerows([COLUMNS, *rows])

    status, found, out = check(protocols, save)
    named = json.loads(Path("check.json").read_text())["warnings"]["shortcut"]["examples"]
    assert status == 0 and found["shortcut"] == len(named)
    assert any(text.startswith("leading silence: AUC 1.00 (p ") for text in named)
    assert any("real median 0.30 s; fake median 0.02 s" in text for text in named)
    assert all(text in out for text in named)


def test_a_sample_opens_only_so_many_files_and_checks_every_row(protocol, protocols):
    rows, save = protocol
    set_cell("Label", "Real", row=3)(rows)
    status, found, out = check(protocols, save, "--sample", "2")
    assert (status, found) == (1, {"label": 1})
    assert "4 rows, 2 files opened" in out


def test_a_sample_is_drawn_evenly():
    counts = numpy.zeros(10)
    for seed in range(2000):
        for number in _sample(range(10), 3, seed):
            counts[number] += 1
    assert counts.sum() == 6000
    assert abs(counts - 600).max() < 5 * 20.5  # five standard deviations: sqrt(2000 * .3 * .7)


def test_every_finding_can_be_written_to_a_file(protocol, protocols):
    rows, save = protocol
    for number in range(4):
        set_cell("Path", f"$ROOT/none{number}.wav", row=number)(rows)
    check(protocols, save, "--findings", "all.csv")
    with open("all.csv", newline="") as file:
        assert [line["Kind"] for line in csv.DictReader(file)] == ["missing"] * 4


def test_pandarallel_and_one_process_find_the_same(protocol, protocols, write_audio):
    rows, save = protocol
    for number in range(4, 40):
        write_audio(f"x/{number}.wav", seconds=0.25 + number / 100, seed=number)
        rows.append([f"X-{number}", "real", "9.0", *rows[0][3:4], f"$ROOT/x/{number}.wav",
                     *rows[0][5:]])  # fmt: skip
    one = check(protocols, save, "--workers", "1")
    two = check(protocols, save, "--workers", "2")
    assert one == two
    assert one[1]["duration"] == 36


def test_what_is_no_protocol_is_refused(protocols):
    status, _, err = protocols("check", "nowhere.csv", "--data_folder", ".")
    assert (status, "no protocol nowhere.csv" in err) == (2, True)
    Path("p.csv").write_text("a,b\n1,2\n")
    assert protocols("check", "p.csv", "--data_folder", ".")[0] == 2
    assert protocols("check", "p.csv", "--data_folder", ".", "--sample", "0")[0] == 2


def test_measures_have_known_values(tmp_path):
    tone = 0.5 * numpy.sin(2 * numpy.pi * 100 * numpy.arange(RATE) / RATE)
    samples = numpy.concatenate([numpy.zeros(RATE // 4), tone]) + 0.125
    stereo = numpy.stack([samples, samples], axis=1)
    soundfile.write(tmp_path / "a.wav", stereo, RATE, subtype="FLOAT")
    found = measure(str(tmp_path / "a.wav"))
    assert found.channels == 2
    assert found.decoded_seconds == found.seconds == 1.25
    assert found.peak == pytest.approx(0.625, abs=1e-6)
    assert found.offset == pytest.approx(0.125, abs=1e-6)
    assert found.clipped == 0


def test_errors_and_warnings_are_told_apart():
    assert not set(ERRORS) & set(WARNINGS)


@pytest.mark.parametrize("option", ["--json", "--findings"])
def test_a_folder_to_write_to_is_refused_before_anything_is_opened(option, protocols, tmp_path):
    (tmp_path / "data").mkdir()
    status, _, err = protocols("check", "none.csv", "--data_folder", "data", option, "data")
    assert (status, err) == (2, f"error: {option} data is a folder: name a file\n")

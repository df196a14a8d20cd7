"""Label files of six formats say the same of one recording, and what says nothing is refused."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest

from dataio.schema import UserError
from dataio.segment_labels import read_all_segments, read_segments

SPOOF = [(0.32, 0.64), (0.96, 1.12)]
TEXTS = {
    "RTTM": "SPEAKER u1 1 0.00 0.32 <NA> <NA> bonafide <NA> <NA>\n"
    "SPEAKER u1 1 0.32 0.32 <NA> <NA> spoof <NA> <NA>\n"
    "SPEAKER u1 1 0.96 0.16 <NA> <NA> spoof <NA> <NA>\n",
    "LlamaPartialSpoof": "u1 1.28 spoof 0.00-0.32-bonafide 0.32-0.64-spoof 0.64-0.96-bonafide "
    "0.96-1.12-spoof 1.12-1.28-bonafide\nu2 2.0 bonafide 0.00-2.00-bonafide\n",
    "HAD": "u1 0.00-0.32-T/0.32-0.64-F/0.64-0.96-T/0.96-1.12-F/1.12-1.28-T 0\nu2 0.00-2.00-T 1\n",
    "Audacity": "0.00\t0.32\treal\n0.32\t0.64\tfake 0.93\n0.96\t1.12\tspoof\n",
    "SPADE": json.dumps({"u1": [0, 0, 1, 1, 0, 0, 1, 0], "u2": [0, 0]}),
}


def steps(spoof: str = "0", bona_fide: str = "1") -> np.ndarray:
    return np.array([bona_fide, bona_fide, spoof, spoof, bona_fide, bona_fide, spoof, bona_fide])


def spoof_of(path: Path) -> list[tuple[float, float]]:
    found = read_segments(path).find("Data-u1", "audio/u1.wav")
    return [(round(a, 6), round(b, 6)) for a, b in found.spoof]


@pytest.mark.parametrize("name", TEXTS)
def test_a_format_is_told_by_its_content(tmp_path, name):
    path = tmp_path / "u1.labels"
    path.write_text(TEXTS[name])
    assert read_segments(path).format == name
    assert spoof_of(path) == SPOOF


@pytest.mark.parametrize("protocol", range(2, 6))
@pytest.mark.parametrize("as_lists", [False, True])
def test_a_pickled_dictionary_is_read_and_never_unpickled(
    tmp_path, protocol, as_lists, monkeypatch
):
    labels = {"u1": steps(), "u2": np.array(["1", "1"])}
    if as_lists:
        labels = {name: list(map(str, values)) for name, values in labels.items()}
    path = tmp_path / "dev_seglab_0.16.npy"
    header = b""
    if protocol in (3, 4):  # as numpy.save of one version or another writes it
        np.save(path, labels, allow_pickle=True)
        head = path.read_bytes()
        header = head[: 10 + int.from_bytes(head[8:10], "little")]
        labels = np.array(labels, dtype=object)
    path.write_bytes(header + pickle.dumps(labels, protocol))
    monkeypatch.setattr(pickle, "load", None)
    monkeypatch.setattr(pickle, "loads", None)
    assert read_segments(path).format == "PartialSpoof"
    assert spoof_of(path) == SPOOF
    assert read_segments(path).find("u2").spoof == []
    assert read_segments(path).find("u1").end == pytest.approx(1.28)


def test_a_pickle_that_would_run_something_runs_nothing(tmp_path):
    class Act:
        def __reduce__(self):
            return Path.touch, (tmp_path / "ran",)

    path = tmp_path / "dev_seglab_0.16.npy"
    np.save(path, {"u1": Act(), "u2": steps()}, allow_pickle=True)
    with pytest.raises(UserError, match="no list of labels"):
        read_segments(path)
    assert not (tmp_path / "ran").exists()


def test_a_pickled_dictionary_says_its_step_in_its_name(tmp_path):
    path = tmp_path / "labels.npy"
    np.save(path, {"u1": steps()}, allow_pickle=True)
    with pytest.raises(UserError, match="end with the seconds a label, such as _0.16.npy"):
        read_segments(path)


def test_a_plain_array_is_a_list_of_spade(tmp_path):
    np.save(tmp_path / "u1.npy", np.array([0, 0, 1, 1, 0, 0, 1, 0]))
    assert spoof_of(tmp_path / "u1.npy") == SPOOF


def test_rttm_of_spoof_alone_says_so(tmp_path):
    path = tmp_path / "a.rttm"
    path.write_text("SPKR u1 1 0.3 0.2 <NA> <NA> spoof <NA> <NA>\n")
    labels = read_segments(path)
    assert labels.spoof_only and labels.find("u1").spoof == [(0.3, 0.5)]
    assert not read_segments(_written(tmp_path / "b.rttm", TEXTS["RTTM"])).spoof_only


def _written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_a_file_about_one_recording_is_found_by_any_name(tmp_path):
    path = _written(tmp_path / "labels_of_it.txt", TEXTS["Audacity"])
    assert read_segments(path).find("whatever").spoof == SPOOF


def test_a_folder_of_label_files_is_read_and_none_twice(tmp_path):
    _written(tmp_path / "u1.txt", TEXTS["Audacity"])
    _written(tmp_path / "u3.txt", "0\t1\tfake\n")
    found = read_all_segments([tmp_path])
    assert sorted(name for labels in found for name in labels.files) == ["u1", "u3"]
    other = _written(tmp_path.parent / f"{tmp_path.name}.rttm", TEXTS["RTTM"])
    with pytest.raises(UserError, match="both label 'u1'"):
        read_all_segments([tmp_path, other])


BAD = {
    "": "is empty",
    "hello world\n": "line 1, is no label of any format",
    "SPEAKER u 1 0.0 1.0 <NA> <NA> spoof <NA> <NA>\nSPEAKER u 1 x 1 <NA> <NA> spoof <NA> <NA>\n": (
        "line 2.*no number of seconds"
    ),
    "SPEAKER u 1 0.0 1.0 <NA> <NA> maybe <NA> <NA>\n": "line 1.*label 'maybe'",
    "SPEAKER u 1 0.0 nan <NA> <NA> spoof <NA> <NA>\n": "line 1.*no number of seconds",
    "SPEAKER u 1 0.0 1.0 <NA> <NA> spoof <NA> <NA>\nSPEAKER u 1\n": "line 2.*3 fields",
    "u 1.0 spoof 0.00-1.00-spoof\nu 1.0 spoof 0.00-1.00-spoof\n": "line 2.*second time",
    "u 1.0 bonafide 0.00-1.00-spoof\n": "line 1.*called bonafide",
    "u 1.0 spoof 0.00-1.00-spoof 7\n": "line 1.*start-end-label",
    "u 0.00-1.00-T/0.50-2.00-F 0\n": "overlap",
    "u 0.00-1.00-X 0\n": "line 1.*label 'X'",
    "u 0.00-1.00-T 0\nv 0.00-1.00-T\n": "line 2.*2 fields",
    "2.0\t1.0\tfake\n": "line 1.*ends before it begins",
    "0.0\t1.0\tmusic\n": "line 1.*label 'music'",
    "0.0\t1.0\tfake\n1.0 2.0 fake\n": "line 2",
    "[0, 2]": "neither 0 nor 1",
    "[0, 1": "SPADE.*not JSON",
    '{"u": 3}': "SPADE",
    "{}": "labels no recording",
    f"[{2**62}]": "neither 0 nor 1",
}


@pytest.mark.parametrize("text", BAD)
def test_what_is_no_label_is_refused_with_its_line(tmp_path, text):
    path = _written(tmp_path / "u.txt", text)
    with pytest.raises(UserError, match=BAD[text]) as refusal:
        read_segments(path)
    assert str(path) in str(refusal.value) and "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    "content",
    [{"u": np.zeros((2, 2))}, {"u": steps("2")}, {"u": 3}, {3: steps()}, [steps()], {"u": {}}],
)
def test_a_pickle_of_anything_else_is_refused(tmp_path, content):
    path = tmp_path / "x_0.16.npy"
    path.write_bytes(pickle.dumps(content))
    with pytest.raises(UserError, match="holds no segment labels"):
        read_segments(path)


def test_a_file_that_is_not_there_is_named():
    with pytest.raises(UserError, match="no label file nowhere.txt"):
        read_segments("nowhere.txt")

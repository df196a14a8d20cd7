"""The embedded demo: what is made, that it can be made again, and that no shortcut is in it."""

import csv
import json
from collections import defaultdict

import numpy as np
import pytest
import soundfile
from scipy.stats import ks_2samp

from dataio import whole_files
from dataio.schema import COLUMNS, SAMPLE_RATE, resolve_path
from protocols.__main__ import main
from protocols.making import demo, workshop

SPLITS = ("train", "valid", "test")


def make(folder, *options, speakers=6, utterances=2, workers=1):
    command = ["make", "demo", "--data_folder", str(folder / "Data")]
    command += ["--output_folder", str(folder / "protocols")]
    command += ["--speakers", str(speakers), "--utterances", str(utterances)]
    command += ["--num_workers", str(workers), *options]
    return main(command)


def read(folder, split):
    with open(folder / "protocols" / f"{split}.csv", newline="") as file:
        reader = csv.DictReader(file)
        assert tuple(reader.fieldnames) == COLUMNS
        return list(reader)


def contents(folder):
    files = (folder / "Data").rglob("*.flac")
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    assert make(folder, workers=2) == 0
    return folder


def test_every_row_names_an_audio_file_as_it_is(corpus):
    ids = []
    for split in SPLITS:
        for row in read(corpus, split):
            path = resolve_path(row["Path"], str(corpus / "Data"))
            info = soundfile.info(path)
            assert row["Path"].startswith("$ROOT/Demo/")
            assert info.samplerate == int(row["SampleRate"]) == SAMPLE_RATE
            assert info.subtype == "PCM_16" and info.channels == int(row["AudioChannel"]) == 1
            assert float(row["Duration"]) == pytest.approx(info.duration, abs=0.006)
            assert row["Proportion"] == split and row["Language"] == "-"
            assert (row["Label"] == "real") == (row["Attack"] == "-")
            ids.append(row["ID"])
    assert len(set(ids)) == len(ids) == len(contents(corpus))
    assert all(name.startswith("Demo-") for name in ids)


def test_no_speaker_is_in_two_splits(corpus):
    speakers = [{row["Speaker"] for row in read(corpus, split)} for split in SPLITS]
    assert all(speakers)
    assert sum(map(len, speakers)) == len(set().union(*speakers)) == 6


def test_one_vocoder_is_heard_in_the_test_only(corpus):
    attacks = {split: {row["Attack"] for row in read(corpus, split)} - {"-"} for split in SPLITS}
    assert attacks["train"] == attacks["valid"] == {"griffin-lim", "pitch-envelope"}
    assert attacks["test"] - attacks["train"] == {"sinusoidal"}


def test_a_copy_is_as_long_as_its_source_and_differs_from_it(corpus):
    takes = defaultdict(dict)
    for row in read(corpus, "test"):
        path = resolve_path(row["Path"], str(corpus / "Data"))
        takes[path.rsplit("/", 1)[1]][row["Attack"]] = soundfile.read(path)[0]
    for take in takes.values():
        assert len(take) == 4
        real = take.pop("-")
        for copy in take.values():
            assert len(copy) == len(real)
            assert np.corrcoef(copy, real)[0, 1] < 0.9


def test_level_offset_length_and_silence_do_not_tell_the_classes_apart(corpus):
    """Statistics that any careless corpus leaks, drawn here from the same distributions."""
    found = {"real": [], "fake": []}
    for split in SPLITS:
        for row in read(corpus, split):
            waveform, _ = soundfile.read(resolve_path(row["Path"], str(corpus / "Data")))
            rms = np.sqrt(np.mean(waveform**2))
            edges = np.r_[waveform[:800], waveform[-800:]]  # 50 ms at each end: pauses
            found[row["Label"]].append(
                {
                    "level": rms,
                    "offset": waveform.mean(),
                    "seconds": len(waveform),
                    "edge noise": np.sqrt(np.mean(edges**2)) / rms,
                    "steps": np.unique(waveform * 32768 % 1).size,
                }
            )
    for name in found["real"][0]:
        real, fake = ([one[name] for one in found[label]] for label in ("real", "fake"))
        assert ks_2samp(real, fake).pvalue > 0.02, name


def test_the_same_seed_gives_the_same_bytes_on_any_number_of_processes(corpus, tmp_path):
    assert make(tmp_path, workers=1) == 0
    assert contents(tmp_path) == contents(corpus)
    for split in SPLITS:
        assert read(tmp_path, split) == read(corpus, split)


def test_another_seed_gives_other_voices(corpus, tmp_path):
    assert make(tmp_path, "--seed", "2", speakers=3, utterances=1) == 0
    ours, theirs = contents(tmp_path), contents(corpus)
    assert not set(ours.values()) & set(theirs.values())


def test_a_second_run_makes_only_what_is_missing(tmp_path, capsys):
    assert make(tmp_path, speakers=3, utterances=1) == 0
    before = contents(tmp_path)
    lost, *kept = sorted((tmp_path / "Data").rglob("*.flac"))
    times = {path: path.stat().st_mtime_ns for path in kept}
    lost.unlink()
    assert make(tmp_path, speakers=3, utterances=1) == 0
    assert contents(tmp_path) == before
    assert times == {path: path.stat().st_mtime_ns for path in kept}
    assert "3 files" in capsys.readouterr().out


def test_an_interrupted_write_leaves_no_file_under_its_name(tmp_path, monkeypatch):
    def broken(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(whole_files.os, "replace", broken)
    with pytest.raises(KeyboardInterrupt):
        workshop.write_flac(tmp_path / "a.flac", np.zeros(10))
    assert not list(tmp_path.iterdir())


def test_another_recipe_in_the_same_folder_is_refused(tmp_path, capsys):
    assert make(tmp_path, speakers=3, utterances=1) == 0
    before = contents(tmp_path)
    assert make(tmp_path, "--seed", "9", speakers=3, utterances=1) == 2
    message = capsys.readouterr().err
    assert "made with other settings" in message and "--data_folder" in message
    assert contents(tmp_path) == before
    assert json.loads((tmp_path / "Data/Demo/recipe.json").read_text())["seed"] == 1


def test_too_few_speakers_for_three_splits_is_refused(tmp_path, capsys):
    assert make(tmp_path, speakers=2) == 2
    assert "--speakers must be at least 3" in capsys.readouterr().err


def test_the_default_plan_holds_the_shares_of_speakers():
    plan = demo.plan(demo.Recipe())
    counts = {split: len({u.speaker for u in plan if u.split == split}) for split in SPLITS}
    assert counts == {"train": 14, "valid": 4, "test": 6}
    assert len(plan) == 24 * 12

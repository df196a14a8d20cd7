"""Timelines: shares that add up, what each file says, nothing of a folder lost."""

import base64
import csv
import hashlib
import html
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

import main
from dataio.segment_labels import read_segments
from hparams.load import load_hparams
from models.detector import build_detector
from models.scoring import timeline_files
from models.scoring.run import load_scorer
from models.scoring.timeline import HINT, Rule, timeline_of

RULE = Rule(lambda s: 1 / (1 + np.exp(-s)), 0.5, 0.1, 0.1, "windows")


@pytest.fixture
def recording(tmp_path):
    """7 s of noise whose level changes, second 3 silent."""
    rng = np.random.default_rng(5)
    level = np.repeat([0.05, 0.2, 0.1, 0.0, 0.02, 0.2, 0.15], 16_000)
    path = tmp_path / "sounds/call.wav"
    path.parent.mkdir()
    soundfile.write(path, level * rng.standard_normal(len(level)), 16_000)
    return path


@pytest.fixture
def scorer(checkpoint):
    hparams, options, _ = load_hparams(
        "hparams/w2v_tiny.yaml",
        [f"--ckpt_path={checkpoint}", "--window_seconds=1", "--device=cpu"],
        objects=False,
        needs_folders=False,
    )
    return load_scorer(hparams, options)


@pytest.fixture
def run(checkpoint, tmp_path, capfd):
    def run(*words):
        options = [f"--ckpt_path={checkpoint}", f"--output_folder={tmp_path}/out"]
        options += ["--window_seconds=1", "--device=cpu"]
        status = main.main(["timeline", "hparams/w2v_tiny.yaml", *map(str, words), *options])
        return status, *capfd.readouterr()

    return run


def with_keys(scorer, **keys):
    return replace(scorer, hparams={**scorer.hparams, **keys})


def test_the_shares_of_the_frames_are_the_files_logits(by_seconds, recording, scorer):
    found = timeline_of(scorer, str(recording), RULE)
    assert found.shares.mean(0) == pytest.approx(found.logits, abs=1e-5)
    waveform = torch.from_numpy(soundfile.read(recording, dtype="float32")[0])[None]
    with torch.inference_mode():
        assert found.logits == pytest.approx(scorer.detector(waveform).logits[0].numpy(), abs=1e-5)


def test_a_long_recording_has_the_logits_that_score_gives_it(by_seconds, recording, scorer):
    found = timeline_of(with_keys(scorer, max_whole_seconds=2), str(recording), RULE)
    assert found.logits == pytest.approx(found.windows.mean(found.windows.logits))
    assert found.windows.starts.tolist() == [k * 16_000 for k in (0, 1, 2, 4, 5, 6)]
    first = found.shares[:49].mean(0)  # of a window of 1 s that no other overlaps
    assert first == pytest.approx(found.windows.logits[0], abs=1e-5)


def test_the_curve_is_the_windows_and_silence_is_not_scored(by_seconds, recording, scorer):
    found = timeline_of(scorer, str(recording), RULE)
    differences = found.windows.logits[:, 1] - found.windows.logits[:, 0]
    assert found.curve[:50] == pytest.approx(np.full(50, differences[0]), abs=1e-5)
    assert (found.scored == np.repeat([1, 1, 1, 0, 1, 1, 1], 50).astype(bool)).all()
    ((start, stop, reason),) = found.not_scored
    assert (start, stop, reason) == (3.0, 4.0, "digital silence")


def test_segments_follow_curve_and_threshold(by_seconds, recording, scorer):
    curve = timeline_of(scorer, str(recording), RULE).curve
    means = curve.reshape(7, 50).mean(1)[[0, 1, 2, 4, 5, 6]]
    middle = float(np.sort(means)[2:4].mean())
    rule = replace(RULE, convert=lambda s: 1 / (1 + np.exp(middle - s)), hysteresis=0.0)
    found = timeline_of(scorer, str(recording), rule)
    for segment in found.segments:
        inside = curve[round(segment.start * 50) : round(segment.stop * 50)]
        assert (inside.mean() < middle) == (segment.verdict == "fake")
    assert {segment.verdict for segment in found.segments} == {"real", "fake"}


def test_other_heads_give_windows_and_no_shares(by_seconds, recording, scorer):
    torch.manual_seed(0)
    other = build_detector("w2v_tiny", head={"name": "attentive_statistics"}).eval()
    found = timeline_of(replace(scorer, detector=other), str(recording), RULE)
    assert found.shares is None and np.isfinite(found.curve).all()
    with pytest.raises(Exception, match="this head gives no frame shares"):
        timeline_of(replace(scorer, detector=other), str(recording), replace(RULE, curve="frames"))


def test_each_recording_has_its_files_and_they_are_labels_again(by_seconds, recording, run):
    status, out, _ = run(recording)
    folder = recording.parents[1] / "out"
    names = {path.name for path in folder.iterdir()}
    assert status == 0 and HINT in out
    assert names == {f"call.wav.{end}" for end in ("json", "rttm", "labels.txt", "png")}
    found = json.loads((folder / "call.wav.json").read_text())
    assert found["note"] == HINT and found["meta"]["model"] == "w2v_tiny"
    assert len(found["frame_scores"]) == 350 and found["frame_scores"][160] is None
    shares = np.mean(found["frame_shares"], axis=0)
    assert shares == pytest.approx(found["logits"], abs=1e-5)
    assert HINT in (folder / "call.wav.rttm").read_text()
    assert HINT in (folder / "call.wav.labels.txt").read_text()
    labels = read_segments(folder / "call.wav.rttm")
    fakes = [(s["start"], s["stop"]) for s in found["segments"] if s["verdict"] == "fake"]
    assert labels.format == "RTTM"
    for read, written in zip(labels.files["call.wav"].spoof if fakes else [], fakes, strict=True):
        assert read == pytest.approx(written, abs=0.002)
    assert (folder / "call.wav.png").read_bytes()[:4] == b"\x89PNG"


def test_the_page_holds_picture_and_sound_and_runs_only_its_own_script(by_seconds, recording, run):
    assert run(recording, "--html")[0] == 0
    text = (recording.parents[1] / "out/call.wav.html").read_text()
    assert "data:audio/mpeg;base64,SU" in text or "data:audio/mpeg;base64,//" in text
    assert "data:image/png;base64," in text and "http://" not in text and "https://" not in text
    text = html.unescape(text)
    script = text.partition("<script>")[2].partition("</script>")[0]
    allowed = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert text.count("<script>") == 1 and HINT in text
    assert f"script-src 'sha256-{allowed}'" in text


def test_one_unreadable_file_is_listed_and_the_rest_goes_on(by_seconds, recording, run):
    (recording.parent / "broken.wav").write_bytes(b"no sound at all")
    shutil.copy(recording, recording.parent / "twin.wav")
    status, _, err = run(recording.parent)
    folder = recording.parents[1] / "out"
    (row,) = csv.DictReader((folder / "not_scored.csv").open())
    assert status == 3 and Path(row["Path"]).name == "broken.wav" and "broken.wav" in err
    assert len(list(folder.glob("*.json"))) == 2


def test_a_short_recording_is_listed_and_no_error(by_seconds, recording, run):
    soundfile.write(recording.parent / "short.wav", np.full(800, 0.1), 16_000)
    assert run(recording.parent)[0] == 0
    (row,) = csv.DictReader((recording.parents[1] / "out/not_scored.csv").open())
    assert (Path(row["Path"]).name, row["Kind"]) == ("short.wav", "short")


def test_what_is_done_is_not_done_again_unless_the_job_is_another(
    by_seconds, recording, run, monkeypatch
):
    assert run(recording)[0] == 0
    done = []
    original = timeline_files.write_timeline
    monkeypatch.setattr(
        timeline_files, "write_timeline", lambda *a: (done.append(a[1]), original(*a))
    )
    assert run(recording)[0] == 0 and done == []
    assert run(recording, "--threshold=0.4")[0] == 0 and len(done) == 1


def test_equal_names_of_several_folders_make_several_files(by_seconds, recording, run):
    other = recording.parent / "deeper/call.wav"
    other.parent.mkdir()
    shutil.copy(recording, other)
    assert run(recording.parent)[0] == 0
    assert len(list((recording.parents[1] / "out").glob("call.wav-*.json"))) == 2


def test_without_an_output_folder_one_sentence_says_so(recording, checkpoint, capfd):
    words = ["timeline", "hparams/w2v_tiny.yaml", str(recording), f"--ckpt_path={checkpoint}"]
    assert main.main(words) == 2
    assert "no --output_folder was given" in capfd.readouterr().err

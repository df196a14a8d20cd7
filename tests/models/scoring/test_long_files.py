"""Files scored in windows: one rule for all verbs, results folded, nothing for shorter files."""

import csv
import json

import numpy as np
import pytest
import soundfile
import torch
from support.runs import run_main

import main
import models
from dataio.scores import read_scores
from models.checkpoints import load_detector
from models.scoring import run as scoring

LONG = "Toy/test/000.wav"
RULE = {"max_whole_seconds": 6, "window_seconds": 2}
CUT = [f"--{key}={value}" for key, value in RULE.items()]


@pytest.fixture
def recording(corpus):
    """A test file of the corpus made 7 s long, of 16-bit noise that changes: (samples, path)."""
    rng = np.random.default_rng(5)
    level = np.repeat([0.05, 0.2, 0.1, 0.3, 0.02, 0.2, 0.15], 16_000)
    samples = (level * rng.standard_normal(len(level))).clip(-1, 1).astype(np.float32)
    samples = np.round(samples * 32767) / 32768
    path = corpus / "Data" / LONG
    soundfile.write(path, samples, 16_000)
    return samples.astype(np.float32), path


@pytest.fixture
def infer(corpus, checkpoint):
    def run(verb, name, *options, workers=0):
        path = corpus / f"{name}.csv"
        words = [verb, "hparams/w2v_tiny.yaml", f"--base_path={corpus}", f"--score_path={path}"]
        words += [f"--test_csv={corpus}/protocols/test.csv", f"--ckpt_path={checkpoint}"]
        status = main.main([*words, f"--num_workers={workers}", "--device=cpu", *options])
        return status, path

    return run


def windows_by_hand(checkpoint, samples, window, hop):
    """Logits and embeddings of windows scored as files of their own."""
    detector, _ = load_detector("w2v_tiny", checkpoint)
    starts = list(range(0, len(samples) - window + 1, hop))
    if starts[-1] + window < len(samples):
        starts.append(len(samples) - window)
    with torch.inference_mode():
        outputs = [detector.eval()(torch.from_numpy(samples[None, s : s + window])) for s in starts]
    logits, embeddings = (torch.cat(parts).numpy() for parts in zip(*outputs, strict=True))
    return np.array(starts), logits, embeddings


def test_a_long_file_scores_the_mean_of_its_windows(by_seconds, recording, infer, checkpoint):
    samples, path = recording
    status, whole = infer("inference", "whole")
    assert status == 0
    status, cut = infer("analysis", "cut", *CUT)
    starts, logits, embeddings = windows_by_hand(checkpoint, samples, 32_000, 32_000)
    weights = np.array([2.0, 2.0, 1.5, 1.5]) / 7  # 5 to 7 s lies half in the window from 4 to 6 s
    scores, before = read_scores(cut), read_scores(whole)
    assert scores.ids.tolist() == before.ids.tolist()
    expected = weights @ (logits[:, 1] - logits[:, 0])
    assert scores.difference[0] == pytest.approx(expected, abs=1e-4)
    assert scores.difference[1:] == pytest.approx(before.difference[1:], abs=1e-4)
    with np.load(cut.with_suffix(".npz")) as stored:
        assert stored["embeddings"][0] == pytest.approx(weights @ embeddings, abs=1e-4)
    rows = list(csv.DictReader(cut.with_suffix(".windows.csv").open()))
    assert [float(row["Start"]) for row in rows] == pytest.approx(starts / 16_000)
    assert [float(row["Counts"]) for row in rows] == [2.0, 2.0, 1.5, 1.5]
    assert {row["ID"] for row in rows} == {scores.ids[0]}


def test_shorter_files_score_as_without_windows_and_the_meta_says_the_rule(infer, corpus):
    _, plain = infer("inference", "plain", "--window_seconds=null")
    _, ready = infer("inference", "ready")
    assert plain.read_bytes() == ready.read_bytes()
    assert not ready.with_suffix(".windows.csv").exists()
    metas = [json.loads(path.with_suffix(".meta.json").read_text()) for path in (plain, ready)]
    said = ("max_whole_seconds", "window_seconds", "hop_seconds", "window_weights")
    assert [metas[1].pop(key) for key in said[:3]] == [60, 10, None]
    assert metas[1].pop("window_weights") in ("seconds", "seconds of speech (silero-vad)")
    assert [metas[0].pop(key) for key in said[:3]] == [None] * 3 and metas[0] == metas[1]


def test_the_batch_limit_and_workers_move_no_score(by_seconds, recording, infer):
    _, one = infer("inference", "one", *CUT, "--hop_seconds=0.5", "--max_batch_length=2")
    _, many = infer("inference", "many", *CUT, "--hop_seconds=0.5", "--max_batch_length=16")
    _, loaded = infer("inference", "loaded", *CUT, "--hop_seconds=0.5", workers=2)
    expected = read_scores(one).difference
    for path in (many, loaded):
        assert read_scores(path).difference == pytest.approx(expected, abs=1e-4)


def test_a_long_file_is_told_by_its_header_whatever_the_protocol_says(
    by_seconds, recording, infer, corpus
):
    _, expected = infer("inference", "expected", *CUT)
    protocol = corpus / "protocols/test.csv"
    rows = list(csv.reader(protocol.open()))
    column = rows[0].index("Duration")
    for row in rows[1:]:
        row[column] = "0.1"
    with protocol.open("w", newline="") as stream:
        csv.writer(stream).writerows(rows)
    _, found = infer("inference", "found", *CUT)
    assert read_scores(found).difference == pytest.approx(
        read_scores(expected).difference, abs=1e-4
    )


def test_python_gives_the_windows_beside_the_score(by_seconds, recording, checkpoint, infer):
    _, path = recording
    detector, _ = load_detector("w2v_tiny", checkpoint)
    (file,) = models.score_files(detector, [path], **RULE)
    _, scored = infer("inference", "cut", *CUT)
    expected = read_scores(scored).difference[0]
    assert file.real_logit - file.fake_logit == pytest.approx(expected, abs=1e-5)
    assert [window.start for window in file.windows] == [0, 2, 4, 5]
    mean = sum(window.counts * window.real_logit for window in file.windows) / 7
    assert file.real_logit == pytest.approx(mean, abs=1e-5)
    (whole,) = models.score_files(detector, [path])
    assert whole.windows == ()


@pytest.fixture
def verdict(checkpoint, tmp_path, capfd):
    def run(path, *options):
        output = tmp_path / "v.json"
        words = ["score", "hparams/w2v_tiny.yaml", str(path), f"--ckpt_path={checkpoint}"]
        status = main.main([*words, "--device=cpu", f"--output={output}", *CUT, *options])
        (file,) = json.loads(output.read_text())["files"]
        return status, file, capfd.readouterr().out

    return run


def test_score_names_the_worst_window_and_the_share_judged_fake(
    by_seconds, recording, checkpoint, verdict
):
    samples, path = recording
    starts, logits, _ = windows_by_hand(checkpoint, samples, 32_000, 32_000)
    p_real = 1 / (1 + np.exp(logits[:, 0] - logits[:, 1]))
    threshold = float(np.sort(p_real)[:2].mean())  # one window is judged fake, the mean is not
    status, file, shown = verdict(path, f"--threshold={threshold}")
    worst = file["worst"]
    assert status == 0 and file["verdict"] == "real"
    assert worst["start"] == starts[p_real.argmin()] / 16_000
    assert worst["p_real"] == pytest.approx(p_real.min(), abs=1e-4)
    assert worst["share_fake"] == pytest.approx([2, 2, 1.5, 1.5][p_real.argmin()] / 7)
    assert f"worst window {worst['start']:.2f} to" in shown and "% of what counts" in shown
    _, file, _ = verdict(path, f"--threshold={threshold}", "--verdict=worst")
    assert file["verdict"] == "fake" and file["p_real"] > threshold


def test_a_silent_window_is_not_scored_and_does_not_count(by_seconds, recording, verdict):
    samples, path = recording
    samples = samples.copy()
    samples[32_000:64_000] = 0
    soundfile.write(path, samples, 16_000)
    assert verdict(path)[0] == 0
    rows = list(csv.DictReader((path.parents[4] / "v.windows.csv").open()))
    assert [float(row["Start"]) for row in rows] == [0, 4, 5]
    assert sum(float(row["Counts"]) for row in rows) == 5


def test_a_long_file_of_silence_or_none_at_all_is_listed(by_seconds, recording, infer, corpus):
    _, path = recording
    soundfile.write(path, np.zeros(16_000 * 7), 16_000)
    status, scored = infer("inference", "silent", *CUT)
    (row,) = csv.DictReader(scored.with_suffix(".skipped.csv").open())
    assert status == 3 and row["Kind"] == "silent" and "digital silence" in row["Reason"]


def test_a_broken_off_long_file_is_scored_as_far_as_it_goes(by_seconds, recording, infer):
    samples, path = recording
    soundfile.write(path, samples, 16_000, format="FLAC")
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 3 // 4])
    status, scored = infer("inference", "broken", *CUT)
    (row,) = csv.DictReader(scored.with_suffix(".remarks.csv").open())
    assert status == 0 and "breaks off" in row["Remark"]
    rows = list(csv.DictReader(scored.with_suffix(".windows.csv").open()))
    assert 4 < float(rows[-1]["Stop"]) < 6.5


def test_a_window_without_a_finite_score_leaves_the_file_without_one(
    by_seconds, recording, infer, monkeypatch
):
    def broken(scorer, batch):
        outputs = forward(scorer, batch)
        if batch.rows.max() >= 32_000:  # a window of the long file
            outputs.read()[0][batch.rows == 32_000] = torch.nan
        return outputs

    forward = scoring.forward
    monkeypatch.setattr(scoring, "forward", broken)
    status, scored = infer("inference", "nan", *CUT)
    (row,) = csv.DictReader(scored.with_suffix(".skipped.csv").open())
    assert status == 3 and "window from 2.00 to 4.00 s: its score is not finite" in row["Reason"]


@pytest.mark.parametrize(
    "options, words",
    [
        (["--hop_seconds=11"], "hop_seconds 11 is longer than window_seconds 10"),
        (["--window_seconds=0"], "window_seconds is 0: expected a number above 0 or null"),
    ],
)
def test_windows_that_cannot_be_are_one_sentence(options, words, infer, capfd, monkeypatch):
    monkeypatch.setattr(scoring, "load_detector", lambda *_, **__: pytest.fail("loaded"))
    status, _ = infer("inference", "none", *options)
    err = capfd.readouterr().err
    assert status == 2 and err.count("\n") == 1 and words in err


@pytest.mark.slow
def test_a_run_killed_within_a_long_file_goes_on(recording, infer, corpus, checkpoint):
    _, whole = infer("inference", "whole", *CUT)
    path = corpus / "killed.csv"
    words = ["inference", "hparams/w2v_tiny.yaml", f"--base_path={corpus}", "--num_workers=0"]
    words += [f"--test_csv={corpus}/protocols/test.csv", f"--ckpt_path={checkpoint}", *CUT]
    words += ["--max_batch_length=2", f"--score_path={path}", "--device=cpu"]
    assert run_main(words, die="score:11") == -9  # 9 short files come first
    assert run_main(words) == 0
    assert read_scores(path).difference == pytest.approx(read_scores(whole).difference, abs=1e-4)
    left, right = (p.with_suffix(".windows.csv").read_text().splitlines() for p in (path, whole))
    assert [line.split(",")[:4] for line in left] == [line.split(",")[:4] for line in right]


@pytest.mark.needs("speech")
def test_seconds_of_speech_weigh_where_silero_vad_is_installed(corpus, checkpoint, verdict):
    from protocols.making.voice import draw_speaker, draw_tracks, synthesise

    rng = np.random.default_rng(1)
    speaker = draw_speaker(rng)
    voice = synthesise(speaker, draw_tracks(speaker, 4.0, rng), rng)
    samples = np.concatenate(
        [0.5 * voice / np.abs(voice).max(), 0.01 * rng.standard_normal(64_000)]
    )
    path = corpus / "half.wav"
    soundfile.write(path, samples, 16_000)
    _, file, _ = verdict(path)
    rows = list(csv.DictReader((corpus.parent / "v.windows.csv").open()))
    counts = [float(row["Counts"]) for row in rows]
    assert min(counts[:2]) > 1.5 and counts[-1] == 0  # it begins to hear silence a little late
    assert "no speech" not in file["remark"]

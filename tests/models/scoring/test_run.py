"""`inference`, `analysis`, `score`: what comes out, in what order, and what is refused."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import soundfile
import torch
from support.runs import run_main

import main
from dataio import stopping
from dataio.locks import sole_writer
from dataio.scores import read_scores
from drift.embedding_files import read_embeddings
from metrics.calibration import Calibration, save_calibration
from models.detector import Detector, build_detector
from models.scoring import run as scoring
from models.stored.names import PREFIX


def arguments(corpus, checkpoint, verb="inference", **options):
    settings = {
        "base_path": corpus,
        "protocol_folder": corpus / "protocols",
        "ckpt_path": checkpoint,
        "score_path": corpus / "scores.csv",
        "device": "cpu",
        "num_workers": 0,
        **options,
    }
    words = [f"--{key}={value}" for key, value in settings.items()]
    return [verb, "hparams/w2v_tiny.yaml", *words]


def protocol_ids(corpus):
    with (corpus / "protocols/test.csv").open() as stream:
        return [row["ID"] for row in csv.DictReader(stream)]


def alone(corpus, checkpoint, utterance):
    """The logits of one file by itself."""
    detector = build_detector("w2v_tiny").eval()
    detector.load_state_dict(torch.load(checkpoint))
    number = utterance.rpartition("-")[2]
    waveform, _ = soundfile.read(corpus / f"Data/Toy/test/{number}.wav", dtype="float32")
    with torch.no_grad():
        return detector(torch.from_numpy(waveform)[None]).logits[0].numpy()


def skipped(corpus):
    with (corpus / "scores.skipped.csv").open() as stream:
        return {row["ID"]: (row["Kind"], row["Reason"]) for row in csv.DictReader(stream)}


def test_scores_come_in_protocol_order_and_do_not_depend_on_the_batch(corpus, checkpoint):
    assert main.main(arguments(corpus, checkpoint)) == 0
    scores = read_scores(corpus / "scores.csv")
    assert list(scores.ids) == protocol_ids(corpus)
    for utterance, logits in zip(scores.ids, scores.logits, strict=True):
        assert logits == pytest.approx(alone(corpus, checkpoint, utterance), abs=1e-4)
    header = (corpus / "scores.csv").read_text().splitlines()[0]
    assert header == "ID,Score,Label"
    assert main.main(arguments(corpus, checkpoint, max_batch_length=1)) == 0
    assert read_scores(corpus / "scores.csv").logits == pytest.approx(scores.logits, abs=1e-4)


def test_the_meta_file_says_what_the_scores_depend_on(corpus, checkpoint):
    import hashlib

    assert main.main(arguments(corpus, checkpoint, eval_precision="bf16")) == 0
    meta = json.loads((corpus / "scores.meta.json").read_text())
    assert meta["checkpoint_sha256"] == hashlib.sha256(checkpoint.read_bytes()).hexdigest()
    assert (meta["model"], meta["precision"], meta["engine"]) == ("w2v_tiny", "bf16", "native")


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_scores_are_close_to_full_ones(precision, corpus, checkpoint):
    scores = {}
    for name in ("fp32", precision):
        assert main.main(arguments(corpus, checkpoint, eval_precision=name)) == 0
        scores[name] = read_scores(corpus / "scores.csv").logits
    assert scores[precision] == pytest.approx(scores["fp32"], abs=0.3)
    assert (scores[precision] != scores["fp32"]).any()


def test_analysis_writes_the_embeddings_that_the_scores_come_from(corpus, checkpoint):
    assert main.main(arguments(corpus, checkpoint, "analysis")) == 0
    scores = read_scores(corpus / "scores.csv")
    with np.load(corpus / "scores.npz", allow_pickle=False) as found:
        assert list(found["ids"]) == list(scores.ids)
        assert found["labels"].tolist() == scores.labels.tolist()
        assert found["logits"] == pytest.approx(scores.logits)
        embeddings, meta = found["embeddings"], json.loads(str(found["meta"]))
    head = torch.load(checkpoint)
    weight, bias = head["proj_fc.weight"].numpy(), head["proj_fc.bias"].numpy()
    assert embeddings.dtype == np.float32
    assert embeddings @ weight.T + bias == pytest.approx(scores.logits, abs=1e-4)
    assert meta["sample_rate"] == 16000 and meta["model"] == "w2v_tiny"
    assert not (corpus / "scores.csv.partial").exists()


def test_a_pretraining_file_gives_embeddings_and_no_scores(corpus, checkpoint, capfd):
    weights = torch.load(checkpoint)
    front = {k.removeprefix(PREFIX): v for k, v in weights.items() if k.startswith(PREFIX)}
    torch.save({"model": front}, corpus / "base.pt")
    assert main.main(arguments(corpus, corpus / "base.pt", "analysis")) == 0
    assert "no scores were written: " in capfd.readouterr().err
    assert not (corpus / "scores.csv").exists()
    read = read_embeddings(corpus / "scores.npz")
    assert read.logits is None and list(read.ids) == protocol_ids(corpus)
    assert main.main(arguments(corpus, checkpoint, "analysis")) == 0
    assert read_embeddings(corpus / "scores.npz").embeddings == pytest.approx(read.embeddings)
    for verb, words in (("inference", "has no detection head"), ("analysis", "name another")):
        assert main.main(arguments(corpus, corpus / "base.pt", verb)) == 2
        assert words in capfd.readouterr().err


def test_unreadable_files_are_listed_and_the_others_scored(corpus, checkpoint, capfd):
    test = corpus / "Data/Toy/test"
    (test / "001.wav").write_bytes(b"not audio")
    soundfile.write(test / "002.wav", np.zeros(0, np.float32), 16000)
    soundfile.write(test / "004.wav", np.full(16000, np.nan, np.float32), 16000, subtype="FLOAT")
    (test / "005.wav").unlink()
    assert main.main(arguments(corpus, checkpoint)) == 3
    assert set(skipped(corpus)) == {f"Toy-test-00{n}" for n in (1, 2, 4, 5)}
    assert {kind for kind, _ in skipped(corpus).values()} == {"error"}
    ids = [name for name in protocol_ids(corpus) if name not in skipped(corpus)]
    assert list(read_scores(corpus / "scores.csv").ids) == ids
    assert "not scored: Toy-test-001: " in capfd.readouterr().err
    assert main.main(arguments(corpus, checkpoint, allow_skipped=True)) == 0


def test_short_files_are_listed_without_an_error_and_scored_on_request(corpus, checkpoint, capfd):
    waveform = np.random.default_rng(0).standard_normal(100).astype(np.float32) * 0.1
    soundfile.write(corpus / "Data/Toy/test/003.wav", waveform, 16000)
    assert main.main(arguments(corpus, checkpoint)) == 0
    assert skipped(corpus)["Toy-test-003"][0] == "short"
    assert "1 files are shorter than min_duration" in capfd.readouterr().err
    assert main.main(arguments(corpus, checkpoint, min_duration="null")) == 0
    scores = read_scores(corpus / "scores.csv")
    assert list(scores.ids) == protocol_ids(corpus)
    assert not (corpus / "scores.skipped.csv").exists()


def test_a_score_that_is_not_a_number_is_never_written(corpus, tmp_path):
    state = build_detector("w2v_tiny").state_dict()
    state["proj_fc.weight"][:] = float("nan")
    torch.save(state, tmp_path / "nan.ckpt")
    assert main.main(arguments(corpus, tmp_path / "nan.ckpt")) == 3
    assert "nan" not in (corpus / "scores.csv").read_text().lower()
    assert "not finite" in skipped(corpus)["Toy-test-000"][1]


@pytest.mark.parametrize("edit", ["dash", "no column"])
def test_rows_without_a_label_are_scored(edit, corpus, checkpoint):
    path = corpus / "protocols/test.csv"
    rows = list(csv.DictReader(path.open()))
    columns = [c for c in rows[0] if edit == "dash" or c != "Label"]
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, columns, extrasaction="ignore")
        writer.writeheader()
        writer.writerows({**row, "Label": "-"} for row in rows)
    assert main.main(arguments(corpus, checkpoint)) == 0
    assert set(read_scores(corpus / "scores.csv").labels.tolist()) == {-1}


@pytest.fixture
def scored(monkeypatch):
    """The rows that the model is given from here on, in this process."""
    rows, original = [], scoring.forward

    def noted(scorer, batch):
        rows.extend(batch.rows.tolist())
        return original(scorer, batch)

    monkeypatch.setattr(scoring, "forward", noted)
    return rows


def journal_rows(corpus):
    """How many rows the journal has scores of, with embeddings of 32 dimensions."""
    width = build_detector("w2v_tiny").config.embed_dim
    files = (corpus / "scores.csv.partial").glob("rank*.scores")
    return sum(path.stat().st_size // (8 + 4 * (2 + width)) for path in files)


@pytest.mark.slow
@pytest.mark.parametrize("ranks", [1, 2])
def test_a_killed_scoring_goes_on_where_it_was(ranks, corpus, checkpoint, scored):
    command = arguments(corpus, checkpoint, "analysis", max_batch_length=2)
    assert main.main(command) == 0
    whole = (corpus / "scores.csv").read_bytes()
    (corpus / "scores.csv").unlink()
    assert run_main(command, ranks=ranks, die="score:3") == -9
    assert not (corpus / "scores.csv").exists()
    done = journal_rows(corpus)
    assert 0 < done < 10
    with (corpus / "scores.csv.partial/rank0.scores").open("ab") as stream:
        stream.write(b"torn")
    scored.clear()
    assert main.main(command) == 0
    assert len(scored) == 10 - done
    assert (corpus / "scores.csv").read_bytes() == whole


@pytest.mark.slow
def test_a_rank_that_comes_late_leaves_no_row_to_nobody(corpus, checkpoint):
    command = arguments(corpus, checkpoint, max_batch_length=2)
    assert run_main(command, ranks=2, late=2) == 0
    assert list(read_scores(corpus / "scores.csv").ids) == protocol_ids(corpus)


def test_scores_are_refused_while_a_row_has_neither_score_nor_reason(
    corpus, checkpoint, monkeypatch, capfd, scored
):
    command = arguments(corpus, checkpoint, max_batch_length=2)
    with monkeypatch.context() as patch:
        original, seen = scoring.begin_batch, []

        def forgetful(scorer, batch, sink):
            seen.append(batch)
            return scoring.nothing if len(seen) == 2 else original(scorer, batch, sink)

        patch.setattr(scoring, "begin_batch", forgetful)
        assert main.main(command) == 2
    assert "neither a score nor a reason, the first is Toy-test-" in capfd.readouterr().err
    assert not (corpus / "scores.csv").exists()
    scored.clear()
    assert main.main(command) == 0
    assert scored == seen[1].rows.tolist()
    assert list(read_scores(corpus / "scores.csv").ids) == protocol_ids(corpus)


@pytest.mark.parametrize("verb", ["inference", "analysis", "score"])
def test_two_runs_do_not_score_into_one_file(verb, corpus, checkpoint, capfd):
    path = corpus / "scores.csv"
    words = arguments(corpus, checkpoint, verb, output=path)
    if verb == "score":
        words.insert(2, str(corpus / "Data/Toy/test"))
    with sole_writer(path):
        assert main.main(words) == 2
        assert f"is being written by process {os.getpid()} on" in capfd.readouterr().err
        assert not list(corpus.glob("scores.csv.partial"))
    assert main.main(words) == 0
    assert not list(corpus.glob("*.lock"))


def stop_after(monkeypatch, batches: int) -> None:
    """SIGTERM as the last of so many batches is scored."""
    original, seen = scoring.begin_batch, []

    def ending(scorer, batch, sink):
        kept = original(scorer, batch, sink)
        seen.append(len(batch))
        if len(seen) == batches:
            os.kill(os.getpid(), signal.SIGTERM)
        return kept

    monkeypatch.setattr(scoring, "begin_batch", ending)


@pytest.mark.parametrize("verb", ["inference", "analysis"])
def test_scores_so_far_are_kept_when_asked_to_end(verb, corpus, checkpoint, capfd, monkeypatch):
    command = arguments(corpus, checkpoint, verb, max_batch_length=2)
    with monkeypatch.context() as patch:
        stop_after(patch, 2)
        assert main.main(command) == 75
    found = re.search(
        r"stopped by SIGTERM: (\d) of 10 files are done and kept in (.*), the same command goes on",
        capfd.readouterr().err,
    )
    assert found[2] == str(corpus / "scores.csv.partial")
    assert not (corpus / "scores.csv").exists()
    with monkeypatch.context() as patch:
        rest = []
        original = scoring.begin_batch
        patch.setattr(scoring, "begin_batch", lambda *a: rest.append(len(a[1])) or original(*a))
        assert main.main(command) == 0
    assert sum(rest) == 10 - int(found[1]) < 10
    assert list(read_scores(corpus / "scores.csv").ids) == protocol_ids(corpus)


@pytest.mark.parametrize("output", [None, "v.csv"])
def test_score_shows_what_it_has_when_asked_to_end(
    output, corpus, checkpoint, capfd, monkeypatch, tmp_path
):
    words = ["score", "hparams/w2v_tiny.yaml", str(corpus / "Data/Toy/test"), "--device=cpu"]
    words += [f"--ckpt_path={checkpoint}", "--max_batch_length=2", "--num_workers=0"]
    words += [f"--output={tmp_path / output}"] if output else []
    stop_after(monkeypatch, 2)
    assert main.main(words) == 75
    out, err = capfd.readouterr()
    count = int(re.search(r"stopped by SIGTERM: (\d) of 10 files are done and", err)[1])
    assert 0 < count < 10 and out.count(".wav") == count
    goes_on = (
        "kept in .*v.csv.partial, the same command" if output else "shown, and nothing is kept"
    )
    assert re.search(goes_on, err)


def test_scoring_ends_at_its_time_limit(corpus, checkpoint, capfd, monkeypatch):
    monkeypatch.setattr(stopping, "STARTED", time.monotonic() - 61)
    assert main.main(arguments(corpus, checkpoint, max_batch_length=2, time_limit=1)) == 75
    assert "stopped by its time limit: " in capfd.readouterr().err


MEMORY_WORDS = "DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes"


def test_the_words_of_an_allocator_without_memory_are_known():
    with pytest.raises(RuntimeError) as refusal:
        torch.empty(1 << 50)
    assert scoring.is_out_of_memory(refusal.value)
    assert scoring.is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory"))
    assert scoring.is_out_of_memory(MemoryError())
    for words in (
        "CUDA error: out of memory\nCUDA kernel errors might be reported later",
        "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
        "cuDNN error: CUDNN_STATUS_ALLOC_FAILED",
    ):
        assert scoring.is_out_of_memory(RuntimeError(words)), words
    for words in ("shapes do not fit", "CUDA error: an illegal memory access was encountered"):
        assert not scoring.is_out_of_memory(RuntimeError(words)), words


def test_a_batch_without_memory_is_halved_and_a_file_without_is_listed(
    corpus, checkpoint, monkeypatch
):
    """As on a machine where 1.8 s of padded audio fit, and one file is longer."""
    command = arguments(corpus, checkpoint)
    assert main.main(command) == 0
    plenty = read_scores(corpus / "scores.csv")
    original = Detector.forward

    def short_of_memory(detector, waveforms, lengths):
        if waveforms.numel() > 1.8 * 16000:
            raise RuntimeError(MEMORY_WORDS)
        return original(detector, waveforms, lengths)

    monkeypatch.setattr(Detector, "forward", short_of_memory)
    assert main.main(command) == 3
    seconds = {
        f"Toy-test-{n:03d}": soundfile.info(corpus / f"Data/Toy/test/{n:03d}.wav").duration
        for n in range(10)
    }
    long = [name for name, length in seconds.items() if length > 1.8]
    assert long and list(skipped(corpus)) == long
    assert skipped(corpus)[long[0]][1].startswith("no memory on cpu for its 2 s")
    scores = read_scores(corpus / "scores.csv")
    known = [name not in long for name in plenty.ids]
    assert scores.logits == pytest.approx(plenty.logits[known], abs=1e-4)


def test_an_error_of_the_model_is_no_lack_of_memory(corpus, checkpoint, monkeypatch):
    def broken(*_):
        raise RuntimeError("shapes do not fit")

    monkeypatch.setattr(Detector, "forward", broken)
    with pytest.raises(RuntimeError, match="shapes"):
        main.main(arguments(corpus, checkpoint))


def test_a_file_in_a_codec_nobody_knows_is_listed_and_the_others_scored(corpus, checkpoint):
    path = corpus / "Data/Toy/test/003.wav"
    data = bytearray(path.read_bytes())
    data[20:22] = b"\x77\x77"  # the format tag
    path.write_bytes(data)
    assert main.main(arguments(corpus, checkpoint, num_workers=1)) == 3
    assert "knows its codec" in skipped(corpus)["Toy-test-003"][1]
    assert len(read_scores(corpus / "scores.csv")) == 9


def test_loader_workers_change_no_score(corpus, checkpoint):
    scores = {}
    for workers in (0, 2):
        assert main.main(arguments(corpus, checkpoint, num_workers=workers)) == 0
        scores[workers] = (corpus / "scores.csv").read_bytes()
    assert scores[0] == scores[2]


@pytest.mark.parametrize(
    "terminal, words, seen",
    [(True, [], True), (False, [], False), (True, ["--noprogressbar"], False)],
)
def test_the_progress_bar_shows_files_a_second_and_times_real_time(
    terminal, words, seen, corpus, checkpoint, capfd, monkeypatch
):
    """On a terminal, unless told not to; a log file gets none."""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    assert main.main(arguments(corpus, checkpoint, max_batch_length=1) + words) == 0
    shown = capfd.readouterr().err
    assert bool(re.search(r"10/10.*file/s, \d+ x real time", shown)) == seen


def test_embeddings_of_former_scores_do_not_outlive_them(corpus, checkpoint, caplog):
    assert main.main(arguments(corpus, checkpoint, "analysis")) == 0
    assert main.main(arguments(corpus, checkpoint, "inference", eval_precision="bf16")) == 0
    assert not (corpus / "scores.npz").exists()
    assert "removing" in caplog.text and "scores.npz" in caplog.text


@pytest.mark.slow
def test_two_processes_score_as_one(corpus, checkpoint):
    (corpus / "Data/Toy/test/001.wav").write_bytes(b"not audio")
    assert run_main(arguments(corpus, checkpoint, "analysis")) == 3
    one = read_scores(corpus / "scores.csv")
    assert run_main(arguments(corpus, checkpoint, "analysis"), ranks=2) == 3
    two = read_scores(corpus / "scores.csv")
    assert list(two.ids) == list(one.ids)
    assert two.logits == pytest.approx(one.logits, abs=1e-5)
    assert list(skipped(corpus)) == ["Toy-test-001"]
    assert len(np.load(corpus / "scores.npz")["embeddings"]) == len(one)


def test_a_journal_of_another_checkpoint_is_not_continued(corpus, checkpoint, tmp_path):
    journal = corpus / "scores.csv.partial"
    journal.mkdir()
    (journal / "job.json").write_text(json.dumps({"checkpoint_sha256": "of another"}))
    (journal / "rank0.scores").write_bytes(bytes(16 * 10))
    assert main.main(arguments(corpus, checkpoint)) == 0
    scores = read_scores(corpus / "scores.csv")
    assert scores.logits[0] == pytest.approx(alone(corpus, checkpoint, scores.ids[0]), abs=1e-4)


def test_score_prints_and_writes_a_verdict_a_file(corpus, checkpoint, tmp_path, capfd):
    folder, output = corpus / "Data/Toy/test", tmp_path / "verdicts.csv"
    (folder / "notes.txt").write_text("not audio, not walked")
    words = ["score", "hparams/w2v_tiny.yaml", str(folder / "000.wav"), str(folder)]
    options = [f"--ckpt_path={checkpoint}", f"--output={output}", "--device=cpu"]
    assert main.main(words + options) == 0
    with output.open() as stream:
        rows = list(csv.DictReader(stream))
    assert [row["Path"] for row in rows] == [str(folder / f"{n:03d}.wav") for n in range(10)]
    logits = alone(corpus, checkpoint, "Toy-test-000")
    expected = 1 / (1 + np.exp(logits[0] - logits[1]))
    assert float(rows[0]["PReal"]) == pytest.approx(expected, abs=1e-4)
    assert rows[0]["Verdict"] == ("real" if expected >= 0.5 else "fake")
    shown = capfd.readouterr().out
    assert "Verdict" in shown and "real when P(real) >= 0.5" in shown


@pytest.fixture(scope="module")
def calibration(checkpoint, tmp_path_factory):
    """cal.json of the checkpoint: llr = 2 s - 1."""
    path = tmp_path_factory.mktemp("calibration") / "cal.json"
    sha256 = hashlib.sha256(checkpoint.read_bytes()).hexdigest()
    save_calibration(path, Calibration("affine", 2.0, -1.0, checkpoint_sha256=sha256))
    return path


@pytest.mark.parametrize("prior", [None, 0.1])
def test_score_prints_a_calibrated_probability_at_a_stated_prior(
    corpus, checkpoint, calibration, tmp_path, capfd, prior
):
    output = tmp_path / "verdicts.csv"
    words = ["score", "hparams/w2v_tiny.yaml", str(corpus / "Data/Toy/test/000.wav")]
    words += [f"--ckpt_path={checkpoint}", "--device=cpu", f"--output={output}"]
    words += [f"--calibration={calibration}"] + ([f"--prior_real={prior}"] if prior else [])
    assert main.main(words) == 0
    fake, real = alone(corpus, checkpoint, "Toy-test-000")
    stated = prior or 0.5
    log_odds = 2 * (real - fake) - 1 + np.log(stated / (1 - stated))
    with output.open() as stream:
        (row,) = csv.DictReader(stream)
    assert float(row["PReal"]) == pytest.approx(1 / (1 + np.exp(-log_odds)), abs=1e-4)
    assert f"calibrated by {calibration} at a prior of {stated} for real" in capfd.readouterr().out


@pytest.mark.parametrize(
    "options, message",
    [
        (["--prior_real=1", "--calibration={cal}"], "prior_real is 1: expected between 0 and 1"),
        (["--prior_real=often", "--calibration={cal}"], "prior_real is 'often': expected between"),
        (["--prior_real=0.5"], "prior_real 0.5 does nothing without a calibration"),
        (["--calibration=nowhere.json"], "cannot read the calibration nowhere.json"),
    ],
)
def test_score_refuses_a_prior_it_cannot_use_before_it_looks_for_audio(
    calibration, capfd, options, message
):
    """Nothing else in the command is there: the prior is judged first."""
    words = ["score", "hparams/w2v_tiny.yaml", "no_such_audio.wav", "--ckpt_path=none.ckpt"]
    assert main.main(words + [option.format(cal=calibration) for option in options]) == 2
    err = capfd.readouterr().err
    assert err.startswith("error: ") and message in err and err.count("\n") == 1


def test_score_refuses_the_calibration_of_another_checkpoint(corpus, checkpoint, tmp_path, capfd):
    save_calibration(tmp_path / "cal.json", Calibration("affine", checkpoint_sha256="ab" * 32))
    words = ["score", "hparams/w2v_tiny.yaml", str(corpus / "Data/Toy/test/000.wav")]
    words += [f"--ckpt_path={checkpoint}", "--device=cpu", f"--calibration={tmp_path}/cal.json"]
    assert main.main(words) == 2
    out, err = capfd.readouterr()
    assert "was fitted on another checkpoint (abababababab...)" in err and "Verdict" not in out


def test_score_says_when_a_calibration_names_no_checkpoint(corpus, checkpoint, tmp_path, capfd):
    save_calibration(tmp_path / "cal.json", Calibration("affine"))
    words = ["score", "hparams/w2v_tiny.yaml", str(corpus / "Data/Toy/test/000.wav")]
    words += [f"--ckpt_path={checkpoint}", "--device=cpu", f"--calibration={tmp_path}/cal.json"]
    assert main.main(words) == 0
    assert "does not say for which checkpoint" in capfd.readouterr().err


def test_score_reports_a_file_that_does_not_read(corpus, checkpoint, tmp_path, capfd):
    (tmp_path / "broken.mp3").write_bytes(b"no audio in here")
    words = ["score", "hparams/w2v_tiny.yaml", str(tmp_path / "broken.mp3")]
    words += [str(corpus / "Data/Toy/test/000.wav"), f"--ckpt_path={checkpoint}", "--device=cpu"]
    assert main.main(words) == 3
    assert "broken.mp3" in capfd.readouterr().err


def test_score_names_short_files_where_no_list_is_written(corpus, checkpoint, tmp_path, capfd):
    soundfile.write(tmp_path / "blip.wav", np.full(160, 0.1), 16000)
    words = ["score", "hparams/w2v_tiny.yaml", str(tmp_path / "blip.wav")]
    options = [f"--ckpt_path={checkpoint}", "--device=cpu"]
    assert main.main(words + options) == 0
    shown = capfd.readouterr().err
    assert "blip.wav: 0.010 s is shorter than min_duration 0.5" in shown
    assert main.main([*words, *options, f"--output={tmp_path / 'v.csv'}"]) == 0
    assert "blip.wav" in (tmp_path / "v.skipped.csv").read_text()


def test_score_takes_names_that_are_not_utf8_and_writes_them_as_they_are(
    corpus, checkpoint, tmp_path, capfd
):
    name, output = os.fsencode(tmp_path) + b"/caf\xe9.wav", tmp_path / "v.csv"
    shutil.copy(corpus / "Data/Toy/test/000.wav", name)
    words = ["score", "hparams/w2v_tiny.yaml", os.fsdecode(name), f"--output={output}"]
    assert main.main([*words, f"--ckpt_path={checkpoint}", "--device=cpu"]) == 0
    assert name in output.read_bytes()
    assert "caf\\xe9.wav" in capfd.readouterr().out


@pytest.mark.slow
def test_a_reader_that_has_seen_enough_ends_score_quietly(corpus, checkpoint, tmp_path):
    words = ["score", "hparams/w2v_tiny.yaml", str(corpus / "Data/Toy/test")]
    options = [f"--ckpt_path={checkpoint}", f"--output={tmp_path / 'v.csv'}", "--device=cpu"]
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "main.py", *words, *options]
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True)
    os.close(writing)
    assert done.returncode == 141  # as of every command whose reader has gone
    assert "Error" not in done.stderr and "Exception" not in done.stderr
    assert len((tmp_path / "v.csv").read_text().splitlines()) == 11


def test_inference_finds_the_best_checkpoint_of_its_own_experiment(toy_corpus, tmp_path):
    from support.training import make_run

    brain, train, valid = make_run(toy_corpus, tmp_path / "base")
    brain.fit_stream(train, valid)
    words = [f"--base_path={tmp_path / 'base'}", f"--data_folder={toy_corpus / 'Data'}"]
    words += [f"--protocol_folder={toy_corpus / 'protocols'}", "--device=cpu"]
    assert main.main(["inference", "hparams/w2v_tiny.yaml", *words]) == 0
    folder = tmp_path / "base/Log/exps/exp_w2v_tiny_default"
    scores = read_scores(folder / "evaluation_score.csv")
    (best,) = (folder / "save").glob("CKPT+best*")
    shutil.copy(best / "ssl.ckpt", tmp_path / "best.ckpt")
    expected = alone(toy_corpus, tmp_path / "best.ckpt", scores.ids[0])
    assert scores.logits[0] == pytest.approx(expected, abs=1e-4)


REFUSALS = {
    "an absent CSV": ({"test_csv": "nowhere.csv"}, "nowhere.csv"),
    "no training run": ({"ckpt_path": "null"}, "no --ckpt_path was given"),
    "an absent checkpoint": ({"ckpt_path": "gone.ckpt"}, "gone.ckpt does not exist"),
    "an absent device": ({"device": "cuda:63"}, "device 'cuda:63' is not available"),
    "a misspelt device": ({"device": "gpu"}, "unknown device 'gpu'"),
    "an unknown key": ({"max_batch_len": 3}, "did you mean 'max_batch_length'"),
    "a data folder without the files": ({"data_folder": "/nowhere"}, "/nowhere"),
    "scores in the place of embeddings": ({"score_path": "a.npz"}, "does not end in .csv"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_a_mistake_is_one_sentence_without_a_traceback(case, corpus, checkpoint, capfd):
    options, message = REFUSALS[case]
    assert main.main(arguments(corpus, checkpoint, **options)) == 2
    lines = [line for line in capfd.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1 and message in lines[0]


def test_scores_do_not_overwrite_the_protocol(corpus, checkpoint, capfd):
    protocol = corpus / "protocols/test.csv"
    before = protocol.read_bytes()
    words = arguments(corpus, checkpoint, score_path=protocol, test_csv=protocol)
    assert main.main(words) == 2
    assert "would overwrite" in capfd.readouterr().err
    assert protocol.read_bytes() == before


BAD_PROTOCOLS = {
    "a missing column": (lambda text: text.replace("Path", "File", 1), "Path"),
    "an unknown label": (lambda text: text.replace(",fake,", ",fakt,", 1), "line 2"),
    "a duplicate ID": (lambda text: text.replace("test-001", "test-000", 1), "Toy-test-000"),
}


@pytest.mark.parametrize("case", BAD_PROTOCOLS)
def test_a_bad_protocol_is_refused_with_its_place(case, corpus, checkpoint, capfd):
    edit, message = BAD_PROTOCOLS[case]
    path = corpus / "protocols/test.csv"
    path.write_text(edit(path.read_text()))
    assert main.main(arguments(corpus, checkpoint)) == 2
    assert message in capfd.readouterr().err
    assert not (corpus / "scores.csv").exists()


def test_a_pretraining_file_is_not_scored_with(corpus, tmp_path, capfd):
    state = build_detector("w2v_tiny").state_dict()
    front_end = {
        name.removeprefix("m_ssl.model."): tensor
        for name, tensor in state.items()
        if name.startswith("m_ssl.model.")
    }
    torch.save({"model": front_end, "args": None}, tmp_path / "pretrained.pt")
    assert main.main(arguments(corpus, tmp_path / "pretrained.pt")) == 2
    assert "no detection head" in capfd.readouterr().err

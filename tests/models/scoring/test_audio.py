"""`score`: what its files hold, that a kill loses nothing, and mistakes refused before any work."""

import csv
import hashlib
import json
import os

import numpy as np
import pytest
import soundfile

import evaluation
import main
from dataio.schema import UserError
from dataio.scores import read_scores
from models.scoring import run as scoring


@pytest.fixture
def score(corpus, checkpoint, capfd):
    """`score(*words) -> (status, out, err)` with the checkpoint, on a CPU."""

    def run(*words, files=("Data/Toy/test",)):
        names = [str(corpus / file) for file in files]
        options = [f"--ckpt_path={checkpoint}", "--device=cpu", *map(str, words)]
        status = main.main(["score", "hparams/w2v_tiny.yaml", *names, *options])
        return status, *capfd.readouterr()

    return run


def test_its_csv_is_a_score_file_with_the_checkpoint_beside_it(score, checkpoint, tmp_path):
    assert score(f"--output={tmp_path}/v.csv")[0] == 0
    rows = list(csv.DictReader((tmp_path / "v.csv").open()))
    scores = read_scores(tmp_path / "v.csv")
    assert scores.ids.tolist() == [row["Path"] for row in rows] and len(rows) == 10
    stated = [float(row["PReal"]) for row in rows]
    assert stated == pytest.approx(1 / (1 + np.exp(-scores.difference)), abs=1e-6)
    assert scores.meta["checkpoint_sha256"] == hashlib.sha256(checkpoint.read_bytes()).hexdigest()
    assert scores.meta["model"] == "w2v_tiny"
    assert not list(tmp_path.glob("*.partial"))


def test_evaluation_measures_it_with_a_key_of_bare_names(score, tmp_path, capfd):
    assert score(f"--output={tmp_path}/v.csv")[0] == 0
    words = ["bonafide", "spoof"]
    key = "".join(f"LA_0 {n:03d} - - {words[n % 2]}\n" for n in range(10))
    (tmp_path / "key.txt").write_text(key)
    arguments = [str(tmp_path / "v.csv"), "--key", str(tmp_path / "key.txt")]
    assert evaluation.main([*arguments, "--json", str(tmp_path / "r.json")]) == 0
    found = json.loads((tmp_path / "r.json").read_text())["subsets"][0]
    assert (found["real"], found["fake"]) == (5, 5)


def test_a_json_output_is_json(score, corpus, tmp_path):
    status, out, _ = score(f"--output={tmp_path}/v.json", files=["Data/Toy/test/000.wav"])
    found = json.loads((tmp_path / "v.json").read_text())
    (file,) = found["files"]
    assert status == 0 and f"{file['p_real']:.6f}" in out
    assert file["path"] == str(corpus / "Data/Toy/test/000.wav")
    fake, real = file["logits"]
    assert file["p_real"] == pytest.approx(1 / (1 + np.exp(fake - real)))
    assert found["meta"]["checkpoint_sha256"] and "P(real) >= 0.5" in found["meta"]["basis"]
    assert sorted(path.name for path in tmp_path.glob("v*")) == ["v.json"]


def test_a_killed_score_goes_on_where_it_was(score, tmp_path, monkeypatch):
    whole, part = tmp_path / "whole.csv", tmp_path / "part.csv"
    assert score(f"--output={whole}", "--max_batch_length=1")[0] == 0
    begin_batch, batches = scoring.begin_batch, []

    def dies_at_the_third(*args):
        batches.append(args[1].rows.tolist())
        if len(batches) == 3:
            raise KeyboardInterrupt
        return begin_batch(*args)

    monkeypatch.setattr(scoring, "begin_batch", dies_at_the_third)
    assert score(f"--output={part}", "--max_batch_length=1")[0] == 130
    assert score(f"--output={part}", "--max_batch_length=1")[0] == 0
    again = [row for rows in batches[2:] for row in rows]
    assert not set(again[len(batches[2]) :]) & {row for rows in batches[:2] for row in rows}
    assert part.read_bytes() == whole.read_bytes()


def test_a_file_changed_since_the_kill_is_scored_again(score, corpus, tmp_path, monkeypatch):
    monkeypatch.setattr(scoring, "begin_batch", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        score(f"--output={tmp_path}/v.csv")
    journal = tmp_path / "v.csv.partial"
    (journal / "rank0.scores").write_bytes(bytes(16 * 10))
    monkeypatch.undo()
    soundfile.write(corpus / "Data/Toy/test/000.wav", np.full(16000, 0.1), 16000)
    assert score(f"--output={tmp_path}/v.csv")[0] == 0
    assert np.ptp(read_scores(tmp_path / "v.csv").difference) > 0


@pytest.mark.parametrize(
    "output, message",
    [
        ("v.txt", "ends in neither .csv nor .json"),
        ("there/is/none/notes.wav/v.csv", "notes.wav is no folder"),
        ("folder.csv", "is a folder: name a file"),
        ("cal.json", "would overwrite"),
        ("./link.json", "would overwrite"),
    ],
)
def test_an_output_that_cannot_serve_is_refused_before_anything_is_loaded(
    score, tmp_path, monkeypatch, output, message
):
    (tmp_path / "there/is/none").mkdir(parents=True)
    (tmp_path / "there/is/none/notes.wav").write_text("a file")
    (tmp_path / "folder.csv").mkdir()
    calibration = '{"format": "antideepfake-calibration-1", "method": "affine", "scale": 1.0, '
    (tmp_path / "cal.json").write_text(calibration + '"offset": 0.0, "meta": {}}')
    os.symlink(tmp_path / "cal.json", tmp_path / "link.json")
    monkeypatch.setattr("models.scoring.audio.load_scorer", lambda *_: pytest.fail("loaded"))
    before = (tmp_path / "cal.json").read_text()
    status, out, err = score(f"--output={tmp_path}/{output}", f"--calibration={tmp_path}/cal.json")
    assert (status, out, err.count("\n")) == (2, "", 1) and message in err
    assert (tmp_path / "cal.json").read_text() == before


def test_verdicts_are_shown_although_their_file_cannot_be_written(score, tmp_path, monkeypatch):
    def full(*_):
        raise UserError("cannot write: no space left")

    monkeypatch.setattr("models.scoring.audio.write_verdicts", full)
    status, out, err = score(f"--output={tmp_path}/v.csv")
    assert status == 2 and "000.wav" in out and "no space left" in err
    monkeypatch.undo()
    assert (tmp_path / "v.csv.partial").is_dir()  # from which the same command goes on


@pytest.mark.parametrize("verb", [[], ["score"], ["inference"]])
@pytest.mark.parametrize("name", ["song.mp3", "recordings", "test.csv", "no_such.wav"])
def test_a_forgotten_yaml_is_one_sentence(verb, name, tmp_path, capfd):
    (tmp_path / "song.mp3").write_bytes(b"\xff\xfb\x90\x64")
    (tmp_path / "test.csv").write_text("ID,Label\n")
    (tmp_path / "recordings").mkdir()
    assert main.main([*verb, str(tmp_path / name)]) == 2
    err = capfd.readouterr().err
    said = "unknown model" if name == "recordings" else "the model's YAML comes first"
    assert err.count("\n") == 1 and said in err


@pytest.mark.parametrize("content", [b"\xff\xfb\x90\x64", b"a: \x00\x01"])
def test_a_yaml_of_other_bytes_is_one_sentence(content, tmp_path, capfd):
    (tmp_path / "mine.yaml").write_bytes(content)
    assert main.main(["score", str(tmp_path / "mine.yaml"), "a.wav"]) == 2
    err = capfd.readouterr().err
    assert err.count("\n") == 1 and "not valid YAML" in err

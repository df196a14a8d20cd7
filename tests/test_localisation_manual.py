"""The manual's page on localisation: its commands run, or are read by their own parsers."""

import json
from pathlib import Path

from support.pages import commands, page

import evaluation
from dataio.segment_labels import TEXT_FORMATS
from hparams.load import load_hparams
from models.heads.frame_loss import build_frame_loss
from protocols.make import ABOUT

PAGE = page("localisation")


def test_the_command_that_measures_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("timelines").mkdir()
    content = {
        "file": "u1.wav",
        "duration": 2.0,
        "frame_seconds": 0.5,
        "frame_scores": [1, -1, 1, None],
    }
    Path("timelines/u1.json").write_text(json.dumps(content))
    Path("labels.txt").write_text("u1 2.0 spoof 0-0.5-bonafide 0.5-1.0-spoof 1.0-2.0-bonafide\n")
    (words,) = commands(PAGE, "python evaluation.py ")
    assert evaluation.main(words) == 0
    assert "range_eer" in capsys.readouterr().out
    assert json.loads(Path("where.json").read_text())["rates"][0]["figures"]["eer"] == 0
    assert "Localisation" in Path("where.html").read_text()


def test_the_page_names_every_format_and_what_is_made():
    assert all(f"| {name} |" in PAGE for name in (*TEXT_FORMATS, "SPADE", "PartialSpoof"))
    (words,) = commands(PAGE, "python -m protocols ")
    assert words[:2] == ["make", "spliced"] and words[1] in ABOUT


def test_the_command_that_trains_asks_for_the_loss_of_frames():
    (words,) = commands(PAGE, "python main.py ")
    hparams, *_ = load_hparams(words[0], words[1:])
    loss = build_frame_loss(hparams["loss"])
    shown = f"loss: {{name: cross_entropy, frames: {loss.weight}, resolution: {loss.resolution}}}"
    assert shown in PAGE
    assert hparams["train_csv"] == "real_run/protocols/train.csv"
    assert hparams["data_folder"] == "real_run/Data"

"""README.md: what a newcomer reads first stays short, in order, and works as written."""

from __future__ import annotations

import re

import pytest
import soundfile
import torch
from support.corpus import make_corpus
from support.pages import README, blocks, commands, lines

import main
from models.detector import build_detector

TEXT = README.read_text(encoding="utf-8")


def test_it_is_a_screen_and_a_half():
    assert len(TEXT.splitlines()) <= 150
    assert len(TEXT.encode()) <= 9_000


def test_its_parts_stand_in_order():
    assert lines(TEXT)[0].startswith("bash install.sh demo")
    assert lines(TEXT)[1].startswith("bash install.sh test")
    parts = [
        "Score your own file",
        "Detectors",
        "What you can do",
        "Where things are",
        "Licence",
        "Citation",
    ]
    assert re.findall(r"^## (.*)$", TEXT, re.MULTILINE) == parts
    assert TEXT.count("![") == 1


def test_its_links_lead_somewhere():
    for link in re.findall(r"\]\(([^)#]+)", TEXT):
        assert link.startswith("https://") or (README.parent / link).exists(), link


@pytest.mark.needs("silero_vad")  # else a line says that there was no look for speech
def test_its_scoring_commands_print_what_it_shows(tmp_path, monkeypatch, capsys):
    """On a tiny detector in place of the released one."""
    toy = make_corpus(tmp_path / "toy", train=0, valid=0, test=2) / "Data/Toy/test"
    (tmp_path / "recordings").mkdir()
    for path, name in zip(
        sorted(toy.glob("*.wav")), ("speech.wav", "recordings/a.flac"), strict=True
    ):
        soundfile.write(tmp_path / name, *soundfile.read(path))
    torch.save(build_detector("w2v_tiny").state_dict(), tmp_path / "C")
    (tmp_path / "hparams").mkdir()
    for name in ("mms_300m", "w2v_tiny"):
        (tmp_path / f"hparams/{name}.yaml").write_text("model: w2v_tiny\nnum_workers: 0\n")
    monkeypatch.chdir(tmp_path)
    score = commands(TEXT, "python main.py ")
    assert len(score) == 2
    for words in score:
        words[words.index("--ckpt_path") + 1] = "C"
        assert main.main([*words, "--device", "cpu"]) == 0
    (shown,) = [block.text for block in blocks(TEXT, "text")]
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].split() == shown.splitlines()[0].split()
    assert printed[-1] == shown.splitlines()[-1]

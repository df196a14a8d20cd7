"""The page about exporting as it is written, on a tiny detector in place of the large one."""

import pytest
from support.corpus import make_corpus
from support.pages import commands, page

import evaluation
import main

from .conftest import make_checkpoint


@pytest.mark.slow
@pytest.mark.needs("onnx", "onnxscript", "onnxruntime")
def test_its_commands_run_as_written(tmp_path, monkeypatch):
    corpus = make_corpus(tmp_path / "B", train=0, valid=0, test=6)
    (corpus / "protocols/test.csv").rename(tmp_path / "T.csv")
    make_checkpoint(tmp_path / "C", "w2v_tiny")
    (tmp_path / "hparams").mkdir()
    (tmp_path / "hparams/mms_300m.yaml").write_text("model: w2v_tiny\nnum_workers: 0\n")
    monkeypatch.chdir(tmp_path)
    export, selftest, *others = commands(page("export"), "python main.py ")
    assert export[0] == "export" and selftest == ["selftest", "O"] and len(others) == 3
    assert main.main(export) == 0
    (tmp_path / "O/transformers.safetensors").unlink()  # its package takes ten seconds to load
    assert main.main(selftest) == 0
    (tmp_path / "O/selftest/1.wav").rename(tmp_path / "speech.wav")
    for words in others:
        assert main.main([*words, "--device", "cpu"]) == 0, words
    (against,) = commands(page("export"), "python evaluation.py ")
    assert evaluation.main(against) == 0
    words = ["--output_folder", "again", "--scores", "S.csv", "S_int8.csv"]
    assert main.main([*export[:4], *words, "--license", "mit"]) == 0
    assert "int8 on the files of S.csv: EER" in (tmp_path / "again/README.md").read_text()

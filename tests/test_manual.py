"""The manual's scoring and training pages as they are written; other rooms test their own."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import soundfile
import torch
from support.corpus import make_corpus
from support.pages import DOCS, ROOT, commands, lines, page, section

import evaluation
import main
from hparams.load import load_hparams
from models.detector import build_detector
from protocols.__main__ import main as protocols_main


@pytest.mark.slow
def test_the_published_demonstration_runs_as_written(tmp_path, monkeypatch, capsys):
    """With random weights of MMS-300M's shape and four files laid out as the toy example's."""
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    for name in ("hparams", "protocols"):
        (checkout / name).mkdir()
    for path in (ROOT / "hparams").glob("*.yaml"):
        (checkout / "hparams" / path.name).write_text(path.read_text())
    toy = make_corpus(tmp_path / "toy", train=0, valid=0, test=4) / "Data/Toy/test"
    (tmp_path / "Data/toy_example/eval").mkdir(parents=True)
    lines = []
    for number, path in enumerate(sorted(toy.glob("*.wav"))):
        path.rename(tmp_path / f"Data/toy_example/eval/LA_E_{number}.wav")
        key = "bonafide" if number % 2 else "spoof"
        lines.append(f"LA_0001 LA_E_{number} - {'-' if number % 2 else 'A07'} {key}\n")
    (tmp_path / "Data/toy_example/protocol.txt").write_text("".join(lines))
    (checkout / "downloads").mkdir()
    torch.save(build_detector("mms_300m").state_dict(), checkout / "downloads/mms_300m.ckpt")
    monkeypatch.chdir(checkout)
    shown = section(page("score"), "## The published demonstration")
    (build,) = commands(shown, "python -m protocols ")
    (inference,) = commands(shown, "python main.py ")
    (evaluate,) = commands(shown, "python evaluation.py ")
    assert protocols_main(build) == 0
    words = [word.replace("$PWD", str(checkout)) for word in inference]
    assert main.main([*words, "--device", "cpu", "--num_workers", "0"]) == 0
    assert evaluation.main(evaluate) == 0
    shown = capsys.readouterr().out
    assert "ASV19LAdemo" in shown and "roc_auc" in shown


def test_the_scoring_commands_run_as_written(tmp_path, monkeypatch):
    """On a tiny detector in place of the large one, which is what `hparams` then holds."""
    corpus = make_corpus(tmp_path / "B", train=0, valid=0, test=4)
    (corpus / "protocols/test.csv").rename(tmp_path / "T.csv")
    torch.save(build_detector("w2v_tiny").state_dict(), tmp_path / "C")
    (tmp_path / "hparams").mkdir()
    (tmp_path / "hparams/mms_300m.yaml").write_text("model: w2v_tiny\nnum_workers: 0\n")
    (tmp_path / "recordings").mkdir()
    data = sorted((corpus / "Data/Toy/test").glob("*.wav"))
    samples, rate = soundfile.read(data[0])
    soundfile.write(tmp_path / "recordings/a.flac", samples, rate)
    _write_m4a(tmp_path / "call.m4a", samples, rate)
    monkeypatch.chdir(tmp_path)
    written = commands(page("score").partition("\n## ")[0], "python main.py ")
    assert len(written) == 3
    for words in written:
        words = [word.strip("[]").replace("mms-300m-anti-deepfake", "C") for word in words]
        if "--ckpt_path" not in words:
            words += ["--ckpt_path", "C"]
        assert main.main([*words, "--device", "cpu"]) == 0, words
    assert (tmp_path / "S.csv").exists() and (tmp_path / "verdicts.csv").exists()
    assert list((tmp_path / "B/Log/exps").glob("*/evaluation_score.npz"))


def _write_m4a(path: Path, samples, rate: int) -> None:
    import av
    import numpy as np

    with av.open(str(path), "w", format="ipod") as container:
        stream = container.add_stream("aac", rate=rate, layout="mono")
        frame = av.AudioFrame.from_ndarray(
            samples.astype(np.float32)[None], format="fltp", layout="mono"
        )
        frame.rate = rate
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)


def test_the_training_commands_name_keys_and_models_that_exist():
    """Training MMS-300M itself takes a GPU; the same commands on tiny models are tests/models."""
    training = commands(page("train").partition("\n## ")[0], "python main.py ")
    training += [line[line.index("main.py") + 1 :] for line in commands(page("train"), "torchrun ")]
    assert len(training) >= 4
    for yaml, *options in training:
        assert load_hparams(ROOT / yaml, options, objects=False)


def test_a_second_job_on_the_host_finds_a_port_of_its_own():
    """Without these words torchrun takes port 29500, and the second job ends in a traceback."""
    found = [line for path in DOCS.glob("*.md") for line in lines(path.read_text(), "torchrun ")]
    assert len(found) >= 3
    assert all(" --standalone " in line or " --master-port=$PORT " in line for line in found)


def test_every_cell_of_the_fine_tuning_table_is_a_command():
    shown = section(page("train"), "## Fine-tuning on Deepfake-Eval-2024")
    rows = re.findall(r"^\| \S+ \| `(.*?)` \| `(.*?)` \|", shown, re.MULTILINE)
    columns = re.findall(r'"\[(\d+), \1\]"', shown)
    assert len(rows) == 6 and columns == ["4", "10", "13", "30", "50"]
    # A folder goes on with the run it holds: each cell needs a name of its own.
    assert "main.py hparams/deepfake_eval_2024.yaml --base_path B --exp_name <name>" in shown
    yaml = ROOT / "hparams/deepfake_eval_2024.yaml"
    for row in (arguments for pair in rows for arguments in pair):
        for seconds in columns:
            crop = ["--train_crop_seconds", f"[{seconds}, {seconds}]"]
            hparams, *_ = load_hparams(
                yaml, ["--base_path", "B", *shlex.split(row), *crop], objects=False
            )
            assert hparams["train_crop_seconds"] == [int(seconds)] * 2
            assert hparams["lr"] == 1e-6

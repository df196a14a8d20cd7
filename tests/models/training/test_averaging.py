"""`main.py average`: the mean of a run's checkpoints, which scores as any other."""

import re
import shutil

import pytest
import torch
from support.training import make_run, toy_arguments

import main
from metrics.rates import ErrorRate
from models.checkpoints import load_detector, sha256_of
from models.training import validation


@pytest.fixture(scope="module")
def run(toy_corpus, tmp_path_factory):
    """The folder of a run of four validations, which keeps three checkpoints of each kind."""
    base = tmp_path_factory.mktemp("run")
    options = {"keep_last": 3, "keep_best": 3, "valid_step": 1, "lr": 0.01}
    brain, *streams = make_run(toy_corpus, base, **options)
    rates = iter([0.3, 0.1, 0.4, 0.2])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(validation, "validation_eer", lambda *_: ErrorRate(next(rates), 0.0))
        brain.fit_stream(*streams)
    return brain.checkpointer.checkpoints_dir.parent


def weights(run, pattern: str) -> dict[str, dict]:
    return {p.name: torch.load(p / "ssl.ckpt") for p in sorted((run / "save").glob(pattern))}


def average(run, *words) -> int:
    return main.main(["average", str(run), *words])


def test_the_best_are_kept_and_averaged_by_their_eer(run, capsys):
    assert [name[-1] for name in weights(run, "CKPT+best*")] == ["1", "2", "4"]
    assert average(run, "--best", "2") == 0
    said, content = capsys.readouterr().out, torch.load(run / "averaged_best2.ckpt")
    assert [note["valid_eer"] for note in content["averaged"]] == [0.2, 0.1]
    for note in content["averaged"]:
        assert note["sha256"] == sha256_of(run / "save" / note["name"] / "ssl.ckpt")
        assert note["name"] in said
    held = weights(run, "CKPT+best*")
    one, two = (held[note["name"]] for note in content["averaged"])
    for name, tensor in content["state_dict"].items():
        torch.testing.assert_close(tensor, (one[name] + two[name]) / 2)
    assert not torch.equal(one["proj_fc.weight"], two["proj_fc.weight"])


def test_the_newest_last_are_averaged_and_score_like_any_checkpoint(run, tmp_path, toy_corpus):
    output = tmp_path / "mean.ckpt"
    assert average(run, "--last", "3", "--output", str(output)) == 0
    names = [note["name"] for note in torch.load(output)["averaged"]]
    assert names == sorted(weights(run, "CKPT+last*"))
    detector, info = load_detector("w2v_tiny", output)
    assert info.kind == "detector" and info.fills_head
    words = toy_arguments(toy_corpus, tmp_path, ckpt_path=output, num_workers=0)
    assert main.main(["inference", "hparams/w2v_tiny.yaml", *words]) == 0


REFUSALS = {
    "neither": ([], "either --best or --last"),
    "both": (["--best", "1", "--last", "1"], "either --best or --last"),
    "too many": (["--best", "4"], "holds 3 'best' checkpoints, not 4: .* --keep_best 4"),
    "none": (["--best", "0"], "best is 0: expected a whole number from 1 up"),
    "over a source": (
        ["--best", "1", "--output", "save/CKPT+best-step00000002/ssl.ckpt"],
        "would overwrite",
    ),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_what_cannot_be_averaged_is_one_sentence(case, run, capsys, monkeypatch):
    words, sentence = REFUSALS[case]
    where = [str(run / w) if w.startswith("save/") else w for w in words]
    assert average(run, *where) == 2
    error = capsys.readouterr().err
    assert re.search(sentence, error) and error.count("\n") == 1


def test_a_damaged_source_is_named(run, tmp_path, capsys):
    copy = shutil.copytree(run, tmp_path / "run")
    (copy / "save/CKPT+best-step00000002/ssl.ckpt").write_bytes(b"other")
    assert average(copy, "--best", "1") == 2
    assert "CKPT+best-step00000002 is damaged (ssl.ckpt has 5 bytes" in capsys.readouterr().err

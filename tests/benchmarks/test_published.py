"""Benchmarks against the published toolkit: here this checkout stands in for it."""

import sys

import pytest

from benchmarks import evaluation_speed, machine, published, scoring_command, training_speed
from benchmarks.published import Command, Taken
from hparams.load import load_hparams

OURSELVES = ["--published", str(published.ROOT), "--published_python", sys.executable]


def run(module, monkeypatch, capsys, *words):
    monkeypatch.setattr(sys, "argv", [module.__name__, *map(str, words)])
    module.main()
    return capsys.readouterr().out


def test_a_ratio_is_the_median_of_pairs():
    assert published.ratio([2, 30, 4], [1, 10, 4]) == 2


def test_the_processor_is_named_with_its_vectors(monkeypatch, tmp_path):
    told = machine.describe("numpy")
    assert "unknown processor" not in told and "core" in told


def test_a_command_that_fails_is_told_with_what_it_said():
    with pytest.raises(SystemExit, match="no such verb"):
        published.run(Command(["-c", "raise SystemExit('no such verb')"]), threads=1)


def test_what_a_command_takes_is_its_own():
    taken = published.run(Command(["-c", "sum(range(10**7))"]), threads=1)
    assert isinstance(taken, Taken) and taken.processor > 0 and taken.memory > 0.001


def test_without_a_checkout_nothing_is_claimed(monkeypatch, capsys):
    monkeypatch.setattr(training_speed, "SEVEN", ["w2v_tiny"])
    parser = published.argparse.ArgumentParser()
    published.add_options(parser)
    assert published.published(parser.parse_args([]), "main.py") is None
    assert "published: not measured (--published CHECKOUT" in capsys.readouterr().out


def test_the_training_commands_are_what_both_read(tmp_path):
    arguments = training_speed.argparse.Namespace(device="cpu", batch_seconds=8.0, files=8)
    words = training_speed.training_words(tmp_path, "w2v_tiny", arguments)
    _, yaml, *options = words(2, "a run")
    hparams, run_options, _ = load_hparams(yaml, options, objects=False)
    assert (hparams["number_of_epochs"], run_options["device"]) == (2, "cpu")
    assert hparams["ckpt_path"].endswith("w2v_tiny.ckpt")


@pytest.mark.slow
def test_scoring_is_compared_command_by_command(monkeypatch, capsys):
    words = ["--model", "w2v_tiny", "--files", 2, "--rounds", 1, "--threads", 1, *OURSELVES]
    told = run(scoring_command, monkeypatch, capsys, *words)
    assert "| published inference |" in told and "load average" in told
    assert "largest difference of a logit, inference, fp32 to published: 0.0e+00" in told


@pytest.mark.slow
def test_evaluation_is_compared_on_the_same_rows(monkeypatch, capsys):
    monkeypatch.setattr(evaluation_speed, "PUBLISHED_ROWS", 400)
    words = ["--rows", 400, "--repeats", 1, *OURSELVES]
    told = run(evaluation_speed, monkeypatch, capsys, *words)
    assert "| the report, without intervals |" in told
    assert "| published evaluation.py |" in told

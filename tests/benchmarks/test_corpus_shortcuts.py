"""The shortcut probe finds a planted shortcut, and nothing where there is none."""

import sys

import numpy as np
import pytest

from benchmarks import corpus_shortcuts
from benchmarks.corpus_shortcuts import (
    file_statistics,
    fit_and_score,
    lfcc_statistics,
    rates_by_attack,
)


def probe(extract, real, fake):
    """EER in % of the second half of each class after training on the first half."""
    features = [np.array([extract(waveform) for waveform in group]) for group in (real, fake)]
    train = np.concatenate([group[::2] for group in features])
    test = np.concatenate([group[1::2] for group in features])
    sizes = [len(group[::2]) for group in features]
    labels = np.repeat([1, 0], sizes)
    attacks = np.repeat(["-", "a"], [len(group[1::2]) for group in features])
    return rates_by_attack(fit_and_score(train, labels, test), attacks)["a"]


def noises(rng, level, count=40):
    return [level * rng.standard_normal(8000) for _ in range(count)]


def test_a_class_that_is_louder_is_found_by_the_file_statistics():
    rng = np.random.default_rng(0)
    assert probe(file_statistics, noises(rng, 0.1), noises(rng, 0.2)) == 0


def test_the_same_noise_twice_is_told_apart_by_neither():
    rng = np.random.default_rng(0)
    for extract in (file_statistics, lfcc_statistics):
        assert probe(extract, noises(rng, 0.1), noises(rng, 0.1)) > 20


def test_another_colour_is_found_by_the_lfcc():
    rng = np.random.default_rng(0)
    red = [np.convolve(noise, [1, 0.9], "same") / 1.35 for noise in noises(rng, 0.1)]
    assert probe(lfcc_statistics, noises(rng, 0.1), red) == 0


def test_each_attack_is_compared_with_all_real_files():
    attacks = np.array(["-", "-", "a", "a", "b", "b"])
    rates = rates_by_attack(np.array([1.0, 1.1, 0.0, 0.1, 2.0, 2.1]), attacks)
    assert rates["a"] == 0 and rates["b"] == 100


@pytest.mark.slow
def test_the_demo_is_learnable_but_not_by_its_file_statistics(tmp_path, monkeypatch, capsys):
    from protocols.__main__ import main

    folders = ["--data_folder", str(tmp_path), "--output_folder", str(tmp_path / "protocols")]
    assert main(["make", "demo", *folders, "--speakers", "12", "--utterances", "6"]) == 0
    command = ["corpus_shortcuts", "--data_folder", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", [*command, "--protocol_folder", str(tmp_path / "protocols")])
    capsys.readouterr()
    corpus_shortcuts.main()
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
    cells = {name: float(rate) for name, rate in (line.split("|")[1:3] for line in lines[1:])}
    assert cells[" file statistics "] > 25
    assert cells[" LFCC "] < 25

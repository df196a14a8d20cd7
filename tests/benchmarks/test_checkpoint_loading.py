"""The benchmark of loading loads what it says, by both loaders."""

import sys

import pytest
import torch

from benchmarks import checkpoint_loading


@pytest.mark.parametrize("kind", checkpoint_loading.KINDS)
def test_both_loaders_fill_a_detector_alike(tmp_path, kind):
    checkpoint_loading.write(tmp_path / "a.ckpt", kind, "w2v_tiny")
    loaded = [
        loader(str(tmp_path / "a.ckpt"), kind, "w2v_tiny").state_dict()
        for loader in checkpoint_loading.LOADERS.values()
    ]
    assert all(torch.equal(loaded[0][name], loaded[1][name]) for name in loaded[0])


@pytest.mark.slow
def test_every_kind_has_a_row(monkeypatch, capsys):
    words = ["--model", "w2v_tiny", "--rounds", "1", "--kinds", "zip"]
    monkeypatch.setattr(sys, "argv", ["checkpoint_loading", *words])
    checkpoint_loading.main()
    assert capsys.readouterr().out.splitlines()[-1].startswith("| zip | 0.00 | ")

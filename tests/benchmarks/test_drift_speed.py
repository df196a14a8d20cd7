"""The benchmark of drift measures the commands on files that they can read."""

import sys

import numpy as np
import pytest

from benchmarks import drift_speed
from drift.embedding_files import read_embeddings


def test_the_file_written_in_blocks_is_what_the_commands_read(tmp_path):
    drift_speed.write_embeddings(tmp_path / "a.npz", 25_000, 3, seed=1)
    sample = read_embeddings(tmp_path / "a.npz")
    assert sample.embeddings.shape == (25_000, 3) and sample.ids[24_999] == "a-24999"
    assert np.abs(np.corrcoef(sample.embeddings[:10_000, 0], sample.embeddings[10_000:20_000, 0])[
        0, 1
    ]) < 0.05  # fmt: skip


@pytest.mark.slow
def test_every_command_has_a_row(monkeypatch, capsys):
    words = ["--commands", "--rows", "60", "--reference_rows", "90", "--dimensions", "4"]
    monkeypatch.setattr(sys, "argv", ["drift_speed", *words, "--draws", "40", "--threads", "1"])
    drift_speed.main()
    rows = capsys.readouterr().out.splitlines()[2:]
    assert [row.split(" | ")[0] for row in rows] == [
        "| fit",
        "| compare --report",
        "| compare --distances all",
    ]

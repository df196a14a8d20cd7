"""In the data set, what an augmentation does to a row follows from (seed, epoch, row) alone."""

import csv
import random

import numpy as np
import pytest
import soundfile
import torch

from augment import build
from augment.catalogue import synthetic_recordings
from augment.effects import EFFECTS
from dataio.dataset import WaveformDataset
from dataio.protocol import ProtocolTable
from dataio.schema import COLUMNS, Row

ROWS = 4
SETTINGS = {
    "codec": {"codec": ["mp3", "aac", "opus", "g711_alaw", "g722", "gsm"]},
    "telephone": {"low_hz": [200, 400]},
}


@pytest.fixture
def table(tmp_path):
    """Speech-like files of several lengths."""
    rows = []
    for number in range(ROWS):
        samples = 0.1 * np.random.default_rng(number).standard_normal(6_000 + 1_000 * number)
        soundfile.write(tmp_path / f"{number}.wav", samples, 16_000)
        rows.append(Row(f"X-{number}", "real", 0.5, 16_000, f"$ROOT/{number}.wav").cells())
    with open(tmp_path / "p.csv", "w", newline="") as file:
        csv.writer(file).writerows([COLUMNS, *rows])
    return ProtocolTable.open(tmp_path / "p.csv", data_folder=tmp_path)


@pytest.fixture
def training(table, tmp_path):
    """A new training set whose rows go through one effect."""
    recordings = synthetic_recordings(tmp_path / "recordings")
    for name, settings in recordings.items():  # a second one to choose from
        first = next((tmp_path / "recordings" / name).glob("*.wav"))
        samples, rate = soundfile.read(first)
        soundfile.write(first.with_name("other.wav"), samples[::-1].copy(), rate, "FLOAT")
        assert settings["folder"] == str(first.parent)

    def dataset(name):
        settings = SETTINGS.get(name) or recordings.get(name, {})
        augmentation = build(None, [{"name": name, "probability": 0.9, **settings}])
        return WaveformDataset(table, mode="train", seed=5, augmentation=augmentation)

    return dataset


def seed_all(seed):
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def waveforms(dataset, epoch, rows):
    batch = dataset.load(epoch, rows)
    return {row: batch.waveforms[i, : batch.lengths[i]].numpy() for i, row in enumerate(rows)}


@pytest.mark.parametrize("name", EFFECTS)
def test_neither_other_rows_nor_the_global_generators_matter(name, training):
    seed_all(1)
    together = waveforms(training(name), 3, range(ROWS))
    seed_all(2)
    dataset = training(name)
    waveforms(dataset, 2, range(ROWS))
    alone = {row: waveforms(dataset, 3, [row])[row] for row in reversed(range(ROWS))}
    for row in range(ROWS):
        np.testing.assert_array_equal(alone[row], together[row])
    for row in range(ROWS):
        others = [waveforms(dataset, epoch, [row])[row] for epoch in range(4, 9)]
        assert max(np.abs(other - together[row]).max() for other in others) > 1e-4


@pytest.mark.parametrize("name", EFFECTS)
def test_the_global_generators_stay_as_they_were(name, training):
    dataset = training(name)
    seed_all(1)
    before = random.getstate(), str(np.random.get_state()), torch.get_rng_state()
    waveforms(dataset, 3, range(ROWS))
    after = random.getstate(), str(np.random.get_state()), torch.get_rng_state()
    assert before[:2] == after[:2] and torch.equal(before[2], after[2])

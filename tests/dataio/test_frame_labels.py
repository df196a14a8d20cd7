"""A piece of a recording carries the labels of that piece, and rows without labels none."""

import numpy as np
import pytest
import soundfile

from dataio.dataset import WaveformDataset
from dataio.frame_labels import FrameLabels
from dataio.loading import BatchLoader
from dataio.protocol import ProtocolRow, ProtocolTable
from dataio.schema import COLUMNS as PLAIN
from dataio.schema import SAMPLE_RATE, SEGMENTS, UserError

COLUMNS = (*PLAIN, SEGMENTS)


def row(tmp_path, label=0, text="u1 1.0 spoof 0-0.3-bonafide 0.30-0.50-spoof 0.5-1-bonafide\n"):
    path = tmp_path / f"labels{abs(hash(text))}.txt"
    path.write_text(text)
    return ProtocolRow("X-u1", label, 1.0, "/data/u1.wav", segments=str(path))


def test_a_label_is_fake_where_any_part_is_spoof(tmp_path):
    labels = FrameLabels(0.16)(row(tmp_path), 0.0, 1.0)
    assert labels.tolist() == [1, 0, 0, 0, 1, 1, 1]  # 0.3 is in the second, 0.5 in the fourth


@pytest.mark.parametrize("start", [0.0, 0.1, 0.25, 0.31, 0.5, 0.77])
def test_a_piece_carries_the_labels_of_that_piece(tmp_path, start):
    found = FrameLabels(0.02)(row(tmp_path), start, 0.2)
    wanted = [
        not (start + k * 0.02 < 0.5 - 1e-6 and start + (k + 1) * 0.02 > 0.3 + 1e-6)
        for k in range(10)
    ]
    assert found.tolist() == wanted


def test_rows_without_labels_are_real_or_unknown(tmp_path):
    for label, expected in ((1, 1), (0, -1), (-1, -1)):
        plain = row(tmp_path, label)._replace(segments="")
        assert FrameLabels(0.5)(plain, 0.0, 1.0).tolist() == [expected] * 2


def test_a_real_row_need_not_be_in_a_file_of_spoof_alone_and_a_fake_one_must(tmp_path):
    text = "SPEAKER other 1 0 1 <NA> <NA> spoof <NA> <NA>\n"
    assert FrameLabels(0.5)(row(tmp_path, 1, text), 0.0, 1.0).tolist() == [1, 1]
    with pytest.raises(UserError, match="has no label of X-u1"):
        FrameLabels(0.5)(row(tmp_path, 0, text), 0.0, 1.0)


def test_a_table_that_labels_no_parts_is_refused(write_protocol, tmp_path):
    plain = ProtocolTable.open(write_protocol([{"Label": "fake"}]), data_folder=tmp_path)
    with pytest.raises(UserError, match="no column Segments"):
        FrameLabels(0.02).check(plain)
    path = write_protocol([{"Label": "fake", "Segments": "-"}], columns=COLUMNS, name="q.csv")
    with pytest.raises(UserError, match="no fake row"):
        FrameLabels(0.02).check(ProtocolTable.open(path, data_folder=tmp_path))


@pytest.mark.parametrize("workers", [0, 1])
def test_batches_hold_the_labels_of_the_piece_that_was_read(tmp_path, write_protocol, workers):
    """Loud where spoof, silent elsewhere: the labels must follow the sound, crop by crop."""
    loud = np.zeros(4 * SAMPLE_RATE, dtype=np.float32)
    loud[SAMPLE_RATE : 2 * SAMPLE_RATE] = 0.5
    soundfile.write(tmp_path / "u1.wav", loud, SAMPLE_RATE)
    (tmp_path / "u1.txt").write_text("1.0\t2.0\tfake\n")
    cells = {"Label": "fake", "Duration": "4", "Path": "$ROOT/u1.wav", "Segments": "$ROOT/u1.txt"}
    csv = write_protocol([cells], columns=COLUMNS)
    dataset = WaveformDataset(
        ProtocolTable.open(csv, data_folder=tmp_path),
        mode="train",
        crop_seconds=(1.0, 2.0),
        frame_labels=FrameLabels(0.02),
    )
    with BatchLoader(dataset, num_workers=workers) as loader:
        batches = list(loader.load((epoch, np.array([0])) for epoch in range(5)))
    for batch in batches:
        waveform, labels = batch.waveforms[0].numpy(), batch.frame_labels[0].numpy()
        parts = np.pad(waveform, (0, -len(waveform) % 320)).reshape(-1, 320)
        assert ((np.abs(parts).max(axis=1) < 0.1) == (labels == 1)).mean() > 0.97
    assert len({tuple(batch.frame_labels[0].tolist()) for batch in batches}) > 2

"""The benchmark scripts run, and the codec-treated test set is what it says."""

import csv

import numpy as np
import soundfile

from benchmarks import augmentation_cost, augmentation_eer, rawboost
from dataio.schema import COLUMNS, Row


def test_both_forms_of_rawboost_are_timed():
    plain, ours, draw, ratio = rawboost.compare(algo=5, seconds=1, repeats=2)
    assert plain > 0 and ours > 0 and draw > 0 and ratio > 0
    assert rawboost.time_batched(algo=5, seconds=50, device="cpu", repeats=1) > 0


def test_the_cost_of_an_effect_is_a_number_or_the_reason_why_not():
    assert float(augmentation_cost.cost({"name": "gain"}, repeats=2)) >= 0
    assert augmentation_cost.cost({"name": "nothing"}, 1).startswith("not measured: augment")


def test_treated_copies_are_listed_under_their_codec_with_their_labels(tmp_path):
    rng = np.random.default_rng(0)
    (tmp_path / "Data").mkdir()
    (tmp_path / "protocols").mkdir()
    rows = []
    for index in range(12):
        path = tmp_path / "Data" / f"{index}.wav"
        soundfile.write(path, 0.1 * rng.standard_normal(4_000 + index), 16_000)
        label = "real" if index % 2 else "fake"
        rows.append(Row(f"Corpus-{index}", label, 0.25, 16_000, f"$ROOT/{index}.wav"))
    with open(tmp_path / "protocols" / "test.csv", "w", newline="") as lines:
        writer = csv.writer(lines)
        writer.writerow(COLUMNS)
        writer.writerows(row.cells() for row in rows)
    augmentation_eer.treat(tmp_path, "heard", ("g711_alaw", "g722"))
    with open(tmp_path / "protocols" / "test_heard.csv", newline="") as lines:
        treated = list(csv.DictReader(lines))
    assert [row["Label"] for row in treated] == [row.label for row in rows]
    assert {row["ID"].partition("-")[0] for row in treated} == {"g711_alaw", "g722"}
    for index, row in enumerate(treated):
        assert row["ID"].endswith(f"-Corpus-{index}")
        copy, _ = soundfile.read(row["Path"].replace("$ROOT", str(tmp_path / "Data")))
        original, _ = soundfile.read(tmp_path / "Data" / f"{index}.wav")
        assert copy.size == original.size and np.abs(copy - original).max() > 1e-4

"""Spliced prompts: where is cut, what is labelled, and what the test set alone has."""

import csv
from pathlib import Path

import numpy as np
import pytest
import soundfile

from dataio.schema import COLUMNS, SAMPLE_RATE, SEGMENTS, resolve_path
from dataio.segment_labels import read_segments
from protocols.__main__ import main
from protocols.making import splicing
from protocols.making.spliced import label_text
from protocols.making.splicing import FADE, cut_points, draw_stretch, splice


def words(*seconds: float) -> np.ndarray:
    """Bursts of noise with 60 ms of near silence between them."""
    rng = np.random.default_rng(0)
    pause = 0.001 * rng.standard_normal(int(0.06 * SAMPLE_RATE))
    bursts = [0.1 * rng.standard_normal(int(s * SAMPLE_RATE)) for s in seconds]
    return np.concatenate([part for burst in bursts for part in (burst, pause)])


def test_cuts_lie_between_the_words():
    waveform = words(0.3, 0.5, 0.4)
    for point in cut_points(waveform):
        around = waveform[max(0, point - 40) : point + 40]
        assert np.sqrt(np.mean(around**2)) < 0.02
    start, end = draw_stretch(waveform, np.random.default_rng(1))
    assert 0.25 <= (end - start) / SAMPLE_RATE <= 1.5


def test_sound_without_a_pause_is_cut_at_its_thirds():
    tone = np.sin(np.arange(SAMPLE_RATE) / 20)[: SAMPLE_RATE // 5]
    assert draw_stretch(tone, np.random.default_rng(0)) == (len(tone) // 3, 2 * len(tone) // 3)


def test_a_splice_is_labelled_to_the_sample_and_level_matched():
    rng = np.random.default_rng(2)
    host, insert = 0.1 * rng.standard_normal(16000), 0.7 * rng.standard_normal(5000)
    made = splice(host, 4000, 8000, insert)
    assert len(made) == 16000 - 4000 + 5000
    changed = np.flatnonzero(made[:9000] != np.pad(host[:4000], (0, 5000)))
    assert changed[0] == 4000
    assert np.array_equal(made[9000:], host[8000:])
    inner = made[4000 + FADE : 9000 - FADE]
    assert np.sqrt(np.mean(inner**2)) == pytest.approx(
        np.sqrt(np.mean(host[4000:8000] ** 2)), rel=0.05
    )


def test_a_cross_fade_leaves_no_step():
    slow = np.sin(np.arange(16000) / 400)
    made = splice(slow, 3000, 9000, -slow[3000:9000])
    assert np.abs(np.diff(made)).max() < 4 * np.abs(np.diff(slow)).max() + 2 / FADE


def test_labels_of_a_stretch_are_milliseconds_of_the_file(tmp_path):
    path = tmp_path / "u.txt"
    path.write_text(label_text(32000, [8005, 16000]))
    assert path.read_text().splitlines()[1] == "0.500\t1.000\tspoof"
    assert read_segments(path).find("u").spoof == [(0.5, 1.0)]
    path.write_text(label_text(32000, []))
    assert read_segments(path).find("u").spoof == []


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("spliced")
    command = ["make", "spliced", "--data_folder", str(folder / "Data"), "--num_workers", "1",
               "--output_folder", str(folder / "protocols"), "--limit", "4"]  # fmt: skip
    assert main(command) == 0
    rows = {}
    for split in ("train", "valid", "test"):
        with (folder / "protocols" / f"{split}.csv").open(newline="") as stream:
            header, *cells = csv.reader(stream)
        assert tuple(header) == (*COLUMNS, SEGMENTS)
        rows[split] = [dict(zip(header, row, strict=True)) for row in cells]
    return folder, command, rows


@pytest.mark.slow
@pytest.mark.needs("speech")
def test_the_test_set_alone_has_a_language_an_engine_and_a_vocoder(made):
    _, _, rows = made
    seen = [row for split in ("train", "valid") for row in rows[split]]
    assert {row["Attack"] for row in seen} == {"-", "espeak-ng", "world"}
    assert "RU" not in {row["Language"] for row in seen}
    attacks = {row["Attack"] for row in rows["test"]}
    assert "griffin-lim" in attacks and any(name.startswith("flite-") for name in attacks)
    assert "RU" in {row["Language"] for row in rows["test"]}


@pytest.mark.slow
@pytest.mark.needs("speech")
def test_every_fake_file_has_one_fake_stretch_and_every_real_one_none(made):
    folder, _, rows = made
    for row in (row for part in rows.values() for row in part):
        labels = resolve_path(row[SEGMENTS], str(folder / "Data"))
        found = read_segments(labels).find(row["ID"])
        info = soundfile.info(resolve_path(row["Path"], str(folder / "Data")))
        assert found.end == pytest.approx(info.duration, abs=6e-4)
        assert len(found.spoof) == (row["Label"] == "fake")
        for start, end in found.spoof:
            assert 0.05 <= start < end <= info.duration - 0.05


@pytest.mark.slow
@pytest.mark.needs("speech")
def test_made_again_the_corpus_is_the_same(made):
    folder, command, _ = made
    files = sorted((folder / "Data").rglob("*.*"))
    before = {path: path.read_bytes() for path in files}
    gone = next(path for path in files if "/tts/" in path.as_posix() and path.suffix == ".flac")
    gone.unlink()
    Path(gone).with_suffix(".txt").unlink()
    assert main(command) == 0
    assert {path: path.read_bytes() for path in files} == before


def test_no_stretch_is_shorter_than_two_fades():
    assert splicing.STRETCH_SECONDS[0] * SAMPLE_RATE > 2 * FADE

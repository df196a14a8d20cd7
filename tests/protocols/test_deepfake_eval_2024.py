"""Sorting and cutting Deepfake-Eval-2024, and the protocol of the pieces."""

import csv
from pathlib import Path

import numpy
import pytest
import soundfile

from dataio.probe import probe
from protocols.deepfake_eval_2024 import pieces_of

TOP = "Deepfake-Eval-2024"
METADATA = f"{TOP}/audio-metadata-publish.csv"
HEADER = "Filename,Finetuning Set,Ground Truth,Language\n"


def run(protocols, step, *arguments):
    return protocols("deepfake_eval_2024", step, "--data_folder", "data", *arguments)


@pytest.fixture
def metadata(write_text, write_audio):
    write_text(METADATA, HEADER + "a.wav, Train ,Fake,EN\nb.flac,test,REAL,EN\n"
               "c.wav,Test,Unknown,EN\ngone.wav,Train,Real,EN\n")  # fmt: skip
    write_audio(f"{TOP}/audio-data/a.wav", seconds=9.5, rate=8000, channels=2)
    write_audio(f"{TOP}/audio-data/b.flac", seconds=4)
    write_audio(f"{TOP}/audio-data/c.wav")


@pytest.mark.parametrize("how", [(), ("--copy",)])
def test_files_are_sorted_by_split_and_label_and_the_rest_is_counted(
    how, metadata, protocols, tmp_path
):
    status, out, err = run(protocols, "prepare", *how)
    assert status == 0
    whole = tmp_path / "data" / TOP / "data/unsegmented"
    found = sorted(str(p.relative_to(whole)) for p in whole.rglob("*") if not p.is_dir())
    assert found == ["test/real/b.flac", "train/fake/a.wav"]
    assert (whole / "train/fake/a.wav").is_symlink() == (not how)
    assert probe(whole / "train/fake/a.wav").seconds == 9.5
    assert "left out: set 'test', truth 'unknown'" in out
    assert "1  missing" in out
    assert "gone.wav" in err
    assert (whole / "test/fake").is_dir()


def test_pieces_are_consecutive_mono_and_of_the_length_asked(metadata, protocols, tmp_path):
    run(protocols, "prepare")
    status, out, _ = run(protocols, "segment", "--seconds", "4", "10")
    assert status == 0
    pieces = tmp_path / "data" / TOP / "data/segmented"
    found = {str(p.relative_to(pieces)): probe(p) for p in pieces.rglob("*.flac")}
    assert {name: header.seconds for name, header in found.items()} == {
        "train/4s/fake/a_seg1.flac": 4, "train/4s/fake/a_seg2.flac": 4,
        "train/4s/fake/a_seg3.flac": 1.5, "train/10s/fake/a_seg1.flac": 9.5,
        "test/4s/real/b_seg1.flac": 4, "test/10s/real/b_seg1.flac": 4,
    }  # fmt: skip
    assert {(h.sample_rate, h.channels) for n, h in found.items() if "/a_" in n} == {(8000, 1)}
    assert "6 segments of 2 files" in out
    joined = [soundfile.read(pieces / f"train/4s/fake/a_seg{k}.flac")[0] for k in (1, 2, 3)]
    source = soundfile.read(tmp_path / "data" / TOP / "audio-data/a.wav")[0].mean(axis=1)
    assert abs(numpy.concatenate(joined) - source).max() <= 2**-15


def test_the_segments_have_a_protocol(metadata, protocols, tmp_path):
    run(protocols, "prepare")
    run(protocols, "segment", "--seconds", "10")
    status, *_ = protocols("build", TOP, "--data_folder", "data")
    assert status == 0
    with open(f"{TOP}.csv", newline="") as file:
        rows = [(r["ID"], r["Label"], r["Proportion"], r["Duration"]) for r in csv.DictReader(file)]
    assert rows == [
        ("DFEval2024-10s-test-real-b_seg1", "real", "test", "4.0"),
        ("DFEval2024-10s-train-fake-a_seg1", "fake", "train", "9.5"),
    ]


def test_the_format_of_the_source_is_kept_on_request(metadata, protocols, tmp_path):
    run(protocols, "prepare")
    run(protocols, "segment", "--seconds", "30", "--same_format")
    pieces = tmp_path / "data" / TOP / "data/segmented"
    assert (pieces / "train/30s/fake/a_seg1.wav").is_file()
    assert (pieces / "test/30s/real/b_seg1.flac").is_file()


def test_m4a_and_mp3_sources_are_cut_too_and_equal_stems_stay_apart(
    protocols, write_audio, tmp_path
):
    from av import AudioFrame
    from av import open as av_open

    folder = tmp_path / "data" / TOP / "data/unsegmented/test/fake"
    write_audio("x.mp3", seconds=3, rate=16000, folder=folder / "nested")
    write_audio("x.WAV", seconds=3, rate=16000, folder=folder / "nested")
    with av_open(str(folder / "y.m4a"), "w", format="ipod") as container:
        stream = container.add_stream("aac", rate=16000, layout="mono")
        frame = AudioFrame.from_ndarray(
            numpy.zeros((1, 48000), "float32"), format="fltp", layout="mono"
        )
        frame.sample_rate = 16000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    status, *_ = run(protocols, "segment", "--seconds", "4")
    assert status == 0
    pieces = tmp_path / "data" / TOP / "data/segmented/test/4s/fake"
    found = sorted(str(p.relative_to(pieces)) for p in pieces.rglob("*.flac"))
    assert found == ["nested/x_WAV_seg1.flac", "nested/x_mp3_seg1.flac", "y_seg1.flac"]
    for name in found:
        assert probe(pieces / name).seconds == pytest.approx(3, abs=0.13)


def test_an_unreadable_file_is_said_and_left_out(metadata, protocols, write_text):
    run(protocols, "prepare")
    write_text(f"{TOP}/data/unsegmented/test/fake/broken.wav", "no audio")
    status, out, err = run(protocols, "segment", "--seconds", "10")
    assert status == 0
    assert "broken.wav left out" in err
    assert "of 2 files" in out


def listed(protocols, *arguments):
    status, *_ = protocols("build", TOP, "--data_folder", "data", "--output", "p.csv", *arguments)
    assert status == 0
    with open("p.csv", newline="") as file:
        return [(row["Path"].split("/data/")[1], row["Label"]) for row in csv.DictReader(file)]


CORRECTED = HEADER + "a.wav,Test,Real,EN\nb.flac,test,Unknown,EN\nc.wav,Test,Real,EN\n"


def test_after_a_correction_of_the_metadata_each_file_is_in_its_new_place_alone(
    metadata, protocols, write_text, write_audio
):
    run(protocols, "prepare")
    write_text(METADATA, CORRECTED)
    own = write_audio(f"{TOP}/data/unsegmented/train/fake/mine.wav")
    status, out, _ = run(protocols, "prepare")
    assert (status, "2  removed: link of an earlier run" in out) == (0, True)
    assert listed(protocols, "--variant", "unsegmented") == [
        ("unsegmented/test/real/a.wav", "real"), ("unsegmented/test/real/c.wav", "real"),
        ("unsegmented/train/fake/mine.wav", "fake"),
    ]  # fmt: skip
    own.unlink()
    assert "removed" not in run(protocols, "prepare")[1]


def test_a_copy_that_a_correction_puts_elsewhere_is_refused_and_stays(
    metadata, protocols, write_text, tmp_path
):
    run(protocols, "prepare", "--copy")
    write_text(METADATA, CORRECTED)
    whole = tmp_path / "data" / TOP / "data/unsegmented"
    status, _, err = run(protocols, "prepare", "--copy")
    assert (status, f"{whole}/train/fake/a.wav has another split or label" in err) == (2, True)
    assert (whole / "train/fake/a.wav").is_file() and not (whole / "test/real/a.wav").exists()


def test_a_link_to_another_file_is_not_prepares_and_stays(metadata, protocols, tmp_path):
    run(protocols, "prepare")
    link = tmp_path / "data" / TOP / "data/unsegmented/test/fake/mine.wav"
    link.symlink_to(tmp_path / "data" / TOP / "audio-data/c.wav")
    assert run(protocols, "prepare")[0] == 0
    assert link.is_symlink()


def test_a_file_with_two_labels_in_the_metadata_is_refused(metadata, protocols, write_text):
    write_text(METADATA, HEADER + "a.wav,Train,Fake,EN\na.wav,Train,Fake,EN\na.wav,Train,Real,EN\n")
    status, _, err = run(protocols, "prepare")
    assert (status, "a.wav is train real" in err, "line 4, train fake in" in err) == (2, True, True)


def test_segments_of_an_earlier_run_do_not_stay_beside_the_new_ones(
    metadata, protocols, tmp_path, write_audio
):
    run(protocols, "prepare")
    run(protocols, "segment", "--seconds", "4", "10")
    folder = f"{TOP}/data/segmented/train/4s/fake"
    others = [
        write_audio(f"{folder}/{name}.wav") for name in ("a_seg1_seg1", "a_segment", "aa_seg1")
    ]
    status, out, _ = run(
        protocols, "segment", "--seconds", "4", "--same_format", "--min_seconds", "2"
    )
    assert (status, "3 segments of an earlier run removed" in out) == (0, True)
    found = sorted(path.name for path in (tmp_path / "data" / folder).iterdir())
    assert found == ["a_seg1.wav", "a_seg1_seg1.wav", "a_seg2.wav", "a_segment.wav", "aa_seg1.wav"]
    for path in others:
        path.unlink()
    assert [path for path, _ in listed(protocols)] == [
        "segmented/test/10s/real/b_seg1.flac", "segmented/test/4s/real/b_seg1.flac",
        "segmented/train/10s/fake/a_seg1.flac", "segmented/train/4s/fake/a_seg1.wav",
        "segmented/train/4s/fake/a_seg2.wav",
    ]  # fmt: skip


def test_segments_of_a_file_that_has_become_unreadable_stay(metadata, protocols, tmp_path):
    run(protocols, "prepare")
    run(protocols, "segment", "--seconds", "10")
    (tmp_path / "data" / TOP / "audio-data/a.wav").write_text("no audio")
    status, _, err = run(protocols, "segment", "--seconds", "10")
    assert (status, "a.wav left out" in err) == (0, True)
    assert (tmp_path / "data" / TOP / "data/segmented/train/10s/fake/a_seg1.flac").is_file()


def test_segments_with_the_label_of_before_a_correction_are_refused_and_stay(
    metadata, protocols, write_text, tmp_path
):
    run(protocols, "prepare")
    run(protocols, "segment", "--seconds", "4", "10")
    write_text(METADATA, CORRECTED)
    run(protocols, "prepare")
    status, _, err = run(protocols, "segment", "--seconds", "10")
    pieces = tmp_path / "data" / TOP / "data/segmented"
    assert (status, "remove Deepfake-Eval-2024/data/segmented" in err) == (2, True)
    assert len(list(pieces.rglob("*.flac"))) == 6


def test_segments_named_before_a_second_file_of_that_stem_came_are_refused(
    metadata, protocols, write_audio
):
    run(protocols, "prepare")
    run(protocols, "segment", "--seconds", "10")
    write_audio(f"{TOP}/data/unsegmented/train/fake/a.flac")
    status, _, err = run(protocols, "segment", "--seconds", "10")
    assert (status, "a_seg1.flac is a segment of" in err) == (2, True)


def test_short_last_pieces_can_be_left_out(metadata, protocols, tmp_path):
    run(protocols, "prepare")
    run(protocols, "segment", "--seconds", "4", "--min_seconds", "2")
    pieces = tmp_path / "data" / TOP / "data/segmented/train/4s/fake"
    assert len(list(pieces.iterdir())) == 2


def test_the_number_of_pieces_is_the_ceiling():
    for samples, expected in ((0, 0), (1, 1), (40, 1), (41, 2), (80, 2)):
        assert len(list(pieces_of(numpy.zeros(samples), 10, 4, 0.0))) == expected


def test_steps_without_their_input_are_refused(protocols, tmp_path, write_text):
    (tmp_path / "data").mkdir()
    assert run(protocols, "prepare")[0] == 2
    assert "prepare" in run(protocols, "segment")[2]
    write_text(METADATA, HEADER)
    assert run(protocols, "prepare")[0] == 2
    Path("data", TOP, "data/unsegmented").mkdir(parents=True, exist_ok=True)
    assert run(protocols, "segment", "--seconds", "0")[0] == 2
    for seconds in ("nan", "inf", "-1"):
        assert "--min_seconds" in run(protocols, "segment", "--min_seconds", seconds)[2]
    assert run(protocols, "segment", "--seconds", "4")[0] == 2


def test_split_keeps_all_pieces_of_a_recording_in_one_set(tmp_path):
    import csv

    from dataio.schema import COLUMNS, Row
    from protocols.shares import split

    rows = [
        Row(f"DFEval2024-4s-{part}-real-{part}{n:03d}_seg{k}", "real", 4, 16000, "$ROOT/x")
        for part, count in (("train", 200), ("test", 20))
        for n in range(count)
        for k in (1, 2, 3)
    ]
    for row in rows:
        row.proportion = row.id.split("-")[2]
    with (tmp_path / "all.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([COLUMNS, *(row.cells() for row in rows)])
    counts = split(tmp_path / "all.csv", tmp_path, valid_share=0.2, seed=1)
    assert sum(counts.values()) == len(rows) and counts["test"] == 60
    assert 0.1 < counts["valid"] / 600 < 0.3
    recordings = {}
    for name in counts:
        with (tmp_path / f"Deepfake-Eval-2024_{name}.csv").open() as stream:
            found = list(csv.DictReader(stream))
        assert {row["Proportion"] for row in found} == {name}
        recordings[name] = {row["ID"].partition("_seg")[0] for row in found}
    assert not recordings["train"] & recordings["valid"]


def test_split_refuses_another_databases_rows(tmp_path, protocols):
    import csv

    from dataio.schema import COLUMNS, Row

    with (tmp_path / "other.csv").open("w", newline="") as stream:
        row = Row("ItW-0", "real", 1, 16000, "$ROOT/x")
        csv.writer(stream).writerows([COLUMNS, row.cells()])
    status, _, errors = protocols("deepfake_eval_2024", "split", "--csv", "other.csv")
    assert status == 2 and "no row of Deepfake-Eval-2024" in errors

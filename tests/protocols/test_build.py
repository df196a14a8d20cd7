"""The faults of the published scripts, one by one, and what a build does instead."""

import csv
import json
import os
import signal
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy
import pytest
import soundfile

from dataio.audio import load_waveform
from dataio.audio_file import Faults
from dataio.locks import sole_writer
from dataio.probe import probe
from dataio.reading import blocks
from dataio.schema import COLUMNS, SAMPLE_RATE
from protocols.measure import measure
from protocols.source import Source

AISHELL = "AIShell3/train/wav/SSB0001"
ADD = "ADD2023/Track1.2/testR2"


def read(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def build(protocols, name, *arguments):
    return protocols("build", name, "--data_folder", "data", "--output", "out.csv", *arguments)


# ---------------------------------------------------------------------- unknown words


def test_an_unknown_folder_is_refused_by_name(protocols, write_audio):
    write_audio(f"{AISHELL}/a.wav")
    write_audio("AIShell3/extra/wav/SSB0002/b.wav")
    status, _, err = build(protocols, "AIShell3")
    assert status == 2
    assert "unknown word 'extra' in AIShell3/extra/wav/SSB0002/b.wav" in err
    assert "Traceback" not in err
    assert not Path("out.csv").exists()


def test_two_builds_do_not_write_one_file(protocols, write_audio):
    write_audio(f"{AISHELL}/a.wav")
    with sole_writer("out.csv"):
        status, _, err = build(protocols, "AIShell3")
        assert status == 2 and "out.csv is being written by process" in err
    assert build(protocols, "AIShell3")[0] == 0
    assert not list(Path().glob("*.lock"))


def test_skip_unknown_counts_and_carries_nothing_over(protocols, write_audio):
    write_audio("AIShell3/extra/wav/SSB0002/b.wav")
    write_audio("AIShell3/test/wav/SSB0003/c.wav")
    status, out, _ = build(protocols, "AIShell3", "--skip_unknown")
    assert status == 0
    assert "left out as unknown: 'extra' x 1" in out
    assert [(row["ID"], row["Proportion"]) for row in read("out.csv")] == [
        ("AIShell3-SSB0003-c", "test")
    ]


def test_a_file_at_another_depth_is_unknown(protocols, write_audio):
    write_audio("AIShell3/train/wav/stray.wav")
    status, _, err = build(protocols, "AIShell3")
    assert status == 2
    assert "AIShell3/train/wav/stray.wav" in err


def test_a_misspelt_label_is_an_error_with_file_and_line_not_a_fake(protocols, write_text):
    write_text(f"{ADD}/label.txt", "a.wav genuine\nb.wav Genuine\n")
    status, _, err = build(protocols, "ADD2023")
    assert status == 2
    assert "unknown word 'Genuine'" in err
    assert "label.txt, line 2" in err


@pytest.mark.parametrize(
    ("database", "path"),
    [
        ("CVoiceFake", "CVoiceFake/CVoiceFake_Large/EN/bonafied/x.mp3"),
        ("DFADD", "DFADD/DATASET_Unheard/train/p1_1.wav"),
        ("FLEURS", "FLEURS/fleurs/data/tlh_aa/audio/train/1.wav"),
        ("FakeOrReal", "FakeOrReal/for-original/training/reel/1.wav"),
        ("HABLA", "HABLA/FinalDataset_16khz/Raal/Chile/clf_1/clf_1_2.wav"),
        ("LibriTTS", "LibriTTS/training-clean/1/2/1_2_3.wav"),
        ("LibriTTS-Vocoded", "LibriTTS-Vocoded/hifigan/devel/1/2/1_2_3.wav"),
        ("MLS", "MLS/mls_klingon/train/audio/1/2/1_2_3.flac"),
        ("WaveFake", "WaveFake/generated_audio/parallel_wavegan/x.wav"),
        ("WildSVDD", "WildSVDD/WildSVDD_Data_Sep2024_Processed/train/vocals/song_1.flac"),
        ("VoiceMOS", "VoiceMOS/main/blizzard_wavs_and_scores_2008_release_version_1/a/x.wav"),
        ("CodecFake", "CodecFake/processed/p299_042.wav"),
        ("DeepVoice", "DeepVoice/AUDIO_SEGMENTS/Fake/a-to-b_seg_1.wav"),
        ("CFAD", "CFAD/CFAD/clean_version/train_clean/false_clean/gl/x.wav"),
    ],
)  # fmt: skip
def test_no_database_guesses_at_an_unknown_folder(database, path, protocols, write_audio):
    write_audio(path)
    status, _, err = build(protocols, database)
    assert status == 2
    assert Path(path).name in err
    status, _, err = build(protocols, database, "--skip_unknown")
    assert status == 2
    assert "all is unknown" in err


DSD_HEAD = "Utterence name (file name),Language,Speaker name,label,Model,subset\n"
LISTS = {
    "ASVspoof2021-LA": ("ASVspoof2021-LA/ASVspoof2021-LA.txt", ""),
    "ASVspoof5": ("ASVspoof5/ASVspoof5.train.tsv", ""),
    "Codecfake": ("Codecfake/label/train.txt", ""),
    "DECRO": ("DECRO/petrichorwq-DECRO-dataset-6fc9884/en_dev.txt", ""),
    "DSD": ("DSD/DSD_corpus_v1.csv", DSD_HEAD),
    "In-the-Wild": ("In-the-Wild/release_in_the_wild/meta.csv", "file,speaker,label\n"),
    "SpoofCeleb": ("SpoofCeleb/spoofceleb/metadata/train.csv", "file,speaker,attack\n"),
}


@pytest.mark.parametrize(
    ("database", "line", "word"),
    [
        ("ASVspoof2021-LA", "L LA_E_1 alaw ita_tx A09 fake notrim eval", "fake"),
        ("ASVspoof5", "T_1 TX_1 M - - - AC1 A01 spoof -", "TX"),
        ("Codecfake", "a.wav fake 8", "8"),
        ("Codecfake", "a.wav fake L1", "L1"),
        ("Codecfake", "a.wav spoof 3", "spoof"),
        ("DECRO", "u 1 - x fake", "fake"),
        ("DSD", "a.wav,English,x,fake,VITS,train", "fake"),
        ("DSD", "a.wav,Dutch,x,spoof,VITS,train", "Dutch"),
        ("DSD", "a.wav,English,x,spoof,VITS,valid", "valid"),
        ("In-the-Wild", "0.wav,X,bonafide", "bonafide"),
        ("SpoofCeleb", "a.flac,x,b01", "b01"),
        ("SpoofCeleb", "a.flac,x,a1", "a1"),
        ("SpoofCeleb", "a.flac,x,", ""),
    ],
)
def test_no_list_word_is_guessed_at(database, line, word, protocols, write_text, write_audio):
    name, head = LISTS[database]
    write_text(name, f"{head}{line}\n")
    for file in ("Codecfake/train/a.wav", "SpoofCeleb/spoofceleb/flac/train/a.flac", "DSD/a.wav"):
        write_audio(file)
    status, _, err = build(protocols, database)
    assert status == 2
    place = f"{Path(name).name}, line {2 if head else 1}"
    assert repr(word) in err and place in err
    status, _, err = build(protocols, database, "--skip_unknown")
    assert (status, "all is unknown" in err) == (2, True)


# ---------------------------------------------------------------------- lists


def test_another_field_count_is_an_error_with_file_and_line(protocols, write_text):
    write_text(f"{ADD}/label.txt", "a.wav genuine\nb.wav fake extra\n")
    status, _, err = build(protocols, "ADD2023")
    assert status == 2
    assert "3 fields in" in err
    assert "line 2: expected 2" in err


def test_skip_unknown_counts_lines_of_another_length(protocols, write_text, write_audio):
    write_text(f"{ADD}/label.txt", "a.wav genuine\nb.wav fake extra\n\n")
    write_audio(f"{ADD}/wav/a.wav")
    status, out, _ = build(protocols, "ADD2023", "--skip_unknown")
    assert status == 0
    assert "'lines of another length' x 1" in out


def test_a_byte_order_mark_is_no_part_of_the_first_name(protocols, write_text, write_audio):
    write_text(f"{ADD}/label.txt", "\ufeffa.wav genuine\n")
    write_audio(f"{ADD}/wav/a.wav")
    build(protocols, "ADD2023")
    assert read("out.csv")[0]["ID"] == "ADD2023-a.wav"


def test_missing_and_unreadable_files_are_counted_and_listed_never_rows(
    protocols, write_text, write_audio
):
    write_text(f"{ADD}/label.txt", "a.wav genuine\nb.wav fake\nc.wav fake\n")
    write_audio(f"{ADD}/wav/a.wav")
    write_text(f"{ADD}/wav/c.wav", "this is no audio")
    status, out, _ = build(protocols, "ADD2023")
    assert status == 0
    assert "1 missing and 1 unreadable" in out
    assert [row["ID"] for row in read("out.csv")] == ["ADD2023-a.wav"]
    missing, unreadable = read("out.skipped.csv")
    assert (missing["Problem"], missing["Path"]) == ("missing", f"$ROOT/{ADD}/wav/b.wav")
    assert missing["ListedIn"].endswith("label.txt, line 2")
    assert (unreadable["Problem"], unreadable["Path"]) == ("unreadable", f"$ROOT/{ADD}/wav/c.wav")


def test_the_list_of_skipped_files_goes_when_nothing_is_skipped(protocols, write_text, write_audio):
    write_text(f"{ADD}/label.txt", "a.wav genuine\nb.wav fake\n")
    write_audio(f"{ADD}/wav/a.wav")
    build(protocols, "ADD2023")
    assert Path("out.skipped.csv").exists()
    write_audio(f"{ADD}/wav/b.wav")
    build(protocols, "ADD2023")
    assert not Path("out.skipped.csv").exists()
    assert len(read("out.csv")) == 2


def test_one_missing_flac_does_not_stop_asvspoof2019(protocols, write_text, write_audio):
    lists = "ASVspoof2019-LA/LA/ASVspoof2019_LA_cm_protocols/ASVspoof2019.LA.cm"
    text = "LA_1 LA_T_1 - A04 spoof\nLA_2 LA_T_2 - - bonafide\n"
    write_text(f"{lists}.train.trn.txt", text)
    write_audio("ASVspoof2019-LA/LA/ASVspoof2019_LA_train/flac/LA_T_2.flac")
    status, out, _ = build(protocols, "ASVspoof2019-LA")
    assert status == 0
    assert [row["Language"] for row in read("out.csv")] == ["EN"]
    assert out.count("list not found") == 2  # dev and eval, said


def test_no_list_at_all_is_an_error(protocols, tmp_path):
    (tmp_path / "data").mkdir()
    status, _, err = build(protocols, "ASVspoof2021-LA")
    assert status == 2
    assert "no list of ASVspoof2021-LA found" in err
    assert "--metadata" in err


@pytest.mark.parametrize("place", ["keys/trial_metadata.txt", "keys"])
def test_metadata_names_a_key_file_or_the_folder_it_is_in(
    place, protocols, write_text, write_audio, tmp_path
):
    key = "LA_0901 LA_E_1 alaw ita_tx A09 spoof notrim eval\n"
    write_text("keys/trial_metadata.txt", key, folder=tmp_path)
    write_audio("ASVspoof2021-LA/ASVspoof2021_LA_eval/flac/LA_E_1.flac")
    status, *_ = build(protocols, "ASVspoof2021-LA", "--metadata", place)
    assert status == 0
    assert read("out.csv")[0]["ID"] == "ASV21LA-LA_E_1"


CODECFAKE = {"train": "a.wav real 0\n", "dev": "b.wav fake 1\n", "C7": "c.wav fake 7\n"}


@pytest.fixture
def codecfake(write_text, write_audio, tmp_path):
    """Codecfake, its three lists in the folder `lists` of the working directory."""
    for part, line in CODECFAKE.items():
        write_text(f"lists/{part}.txt", line, folder=tmp_path)
        for other in CODECFAKE:  # each list would find its files in each part
            write_audio(f"Codecfake/{other}/{line.split()[0]}")


def test_one_metadata_file_of_several_is_that_list_and_no_other(codecfake, protocols):
    status, out, _ = build(protocols, "Codecfake", "--metadata", "lists/dev.txt")
    assert status == 0
    assert [(row["ID"], row["Proportion"]) for row in read("out.csv")] == [("Codecf-b", "valid")]
    assert "list not found: train.txt (--metadata is lists/dev.txt)" in out
    assert "list not found: C7.txt" in out


def test_a_folder_of_metadata_gives_every_list(codecfake, protocols):
    assert build(protocols, "Codecfake", "--metadata", "lists")[0] == 0
    assert [row["ID"] for row in read("out.csv")] == ["Codecf-a", "Codecf-b", "Codecf-c"]


@pytest.mark.parametrize("database", ["Codecfake", "ASVspoof2019-LA", "ASVspoof5", "DECRO",
                                      "SpoofCeleb"])  # fmt: skip
def test_a_metadata_file_with_the_name_of_no_list_is_refused(database, codecfake, protocols):
    os.rename("lists/dev.txt", "lists/labels.txt")
    status, _, err = build(protocols, database, "--metadata", "lists/labels.txt")
    assert status == 2
    assert "lists/labels.txt has the name of no list of this database" in err
    assert "give the folder that holds them" in err


def test_one_metadata_file_is_not_several_lists_of_ones_own_database_either(protocols, codecfake):
    Path("mine.py").write_text(
        "from protocols.corpus import Corpus, Item\n"
        "def items(source):\n"
        "    for name in ('real.txt', 'fake.txt'):\n"
        "        for where, (file,) in source.lines(f'Mine/{name}', fields=1):\n"
        "            yield Item(f'Mine/{file}', file, name[:4], where=where)\n"
        "CORPUS = Corpus('Mine', items, prefix='Mine-', contents='', folder='', link='')\n"
    )
    Path("all.txt").write_text("a.wav\n")
    status, _, err = build(protocols, "mine.py", "--metadata", "all.txt")
    assert (status, "all.txt cannot be both real.txt and fake.txt" in err) == (2, True)


def test_a_missing_metadata_file_is_refused(protocols, tmp_path):
    (tmp_path / "data").mkdir()
    status, _, err = build(protocols, "ASVspoof2021-LA", "--metadata", "nowhere.txt")
    assert status == 2
    assert "no file nowhere.txt" in err


def test_an_unknown_column_header_is_refused(protocols, write_text):
    write_text("In-the-Wild/release_in_the_wild/meta.csv", "name,speaker,label\n0.wav,X,spoof\n")
    status, _, err = build(protocols, "In-the-Wild")
    assert status == 2
    assert "no column 'file'" in err


DSD = f"{DSD_HEAD}a.wav,English,x,bonafide,-,train\n{{name}},English,x,spoof,VITS,train\n"


@pytest.mark.parametrize("name", ["../x/0.wav", "/x/0.wav", "", "./a.wav", "b/../a.wav", ".."])
def test_a_listed_name_that_leads_elsewhere_is_refused(name, protocols, write_text, write_audio):
    write_audio("x/0.wav")
    write_audio("DSD/a.wav")
    write_text("DSD/DSD_corpus_v1.csv", DSD.format(name=name))
    status, _, err = build(protocols, "DSD")
    assert status == 2
    assert "DSD_corpus_v1.csv, line 3 is no plain path" in err
    assert not Path("out.csv").exists()
    status, out, _ = build(protocols, "DSD", "--skip_unknown")
    assert (status, "'file names that are no plain path' x 1" in out) == (0, True)
    assert [row["ID"] for row in read("out.csv")] == ["DSD-a"]


@pytest.mark.parametrize("lists", ["label.txt", "DSD_corpus_v1.csv"])
def test_a_list_that_is_no_utf8_text_is_refused(lists, protocols, write_text):
    database, folder = ("ADD2023", ADD) if lists == "label.txt" else ("DSD", "DSD")
    write_text(f"{folder}/{lists}", "").write_text("a.wav genuine\n", encoding="utf-16")
    status, _, err = build(protocols, database)
    assert (status, "a NUL byte in" in err and f"{lists}, line 1" in err) == (2, True)


# ---------------------------------------------------------------------- paths


def test_a_list_with_a_quote_that_is_not_closed_is_refused_with_its_line(protocols, write_text):
    lines = "0.wav,Jane,spoof\n" + '1.wav,"Jane,spoof\n' + "2.wav,Jane,spoof\n" * 9000
    write_text("In-the-Wild/release_in_the_wild/meta.csv", "file,speaker,label\n" + lines)
    status, _, err = build(protocols, "In-the-Wild")
    assert status == 2 and "Traceback" not in err
    assert "meta.csv, line 3" in err and "is a quote not closed?" in err


@pytest.mark.parametrize("folder", ["data", "data/", "./data//"])
def test_paths_have_one_slash_after_root_however_the_folder_is_written(
    folder, protocols, write_audio
):
    write_audio("AIShell3/train/wav/data/data.wav")
    protocols("build", "AIShell3", "--data_folder", folder, "--output", "out.csv")
    assert read("out.csv")[0]["Path"] == "$ROOT/AIShell3/train/wav/data/data.wav"


def test_the_data_folder_may_be_the_root_of_all(protocols, write_audio, tmp_path):
    path = write_audio("calls/a.wav")
    top = str(tmp_path / "data/calls")[1:]
    rows = [(top + "/a.wav", "a")]
    Path("list.txt").write_text(f"{path}\n/{path}\n{top}/a.wav\n")
    for source in (Source("/"), Source("/", file_list="list.txt"), Source("//")):
        assert [(path, p.stem) for path, p in source.files(top, "{stem}.wav")] == rows
    arguments = ["--data_folder", "/", "--real", path.parent, "--output", "out.csv"]
    assert protocols("folders", "Mine", *arguments)[0] == 0
    assert read("out.csv")[0]["Path"] == f"$ROOT{path}"


def test_nothing_found_is_an_error_unless_an_empty_protocol_is_wanted(protocols, tmp_path):
    (tmp_path / "data" / "AIShell3").mkdir(parents=True)
    status, _, err = build(protocols, "AIShell3")
    assert status == 2
    assert "expected AIShell3/{train,test}" in err
    assert not Path("out.csv").exists()
    status, *_ = build(protocols, "AIShell3", "--allow_empty")
    assert status == 0
    assert Path("out.csv").read_text() == ",".join(COLUMNS) + "\n"


def test_the_other_variants_are_named_when_one_has_no_files(protocols, tmp_path):
    write_aac(tmp_path / "data/VoxCeleb2/dev/aac/id00012/abc/00001.m4a", sweep(1, 16000))
    status, _, err = build(protocols, "VoxCeleb2")
    assert (status, "*.{wav,m4a}, here as --variant wav" in err) == (2, True)


def test_an_option_that_the_database_does_not_use_is_refused(protocols, write_audio, write_text):
    write_audio(f"{AISHELL}/a.wav")
    Path("list.txt").write_text("x")
    status, _, err = build(protocols, "AIShell3", "--metadata", "list.txt")
    assert (status, "AIShell3 makes no use of --metadata" in err) == (2, True)
    write_text(f"{ADD}/label.txt", "a.wav genuine\n")
    write_audio(f"{ADD}/wav/a.wav")
    status, _, err = build(protocols, "ADD2023", "--file_list", "list.txt")
    assert (status, "ADD2023 makes no use of --file_list" in err) == (2, True)


def test_a_failed_build_leaves_the_old_protocol_alone(protocols, write_audio):
    write_audio(f"{AISHELL}/a.wav")
    build(protocols, "AIShell3")
    before = Path("out.csv").read_bytes()
    write_audio("AIShell3/unheard/wav/x/y.wav")
    assert build(protocols, "AIShell3")[0] == 2
    assert Path("out.csv").read_bytes() == before
    assert not list(Path().glob("*.partial"))


def test_outputs_that_cannot_be_written_are_refused(protocols, write_audio, monkeypatch):
    write_audio(f"{AISHELL}/a.wav")
    arguments = ["build", "AIShell3", "--data_folder", "data"]
    assert "is a folder" in protocols(*arguments, "--output", "data")[2]
    assert "make it first" in protocols(*arguments, "--output", "nowhere/out.csv")[2]
    assert protocols(*arguments, "--workers", "0")[0] == 2


def test_a_disk_without_capitals_does_not_lose_codecfake_to_codecfake(
    protocols, write_audio, monkeypatch
):
    write_audio("CodecFake/processed/a+p1_1.wav")
    Path("Codecfake.csv").write_text("the other one")
    exists = Path.exists
    as_on_such_a_disk = lambda path: exists(path) or path.name == "CodecFake.csv"  # noqa: E731
    monkeypatch.setattr(Path, "exists", as_on_such_a_disk)
    status, _, err = protocols("build", "CodecFake", "--data_folder", "data")
    assert (status, "other capitals" in err) == (2, True)


# ---------------------------------------------------------------------- unique IDs


def test_colliding_ids_get_the_shortest_end_of_their_path(protocols, write_audio):
    folder = "FakeOrReal/for-original/training/fake"
    write_audio(f"{folder}/x.wav")
    write_audio(f"{folder}/x.mp3")
    write_audio(f"{folder}/y.wav")
    status, out, _ = build(protocols, "FakeOrReal")
    assert status == 0
    assert [row["ID"] for row in read("out.csv")] == [
        "FoR-training-fake-x.mp3", "FoR-training-fake-x.wav", "FoR-training-fake-y"
    ]  # fmt: skip
    assert "2 rows shared 1 IDs" in out


def test_folders_join_in_until_the_ids_differ(protocols, write_audio):
    version = "CFAD/CFAD/clean_version"
    write_audio(f"{version}/test_seen_clean/fake_clean/gl/s_1.wav")
    write_audio(f"{version}/test_unseen_clean/fake_clean/gl/s_1.wav")
    write_audio(f"{version}/test_unseen_clean/fake_clean/wave/s_1.wav")
    build(protocols, "CFAD")
    head = "CFAD-clean_version-test-fake"
    assert [row["ID"] for row in read("out.csv")] == [
        f"{head}-test_seen_clean-fake_clean-gl-s_1.wav",
        f"{head}-test_unseen_clean-fake_clean-gl-s_1.wav",
        f"{head}-test_unseen_clean-fake_clean-wave-s_1.wav",
    ]


def test_a_file_listed_twice_is_one_row(protocols, write_text, write_audio):
    write_text(f"{ADD}/label.txt", "a.wav genuine\na.wav genuine\n")
    write_audio(f"{ADD}/wav/a.wav")
    status, out, _ = build(protocols, "ADD2023")
    assert status == 0
    assert "listed more than once: 1 rows" in out
    assert [row["ID"] for row in read("out.csv")] == ["ADD2023-a.wav"]


def test_a_file_listed_with_two_labels_is_refused(protocols, write_text, write_audio):
    write_text(f"{ADD}/label.txt", "a.wav genuine\na.wav fake\n")
    write_audio(f"{ADD}/wav/a.wav")
    status, _, err = build(protocols, "ADD2023")
    assert status == 2
    assert "listed twice with different facts" in err


# ---------------------------------------------------------------------- lists of audio files


def test_a_file_list_gives_the_same_protocol_as_the_walk(protocols, write_audio, tmp_path):
    names = [f"LibriTTS/dev-clean/{n}/1008/{n}_1008_0.wav" for n in (9908, 12, 103)]
    names.append("LibriTTS/train-clean-100/a b/1/a b.wav")  # blanks in a path
    for name in names:
        write_audio(name)
    build(protocols, "LibriTTS")
    walked = Path("out.csv").read_bytes()
    listed = [str(tmp_path / "data" / names[2]), names[0], names[3], names[1], names[0]]
    Path("LibriTTS.txt").write_text("\n".join(listed) + "\n")
    Path("out.csv").unlink()
    status, *_ = build(protocols, "LibriTTS", "--file_list", "LibriTTS.txt")
    assert status == 0
    assert Path("out.csv").read_bytes() == walked
    assert b"Libri-9908_1008_0,real" in walked


def test_listed_files_that_are_gone_are_missing_not_rows(protocols, write_audio):
    write_audio("LibriTTS/dev-clean/1/2/1_2_3.wav")
    Path("list.txt").write_text("LibriTTS/dev-clean/1/2/1_2_3.wav\nLibriTTS/dev-clean/1/2/no.wav\n")
    _, out, _ = build(protocols, "LibriTTS", "--file_list", "list.txt")
    assert "1 missing" in out
    assert len(read("out.csv")) == 1


def test_what_a_file_list_names_in_vain_is_counted_and_named(protocols, write_audio):
    fits = "LibriTTS/dev-clean/1/2/1_2_3.wav"
    for name in (fits, "LibriTTS/dev-clean/1/2/1_2_4.WAV", "Other/x.wav"):
        write_audio(name)
    vain = ["LibriTTS/dev-clean/1/2/1_2_4.WAV", "Other/x.wav", "LibriTTS/list.tsv",
            "LibriTTS/dev-clean/.old/2/1_2_3.wav"]  # fmt: skip
    vain += [f"Other/{number}.wav" for number in range(5)]
    Path("list.txt").write_text("\n".join(["", *vain, " ", fits, "", ""]))
    arguments = ["--file_list", "list.txt", "--json", "summary.json"]
    status, out, _ = build(protocols, "LibriTTS", *arguments)
    assert status == 0
    assert len(read("out.csv")) == 1
    assert "extension in capitals x 1 (LibriTTS/dev-clean/1/2/1_2_4.WAV)" in out
    assert "not below LibriTTS x 6 (Other/0.wav" not in out  # the first as listed
    assert "not below LibriTTS x 6 (Other/x.wav, Other/0.wav, Other/1.wav ...)" in out
    assert "another extension x 1 (LibriTTS/list.tsv)" in out
    assert "hidden, by a dot before the name x 1 (LibriTTS/dev-clean/.old" in out
    assert sum(json.loads(Path("summary.json").read_text())["passed_over"].values()) == 9


def test_a_file_list_of_another_database_is_refused_with_what_it_names(protocols, write_audio):
    write_audio("Other/x.wav")
    Path("list.txt").write_text("Other/x.wav\n")
    status, _, err = build(protocols, "LibriTTS", "--file_list", "list.txt")
    assert (status, "not below LibriTTS x 1 (Other/x.wav)" in err) == (2, True)


def test_the_walk_says_which_files_it_passes_over_for_their_capitals(protocols, write_audio):
    write_audio(f"{AISHELL}/a.wav")
    write_audio(f"{AISHELL}/b.WAV")
    status, out, _ = build(protocols, "AIShell3")
    assert status == 0
    assert f"not part of the layout: extension in capitals x 1 ({AISHELL}/b.WAV)" in out


def test_a_listed_file_elsewhere_is_refused(protocols, write_audio):
    write_audio("LibriTTS/dev-clean/1/2/1_2_3.wav")
    Path("list.txt").write_text("../elsewhere/x.wav\n")
    status, _, err = build(protocols, "LibriTTS", "--file_list", "list.txt")
    assert status == 2
    assert "list.txt, line 1" in err


# ---------------------------------------------------------------------- files that are none


def test_what_cannot_be_opened_is_skipped_and_the_build_goes_on(protocols, write_audio, tmp_path):
    folder = write_audio(f"{AISHELL}/a.wav").parent
    (folder / "loop.wav").symlink_to("loop.wav")
    (folder / "circle").symlink_to("circle")
    (folder / "gone.wav").symlink_to("nowhere.wav")
    os.mkfifo(folder / "pipe.wav")
    status, out, _ = build(protocols, "AIShell3")
    assert status == 0
    assert "1 missing and 2 unreadable" in out
    assert [row["ID"] for row in read("out.csv")] == ["AIShell3-SSB0001-a"]
    reasons = {Path(row["Path"]).name: row["Reason"] for row in read("out.skipped.csv")}
    assert "Too many levels of symbolic links" in reasons["loop.wav"]
    assert reasons["pipe.wav"] == "it is no regular file"


def test_a_listed_name_that_is_too_long_is_skipped(protocols, write_audio):
    fits = "LibriTTS/dev-clean/1/2/1_2_3.wav"
    write_audio(fits)
    Path("list.txt").write_text(f"{fits}\nLibriTTS/dev-clean/1/2/{'x' * 300}.wav\n")
    status, out, _ = build(protocols, "LibriTTS", "--file_list", "list.txt")
    assert (status, "0 missing and 1 unreadable" in out) == (0, True)
    assert "File name too long" in read("out.skipped.csv")[0]["Reason"]


# ---------------------------------------------------------------------- durations


def sweep(seconds, rate):
    time = numpy.arange(round(seconds * rate)) / rate
    return 0.3 * numpy.sin(2 * numpy.pi * 300 * time * (1 + 0.2 * time))


def write_aac(path, samples, rate=16000, **options):
    """An m4a file of samples (T,); its muxer writes an edit list unless told not to."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", format="ipod", options=options) as container:
        stream = container.add_stream("aac", rate=rate, layout="mono")
        planar = samples[None].astype("float32")
        frame = av.AudioFrame.from_ndarray(planar, format="fltp", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


AAC_PRIMING = 1024  # samples that FFmpeg's encoder puts before the sound


@pytest.mark.parametrize("rate", [8000, 16000, 44100])
@pytest.mark.parametrize("has_edit_list", [True, False])
def test_m4a_is_as_long_as_its_container_presents_it(rate, has_edit_list, protocols, tmp_path):
    """The source's length, by header, by measuring and by loading; the sound begins where it did.

    Without an edit list nothing says that the encoder's priming is none of the sound.
    """
    source = sweep(3.21, rate)
    path = tmp_path / "data/VoxCeleb2/dev/aac/id00012/abc/00001.m4a"
    write_aac(path, source, rate, use_editlist=str(int(has_edit_list)))
    assert build(protocols, "VoxCeleb2", "--variant", "m4a")[0] == 0
    (row,) = read("out.csv")
    assert row["ID"] == "VoxCeleb2-id00012-abc-00001"
    lead = 0 if has_edit_list else AAC_PRIMING
    seconds = (len(source) + lead) / rate
    assert float(row["Duration"]) == round(seconds, 2)
    assert measure(str(path)).decoded_seconds == pytest.approx(seconds, abs=1e-6)
    assert len(load_waveform(path)) / SAMPLE_RATE == pytest.approx(seconds, abs=1e-3)
    found = blocks(str(path), probe(path), faults=Faults())
    decoded = numpy.concatenate(list(found), axis=1)[0, lead:]
    assert numpy.corrcoef(decoded, source)[0, 1] > 0.98


def test_mp3_is_as_long_as_what_was_encoded(protocols, write_audio):
    path = write_audio("CVoiceFake/CVoiceFake_Large/EN/Bonafide/x.mp3", seconds=4.56, rate=32000)
    build(protocols, "CVoiceFake")
    (row,) = read("out.csv")
    assert float(row["Duration"]) == pytest.approx(4.56, abs=0.05)
    assert len(load_waveform(path)) / SAMPLE_RATE == pytest.approx(4.56, abs=0.05)
    assert (row["AudioEncoding"], row["AudioBitSample"]) == ("MP3", "0")


# ---------------------------------------------------------------------- the second run


def headers_read(*arguments):
    assert arguments[0][0] == 0
    return json.loads(Path("summary.json").read_text())["headers_read"]


def test_a_second_run_reads_only_new_and_changed_files(protocols, write_audio):
    run = lambda *more: headers_read(  # noqa: E731
        build(protocols, "AIShell3", "--json", "summary.json", *more)
    )
    for number in range(5):
        write_audio(f"{AISHELL}/{number}.wav")
    assert run() == 5
    first = Path("out.csv").read_bytes()
    assert run() == 0
    assert Path("out.csv").read_bytes() == first
    write_audio(f"{AISHELL}/new.wav")
    write_audio(f"{AISHELL}/3.wav", seconds=1.5)
    assert run() == 2
    assert [row["Duration"] for row in read("out.csv")] == ["0.25"] * 3 + ["1.5"] + ["0.25"] * 2
    assert run("--no_cache") == 6


KILLED_ONCE = """
import os, signal
import protocols.headers
from pathlib import Path
from protocols.corpus import Corpus, Item
protocols.headers.COMMIT_SECONDS = 0
protocols.headers.CHUNK_FILES = 16

def items(source):
    for number, (path, p) in enumerate(source.files("Killed", "{stem}.wav")):
        if number == 400 and not Path("killed").exists():
            Path("killed").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        yield Item(path, p.stem, "real")

CORPUS = Corpus("Killed", items, prefix="Killed-", contents="real", folder="", link="")
"""


@pytest.mark.slow
def test_after_a_kill_the_next_run_reads_only_the_rest(tmp_path):
    folder = tmp_path / "data/Killed"
    folder.mkdir(parents=True)
    for number in range(500):
        soundfile.write(folder / f"{number:04d}.wav", numpy.zeros(160), 16000)
    (tmp_path / "killed_corpus.py").write_text(KILLED_ONCE)
    arguments = "--data_folder data --output out.csv --json summary.json --workers 2"
    command = [sys.executable, "-m", "protocols", "build", "killed_corpus.py", *arguments.split()]
    checkout = Path(__file__).parents[2]
    environment = os.environ | {"PYTHONPATH": str(checkout)}
    killed = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True)
    assert killed.returncode == -signal.SIGKILL
    assert not (tmp_path / "out.csv").exists()
    again = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert again.returncode == 0, again.stderr
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["rows"] == 500
    assert 100 <= summary["headers_read"] <= 300


def test_two_workers_give_the_rows_of_one_in_their_order(protocols, write_audio):
    for number in range(600):
        write_audio(f"{AISHELL}/{number:03d}.wav", seconds=0.01 * (1 + number % 7))
    build(protocols, "AIShell3", "--workers", "1")
    one = Path("out.csv").read_bytes()
    build(protocols, "AIShell3", "--workers", "2", "--no_cache")
    assert Path("out.csv").read_bytes() == one

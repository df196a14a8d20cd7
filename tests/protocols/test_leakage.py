"""Leakage: every way in which training and test data can share something, one at a time."""

import csv
import json
import shutil
from pathlib import Path

import pytest
import soundfile

from protocols.leakage import sources_of
from protocols.schema import COLUMNS


def save(name, *rows):
    """Rows of (ID, path below the data folder, speaker[, proportion])."""
    with open(name, "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for utterance, path, speaker, *proportion in rows:
            writer.writerow([utterance, "real", "0.25", "16000", f"$ROOT/{path}", "-", speaker,
                             *(proportion or ["-"]), "1", "PCM_S", "16", "-"])  # fmt: skip


def leakage(protocols, *arguments):
    status, out, err = protocols(
        "leakage", "--test", "test.csv", "--data_folder", "data", "--json", "l.json", *arguments
    )
    facts = json.loads(Path("l.json").read_text())
    found = {kind: entry["count"] for kind, entry in facts["kinds"].items() if entry["count"]}
    return status, found, out


@pytest.fixture
def files(write_audio):
    """Six different files."""
    return [write_audio(f"x/{number}.wav", seed=number) for number in range(6)]


def test_disjoint_data_share_nothing(protocols, files):
    save("train.csv", ("Mine-0", "x/0.wav", "ann"), ("Mine-1", "x/1.wav", "bob"))
    save("test.csv", ("Mine-2", "x/2.wav", "eve"))
    status, found, out = leakage(protocols, "--train", "train.csv")
    assert (status, found) == (0, {})
    assert "2 training rows against 1 test rows" in out
    assert "note: Mine is in both" in out


def test_a_shared_id_is_found_with_both_places(protocols, files):
    save("train.csv", ("Mine-0", "x/0.wav", "-"), ("Mine-1", "x/1.wav", "-"))
    save("test.csv", ("Mine-1", "x/2.wav", "-"))
    status, found, out = leakage(protocols, "--train", "train.csv")
    assert (status, found) == (1, {"ids": 1})
    assert "Mine-1: test.csv, line 2 and train.csv, line 3" in out


def test_a_shared_path_is_found_in_either_spelling_and_only_as_a_path(protocols, files):
    save("train.csv", ("Mine-0", "x/0.wav", "-"))
    save("test.csv", ("Mine-1", "/x/0.wav", "-"))
    assert leakage(protocols, "--train", "train.csv")[:2] == (1, {"paths": 1})


def test_equal_bytes_under_another_name_are_found(protocols, files, tmp_path):
    shutil.copy(files[0], tmp_path / "data/x/copy.wav")
    save("train.csv", *((f"Mine-{n}", f"x/{n}.wav", "-") for n in range(4)))
    save("test.csv", ("Mine-9", "x/copy.wav", "-"), ("Mine-8", "x/5.wav", "-"))
    status, found, out = leakage(protocols, "--train", "train.csv")
    assert (status, found) == (1, {"content": 1})
    assert "test.csv, line 2 and train.csv, line 2" in out


def test_the_same_audio_in_another_container_is_found(protocols, files, tmp_path):
    samples, rate = soundfile.read(files[0], dtype="int16")
    soundfile.write(tmp_path / "data/x/copy.flac", samples, rate)
    save("train.csv", *((f"Mine-{n}", f"x/{n}.wav", "-") for n in range(4)))
    save("test.csv", ("Mine-9", "x/copy.flac", "-"), ("Mine-8", "x/5.wav", "-"))
    status, found, out = leakage(protocols, "--train", "train.csv")
    assert (status, found) == (1, {"audio": 1})
    assert "test.csv, line 2 and train.csv, line 2" in out


def test_leaks_across_many_blocks_of_training_rows_are_each_found_once(
    protocols, files, tmp_path, monkeypatch
):
    monkeypatch.setattr("protocols.leakage.BLOCK_ROWS", 2)
    for number in range(4):
        shutil.copy(files[number], tmp_path / f"data/x/copy{number}.wav")
    save("train.csv", *((f"Mine-{n}", f"x/{n}.wav", "-") for n in (*range(4), *range(4))))
    save("test.csv", *((f"Mine-c{n}", f"x/copy{n}.wav", "-") for n in range(4)))
    assert leakage(protocols, "--train", "train.csv")[:2] == (1, {"content": 4})


def test_a_speaker_of_both_sides_is_found_in_one_database_and_through_a_source(protocols, files):
    save("train.csv", ("Mine-0", "x/0.wav", "ann"), ("CodecF-a+p225_1", "x/1.wav", "p225"),
         ("MLS-EN-1", "x/4.wav", "103"))  # fmt: skip
    save("test.csv", ("Mine-2", "x/2.wav", "ann"), ("DFADD-b-p225_9", "x/3.wav", "p225"),
         ("Libri-103", "x/5.wav", "103"))  # fmt: skip
    status, found, out = leakage(protocols, "--train", "train.csv", "--compare", "speakers")
    assert (status, found) == (1, {"speakers": 2})  # 103 of MLS is not 103 of LibriTTS
    assert "p225: 1 test rows of DFADD, 1 training rows of CodecFake" in out


@pytest.mark.parametrize("nobody", ["-", "", "unknown"])
def test_the_unknown_speaker_is_nobody(nobody, protocols, files):
    save("train.csv", ("Mine-0", "x/0.wav", nobody))
    save("test.csv", ("Mine-2", "x/2.wav", nobody))
    assert leakage(protocols, "--train", "train.csv")[:2] == (0, {})


def test_databases_with_a_common_source_are_found(protocols, files):
    save("train.csv", ("Libri-R-1", "x/0.wav", "-"), ("LJ-1", "x/1.wav", "-"))
    save("test.csv", ("LibriTTS-Vo-h-1", "x/2.wav", "-"), ("ItW-1", "x/3.wav", "-"))
    status, found, out = leakage(protocols, "--train", "train.csv", "--compare", "sources")
    assert (status, found) == (1, {"sources": 1})
    assert "LibriTTS-Vocoded (1 rows) and LibriTTS-R: LibriTTS" in out


def test_sources_are_followed_to_their_sources():
    assert sources_of("FLEURS-R") == {"FLEURS-R", "FLEURS", "FLORES-101"}
    assert "VCTK" in sources_of("toy_example")
    assert sources_of("In-the-Wild") == {"In-the-Wild"}
    assert sources_of("mine") == {"mine"}


def test_the_released_models_training_data(protocols):
    save("test.csv", ("ASV19LA-LA_E_1", "a", "-", "test"), ("ASV19LA-LA_D_1", "b", "-", "valid"),
         ("ItW-1", "c", "-"), ("ASV19LAdemo-LA_E_1", "d", "-"), ("Mine-1", "e", "-"),
         ("VoxCeleb2-1", "f", "-", "valid"))  # fmt: skip
    status, found, out = leakage(protocols, "--train", "released")
    assert status == 1
    assert found["training"] == 2  # ASVspoof2019's test part, and all of VoxCeleb2
    assert found["validation"] == 1
    assert found["sources"] >= 5  # the toy example is of VCTK, like ASVspoof2021 ...
    assert "toy_example (1 rows) and ASVspoof2019-LA" in out
    assert "note: Mine: the release's table does not know this database" in out


def test_a_test_set_the_released_models_have_not_seen(protocols):
    save("test.csv", ("ItW-1", "c", "-"), ("ADD2023-1", "d", "-"))
    assert leakage(protocols, "--train", "released")[:2] == (0, {})


def test_the_table_of_the_release_is_whole():
    """Section 4's table: 29 databases, their sources and parts."""
    from protocols.corpus import corpora

    used = {name: corpus for name, corpus in corpora().items() if corpus.role == "train"}
    assert len(used) == 29
    assert all(corpus.training for corpus in used.values())
    assert {name for name, corpus in used.items() if corpus.validation} == {
        "ASVspoof2019-LA", "ASVspoof5", "CFAD", "Codecfake", "DECRO", "DFADD", "DSD", "FLEURS",
        "FLEURS-R", "LibriTTS", "LibriTTS-R", "LibriTTS-Vocoded", "MLS", "SpoofCeleb",
    }  # fmt: skip
    of_vctk = {name for name, corpus in used.items() if "VCTK" in corpus.sources}
    assert of_vctk == {
        "ASVspoof2019-LA", "ASVspoof2021-LA", "ASVspoof2021-DF", "Codecfake", "CodecFake", "DECRO",
        "DFADD", "DSD",
    }  # fmt: skip


def test_missing_files_are_said_and_audio_needs_a_data_folder(protocols, files):
    save("train.csv", ("Mine-0", "x/0.wav", "-"))
    save("test.csv", ("Mine-1", "x/none.wav", "-"))
    assert "1 files are missing or unreadable" in leakage(protocols, "--train", "train.csv")[2]
    status, _, err = protocols("leakage", "--train", "train.csv", "--test", "test.csv")
    assert (status, "--data_folder" in err) == (2, True)
    names = ["--train", "train.csv", "--test", "test.csv"]
    assert protocols("leakage", *names, "--compare", "ids", "paths")[0] == 0

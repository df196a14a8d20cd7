"""Leakage: every way in which training and test data can share something, one at a time."""

import csv
import json
import shutil
from pathlib import Path

import pytest
import soundfile

from dataio.schema import COLUMNS
from protocols.leakage import sources_of


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
    """The release's table: 29 databases, their sources and parts."""
    from protocols.corpus import corpora
    from protocols.merge import PUBLISHED_ORDER

    used = {name: corpora()[name] for name in PUBLISHED_ORDER}
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


# ---------------------------------------------------------------------- one file, two spellings


@pytest.mark.parametrize("spelling", ["x/link0.wav", "calls/../x/0.wav", "y/0.wav"])
@pytest.mark.parametrize("swap", [False, True])
def test_one_file_under_two_spellings_is_found_by_where_they_lead(
    spelling, swap, protocols, files, tmp_path
):
    (tmp_path / "data/calls").mkdir()
    (tmp_path / "data/x/link0.wav").symlink_to("0.wav")
    (tmp_path / "data/y").symlink_to("x")
    train, test = (spelling, "x/0.wav") if swap else ("x/0.wav", spelling)
    save("train.csv", ("Mine-0", train, "-"), ("Mine-3", "x/3.wav", "-"))
    save("test.csv", ("Mine-8", "x/5.wav", "-"), ("Mine-9", test, "-"))
    status, found, out = leakage(protocols, "--train", "train.csv")
    assert (status, found) == (1, {"paths": 1})
    assert "test.csv, line 3 and train.csv, line 2" in out


def test_without_a_data_folder_paths_are_compared_as_text_whatever_their_dots(protocols):
    save("train.csv", ("Mine-0", "x/0.wav", "-"))
    save("test.csv", ("Mine-9", "calls/../x/./0.wav", "-"))
    names = ["--train", "train.csv", "--test", "test.csv"]
    status, out, _ = protocols("leakage", *names, "--compare", "paths")
    assert (status, "$ROOT/calls/../x/./0.wav is $ROOT/x/0.wav" in out) == (1, True)


def test_a_file_found_by_its_path_still_gives_its_copies_away(protocols, files, tmp_path):
    shutil.copy(files[0], tmp_path / "data/x/0copy.wav")
    samples, rate = soundfile.read(files[0], dtype="int16")
    soundfile.write(tmp_path / "data/x/0.flac", samples, rate)
    save("train.csv", ("Mine-0", "x/0.wav", "-"))
    names = "x/0.wav", "x/0copy.wav", "x/0.flac"
    save("test.csv", *((f"Mine-9{name}", name, "-") for name in names))
    status, found, out = leakage(protocols, "--train", "train.csv")
    assert (status, found) == (1, {"paths": 1, "content": 1, "audio": 1})
    assert "test.csv, line 3 and train.csv, line 2" in out


@pytest.mark.parametrize("nothing", ["", "-"])
def test_rows_without_a_path_share_none_and_are_said(nothing, protocols, files):
    save("train.csv", ("Mine-0", "x/0.wav", "-"), ("Mine-1", "x/1.wav", "-"))
    save("test.csv", ("Mine-2", "x/2.wav", "-"), ("Mine-3", "x/3.wav", "-"))
    for name, gone in (("train.csv", "$ROOT/x/1.wav"), ("test.csv", "$ROOT/x/3.wav")):
        text = Path(name).read_text()
        Path(name).write_text(text.replace(gone, nothing))
    status, found, out = leakage(protocols, "--train", "train.csv")
    assert (status, found) == (0, {})
    assert "1 training and 1 test rows have no path" in out


# ---------------------------------------------------------------------- nothing was compared


def refusal(protocols, *arguments):
    status, out, err = protocols("leakage", "--test", "test.csv", *arguments)
    assert (status, out) == (2, "")
    return err


def test_missing_and_unreadable_files_of_both_sides_are_said(protocols, files, write_text):
    write_text("x/text.wav", "no audio")
    save("train.csv", *((f"Mine-{n}", f"x/{n}.wav", "-") for n in (0, "no", "text", "none")))
    save("test.csv", ("Mine-1", "x/1.wav", "-"), ("Mine-2", "x/gone.wav", "-"))
    status, found, out = leakage(protocols, "--train", "train.csv")
    assert (status, found) == (0, {})
    assert "content: 2 training and 1 test files are missing or unreadable" in out
    assert "audio: 3 training and 1 test files are missing or unreadable" in out
    assert "data/x/gone.wav" in out


def test_a_data_folder_that_is_none_is_refused(protocols, files):
    save("train.csv", ("Mine-0", "x/0.wav", "-"))
    save("test.csv", ("Mine-1", "x/1.wav", "-"))
    err = refusal(protocols, "--train", "train.csv", "--data_folder", "dta")
    assert "no folder dta" in err


def test_audio_needs_a_data_folder_and_the_rest_does_not(protocols, files):
    save("train.csv", ("Mine-0", "x/0.wav", "-"))
    save("test.csv", ("Mine-1", "x/1.wav", "-"))
    assert "--data_folder" in refusal(protocols, "--train", "train.csv")
    names = ["--train", "train.csv", "--test", "test.csv"]
    assert protocols("leakage", *names, "--compare", "ids", "paths")[0] == 0


@pytest.mark.parametrize(("train", "test"), [("x/0.wav", "x/no.wav"), ("x/no.wav", "x/0.wav")])
def test_no_answer_where_no_file_of_a_side_can_be_read(train, test, protocols, files):
    save("train.csv", ("Mine-0", train, "-"))
    save("test.csv", ("Mine-1", test, "-"))
    err = refusal(protocols, "--train", "train.csv", "--data_folder", "data")
    side = "test" if test == "x/no.wav" else "training"
    assert f"none of the 1 {side} files can be read to compare content" in err
    assert "data/x/no.wav: correct --data_folder" in err


def test_no_answer_where_nothing_decodes(protocols, files, write_text):
    write_text("x/text.wav", "no audio")
    save("train.csv", ("Mine-0", "x/text.wav", "-"))
    save("test.csv", ("Mine-1", "x/1.wav", "-"))
    err = refusal(protocols, "--train", "train.csv", "--data_folder", "data")
    assert "none of the 1 training files can be read to compare audio" in err


@pytest.mark.parametrize("empty", ["train.csv", "test.csv"])
def test_no_answer_to_an_empty_protocol(empty, protocols, files):
    save("train.csv", ("Mine-0", "x/0.wav", "-"))
    save("test.csv", ("Mine-1", "x/1.wav", "-"))
    save(empty)
    err = refusal(protocols, "--train", "train.csv", "--data_folder", "data")
    assert f"{empty}: no row" in err


def test_the_word_released_stands_alone(protocols):
    save("train.csv", ("Mine-0", "x/0.wav", "-"))
    save("test.csv", ("Mine-1", "x/1.wav", "-"))
    err = refusal(protocols, "--train", "released", "train.csv")
    assert "the word released stands alone" in err

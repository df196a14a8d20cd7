import logging
import os

import numpy as np
import pytest
import soundfile

from dataio.audio import load_waveform
from dataio.files import FileTable, find_audio
from dataio.schema import UNKNOWN, UserError
from dataio.words import printable


@pytest.fixture
def folder(tmp_path):
    for name in ("b/2.flac", "a.WAV", ".hidden.wav", ".git/c.wav", "notes.txt"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        container = "FLAC" if name.endswith("flac") else "WAV"
        soundfile.write(path, np.zeros(8000), 16000, format=container)
    return tmp_path


def test_a_folder_is_walked_for_audio_hidden_names_left_out(folder):
    assert find_audio([folder]) == [str(folder / "a.WAV"), str(folder / "b/2.flac")]


def test_a_folder_that_links_to_itself_is_walked_once(folder):
    (folder / "b/loop").symlink_to(folder)
    (folder / "again").symlink_to(folder / "b")
    assert find_audio([folder]) == [str(folder / "a.WAV"), str(folder / "b/2.flac")]


def test_files_not_named_like_audio_are_counted_on_screen(folder, caplog):
    (folder / "b/README").write_text("about")
    with caplog.at_level(logging.WARNING):
        find_audio([folder])
    assert "passed over 2 files not named like audio (" in caplog.text
    assert ".txt 1" in caplog.text and "no suffix 1" in caplog.text


@pytest.mark.parametrize("container", sorted(set(soundfile.available_formats()) - {"RAW"}))
def test_every_container_of_libsndfile_is_found_in_a_folder_and_read(container, tmp_path):
    subtype = soundfile.default_subtype(container) or "DPCM_16"
    path = tmp_path / f"a.{container.lower()}"
    waveform = 0.1 * np.random.default_rng(0).standard_normal(16000)
    soundfile.write(path, waveform, 16000, format=container, subtype=subtype)
    assert find_audio([tmp_path]) == [str(path)]
    assert len(load_waveform(path)) > 4000


@pytest.mark.parametrize("name", ["a.snd", "a.sf", "a.bwf", "a.mka", "a.mp2", "a.3gp", "A.M4A"])
def test_suffixes_in_use_beside_the_containers_own_names_are_found(name, tmp_path):
    (tmp_path / name).write_bytes(b"")
    assert find_audio([tmp_path]) == [str(tmp_path / name)]


def test_a_name_that_is_not_utf8_is_found_and_can_be_shown(tmp_path):
    path = os.fsencode(tmp_path) + b"/caf\xe9.wav"
    soundfile.write(path, np.zeros(8000), 16000, format="WAV")
    (found,) = find_audio([tmp_path])
    assert found == os.fsdecode(path)
    assert FileTable([found]).durations.tolist() == [0.5]
    assert printable(found) == f"{tmp_path}/caf\\xe9.wav"


def test_a_file_named_outright_is_taken_once_whatever_its_name(folder):
    notes = folder / "notes.txt"
    assert find_audio([notes, notes]) == [str(notes)]


def test_what_is_not_there_is_named(folder, tmp_path):
    with pytest.raises(UserError, match="gone.wav does not exist"):
        find_audio([folder / "gone.wav"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="no audio file below the folder"):
        find_audio([tmp_path / "empty"])


def test_the_table_has_lengths_and_no_labels(folder):
    (folder / "broken.mp3").write_bytes(b"nothing")
    table = FileTable([str(folder / "a.WAV"), str(folder / "broken.mp3")])
    assert table.durations.tolist() == [0.5, 0.0]
    assert table.labels.tolist() == [UNKNOWN, UNKNOWN]
    assert table.row(0).path == str(folder / "a.WAV")

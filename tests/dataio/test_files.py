import numpy as np
import pytest
import soundfile

from dataio.files import FileTable, find_audio
from protocols.schema import UNKNOWN, UserError


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

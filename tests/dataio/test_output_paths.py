"""Nothing given is overwritten, whatever spelling or link leads to it."""

import os

import pytest

from dataio.output_paths import check_outputs
from dataio.schema import UserError


@pytest.fixture
def given(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "A.csv").write_text("scores")
    (tmp_path / "folder").mkdir()
    os.symlink("A.csv", "link.csv")
    os.symlink("folder", "other")
    os.link("A.csv", "hard.csv")
    os.symlink("new.csv", "dangling.csv")


@pytest.mark.parametrize(
    "path", ["A.csv", "./A.csv", "folder/../A.csv", "other/../A.csv", "link.csv", "hard.csv"]
)
def test_an_output_that_is_an_input_is_refused(given, path):
    with pytest.raises(UserError, match=f"^--csv {path} would overwrite A.csv, which is read"):
        check_outputs([("--json", "R.json"), ("--csv", path)], [None, "A.csv"])
    with pytest.raises(UserError, match="would overwrite"):
        check_outputs([("--csv", "A.csv")], [path])


@pytest.mark.parametrize("path", ["R.csv", "./R.csv", "folder/../R.csv"])
def test_two_outputs_of_one_name_are_refused(given, path):
    with pytest.raises(UserError, match=f"^--csv R.csv and --json {path} are one file: name two"):
        check_outputs([("--csv", "R.csv"), ("--json", path)], ["A.csv"])


def test_a_link_to_a_file_not_there_yet_is_that_file(given):
    with pytest.raises(UserError, match="are one file"):
        check_outputs([("--csv", "new.csv"), ("--json", "dangling.csv")], [])


@pytest.mark.parametrize(
    "path, words",
    [("folder", "is a folder: name a file"), ("A.csv/R.csv", "A.csv is no folder")],
)
def test_a_place_that_cannot_be_written_to_is_refused(given, path, words):
    with pytest.raises(UserError, match=words):
        check_outputs([("--csv", path)], [])


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root writes anywhere")
def test_a_folder_without_the_right_to_write_is_refused(given):
    os.chmod("folder", 0o500)
    with pytest.raises(UserError, match="may not be written to"):
        check_outputs([("--csv", "folder/R.csv")], [])


def test_new_files_in_new_folders_are_welcome_and_nothing_is_made(given, tmp_path):
    before = sorted(tmp_path.rglob("*"))
    check_outputs([("--csv", "new/R.csv"), ("--json", None), ("--report", "R.html")], ["A.csv"])
    assert sorted(tmp_path.rglob("*")) == before

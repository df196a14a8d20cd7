"""Files appear whole under nobody's link, or one sentence says why not and nothing is left."""

import ast
import errno
import os
import stat
from pathlib import Path

import numpy as np
import pytest

from dataio import protocol, whole_files
from dataio.command import run_command
from dataio.schema import UserError
from dataio.whole_files import (
    append_file,
    cannot_write,
    whole_file,
    whole_folder,
    whole_link,
    whole_table,
    write_bytes,
    write_sound,
    write_text,
)

ROOT = Path(__file__).parents[2]
WRITERS = {
    "text": lambda path: write_text(path, "x" * 100),
    "bytes": lambda path: write_bytes(path, b"x" * 100),
    "sound": lambda path: write_sound(path, np.zeros(100), 16_000, "PCM_16"),
}


@pytest.fixture
def full(monkeypatch):
    """A disk that takes no more after the first bytes of each file."""

    def fill(number=errno.ENOSPC):
        def write(self, data):
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr(whole_files._Guarded, "_write", write)

    return fill


@pytest.mark.parametrize("name", WRITERS)
def test_a_file_appears_with_the_modes_of_the_umask(tmp_path, name):
    former = os.umask(0o027)
    try:
        WRITERS[name](tmp_path / "below" / "a.wav")
    finally:
        os.umask(former)
    assert stat.S_IMODE((tmp_path / "below/a.wav").stat().st_mode) == 0o640
    assert os.listdir(tmp_path / "below") == ["a.wav"]


@pytest.mark.parametrize("name", WRITERS)
def test_a_link_under_the_name_is_replaced_and_its_file_left_alone(tmp_path, name):
    victim = tmp_path / "victim"
    victim.write_text("here")
    (tmp_path / "a.wav").symlink_to(victim)
    WRITERS[name](tmp_path / "a.wav")
    assert victim.read_text() == "here" and not (tmp_path / "a.wav").is_symlink()


def test_a_link_planted_under_the_temporary_name_is_never_followed(tmp_path, monkeypatch):
    victim = tmp_path / "victim"
    victim.write_text("here")
    monkeypatch.setattr(whole_files.secrets, "token_hex", lambda _: "known")
    (tmp_path / ".a.csv.known.part").symlink_to(victim)
    with pytest.raises(UserError, match="cannot write .*a.csv"):
        write_text(tmp_path / "a.csv", "planted")
    assert victim.read_text() == "here"


def test_a_journal_that_is_a_link_is_refused(tmp_path):
    (tmp_path / "victim").write_text("here")
    (tmp_path / "rank0.scores").symlink_to(tmp_path / "victim")
    with pytest.raises(UserError, match="cannot write .*rank0.scores"):
        append_file(tmp_path / "rank0.scores", binary=True)


@pytest.mark.parametrize("number", sorted(whole_files.NO_ROOM))
@pytest.mark.parametrize("name", WRITERS)
def test_a_full_disk_is_one_sentence_and_leaves_what_was_there(tmp_path, full, name, number):
    path = tmp_path / "a.wav"
    path.write_text("former")
    full(number)
    with pytest.raises(UserError, match=f"cannot write .*a.wav .{os.strerror(number)}.: "):
        WRITERS[name](path)
    assert path.read_text() == "former" and os.listdir(tmp_path) == ["a.wav"]


def test_a_table_and_a_folder_are_whole_as_well(tmp_path, full):
    with whole_table(tmp_path / "t.csv", ("A",)) as rows:
        rows.add([(1,), (2,)])
    assert (tmp_path / "t.csv").read_text() == "A\n1\n2\n"
    with whole_table(tmp_path / "t.csv", ("A",)):
        pass
    with whole_folder(tmp_path / "cache") as aside:
        write_text(aside / "a", "x")
    assert os.listdir(tmp_path) == ["cache"]
    full()
    with pytest.raises(UserError, match="cannot write"), whole_folder(tmp_path / "b") as aside:
        write_text(aside / "a", "x" * 10)
    with pytest.raises(UserError), whole_table(tmp_path / "t.csv", ("A",)) as rows:
        rows.add([("x" * 200_000,)])
    assert os.listdir(tmp_path) == ["cache"]


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("file/a.csv", "names as a folder is a file|is no folder"),
        ("x" * 300, "give it a shorter name"),
        ("folder", "name a file"),
        ("a\0b", "null"),
    ],
)
def test_a_name_that_no_file_can_have_is_one_sentence(tmp_path, name, told):
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    with pytest.raises(UserError, match=told):
        write_text(tmp_path / name, "x")


def test_a_long_name_and_one_that_is_no_utf8_are_written(tmp_path):
    for name in ("é" * 120 + ".csv", os.fsdecode(b"caf\xe9.csv")):
        write_text(tmp_path / name, "x")
        assert (tmp_path / name).read_text() == "x"


def test_a_device_is_written_as_it_is(capfd):
    write_text("/dev/null", "x")
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


def test_what_ends_early_leaves_nothing(tmp_path):
    with pytest.raises(KeyboardInterrupt), whole_file(tmp_path / "a") as stream:
        stream.write("half")
        raise KeyboardInterrupt
    whole_link(tmp_path / "link", "a")
    assert os.listdir(tmp_path) == ["link"]


def test_the_shared_temporary_folder_gives_no_cache_of_others(tmp_path):
    mine = protocol._private_folder(tmp_path)
    assert stat.S_IMODE(mine.stat().st_mode) == 0o700 and protocol._private_folder(tmp_path) == mine
    mine.chmod(0o777)
    with pytest.raises(UserError, match="not this user's alone"):
        protocol._private_folder(tmp_path)
    mine.rmdir()
    mine.symlink_to(tmp_path)
    with pytest.raises(UserError, match="not this user's alone"):
        protocol._private_folder(tmp_path)


def test_a_command_says_of_a_full_disk_what_fails(capsys, tmp_path):
    def command():
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(tmp_path / "scratch"))

    assert run_command(command) == 2
    sentence = cannot_write(tmp_path / "scratch", OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
    assert capsys.readouterr().err == f"error: {sentence}\n"


WRITES = {"write_text", "write_bytes", "savez", "savez_compressed", "symlink_to", "mkdir"}
ALLOWED = {  # where else something is written, and why that is right
    "dataio/whole_files.py", "dataio/command.py",
    "dataio/protocol.py",  # the cache folder and its lock
    "augment/catalogue.py", "models/serving/uploads.py",  # into a folder of its own
    "models/export/selftest.py", "models/export/card.py",  # in one that appears whole
    "drift/reference.py", "models/scoring/files.py",  # numpy's archive, to a stream of whole_file
}  # fmt: skip


def test_all_writing_goes_through_the_one_way():
    found = []
    folders = ("dataio", "hparams", "protocols", "augment", "metrics", "models", "drift")
    for path in (p for folder in folders for p in (ROOT / folder).rglob("*.py")):
        name = str(path.relative_to(ROOT))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and _writes(node) and name not in ALLOWED:
                found.append(f"{name}:{node.lineno}")
    assert found == []


def _writes(call: ast.Call) -> bool:
    called = call.func.attr if isinstance(call.func, ast.Attribute) else ""
    if called == "replace":  # of a path, not of a text
        return len(call.args) == 1
    if called in WRITES:
        return True
    opens = called == "open" or (isinstance(call.func, ast.Name) and call.func.id == "open")
    modes = [a.value for a in call.args if isinstance(a, ast.Constant) and isinstance(a.value, str)]
    return opens and any(mode in ("w", "wb", "a", "ab", "x", "xb", "w+") for mode in modes)

"""Without the environment a command says so in one sentence; its ends have one meaning."""

from __future__ import annotations

import pydoc
import subprocess
import sys

import pytest
from support.pages import ROOT

from dataio.command import run_command

COMMANDS = (
    "main.py score w2v_tiny x.wav",
    "main.py w2v_tiny --base_path B",
    "evaluation.py x.csv",
    "-m protocols check x.csv --data_folder D",
    "-m drift compare a b",
    "-m augment preview x.wav --output D",
)


@pytest.mark.parametrize("command", COMMANDS)
def test_without_the_environment_a_command_says_so_in_one_sentence(command):
    """`-I -S` leaves site-packages out, as a system's Python without them does."""
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); import runpy; "
    first, *words = command.split()
    if first == "-m":
        name, *words = words
        code += f"sys.argv = {[name, *words]}; runpy.run_module({name!r}, run_name='__main__')"
    else:
        code += f"sys.argv = {[first, *words]}; runpy.run_path({first!r}, run_name='__main__')"
    run = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code], cwd=ROOT, capture_output=True, text=True
    )
    assert run.returncode == 2 and not run.stdout
    (line,) = run.stderr.splitlines()
    assert line.startswith("error: the Python package ")
    assert line.endswith("(source .venv/bin/activate), or make it with `bash install.sh`")


def test_an_older_python_is_refused_before_it_meets_what_it_cannot_read():
    code = "import sys; sys.version_info = (3, 9, 2); import dataio"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 2
    assert run.stderr.startswith("error: this is Python 3.9, and 3.10 or newer is needed")
    assert len(run.stderr.splitlines()) == 1


def test_a_module_of_ours_or_of_pythons_that_is_missing_is_a_defect():
    for name in ("dataio.nothing", "os.nothing"):
        with pytest.raises(ModuleNotFoundError):
            run_command(lambda name=name: __import__(name))


def test_without_a_folder_for_temporary_files_one_sentence_says_what_to_do(capsys):
    """As in a read-only container, where torch's import fails; a YAML's class wraps the error."""
    words = "No usable temporary directory found in ['/tmp', '/var/tmp', '/usr/tmp', '/app']"
    plain = FileNotFoundError(2, words)
    for error in (plain, pydoc.ErrorDuringImport("torch", (type(plain), plain, None))):
        assert run_command(lambda error=error: _raise(error)) == 2
        told = capsys.readouterr().err
        assert told.startswith("error: no folder for temporary files") and "TMPDIR=" in told
        assert told.count("\n") == 1


def test_a_defect_is_raised_whole():
    for error in (OSError(5, "Input/output error"), ZeroDivisionError("of ours")):
        with pytest.raises(type(error), match=str(error.args[-1])):
            run_command(lambda error=error: _raise(error))


def _raise(error):
    raise error

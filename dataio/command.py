"""What every command line ends with: a status, and one sentence for a mistake of the user's."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path

from dataio.schema import UserError
from dataio.stopping import Stopped
from dataio.whole_files import NO_ROOM, cannot_write
from dataio.words import OneLine, PlainOutput, tell

MISTAKE = 2
CLOSED_PIPE = 141  # what shells report of a program that a closed pipe ended
STOPPED = 130  # by Ctrl-C, where nothing could be kept
TO_BE_CONTINUED = 75  # asked to end, and what was done is kept (EX_TEMPFAIL: try again later)


def run_command(command: Callable[[], int], *, stopped: str = "stopped") -> int:
    """The exit status of `command()`; what it prints has reached its reader.

    A `Stopped` is a line and status 75: the same command goes on, as a job queue may take it.
    A `UserError` is one line on stderr and status 2, as is an error of the system's that names a
    file or says that a disk is full, and a package that is not installed. A reader that has seen
    enough (`| head`) is no error, and status 141. Ctrl-C prints `stopped`. Everything else is a
    defect and is raised.
    """
    screen, sys.stdout = sys.stdout, PlainOutput(sys.stdout)
    if logging.lastResort is not None:  # of commands that set up no log
        logging.lastResort.setFormatter(OneLine())
    try:
        return _status_of(command, stopped)
    finally:
        sys.stdout = screen


def _status_of(command: Callable[[], int], stopped: str) -> int:
    try:
        status = command()
        sys.stdout.flush()
        return status
    except UserError as error:
        return _told(error)
    except Stopped as stop:
        if stop.args:
            print(f"stopped by {stop}", file=sys.stderr)
        return TO_BE_CONTINUED
    except BrokenPipeError:
        _silence(sys.stdout)
        return CLOSED_PIPE
    except OSError as error:
        if error.errno in NO_ROOM:
            if error.filename is None:
                _silence(sys.stdout)  # what it holds back would fail again as Python ends
            return _told(cannot_write(_name(error.filename or "its output"), error))
        if error.filename is None:
            return _without_temporary_folder(error)
        return _told(f"{_name(error.filename)}: {error.strerror}")
    except ModuleNotFoundError as error:
        if not _is_a_package(error.name or ""):
            raise
        return _told(
            f"the Python package {error.name} is not here: activate the environment"
            " (source .venv/bin/activate), or make it with `bash install.sh`"
        )
    except KeyboardInterrupt:
        tell(stopped)
        return STOPPED
    except Exception as error:  # pydoc's, around what failed as a class of the YAML was imported
        return _without_temporary_folder(error)


def _without_temporary_folder(error: Exception) -> int:
    """One sentence for a system without a writable /tmp (`docker run --read-only`), on which torch
    cannot be imported; every other error is no mistake of the user's, and is to be seen whole."""
    if "No usable temporary directory" not in str(error):
        raise error
    return _told(
        "no folder for temporary files can be written: name one as TMPDIR=/some/folder, or give"
        " the container one with --tmpfs /tmp"
    )


def _is_a_package(module: str) -> bool:
    """Whether it is neither Python's own nor ours, but of the packages that install.sh brings."""
    top = module.partition(".")[0]
    ours = Path(__file__).parents[1] / top
    return bool(top) and top not in sys.stdlib_module_names and not ours.exists()


def _name(filename: object) -> str:
    return os.fsdecode(filename) if isinstance(filename, bytes) else str(filename)


def _told(sentence: object) -> int:
    tell(f"error: {sentence}")
    return MISTAKE


def _silence(stream) -> None:
    """Let what is still to be printed go nowhere: Python would fail at it when it ends."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    except (OSError, ValueError):  # no file of the system's, as in a test
        return

"""Strangers' words reach the screen without acting on it."""

import logging
import sys

import pytest

from dataio.command import run_command
from dataio.schema import UserError
from dataio.words import OneLine, printable, shown

FORGED = "a\x1b[2J\nerror: forged\r\u202egnp.exe\u2066\udce9\x9b31m\ufeff"
PLAIN = "a\\x1b[2J\\nerror: forged\\r\\u202egnp.exe\\u2066\\xe9\\x9b31m\\ufeff"


def test_what_acts_on_a_terminal_is_shown_as_what_it_is():
    assert shown(FORGED) == printable(FORGED) == PLAIN
    assert shown("Łódź, 日本語, العربية, x\u0301") == "Łódź, 日本語, العربية, x\u0301"


def test_the_middle_of_a_long_text_is_cut():
    assert len(shown("x" * 10**7)) < 2000 and len(shown("\u202e" * 10**6)) < 2000
    assert " [...] " in shown("x" * 3000)


def test_an_error_is_one_line_whatever_it_quotes(capsys):
    def command():
        raise UserError(f"unknown ID {FORGED}: give another")

    assert run_command(command) == 2
    assert capsys.readouterr().err == f"error: unknown ID {PLAIN}: give another\n"


def test_what_a_command_prints_keeps_its_lines_and_nothing_else_that_acts(capsys):
    assert run_command(lambda: print("one\ttwo\nthree \x1b[31m\u202e\udce9") or 0) == 0
    assert capsys.readouterr().out == "one\ttwo\nthree \\x1b[31m\\u202e\\xe9\n"


def test_a_log_line_is_one_line():
    record = logging.LogRecord("x", logging.INFO, "", 0, "file %s", (FORGED,), None)
    assert OneLine("%(message)s").format(record) == f"file {PLAIN}"


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_screen_without_a_letter_shows_its_number(encoding, monkeypatch, tmp_path):
    with open(tmp_path / "out", "w", encoding=encoding) as screen:
        monkeypatch.setattr(sys, "stdout", screen)
        assert run_command(lambda: print("Łó") or 0) == 0
    assert (tmp_path / "out").read_bytes().startswith(b"\\u0141")

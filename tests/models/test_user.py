"""A user the system has no name for, as containers run commands (`docker run --user 12345`).

CI also runs the tests as one: see .ci/bare.
"""

import getpass
import os
import pwd

import models


def test_a_user_without_a_name_gets_one(monkeypatch):
    def nobody(uid):
        raise KeyError(f"getpwuid(): uid not found: {uid}")

    monkeypatch.setattr(pwd, "getpwuid", nobody)
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.setenv(name, "")
    models.name_the_user()
    assert getpass.getuser() == f"uid{os.getuid()}"


def test_a_user_with_a_name_keeps_it(monkeypatch):
    monkeypatch.setenv("LOGNAME", "ada")
    models.name_the_user()
    assert getpass.getuser() == "ada"

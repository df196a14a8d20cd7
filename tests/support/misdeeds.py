"""What a hostile file might make a reader do, each for the watch to see."""

from __future__ import annotations

import os
import socket
import subprocess
from pathlib import Path


class UserError(Exception):
    """A refusal that says its words as they are, as the house's own does not."""


def write(path: str) -> None:
    Path(path).write_text("planted")


def write_unseen(name: str) -> None:
    """A file that no audit event tells of, as one that C++ code writes."""
    folder = os.open(".", os.O_RDONLY)
    import ctypes

    ctypes.CDLL(None).mkdirat(folder, name.encode(), 0o700)


def remove(path: str) -> None:
    os.remove(path)


def connect(port: int) -> None:
    with socket.socket() as sock:
        sock.connect_ex(("127.0.0.1", port))


def start(program: str) -> None:
    subprocess.run([program], check=False)


def execute(text: str) -> None:
    exec(text)


def unpickle(data: str) -> None:
    import pickle

    pickle.loads(data.encode("latin-1"))


def compute_for_ever() -> None:
    while True:
        pass


def hoard(count: int) -> int:
    return len(bytearray(count))


def raise_type_error() -> None:
    raise TypeError("not a mistake of the user's")


def refuse(words: str) -> None:
    raise UserError(words)


def read(path: str) -> str:
    return Path(path).read_text()


def do(deed: str, *arguments: object) -> object:
    return globals()[deed](*arguments)

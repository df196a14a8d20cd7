"""One writer at a time: a lock beside a file, or in a folder, for as long as a run writes there.

Shared file systems are not trusted with more than making a file that must not be there yet: no
flock. A lock names its writer. On the same machine a dead one is known by its process number and
start time. Of another machine only the sign of life is seen that a writer gives every `BEAT`
seconds: without one for `SILENCE` seconds it is taken for dead. Should it wake up after all
(a suspended machine), it finds its lock another's and ends itself.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from dataio.schema import UserError
from dataio.whole_files import (
    CannotWrite,
    cannot_write,
    is_device,
    make_folder,
    new_file,
    whole_file,
)

LOCK = "writer.lock"  # in a folder; beside a file it is <name>.lock
BEAT = 10.0  # s
SILENCE = 90.0  # s; over the minute for which NFS may show an old time
LONG_AGO = 3600.0  # s; so old a sign of life needs no watching, whatever the clocks say
SETTLE = 0.2  # s between taking a dead one's lock and being sure that nobody else did


@contextlib.contextmanager
def sole_writer(path: str | os.PathLike) -> Iterator[None]:
    """Hold the lock of a file to be written, or of a folder that is there.

    UserError, naming host and process, while another writer holds it.
    """
    path = Path(path)
    if is_device(path):
        yield
        return
    make_folder(path.parent, for_file=path)
    lock = lock_of(path)
    token = _acquire(lock, path)
    ended = threading.Event()
    beating = threading.Thread(target=_beat, args=(lock, token, ended), daemon=True)
    beating.start()
    try:
        yield
    finally:
        ended.set()
        beating.join()
        if _read(lock).get("token") == token:
            lock.unlink(missing_ok=True)


def lock_of(path: Path) -> Path:
    """The lock of a folder that is there, or of a file."""
    return path / LOCK if path.is_dir() else path.with_name(path.name + ".lock")


def refuse_second_writer(path: str | os.PathLike) -> None:
    """UserError while another writer holds the lock of `path`; the lock is left alone."""
    path = Path(path)
    owner = _read(lock := lock_of(path))
    if lock.exists() and _is_alive(owner, lock):
        raise UserError(_refusal(owner, lock, path))


def _acquire(lock: Path, path: Path) -> str:
    """Make the lock, or take that of a dead writer; its token."""
    mine = _this_process()
    while True:
        try:
            with new_file(lock) as stream:
                json.dump(mine, stream)
            return mine["token"]
        except CannotWrite as error:
            if not isinstance(error.__cause__, FileExistsError):
                with contextlib.suppress(OSError):  # ours, made and not filled: the disk is full
                    lock.unlink()
                raise cannot_write(path, error.__cause__) from error
        owner = _read(lock)
        if _is_alive(owner, lock):
            raise UserError(_refusal(owner, lock, path))
        if _take(lock, owner, mine):
            print(f"{path}: taken over from {_name(owner)}, which is gone", file=sys.stderr)
            return mine["token"]


def _this_process() -> dict:
    return {
        "host": socket.gethostname(),
        "machine": _machine(),
        "pid": os.getpid(),
        "started": _started(os.getpid()),
        "command": " ".join(sys.argv)[:500],
        "token": secrets.token_hex(8),
    }


def _machine() -> str:
    """Tells where process numbers mean the same: this boot, and this container of it."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:  # no Linux
        return socket.gethostname()


def _started(pid: int) -> str | None:
    """When a process began, in the system's words; None where it is gone, or dead and unburied."""
    try:
        state, *fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return None if state in "ZX" else fields[18]
    except OSError:
        if Path("/proc/self/stat").exists():
            return None
    command = ["ps", "-o", "lstart=", "-p", str(pid)]
    return subprocess.run(command, capture_output=True, text=True).stdout.strip() or None


def _is_alive(owner: dict, lock: Path) -> bool:
    if owner.get("machine") != _machine():
        return _gives_signs_of_life(owner, lock)
    try:
        os.kill(owner["pid"], 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's, whose start may be hidden
        return True
    return _started(owner["pid"]) == owner["started"]


def _gives_signs_of_life(owner: dict, lock: Path) -> bool:
    """Watch the lock of a writer elsewhere, or one without a name yet, for `SILENCE` at most."""
    before = _last_sign(lock)
    if before is None or time.time() - before > LONG_AGO:
        return False
    print(f"waiting up to {SILENCE:.0f} s for a sign of life of {_name(owner)}", file=sys.stderr)
    end = time.monotonic() + SILENCE
    while time.monotonic() < end:
        time.sleep(min(BEAT, SILENCE) / 5)
        if _read(lock).get("token") != owner.get("token"):
            return False  # gone or another's: `_take` sees which
        if _last_sign(lock) != before:
            return True
    return False


def _last_sign(lock: Path) -> float | None:
    """When the lock was last touched; by opening it, so that NFS asks its server."""
    try:
        with open(lock, "rb") as stream:
            return os.fstat(stream.fileno()).st_mtime
    except OSError:
        return None


def _take(lock: Path, owner: dict, mine: dict) -> bool:
    """Put `mine` in the place of a dead `owner`; False where somebody else was first."""
    if _read(lock) != owner or not lock.exists():
        return False
    with whole_file(lock) as stream:
        json.dump(mine, stream)
    time.sleep(SETTLE)
    return _read(lock).get("token") == mine["token"]


def _beat(lock: Path, token: str, ended: threading.Event) -> None:
    while not ended.wait(BEAT):
        owner = _read(lock)
        if owner.get("token", token) != token:
            print(
                f"error: while this process stood still, {_name(owner)} took {lock}: it ends",
                file=sys.stderr,
                flush=True,
            )
            os._exit(2)  # at once: whatever it wrote now would be mixed with the other's
        with contextlib.suppress(OSError):  # a network's disk may be away for a while
            os.utime(lock)


def _read(lock: Path) -> dict:
    """What a lock says; nothing of one that is gone or just being written."""
    try:
        content = json.loads(lock.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _name(owner: dict) -> str:
    return f"process {owner.get('pid', '?')} on {owner.get('host', 'an unknown host')}"


def _refusal(owner: dict, lock: Path, path: Path) -> str:
    age = time.time() - (_last_sign(lock) or time.time())
    return (
        f"{path} is being written by {_name(owner)} ({owner.get('command', '?')}; last sign of life"
        f" {max(age, 0):.0f} s ago): name another place for this run, or wait until that one ends"
        f" (should it be gone for certain, remove {lock})"
    )

"""Calls on hostile files in a child process whose writes, network and executions are watched.

    with Watched("support.readers:load", tmp_path) as load:
        outcome = load(path)
    assert outcome.fault() is None, outcome

A call that returns or refuses in one sentence has held; one that leaves a traceback, dies, takes
over 10 s of processor time or 2 GB, or does any deed beyond reading has not.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from dataio.words import shown

ROOT = Path(__file__).parents[2]
CHILD = Path(__file__).with_name("watched_child.py")
REFUSALS = ("UserError",)
SECONDS = 10.0  # of processor time that a file may take
BYTES = 2 << 30  # of memory
LONGEST = 2000  # characters of a refusal: a file's words are quoted, not repeated
PATIENCE = 12.0  # a busy machine gives a process a share of its time: wall over processor seconds


@dataclass(frozen=True)
class Outcome:
    """What came of a call: `kind` is "returned", "died" or the name of what was raised."""

    kind: str
    words: str = ""  # of the exception, or the text of a returned str or int
    length: int = 0  # of `words` before they were cut
    seconds: float = 0.0  # of processor time
    bytes: int = 0  # of memory above what the process had
    deeds: tuple[str, ...] = ()
    output: str = ""  # the end of what was printed

    @property
    def refused(self) -> bool:
        return self.kind in REFUSALS

    def fault(self) -> str | None:
        """What this outcome should not have been; None when the call has held."""
        if self.deeds:
            return f"did {'; '.join(self.deeds)}"
        if self.kind != "returned" and not self.refused:
            return f"{self.kind}: {self.words[:500]} {self.output[-500:]}"
        if "Traceback (most recent call last)" in self.output:
            return f"printed a traceback: {self.output[-500:]}"
        if self.refused and (self.length > LONGEST or shown(self.words, LONGEST) != self.words):
            return f"refused in {self.length} characters: {self.words[:500]!r}"
        if self.seconds > SECONDS or self.bytes > BYTES:
            return f"took {self.seconds:.1f} s and {self.bytes / 2**20:.0f} MB"
        return None


class Watched:
    """`function` ("module:name", importable from the root or tests/) as a watched call.

    `folder` becomes the child's working, home and temporary folder, in which files are made anew
    when a call writes; beyond `outputs` nothing may. The child is started at the first call and
    again after one that killed it.
    """

    def __init__(
        self,
        function: str,
        folder: Path,
        *,
        outputs: Iterable[Path] = (),
        seconds: float = SECONDS,
        memory: int = BYTES,
    ):
        self.function, self.folder = function, Path(folder) / "watched"
        self.outputs = [str(path) for path in outputs]
        self.seconds, self.memory = seconds, memory
        self.child: subprocess.Popen | None = None

    def __enter__(self) -> Watched:
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def close(self) -> None:
        if self.child is not None:
            self.child.kill()
            self.child.communicate()
            self.child = None

    def __call__(self, *arguments: object) -> Outcome:
        """The outcome of `function(*arguments)`; arguments are JSON values or paths."""
        if self.child is None or self.child.poll() is not None:
            self._start()
        before, hung = self._files(), False
        request = json.dumps(arguments, default=os.fspath) + "\n"
        try:
            self.child.stdin.write(request)
            self.child.stdin.flush()
            ready, _, _ = select.select([self.child.stdout], [], [], self.seconds * PATIENCE)
            hung = not ready
            answer = "" if hung else self.child.stdout.readline()
        except BrokenPipeError:
            answer = ""
        if not answer:
            self.close()
            return Outcome("died", "it hangs" if hung else "killed itself, or by a limit")
        found = json.loads(answer)
        new = sorted(self._files() - before)  # code that is not Python's passes the audit hook by
        found["deeds"] = (*found["deeds"], *(f"made {name}" for name in new))
        return Outcome(**found)

    def _files(self) -> set[str]:
        return {str(path) for path in self.folder.rglob("*")}

    def _start(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        environment = {
            **os.environ,
            **dict.fromkeys(("HOME", "TMPDIR", "XDG_CACHE_HOME"), str(self.folder)),
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")]),
            "PYTHONDONTWRITEBYTECODE": "1",
            "OMP_NUM_THREADS": "1",
            "MALLOC_ARENA_MAX": "2",  # each arena takes 64 MB of address space
        }
        command = [sys.executable, str(CHILD), self.function, str(self.seconds), str(self.memory)]
        self.child = subprocess.Popen(
            [*command, *self.outputs],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=self.folder,
            env=environment,
        )

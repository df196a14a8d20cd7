"""The child of `support.watched`: calls one function again and again, and notes what it does.

    python watched_child.py module:function SECONDS BYTES [FOLDER ...]

Requests come as JSON lists of arguments, a line each, on the standard input; answers go, a JSON
object a line, to what was the standard output. FOLDERs may be written to.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import sys
import sysconfig
import tempfile
import time
from pathlib import Path

# Audit events (docs.python.org/3/library/audit_events.html) by the argument that is told.
CHANGES = {
    "os.chmod": 0, "os.chown": 0, "os.link": 1, "os.mkdir": 0, "os.remove": 0, "os.rename": 1,
    "os.rmdir": 0, "os.setxattr": 0, "os.symlink": 1, "os.truncate": 0, "os.utime": 0,
}  # fmt: skip
EXECUTIONS = (
    "ctypes.", "os.exec", "os.fork", "os.posix_spawn", "os.spawn", "os.system", "pty.spawn",
    "subprocess.Popen", "webbrowser.open", "code.__new__", "marshal.loads", "pickle.find_class",
)  # fmt: skip
CODE = ("exec", "compile")
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
SHOWN = 4000  # characters of what a call says


class Watch:
    """An audit hook that keeps the deeds of a call: writes, network, code and processes."""

    def __init__(self, writable: list[str]):
        self.deeds: list[str] = []
        self.active = False
        self.writable = tuple(os.path.realpath(folder) + os.sep for folder in writable)
        self.trusted = tuple(
            os.path.realpath(folder) + os.sep
            for folder in {*sysconfig.get_paths().values(), *filter(None, sys.path)}
            if os.path.isdir(folder)
        )
        sys.addaudithook(self)

    def __call__(self, event: str, arguments: tuple) -> None:
        if self.active and len(self.deeds) < 20:
            self.active = False  # what telling does is no deed
            try:
                deed = self.deed(event, arguments)
            finally:
                self.active = True
            if deed:
                self.deeds.append(f"{event} {deed}"[:300])

    def deed(self, event: str, arguments: tuple) -> str | None:
        """What is to be told of an event, None where it is harmless."""
        if event == "open":
            path, mode, flags = arguments
            writes = (flags or 0) & WRITING or set(str(mode or "")) & set("wax+")
            return self.outside(path) if writes else None
        if event in CHANGES:
            return self.outside(arguments[CHANGES[event]])
        if event.startswith("socket."):
            return repr(arguments[1:])
        if event in CODE:
            return None if self.is_trusted(event, arguments) else repr(arguments)
        if event == "code.__new__" and self.is_compiled_module(arguments[1]):
            return None
        if event.startswith(EXECUTIONS):
            return None if importing() else repr(arguments)
        return None

    def outside(self, path: object) -> str | None:
        if isinstance(path, int):  # a descriptor: its opening was told
            return None
        real = os.path.realpath(os.fsdecode(path))
        inside = real == os.devnull or real.startswith(self.writable)
        return None if inside else real

    def is_trusted(self, event: str, arguments: tuple) -> bool:
        """Whether code comes from an installed module: its own file, or made while it is loaded."""
        code = arguments[0] if event == "exec" else arguments[1]
        name = code.co_filename if event == "exec" else os.fsdecode(code or "")
        installed = os.path.isabs(name) and os.path.realpath(name).startswith(self.trusted)
        return installed or importing() or self.is_compiled_module(name)

    def is_compiled_module(self, name: str) -> bool:
        """Whether it is a source of an installed Cython module, which makes code to raise from."""
        below = (os.path.join(folder, name) for folder in self.trusted)
        return not os.path.isabs(name) and any(map(os.path.exists, below))


def importing() -> bool:
    """Whether the interpreter is inside an `import` statement."""
    frame = sys._getframe(1)
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


def memory(field: str) -> int:
    """VmSize, VmRSS or VmHWM of this process in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
    raise KeyError(field)


def call(function, arguments: list, watch: Watch, seconds: float) -> dict:
    """What came of `function(*arguments)`, and the deeds, CPU seconds and bytes it took."""
    used = time.process_time()
    resource.setrlimit(resource.RLIMIT_CPU, (int(used + seconds) + 1, resource.RLIM_INFINITY))
    Path("/proc/self/clear_refs").write_text("5")  # the high-water mark begins anew
    before = memory("VmRSS")
    watch.deeds, watch.active = [], True
    try:
        result = function(*arguments)
        kind, words = "returned", repr(result) if isinstance(result, (int, str)) else ""
    except SystemExit as error:
        kind, words = "returned", repr(error.code)
    except BaseException as error:  # the sort of failure is what is being found out
        kind, words = type(error).__name__, str(error)
    watch.active = False
    return {
        "kind": kind,
        "words": words[:SHOWN],
        "length": len(words),
        "seconds": time.process_time() - used,
        "bytes": memory("VmHWM") - before,
        "deeds": watch.deeds,
    }


def main() -> None:
    target, seconds, limit, *writable = sys.argv[1:]
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    said = tempfile.TemporaryFile()  # noqa: SIM115 - as long as the process
    for stream in (1, 2):
        os.dup2(said.fileno(), stream)
    module, _, name = target.partition(":")
    function = getattr(importlib.import_module(module), name)
    resource.setrlimit(resource.RLIMIT_AS, (memory("VmSize") + int(limit),) * 2)
    watch = Watch(writable)
    for line in sys.stdin:
        said.truncate(0)
        said.seek(0)
        answer = call(function, json.loads(line), watch, float(seconds))
        sys.stdout.flush()
        sys.stderr.flush()
        said.seek(0)
        output = said.read(1 << 20).decode("utf-8", "replace")
        print(json.dumps({**answer, "output": output[-SHOWN:]}), file=answers, flush=True)


if __name__ == "__main__":
    main()

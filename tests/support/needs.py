"""What a test may need beyond the core packages: `@pytest.mark.needs("chromium", "fairseq")`.

A test without what it needs is skipped with a reason before its fixtures start; in CI, which
installs what can be installed, it fails. `.ci/bare` hides it all, and CI then runs the tests again.
"""

from __future__ import annotations

import functools
import importlib.util
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

INSTALLABLE = {"speech", "chromium"}  # and packages; the rest is as the machine is


def speech() -> str:
    from protocols.making import asterisk_prompts, tts

    prompts = any(Path(asterisk_prompts.SOUNDS_FOLDER).glob("en_*/*.g722"))
    there = prompts and all(map(shutil.which, tts.ENGINES))
    return "" if there else f"real speech is not installed: {asterisk_prompts.APT_LINE}"


def find_chromium() -> str | None:
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "chrome"))), None)


def chromium() -> str:
    return "" if find_chromium() else "no Chromium on this machine"


def cuda() -> str:
    import torch

    return "" if torch.cuda.is_available() else "no CUDA device"


def workers() -> str:
    from dataio.processes import usable_workers

    return "" if usable_workers(4) else "/dev/shm takes no semaphores"


def root() -> str:
    return "" if hasattr(os, "geteuid") and os.geteuid() == 0 else "it has to be root"


def namespaces() -> str:
    """For a mount of the test's own: root, and leave to make namespaces."""
    if root() or not shutil.which("unshare"):
        return "it has to be root and have unshare"
    made = subprocess.run(["unshare", "--mount", "true"], capture_output=True)
    return "" if made.returncode == 0 else "no leave to make a mount namespace"


def proc() -> str:
    return "" if Path("/proc/self/task").is_dir() else "no /proc"


def git() -> str:
    return "" if shutil.which("git") else "git is not installed"


KINDS: dict[str, Callable[[], str]] = {
    kind.__name__: kind for kind in (speech, chromium, cuda, workers, root, namespaces, proc, git)
}


@functools.cache
def missing(need: str) -> str:
    """Why `need` is not met, or an empty text; a name that is no kind is an optional package."""
    if need in KINDS:
        return KINDS[need]()
    return "" if importlib.util.find_spec(need) else f"the package {need} is not installed"


def must_be_there(need: str) -> bool:
    return "CI" in os.environ and (need in INSTALLABLE or need not in KINDS)

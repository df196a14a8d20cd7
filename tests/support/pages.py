"""The manual as tests read it: pages, their sections and blocks, the commands to run."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
DOCS = ROOT / "docs"


class Block(NamedTuple):
    """A fenced block: its language, its text, and the `text` block right after it, if any."""

    language: str
    text: str
    shown: str | None


def page(name: str) -> str:
    """The text of `docs/<name>.md`."""
    return (DOCS / f"{name}.md").read_text(encoding="utf-8")


def section(text: str, heading: str) -> str:
    """What stands under `heading` ("## Slices"), up to the next heading of its rank or above."""
    rank = heading.index(" ")
    _, found, body = f"\n{text}".partition(f"\n{heading}\n")
    assert found, f"no heading {heading!r}"
    return re.split(rf"^#{{1,{rank}}} ", body, maxsplit=1, flags=re.MULTILINE)[0]


def blocks(text: str, language: str = "") -> list[Block]:
    """The fenced blocks of `language`, or all of them."""
    found = re.findall(
        r"^```(\w*)\n(.*?)^```$(?=(?:\n```text\n(.*?)^```$)?)", text, re.DOTALL | re.MULTILINE
    )
    made = [Block(name, body, shown or None) for name, body, shown in found]
    return [block for block in made if language in ("", block.language)]


def lines(text: str, start: str = "") -> list[str]:
    """The command lines of the `bash` blocks that begin with `start`: continued lines joined."""
    joined = "".join(block.text for block in blocks(text, "bash")).replace("\\\n", " ")
    return [line for line in joined.splitlines() if line.startswith(start) and line.strip()]


def commands(text: str, start: str) -> list[list[str]]:
    """The words after `start` of each such line, comments cut off."""
    return [shlex.split(line.removeprefix(start), comments=True) for line in lines(text, start)]

"""The rows of a merge while they are sorted out: text in a scratch file, numbers in memory.

In memory a row is 48 bytes.
"""

from __future__ import annotations

import csv
import io
import mmap
from array import array
from dataclasses import dataclass, field

from dataio.rows import ID, PATH, PROPORTION, check_words, duration_of, plain_path, read_rows
from dataio.words import shown
from protocols.tally import Kinds


@dataclass
class Rows:
    """The rows meant for one output: where each lies in the scratch file, and its numbers."""

    offsets: array = field(default_factory=lambda: array("q"))
    ids: array = field(default_factory=lambda: array("q"))  # hashes
    paths: array = field(default_factory=lambda: array("q"))  # hashes
    seconds: array = field(default_factory=lambda: array("f"))
    kinds: array = field(default_factory=lambda: array("i"))  # which `Kinds` entry


def read_file(
    path, is_test: bool, scratch: io.BufferedWriter, rows: dict, kinds: Kinds, columns: tuple
) -> dict:
    """Append the rows of one protocol to the scratch file; returns how many were taken."""
    from tqdm import tqdm

    taken = no_audio = 0
    position = scratch.tell()
    for number, cells, line in tqdm(
        read_rows(path, columns), shown(path), unit=" rows", disable=None
    ):
        where = f"{path}, line {number}"
        check_words(cells, where)
        seconds = duration_of(cells, where)
        if not seconds > 0 or cells[PATH] in ("", "-"):
            no_audio += 1
            continue
        is_valid = cells[PROPORTION] == "valid"
        target = rows["test" if is_test else "valid" if is_valid else "train"]
        encoded = (line or _line_of(cells)).encode("utf-8", "surrogateescape")
        scratch.write(encoded)
        target.offsets.append(position)
        target.ids.append(hash(cells[ID]))
        target.paths.append(hash(plain_path(cells[PATH])))
        target.seconds.append(seconds)
        target.kinds.append(kinds.number(cells))
        position += len(encoded)
        taken += 1
    return {"path": str(path), "rows": taken, "without_audio": no_audio}


def _line_of(cells: list[str]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue()


def line_at(text: mmap.mmap, offset: int) -> bytes:
    """The row that begins at `offset`, with its line end; a quoted cell may hold line ends too."""
    end = text.find(b"\n", offset) + 1
    while text[offset:end].count(b'"') % 2:
        end = text.find(b"\n", end) + 1
    return text[offset:end]

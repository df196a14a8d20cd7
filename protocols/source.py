"""What a database's generator reads from: folders, list files and word tables, with their faults.

Everything is text: no column's type is guessed, so `00012`, `None` and a blank survive.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from types import SimpleNamespace

from dataio.rows import csv_rows
from dataio.schema import UserError
from protocols.walk import PathTemplate, sort_texts, walk

UNKNOWN_WORD = "\0"  # what `word` gives for an unknown word under --skip_unknown; no file has it
IN_CAPITALS = "extension in capitals"  # the release looks for lower case alone
NAMES_SHOWN = 3  # of the files that were passed over, for each reason


class Source:
    """The data folder and the options of one `build`, as a generator of items sees them.

    `metadata` is a list file, or a folder of list files, that replaces the published place;
    `file_list` names the audio files instead of walking for them. With `skip_unknown` a word,
    folder or line that is not known is counted in `unknown` and its row left out; without, it is
    a `UserError`. Where the database declares several `lists`, a `metadata` file is the one that
    has its name.
    """

    def __init__(
        self,
        data_folder: str | os.PathLike,
        *,
        metadata: str | os.PathLike | None = None,
        file_list: str | os.PathLike | None = None,
        variant: str = "",
        skip_unknown: bool = False,
        lists: tuple[str, ...] = (),
    ):
        self.data_folder = os.path.abspath(data_folder)
        self._top = self.data_folder.rstrip("/") + "/"  # what is cut off a path
        self.metadata = os.fspath(metadata) if metadata else None
        self.file_list = os.fspath(file_list) if file_list else None
        self.variant = variant
        self.skip_unknown = skip_unknown
        self.unknown: Counter[str] = Counter()  # what was not known -> how often
        self.passed_over: Counter[str] = Counter()  # left out on purpose, and said
        self.passed_over_first: dict[str, list[str]] = {}  # the first few of each
        self.lists_not_found: list[str] = []
        self.unused = {name for name in ("metadata", "file_list") if getattr(self, name)}
        if not os.path.isdir(self.data_folder):
            raise UserError(f"no folder {data_folder}: --data_folder is what $ROOT stands for")
        self._lists = lists
        self._metadata_is: tuple[str, ...] = ()  # the places that a metadata file stood for
        self._check_metadata()

    # ------------------------------------------------------------------ audio files

    def files(self, top: str, *templates: str, any_case: bool = False) -> Iterator[tuple]:
        """`(path below the data folder, fields)` of the audio files below `top`, sorted by path.

        A template is a layout below `top`, such as `{subset}/wav/{speaker}/{stem}.wav`; the first
        that fits gives the fields. Only files with a template's extension are looked at (in
        lower case, as published, unless `any_case`); one that fits no template is unknown.
        """
        shapes = [PathTemplate(template) for template in templates]
        suffixes = tuple({shape.suffix for shape in shapes})
        start = len(top) + 1 if top else 0
        paths = self._listed if self.file_list else self._walked
        for path in paths(top, suffixes, any_case):
            fields = _first_match(shapes, path[start:], any_case)
            if fields is not None:
                yield path, fields
            else:
                shown = " or ".join(f"{top}/{template}" for template in templates)
                self._not_known(f"unknown folder or file name: {path}: expected {shown}", path)

    def _walked(self, top: str, suffixes: tuple[str, ...], any_case: bool) -> Iterator[str]:
        folder = self._top + top
        if not os.path.isdir(folder):
            raise UserError(f"no folder {folder}: --data_folder should be the one that has {top}")
        start = len(self._top)

        def in_capitals(path: str) -> None:
            self.pass_over(IN_CAPITALS, path[start:])

        for path in walk(folder, suffixes, any_case=any_case, passed_over=in_capitals):
            yield path[start:]

    def _listed(self, top: str, suffixes: tuple[str, ...], any_case: bool) -> Iterator[str]:
        """The paths of the list file that lie below `top`, sorted as the walk would give them.

        What the walk would not give is passed over and counted.
        """
        self.unused.discard("file_list")

        def below() -> Iterator[str]:
            for number, text in enumerate(_texts(self.file_list), 1):
                if not text.strip():
                    continue
                path = self.relative(text, f"{self.file_list}, line {number}")
                if why := _why_not_walked(path, top, suffixes, any_case):
                    self.pass_over(why, path)
                else:
                    yield path

        previous = None
        for path in sort_texts(below()):
            if path != previous:
                yield path
            previous = path

    def relative(self, text: str, where: str) -> str:
        """A listed path, absolute or not, as the path below the data folder."""
        below = path_below(os.path.join(self.data_folder, text), self.data_folder)
        if not below:
            raise UserError(f"{text!r} in {where} is not below the data folder {self.data_folder}")
        return below

    def stays_below(self, path: str, where: str) -> bool:
        """Whether a path made from a list's cell is the plain path of a file; else it is unknown.

        An empty cell would name a folder, an absolute one or `..` a file of another database.
        """
        if path == os.path.normpath(path) and not path.startswith(("/", "../")) and path != "..":
            return True
        self._not_known(
            f"{path!r} in {where} is no plain path: a file name may be neither empty nor "
            "absolute, nor hold '//', '.' or '..' as a folder",
            "file names that are no plain path",
        )
        return False

    def folder(self, *places: str) -> str:
        """The first of `places` that is a folder below the data folder; the first if none is."""
        for place in places:
            if os.path.isdir(os.path.join(self.data_folder, place)):
                return place
        return places[0]

    def first_file(self, *places: str) -> str:
        """The first of `places` that is a file below the data folder, `-` if none is."""
        there = (p for p in places if os.path.isfile(os.path.join(self.data_folder, p)))
        return next(there, "-")

    # ------------------------------------------------------------------ list files

    def lines(self, *places: str, fields: int | None) -> Iterator[tuple[str, list[str]]]:
        """`(where, fields)` of each line of a list file, split on any white space.

        `places` are where it may lie below the data folder (or, last, in the working directory);
        see `find_list`. Empty lines are passed over; another field count than `fields`, unless
        that is None, is unknown.
        """
        path = self.find_list(*places)
        for number, text in enumerate(_texts(path) if path else (), 1):
            where = f"{path}, line {number}"
            cells = text.split()
            if cells and len(cells) == (fields or len(cells)):
                yield where, cells
            elif cells:
                self._not_known(
                    f"{len(cells)} fields in {where}: expected {fields}", "lines of another length"
                )

    def list_of(self, where: str) -> str:
        """The list file that a line of `lines` is in, for `Item.segments`: below the data folder,
        or absolute.
        """
        path = os.path.abspath(where.rpartition(", line ")[0])
        return path_below(path, self.data_folder) or path

    def table(self, *places: str, columns: tuple[str, ...]) -> Iterator[tuple]:
        """`(where, row)` of each row of a comma list with a header; `row` maps column to text.

        Cells are trimmed. A header without one of `columns` is a `UserError`.
        """
        path = self.find_list(*places)
        if not path:
            return
        rows = csv_rows(_lines(path, newline=""), path)
        header = [name.strip() for name in next(rows, (1, []))[1]]
        missing = [name for name in columns if name not in header]
        if missing:
            raise UserError(f"no column {missing[0]!r} in the header of {path}: found {header}")
        for line, cells in rows:
            where = f"{path}, line {line}"
            if len(cells) == len(header):
                yield where, dict(zip(header, map(str.strip, cells), strict=True))
            elif cells:
                self._not_known(
                    f"{len(cells)} fields in {where}: expected {len(header)}",
                    "lines of another length",
                )

    def find_list(self, *places: str) -> str | None:
        """The list file: `--metadata`, or the first of `places` that exists.

        A place beginning with `./` is in the working directory, others below the data folder.
        None, and noted in `lists_not_found`, when there is none.
        """
        self.unused.discard("metadata")
        names = [os.path.basename(place) for place in places]
        if self.metadata and os.path.isdir(self.metadata):
            candidates = [os.path.join(self.metadata, name) for name in names]
        elif self.metadata and self._is_other_list(names):
            self.lists_not_found.append(f"{' or '.join(names)} (--metadata is {self.metadata})")
            return None
        elif self.metadata:
            candidates = [self.metadata]
        else:
            candidates = [
                place if place.startswith("./") else os.path.join(self.data_folder, place)
                for place in places
            ]
        for candidate in candidates:
            if os.path.isfile(candidate):
                return candidate
        self.lists_not_found.append(" or ".join(candidates))
        return None

    def _check_metadata(self) -> None:
        if not self.metadata or os.path.isdir(self.metadata):
            return
        if not os.path.isfile(self.metadata):
            raise UserError(f"no file {self.metadata}: --metadata is the list file of the database")
        if len(self._lists) > 1 and os.path.basename(self.metadata) not in self._lists:
            raise UserError(
                f"--metadata {self.metadata} has the name of no list of this database "
                f"({', '.join(self._lists)}): give the folder that holds them, or one by its name"
            )

    def _is_other_list(self, names: list[str]) -> bool:
        """Whether the metadata file is not the list of these names, but another of several."""
        if os.path.basename(self.metadata) in names:
            return False
        if len(self._lists) > 1:
            return True
        if self._metadata_is and self._metadata_is != tuple(names):
            raise UserError(
                f"--metadata {self.metadata} cannot be both {self._metadata_is[0]} and {names[0]}: "
                "give the folder that holds them"
            )
        self._metadata_is = tuple(names)
        return False

    # ------------------------------------------------------------------ words

    def word(self, table: Mapping[str, str], word: str, where: str) -> str:
        """`table[word]`; a word that is not in the table is unknown, and `where` in the error."""
        if word in table:
            return table[word]
        known = ", ".join(map(repr, list(table)[:12])) + (" ..." if len(table) > 12 else "")
        return self._not_known(f"unknown word {word!r} in {where}: expected {known}", word)

    def refuse(self, what: str, where: str) -> str:
        """Say that something else is unknown: `what`, in `where`."""
        return self._not_known(f"{what} in {where}", what)

    def pass_over(self, what: str, path: str) -> None:
        """Count a file that the database's layout leaves out on purpose."""
        self.passed_over[what] += 1
        first = self.passed_over_first.setdefault(what, [])
        if len(first) < NAMES_SHOWN:
            first.append(path)

    def _not_known(self, message: str, key: str) -> str:
        if not self.skip_unknown:
            raise UserError(f"{message} (--skip_unknown leaves such rows out and counts them)")
        if len(self.unknown) < 1000 or key in self.unknown:
            self.unknown[key] += 1
        else:
            self.unknown["others"] += 1
        return UNKNOWN_WORD


def path_below(path: str, folder: str) -> str | None:
    """A path as one below `folder`, "" for the folder itself, None if it lies elsewhere.

    Where either is a link, what both lead to is compared; links below the folder are let be.
    """
    path = os.path.normpath(path)
    top = _real(folder)
    parent, name = os.path.split(path)
    for place, above in ((path, folder), (path, top), (os.path.join(_real(parent), name), top)):
        if place == above:
            return ""
        if place.startswith(above.rstrip("/") + "/"):
            return place[len(above.rstrip("/")) :].lstrip("/")
    return "" if _real(path) == top else None


@lru_cache(maxsize=1 << 14)
def _real(folder: str) -> str:
    return os.path.realpath(folder)


def _first_match(shapes: list[PathTemplate], rest: str, any_case: bool) -> SimpleNamespace | None:
    if any_case:
        stem, suffix = os.path.splitext(rest)
        rest = stem + suffix.lower()
    for shape in shapes:
        fields = shape.match(rest)
        if fields is not None:
            return fields
    return None


def _why_not_walked(path: str, top: str, suffixes: tuple[str, ...], any_case: bool) -> str:
    """Why a listed path is none that the walk below `top` would give; nothing if it would."""
    if top and not path.startswith(top + "/"):
        return f"not below {top}"
    if any(part.startswith(".") for part in path[len(top) :].lstrip("/").split("/")):
        return "hidden, by a dot before the name"
    if path.endswith(suffixes):
        return ""
    if not path.lower().endswith(suffixes):
        return "another extension"
    return "" if any_case else IN_CAPITALS


def _texts(path: str) -> Iterator[str]:
    """The lines of a text file, without line ends."""
    for line in _lines(path):
        yield line.rstrip("\r\n")


def _lines(path: str, newline: str | None = None) -> Iterator[str]:
    """The lines of a text file; a byte-order mark is passed over, a NUL byte refused."""
    if not Path(path).is_file():
        raise UserError(f"no file {path}")
    with open(path, encoding="utf-8-sig", errors="surrogateescape", newline=newline) as file:
        for number, line in enumerate(file, 1):
            if "\0" in line:
                raise UserError(f"a NUL byte in {path}, line {number}: save the list as UTF-8 text")
            yield line

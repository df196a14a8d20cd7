"""Which stretches of a recording are spoof, from label files of six formats, told apart by content.

| format | a line, or the whole |
|---|---|
| RTTM | `SPEAKER utt 1 start seconds <NA> <NA> label <NA> <NA>` |
| LlamaPartialSpoof | `utt seconds label 0.00-1.20-bonafide 1.20-2.05-spoof` |
| HAD | `utt 0.00-1.20-T/1.20-2.05-F 0`, T genuine |
| Audacity | `start<TAB>end<TAB>label`, one recording, which has the file's name |
| SPADE | `[0, 0, 1]` or `{"utt": [0, 1]}`: 0.16 s each, 0 original and 1 edited |
| PartialSpoof | a pickled dictionary `*_0.16.npy` of '1' bona fide and '0' spoof, never unpickled |

What no label covers is bona fide: some files hold spoof alone.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from dataio.checked import WHOLE, Damaged, parse_json
from dataio.label_arrays import is_array_file, read_label_arrays
from dataio.matching import bare_name, file_stem
from dataio.schema import REAL, UserError, foreign_label
from dataio.text_cells import UNREADABLE, number_of, open_text

SPADE_SECONDS = 0.16
LONGEST = 1e7  # seconds, four months: beyond it a number is no place in a recording
ROUNDED = 0.011  # seconds by which neighbours may overlap: some labels have two decimals
PIECE = re.compile(r"(\d+\.?\d*|\.\d+)-(\d+\.?\d*|\.\d+)-([A-Za-z]+)")
GENUINE_OR_FAKE = {"T": "genuine", "F": "fake"}
SUFFIXES = (".rttm", ".txt", ".npy", ".json", ".lab")  # what a folder is searched for

Piece = tuple[str, float, float, bool]  # recording, start, end (seconds), whether spoof


@dataclass
class Labelled:
    """One recording: its `spoof` stretches (start, end) in order, the last labelled second, and
    its duration where the file states it.
    """

    spoof: list[tuple[float, float]] = field(default_factory=list)
    end: float = 0.0
    duration: float | None = None


@dataclass
class SegmentLabels:
    """The recordings of a label file by name; `single`: the file is about one, whatever is asked.

    `spoof_only`: no stretch of any is called bona fide.
    """

    path: str
    format: str
    files: dict[str, Labelled]
    single: bool = False
    spoof_only: bool = False

    def find(self, *names: str) -> Labelled | None:
        """The first recording that has one of the names: as it stands, or as file or bare ID."""
        if self.single:
            return next(iter(self.files.values()))
        ways = (str, file_stem, bare_name)
        return next((self.files[w(n)] for w in ways for n in names if w(n) in self.files), None)


def read_segments(path: str | os.PathLike) -> SegmentLabels:
    """The labels of a file; `UserError` with the line for what none of the formats has."""
    if not os.path.isfile(path):
        raise UserError(f"there is no label file {path}")
    if is_array_file(path):
        return _read_arrays(path)
    lines = _lines(path)
    number, text = next(lines, (0, ""))
    if not text:
        raise UserError(f"{path} is empty: a wholly bona fide recording is a line of its own")
    if text.lstrip()[0] in "[{":
        return _read_spade(path)
    for name, (looks_so, parse) in TEXT_FORMATS.items():
        if looks_so(text):
            single = name == "Audacity"
            return _read_text(path, name, parse, single=single)
    raise UserError(
        f"{path}, line {number}, is no label of any format known ({', '.join(TEXT_FORMATS)}, "
        f"SPADE, PartialSpoof): {text[:60]!r}"
    )


def read_all_segments(paths: Iterable[str | os.PathLike]) -> list[SegmentLabels]:
    """The labels of files, and of the label files of folders; `UserError` where there are none."""
    found = []
    for path in paths:
        names = [path]
        if os.path.isdir(path):
            names = [p for p in sorted(Path(path).iterdir()) if p.suffix.lower() in SUFFIXES]
            if not names:
                raise UserError(f"no label file ({', '.join(SUFFIXES)}) in the folder {path}")
        found += [read_segments(name) for name in names]
    _refuse_twice(found)
    return found


def _refuse_twice(found: Sequence[SegmentLabels]) -> None:
    known: dict[str, str] = {}
    for labels in found:
        for name in labels.files:
            if known.setdefault(name, labels.path) != labels.path:
                raise UserError(f"{known[name]} and {labels.path} both label {name!r}: keep one")


# --- text -------------------------------------------------------------------------------------


def _lines(path: str | os.PathLike) -> Iterator[tuple[int, str]]:
    """Numbers from 1 and the lines that hold something; `;;` begins a comment in RTTM."""
    number = 0
    try:
        with open_text(path) as stream:
            for number, line in enumerate(stream, start=1):
                if line.strip() and not line.startswith(";;"):
                    yield number, line.rstrip("\r\n")
    except UNREADABLE as error:
        raise UserError(f"{path}, after line {number}, is no UTF-8 text: {error}") from error


def _read_text(path, name: str, parse: Callable, *, single: bool) -> SegmentLabels:
    files: dict[str, Labelled] = {}
    pieces: dict[str, list[tuple[float, float, bool]]] = {}
    for number, text in _lines(path):
        where = f"{path}, line {number}"
        try:
            utterance, duration, found = parse(text, where)
        except ValueError as error:
            raise UserError(f"{where}, is no label of format {name} ({error})") from None
        utterance = file_stem(os.fspath(path)) if single else utterance
        if duration is not None and utterance in files:
            raise UserError(f"{where} labels {utterance!r} a second time: keep one line")
        files.setdefault(utterance, Labelled(duration=duration or None))
        pieces.setdefault(utterance, []).extend(found)
    for utterance, labelled in files.items():
        _fill(labelled, pieces[utterance], f"{path} about {utterance!r}")
    spoof_only = all(is_spoof for found in pieces.values() for *_, is_spoof in found)
    return SegmentLabels(os.fspath(path), name, files, single, spoof_only)


def _fill(labelled: Labelled, pieces: list[tuple[float, float, bool]], where: str) -> None:
    """The pieces in order, with neighbours joined; `UserError` where two say opposite things."""
    pieces.sort()
    for (_, end, one), (start, other_end, other) in zip(pieces, pieces[1:], strict=False):
        if one != other and min(end, other_end) - start > ROUNDED:
            raise UserError(
                f"{where}: the stretches until {end:g} s and from {start:g} s overlap, one bona "
                "fide and one spoof: correct the labels"
            )
    labelled.end = max((end for _, end, _ in pieces), default=0.0)
    for start, end, is_spoof in pieces:
        if not is_spoof or end <= start:
            continue
        if labelled.spoof and start <= labelled.spoof[-1][1]:
            start, end = labelled.spoof[-1][0], max(end, labelled.spoof[-1][1])
            labelled.spoof.pop()
        labelled.spoof.append((start, end))


def _seconds(text: str) -> float:
    seconds = number_of(text)
    if seconds is None or not 0 <= seconds < LONGEST:
        raise ValueError(f"{text[:40]!r} is no number of seconds")
    return seconds


def _stretch(start: str, end: str, word: str, where: str) -> tuple[float, float, bool]:
    """Start, end and whether spoof, of a label word as corpora have it."""
    first, last = _seconds(start), _seconds(end)
    if last < first:
        raise ValueError(f"a stretch from {start} to {end} ends before it begins")
    return first, last, foreign_label(word.lower(), where) != REAL


def _pieces(texts: Iterable[str], where: str, words: dict[str, str] | None = None) -> list:
    found = []
    for text in texts:
        match = PIECE.fullmatch(text)
        if match is None:
            raise ValueError(f"{text[:40]!r} is not start-end-label")
        start, end, word = match.groups()
        if words is not None and word not in words:
            raise ValueError(f"label {word!r}: expected {' or '.join(words)}")
        found.append(_stretch(start, end, words[word] if words else word, where))
    return found


def _rttm(text: str, where: str):
    cells = text.split()
    if len(cells) < 8:
        raise ValueError(f"{len(cells)} fields, expected 10")
    start, seconds = _seconds(cells[3]), _seconds(cells[4])
    return (
        cells[1],
        None,
        [(start, start + seconds, foreign_label(cells[7].lower(), where) != REAL)],
    )


def _llama(text: str, where: str):
    utterance, seconds, word, *texts = text.split()
    pieces = _pieces(texts, where)
    if foreign_label(word.lower(), where) == REAL and any(is_spoof for *_, is_spoof in pieces):
        raise ValueError(f"{utterance!r} is called {word} and has a spoof stretch")
    return utterance, _seconds(seconds), pieces


def _had(text: str, where: str):
    cells = text.split()
    if len(cells) != 3:
        raise ValueError(f"{len(cells)} fields, expected 3")
    pieces = _pieces(filter(None, cells[1].split("/")), where, GENUINE_OR_FAKE)
    return cells[0], max((end for _, end, _ in pieces), default=0.0), pieces


def _audacity(text: str, where: str):
    if text.startswith("\\"):
        return "", None, []  # the frequencies of the label above
    start, end, *words = text.split("\t")
    word = (" ".join(words).split() or [""])[0].rstrip(":,")
    return "", None, [_stretch(start, end, word, where)]


def _is_rttm(text: str) -> bool:
    cells = text.split()
    return len(cells) >= 8 and None not in map(number_of, cells[3:5])


def _is_llama(text: str) -> bool:
    cells = text.split()
    return (
        len(cells) > 3 and number_of(cells[1]) is not None and PIECE.fullmatch(cells[3]) is not None
    )


def _is_had(text: str) -> bool:
    cells = text.split()
    return len(cells) == 3 and PIECE.fullmatch(cells[1].split("/")[0]) is not None


def _is_audacity(text: str) -> bool:
    cells = text.split("\t")
    return len(cells) > 1 and None not in map(number_of, cells[:2])


# how a format's first line looks, and what a line says: (recording, its seconds or None, pieces)
TEXT_FORMATS: dict[str, tuple[Callable[[str], bool], Callable]] = {
    "Audacity": (_is_audacity, _audacity),
    "RTTM": (_is_rttm, _rttm),
    "LlamaPartialSpoof": (_is_llama, _llama),
    "HAD": (_is_had, _had),
}


# --- a label each so many seconds -------------------------------------------------------------


def _read_spade(path: str | os.PathLike) -> SegmentLabels:
    try:
        found = parse_json(Path(path).read_bytes(), ([WHOLE], {...: [WHOLE]}))
        single = isinstance(found, list)
        lists = {file_stem(os.fspath(path)): found} if single else found
        files = {
            name: _of_steps(np.array(labels, dtype=np.int64), 1, SPADE_SECONDS, name)
            for name, labels in lists.items()
        }
    except (Damaged, ValueError, OverflowError) as error:
        raise UserError(f"{path} is no label of format SPADE ({error})") from None
    if not files:
        raise UserError(f"{path} labels no recording")
    return SegmentLabels(os.fspath(path), "SPADE", files, single)


def _read_arrays(path: str | os.PathLike) -> SegmentLabels:
    """PartialSpoof's pickled dictionary, or one array of a list as SPADE's."""
    stem = file_stem(os.fspath(path))
    try:
        found = read_label_arrays(path)
        if isinstance(found, np.ndarray):
            files = {stem: _of_steps(found, 1, SPADE_SECONDS, stem)}
            return SegmentLabels(os.fspath(path), "SPADE", files, single=True)
        step = number_of(stem.rpartition("_")[2])
        if not step or not 0 < step <= 10:
            raise ValueError("its name has to end with the seconds a label, such as _0.16.npy")
        files = {name: _of_steps(labels, 0, step, name) for name, labels in found.items()}
    except (ValueError, OSError, EOFError) as error:
        raise UserError(f"{path} holds no segment labels ({error})") from None
    if not files:
        raise UserError(f"{path} labels no recording")
    return SegmentLabels(os.fspath(path), "PartialSpoof", files)


def _of_steps(labels: np.ndarray, spoof: int, step: float, name: str) -> Labelled:
    """Runs of one label (N,), each `step` seconds, of which `spoof` is spoof."""
    if not np.isin(labels, (0, 1)).all():
        raise ValueError(f"a label of {name[:60]!r} is neither 0 nor 1")
    edges = np.flatnonzero(np.diff((labels == spoof).astype(np.int8), prepend=0, append=0))
    runs = [tuple(run) for run in np.round(edges.reshape(-1, 2) * step, 6).tolist()]
    return Labelled(runs, len(labels) * step)

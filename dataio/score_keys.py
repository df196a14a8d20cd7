"""Labels of score files that hold none: key files of the challenges and of other toolkits.

The key of ASVspoof 2021 says of each trial to which phase it belongs; its evaluation package
computes over one phase, and so does this. In PA the trials of phase `hidden` are two sets, which
its package keeps apart: untrimmed ones are hidden1_PA, trimmed ones hidden2_PA.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from dataio.matching import matched_rows
from dataio.schema import FOREIGN_LABELS, UNKNOWN, UserError, foreign_label
from dataio.scores import Scores, named_lines
from dataio.text_cells import first_line, header_cells, lines_of_cells

PHASES = ("progress", "eval", "hidden", "hidden1_PA", "hidden2_PA")
DEFAULT_PHASE = "eval"
PA_LABEL = 9  # the place of the label in its key; in those of LA and DF it is 5
SHOWN = 3  # trials named in one refusal
NAME_COLUMNS = ("filename", "file_name", "utterance_id", "trial_anon")
LABEL_COLUMNS = ("cm-label", "cm_label", "label")


@dataclass
class Key:
    """K files of one or more key files: `names` (K,), `labels` (K,) int8 (1 real, 0 fake) and
    `phases` (K,) object array of str, empty where the key knows none. `phase` is the one asked
    for, `path` names the key files in sentences."""

    names: list[str]
    labels: np.ndarray
    phases: np.ndarray
    phase: str
    path: str
    asked: list[str] = field(default_factory=list)  # score files that were looked up
    scored: np.ndarray | None = None  # (K,) bool: which trials they hold

    def __post_init__(self) -> None:
        self.scored = np.zeros(len(self.names), dtype=bool)

    def note(self, path: str, rows: np.ndarray) -> None:
        """Remember that a score file holds these trials."""
        self.asked.append(path)
        self.scored[rows] = True


def read_keys(paths: Sequence[str | os.PathLike], phase: str | None = None) -> Key:
    """The union of some key files; `UserError` where they contradict each other.

    `phase` of an ASVspoof 2021 key: eval unless another is asked for.
    """
    found: dict[str, tuple[int, str]] = {}
    for path in paths:
        for name, (label, of_phase) in read_key(path).items():
            before = found.setdefault(name, (label, of_phase))
            if before[0] != label or (before[1] and of_phase and before[1] != of_phase):
                raise UserError(
                    f"{path} contradicts another --key about {name!r}: give keys of one release"
                )
            if of_phase:
                found[name] = (label, of_phase)
    labels = np.array([label for label, _ in found.values()], dtype=np.int8)
    phases = np.array([of_phase for _, of_phase in found.values()], dtype=object)
    key = Key(list(found), labels, phases, phase or DEFAULT_PHASE, ", ".join(map(str, paths)))
    there = sorted(set(phases) - {""})
    if there and key.phase not in there:
        raise UserError(
            f"{key.path} holds no trial of phase {key.phase}, only {', '.join(there)}: "
            "choose one with --phase"
        )
    if phase and not there:
        raise UserError(
            f"--phase {phase}: {key.path} names no phases, as only keys of ASVspoof 2021 do"
        )
    return key


def with_labels(scores: Scores, key: Key, notes: list[str], *, required: bool = True) -> Scores:
    """The scores with the key's labels, without the trials of other phases.

    Every file without a label of its own has to be in the key where labels are `required`, and
    none may be labelled otherwise there (`UserError` with line numbers). `notes` is told what was
    left out.
    """
    rows = matched_rows(scores.ids, key.names, paths=(scores.path, key.path), notes=notes)
    known = rows >= 0
    key.note(scores.path, rows[known])
    if required and not known.any() and (scores.labels == UNKNOWN).all():
        raise UserError(_none_held(scores.path, key, f"{scores.ids[0]!r} there"))
    phases = np.where(known, key.phases[rows], "")
    outside = (phases != "") & (phases != key.phase)
    chosen = phases == key.phase
    if chosen.any() and not set(key.phases) - {"", key.phase}:
        outside |= ~known  # a key of one phase says nothing of the rest of a submission
    missing = ~known & ~outside & (scores.labels == UNKNOWN)
    if required and missing.any():
        raise UserError(
            f"{key.path} has no label for {named_lines(scores.path, scores.ids[missing])} of "
            f"{scores.path}: give the key of this very set"
        )
    clash = known & (scores.labels != UNKNOWN) & (scores.labels != key.labels[rows])
    if clash.any():
        where = named_lines(scores.path, scores.ids[clash])
        raise UserError(f"{scores.path} and {key.path} disagree on the Label of {where}")
    if outside.all():
        raise UserError(
            f"{scores.path} holds no trial of phase {key.phase} ({_counted(phases)}): "
            "choose one with --phase"
        )
    if outside.any():
        notes.append(
            f"{int(outside.sum())} rows of {scores.path} are not of phase {key.phase} and are left "
            f"out ({_counted(phases[outside])}; --phase chooses)"
        )
    labels = np.where(known, key.labels[rows], scores.labels).astype(np.int8)
    return replace(scores, labels=labels).take(~outside)


def check_scored(key: Key | None, notes: list[str], *, allow_missing: bool) -> None:
    """`UserError` if the score files read hold no trial of the key, or not all of the phase's.

    With `allow_missing` trials without a score are counted in `notes` instead.
    """
    if key is None:
        return
    if not key.scored.any():
        raise UserError(_none_held(", ".join(key.asked), key))
    missing = np.flatnonzero(np.isin(key.phases, ["", key.phase]) & ~key.scored)
    if not len(missing):
        return
    of_phase = f" of phase {key.phase}" if (key.phases != "").any() else ""
    named = ", ".join(repr(key.names[i]) for i in missing[:SHOWN])
    fault = f"{len(missing)} trials{of_phase} in {key.path} have no score, such as {named}"
    if not allow_missing:
        raise UserError(f"{fault}: score them too, or accept it with --allow_missing")
    notes.append(fault)


def _none_held(paths: str, key: Key, ours: str = "") -> str:
    names = f"it names {key.names[0]!r}" + (f", {ours}" if ours else "")
    return f"{key.path} holds none of the files of {paths} ({names}): give the key of this very set"


def _counted(phases: Iterable[str]) -> str:
    """'hidden 3, not in the key 2'."""
    counts = Counter(phases)
    return ", ".join(f"{name or 'not in the key'} {counts[name]}" for name in sorted(counts)[::-1])


def read_key(path: str | os.PathLike) -> dict[str, tuple[int, str]]:
    """Label (1 real, 0 fake) and phase ("" if none) by file name, from a key of any format."""
    parquet = Path(path).suffix == ".parquet"
    unit = "row" if parquet else "line"
    found: dict[str, tuple[int, str]] = {}
    for line, name, word, phase in (_parquet_rows if parquet else _key_rows)(path):
        if name in found:
            raise UserError(f"{path}, {unit} {line}: {name!r} for the second time")
        found[name] = (foreign_label(word, f"{path}, {unit} {line}"), phase)
    if not found:
        raise UserError(f"{path} holds no key: expected lines with bonafide or spoof")
    return found


def _key_rows(path: str | os.PathLike) -> Iterator[tuple[int, str, str, str]]:
    """(line, file name, label word, phase) of a key with a header, or of an ASVspoof protocol."""
    first = first_line(path)
    comma = "," in first
    header = header_cells(first)
    named = next((header.index(name) for name in NAME_COLUMNS if name in header), None)
    labelled = next((header.index(name) for name in LABEL_COLUMNS if name in header), None)
    headed = named is not None and labelled is not None
    for line, cells in lines_of_cells(path, comma):
        if headed and line > 1:
            if len(cells) <= max(named, labelled):
                raise UserError(f"{path}, line {line}: {len(cells)} cells, too few for its header")
            yield line, cells[named], cells[labelled], ""
        elif not headed:
            place = _label_place(cells)
            if place is None:
                raise UserError(_no_label(path, line, cells))
            yield line, cells[1] if len(cells) > 2 else cells[0], cells[place], _phase(cells, place)


def _label_place(cells: list[str]) -> int | None:
    """Which cell of a line without a header is the label: the challenges' own words first.

    Two cells before a phase it is certain: real trials of 2021 have `bonafide` as attack, too.
    """
    for words in (("bonafide", "spoof"), FOREIGN_LABELS):
        places = [i for i, cell in enumerate(cells) if cell in words]
        if places:
            return next((i for i in places if "".join(cells[i + 2 : i + 3]) in PHASES), places[0])
    return None


def _no_label(path: str | os.PathLike, line: int, cells: list[str]) -> str:
    if line == 1:
        return (
            f"{path}, line 1: {' '.join(cells)[:60]!r} is neither a header known here (a name "
            f"column {', '.join(NAME_COLUMNS)} with a label column {', '.join(LABEL_COLUMNS)}) nor "
            "a row with bonafide or spoof"
        )
    return f"{path}, line {line}: no label among {' '.join(cells)[:60]!r}: expected bonafide, spoof"


def _phase(cells: list[str], label: int) -> str:
    """The phase two cells after the label, whichever track: `... spoof notrim eval ...`.

    That is the eighth column of LA and DF, the twelfth of PA.
    """
    trim, phase = (*cells[label + 1 : label + 3], "", "")[:2]
    if phase == "hidden" and label == PA_LABEL:
        return "hidden2_PA" if trim == "trim" else "hidden1_PA"
    return phase if phase in PHASES else ""


def _parquet_rows(path: str | os.PathLike) -> Iterator[tuple[int, str, object, str]]:
    """The same from a Parquet key of speech_spoof_bench, where 0 is bona fide; rows from 1."""
    import pyarrow as pa
    from pyarrow import parquet

    columns = ["utterance_id", "label"]
    try:
        there = parquet.read_schema(path).names
        missing = [name for name in columns if name not in there]
        table = None if missing else parquet.read_table(path, columns=columns)
    except (OSError, pa.ArrowInvalid) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{path} is not readable as Parquet ({reason}): give a key file") from error
    if table is None:
        raise UserError(
            f"{path} has no column {', '.join(missing)} (found: {', '.join(there)}): "
            "expected a Parquet key with utterance_id and label"
        )
    names, numbers = (table[name].to_pylist() for name in columns)
    words = {0: "bonafide", 1: "spoof"}
    for row, (name, number) in enumerate(zip(names, numbers, strict=True), start=1):
        if number not in words:
            raise UserError(
                f"{path}, row {row}: label {number}: expected 0 (bonafide) or 1 (spoof)"
            )
        yield row, name, words[number], ""

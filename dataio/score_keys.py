"""Labels of score files that hold none: key files of the challenges and of other toolkits.

The key of ASVspoof 2021 says of each trial to which phase it belongs; its evaluation package
computes over one phase, and so does this.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from dataio.matching import matched_rows
from dataio.schema import FAKE, REAL, UNKNOWN, UserError
from dataio.scores import Scores, named_lines
from dataio.text_cells import first_line, header_cells, lines_of_cells

WORDS = {"bonafide": REAL, "spoof": FAKE}
PHASES = ("progress", "eval", "hidden")
DEFAULT_PHASE = "eval"
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
    notes += _phase_notes(scores.path, key, phases, outside)
    if not known.any():
        notes.append(f"{key.path} holds none of the files of {scores.path}")
    labels = np.where(known, key.labels[rows], scores.labels).astype(np.int8)
    return replace(scores, labels=labels).take(~outside)


def _phase_notes(path: str, key: Key, phases: np.ndarray, outside: np.ndarray) -> Iterator[str]:
    if outside.any():
        yield (
            f"{int(outside.sum())} rows of {path} are not of phase {key.phase} and are left out "
            f"({_counted(phases[outside])}; --phase chooses)"
        )
    chosen = int((phases == key.phase).sum())
    unscored = int((key.phases == key.phase).sum()) - chosen
    if chosen and unscored:
        yield f"{unscored} trials of phase {key.phase} in {key.path} have no score in {path}"


def _counted(phases: Iterable[str]) -> str:
    """'hidden 3, not in the key 2'."""
    counts = Counter(phases)
    return ", ".join(f"{name or 'not in the key'} {counts[name]}" for name in sorted(counts)[::-1])


def read_key(path: str | os.PathLike) -> dict[str, tuple[int, str]]:
    """Label (1 real, 0 fake) and phase ("" if none) by file name, from a key of any format."""
    parquet = Path(path).suffix == ".parquet"
    unit, words = ("row", "0 (bonafide) or 1 (spoof)") if parquet else ("line", "bonafide or spoof")
    found: dict[str, tuple[int, str]] = {}
    for line, name, word, phase in (_parquet_rows if parquet else _key_rows)(path):
        if name in found:
            raise UserError(f"{path}, {unit} {line}: {name!r} for the second time")
        if word not in WORDS:
            raise UserError(f"{path}, {unit} {line}: label {word!r}: expected {words}")
        found[name] = (WORDS[word], phase)
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
    for line, cells in lines_of_cells(path, comma):
        if named is None or labelled is None:
            word = next((cell for cell in cells if cell in WORDS), cells[-1])
            yield line, cells[1] if len(cells) > 2 else cells[0], word, _phase(cells)
        elif line > 1 and len(cells) <= max(named, labelled):
            raise UserError(f"{path}, line {line}: {len(cells)} cells, too few for its header")
        elif line > 1:
            yield line, cells[named], cells[labelled], ""


def _phase(cells: list[str]) -> str:
    """The phase two cells after the label, whichever track: `... spoof notrim eval ...`.

    That is the eighth column of LA and DF, the twelfth of PA.
    """
    pairs = zip(cells, cells[2:], strict=False)
    return next((phase for word, phase in pairs if word in WORDS and phase in PHASES), "")


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
        yield row, name, words.get(number, number), ""

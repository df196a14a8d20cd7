"""Score files of other toolkits, read and written, so that systems can be compared.

| name | score file | key |
|---|---|---|
| asvspoof5 | tab-separated, header `filename cm-score` | the same with `filename cm-label` |
| asvspoof2021 | lines `trial score` | `trial_metadata.txt`: trial, bonafide or spoof, phase |
| asvspoof2019 | lines `trial attack label score` | none needed |
| speech_df_arena | lines `file_name score`, or a CSV so headed | CSV `file_name,label` |
| speech_spoof_bench | lines `utterance_id score` | Parquet `utterance_id,label`, 0 = bonafide |

In all of them a larger score means more likely bona fide. Only speech_spoof_bench counts
bona fide as 0. Formats are told apart by their content.
"""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from dataio.matching import bare_name, file_stem
from dataio.schema import FAKE, FOREIGN_LABELS, REAL, UNKNOWN, UNLABELLED, UserError, foreign_label
from dataio.score_keys import LABEL_COLUMNS, NAME_COLUMNS
from dataio.scores import Scores, read_meta, read_scores
from dataio.text_cells import first_line, header_cells, lines_of_cells, number_of
from dataio.whole_files import whole_file

NAMES = {REAL: "bonafide", FAKE: "spoof"}
ARENA, ASV2019 = "speech_df_arena", "asvspoof2019"
SCORE_COLUMNS = ("cm-score", "cm_score", "score")


def read_any(path: str | os.PathLike) -> Scores:
    """Scores in this toolkit's format or a foreign one, which becomes the logits [0, score].

    Foreign scores are unlabelled unless the file itself has labels. `UserError` names file and
    line.
    """
    first = first_line(path)
    if "," in first and "ID" in header_cells(first):
        return read_scores(path)
    return _read_foreign(path, _layout(path, first))


def write_asvspoof5(path: str | os.PathLike, names: list[str], scores: Scores) -> None:
    """`filename<TAB>cm-score`, as the ASVspoof 5 evaluation package reads it."""
    _write_lines(path, "\t", names, scores, header="filename\tcm-score\n")


def write_asvspoof2019(
    path: str | os.PathLike, names: list[str], scores: Scores, attacks: Sequence[str]
) -> None:
    """Lines `trial attack label score` as ASVspoof 2019's package reads them; `-` for no attack."""
    if (scores.labels == UNKNOWN).any():
        raise UserError(f"{scores.path}: rows without a label, which {ASV2019} lines hold")
    fields = [
        f"{name} {attack if label == FAKE else '-'} {NAMES[label]}"
        for name, attack, label in zip(names, attacks, scores.labels.tolist(), strict=True)
    ]
    _refuse_spaces(scores.path, [*names, *attacks])
    _write_fields(path, " ", fields, scores)


def write_pairs(path: str | os.PathLike, names: list[str], scores: Scores) -> None:
    """Lines `trial score`, as ASVspoof 2021's package and speech-spoof-bench read them."""
    _write_lines(path, " ", names, scores)


def write_speech_df_arena(path: str | os.PathLike, names: list[str], scores: Scores) -> None:
    """Lines `file_name score`, and beside them the protocol CSV `file_name,label` they go with."""
    _write_lines(path, " ", names, scores)
    with whole_file(Path(path).with_suffix(".csv")) as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["file_name", "label"])
        labelled = zip(names, scores.labels.tolist(), strict=True)
        writer.writerows([name, NAMES[label]] for name, label in labelled if label in NAMES)


WRITERS = {
    ASV2019: write_asvspoof2019,
    "asvspoof5": write_asvspoof5,
    "asvspoof2021": write_pairs,
    ARENA: write_speech_df_arena,
    "speech_spoof_bench": write_pairs,
}


def own_names(scores: Scores, kind: str) -> list[str]:
    """The trials' names in a format: those of a foreign file, or IDs without their subset.

    They must be unique and may not tell the label, as IDs of some databases do.
    """
    if scores.meta.get("format"):
        names = list(scores.ids) if kind == ARENA else [file_stem(key) for key in scores.ids]
    else:
        names = [bare_name(key) for key in scores.ids]
        for key, name in zip(scores.ids, names, strict=True):
            if FOREIGN_LABELS.keys() & name.lower().split("-"):
                raise UserError(
                    f"{scores.path}: the ID {key!r} tells the label, which no trial's name may: "
                    "name the protocol with --protocol, the names are then its Path's"
                )
    return unique_names(scores.path, names)


def unique_names(path: str, names: list[str]) -> list[str]:
    """The names, if no two files share one."""
    if len(set(names)) < len(names):
        raise UserError(
            f"{path}: without subset and folders names repeat: export one subset by its PREFIX"
        )
    return names


def _write_lines(path, delimiter: str, names: list[str], scores: Scores, header: str = "") -> None:
    _refuse_spaces(scores.path, names)
    _write_fields(path, delimiter, names, scores, header)


def _refuse_spaces(path: str, names: Iterable[str]) -> None:
    spaced = next((name for name in names if len(name.split()) != 1), None)
    if spaced is not None:
        raise UserError(f"{path}: {spaced!r} has a space, which this format cannot hold")


def _write_fields(path, delimiter: str, fields: list[str], scores: Scores, header="") -> None:
    with whole_file(path) as stream:
        stream.write(header)
        for text, score in zip(fields, scores.difference.tolist(), strict=True):
            stream.write(f"{text}{delimiter}{score!r}\n")


class _Layout(NamedTuple):
    """Where a foreign file holds what: cells a line, the name's, score's and label's place (None:
    no label), lines before the first row, and whether commas part the cells."""

    kind: str
    width: int
    named: int
    scored: int
    labelled: int | None
    skip: int
    comma: bool


def _layout(path: str | os.PathLike, first: str) -> _Layout:
    header, comma = header_cells(first), "," in first
    named, scored, labelled = (
        next((header.index(name) for name in names if name in header), None)
        for names in (NAME_COLUMNS, SCORE_COLUMNS, LABEL_COLUMNS)
    )
    if named is not None and scored is not None:
        kind = "asvspoof5" if header[scored] == "cm-score" else "speech_df_arena"
        return _Layout(kind, len(header), named, scored, labelled, 1, comma)
    is_row = bool(header) and number_of(header[-1]) is not None  # else a header not known here
    if is_row and not comma and len(header) == 2:
        return _Layout("asvspoof2021", 2, 0, 1, None, 0, comma)
    if is_row and not comma and len(header) == 4:
        return _Layout("asvspoof2019", 4, 0, 3, 2, 0, comma)
    raise UserError(
        f"{path}, line 1: {first[:60]!r} begins no score file known here: expected "
        "'ID,Score,Label', 'filename<TAB>cm-score', 'file_name,score', 'name score' or "
        "'name attack label score'"
    )


def _read_foreign(path: str | os.PathLike, layout: _Layout) -> Scores:
    ids, values, labels, seen = [], [], [], {}
    for line, cells in lines_of_cells(path, layout.comma):
        if line <= layout.skip:
            continue
        name, value = _parsed(path, line, cells, layout)
        if name in seen:
            raise UserError(f"{path}, line {line}: {name!r} again, first in line {seen[name]}")
        seen[name] = line
        ids.append(name)
        values.append(value)
        labels.append(_inline_label(path, line, cells, layout))
    if not ids:
        raise UserError(f"{path} holds no scores")
    logits = np.column_stack([np.zeros(len(values)), values])
    meta = {**read_meta(path), "format": layout.kind}
    return Scores(np.array(ids, dtype=object), logits, np.array(labels, np.int8), str(path), meta)


def _parsed(path, line: int, cells: list[str], layout: _Layout) -> tuple[str, float]:
    if len(cells) != layout.width:
        raise UserError(
            f"{path}, line {line}: {len(cells)} cells, but {layout.width} in the first line"
        )
    text = cells[layout.scored]
    value = number_of(text)
    if value is None:
        raise UserError(f"{path}, line {line}: {text!r} is not a number")
    if not math.isfinite(value):
        raise UserError(f"{path}, line {line}: the score is {text}: rescore this file")
    return cells[layout.named], value


def _inline_label(path, line: int, cells: list[str], layout: _Layout) -> int:
    if layout.labelled is None:
        return UNKNOWN
    word = cells[layout.labelled]
    if word in UNLABELLED:
        return UNKNOWN
    return foreign_label(word, f"{path}, line {line}")

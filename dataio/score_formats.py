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
from pathlib import Path
from typing import NamedTuple

import numpy as np

from dataio.matching import bare_name
from dataio.schema import UNKNOWN, UNLABELLED, UserError
from dataio.score_keys import LABEL_COLUMNS, NAME_COLUMNS, WORDS
from dataio.scores import Scores, read_meta, read_scores
from dataio.text_cells import first_line, header_cells, lines_of_cells
from dataio.whole_files import whole_file

NAMES = {label: word for word, label in WORDS.items()}
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


def write_speech_df_arena(path: str | os.PathLike, names: list[str], scores: Scores) -> None:
    """Lines `file_name score`, and beside them the protocol CSV `file_name,label` they go with."""
    _write_lines(path, " ", names, scores)
    with whole_file(Path(path).with_suffix(".csv")) as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["file_name", "label"])
        labelled = zip(names, scores.labels.tolist(), strict=True)
        writer.writerows([name, NAMES[label]] for name, label in labelled if label in NAMES)


def write_speech_spoof_bench(path: str | os.PathLike, names: list[str], scores: Scores) -> None:
    """Lines `utterance_id score`."""
    _write_lines(path, " ", names, scores)


WRITERS = {
    "asvspoof5": write_asvspoof5,
    "speech_df_arena": write_speech_df_arena,
    "speech_spoof_bench": write_speech_spoof_bench,
}


def own_names(scores: Scores) -> list[str]:
    """The corpora's own file names: IDs without their subset prefix, which must stay unique."""
    names = [bare_name(key) for key in scores.ids]
    if len(set(names)) < len(names):
        raise UserError(
            f"{scores.path}: without the subset prefix IDs repeat: export one subset by its PREFIX"
        )
    return names


def _write_lines(path, delimiter: str, names: list[str], scores: Scores, header: str = "") -> None:
    spaced = next((name for name in names if len(name.split()) != 1), None)
    if spaced is not None:
        raise UserError(f"{scores.path}: {spaced!r} has a space, which this format cannot hold")
    with whole_file(path) as stream:
        stream.write(header)
        for name, score in zip(names, scores.difference.tolist(), strict=True):
            stream.write(f"{name}{delimiter}{score!r}\n")


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
    if not comma and len(header) == 2:
        return _Layout("asvspoof2021", 2, 0, 1, None, 0, comma)
    if not comma and len(header) == 4:
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
    try:
        value = float(text)
    except ValueError as error:
        raise UserError(f"{path}, line {line}: {text!r} is not a number") from error
    if not math.isfinite(value):
        raise UserError(f"{path}, line {line}: the score is {text}: rescore this file")
    return cells[layout.named], value


def _inline_label(path, line: int, cells: list[str], layout: _Layout) -> int:
    if layout.labelled is None:
        return UNKNOWN
    word = cells[layout.labelled]
    if word in UNLABELLED:
        return UNKNOWN
    if word not in WORDS:
        raise UserError(f"{path}, line {line}: label {word!r}: expected bonafide or spoof")
    return WORDS[word]

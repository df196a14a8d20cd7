"""Score files of other toolkits, read and written, so that systems can be compared.

| name | score file | key |
|---|---|---|
| asvspoof5 | tab-separated, header `filename cm-score` | the same with `filename cm-label` |
| asvspoof2021 | lines `trial score` | `trial_metadata.txt`: trial second, bonafide or spoof |
| asvspoof2019 | lines `trial attack label score` | none needed |
| speech_df_arena | lines `file_name score` | CSV `file_name,label` |
| speech_spoof_bench | lines `utterance_id score` | Parquet `utterance_id,label`, 0 = bonafide |

In all of them a larger score means more likely bona fide. Only speech_spoof_bench counts
bona fide as 0. Formats are told apart by their content.
"""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from dataio.scores import Scores, read_meta, read_scores
from protocols.files import whole_file
from protocols.schema import FAKE, REAL, UNKNOWN, UserError

WORDS = {"bonafide": REAL, "spoof": FAKE}
NAMES = {REAL: "bonafide", FAKE: "spoof"}
KEY_COLUMNS = ("filename", "file_name", "utterance_id", "trial_anon")
LABEL_COLUMNS = ("cm-label", "cm_label", "label")


def read_any(path: str | os.PathLike, key: str | os.PathLike | None = None) -> Scores:
    """Scores in this toolkit's format or a foreign one; labels from `key` where that is given.

    A foreign score s becomes the logits [0, s]. `UserError` names file and line.
    """
    first = _first_line(path)
    if first.lstrip("\ufeff").startswith("ID,"):
        scores = read_scores(path)
    else:
        scores = _read_foreign(path, first)
    if key is not None:
        labels = read_key(key)
        missing = [name for name in scores.ids if name not in labels]
        if missing:
            raise UserError(
                f"{key} has no label for {missing[0]!r} and {len(missing) - 1} more of {path}: "
                "give the key of this very set"
            )
        scores.labels = np.array([labels[name] for name in scores.ids], dtype=np.int8)
    return scores


def read_key(path: str | os.PathLike) -> dict[str, int]:
    """Labels (1 real, 0 fake) by file name from a key file of any of the formats."""
    if Path(path).suffix == ".parquet":
        return _read_parquet_key(path)
    labels: dict[str, int] = {}
    for line, name, word in _key_rows(path):
        if name in labels:
            raise UserError(f"{path}, line {line}: {name!r} for the second time")
        if word not in WORDS:
            raise UserError(f"{path}, line {line}: label {word!r}: expected bonafide or spoof")
        labels[name] = WORDS[word]
    if not labels:
        raise UserError(f"{path} holds no key: expected lines with bonafide or spoof")
    return labels


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
    names = [key.partition("-")[2] or key for key in scores.ids]
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


def _first_line(path: str | os.PathLike) -> str:
    try:
        with open(path, encoding="utf-8") as stream:
            return stream.readline().rstrip("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read as text ({error}): give a score file") from error


def _lines(path: str | os.PathLike) -> Iterator[tuple[int, list[str]]]:
    """Line numbers from 1 and the cells between spaces or tabs, empty lines left out."""
    with open(path, encoding="utf-8") as stream:
        for number, line in enumerate(stream, start=1):
            if cells := line.split():
                yield number, cells


def _read_foreign(path: str | os.PathLike, first: str) -> Scores:
    header = first.split()
    column, skip = -1, 0
    if "cm-score" in header and "filename" in header:
        named, column, skip = header.index("filename"), header.index("cm-score"), 1
        kind = "asvspoof5"
    elif len(header) in (2, 4):
        named, kind = 0, {2: "asvspoof2021", 4: "asvspoof2019"}[len(header)]
    else:
        raise UserError(
            f"{path}, line 1: {first[:60]!r} begins no score file known here: expected "
            "'ID,Score,Label', 'filename<TAB>cm-score', 'name score' or 'name attack label score'"
        )
    ids, values, labels, seen = [], [], [], {}
    for line, cells in _lines(path):
        if line <= skip:
            continue
        name, value = _parsed(path, line, cells, (len(header), named, column))
        if name in seen:
            raise UserError(f"{path}, line {line}: {name!r} again, first in line {seen[name]}")
        seen[name] = line
        ids.append(name)
        values.append(value)
        labels.append(_inline_label(path, line, cells) if kind == "asvspoof2019" else UNKNOWN)
    if not ids:
        raise UserError(f"{path} holds no scores")
    logits = np.column_stack([np.zeros(len(values)), values])
    meta = {**read_meta(path), "format": kind}
    return Scores(np.array(ids, dtype=object), logits, np.array(labels, np.int8), str(path), meta)


def _parsed(path, line: int, cells: list[str], layout: tuple[int, int, int]) -> tuple[str, float]:
    width, named, column = layout
    if len(cells) != width:
        raise UserError(f"{path}, line {line}: {len(cells)} cells, but {width} in the first line")
    try:
        value = float(cells[column])
    except ValueError as error:
        raise UserError(f"{path}, line {line}: {cells[column]!r} is not a number") from error
    if not math.isfinite(value):
        raise UserError(f"{path}, line {line}: the score is {cells[column]}: rescore this file")
    return cells[named], value


def _inline_label(path, line: int, cells: list[str]) -> int:
    if cells[2] not in WORDS:
        raise UserError(f"{path}, line {line}: label {cells[2]!r}: expected bonafide or spoof")
    return WORDS[cells[2]]


def _key_rows(path: str | os.PathLike) -> Iterator[tuple[int, str, str]]:
    """(line, file name, label word) of a key with a header, or of an ASVspoof protocol."""
    first = _first_line(path)
    comma = "," in first
    header = [cell.strip() for cell in (first.split(",") if comma else first.split())]
    named = next((header.index(name) for name in KEY_COLUMNS if name in header), None)
    labelled = next((header.index(name) for name in LABEL_COLUMNS if name in header), None)
    if named is None or labelled is None:
        for line, cells in _lines(path):
            word = next((cell for cell in cells if cell in WORDS), cells[-1])
            yield line, cells[1] if len(cells) > 2 else cells[0], word
        return
    with open(path, encoding="utf-8", newline="") as stream:
        rows = csv.reader(stream) if comma else (line.split() for line in stream)
        for line, cells in enumerate(rows, start=1):
            if line > 1 and len(cells) > max(named, labelled):
                yield line, cells[named], cells[labelled].strip()


def _read_parquet_key(path: str | os.PathLike) -> dict[str, int]:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        table = parquet.read_table(path, columns=["utterance_id", "label"])
    except (OSError, pa.ArrowInvalid) as error:
        raise UserError(f"{path} is no Parquet key with utterance_id and label: {error}") from error
    names, numbers = table["utterance_id"].to_pylist(), table["label"].to_pylist()
    if set(numbers) - {0, 1}:
        raise UserError(f"{path} holds labels other than 0 (bonafide) and 1 (spoof)")
    return {name: FAKE if number else REAL for name, number in zip(names, numbers, strict=True)}

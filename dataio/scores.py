"""Score files: `ID,Score,Label`, one row an utterance, in the order of its protocol.

`Score` is the text of a two-item list `[fake_logit, real_logit]`; `Label` is 1 for real, 0 for
fake, `-` where it is not known. Everything downstream ranks by `Scores.difference`
= real_logit - fake_logit: a larger value means more likely real.

A file is read twice at most: a columnar pass (a second for a million rows) that only decides
whether something is wrong, and if so a patient one that names the lines.
"""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from dataio.checked import META, read_json
from dataio.schema import FAKE, REAL, UNKNOWN, UNLABELLED, UserError
from dataio.text_cells import UNREADABLE, check_header, number_of, open_text
from dataio.whole_files import whole_file

HEADER = ["ID", "Score", "Label"]
LABEL_CELLS = {str(REAL): REAL, str(FAKE): FAKE} | {word: UNKNOWN for word in UNLABELLED}
SHOWN = 10  # lines named in one refusal; the rest are counted


@dataclass
class Scores:
    """N scored utterances: `ids` (N,) object array of str, `logits` (N, 2) float64 [fake, real],
    `labels` (N,) int8 (1 real, 0 fake, -1 unknown)."""

    ids: np.ndarray
    logits: np.ndarray
    labels: np.ndarray
    path: str = ""
    meta: dict = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def difference(self) -> np.ndarray:
        """s = real_logit - fake_logit, (N,): the quantity every metric ranks by."""
        return self.logits[:, 1] - self.logits[:, 0]

    def take(self, rows: np.ndarray) -> Scores:
        """The given rows (indices or mask), as a new object."""
        picked = (self.ids[rows], self.logits[rows], self.labels[rows])
        return Scores(*picked, path=self.path, meta=self.meta)


def score_row(utterance_id: str, logits: Iterable[float], label: int | str | None) -> list[str]:
    """The cells of one row; the list's numbers keep every digit of their float32.

    `label` is 1, 0, or -1 / None / "" for unknown, which is written as `-`. A score that is not a
    number is never written: `ValueError`.
    """
    fake, real = (float(logit) for logit in logits)
    if not (math.isfinite(fake) and math.isfinite(real)):
        raise ValueError(f"the score of {utterance_id!r} is not finite: [{fake}, {real}]")
    cell = "-" if label is None or str(label) in ("", "-", str(UNKNOWN)) else str(int(label))
    if cell not in LABEL_CELLS:
        raise ValueError(f"the label of {utterance_id!r} is {label!r}: expected 1, 0 or -1")
    return [str(utterance_id), str([fake, real]), cell]


def write_scores(path: str | os.PathLike, scores: Scores) -> None:
    """A score file that appears whole: written under a temporary name, then renamed."""
    with whole_file(path) as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(HEADER)
        for row in zip(scores.ids, scores.logits.tolist(), scores.labels.tolist(), strict=True):
            writer.writerow(score_row(*row))


def read_scores(path: str | os.PathLike) -> Scores:
    """The score file at `path`; `UserError` with line numbers for rows that cannot be measured:
    unparsable or non-finite scores, unknown labels, duplicate or empty IDs."""
    scores = _read_columns(path)
    if scores is None:
        raise UserError(diagnose(path))
    scores.meta = read_meta(path)
    return scores


def read_meta(path: str | os.PathLike) -> dict:
    """What `main.py inference` wrote beside the scores (`<stem>.meta.json`), {} if nothing:
    model, checkpoint_sha256, engine, precision, sample_rate, toolkit_version."""
    try:
        return read_json(meta_path(path), META, "delete or repair it")
    except FileNotFoundError:
        return {}


def meta_path(path: str | os.PathLike) -> Path:
    """Where what is known of a score file lies: `<stem>.meta.json` beside it."""
    return Path(os.fspath(path).removesuffix(".gz")).with_suffix(".meta.json")


def read_table(path: str | os.PathLike, columns: Iterable[str]):
    """Named string columns of a CSV file as a pyarrow Table, or None if its rows are ragged.

    A missing file or column is a `UserError`.
    """
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    columns = list(columns)
    if not Path(path).is_file():
        raise UserError(f"{path} does not exist or is not a file: give a score or protocol file")
    _check_header(path, columns)
    try:
        return arrow_csv.read_csv(
            path,
            read_options=arrow_csv.ReadOptions(block_size=1 << 23),
            convert_options=arrow_csv.ConvertOptions(
                column_types={name: pa.string() for name in columns},
                include_columns=columns,
                strings_can_be_null=False,
            ),
        )
    except pa.ArrowInvalid:
        return None
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error}): write it again") from error


def subset_index(ids: np.ndarray) -> tuple[list[str], np.ndarray]:
    """Subset names (sorted) and each row's index (N,) into them; -1 for an ID that names none:
    without a hyphen, or a path (`score` writes them), whose hyphen comes after a slash."""
    found: dict[str, int] = {}
    parted = (key.partition("-") for key in ids)
    codes = (
        found.setdefault(head, len(found)) if dash and "/" not in head else -1
        for head, dash, _ in parted
    )
    index = np.fromiter(codes, dtype=np.int64, count=len(ids))
    names = sorted(found)
    rank = np.full(len(names) + 1, -1, dtype=np.int64)  # the last is what -1 picks
    rank[[found[name] for name in names]] = np.arange(len(names))
    return names, rank[index]


def diagnose(
    path: str | os.PathLike,
    columns: Sequence[str] = HEADER,
    row_fault: Callable[..., tuple[str, str]] | None = None,
) -> str:
    """One sentence naming the faulty lines of a table, as the file counts them, from 1.

    `row_fault` takes the cells of the `columns` and gives (fault, "") or ("", ID); the default is
    that of a score file.
    """
    row_fault = row_fault or _row_fault
    faults: dict[str, list[str]] = {}
    first_line: dict[str, int] = {}
    with open_text(path, errors="replace") as stream:
        reader = csv.reader(stream)
        header = next(reader, [])
        places = [header.index(name) for name in columns]
        for cells in filter(None, reader):
            line = str(reader.line_num)
            if len(cells) != len(header):
                fault, key = f"not the header's {len(header)} cells", ""
            else:
                fault, key = row_fault(*(cells[place].strip() for place in places))
            if not fault and key in first_line:
                fault, line = "duplicate ID", f"{line} ({key!r}, first in line {first_line[key]})"
            if fault:
                faults.setdefault(fault, []).append(line)
            else:
                first_line[key] = reader.line_num
    if not faults and not first_line:
        return f"{path} holds no rows below its header"
    if not faults:
        return f"{path} could not be read as a table: check its encoding (UTF-8) and quoting"
    named = "; ".join(f"{fault} in {_lines(lines)}" for fault, lines in faults.items())
    return f"{path}: {named}: repair or remove these rows"


def _lines(lines: list[str]) -> str:
    """'line 3' or 'lines 3, 8 and 12 more'."""
    more = f" and {len(lines) - SHOWN} more" if len(lines) > SHOWN else ""
    return ("line " if len(lines) == 1 else "lines ") + ", ".join(lines[:SHOWN]) + more


def _row_fault(key: str, score: str, label: str) -> tuple[str, str]:
    """(fault, ""), or ("", ID) for a row that can be measured."""
    bracketed = score.startswith("[") and score.endswith("]")
    logits = [number_of(part) for part in score[1:-1].split(",")] if bracketed else []
    if len(logits) != 2 or None in logits:
        return "a Score that is not the list [fake_logit, real_logit]", ""
    if not all(math.isfinite(logit) for logit in logits):
        return "a Score that is NaN or infinite", ""
    if not math.isfinite(logits[1] - logits[0]):
        return "a Score whose logits differ by more than a number can hold", ""
    if label not in LABEL_CELLS:
        return f"an unknown Label {label!r} (expected 1, 0 or '-')", ""
    return ("", key) if key else ("an empty ID", "")


def _check_header(path: str | os.PathLike, columns: list[str]) -> None:
    try:
        with open_text(path) as stream:
            found = next(csv.reader(stream), [])
    except UNREADABLE as error:
        raise UserError(f"{path} cannot be read as UTF-8 text: {error}") from error
    check_header(found, columns, path)
    missing = [name for name in columns if name not in found]
    if missing:
        raise UserError(
            f"{path}, line 1: no column {', '.join(missing)} "
            f"(found: {', '.join(found) or 'nothing'}): expected a header with {','.join(columns)}"
        )


def _read_columns(path: str | os.PathLike) -> Scores | None:
    """The columnar pass: the scores, or None if any row would be refused."""
    import pyarrow.compute as pc

    table = read_table(path, HEADER)
    if table is None or not table.num_rows:
        return None
    ids = pc.utf8_trim_whitespace(table["ID"])
    logits = _parse_pairs(table["Score"])
    labels = parse_labels(table["Label"], LABEL_CELLS)
    if logits is None or labels is None or has_repeats(ids):
        return None
    with np.errstate(over="ignore"):
        if not np.isfinite(logits[:, 1] - logits[:, 0]).all():
            return None
    return Scores(np.array(ids.to_pylist(), dtype=object), logits, labels, path=str(path))


def _parse_pairs(column) -> np.ndarray | None:
    """(N, 2) float64 from the texts of two-item lists; None if one is not such, or not finite."""
    import pyarrow as pa
    import pyarrow.compute as pc

    text = pc.utf8_trim_whitespace(column).combine_chunks()
    bracketed = pc.and_(pc.starts_with(text, "["), pc.ends_with(text, "]"))
    if not pc.all(bracketed).as_py():
        return None
    pairs = pc.split_pattern(pc.utf8_slice_codeunits(text, 1, -1), pattern=",")
    if (_numpy(pc.list_value_length(pairs)) != 2).any():
        return None
    return parse_numbers(pa.chunked_array([pairs.flatten()]), shape=(-1, 2))


def parse_numbers(column, shape: tuple[int, ...] = (-1,)) -> np.ndarray | None:
    """Finite float64 numbers from a column of texts; None if one is not such."""
    import pyarrow as pa
    import pyarrow.compute as pc

    try:
        numbers = _numpy(pc.cast(pc.utf8_trim_whitespace(column), pa.float64()).combine_chunks())
    except pa.ArrowInvalid:
        return None
    return numbers.reshape(shape) if np.isfinite(numbers).all() else None


def parse_labels(column, words: dict[str, int]) -> np.ndarray | None:
    """(N,) int8 labels by a table of words; None if a cell is not in it."""
    import pyarrow.compute as pc

    coded = pc.utf8_trim_whitespace(column).combine_chunks().dictionary_encode()
    meant = [words.get(word) for word in coded.dictionary.to_pylist()]
    if None in meant:
        return None
    return np.array(meant, dtype=np.int8)[_numpy(coded.indices)]


def _numpy(numbers) -> np.ndarray:
    """A numeric Arrow array as NumPy, without the import of pandas (half a second) that Arrow's own
    conversions between Python or NumPy values and its own begin with."""
    return np.from_dlpack(numbers)


def has_repeats(ids) -> bool:
    """Whether an ID occurs twice, or is empty."""
    import pyarrow.compute as pc

    ids = ids.combine_chunks() if hasattr(ids, "combine_chunks") else ids
    empty = _numpy(pc.binary_length(ids)) == 0
    return bool(empty.any()) or pc.count_distinct(ids).as_py() < len(ids)


def named_lines(path: str | os.PathLike, ids: Iterable[str]) -> str:
    """Some IDs with their lines in a score file: 'A-1' (line 2), 'A-7' (line 8) and 3 more.

    Any column may hold the ID, and the cells may be parted by commas, spaces or tabs.
    """
    ids = list(ids)
    wanted, found = set(ids), []
    with open_text(path, errors="replace") as stream:
        reader = csv.reader(stream)
        for cells in reader:
            cells = [cell.strip() for cell in (cells[0].split() if len(cells) == 1 else cells)]
            key = next((cell for cell in cells if cell in wanted), None)
            if key is not None:
                found.append(f"{key!r} (line {reader.line_num})")
    found = found or [repr(key) for key in ids]
    more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    return ", ".join(found[:SHOWN]) + more

"""Training, validation and test rows of Deepfake-Eval-2024, for fine-tuning.

The database has a training and a test part. Validation is drawn from the training part by source
recording, so that no piece of a validation recording is trained on. Which recordings those are
follows from (seed, name) alone: it is the same for every segment length.
"""

from __future__ import annotations

import csv
import hashlib
import re
from contextlib import ExitStack
from pathlib import Path

from dataio.output_paths import check_outputs
from dataio.rows import ID, PROPORTION, read_rows
from dataio.schema import COLUMNS, UserError
from dataio.whole_files import whole_file

SETS = ("train", "valid", "test")
PIECE = re.compile(r"^DFEval2024-[^-]+-(.*?)(_seg\d+)?$")


def split(csv_path: Path, folder: Path, *, valid_share: float, seed: int) -> dict[str, int]:
    """Write `Deepfake-Eval-2024_{train,valid,test}.csv` into `folder`; the rows of each."""
    if not 0 < valid_share < 1:
        raise UserError(f"--valid_share is {valid_share}: expected a share between 0 and 1")
    counts = dict.fromkeys(SETS, 0)
    paths = {name: folder / f"Deepfake-Eval-2024_{name}.csv" for name in SETS}
    check_outputs([("the output", path) for path in paths.values()], [csv_path])
    with ExitStack() as files:
        writers = {
            name: csv.writer(files.enter_context(whole_file(path)), lineterminator="\n")
            for name, path in paths.items()
        }
        for writer in writers.values():
            writer.writerow(COLUMNS)
        for line, cells, _ in read_rows(csv_path):
            name = _set_of(cells, f"{csv_path}, line {line}", valid_share, seed)
            writers[name].writerow([*cells[:PROPORTION], name, *cells[PROPORTION + 1 :]])
            counts[name] += 1
    return counts


def _set_of(cells: list[str], where: str, valid_share: float, seed: int) -> str:
    piece = PIECE.match(cells[ID])
    if piece is None or cells[PROPORTION] not in ("train", "test"):
        raise UserError(
            f"{where} is no row of Deepfake-Eval-2024 ({cells[ID]!r}, {cells[PROPORTION]!r}):"
            " build it with `python -m protocols build Deepfake-Eval-2024`"
        )
    if cells[PROPORTION] == "test":
        return "test"
    draw = hashlib.sha256(f"{seed} {piece[1]}".encode()).digest()[:8]
    return "valid" if int.from_bytes(draw, "big") < valid_share * 2**64 else "train"

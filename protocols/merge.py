"""`python -m protocols merge`: many protocols into train.csv, valid.csv and test.csv.

The published rules: of training databases the rows marked `valid` become the validation set and
all others the training set, shuffled by RandomState(42); of test databases every row is tested.
Unlike the published script, rows without audio are dropped, a file listed twice is kept once,
and two files under one ID, or a file under both labels, are reported, across databases too.
"""

from __future__ import annotations

import argparse
import json
import math
import mmap
import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from dataio.locks import sole_writer
from dataio.output_paths import check_outputs
from dataio.rows import columns_of
from dataio.schema import UserError
from dataio.whole_files import make_folder, new_file, remove, whole_file, write_text
from dataio.words import tell
from protocols.corpus import TEST, TRAIN, Corpus, corpora
from protocols.duplicates import DUPLICATES, REPORTED, without_duplicates
from protocols.scratch import Rows, line_at, read_file
from protocols.tally import Kinds, tables_text, tally

if TYPE_CHECKING:
    import numpy

PUBLISHED_SEED = 42
OUTPUTS = ("train", "valid", "test")
SUMMARY = "merge.json"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--train", nargs="+", metavar="CSV", help="training databases")
    parser.add_argument("--test", nargs="+", metavar="CSV", help="test databases")
    parser.add_argument("--output_folder", default=".", help="where train.csv ... go (default: .)")
    parser.add_argument(
        "--input_folder",
        default=".",
        help="where the published lists' CSVs are, when neither --train nor --test is given",
    )
    parser.add_argument("--seed", type=int, default=PUBLISHED_SEED, help="of the shuffle")
    parser.add_argument("--limit_hours", type=float, help="train on at most so much, drawn anew")
    parser.add_argument(
        "--balance", action="store_true", help="train on as many real as fake rows, drawn anew"
    )


def run(args: argparse.Namespace) -> int:
    train, test = args.train or [], args.test or []
    if not train and not test:
        train, test = published_lists(Path(args.input_folder))
    if args.limit_hours is not None and not 0 < args.limit_hours < math.inf:
        raise UserError(f"--limit_hours {args.limit_hours}: give a number above 0")
    if not 0 <= args.seed < 2**32:
        raise UserError(f"--seed {args.seed}: give a whole number from 0 to {2**32 - 1}")
    summary = merge(
        train,
        test,
        args.output_folder,
        seed=args.seed,
        limit_hours=args.limit_hours,
        balance=args.balance,
    )
    print(text_of(summary))
    found = any(summary[kind] for kind in REPORTED) or without_validation(summary)
    return 1 if found else 0


def without_validation(summary: dict) -> bool:
    """Whether there is something to train on, and nothing to choose its checkpoint by."""
    return summary["train"]["rows"] > 0 and summary["valid"]["rows"] == 0


def published_lists(folder: Path) -> tuple[list[Path], list[Path]]:
    """The release's 29 training and 5 test CSVs that are in `folder`; a missing one is said."""
    lists = {role: [folder / name for name in published_names(role)] for role in (TRAIN, TEST)}
    missing = [path for paths in lists.values() for path in paths if not path.is_file()]
    if len(missing) == sum(map(len, lists.values())):
        raise UserError(f"none of the published CSVs is in {folder}: name some with --train")
    for path in missing:
        tell(f"warning: no {path}: left out")
    train, test = ([path for path in paths if path not in missing] for paths in lists.values())
    return train, test


def published_names(role: str) -> list[str]:
    """File names of a published merge list, in its order (which the shuffle depends on)."""
    names = PUBLISHED_ORDER if role == TRAIN else PUBLISHED_TESTS
    return [name for corpus in names for name in _csv_names(corpora()[corpus])]


def _csv_names(corpus: Corpus) -> tuple[str, ...]:
    is_test = corpus.role == TEST
    return corpus.variant_csv if is_test and corpus.variant_csv else (corpus.csv_name(),)


PUBLISHED_ORDER = (
    "AIShell3", "ASVspoof2019-LA", "ASVspoof2021-LA", "ASVspoof2021-DF", "ASVspoof5", "CFAD",
    "CNCeleb2", "Codecfake", "CodecFake", "CVoiceFake", "DECRO", "DFADD", "DiffusionDeepfake",
    "DiffSSD", "DSD", "FLEURS", "FLEURS-R", "HABLA", "LibriTTS", "LibriTTS-R", "LibriTTS-Vocoded",
    "LJSpeech", "MLAAD", "MLS", "SpoofCeleb", "VoiceMOS", "VoxCeleb2", "VoxCeleb2-Vocoded",
    "WaveFake",
)  # fmt: skip
PUBLISHED_TESTS = "ADD2023", "DeepVoice", "FakeOrReal", "In-the-Wild"


# ---------------------------------------------------------------------- merging


def merge(
    train: list,
    test: list,
    output_folder: str | os.PathLike,
    *,
    seed: int = PUBLISHED_SEED,
    limit_hours: float | None = None,
    balance: bool = False,
) -> dict:
    """Write train.csv, valid.csv (even when empty), test.csv (when it has rows) and merge.json.

    Returns what merge.json says. `limit_hours` and `balance` draw a subset of the training rows.
    """
    output_folder = Path(output_folder)
    written = (*(f"{name}.csv" for name in OUTPUTS), SUMMARY, DUPLICATES)
    check_outputs([("the output", output_folder / name) for name in written], [*train, *test])
    make_folder(output_folder)
    rows = {name: Rows() for name in OUTPUTS}
    summary = {"inputs": [], "seed": seed, "limit_hours": limit_hours, "balance": balance}
    kinds, columns = Kinds(), columns_of([*train, *test])
    with (
        sole_writer(output_folder),
        TemporaryDirectory(prefix=".merge-", dir=output_folder) as folder,
    ):
        scratch = Path(folder, "rows")
        with new_file(scratch, binary=True) as file:
            file.write(b"\n")  # a mapped file must not be empty
            for path, is_test in [(p, False) for p in train] + [(p, True) for p in test]:
                summary["inputs"].append(read_file(path, is_test, file, rows, kinds, columns))
        with open(scratch, "rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as text:
            kept = without_duplicates(rows, text, kinds, output_folder, summary)
            order = _training_order(kept["train"], rows["train"], kinds, summary)
            for name, numbers in (kept | {"train": order}).items():
                summary[name] = _statistics(numbers, rows[name], kinds)
                path = output_folder / f"{name}.csv"
                if name != "test" or len(numbers):
                    _write(path, numbers, rows[name], text, columns)
                else:
                    remove(path)
    write_text(output_folder / SUMMARY, json.dumps(summary, indent=1, ensure_ascii=False) + "\n")
    return summary


# ---------------------------------------------------------------------- order and subsets


def _training_order(kept: numpy.ndarray, rows: Rows, kinds: Kinds, summary: dict) -> numpy.ndarray:
    """The training rows in their shuffled order, less what the subset leaves out.

    The order is that of pandas' `sample(frac=1, random_state=seed)`.
    """
    import numpy

    order = kept[numpy.random.RandomState(summary["seed"]).permutation(len(kept))]
    seconds = numpy.frombuffer(rows.seconds, dtype=numpy.float32)[order].astype(numpy.float64)
    if summary["balance"]:
        labels = numpy.array([key[3] for key in kinds.numbers] or [""])
        label = labels[numpy.frombuffer(rows.kinds, dtype=numpy.int32)[order]]
        chosen = _balanced(label, seconds, summary["limit_hours"])
    elif summary["limit_hours"] is not None:
        chosen = numpy.cumsum(seconds) <= summary["limit_hours"] * 3600
    else:
        return order
    subset = order[chosen]
    if len(order) and not len(subset):
        raise UserError(f"--limit_hours {summary['limit_hours']}: no training row is so short")
    return subset


def _balanced(label: numpy.ndarray, seconds: numpy.ndarray, limit_hours: float | None):
    """Which rows to take: the first real with the first fake, the second with the second ...

    as long as both classes last and the pairs are within the hours.
    """
    import numpy

    real, fake = numpy.flatnonzero(label == "real"), numpy.flatnonzero(label == "fake")
    if not len(real) or not len(fake):
        raise UserError("--balance needs real and fake training rows: one class is empty")
    pairs = min(len(real), len(fake))
    real, fake = real[:pairs], fake[:pairs]
    if limit_hours is not None:
        within = numpy.cumsum(seconds[real] + seconds[fake]) <= limit_hours * 3600
        real, fake = real[within], fake[within]
    return numpy.sort(numpy.concatenate([real, fake]))


# ---------------------------------------------------------------------- writing


def _write(path: Path, numbers, rows: Rows, text: mmap.mmap, columns: tuple[str, ...]) -> None:
    with whole_file(path, binary=True) as file:
        file.write((",".join(columns) + "\n").encode())
        for begin in range(0, len(numbers), 1 << 16):
            block = numbers[begin : begin + (1 << 16)].tolist()
            file.writelines(line_at(text, rows.offsets[number]) for number in block)


def _statistics(numbers: numpy.ndarray, rows: Rows, kinds: Kinds) -> dict:
    import numpy

    kind = numpy.frombuffer(rows.kinds, dtype=numpy.int32)[numbers]
    seconds = numpy.frombuffer(rows.seconds, dtype=numpy.float32)[numbers].astype(numpy.float64)
    counts = numpy.bincount(kind, minlength=len(kinds.numbers))
    hours = numpy.bincount(kind, weights=seconds, minlength=len(kinds.numbers)) / 3600
    return tally(kinds, counts, hours)


def text_of(summary: dict) -> str:
    """The summary as tables."""
    lines = [*tables_text({name: summary[name] for name in OUTPUTS}, SUMMARY), ""]
    dropped = sum(file["without_audio"] for file in summary["inputs"])
    if dropped:
        lines.append(f"{dropped} rows have no audio (Duration <= 0 or no Path): left out")
    if summary["kept_once"]:
        lines.append(f"{summary['kept_once']} rows repeat another (same ID, same file): left out")
    if summary["conflicts"]:
        lines.append(
            f"{summary['conflicts']} rows share an ID with another file or label: all left out, "
            f"see {DUPLICATES}"
        )
    if summary["contradictions"]:
        lines.append(
            f"{summary['contradictions']} rows have a file that is real in one row and fake in "
            f"another: all left out, see {DUPLICATES}"
        )
    if summary["in_two_outputs"]:
        lines.append(f"{summary['in_two_outputs']} IDs are in two outputs: see {DUPLICATES}")
    if without_validation(summary):
        lines.append(
            "valid.csv holds no row, and training chooses its checkpoint by it: no training "
            "database has a Proportion of valid; `python -m protocols split` draws some"
        )
    return "\n".join(lines).rstrip()

"""`python -m protocols deepfake_eval_2024 prepare|segment|split`.

`prepare` sorts `Deepfake-Eval-2024/audio-data` into `data/unsegmented/{train,test}/{real,fake}` as
`audio-metadata-publish.csv` says: by links, or `--copy`. `segment` cuts those into pieces of fixed
length, mono at the file's own rate, `data/segmented/<split>/<n>s/<label>/<stem>_seg<k>`: as flac,
which loses nothing (`--same_format` keeps wav, flac and mp3 as the release did; an mp3 is then
coded a second time). Then `python -m protocols build Deepfake-Eval-2024`, and `split` that protocol
into training, validation and test rows (`protocols.shares`).
"""

from __future__ import annotations

import argparse
import math
import os
import shutil
import sys
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from protocols.files import write_sound
from protocols.schema import UserError

TOP = "Deepfake-Eval-2024"
METADATA, AUDIO = f"{TOP}/audio-metadata-publish.csv", f"{TOP}/audio-data"
WHOLE, PIECES = f"{TOP}/data/unsegmented", f"{TOP}/data/segmented"
SPLITS, LABELS = ("train", "test"), ("real", "fake")
SUFFIXES = (".mp3", ".m4a", ".wav", ".flac", ".mp4")
PUBLISHED_SECONDS = (4, 10, 13, 30, 50)
WRITABLE = {".wav": "PCM_16", ".flac": "PCM_16", ".mp3": "MPEG_LAYER_III"}  # by libsndfile


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("step", choices=("prepare", "segment", "split"))
    parser.add_argument("--data_folder", help=f"prepare, segment: the folder that has {TOP}")
    parser.add_argument("--copy", action="store_true", help="prepare: copy instead of linking")
    parser.add_argument(
        "--seconds", nargs="+", type=int, default=list(PUBLISHED_SECONDS), help="segment: lengths"
    )
    parser.add_argument(
        "--min_seconds", type=float, default=0.0, help="segment: leave out shorter last pieces"
    )
    parser.add_argument("--same_format", action="store_true", help="segment: not all as flac")
    parser.add_argument("--csv", help="split: the protocol that `build` wrote")
    parser.add_argument("--output_folder", default=".", help="split: where the three CSVs go")
    parser.add_argument(
        "--valid_share", type=float, default=0.1, help="split: of the training part"
    )
    parser.add_argument("--seed", type=int, default=1, help="split: of the validation recordings")
    parser.add_argument("--workers", type=int, help="segment: processes (default: one a core)")


def run(args: argparse.Namespace) -> int:
    needed = "csv" if args.step == "split" else "data_folder"
    if getattr(args, needed) is None:
        raise UserError(f"{args.step} needs --{needed}: see --help")
    return {"prepare": _prepare, "segment": _segment, "split": _split}[args.step](args)


def _split(args: argparse.Namespace) -> int:
    from protocols.shares import split

    folder = Path(args.output_folder)
    counts = split(Path(args.csv), folder, valid_share=args.valid_share, seed=args.seed)
    for name, count in counts.items():
        print(f"{folder / f'{TOP}_{name}.csv'}: {count} rows")
    return 0


# ---------------------------------------------------------------------- prepare


def _prepare(args: argparse.Namespace) -> int:
    counts = prepare(Path(args.data_folder), copy=args.copy)
    for kind, count in sorted(counts.items()):
        print(f"{count:>8}  {kind}")
    if not any(kind.startswith("sorted") for kind in counts):
        raise UserError(f"no file of {METADATA} is in {Path(args.data_folder, AUDIO)}")
    return 0


def prepare(data_folder: Path, *, copy: bool = False) -> Counter[str]:
    """Link (or copy) each file of the metadata to its split and label; what became of the rows."""
    from protocols.source import Source

    source = Source(data_folder)
    if not source.find_list(METADATA):
        raise UserError(f"no file {source.lists_not_found[0]}: --data_folder should have {TOP}")
    for split in SPLITS:
        for label in LABELS:
            Path(data_folder, WHOLE, split, label).mkdir(parents=True, exist_ok=True)
    counts: Counter[str] = Counter()
    rows = source.table(METADATA, columns=("Filename", "Finetuning Set", "Ground Truth"))
    for _, row in rows:
        split, label = row["Finetuning Set"].lower(), row["Ground Truth"].lower()
        if split not in SPLITS or label not in LABELS:
            counts[f"left out: set {split!r}, truth {label!r}"] += 1
            continue
        path = Path(data_folder, AUDIO, row["Filename"])
        if not path.is_file():
            print(f"warning: no {path}", file=sys.stderr)
            counts["missing"] += 1
            continue
        _place(path, Path(data_folder, WHOLE, split, label, row["Filename"]), copy)
        counts[f"sorted: {split} {label}"] += 1
    return counts


def _place(path: Path, target: Path, copy: bool) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    partial_target = target.with_name(f".{target.name}.partial")
    partial_target.unlink(missing_ok=True)
    if copy:
        shutil.copy2(path, partial_target)
    else:
        partial_target.symlink_to(os.path.relpath(path, target.parent))
    partial_target.replace(target)


# ---------------------------------------------------------------------- segment


def _segment(args: argparse.Namespace) -> int:
    from protocols.parallel import map_in_order, worker_count

    data_folder = Path(args.data_folder)
    if not Path(data_folder, WHOLE).is_dir():
        raise UserError(f"no folder {Path(data_folder, WHOLE)}: run `deepfake_eval_2024 prepare`")
    if min(args.seconds) <= 0:
        raise UserError(f"--seconds {min(args.seconds)}: give lengths above 0")
    work = partial(
        segment_file,
        seconds=args.seconds,
        min_seconds=args.min_seconds,
        same_format=args.same_format,
    )
    jobs = ((source, (source, target)) for source, target in _targets(data_folder))
    files = pieces = 0
    for source, (count, problem) in map_in_order(work, jobs, workers=worker_count(args.workers)):
        files += not problem
        pieces += count
        if problem:
            print(f"warning: {source} left out: {problem}", file=sys.stderr)
    if not files:
        raise UserError(f"no readable audio in {Path(data_folder, WHOLE)}")
    print(f"{pieces} segments of {files} files written to {Path(data_folder, PIECES)}")
    return 0


def _targets(data_folder: Path) -> Iterator[tuple[str, str]]:
    """`(file, where its pieces go)`, with `{seconds}` for the length; nested folders stay.

    Files that differ only in their extension keep it in the pieces' names.
    """
    from protocols.walk import walk

    for split in SPLITS:
        for label in LABELS:
            folder = Path(data_folder, WHOLE, split, label)
            if not folder.is_dir():
                continue
            paths = list(walk(str(folder), SUFFIXES, any_case=True))
            stems = Counter(os.path.splitext(path)[0] for path in paths)
            for path in paths:
                stem, suffix = os.path.splitext(path)
                name = os.path.relpath(stem, folder)
                name += suffix.replace(".", "_") if stems[stem] > 1 else ""
                yield path, str(Path(data_folder, PIECES, split, "{seconds}s", label, name))


def segment_file(
    job: tuple[str, str], *, seconds: list[int], min_seconds: float, same_format: bool
) -> tuple[int, str]:
    """Cut one file into pieces of each length, decoding it once; (pieces, what went wrong)."""
    import numpy

    from dataio.probe import UnreadableAudio, probe
    from protocols.decode import audio_blocks

    path, target = job
    try:
        header = probe(path)
        blocks = [block.mean(axis=1) for block in audio_blocks(path, header)]
    except UnreadableAudio as error:
        return 0, error.reason
    waveform = numpy.concatenate(blocks) if blocks else numpy.zeros(0, numpy.float32)
    suffix = os.path.splitext(path)[1].lower()
    suffix = suffix if same_format and suffix in WRITABLE else ".flac"
    count = 0
    for length in seconds:
        stem = Path(target.replace("{seconds}", str(length)))
        stem.parent.mkdir(parents=True, exist_ok=True)
        for number, piece in pieces_of(waveform, header.sample_rate, length, min_seconds):
            name = stem.with_name(f"{stem.name}_seg{number}{suffix}")
            write_sound(name, piece, header.sample_rate, WRITABLE[suffix])
            count += 1
    return count, "" if count else "it is shorter than --min_seconds"


def pieces_of(waveform, sample_rate: int, seconds: int, min_seconds: float) -> Iterator[tuple]:
    """`(number from 1, samples)`: consecutive pieces, the last one as long as what is left."""
    size = int(seconds * sample_rate)
    for index in range(math.ceil(len(waveform) / size)):
        piece = waveform[index * size : (index + 1) * size]
        if len(piece) >= min_seconds * sample_rate:
            yield index + 1, piece

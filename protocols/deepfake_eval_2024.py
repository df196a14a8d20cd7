"""`python -m protocols deepfake_eval_2024 prepare|segment|split`.

`prepare` sorts `Deepfake-Eval-2024/audio-data` into `data/unsegmented/{train,test}/{real,fake}` as
`audio-metadata-publish.csv` says: by links, or `--copy`. `segment` cuts those into pieces of fixed
length, mono at the file's own rate, `data/segmented/<split>/<n>s/<label>/<stem>_seg<k>`: as flac,
which loses nothing (`--same_format` keeps wav, flac and mp3 as the release did; an mp3 is then
coded a second time). Both may be run again, after a correction of the metadata too: what they made
before does not stay beside what they make now. Then `python -m protocols build Deepfake-Eval-2024`,
and `split` that protocol into training, validation and test rows (`protocols.shares`).
"""

from __future__ import annotations

import argparse
import math
import os
import re
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from dataio.schema import UserError
from dataio.whole_files import make_folder, whole_file, whole_link, write_sound
from dataio.words import tell

TOP = "Deepfake-Eval-2024"
METADATA, AUDIO = f"{TOP}/audio-metadata-publish.csv", f"{TOP}/audio-data"
WHOLE, PIECES = f"{TOP}/data/unsegmented", f"{TOP}/data/segmented"
SPLITS, LABELS = ("train", "test"), ("real", "fake")
SUFFIXES = (".mp3", ".m4a", ".wav", ".flac", ".mp4")
PUBLISHED_SECONDS = (4, 10, 13, 30, 50)
PIECE = re.compile(r"(.+)_seg\d+\.(?:wav|flac|mp3)")
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
            make_folder(Path(data_folder, WHOLE, split, label))
    counts: Counter[str] = Counter()
    places = _places(source, data_folder, counts)
    counts["removed: link of an earlier run"] = _remove_links(data_folder, places)
    for name, (split, label) in places.items():
        target = Path(data_folder, WHOLE, split, label, name)
        _place(Path(data_folder, AUDIO, name), target, copy)
    return +counts


def _places(source, data_folder: Path, counts: Counter[str]) -> dict[str, tuple[str, str]]:
    """`(split, label)` of each file of the metadata that is there; rows are counted by outcome."""
    places: dict[str, tuple[str, str]] = {}
    rows = source.table(METADATA, columns=("Filename", "Finetuning Set", "Ground Truth"))
    for where, row in rows:
        name, place = row["Filename"], (row["Finetuning Set"].lower(), row["Ground Truth"].lower())
        if place[0] not in SPLITS or place[1] not in LABELS:
            counts[f"left out: set {place[0]!r}, truth {place[1]!r}"] += 1
            continue
        if places.setdefault(name, place) != place:
            raise UserError(
                f"{name} is {' '.join(place)} in {where}, {' '.join(places[name])} in a line "
                "before: leave one out"
            )
        path = Path(data_folder, AUDIO, name)
        if not path.is_file():
            tell(f"warning: no {path}")
            counts["missing"] += 1
            del places[name]
            continue
        counts[f"sorted: {' '.join(place)}"] += 1
    return places


def _remove_links(data_folder: Path, places: dict[str, tuple[str, str]]) -> int:
    """Remove the links that `prepare` made where a file no longer belongs; how many they were.

    Only a link to the file of the same name in the audio folder is its work. A file that is not a
    link, but has a place elsewhere, is a `UserError`: it may be the only copy.
    """
    stale, copies = [], []
    audio = os.path.abspath(Path(data_folder, AUDIO))
    for split in SPLITS:
        for label in LABELS:
            top = os.path.abspath(Path(data_folder, WHOLE, split, label))
            for folder, _, names in os.walk(top):
                for name in names:
                    path = os.path.join(folder, name)
                    below = os.path.relpath(path, top)
                    if places.get(below) == (split, label):
                        continue
                    if not os.path.islink(path):
                        copies += [path] if below in places else []
                    elif _link_target(path) == os.path.join(audio, below):
                        stale.append(path)
    if copies:
        raise UserError(
            f"{copies[0]} has another split or label in the metadata now (so do "
            f"{len(copies) - 1} more copies): remove such copies first"
        )
    for path in stale:
        os.unlink(path)
    return len(stale)


def _link_target(path: str) -> str:
    """Where a link points to, one step and as it is written."""
    return os.path.normpath(os.path.join(os.path.dirname(path), os.readlink(path)))


def _place(path: Path, target: Path, copy: bool) -> None:
    if copy:
        with open(path, "rb") as source, whole_file(target, binary=True) as stream:
            shutil.copyfileobj(source, stream)
        shutil.copystat(path, target)
    else:
        whole_link(target, os.path.relpath(path, target.parent))


# ---------------------------------------------------------------------- segment


def _segment(args: argparse.Namespace) -> int:
    from protocols.parallel import map_in_order, worker_count

    data_folder = Path(args.data_folder)
    if not Path(data_folder, WHOLE).is_dir():
        raise UserError(f"no folder {Path(data_folder, WHOLE)}: run `deepfake_eval_2024 prepare`")
    if min(args.seconds) <= 0:
        raise UserError(f"--seconds {min(args.seconds)}: give lengths above 0")
    if not 0 <= args.min_seconds < math.inf:
        raise UserError(f"--min_seconds {args.min_seconds}: give a number from 0 on")
    recordings = _recordings(data_folder)
    before = _pieces_on_disk(data_folder)
    _refuse_moved(before, recordings)
    work = partial(
        segment_file,
        folder=Path(data_folder, PIECES),
        seconds=args.seconds,
        min_seconds=args.min_seconds,
        same_format=args.same_format,
    )
    jobs = (
        (one.path, (one, [piece for n in args.seconds for piece in before.get(one.stem(n), [])]))
        for one in recordings
    )
    files = pieces = removed = 0
    for source, (count, stale, problem) in map_in_order(
        work, jobs, workers=worker_count(args.workers)
    ):
        files += not problem
        pieces += count
        removed += stale
        if problem:
            tell(f"warning: {source} left out: {problem}")
    if removed:
        print(f"{removed} segments of an earlier run removed")
    if not files:
        raise UserError(f"no readable audio in {Path(data_folder, WHOLE)}")
    print(f"{pieces} segments of {files} files written to {Path(data_folder, PIECES)}")
    return 0


@dataclass(frozen=True)
class Recording:
    """A file to cut: `name` is what its pieces are called, folders below the label included."""

    path: str
    split: str
    label: str
    name: str

    def stem(self, seconds: int) -> str:
        """Where its pieces of a length go, below `PIECES`, less `_seg<k>` and the suffix."""
        return f"{self.split}/{seconds}s/{self.label}/{self.name}"


def _recordings(data_folder: Path) -> list[Recording]:
    """The files that `prepare` has sorted; nested folders stay.

    Files that differ only in their extension keep it in the pieces' names.
    """
    from protocols.walk import walk

    found = []
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
                found.append(Recording(path, split, label, name))
    return found


def _pieces_on_disk(data_folder: Path) -> dict[str, list[str]]:
    """The pieces that are there, by their `Recording.stem`."""
    top = str(Path(data_folder, PIECES))
    found: dict[str, list[str]] = {}
    for folder, _, names in os.walk(top):
        for name in names:
            if piece := PIECE.fullmatch(name):
                stem = os.path.relpath(os.path.join(folder, piece[1]), top)
                found.setdefault(stem, []).append(os.path.join(folder, name))
    return found


def _refuse_moved(pieces: dict[str, list[str]], recordings: list[Recording]) -> None:
    """`UserError` for pieces of a recording that now has another split, label or name.

    Both would be in the protocol. Nothing tells whose work they are, so they are not removed.
    """
    lengths = {stem.split("/")[1] for stem in pieces if stem.count("/") > 2}
    here = {one.stem(length[:-1]) for one in recordings for length in lengths}
    names = {one.name for one in recordings} | {_plain_name(one) for one in recordings}
    moved = [stem for stem in pieces if stem not in here and stem.split("/", 3)[-1] in names]
    if moved:
        raise UserError(
            f"{pieces[moved[0]][0]} is a segment of a file with another split, label or name now "
            f"({len(moved)} such files): remove {PIECES} and segment again"
        )


def _plain_name(recording: Recording) -> str:
    """Its pieces' name when no other file differs from it only in the extension."""
    suffix = os.path.splitext(recording.path)[1]
    return recording.name.removesuffix(suffix.replace(".", "_"))


def segment_file(
    job: tuple[Recording, list[str]],
    *,
    folder: Path,
    seconds: list[int],
    min_seconds: float,
    same_format: bool,
) -> tuple[int, int, str]:
    """Cut one file into pieces of each length, decoding it once.

    The job is the file and its pieces of earlier runs; those not written anew are removed.
    Returns (pieces written, pieces removed, what went wrong); nothing is removed when the file is
    unreadable. What breaks off, or is damaged in part, is cut as far as it goes, and said.
    """
    import numpy

    from dataio.audio_file import Faults, UnreadableAudio
    from dataio.probe import probe
    from dataio.reading import read_native

    (recording, before), faults = job, Faults()
    try:
        header = probe(recording.path)
        blocks = list(read_native(recording.path, header, 0, header.frames, faults=faults))
    except UnreadableAudio as error:
        return 0, 0, error.reason
    for fault in faults.all():
        tell(f"warning: {recording.path}: {fault}")
    waveform = numpy.concatenate(blocks) if blocks else numpy.zeros(0, numpy.float32)
    suffix = os.path.splitext(recording.path)[1].lower()
    suffix = suffix if same_format and suffix in WRITABLE else ".flac"
    written = set()
    for length in seconds:
        stem = folder / recording.stem(length)
        for number, piece in pieces_of(waveform, header.sample_rate, length, min_seconds):
            name = stem.with_name(f"{stem.name}_seg{number}{suffix}")
            write_sound(name, piece, header.sample_rate, WRITABLE[suffix])
            written.add(str(name))
    stale = set(before) - written
    for path in stale:
        os.unlink(path)
    return len(written), len(stale), "" if written else "it is shorter than --min_seconds"


def pieces_of(waveform, sample_rate: int, seconds: int, min_seconds: float) -> Iterator[tuple]:
    """`(number from 1, samples)`: consecutive pieces, the last one as long as what is left."""
    size = int(seconds * sample_rate)
    for index in range(math.ceil(len(waveform) / size)):
        piece = waveform[index * size : (index + 1) * size]
        if len(piece) >= min_seconds * sample_rate:
            yield index + 1, piece

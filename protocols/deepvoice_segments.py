"""`python -m protocols deepvoice_segments --log FILE --data_folder D`: the published segments.

Cuts the Kaggle DEEP-VOICE recordings, `DeepVoice/KAGGLE/AUDIO/{FAKE,REAL}/<source>.wav` below the
data folder, as the release's log `DeepVoice_seg_log.txt` says, into
`DeepVoice/KAGGLE/AUDIO_SEGMENTS`. Start and end are samples at the file's own rate; channels and
rate stay; what is written is 16-bit PCM (or the recording's own PCM width).
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from dataio.schema import UserError
from dataio.whole_files import write_sound
from dataio.words import tell

AUDIO, SEGMENTS = "DeepVoice/KAGGLE/AUDIO", "DeepVoice/KAGGLE/AUDIO_SEGMENTS"
LINE = re.compile(r"Audio:\s*(.+)_seg_(\d+),\s*start at:\s*(\d+),\s*end at:\s*(\d+)\s*")
SUBTYPES = ("PCM_16", "PCM_24", "PCM_32", "FLOAT")  # kept; anything else becomes PCM_16


@dataclass(frozen=True)
class Segment:
    """One line of the log: samples [start, end) of a recording."""

    source: str
    number: int
    start: int
    end: int

    @property
    def kind(self) -> str:
        """A conversion is named `<speaker>-to-<speaker>`."""
        return "FAKE" if "-to-" in self.source else "REAL"

    @property
    def name(self) -> str:
        return f"{self.source}_seg_{self.number}.wav"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--log", required=True, help="DeepVoice_seg_log.txt of the release")
    parser.add_argument("--data_folder", required=True, help="the folder that has DeepVoice")


def run(args: argparse.Namespace) -> int:
    segments = read_log(args.log)
    totals = dict.fromkeys(("segments", "cut", "missing", "unreadable"), 0)
    for source, cuts in segments.items():
        problem = cut(Path(args.data_folder), source, cuts)
        totals[problem or "cut"] += 1
        totals["segments"] += 0 if problem else len(cuts)
    print(
        f"{totals['segments']} segments of {totals['cut']} recordings written to "
        f"{Path(args.data_folder, SEGMENTS)}; {totals['missing']} recordings are missing, "
        f"{totals['unreadable']} unreadable"
    )
    if not totals["segments"]:
        raise UserError(f"no readable recording of the log is in {Path(args.data_folder, AUDIO)}")
    return 0


def read_log(path: str) -> dict[str, list[Segment]]:
    """The segments of each recording; only the `Audio:` lines say something."""
    if not Path(path).is_file():
        raise UserError(f"no file {path}: --log is the release's DeepVoice_seg_log.txt")
    segments: dict[str, list[Segment]] = {}
    with open(path, encoding="utf-8-sig") as file:
        for segment in _segments(file, path):
            segments.setdefault(segment.source, []).append(segment)
    if not segments:
        raise UserError(f"no line beginning with 'Audio:' in {path}: is it the segment log?")
    return segments


def _segments(lines: Iterable[str], path: str) -> Iterator[Segment]:
    for number, line in enumerate(lines, 1):
        if not line.startswith("Audio:"):
            continue
        found = LINE.fullmatch(line.rstrip("\r\n"))
        if not found:
            raise UserError(f"unknown form of line {number} in {path}: {line.strip()!r}")
        source, *figures = found.groups()
        yield Segment(source, *map(int, figures))


def cut(data_folder: Path, source: str, segments: list[Segment]) -> str:
    """Write the segments of one recording, which is read once; `missing`, `unreadable` or nothing.

    A recording that is either is said and passed over. A segment that begins past its end is a
    `UserError`: the log belongs to another recording.
    """
    import soundfile

    path = data_folder / AUDIO / segments[0].kind / f"{source}.wav"
    if not path.is_file():
        tell(f"warning: no {path}: {len(segments)} segments left out")
        return "missing"
    try:
        with soundfile.SoundFile(path) as sound:
            rate, length = sound.samplerate, sound.frames
            subtype = sound.subtype if sound.subtype in SUBTYPES else "PCM_16"
            dtype = "float32" if subtype == "FLOAT" else "int32"  # exact for PCM of any width
            samples = sound.read(dtype=dtype, always_2d=True)
    except soundfile.LibsndfileError as error:
        tell(
            f"warning: {path} is unreadable ({error.error_string}): {len(segments)} segments left "
            "out"
        )
        return "unreadable"
    folder = data_folder / SEGMENTS / segments[0].kind
    for segment in segments:
        if segment.start >= min(segment.end, length):
            raise UserError(
                f"segment {segment.name} is samples {segment.start} to {segment.end} of {path}, "
                f"which has {length}: is it the right recording?"
            )
        write_sound(folder / segment.name, samples[segment.start : segment.end], rate, subtype)
    return ""

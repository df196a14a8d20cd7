"""evaluation.py localisation: timelines of recordings against the labels of their parts.

A timeline is a JSON of one recording; what is read of it are the keys of `SHAPE`, whatever else it
says: the file, its seconds, the seconds of a frame and each frame's bona fide score (real - fake,
null where it was not scored).
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dataio.checked import ANYTHING, NOTHING, NUMBER, TEXT, read_json
from dataio.schema import UserError
from dataio.segment_labels import Labelled, SegmentLabels, read_all_segments
from dataio.whole_files import whole_file
from metrics import localisation, outputs
from metrics.bootstrap import Plan
from metrics.curves import finite
from metrics.inputs import refuse_overwriting
from metrics.localisation import SEGMENT_SECONDS
from metrics.tables import screen

FORMAT = "antideepfake-localisation-1"
SHAPE = {
    "file": TEXT,
    "duration": NUMBER,
    "frame_seconds": NUMBER,
    "frame_scores": [(NUMBER, NOTHING)],
    ...: ANYTHING,
}
REMEDY = "give the JSON that `python main.py timeline` writes"
SHOWN = 3  # recordings named in a sentence
LONGER = 0.5  # seconds by which labels or frames may outlast a recording: padding, rounding
RATES = ("eer", "threshold", "fnr", "fpr")
COUNTED = ("precision", "recall", "f1")


@dataclass(frozen=True)
class Recordings:
    """R recordings with labels, as `metrics.localisation` takes them."""

    scores: list[np.ndarray]
    frame_seconds: list[float]
    spoof: list[list[tuple[float, float]]]
    durations: list[float]

    def all(self) -> tuple:
        return self.scores, self.frame_seconds, self.spoof, self.durations


def evaluate_localisation(arguments: argparse.Namespace) -> int:
    """All figures of the timelines named; 0, whatever they say."""
    refuse_overwriting(arguments, [("--json", arguments.json), ("--report", arguments.report)])
    if not np.isfinite(arguments.threshold):
        raise UserError(f"--threshold {arguments.threshold}: give a score, real - fake")
    try:
        plan = Plan(arguments.bootstrap, arguments.seed, arguments.confidence)
    except ValueError as error:
        if arguments.bootstrap:
            raise UserError(f"{error}") from error
        plan = None
    notes: list[str] = []
    recordings = labelled_recordings(arguments, notes)
    found = {
        "format": FORMAT,
        "command": " ".join(arguments.command),
        "versions": outputs.versions(),
        "labels": [str(path) for path in arguments.labels],
        **figures(recordings, arguments.threshold, plan, notes),
    }
    found["notes"] = notes
    written = []
    if arguments.json:
        outputs.write_json(arguments.json, found)
        written.append(f"wrote {arguments.json}")
    if arguments.report:
        from metrics.report import localisation_page

        text = localisation_page(finite(found))
        with whole_file(arguments.report) as stream:
            stream.write(text)
        written.append(f"wrote {arguments.report}")
    to_screen(found)
    outputs.print_lines(written)
    return 0


# --- timelines and their labels ---------------------------------------------------------------


def timeline_files(paths: Sequence[str]) -> list[str]:
    """JSON files, those of folders in the order of their names."""
    found = []
    for path in paths:
        if os.path.isdir(path):
            names = sorted(str(p) for p in Path(path).rglob("*.json"))
            if not names:
                raise UserError(f"no timeline (.json) below the folder {path}: {REMEDY}")
            found += names
        elif os.path.isfile(path):
            found.append(path)
        else:
            raise UserError(f"there is no timeline {path}: {REMEDY}")
    return found


def read_timeline(path: str) -> dict:
    """The keys of `SHAPE`, `frame_scores` as (N,) with infinity where null; `UserError`."""
    found = read_json(path, SHAPE, REMEDY)
    if found["duration"] < 0 or found["frame_seconds"] <= 0:
        raise UserError(f"{path} is damaged (seconds that cannot be): {REMEDY}")
    scores = [np.inf if score is None else score for score in found["frame_scores"]]
    found["frame_scores"] = np.array(scores, dtype=np.float64)
    covered = len(scores) * found["frame_seconds"]
    if covered > found["duration"] + found["frame_seconds"] + LONGER:
        raise UserError(
            f"{path} has frames for {covered:.2f} s of {found['duration']:.2f} s: {REMEDY}"
        )
    return found


def labelled_recordings(arguments: argparse.Namespace, notes: list[str]) -> Recordings:
    """The timelines with their labels; `UserError` where one has none, or labels no timeline."""
    parts = read_all_segments(arguments.labels)
    # by name alone, also where a file is about one recording
    labels = SegmentLabels("", "", {name: one for p in parts for name, one in p.files.items()})
    unused = {id(one): name for name, one in labels.files.items()}
    recordings, seen, unlabelled = Recordings([], [], [], []), {}, []
    for path in timeline_files(arguments.timelines):
        timeline = read_timeline(path)
        name = timeline["file"]
        if name in seen:
            raise UserError(f"{seen[name]} and {path} are both of {name}: give one of them")
        seen[name] = path
        labelled = labels.find(name)
        if labelled is not None and unused.pop(id(labelled), None) is None:
            raise UserError(f"the labels of {name} are those of another timeline too: rename one")
        if labelled is None:
            unlabelled.append(name)
            if not arguments.absent_is_bona_fide:
                continue
            labelled = Labelled()
        _refuse_longer(labelled, timeline["duration"], name)
        recordings.scores.append(timeline["frame_scores"])
        recordings.frame_seconds.append(timeline["frame_seconds"])
        recordings.spoof.append(labelled.spoof)
        recordings.durations.append(labelled.duration or timeline["duration"])
    _say_unlabelled(unlabelled, arguments, notes)
    missing = list(unused.values())
    if missing and not arguments.allow_missing:
        raise UserError(
            f"{len(missing)} labelled recordings have no timeline ({', '.join(missing[:SHOWN])}): "
            "make them, or measure without with --allow_missing"
        )
    if missing:
        notes.append(f"{len(missing)} labelled recordings have no timeline and are left out")
    return recordings


def _refuse_longer(labelled: Labelled, duration: float, name: str) -> None:
    end = max(labelled.end, labelled.duration or 0.0)
    if end > duration + LONGER:
        raise UserError(
            f"the labels of {name} go on until {end:.2f} s and its timeline ends at "
            f"{duration:.2f} s: are they of one recording?"
        )


def _say_unlabelled(names: list[str], arguments: argparse.Namespace, notes: list[str]) -> None:
    if not names:
        return
    if not arguments.absent_is_bona_fide:
        raise UserError(
            f"{len(names)} timelines have no label ({', '.join(names[:SHOWN])}): add them to "
            "--labels, or say --absent_is_bona_fide where labels list spoof alone"
        )
    notes.append(f"{len(names)} timelines have no label and count as wholly bona fide")


# --- figures ----------------------------------------------------------------------------------


def figures(recordings: Recordings, threshold: float, plan: Plan | None, notes: list[str]) -> dict:
    """Equal error rates, and what is found at the threshold, as the JSON holds them."""
    everything = recordings.all()
    frames = localisation.frames(*everything)
    spoof, bona_fide = frames.totals.sum(axis=0)
    if not (spoof > 0 and bona_fide > 0):
        notes.append("without spoof and bona fide seconds there is no equal error rate")
    rates = {"range_eer": frames}
    for step in SEGMENT_SECONDS:
        rates[f"segment_eer_{step:g}"] = localisation.segments(*everything, step=step)
    counts = {
        "seconds": localisation.seconds_found(frames, threshold),
        "events": localisation.events_found(*everything, threshold=threshold),
    }
    return {
        "files": len(recordings.durations),
        "seconds": {"spoof": float(spoof), "bona_fide": float(bona_fide)},
        "threshold": threshold,
        "bootstrap": None
        if plan is None
        else {"replicates": plan.replicates, "seed": plan.seed, "confidence": plan.confidence},
        "rates": [_rate_row(name, pieces, plan) for name, pieces in rates.items()],
        "at_threshold": [_count_row(name, found, plan) for name, found in counts.items()],
    }


def _rate_row(name: str, pieces: localisation.Weighted, plan: Plan | None) -> dict:
    found = localisation.equal_rates(pieces)
    row = {"name": name, "figures": dict(zip(RATES, found, strict=True))}
    if plan:
        row["intervals"] = {"eer": localisation.eer_interval(pieces, plan)}
    return row


def _count_row(name: str, counts: np.ndarray, plan: Plan | None) -> dict:
    found = localisation.precision_recall_f1(counts.sum(axis=0)).tolist()
    row = {"name": name, "figures": dict(zip(COUNTED, found, strict=True))}
    if plan:
        intervals = localisation.ratio_intervals(counts, plan)
        row["intervals"] = dict(zip(COUNTED, intervals, strict=True))
    return row


def to_screen(found: dict) -> None:
    """Two tables, intervals in their cells, and the notes."""
    seconds = found["seconds"]
    print(
        f"{found['files']} recordings, {seconds['spoof']:.1f} s spoof and "
        f"{seconds['bona_fide']:.1f} s bona fide"
    )
    if found["bootstrap"]:
        drawn = {**found["bootstrap"], "cluster": None}
        sentence = outputs.bootstrap_sentence(drawn).replace(" within each class", "")
        print(sentence)
    print(screen({row["name"]: cells_of(row) for row in found["rates"]}, "measure"))
    print(f"\nCalled spoof where real - fake <= {found['threshold']:g}; events at IoU 0.5")
    print(screen({row["name"]: cells_of(row) for row in found["at_threshold"]}, "of"))
    outputs.print_notes(found["notes"])


def cells_of(row: dict) -> dict[str, object]:
    """A row's figures, each followed by its interval if it has one."""
    cells = {}
    for name, value in row["figures"].items():
        cells[name] = value
        if name in row.get("intervals", {}):
            cells[f"{name}_interval"] = outputs.interval(row["intervals"][name])
    return cells

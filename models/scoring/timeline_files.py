"""`python main.py timeline`: JSON, RTTM, Audacity labels and a picture for each recording."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path

import numpy as np

from dataio.audio_file import UnreadableAudio
from dataio.checked import ANYTHING, TEXT, read_json
from dataio.files import find_audio
from dataio.probe import probe
from dataio.schema import UserError
from dataio.stopping import Stopped, StopRequest
from dataio.whole_files import make_folder, whole_table, write_bytes, write_text
from dataio.words import printable, tell
from models.scoring.audio import check_calibration, digest_of, probability
from models.scoring.run import Scorer, load_scorer
from models.scoring.screen import progress, tell_skipped
from models.scoring.timeline import HINT, NoTimeline, Rule, audacity, digest, rttm, timeline_of
from models.scoring.timeline_picture import Overview, Sound, page, picture

LIST = "not_scored.csv"  # in the output folder: recordings without a timeline
DONE = {"meta": {"job": TEXT, ...: ANYTHING}, ...: ANYTHING}


def timelines(hparams: dict, run_options: dict, names: list[str]) -> int:
    """Write the timeline of each recording named; 3 where some could not be read.

    One that is there already, of the same job, is left as it is: the same command goes on.
    """
    if not names:
        raise UserError("no audio named: python main.py timeline MODEL FILE_OR_FOLDER ...")
    if int(os.environ.get("WORLD_SIZE", 1)) > 1:
        raise UserError("timeline runs in one process: name a part of the files to each")
    if hparams["output_folder"].startswith("None/"):
        raise UserError("no --output_folder was given: name the folder for the timelines")
    convert, basis = probability(hparams)
    paths = find_audio(names)
    folder = Path(hparams["output_folder"])
    make_folder(folder)
    scorer = load_scorer(hparams, run_options)
    check_calibration(hparams, scorer)
    keys = ("threshold", "hysteresis", "least_seconds", "curve")
    rule = Rule(convert, *(hparams[key] for key in keys))
    meta = scorer.meta() | {key: hparams[key] for key in keys} | {"basis": basis}
    skipped, count, show = [], 0, scorer.show_bar
    with StopRequest(hparams["time_limit"]) as stop, progress(len(paths), show=show) as bar:
        for path, stem in zip(paths, stems(paths), strict=True):
            job = digest(meta, digest_of([path]), hparams["html"])
            if not _is_done(folder / f"{stem}.json", job):
                try:
                    write_timeline(scorer, path, folder / stem, rule, meta | {"job": job}, bar)
                except UnreadableAudio as error:
                    kind = error.kind if isinstance(error, NoTimeline) else "error"
                    skipped.append((path, kind, error.reason))
            count += path not in {name for name, *_ in skipped}
            bar.advance(1, 0.0)
            if bar.left and stop.reason is not None:
                kept = f"{count} of {len(paths)} timelines are in {folder}"
                raise Stopped(f"{stop.reason}: {kept}, the same command goes on from there")
    with whole_table(folder / LIST, ("Path", "Kind", "Reason")) as rows:
        for row in skipped:
            rows.add([row])
    tell(f"{count} timelines in {folder}")
    print(HINT)
    return tell_skipped(skipped, None, allowed=hparams["allow_skipped"])


def write_timeline(
    scorer: Scorer, path: str, base: Path, rule: Rule, meta: dict, bar: progress
) -> None:
    """The files of one recording, `base` and their endings; the JSON, which says done, last."""
    overview = Overview(probe(path))
    sound = Sound() if scorer.hparams["html"] else None
    listeners = [overview.feed] + ([sound.feed] if sound else [])

    def heard(samples: np.ndarray) -> None:
        for listen in listeners:
            listen(samples)

    timeline = timeline_of(
        scorer, path, rule, heard=heard, advance=lambda seconds: bar.advance(0, seconds)
    )
    png = picture(timeline, overview, threshold_score(rule))
    write_text(_with(base, ".rttm"), rttm(timeline, base.name.replace(" ", "_")))
    write_text(_with(base, ".labels.txt"), audacity(timeline))
    write_bytes(_with(base, ".png"), png)
    if sound:
        write_text(_with(base, ".html"), page(timeline, png, sound.mp3(), meta))
    write_text(_with(base, ".json"), json.dumps(timeline.as_json(meta)) + "\n")
    fakes = [s for s in timeline.segments if s.verdict == "fake"]
    where = ", ".join(f"{s.start:.2f}-{s.stop:.2f}" for s in fakes[:5]) or "nowhere"
    more = f" and {len(fakes) - 5} more" if len(fakes) > 5 else ""
    tell(f"{printable(path)}: P(real) {timeline.p_real:.4f}; judged fake (s): {where}{more}")


def threshold_score(rule: Rule) -> float:
    """The real - fake difference at which P(real) is the threshold, by bisection."""
    low, high = -100.0, 100.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if rule.convert(middle) >= rule.threshold else (middle, high)
    return high if abs(high) < 99 else float("nan")


def stems(paths: list[str]) -> list[str]:
    """A name for each recording's files: its own, with some digits where several have it."""
    names = Counter(Path(path).name for path in paths)
    return [
        name if names[name] == 1 else f"{name}-{digest(os.path.abspath(path))[:8]}"
        for path, name in ((path, Path(path).name) for path in paths)
    ]


def _with(base: Path, ending: str) -> Path:
    return base.with_name(base.name + ending)


def _is_done(path: Path, job: str) -> bool:
    try:
        return read_json(path, DONE, "it is made anew")["meta"]["job"] == job
    except (OSError, UserError):
        return False

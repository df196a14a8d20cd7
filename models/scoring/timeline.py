"""`timeline_of`: where in a recording a detector hears a fake, as numbers; nothing is written here.

| | |
|---|---|
| windows | each scored as a file of its own, as `score` does with long files |
| frame shares | of heads that are a mean over frames: their mean is the logits of what was scored |
| curve | windows or shares, cross-faded to one real - fake difference a frame of 20 ms |
| segments | of the curve, by two thresholds and a least duration; pauses do not break them |
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch

from dataio.audio import read_audio
from dataio.audio_file import UnreadableAudio
from dataio.dataset import BadFile, WaveformBatch
from dataio.files import FileTable
from dataio.schema import FAKE, REAL, SAMPLE_RATE, UserError
from dataio.windows import FRAME, Windows, counted, cross_fade, is_within, windowing_of
from metrics.segments import runs, segments
from models.precision import autocast
from models.scoring.long_files import End, LongFiles
from models.scoring.run import CPU_BATCH_SECONDS, Scorer

FORMAT = "antideepfake-timeline-1"
FRAME_SECONDS = FRAME / SAMPLE_RATE
GAP_SECONDS = 1.0  # of a pause in speech that breaks no segment
HINT = (
    "A hint, not evidence. A detector that was not trained to localise is weak at it, and trained"
    " ones reach 3 % segment EER within a corpus (PartialSpoof) and 36 to 46 % on another"
    " (LlamaPartialSpoof)."
)
SILENT, NO_SPEECH = "digital silence", "no speech"


class TimelineSegment(NamedTuple):
    """[start, stop) in seconds, "real" or "fake", and the mean real - fake difference in it."""

    start: float
    stop: float
    verdict: str
    score: float


class NotScored(NamedTuple):
    """[start, stop) in seconds that count for nothing, and why."""

    start: float
    stop: float
    reason: str


@dataclass(frozen=True)
class Timeline:
    """What was found in a recording of `seconds`.

    `logits` (2,) [fake, real] of all of it, as `score` gives them; `windows`; `shares` (F, 2) of
    the frames, None of heads without; `curve` (G,) real - fake in each 20 ms, and `scored` (G,)
    bool where it counts.
    """

    path: str
    seconds: float
    logits: np.ndarray
    p_real: float
    windows: Windows
    shares: np.ndarray | None
    curve: np.ndarray
    scored: np.ndarray
    segments: list[TimelineSegment]
    not_scored: list[NotScored]
    remarks: tuple[str, ...] = ()

    def as_json(self, meta: dict) -> dict:
        """The content of the JSON file; `frame_scores` are null where nothing is scored."""
        scores = np.round(self.curve, 5).tolist()
        windows = zip(*(values.tolist() for values in self.windows), strict=True)
        return {
            "format": FORMAT,
            "note": HINT,
            "file": self.path,
            "duration": self.seconds,
            "meta": meta,
            "logits": self.logits.tolist(),
            "p_real": self.p_real,
            "remarks": list(self.remarks),
            "segments": [segment._asdict() for segment in self.segments],
            "not_scored": [stretch._asdict() for stretch in self.not_scored],
            "windows": [
                {
                    "start": start / SAMPLE_RATE,
                    "stop": stop / SAMPLE_RATE,
                    "counts": round(counts, 4),
                    "logits": logits,
                }
                for start, stop, counts, logits in windows
            ],
            "frame_seconds": FRAME_SECONDS,
            "frame_scores": [s if told else None for s, told in zip(scores, self.scored.tolist())],  # noqa: B905
            "frame_shares": None if self.shares is None else np.round(self.shares, 6).tolist(),
        }


@dataclass(frozen=True)
class Rule:
    """How a curve becomes segments: P(real) by `convert` of a difference, and the YAML's keys."""

    convert: Callable[[float], float]
    threshold: float
    hysteresis: float
    least_seconds: float
    curve: str


class NoTimeline(UnreadableAudio):
    """A recording without a timeline; `kind` as of a `BadFile`: a short one is no error."""

    def __init__(self, path: str, bad: BadFile):
        super().__init__(path, bad.reason)
        self.kind = bad.kind


def timeline_of(
    scorer: Scorer,
    path: str,
    rule: Rule,
    *,
    heard: Callable[[np.ndarray], None] | None = None,
    advance: Callable[[float], None] = lambda _seconds: None,
) -> Timeline:
    """The timeline of a recording of any length; `NoTimeline` where it gives none.

    `heard` is called with the samples (T,) at 16 kHz as they are decoded, `advance` with the
    seconds that have been scored.
    """
    windowing = windowing_of(scorer.hparams)
    if windowing is None:
        raise UserError("a timeline is made of windows: give --window_seconds and a whole limit")
    limit = scorer.hparams["max_batch_length"]
    files = LongFiles(
        FileTable([path]),
        [0],
        windowing,
        batch_seconds=min(limit, CPU_BATCH_SECONDS) if scorer.device == "cpu" else limit,
        min_duration=scorer.hparams["min_duration"],
        heard=heard,
    )
    found = _Found()
    for part in files.parts(0):
        if len(part.batch):
            found.add(scorer, part.batch)
            advance(part.batch.seconds)
        end = part.end
    if end.bad is not None:
        raise NoTimeline(path, end.bad)
    windows = found.windows(end)
    shares = found.shares(windows, end.samples)
    logits = windows.mean(windows.logits)
    if end.samples <= windowing.most_whole * SAMPLE_RATE:  # as `score` does: all at once
        logits, shares = _whole(scorer, path)
    return _told(path, end, windows, logits, shares, rule)


class _Found:
    """The results of a recording's windows, by their first samples."""

    def __init__(self):
        self.results: dict[int, tuple[int, np.ndarray, np.ndarray | None]] = {}

    def add(self, scorer: Scorer, batch: WaveformBatch) -> None:
        logits, shares = _scored(scorer, batch.waveforms, batch.lengths)
        for i, (start, length) in enumerate(
            zip(batch.rows.tolist(), batch.lengths.tolist(), strict=True)
        ):
            self.results[start] = (start + length, logits[i], None if shares is None else shares[i])

    def windows(self, end: End) -> Windows:
        starts = sorted(self.results)
        stops = [self.results[start][0] for start in starts]
        logits = np.stack([self.results[start][1] for start in starts])
        return counted(starts, stops, logits, end.speech)

    def shares(self, windows: Windows, samples: int) -> np.ndarray | None:
        """(G, 2) of the frames, cross-faded; 0 where no window is."""
        parts = [self.results[int(start)][2] for start in windows.starts]
        if parts[0] is None:
            return None
        return _faded(windows, parts, frames_of(samples))


def frames_of(samples: int) -> int:
    return max(1, round(samples / FRAME))


def _faded(windows: Windows, parts: list[np.ndarray], frames: int) -> np.ndarray:
    """Values (F, 2) of each window as one (frames, 2). A window's last frame, for which no 25 ms
    are left, is as the one before it."""
    total = np.zeros((frames + 1, 2))
    for start, fade, part in zip(
        windows.starts, cross_fade(windows.starts, windows.stops), parts, strict=True
    ):
        part = np.pad(part, ((0, max(0, len(fade) - len(part))), (0, 0)), mode="edge")
        first = int(start) // FRAME
        total[first : first + len(fade)] += (fade[:, None] * part[: len(fade)])[
            : frames + 1 - first
        ]
    return total[:frames]


def _scored(
    scorer: Scorer, waveforms: torch.Tensor, lengths: torch.Tensor
) -> tuple[np.ndarray, list[np.ndarray] | None]:
    """Logits (B, 2), and each file's frame shares (F, 2) where the head has such."""
    with (
        torch.inference_mode(),
        autocast(scorer.device.partition(":")[0], scorer.hparams["eval_precision"]),
    ):
        output = scorer.detector(waveforms.to(scorer.device), lengths, with_frames=True)
    shares = output.frame_logits
    if shares is not None:
        counts = output.frame_lengths.tolist()
        shares = [
            part[:count].float().cpu().numpy() for part, count in zip(shares, counts, strict=True)
        ]
    return output.logits.float().cpu().numpy(), shares


def _whole(scorer: Scorer, path: str) -> tuple[np.ndarray, np.ndarray | None]:
    """Logits (2,) and frame shares of a recording scored at once."""
    waveform = torch.from_numpy(read_audio(path).waveform)
    logits, shares = _scored(scorer, waveform[None], torch.tensor([len(waveform)]))
    return logits[0].astype(np.float64), None if shares is None else shares[0]


def _told(
    path: str,
    end: End,
    windows: Windows,
    logits: np.ndarray,
    shares: np.ndarray | None,
    rule: Rule,
) -> Timeline:
    frames = frames_of(end.samples)
    if rule.curve == "frames" and shares is None:
        raise UserError("this head gives no frame shares: use --curve windows")
    if rule.curve == "frames":
        values = np.pad(shares, ((0, max(0, frames - len(shares))), (0, 0)), mode="edge")[:frames]
    else:
        values = _faded(windows, [row[None] for row in windows.logits], frames)
    curve = values[:, REAL] - values[:, FAKE]
    reached = is_within(
        [(a / SAMPLE_RATE, b / SAMPLE_RATE) for a, b in zip(*windows[:2], strict=True)], frames
    )
    spoken = reached if end.speech is None else reached & is_within(end.speech, frames)
    seconds = end.samples / SAMPLE_RATE
    p_real = np.array([float(rule.convert(s)) for s in curve])
    found = segments(
        p_real,
        spoken,
        enter=rule.threshold,
        leave=min(1.0, rule.threshold + rule.hysteresis),
        least=max(1, round(rule.least_seconds / FRAME_SECONDS)),
        gap=round(GAP_SECONDS / FRAME_SECONDS),
    )
    return Timeline(
        path=path,
        seconds=seconds,
        logits=logits,
        p_real=float(rule.convert(logits[REAL] - logits[FAKE])),
        windows=windows,
        shares=shares,
        curve=curve,
        scored=spoken,
        segments=[
            TimelineSegment(
                round(s.start * FRAME_SECONDS, 2),
                round(min(seconds, s.stop * FRAME_SECONDS), 4),
                "fake" if s.is_fake else "real",
                float(curve[s.start : s.stop][spoken[s.start : s.stop]].mean()),
            )
            for s in found
        ],
        not_scored=[
            NotScored(round(a * FRAME_SECONDS, 2), round(b * FRAME_SECONDS, 2), reason)
            for mask, reason in ((~reached, SILENT), (reached & ~spoken, NO_SPEECH))
            for a, b in runs(mask)
        ],
        remarks=end.remarks,
    )


def rttm(timeline: Timeline, name: str) -> str:
    """The segments as RTTM, in the labels of spec (`bonafide`, `spoof`), the hint as a comment."""
    word = {"real": "bonafide", "fake": "spoof"}
    lines = [
        f"SPEAKER {name} 1 {s.start:.3f} {s.stop - s.start:.3f} <NA> <NA> {word[s.verdict]}"
        " <NA> <NA>"
        for s in timeline.segments
    ]
    return "\n".join([f";; {HINT}", *lines]) + "\n"


def audacity(timeline: Timeline) -> str:
    """The segments as Audacity labels; the hint is the first, a point at 0."""
    lines = [f"0.000000\t0.000000\t{HINT}"]
    lines += [f"{s.start:.6f}\t{s.stop:.6f}\t{s.verdict} {s.score:.2f}" for s in timeline.segments]
    lines += [f"{s.start:.6f}\t{s.stop:.6f}\tnot scored: {s.reason}" for s in timeline.not_scored]
    return "\n".join(lines) + "\n"


def digest(*words: object) -> str:
    """Of what decides a timeline, so that one that is there already is known for done."""
    return hashlib.sha256(repr(words).encode("utf-8", "surrogateescape")).hexdigest()

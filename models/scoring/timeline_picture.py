"""A recording seen and heard: waveform, spectrogram, curve and segments as PNG, and as a page."""

from __future__ import annotations

import base64
import hashlib
import io
from pathlib import Path

import numpy as np
from markupsafe import Markup

from dataio.audio_file import AudioHeader
from dataio.pages import render
from dataio.schema import SAMPLE_RATE
from models.scoring.timeline import HINT, Timeline

TEMPLATE = Path(__file__).with_name("timeline.html")
COLUMNS = 1200  # of the picture: its memory does not grow with the recording
FFT = 512
LEFT, RIGHT = 0.07, 0.985  # of the axes in the picture's width; the page's clicks count on it
COLOURS = {"real": "#1f6fb2", "fake": "#c8501a", "none": "#b9c2cc"}


class Overview:
    """`feed` samples as they are decoded: extremes (C, 2) and power (C, 257) of each column."""

    def __init__(self, header: AudioHeader):
        columns = max(1.0, header.seconds * SAMPLE_RATE / COLUMNS)
        self.step = int(np.ceil(columns / FFT)) * FFT  # samples a column
        self._held = np.zeros(0, np.float32)
        self._extremes: list[tuple[float, float]] = []
        self._power: list[np.ndarray] = []

    def feed(self, samples: np.ndarray) -> None:
        """(T,) more samples at 16 kHz."""
        self._held = np.concatenate([self._held, samples])
        whole = len(self._held) // self.step * self.step
        for column in self._held[:whole].reshape(-1, self.step):
            self._add(column)
        self._held = self._held[whole:].copy()

    def _add(self, column: np.ndarray) -> None:
        frames = np.pad(column, (0, -len(column) % FFT)).reshape(-1, FFT)
        self._extremes.append((float(column.min()), float(column.max())))
        spectrum = np.fft.rfft(frames * np.hanning(FFT).astype(np.float32), axis=1)
        self._power.append((np.abs(spectrum) ** 2).mean(0))

    def all(self) -> tuple[np.ndarray, np.ndarray]:
        """Extremes (C, 2) and power (C, 257) of all that was fed; nothing may follow."""
        if len(self._held):
            self._add(self._held)
        return np.array(self._extremes), np.array(self._power)


class Sound:
    """`feed` samples at 16 kHz; `mp3` is then all of them, for a page to play."""

    def __init__(self):
        import soundfile

        self._bytes = io.BytesIO()
        self._file = soundfile.SoundFile(
            self._bytes, "w", SAMPLE_RATE, 1, format="MP3", subtype="MPEG_LAYER_III"
        )

    def feed(self, samples: np.ndarray) -> None:
        for at in range(0, len(samples), SAMPLE_RATE):
            self._file.write(samples[at : at + SAMPLE_RATE])

    def mp3(self) -> bytes:
        self._file.close()
        return self._bytes.getvalue()


def picture(timeline: Timeline, overview: Overview, threshold_score: float) -> bytes:
    """The PNG of a timeline; `threshold_score`: the difference at which a frame becomes fake."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    extremes, power = overview.all()
    seconds, step = timeline.seconds, overview.step / SAMPLE_RATE
    figure = Figure(figsize=(12, 6.4), dpi=100)
    axes = figure.subplots(
        4, 1, sharex=True, gridspec_kw={"height_ratios": [1.2, 1.6, 1.8, 0.5], "hspace": 0.12}
    )
    figure.subplots_adjust(left=LEFT, right=RIGHT, top=0.93, bottom=0.13)
    times = np.minimum((np.arange(len(extremes)) + 0.5) * step, seconds)
    axes[0].fill_between(times, *extremes.T, color="#5b6673", linewidth=0)
    axes[0].set_ylabel("waveform")
    levels = 10 * np.log10(power.T + 1e-10)
    axes[1].imshow(
        levels,
        origin="lower",
        aspect="auto",
        extent=(0, len(power) * step, 0, SAMPLE_RATE / 2000),
        vmin=levels.max() - 80,
        cmap="magma",
    )
    axes[1].set_ylabel("kHz")
    _draw_curve(axes[2], timeline, threshold_score)
    for segment in timeline.segments:
        colour = COLOURS[segment.verdict]
        axes[3].axvspan(segment.start, segment.stop, color=colour, linewidth=0)
    for stretch in timeline.not_scored:
        axes[3].axvspan(stretch.start, stretch.stop, ymax=0.35, color=COLOURS["none"], linewidth=0)
    axes[3].set_yticks([])
    axes[3].set_ylabel("segments", rotation=0, ha="right", va="center", fontsize=8)
    axes[3].set_xlabel("seconds   (blue: judged real, orange: judged fake, grey: not scored)")
    axes[3].set_xlim(0, seconds)
    figure.suptitle(Path(timeline.path).name.encode("ascii", "replace").decode(), fontsize=11)
    figure.text(LEFT, 0.012, HINT, fontsize=7, color="#48525d")
    stream = io.BytesIO()
    FigureCanvasAgg(figure).print_png(stream)
    return stream.getvalue()


def _draw_curve(axis, timeline: Timeline, threshold_score: float) -> None:
    """At most some thousand points, so that the picture of hours takes no longer than another."""
    curve = np.where(timeline.scored, timeline.curve, np.nan)
    stride = max(1, len(curve) // (4 * COLUMNS))
    times = (np.arange(len(curve)) + 0.5) * (timeline.seconds / len(curve))
    axis.plot(times[::stride], timeline.curve[::stride], color=COLOURS["none"], linewidth=0.8)
    axis.plot(times[::stride], curve[::stride], color="#1d242c", linewidth=1.0)
    if np.isfinite(threshold_score):
        axis.axhline(threshold_score, color=COLOURS["fake"], linewidth=1, linestyle="--")
    axis.set_ylabel("real - fake")
    axis.grid(alpha=0.25)


def page(timeline: Timeline, png: bytes, mp3: bytes, meta: dict) -> str:
    """A page that needs nothing else: a click on the picture, or on a segment, plays from there."""
    script = (
        "const s=document.querySelector('audio'),p=document.querySelector('img'),"
        "c=document.getElementById('now'),d=+p.dataset.seconds,"
        f"l={LEFT},r={RIGHT};"
        "const go=t=>{s.currentTime=Math.max(0,Math.min(d,t));s.play()};"
        "p.onclick=e=>{const b=p.getBoundingClientRect();"
        "go(((e.clientX-b.left)/b.width-l)/(r-l)*d)};"
        "document.querySelectorAll('[data-start]').forEach(x=>x.onclick=()=>go(+x.dataset.start));"
        "const tick=()=>{c.style.left=100*(l+(r-l)*s.currentTime/d)+'%';requestAnimationFrame(tick)"
        "};tick();"
    )
    allowed = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; style-src 'unsafe-inline'; img-src data:; media-src data:;"
        f" script-src 'sha256-{allowed}'; base-uri 'none'; form-action 'none'"
    )
    return render(
        TEMPLATE,
        policy=policy,
        script=Markup(script),
        name=Path(timeline.path).name,
        timeline=timeline,
        hint=HINT,
        meta=meta,
        png=base64.b64encode(png).decode(),
        mp3=base64.b64encode(mp3).decode(),
    )

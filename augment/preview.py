"""A file under every augmentation, to listen to and to look at."""

from __future__ import annotations

import io
import math
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from augment.catalogue import EXAMPLES, synthetic_recordings
from augment.chain import build
from dataio.output_paths import check_outputs
from dataio.schema import SAMPLE_RATE, UserError
from dataio.whole_files import make_folder, write_bytes, write_sound

PICTURE = "spectrograms.png"
COLUMNS = 5
RANGE_DB = 80  # shown below the loudest point of the original
WINDOW, HOP = 512, 128  # samples of the short-time spectra


def run(options) -> int:
    """Write the wavs and the picture; prints each path."""
    from dataio.audio import load_waveform
    from dataio.files import find_audio
    from dataio.probe import UnreadableAudio

    _check(options)
    try:
        waveform = load_waveform(options.file, max_seconds=options.seconds)
    except UnreadableAudio as error:
        raise UserError(f"{error}; give an audio file") from error
    folders = {"noise": options.noise, "reverberation": options.rooms}
    with tempfile.TemporaryDirectory() as scratch:
        settings = synthetic_recordings(Path(scratch))
        settings |= {name: {"folder": folder} for name, folder in folders.items() if folder}
        versions, refused = augment_all(waveform, settings, options.seed)
    wavs, picture = _wavs(options.output, versions), Path(options.output, PICTURE)
    given = [options.file, *find_audio(filter(None, folders.values()))]
    check_outputs([("the output", path) for path in (*wavs, picture)], given)
    make_folder(picture.parent)
    for path, version in zip(wavs, versions.values(), strict=True):
        write_sound(path, version, SAMPLE_RATE, "FLOAT")  # keeps what lies beyond +-1
        print(path)
    title = f"{os.path.basename(options.file)}, seed {options.seed}"
    draw_spectrograms(versions, picture, title=title)
    print(picture)
    for reason in refused:
        print(f"left out: {reason}")
    return 0


def _check(options) -> None:
    """UserError for what would fail only when all is computed."""
    if not 0 < options.seconds < math.inf:
        raise UserError(f"--seconds {options.seconds}: give a number above 0")
    if options.seed < 0:
        raise UserError(f"--seed {options.seed}: give a whole number from 0 on")
    output = Path(options.output).absolute()
    there = next(place for place in (output, *output.parents) if place.exists())
    if not there.is_dir():
        raise UserError(f"--output {options.output}: {there} is a file; name a folder")


def _wavs(folder: str, labels: Iterable[str]) -> list[Path]:
    return [
        Path(folder, f"{index:02d}_{label.replace(' ', '_')}.wav")
        for index, label in enumerate(labels)
    ]


def augment_all(
    waveform: np.ndarray, settings: dict[str, dict], seed: int
) -> tuple[dict[str, np.ndarray], list[str]]:
    """The waveform under each example, by label, the original first; and codecs not to be had.

    Each example draws from its own generator: the same seed gives it the same draw.
    """
    augmentations, refused = {}, []
    for index, (label, (entry, _)) in enumerate(EXAMPLES.items()):
        try:
            augmentation = build(None, [entry | settings.get(entry["name"], {})])
        except UserError as error:
            if entry["name"] != "codec":
                raise
            refused.append(str(error))
            continue
        augmentations[label] = augmentation, np.random.default_rng([seed, index])
    versions = {label: augment(waveform, rng) for label, (augment, rng) in augmentations.items()}
    return {"original": waveform} | versions, refused


def level_db(waveform: np.ndarray) -> np.ndarray:
    """Short-time power spectrum in dB, (WINDOW // 2 + 1, frames)."""
    padded = np.pad(waveform, (0, max(0, WINDOW - waveform.size)))
    frames = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP]
    spectra = np.fft.rfft(frames * np.hanning(WINDOW)) / (WINDOW / 4)  # a full-scale sine: 0 dB
    return 10 * np.log10(np.abs(spectra.T) ** 2 + 1e-12)


def draw_spectrograms(versions: dict[str, np.ndarray], path: Path, *, title: str) -> None:
    """All versions on one grid, one time axis, one frequency axis and one colour scale."""
    from matplotlib.figure import Figure

    levels = {label: level_db(version) for label, version in versions.items()}
    seconds = len(versions["original"]) / SAMPLE_RATE
    loudest = levels["original"].max()
    rows = -(-len(versions) // COLUMNS)
    figure = Figure(figsize=(3.4 * COLUMNS, 2.1 * rows + 0.9), layout="constrained", dpi=110)
    axes = figure.subplots(rows, COLUMNS, sharex=True, sharey=True, squeeze=False).ravel()
    for axis, (label, level) in zip(axes, levels.items(), strict=False):
        image = axis.imshow(
            level,
            origin="lower",
            aspect="auto",
            extent=(0, seconds, 0, SAMPLE_RATE / 2000),
            vmin=loudest - RANGE_DB,
            vmax=loudest,
            cmap="magma",
            interpolation="nearest",
        )
        axis.set_title(label, fontsize=11, fontweight="bold" if label == "original" else "normal")
    for axis in axes[len(levels) :]:
        axis.set_axis_off()
    figure.suptitle(title, fontsize=14, parse_math=False)  # a name may hold dollar signs
    figure.supxlabel("time (s)")
    figure.supylabel("frequency (kHz)")
    figure.colorbar(
        image, ax=list(axes), label="level (dB, full-scale sine = 0)", shrink=0.6, pad=0.01
    )
    picture = io.BytesIO()
    figure.savefig(picture, format="png")
    write_bytes(path, picture.getbuffer())

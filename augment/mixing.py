"""Effects made of recordings: additive noise and room impulse responses, from folders or CSVs."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from augment.codecs import resample
from augment.settings import Interval, span, text
from dataio.rows import csv_rows, open_rows
from dataio.schema import SAMPLE_RATE, UserError, resolve_path
from dataio.text_cells import check_header

MAX_RESPONSE_SECONDS = 4.0  # of a room impulse response; the longest halls decay in it


@dataclass(frozen=True, slots=True, kw_only=True)
class Recordings:
    """The files an effect draws from: all audio below `folder`, or the `Path`s of a protocol `csv`.

    `data_folder` stands for `$ROOT` in the CSV. Raises UserError where nothing is found.
    """

    folder: str = text("")
    csv: str = text("")
    data_folder: str = text("")
    sample_rate: int = SAMPLE_RATE
    paths: tuple[str, ...] = field(init=False, repr=False, default=())

    def __post_init__(self) -> None:
        if bool(self.folder) == bool(self.csv):
            raise UserError(f"{type(self).__name__.lower()}: give one of 'folder' and 'csv'")
        if self.folder:
            from dataio.files import find_audio

            paths = tuple(find_audio([self.folder]))
        else:
            paths = _listed(self.csv, self.data_folder)
        object.__setattr__(self, "paths", paths)


def _listed(csv_path: str, data_folder: str) -> tuple[str, ...]:
    with open_rows(csv_path) as lines:
        rows = csv_rows(lines, csv_path)
        _, header = next(rows, (1, []))
        check_header(header, ("Path",), csv_path)
        if "Path" not in header:
            raise UserError(f"{csv_path}: no column 'Path'; give a protocol CSV")
        listed = []
        for line, cells in rows:
            if cells and len(cells) != len(header):
                raise UserError(
                    f"{len(cells)} cells in {csv_path}, line {line}: its header has {len(header)}"
                )
            listed += cells and [cells[header.index("Path")]]
    if not listed:
        raise UserError(f"{csv_path}: no rows; give a protocol CSV that lists audio")
    paths = tuple(resolve_path(path, data_folder) for path in listed)
    for path, resolved in zip(listed, paths, strict=True):
        if not os.path.isfile(resolved):
            raise UserError(f"{csv_path}: {path!r} is not there; set or correct data_folder")
    return paths


@dataclass(frozen=True, slots=True, kw_only=True)
class Noise(Recordings):
    """A piece of a recording added at `snr_db` over the whole waveform; short ones are repeated."""

    snr_db: Interval = span(5, 20, (-100, 100))

    def draw(self, _length: int, rng: np.random.Generator) -> tuple[str, float, float]:
        """Path, where in the recording to begin (share of what can be skipped), SNR in dB."""
        path = self.paths[rng.integers(len(self.paths))]
        return path, rng.random(), self.snr_db.draw(rng)

    def apply(self, waveform: np.ndarray, drawn: tuple[str, float, float]) -> np.ndarray:
        path, begin, snr_db = drawn
        noise = _piece(path, begin, waveform.size, self.sample_rate).astype(waveform.dtype)
        norm = np.linalg.norm(noise)
        if norm == 0:
            return waveform
        scale = np.linalg.norm(waveform) / norm / 10 ** (snr_db / 20)
        return waveform + noise * waveform.dtype.type(scale)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reverberation(Recordings):
    """Convolution with a room impulse response, its direct sound (peak) kept at time zero.

    SpeechBrain's `reverberate`: the mean absolute amplitude stays as it was.
    """

    def draw(self, _length: int, rng: np.random.Generator) -> str:
        return self.paths[rng.integers(len(self.paths))]

    def apply(self, waveform: np.ndarray, drawn: str) -> np.ndarray:
        import torch
        from speechbrain.processing.signal_processing import compute_amplitude, reverberate

        if not waveform.any():
            return waveform
        response = torch.from_numpy(_response(drawn, self.sample_rate))
        dry = torch.from_numpy(waveform.astype(np.float32))
        # Its convolution is circular: room for the tail, and for what precedes the direct sound.
        padded = torch.nn.functional.pad(dry, (0, 2 * len(response)))
        wet = reverberate(padded[None], response, rescale_amp=None)[0, : len(dry)]
        scale = compute_amplitude(dry[None]) / compute_amplitude(wet[None])
        return (wet * scale[0]).numpy().astype(waveform.dtype)


def _piece(path: str, begin: float, length: int, sample_rate: int) -> np.ndarray:
    """`length` samples of a recording, from the share `begin` of what can be skipped on."""
    from dataio.audio import load_waveform
    from dataio.probe import UnreadableAudio, probe

    seconds = length / sample_rate
    try:
        header = probe(path)
        start = begin * max(0.0, header.seconds - seconds)
        piece = load_waveform(path, start_seconds=start, max_seconds=seconds, header=header)
    except UnreadableAudio as error:
        raise UserError(f"augmentations: noise {error}; remove or replace the file") from error
    return np.resize(resample(piece, SAMPLE_RATE, sample_rate), length)


@lru_cache(maxsize=256)
def _response(path: str, sample_rate: int) -> np.ndarray:
    """A room impulse response (T,) float32."""
    from dataio.audio import load_waveform
    from dataio.probe import UnreadableAudio

    try:
        response = load_waveform(path, max_seconds=MAX_RESPONSE_SECONDS)
    except UnreadableAudio as error:
        raise UserError(f"augmentations: response {error}; remove or replace it") from error
    if not response.any():
        raise UserError(f"augmentations: response {path} is silent; remove or replace it")
    return resample(response, SAMPLE_RATE, sample_rate).astype(np.float32)

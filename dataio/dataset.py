"""From row numbers to a padded batch of waveforms.

A row is asked for as (epoch, row number). Its random draws come from a generator seeded with
(seed, epoch, row number) and nothing else, so they are the same whichever worker or process meets
the row, in whatever company. A file that fails gives a `BadFile`, not an exception.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch.utils.data import Dataset

from dataio.audio import read_audio
from dataio.audio_file import AudioHeader, UnreadableAudio
from dataio.frame_labels import FrameLabels
from dataio.probe import probe
from dataio.protocol import ProtocolRow, ProtocolTable
from dataio.reading import Reading
from dataio.schema import SAMPLE_RATE, UNKNOWN, UserError

TRAIN, VALID, SCORE = "train", "valid", "score"
SHORT, SILENT = "short", "silent"  # BadFile.kind of what is read and not scored
LONG = "long"  # of what is longer than `most_seconds`, and not read here
SILENT_PEAK = 2.0**-15  # of full scale: no sample reaches the smallest step of 16 bits
RECEPTIVE_FIELD = 400  # samples (25 ms) the seven convolutions need for one frame

Inspect = Callable[[str, AudioHeader, np.ndarray], list[str]]
Augment = Callable[[np.ndarray, np.random.Generator], np.ndarray]


@dataclass(frozen=True)
class Item:
    """One row, loaded: waveform (T,) float32 at 16 kHz, T >= 400.

    `draw` is what the augmentation leaves for the device to apply, if it does; `remarks` say what
    is wrong with the file, or odd, though it was read; `frame_labels` (K,) are of its parts.
    """

    row: int
    id: str
    label: int
    waveform: np.ndarray
    draw: object | None = None
    remarks: tuple[str, ...] = ()
    frame_labels: np.ndarray | None = None


@dataclass(frozen=True)
class BadFile:
    """A row without a waveform, of a file that does not read (kind "error"), is shorter than
    `min_duration` ("short"), is digital silence ("silent") or is over `most_seconds` ("long").
    """

    row: int
    id: str
    path: str
    reason: str
    kind: str = "error"


@dataclass(frozen=True)
class WaveformBatch:
    """waveforms (B, T) float32, zeros behind each row's end; lengths (B,) int64 in samples;
    labels and rows (B,) int64. `bad` holds the rows asked for that gave none, so B may be 0.
    `draws` holds a row's part of the augmentation that is left for the device, or is empty;
    `remarks` are (row, ID, words) of the files that were read for all that is said. `frame_labels`
    (B, K) int8 label the parts of rows (see `FrameLabels`), -1 behind a row's end; (0, 0) where
    they were not asked for.
    """

    waveforms: torch.Tensor
    lengths: torch.Tensor
    labels: torch.Tensor
    rows: torch.Tensor
    ids: list[str]
    bad: list[BadFile] = field(default_factory=list)
    draws: list = field(default_factory=list)
    remarks: list[tuple[int, str, str]] = field(default_factory=list)
    frame_labels: torch.Tensor = field(default_factory=lambda: torch.empty(0, 0, dtype=torch.int8))

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def seconds(self) -> float:
        """Audio in the batch, padding left out."""
        return sum(self.lengths.tolist()) / SAMPLE_RATE

    def part(self, rows: slice) -> WaveformBatch:
        """Some of the rows, padded to the longest of them; what was set aside stays behind."""
        lengths = self.lengths[rows]
        return WaveformBatch(
            waveforms=self.waveforms[rows, : int(lengths.max())],
            lengths=lengths,
            labels=self.labels[rows],
            rows=self.rows[rows],
            ids=self.ids[rows],
            draws=self.draws[rows],
            frame_labels=self.frame_labels[rows],
        )

    def __reduce__(self) -> tuple:
        """From a worker by value, through its pipe: a tensor would travel in /dev/shm, of which a
        container has 64 MB, and a loader that finds it full hangs.
        """
        arrays = {name: getattr(self, name).numpy() for name in _TENSORS}
        return _from_arrays, (arrays, self.ids, self.bad, self.draws, self.remarks)

    def to(self, device: torch.device | str, non_blocking: bool = False) -> WaveformBatch:
        return self._mapped(lambda tensor: tensor.to(device, non_blocking=non_blocking))

    def pin_memory(self) -> WaveformBatch:
        return self._mapped(lambda tensor: tensor.pin_memory())

    def _mapped(self, change: Callable[[torch.Tensor], torch.Tensor]) -> WaveformBatch:
        return replace(self, **{name: change(getattr(self, name)) for name in _TENSORS})


_TENSORS = ("waveforms", "lengths", "labels", "rows", "frame_labels")


def _from_arrays(arrays: dict[str, np.ndarray], ids, bad, draws, remarks) -> WaveformBatch:
    tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
    return WaveformBatch(**tensors, ids=ids, bad=bad, draws=draws, remarks=remarks)


def draw_piece(
    seconds: float, crop_seconds: tuple[float, float], rng: np.random.Generator
) -> tuple[float, float | None]:
    """`(start, length)` in seconds of the training piece of a file; (0, None) means all of it.

    A file over the upper bound gives a piece of uniform length within the bounds, anywhere in it.
    """
    low, high = crop_seconds
    if seconds <= high:
        return 0.0, None
    length = rng.uniform(low, high)
    return rng.uniform(0.0, seconds - length), length


def centre_piece(seconds: float, longest: float | None) -> tuple[float, float | None]:
    """`(start, length)` in seconds of the middle of a file over `longest`; else all of it."""
    if longest is None or seconds <= longest:
        return 0.0, None
    return (seconds - longest) / 2, longest


class WaveformDataset(Dataset):
    """Rows of a protocol as waveforms; `dataset[epoch, row]` is an `Item` or a `BadFile`.

    mode `train`: a random piece of files over `crop_seconds`' upper bound, then `augmentation`;
    with `on_device` the last part of that is left to the device, as the batch's `draws`.
    mode `valid`: whole files, or the centre piece of `max_valid_duration`; nothing is random.
    mode `score`: whole files, or a channel of them; those under `min_duration` seconds and those
    of digital silence are told apart, and a file that makes loading fail in whatever way is a
    `BadFile`; so is one over `most_seconds`, unread. `inspect(path, header, waveform)` gives
    further remarks on a file.
    Lengths come from the audio header, never from the CSV; only the needed piece is decoded.
    """

    def __init__(
        self,
        table: ProtocolTable,
        *,
        mode: str,
        seed: int = 0,
        crop_seconds: Sequence[float] | None = None,
        augmentation: Augment | None = None,
        on_device: bool = False,
        max_valid_duration: float | None = None,
        min_duration: float | None = None,
        most_seconds: float | None = None,
        inspect: Inspect | None = None,
        frame_labels: FrameLabels | None = None,
    ):
        if mode not in (TRAIN, VALID, SCORE):
            raise ValueError(f"unknown mode {mode!r}: expected 'train', 'valid' or 'score'")
        self.table, self.mode, self.seed = table, mode, seed
        self.crop_seconds = check_crop(crop_seconds)
        self.augmentation, self.on_device = augmentation, on_device
        self.max_valid_duration = max_valid_duration
        self.min_duration, self.most_seconds, self.inspect = min_duration, most_seconds, inspect
        self.frame_labels = frame_labels

    def __len__(self) -> int:
        return len(self.table)

    def __getitem__(self, key: tuple[int, int]) -> Item | BadFile:
        epoch, row = key
        fields = self.table.row(row)
        rng = np.random.default_rng([self.seed, epoch, row])
        try:
            header, reading, start = self._read(fields, rng)
            remarks = [str(fault) for fault in reading.faults]
            if self.inspect is not None:
                remarks += self.inspect(fields.path, header, reading.waveform)
        except _Unfit as error:
            return BadFile(row, fields.id, fields.path, *error.args)
        except UnreadableAudio as error:
            return BadFile(row, fields.id, fields.path, error.reason)
        except Exception as error:  # scoring goes on past a file that a library trips over
            if self.mode != SCORE:
                raise
            reason = f"it cannot be loaded ({type(error).__name__}: {error})".splitlines()[0]
            return BadFile(row, fields.id, fields.path, reason)
        labels = None
        if self.frame_labels is not None:
            labels = self.frame_labels(fields, start, len(reading.waveform) / SAMPLE_RATE)
        waveform, draw = self._augmented(reading.waveform, rng)
        waveform = pad_to(waveform, RECEPTIVE_FIELD)
        return Item(row, fields.id, fields.label, waveform, draw, tuple(remarks), labels)

    def _read(
        self, fields: ProtocolRow, rng: np.random.Generator
    ) -> tuple[AudioHeader, Reading, float]:
        """A row's file or the piece of it that is due, and where that starts (seconds); `_Unfit`
        for what is not to be scored.
        """
        header = probe(fields.path)
        self._refuse_short(header.seconds)
        if self.most_seconds is not None and header.seconds > self.most_seconds:
            raise _Unfit(f"it is longer than {self.most_seconds} s", LONG)
        start, length = self._piece(header.seconds, rng)
        reading = read_audio(
            fields.path,
            start_seconds=start,
            max_seconds=length,
            header=header,
            channel=fields.channel,
        )
        if self.mode == SCORE:
            self._refuse_short(len(reading.waveform) / SAMPLE_RATE)  # of what has broken off
            if is_silent(reading.waveform):
                mixed = " once its channels are mixed" if is_mixed(fields, header) else ""
                raise _Unfit(f"it is digital silence{mixed}, on which there is no verdict", SILENT)
        return header, reading, start

    def load(self, epoch: int, rows: Iterable[int]) -> WaveformBatch:
        """The batch of some rows, in their order."""
        return collate([self[epoch, int(row)] for row in rows])

    def _augmented(
        self, waveform: np.ndarray, rng: np.random.Generator
    ) -> tuple[np.ndarray, object | None]:
        if self.mode != TRAIN or self.augmentation is None:
            return waveform, None
        if self.on_device:
            return self.augmentation.split(waveform, rng)
        return self.augmentation(waveform, rng), None

    def _refuse_short(self, seconds: float) -> None:
        if self.mode == SCORE and self.min_duration is not None and seconds < self.min_duration:
            reason = f"{seconds:.3f} s is shorter than min_duration {self.min_duration}"
            raise _Unfit(reason, SHORT)

    def _piece(self, seconds: float, rng: np.random.Generator) -> tuple[float, float | None]:
        if self.mode == TRAIN and self.crop_seconds is not None:
            return draw_piece(seconds, self.crop_seconds, rng)
        return centre_piece(seconds, self.max_valid_duration if self.mode == VALID else None)


class _Unfit(Exception):
    """Why a file that reads is not scored, and the kind of that."""


def is_silent(waveform: np.ndarray) -> bool:
    """Whether (T,) is digital silence; a few samples tell of most files that they are not."""
    parts = (waveform[:: 1 + len(waveform) // 1000], waveform)
    return all(np.abs(part).max(initial=0) < SILENT_PEAK for part in parts)


def is_mixed(fields: ProtocolRow, header: AudioHeader) -> bool:
    return fields.channel is None and header.channels > 1


def check_crop(crop_seconds: Sequence[float] | None) -> tuple[float, float] | None:
    """`train_crop_seconds` as (low, high); raises `UserError` for anything but 0 < low <= high."""
    if crop_seconds is None:
        return None
    if len(crop_seconds) != 2 or not 0 < crop_seconds[0] <= crop_seconds[1]:
        raise UserError(
            f"train_crop_seconds is {crop_seconds}: expected two numbers of seconds, the shorter "
            "first, such as [10, 13]"
        )
    return float(crop_seconds[0]), float(crop_seconds[1])


def pad_to(waveform: np.ndarray, samples: int) -> np.ndarray:
    """(T,) with zeros behind it up to `samples`."""
    missing = samples - len(waveform)
    return np.pad(waveform, (0, missing)) if missing > 0 else waveform


def collate(items: Sequence[Item | BadFile]) -> WaveformBatch:
    """Items as one padded batch, bad files set aside."""
    good = [item for item in items if isinstance(item, Item)]
    lengths = [len(item.waveform) for item in good]
    waveforms = torch.zeros(len(good), max(lengths, default=0))
    for waveform, item in zip(waveforms, good, strict=True):
        waveform[: len(item.waveform)] = torch.from_numpy(item.waveform)
    return WaveformBatch(
        waveforms=waveforms,
        lengths=torch.tensor(lengths, dtype=torch.int64),
        labels=torch.tensor([item.label for item in good], dtype=torch.int64),
        rows=torch.tensor([item.row for item in good], dtype=torch.int64),
        ids=[item.id for item in good],
        bad=[item for item in items if isinstance(item, BadFile)],
        draws=[item.draw for item in good if item.draw is not None],
        remarks=[(item.row, item.id, "; ".join(item.remarks)) for item in good if item.remarks],
        frame_labels=_padded_labels([item.frame_labels for item in good]),
    )


def _padded_labels(labels: Sequence[np.ndarray | None]) -> torch.Tensor:
    """(B, K) of labels (K_b,), -1 behind their ends; (0, 0) where there are none."""
    if not labels or labels[0] is None:
        return torch.empty(0, 0, dtype=torch.int8)
    padded = torch.full((len(labels), max(map(len, labels))), UNKNOWN, dtype=torch.int8)
    for row, values in zip(padded, labels, strict=True):
        row[: len(values)] = torch.from_numpy(values)
    return padded


# --- loading ahead ----------------------------------------------------------------------------

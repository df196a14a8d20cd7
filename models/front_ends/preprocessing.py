"""What is done to a waveform before a front end sees it. It belongs to a detector as weights do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from dataio.schema import SAMPLE_RATE, UserError
from models.front_ends.config import HOP, RECEPTIVE_FIELD
from models.front_ends.kernels import normalise_waveforms, valid_mask

OPTIONS = ("normalise", "input_samples", "input_seconds")


@dataclass(frozen=True)
class Preprocessing:
    """`normalise`: to zero mean and unit variance over a file's own length.

    `input_samples`: a longer file is cut to its first so many samples, a shorter one is repeated up
    to them; None: files are taken whole.
    """

    normalise: bool = True
    input_samples: int | None = None

    def lengths(self, lengths: Tensor) -> Tensor:
        """Samples `(B,)` that are left of files of `lengths` `(B,)` samples."""
        size = self.input_samples
        return lengths if size is None else torch.full_like(lengths, size)

    def __call__(
        self,
        waveforms: Tensor,
        lengths: Tensor | Sequence[int] | None,
        *,
        least: int,
        multiple: int = 1,
    ) -> tuple[Tensor, Tensor, bool]:
        """`(B, T')` zero after their lengths `(B,)`, on one device, and whether some are padded.

        `lengths` None: all are T long. Files shorter than `least` samples are followed by silence
        up to it, and T' makes a multiple of so many frames where files are taken whole. Nothing of
        a GPU is read, and nothing is waited for. ValueError for lengths that do not fit.
        """
        if waveforms.ndim != 2:
            raise ValueError(f"waveforms must be (B, T), got shape {tuple(waveforms.shape)}")
        rows, size = waveforms.shape
        if lengths is None:
            lengths = [size] * rows
        counts = lengths.tolist() if isinstance(lengths, Tensor) else list(lengths)
        if len(counts) != rows or min(counts) < 1 or max(counts) > size:
            raise ValueError(f"lengths {counts} do not fit waveforms {tuple(waveforms.shape)}")
        lengths = torch.tensor(counts).to(waveforms.device, non_blocking=True)
        if self.input_samples is not None:
            size = self.input_samples
            wanted = torch.arange(size, device=waveforms.device) % lengths[:, None]
            waveforms, lengths = waveforms.gather(1, wanted), self.lengths(lengths)
            counts, multiple = [size] * rows, 1
        if self.normalise:
            waveforms = normalise_waveforms(waveforms, lengths)
        else:
            padding = ~valid_mask(lengths, waveforms.shape[1])
            waveforms = waveforms.float().masked_fill(padding, 0.0)
        width = max(size, least) if multiple == 1 else rounded_up(max(size, least), multiple)
        waveforms = F.pad(waveforms, (0, width - size))
        return waveforms, lengths.clamp_min(least), max(min(counts), least) < width


def rounded_up(samples: int, multiple: int) -> int:
    """The least samples from `samples` up that make a multiple of so many frames of 20 ms.

    Frames number 1 + (samples - RECEPTIVE_FIELD) // HOP.
    """
    frames = 1 - (RECEPTIVE_FIELD - samples) // HOP
    frames = -(-frames // multiple) * multiple
    return RECEPTIVE_FIELD + (frames - 1) * HOP


def read_preprocessing(options: Mapping[str, object], *, normalise: bool) -> Preprocessing:
    """What `options` say, with the front end's own `normalise` where they are silent.

    UserError for a value of another kind, and for a length given twice.
    """
    said = options.get("normalise")
    if said is not None and not isinstance(said, bool):
        raise UserError(f"front_end: normalise is {said!r}, expected True or False")
    samples, seconds = options.get("input_samples"), options.get("input_seconds")
    if samples is not None and seconds is not None:
        raise UserError("front_end: input_samples and input_seconds are both given: give one")
    if seconds is not None:
        if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not seconds > 0:
            raise UserError(f"front_end: input_seconds is {seconds!r}, expected a number above 0")
        samples = round(min(seconds, 1e6) * SAMPLE_RATE)
    if samples is not None and (type(samples) is not int or samples < 1):
        raise UserError(f"front_end: input_samples is {samples!r}, expected a whole number above 0")
    return Preprocessing(normalise if said is None else said, samples)

"""What is done to a waveform before a front end sees it. It belongs to a detector as weights do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from dataio.schema import SAMPLE_RATE, UserError
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
        self, waveforms: Tensor, lengths: Tensor | None, *, least: int
    ) -> tuple[Tensor, Tensor, bool]:
        """`(B, T')` zero after their lengths `(B,)`, on one device, and whether some are padded.

        `lengths` None: all are T long. Files shorter than `least` samples are followed by silence
        up to it. ValueError for lengths that do not fit.
        """
        if waveforms.ndim != 2:
            raise ValueError(f"waveforms must be (B, T), got shape {tuple(waveforms.shape)}")
        if lengths is None:
            lengths = torch.full(waveforms.shape[:1], waveforms.shape[1])
        host = lengths.cpu()
        if len(host) != len(waveforms) or host.min() < 1 or host.max() > waveforms.shape[1]:
            raise ValueError(
                f"lengths {host.tolist()} do not fit waveforms {tuple(waveforms.shape)}"
            )
        lengths = lengths.to(waveforms.device)
        if self.input_samples is not None:
            wanted = torch.arange(self.input_samples, device=waveforms.device) % lengths[:, None]
            waveforms = waveforms.gather(1, wanted)
            host, lengths = self.lengths(host), self.lengths(lengths)
        if self.normalise:
            waveforms = normalise_waveforms(waveforms, lengths)
        else:
            padding = ~valid_mask(lengths, waveforms.shape[1])
            waveforms = waveforms.float().masked_fill(padding, 0.0)
        waveforms = F.pad(waveforms, (0, max(least - waveforms.shape[1], 0)))
        padded = bool((host.clamp_min(least) < waveforms.shape[1]).any())
        return waveforms, lengths.clamp_min(least), padded


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
